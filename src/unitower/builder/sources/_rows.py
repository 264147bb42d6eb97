"""Rows of a CSV file in UTF-8, each with a value for every column of its head."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path

from unitower.evaluation import toml

Row = Mapping[str, str]


def rows_of(path: Path, *, needed: Sequence[str], numbers: Sequence[str] = ()) -> list[Row]:
    """All rows, in their order.

    needed   columns that must be there
    numbers  those of them that hold numbers

    ValueError names the file, and the line and column, where a column is lacking, a row is longer or shorter than the head, or a number
    is none.
    """
    lines = csv.DictReader(io.StringIO(toml.text_of(path), newline=""))
    rows: list[Row] = []
    try:
        columns = list(lines.fieldnames or ())
        if not columns:
            raise ValueError(f"{path} is empty.")
        _check_columns(columns, needed, where=str(path))
        for row in lines:
            where = f"{path}, line {lines.line_num}"
            beyond = row.pop(None, ())
            if not any((cell or "").strip() for cell in (*row.values(), *beyond)):
                continue  # a blank line, or nothing but commas
            if any(cell.strip() for cell in beyond):
                raise ValueError(f"{where} has more than {len(columns)} values: one with a comma in it stands in quotation marks.")
            for column in columns:
                if row[column] is None:
                    raise ValueError(f"{where} has no value for column {column!r}: a row has {len(columns)}, as the head has.")
            for column in numbers:
                if not _is_number(row[column]):
                    raise ValueError(f"{where}: {column} is {row[column]!r}: write a number, such as 1040.5.")
            rows.append(row)
    except csv.Error as error:
        raise ValueError(f"{path}, line {lines.reader.line_num}: {error}.") from error
    if not rows:
        raise ValueError(f"{path} has no rows.")
    return rows


def _check_columns(columns: Sequence[str], needed: Sequence[str], *, where: str) -> None:
    for column in needed:
        if column not in columns:
            raise ValueError(f"{where} has no column {column!r}; there are {', '.join(columns)}.")


def _is_number(cell: str) -> bool:
    try:
        return isfinite(float(cell))
    except ValueError:
        return False
