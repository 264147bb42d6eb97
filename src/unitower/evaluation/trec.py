"""Runs and judgements in the files of TREC, which every evaluation tool reads.

    qrels   QUERY 0 DOCUMENT GRADE
    run     QUERY Q0 DOCUMENT RANK SCORE TAG

Fields stand between spaces, so that spaces and `%` in ids are written %20 and %25 and read back. BEIR's tables of judgements (with
a heading, three columns between tabs) are read too.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path

from unitower.errors import UnitowerError
from unitower.evaluation.metrics import Qrels, Run, ranking

_WRITTEN = re.compile(r"[\s%]")
_READ = re.compile(r"%([0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4})")


def escaped(id: str) -> str:
    """An id without white space.

    >>> escaped("page 3 of 10%"), unescaped("page%203%20of%2010%25")
    ('page%203%20of%2010%25', 'page 3 of 10%')
    """
    return _WRITTEN.sub(lambda match: f"%{ord(match[0]):02X}" if ord(match[0]) < 256 else f"%u{ord(match[0]):04X}", id)


def unescaped(id: str) -> str:
    return _READ.sub(lambda match: chr(int(match[1].removeprefix("u"), 16)), id)


def write_run(path: Path, run: Run, *, tag: str) -> None:
    """A run file; scores keep all their digits, ranks follow the rule of trec_eval for ties."""
    lines = (
        f"{escaped(query)} Q0 {escaped(id)} {rank} {scores[id]!r} {escaped(tag)}\n"
        for query, scores in run.items()
        for rank, id in enumerate(ranking(scores), start=1)
    )
    write_whole(path, lines)


def write_qrels(path: Path, qrels: Qrels) -> None:
    write_whole(path, (f"{escaped(query)} 0 {escaped(id)} {grade}\n" for query, grades in qrels.items() for id, grade in grades.items()))


def read_run(path: Path) -> dict[str, dict[str, float]]:
    """UnitowerError names the line that is none of a run, or repeats a document."""
    run: dict[str, dict[str, float]] = {}
    for number, line in _lines(path):
        parts = line.split()
        try:
            query, _, document, _, score, _ = parts
            value = float(score)
        except ValueError as error:
            raise UnitowerError(f"{path}, line {number}: {line.strip()!r} is not `QUERY Q0 DOCUMENT RANK SCORE TAG`.") from error
        found = run.setdefault(unescaped(query), {})
        if unescaped(document) in found:
            raise UnitowerError(f"{path}, line {number}: document {document!r} stands there twice for query {query!r}.")
        found[unescaped(document)] = value
    return run


def read_qrels(path: Path) -> dict[str, dict[str, int]]:
    """UnitowerError names the line that is none of qrels."""
    qrels: dict[str, dict[str, int]] = {}
    for number, line in _lines(path):
        parts = line.split()
        if number == 1 and parts[-1].lower() == "score":
            continue  # the heading of a BEIR table
        try:
            query, document, grade = parts if len(parts) == 3 else (parts[0], *parts[2:])
            qrels.setdefault(unescaped(query), {})[unescaped(document)] = int(grade)
        except (ValueError, IndexError) as error:
            raise UnitowerError(f"{path}, line {number}: {line.strip()!r} is not `QUERY 0 DOCUMENT GRADE`.") from error
    return qrels


def _lines(path: Path) -> Iterable[tuple[int, str]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UnitowerError(f"{path} cannot be read: {error}") from error
    return [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]


def write_whole(path: Path, lines: Iterable[str]) -> None:
    """A text file that is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.writelines(lines)
        os.chmod(beside, 0o644)
        os.replace(beside, path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise
