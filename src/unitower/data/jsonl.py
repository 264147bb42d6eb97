"""A user's own pairs: JSON lines, plain or gzipped, in the shapes people have (`_rows.SHAPES`).

Only byte offsets are held in memory, and pictures are opened when their pair is read, so that files may be of any size. Rows with the
same document lie on the same side of the split into training and test data, and no query lies on both.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from unitower.data import BadPair, Pairs, _cache
from unitower.data._lines import Lines
from unitower.data._pictures import located, shown
from unitower.data._rows import (
    SHAPES,
    Content,
    Reading,
    Shape,
    checked_columns,
    checked_shape,
    document_of,
    renamed,
    shape_of,
    task_of,
)
from unitower.data._split import TEST_SHARE, Split, checked, hashed, rows_of
from unitower.types import Pair

KEPT_BYTES = 16 << 20
"""Files from this size on have their offsets kept in the cache folder; smaller ones are read through in a moment."""

LOOKED_AT = 1000
"""Lines among which one must be found that shows the shape."""


def open(
    *,
    path: str | Path,
    shape: str | None = None,
    corpus: str | Path | Sequence[str | Path] = (),
    columns: Mapping[str, str] | None = None,
    images: str | Path | None = None,
    negatives: int | None = None,
    task: str | None = None,
    query_modality: Literal["text", "code"] = "text",
    document_modality: Literal["text", "code"] = "text",
    split: Split = "train",
    test_share: float = TEST_SHARE,
    name: str | None = None,
    licence: str = "unknown",
    languages: Sequence[str] = ("und",),
) -> Pairs:
    """Pairs of a JSONL file; a row with several positives gives a pair for each.

    shape       "triplets", "documents", "images" or "graded"; left out, it is that of the first row that has one
    corpus      JSONL files with the documents that `positive_document_ids` and `negative_document_ids` name
    columns     our name of a column -> what the file calls it, where that differs: {"query": "question"}
    images      folder that paths of pictures are relative to; left out, that of the file they stand in
    negatives   how many of a row's hard negatives are kept, from the first on; left out, all
    task        left out, "text-matching" for graded pairs and "retrieval" for others
    test_share  of the documents that are kept to test with
    name        left out, the file's name without its endings

    pos_scores become grades; neg_scores stand in the negatives' metadata as "score".
    ValueError if there is no such file, or no row has a known shape. UnitowerError if a gzipped file is damaged.
    """
    checked(split, test_share)
    lines = Lines(path)
    columns = checked_columns(columns)
    found = checked_shape(shape) if shape else _shape(lines, columns)
    files = [corpus] if isinstance(corpus, str | Path) else list(corpus)
    reading = Reading(
        source=name or Path(lines.path.name.removesuffix(".gz")).stem,
        place=str(lines.path),
        folder=Path(images).expanduser() if images is not None else lines.path.parent,
        shape=found,
        task=task_of(found, task),
        columns=columns,
        lookup=Corpus([Lines(file) for file in files], columns, images=images).content if files else None,
        negatives=negatives,
        query_modality=query_modality,
        document_modality=document_modality,
    )
    rows = _cached("jsonl", [lines.identity, found, columns], lines, lambda: _index(lines, reading))
    chosen = rows_of(split, rows["documents"], rows["queries"], test_share=test_share)
    return JsonLines(lines, reading, {field: rows[field][chosen] for field in ("offset", "number", "which")}, licence, tuple(languages))


class JsonLines:
    """`Pairs` of a JSONL file.

    rows  offset of the line, its number, and which of its positives, of every pair
    """

    def __init__(self, lines: Lines, reading: Reading, rows: _cache.Arrays, licence: str, languages: tuple[str, ...]) -> None:
        self.name, self.licence, self.languages = reading.source, licence, languages
        self.shape = reading.shape
        self._lines, self._reading, self._rows = lines, reading, rows

    def __len__(self) -> int:
        return len(self._rows["offset"])

    def __getitem__(self, index: int) -> Pair:
        offset, number, which = (int(self._rows[field][index]) for field in ("offset", "number", "which"))
        try:
            row = self._reading.taken_apart(_parsed(self._lines.at(offset)))
            return self._reading.pair(row, which, number=number)
        except BadPair as error:
            raise BadPair(f"{self._lines.path}, line {number}: {error}") from error


class Corpus:
    """Documents by their ids, in JSONL files of any size: ids are held as hashes, and compared when a document is read."""

    def __init__(self, files: Sequence[Lines], columns: Mapping[str, str], *, images: str | Path | None = None) -> None:
        self._files, self._columns = files, columns
        self._folders = [Path(images).expanduser() if images is not None else file.path.parent for file in files]
        parts = [_cached("corpus", [file.identity, dict(columns)], file, partial(_documents, file, columns)) for file in files]
        hashes = np.concatenate([part["hash"] for part in parts])
        order = np.argsort(hashes, kind="stable")
        self._hashes = hashes[order]
        self._offsets = np.concatenate([part["offset"] for part in parts])[order]
        self._numbers = np.concatenate([part["number"] for part in parts])[order]
        self._file = np.repeat(np.arange(len(parts)), [len(part["hash"]) for part in parts])[order]

    def content(self, id: str) -> Content:
        """A document, the first one where several have its id. BadPair if there is none, or it has neither text nor image."""
        key = np.uint64(hashed(id))
        for place in range(*(int(np.searchsorted(self._hashes, key, side=side)) for side in ("left", "right"))):
            which = int(self._file[place])
            file, folder = self._files[which], self._folders[which]
            row = renamed(_parsed(file.at(int(self._offsets[place]))), self._columns)
            if str(row["docid"]) == id:
                try:
                    content = document_of(row, f"document {shown(id)}")
                except BadPair as error:
                    raise BadPair(f"{file.path}, line {self._numbers[place]}: {error}") from error
                return replace(content, image=located(content.image, folder=folder))
        raise BadPair(f"document {shown(id)} is not in {', '.join(file.path.name for file in self._files)}")


def _shape(lines: Lines, columns: Mapping[str, str]) -> Shape:
    """The shape of the first row that has one."""
    seen: list[str] = []
    for _, (_, _, line) in zip(range(LOOKED_AT), lines, strict=False):
        try:
            row = renamed(_parsed(line), columns)
        except BadPair as error:
            seen.append(str(error))
            continue
        if shape := shape_of(row):
            return shape
        seen.append(f"columns {', '.join(row) or 'none'}")
    if not seen:
        raise ValueError(f"{lines.path} is empty.")
    raise ValueError(
        f"{lines.path}: no row has a shape that is known; the first one: {seen[0]}. Have rows of one of these shapes, or name the columns "
        f"with columns={{ours: theirs}}:\n{SHAPES}"
    )


def _index(lines: Lines, reading: Reading) -> _cache.Arrays:
    """Where every pair is, and what its query and its document are known by; a row that cannot be used is one pair."""
    offsets, numbers, which = array("q"), array("I"), array("I")
    queries, documents = array("Q"), array("Q")
    for number, offset, line in lines:
        try:
            row = reading.taken_apart(_parsed(line))
            keys = [(row.query.key, positive.key) for positive in row.positives]
        except BadPair:
            key = hashed(line)
            keys = [(key, key)]
        for place, (query, document) in enumerate(keys):
            offsets.append(offset)
            numbers.append(number)
            which.append(place)
            queries.append(query)
            documents.append(document)
    return {
        "offset": np.array(offsets, np.int64),
        "number": np.array(numbers, np.uint32),
        "which": np.array(which, np.uint32),
        "queries": np.array(queries, np.uint64),
        "documents": np.array(documents, np.uint64),
    }


def _documents(lines: Lines, columns: Mapping[str, str]) -> _cache.Arrays:
    """Hash of the id, offset and line of every document; lines that are none are passed over until they are asked for."""
    found = list(_ids(lines, columns))
    hashes, offsets, numbers = zip(*found, strict=True) if found else ((), (), ())
    return {"hash": np.array(hashes, np.uint64), "offset": np.array(offsets, np.int64), "number": np.array(numbers, np.int64)}


def _ids(lines: Lines, columns: Mapping[str, str]) -> Iterator[tuple[int, int, int]]:
    for number, offset, line in lines:
        try:
            row = renamed(_parsed(line), columns)
        except BadPair:
            continue
        if row.get("docid") is not None:
            yield hashed(str(row["docid"])), offset, number


def _cached(name: str, key: object, lines: Lines, make: Callable[[], _cache.Arrays]) -> _cache.Arrays:
    return _cache.arrays(name, key, make) if lines.size_bytes >= KEPT_BYTES else make()


def _parsed(line: bytes) -> Mapping[str, Any]:
    """The object on a line. BadPair where it is none."""
    try:
        value = json.loads(line)
    except UnicodeDecodeError as error:
        raise BadPair(f"not UTF-8: {error.reason} at byte {error.start}") from error
    except (ValueError, RecursionError) as error:
        hint = "; the file looks like one JSON array or object, write one object a line" if line in (b"[", b"{") or line[:1] == b"[" else ""
        raise BadPair(f"not JSON: {str(error).splitlines()[0]}: {shown(line[:80].decode('utf-8', 'replace'))}{hint}") from error
    if not isinstance(value, dict):
        kind = {list: "a list", str: "a text", type(None): "null"}.get(type(value), "a number")
        hint = "; write one object a line" if isinstance(value, list) else ""
        raise BadPair(f"not an object in braces but {kind}{hint}")
    return value
