"""A file on its way into the index, and what is asked of files and items there."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from unitower import __version__
from unitower.index.ledger import File, Stamp
from unitower.index.reports import one_line
from unitower.stores import Entry
from unitower.types import Embeddings, Grid, Item, Source


@dataclass(kw_only=True)
class Reading:
    """A file on its way into the index.

    seen     size and time of the file when it was opened; None if it was not
    anew     it is read from its beginning: former entries, if there are any, are to be deleted
    parts    items read, from its beginning
    stored   how many of these are in the stores
    ended    there is nothing more to read
    reasons  why some of it is left out
    ids      of the items read
    """

    key: str
    stamp: Stamp | None
    sha: str
    anew: bool
    seen: Stamp | None = None
    parts: int = 0
    stored: int = 0
    ended: bool = False
    reasons: list[str] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)

    def leave_out(self, reason: str, *, place: str = "") -> None:
        """Note that something of the file, at that place, is not in the index."""
        self.reasons.append(one_line(f"{place}: {reason}" if place else reason))

    def file(self) -> File:
        """What the ledger is told of it."""
        return File(
            key=self.key,
            stamp=self.stamp,
            sha=self.sha if self.stamp else "",  # no stamp: to be tried again
            parts=self.parts,
            whole=self.ended,
            skipped="\n".join(sorted(set(self.reasons), key=by_first_number)),
            version=__version__,
        )


Group: TypeAlias = tuple[list[tuple[Reading, Entry]], dict[str, Embeddings]]
"""Entries that are stored in one commit per task, each with its file; and their vectors, by task."""


def by_first_number(reason: str) -> tuple[int, str]:
    """Order of reasons: by page or line, whatever the order they were found in.

    >>> sorted(["page 10: too long", "broken after page 12: torn", "pages 3-4: damaged"], key=by_first_number)
    ['pages 3-4: damaged', 'page 10: too long', 'broken after page 12: torn']
    """
    number = re.search(r"\d+", reason)
    return (int(number[0]) if number else 0, reason)


def sha256(path: Path) -> str:
    """Hash of a file's content, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def stamp(path: Path) -> Stamp:
    """Size and time of a file as they are now. OSError if it cannot be looked at."""
    status = path.stat()
    return Stamp(size=status.st_size, mtime_ns=status.st_mtime_ns)


def entry(item: Item, reading: Reading, grid: Grid | None) -> Entry:
    """What the stores keep of an item of a file. `grid` tells where its picture's cells are among its token vectors."""
    return Entry(
        id=item.id,
        source=item.source,
        modality=item.modality,
        part=item.part,
        file_sha=reading.sha,
        text=item.text,
        metadata=dict(item.metadata),
        size_bytes=None if reading.seen is None else reading.seen.size,
        modified_ns=None if reading.seen is None else reading.seen.mtime_ns,
        grid=grid,
    )


def renamed(entry: Entry, key: str, reading: Reading) -> Entry:
    """The entry that the same place of a file has in another file with the same content."""
    return replace(
        entry,
        id=reading.key + entry.id.removeprefix(key),
        source=replace(entry.source, path=reading.key),
        size_bytes=None if reading.seen is None else reading.seen.size,
        modified_ns=None if reading.seen is None else reading.seen.mtime_ns,
    )


def place_in_file(source: Source) -> str:
    """`page 3` or `lines 10-42`; "" where a file has one place only."""
    return "" if source.page is None and source.lines is None else source.place.removeprefix(f"{source.path}, ")


def pixels(item: Item) -> int:
    """Pixels of a picture, 0 for text."""
    return 0 if isinstance(item.content, str) else item.content.width * item.content.height


def tokens(item: Item) -> int:
    """Roughly how much work an item is: pictures have a token per 28 x 28 pixels, text one per four characters."""
    return 1 + (len(item.content) // 4 if isinstance(item.content, str) else pixels(item) // 784)


def kind_of_name(key: str) -> str:
    """What readers are chosen by: the suffix in lower case, or the whole name where it has none."""
    name = PurePosixPath(key)
    return name.suffix.lower() or name.name
