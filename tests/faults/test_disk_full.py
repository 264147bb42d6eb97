"""A disk that is full: one clear line, what was stored stays and is found, and with room again the run goes on to a clean build."""

from __future__ import annotations

import json
import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from documents import text, write
from index_state import state
from workers import Workers, sound


@pytest.fixture
def documents(tmp_path: Path, workers: Workers) -> Path:
    for j in range(5):
        write(tmp_path / "docs", f"{j}.txt", text(f"file {j}", 9))
    workers.run("index", "docs", into="clean", cwd=tmp_path)
    return tmp_path


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 3 MB of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place)], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def assert_told(answer: object) -> bool:
    """Whether the run failed; if so, as a person can understand."""
    if not isinstance(answer, dict):
        return False
    assert answer["error"] == "StoreError", answer
    assert "disk" in answer["message"] or "space" in answer["message"]
    return True


def test_a_run_on_a_full_disk_says_so_and_goes_on_when_there_is_room(documents: Path, workers: Workers, small_disk: Path) -> None:
    workers.run("index", "docs/0.txt", into="disk/index", cwd=documents)
    chance = random.Random(0)
    failed = 0
    for _ in range(6):
        status = os.statvfs(small_disk)
        room = chance.choice([0, 4096, 20_000, 60_000, 120_000])
        (small_disk / "ballast").write_bytes(bytes(max(0, status.f_bavail * status.f_frsize - room)))
        failed += assert_told(workers.run("index", "docs", into="disk/index", cwd=documents))
        assert workers.run("search", "word number 2 of file 0", into="disk/index", cwd=documents)[0][0].startswith(
            f"{documents}/docs/0.txt#page=3"
        )
        (small_disk / "ballast").unlink()
        assert sound(workers.run("examine", into="disk/index", cwd=documents))
    assert failed >= 3
    workers.run("index", "docs", into="disk/index", cwd=documents)
    assert answers("disk/index", documents, workers) == answers("clean", documents, workers)


def test_where_files_may_not_grow_a_run_says_so_and_goes_on_later(documents: Path, workers: Workers) -> None:
    """The same by a limit on the size of a file, which needs no mount."""
    workers.run("index", "docs/0.txt", cwd=documents)
    failed = 0
    for limit in (0, 100, 700, 3_000, 9_000, 30_000):
        failed += assert_told(workers.run("index", "docs", cwd=documents, limit_bytes=limit))
        assert workers.run("search", "word number 2 of file 0", cwd=documents)[0][0].startswith("docs/0.txt#page=3")
        assert sound(workers.run("examine", cwd=documents))
    assert failed >= 3
    workers.run("index", "docs", cwd=documents)
    assert state(".unitower") == state("clean")


def answers(index: str, documents: Path, workers: Workers) -> object:
    queries = [f"word number {i} of file {j}" for i in (1, 5) for j in range(5)]
    told = workers.run("search", *queries, into=index, cwd=documents), workers.run("status", into=index, cwd=documents)
    return json.dumps(told).replace(f"{documents}/", "")  # an index knows files by their place beside it, others by their whole path
