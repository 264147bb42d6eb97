"""Every file of an index cut short, emptied, removed, or with bits flipped: named, or harmless; never a wrong answer, never a crash."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from damages import DAMAGES, flipped, kinds_of_file
from documents import write_after, write_before
from workers import Workers, sound

from unitower.stores._seal import NAME, Seal

QUERIES = ["word number 2 of kept", "changed", "word number 1 of moved"]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, workers: Workers) -> Path:
    """An index that was changed after it was made, so that it has deletions as well, and what it answers."""
    folder = tmp_path_factory.mktemp("damage")
    write_before(folder / "docs")
    workers.run("index", "docs", into="sound", cwd=folder)
    write_after(folder / "docs")
    workers.run("index", "docs", into="sound", cwd=folder, tidy=False)
    workers.run("search", *QUERIES, into="sound", cwd=folder)
    return folder


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_to_any_file_is_named_or_harmless(scene: Path, workers: Workers, tmp_path: Path, damage: str) -> None:
    expected, told_status, _ = workers.run("look", *QUERIES, into="sound", cwd=scene)
    kinds = kinds_of_file(scene / "sound")
    assert {"index.json", "files.sqlite3", "files.check", "lock.holder"} <= {kind.split(":")[0] for kind in kinds}
    assert len(kinds) >= 12
    named = 0
    for kind, where, searched, status, report in workers.run("survey", "sound", damage, *QUERIES, cwd=scene):
        place = Path(where)
        assert searched == expected or is_named(searched, place), (kind, searched)
        assert status == told_status or is_named(status, place), (kind, status)
        if sound(report):
            assert searched == expected, kind
            assert harmless(scene / "sound", place) or (damage == "grown" and place.name == "files.sqlite3"), (
                kind,
                place,
            )  # sqlite knows its length
        else:
            named += 1
            assert any(check["remedy"] for check in report["checks"] if check["ok"] is False)
    assert named >= 5


def is_named(answer: Any, place: Path) -> bool:
    """Whether it is an error that names the file, or the part of the index that it is of."""
    if not isinstance(answer, dict):
        return False
    assert answer["error"] in ("StoreError", "IndexMismatch"), answer
    return place.name in answer["message"] or place.parts[0] in answer["message"] or "there is no index" in answer["message"]


def harmless(index: Path, place: Path) -> bool:
    """What an index does without, or makes anew: locks, hashes, scan codes with a check of their own, and what no version that is sealed
    is made of: Lance's log of transactions, its hint to the latest version, files of former versions."""
    if len(place.parts) == 1:
        return place.name in ("lock", "lock.holder", "files.check")
    seal = Seal.read(index / place.parts[0])
    assert seal is not None
    return place.name != NAME and place.relative_to(place.parts[0]).as_posix() not in seal.files


def test_a_bit_that_a_disk_lost_is_found_by_the_doctor(scene: Path, workers: Workers) -> None:
    """No program changed the file, so its time is as it was."""
    chance = random.Random(0)
    for place in sorted(path.relative_to(scene / "sound") for path in (scene / "sound").rglob("data/*.lance")):
        shutil.rmtree(scene / "hurt", ignore_errors=True)
        shutil.copytree(scene / "sound", scene / "hurt")
        path = scene / "hurt" / place
        before = path.stat()
        path.write_bytes(flipped(path.read_bytes(), chance))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        report = workers.run("examine", into="hurt", cwd=scene)
        assert any(check["ok"] is False and path.name in check["told"] for check in report["checks"]), report
