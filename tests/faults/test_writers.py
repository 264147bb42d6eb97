"""Several processes at one index: writers take turns or say that they cannot, readers see a whole state at any time."""

from __future__ import annotations

from pathlib import Path

import pytest
from documents import text, write
from index_state import state
from workers import Workers, sound


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    for i in range(3):
        for j in range(4):
            write(tmp_path / f"docs{i}", f"{j}.txt", text(f"folder{i} file{j}", 6))
    return tmp_path


@pytest.mark.parametrize("patience_s", [0.01, 60.0])
def test_of_several_writers_each_waits_or_says_so_and_nothing_is_lost(folders: Path, workers: Workers, patience_s: float) -> None:
    workers.run("index", "docs0", "docs1", "docs2", into="clean", cwd=folders)
    workers.run("index", "docs0", cwd=folders)
    running = [workers.start("index", f"docs{i}", cwd=folders, delay_s=0.01, lock_wait_s=patience_s) for i in range(3)]
    outcomes = [workers.wait(pid) for pid in running]
    assert all(status == 0 for status, _ in outcomes)
    locked = [answer for _, answer in outcomes if isinstance(answer, dict)]
    assert all(answer["error"] == "IndexLocked" and "is being written to by process" in answer["message"] for answer in locked)
    if patience_s > 1:
        assert not locked
    for (_, answer), i in zip(outcomes, range(3), strict=True):
        if isinstance(answer, dict):  # told to run again
            workers.run("index", f"docs{i}", cwd=folders)
    assert state(".unitower") == state("clean")


def test_a_search_beside_a_writer_never_fails_and_never_misses_what_was_there(folders: Path, workers: Workers) -> None:
    workers.run("index", "docs0", cwd=folders)
    known = {f"docs{i}/{j}.txt#page={page}" for i in range(3) for j in range(4) for page in range(1, 7)}
    writer = workers.start("index", "docs1", "docs2", "docs0", cwd=folders, delay_s=0.005)
    for _ in range(12):
        first, second = workers.run("search", "word number 2 of folder0 file3", "word number 5 of folder2 file1", cwd=folders)
        assert first[0].startswith("docs0/3.txt#page=3")
        assert {hit.split()[0] for hit in [*first, *second]} <= known
    assert workers.wait(writer)[0] == 0
    assert workers.run("search", "word number 5 of folder2 file1", cwd=folders)[0][0].startswith("docs2/1.txt#page=6")
    assert sound(workers.run("examine", cwd=folders))


def test_a_reader_that_stays_open_follows_a_writer_that_indexes_forgets_and_compacts(folders: Path, workers: Workers) -> None:
    from fake import FakeEncoder

    from unitower.index import Index

    workers.run("index", "docs0", cwd=folders)
    reader = Index.open(encoder=FakeEncoder(), create=False)
    for i in (1, 2):
        writer = workers.start("index", f"docs{i}", cwd=folders)
        for _ in range(10):
            assert reader.search("word number 2 of folder0 file3", k=1)[0].id == "docs0/3.txt#page=3"
        assert workers.wait(writer)[0] == 0
        assert reader.search(f"word number 5 of folder{i} file1", k=1)[0].id == f"docs{i}/1.txt#page=6"
    workers.run("forget", "docs1", cwd=folders)
    assert not [hit for hit in reader.search("word number 5 of folder1 file1", k=100) if hit.source.path.startswith("docs1")]
