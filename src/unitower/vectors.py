"""What `unitower embed` writes: vectors of stdin lines or of files, as JSON lines or one .npz.

JSON lines stream: an item is written as soon as its batch is encoded, so a million lines need the memory of one batch.
A .npz holds whole arrays and is written at the end.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from unitower.errors import UnreadableFile
from unitower.ingest import read, reader_for, readers
from unitower.ingest.walk import Candidate, Skipped, walk
from unitower.types import Fingerprint, Floats, Item, Ragged, Role, Source

if TYPE_CHECKING:
    from unitower.encode.encoder import Encoder

STDIN = "-"


@dataclass(frozen=True, kw_only=True)
class Embedded:
    """One item with its vectors: dense [d] and tokens [n, m], unit rows."""

    id: str
    source: Source
    dense: Floats
    tokens: Floats

    def as_dict(self, *, multi: bool) -> dict[str, Any]:
        """One JSON line: id; path, page and lines where they mean something; dense; and multi where asked for."""
        line: dict[str, Any] = {"id": self.id}
        if self.source.path != STDIN:
            line["path"] = self.source.path
            if self.source.page is not None:
                line["page"] = self.source.page
            if self.source.lines is not None:
                line["lines"] = list(self.source.lines)
        line["dense"] = numbers(self.dense)
        if multi:
            line["multi"] = [numbers(row) for row in self.tokens]
        return line


def numbers(row: Floats) -> list[float]:
    """A row as Python floats of nine significant digits: enough to give every float32 back, half as long as a float64.

    >>> numbers(np.float32([0.1, 1e-8]))
    [0.100000001, 9.99999994e-09]
    """
    return [float(f"{x:.9g}") for x in row.tolist()]


def lines_of(stream: IO[bytes]) -> Iterator[Item]:
    """One item per line of UTF-8 text, empty lines included, so that line n is always id n."""
    for number, raw in enumerate(stream, start=1):
        try:
            text = raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise ValueError(
                f"line {number} of the input is not UTF-8 ({error.reason} at byte {error.start + 1}): convert it first."
            ) from error
        yield Item(id=str(number), modality="text", content=text, source=Source(path=STDIN, lines=(number, number)), text=text)


def items_of(files: Sequence[str], *, role: Role | None, skip: Callable[[str, str], None]) -> Iterator[Item]:
    """The items of files, and of all files in folders, by path; `skip` is told path and reason of what cannot be read.

    Told at once, before anything is read: PathNotFound for a path that does not exist, ValueError for a text where there is no role.
    """
    walked = list(walk(files))
    if role is None:
        for found in walked:
            if isinstance(found, Candidate) and is_text(found.path):
                raise ValueError(
                    f"{shown(found.path)} is a text: say --role query for what is searched with, --role passage for what is searched in."
                )
    return _items(walked, skip=skip)


def _items(walked: Iterable[Candidate | Skipped], *, skip: Callable[[str, str], None]) -> Iterator[Item]:
    for found in walked:
        path = shown(found.path)
        if isinstance(found, Skipped):
            skip(path, found.reason)
            continue
        ids: set[str] = set()
        try:
            for item in read(found.path, key=path):
                yield item if item.id not in ids else replace(item, id=f"{item.id};part={item.part}")
                ids.add(item.id)
        except UnreadableFile as error:
            skip(path, error.reason)


def is_text(path: Path) -> bool:
    """Whether the items of a file are texts, which need a role, rather than pictures. A file that no reader reads has neither."""
    try:
        return reader_for(path) not in (readers()["image"], readers()["pdf"])
    except UnreadableFile:
        return False


def shown(path: Path) -> str:
    """A path relative to the current directory where it lies beneath that."""
    here = Path.cwd()
    return (path.relative_to(here) if path.is_relative_to(here) else path).as_posix()


def embedded(items: Iterable[Item], encoder: Encoder, *, task: str, role: Role | None, dim: int | None) -> Iterator[Embedded]:
    """The items with their vectors, in order, as soon as they are there."""
    waiting: deque[tuple[str, Source]] = deque()

    def passing() -> Iterator[Item]:
        for item in items:
            waiting.append((item.id, item.source))
            yield item

    for batch in encoder.stream(passing(), task=task, role=role, truncate_dim=dim):
        for dense, tokens in zip(batch.dense, batch.multi, strict=True):
            id, source = waiting.popleft()
            yield Embedded(id=id, source=source, dense=dense, tokens=tokens)


def write_jsonl(vectors: Iterable[Embedded], file: IO[str], *, multi: bool) -> None:
    """A line for each item, written as it comes."""
    for one in vectors:
        print(json.dumps(one.as_dict(multi=multi)), file=file)


def write_npz(vectors: Iterable[Embedded], file: IO[bytes], *, fingerprint: Fingerprint) -> None:
    """Arrays dense [n, d], tokens [total, m], offsets [n + 1] and ids [n]; item i has tokens[offsets[i] : offsets[i + 1]]."""
    every = list(vectors)
    tokens = Ragged.of([one.tokens for one in every], width=fingerprint.multi_width)
    dense = np.array([one.dense for one in every], np.float32).reshape(len(every), fingerprint.dense_width)
    np.savez(file, dense=dense, tokens=tokens.data, offsets=tokens.offsets, ids=np.array([one.id for one in every], dtype=np.str_))


@contextmanager
def replaced(path: str) -> Iterator[Path]:
    """A file to write in place of `path`, which takes its name once it is written; if that fails, what was there stays.

    What is no regular file (a pipe, /dev/stdout) is written to as it is.
    """
    target = Path(path)
    if target.exists() and not target.is_file():
        yield target
        return
    part = target.with_name(f"{target.name}.part")
    try:
        yield part
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    part.replace(target)
