"""What an index tells of a run, while it goes on and after it, and of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from unitower.index.manifest import Model
from unitower.types import Fingerprint, Modality

REASONS_TOLD = 3
"""Places of one file that are named one by one when they could not be indexed."""

LONGEST_REASON = 300


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a run is; handed to the `progress` callback as often as something changes.

    stage        "looking" for files, "reading" and encoding them, "finishing" the stores
    files_done   files that were read; while looking: files seen
    files_total  files to read; None until they are known
    items_done   items stored
    items_total  items that the files to read hold, partly guessed where there are many files; None until it is known
    path         the file it is at; "" at the end
    """

    stage: Literal["looking", "reading", "finishing"]
    files_done: int
    files_total: int | None
    items_done: int
    items_total: int | None
    path: str = ""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What a run did.

    files_read       files with items that were read, wholly or in part
    files_unchanged  files that were in the index as they are
    files_removed    files forgotten because they are gone from disk, or ignored now
    items_added      pages, passages and functions that were stored
    items_removed    those of removed files, and the former ones of changed files
    skipped          (path, reason) of every file that is not, or not wholly, in the index
    """

    files_read: int = 0
    files_unchanged: int = 0
    files_removed: int = 0
    items_added: int = 0
    items_removed: int = 0
    skipped: tuple[tuple[str, str], ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Status:
    """What an index holds.

    folder        the index itself
    fingerprints  of its vectors, by task
    files         files with at least one item in the index
    items         number of items by modality
    size_bytes    the whole folder on disk
    skipped       (path, reason) of every file that is not, or not wholly, in the index
    unfinished    files that a stopped run left half read: the next run goes on with them
    last_run      when files were last added; None if never
    last_run_s    how long that took; None if it was stopped before its end
    """

    folder: str
    model: Model
    fingerprints: Mapping[str, Fingerprint]
    files: int
    items: Mapping[Modality, int]
    size_bytes: int
    skipped: tuple[tuple[str, str], ...] = ()
    unfinished: tuple[str, ...] = ()
    last_run: datetime | None = None
    last_run_s: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """The keys of `unitower status --json`."""
        return {
            "folder": self.folder,
            "model": self.model.name,
            "revision": self.model.revision,
            "fingerprints": {task: fingerprint.as_dict() for task, fingerprint in self.fingerprints.items()},
            "files": self.files,
            "items": dict(self.items),
            "size_bytes": self.size_bytes,
            "skipped": [{"path": path, "reason": reason} for path, reason in self.skipped],
            "unfinished": list(self.unfinished),
            "last_run": self.last_run.isoformat() if self.last_run else None,
            "last_run_s": self.last_run_s,
        }


def told(skipped: str) -> str:
    """The reasons of the ledger, one per line, as one line for a person.

    >>> told("\\n".join(f"page {n}: too long" for n in (2, 3, 4, 9)))
    'page 2: too long; page 3: too long; page 4: too long; and 1 more'
    """
    reasons = skipped.splitlines()
    more = [f"and {len(reasons) - REASONS_TOLD} more"] if len(reasons) > REASONS_TOLD else []
    return "; ".join([*reasons[:REASONS_TOLD], *more])


def one_line(text: object) -> str:
    """Text of an error as one line of sensible length, without the halves of characters that file names may bring in."""
    line = " ".join(str(text).encode("utf-8", "backslashreplace").decode("utf-8").split())
    return line if len(line) <= LONGEST_REASON else line[: LONGEST_REASON - 1] + "…"
