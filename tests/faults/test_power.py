"""A machine that loses power keeps what was flushed to its disk and any part of the rest: the index is made good by the next run.

sqlite flushes for itself. Of everything else, a snapshot taken at any step keeps the files that were flushed and empties, or leaves out,
those that were not: the worst a disk may do.
"""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from documents import write_after, write_before
from fake import FakeEncoder
from index_state import state

from unitower.index import Index
from unitower.index.ledger import Ledger
from unitower.stores._seal import NAME, Seal

SHARE = 0.07
"""Of the steps, at which power fails."""


class Disk:
    """Knows which files of a folder were flushed as they are, and which names."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.flushed: dict[int, tuple[int, int]] = {}  # inode -> size and time at the last flush
        self.names: set[tuple[int, str]] = set()  # (inode, path) that a flush of the folder made last

    def fsync(self, handle: int) -> None:
        status = os.fstat(handle)
        path = Path(os.readlink(f"/proc/self/fd/{handle}"))
        if path.is_dir():
            self.names |= {(one.stat().st_ino, str(one)) for one in path.iterdir()}
        else:
            self.flushed[status.st_ino] = (status.st_size, status.st_mtime_ns)

    def lost_power(self, target: Path, chance: random.Random) -> None:
        """A copy of the folder as it may be after a power cut now."""
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(self.folder, target)
        for path in sorted(self.folder.rglob("*")):
            there = target / path.relative_to(self.folder)
            if not path.is_file() or path.name.startswith(("files.sqlite3", "lock", "index.json")):
                continue
            status = path.stat()
            if self.flushed.get(status.st_ino) != (status.st_size, status.st_mtime_ns):
                there.write_bytes(b"" if chance.random() < 0.5 else bytes(status.st_size))
            elif (status.st_ino, str(path)) not in self.names and path.name != NAME and chance.random() < 0.5:
                there.unlink()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc to tell which file is flushed")
def test_a_power_cut_at_any_step_is_made_good_by_the_next_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_before(tmp_path / "docs")
    Index.open("scratch", encoder=FakeEncoder()).add(["docs/a.txt"])  # what a first use creates is not what this is about
    disk = Disk(tmp_path / ".unitower")
    chance = random.Random(0)
    cuts = 0

    def fsync(handle: int) -> None:
        disk.fsync(handle)
        cut()

    def cut() -> None:
        nonlocal cuts
        if (disk.folder / "index.json").exists() and chance.random() < SHARE:
            disk.lost_power(tmp_path / "cuts" / str(cuts) / ".unitower", chance)
            cuts += 1

    def before(step: Any) -> Any:
        def call(*args: Any, **options: Any) -> Any:
            cut()
            return step(*args, **options)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        for step in ("begin", "advance", "doubt", "drop"):
            patch.setattr(Ledger, step, before(getattr(Ledger, step)))
        patch.setattr(Seal, "write", before(Seal.write))
        Index.open(encoder=FakeEncoder()).add(["docs"])
        write_after(tmp_path / "docs")
        Index.open(encoder=FakeEncoder()).add(["docs"])
    expected = state(".unitower")
    assert cuts >= 12
    for number in range(cuts):
        place = tmp_path / "cuts" / str(number)
        shutil.copytree(tmp_path / "docs", place / "docs")
        monkeypatch.chdir(place)
        Index.open(encoder=FakeEncoder()).add(["docs"])
        assert state(".unitower") == expected, f"cut {number}"
