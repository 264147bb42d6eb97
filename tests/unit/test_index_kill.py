"""A run that is killed at any moment and started again ends with the same index as an unbroken run."""

from __future__ import annotations

import copy
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake import FakeEncoder, count_lines, read_lines
from index_state import state

from unitower.index import Index, shelves
from unitower.index.ledger import Ledger
from unitower.stores.memory import MemoryStore


class Killed(BaseException):
    """Nothing of the project catches it: after it, things are as a kill would leave them."""


@pytest.fixture(autouse=True)
def _lines_in_small_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("unitower.index.adding.read", read_lines)
    monkeypatch.setattr("unitower.index.adding.count", count_lines)
    monkeypatch.setattr("unitower.index.adding.MAX_BATCH_ITEMS", 3)


@pytest.fixture
def stores(monkeypatch: pytest.MonkeyPatch) -> dict[str, MemoryStore]:
    """Stores that live as long as the test, by address: a kill at every moment there is takes seconds with them, minutes with Lance."""
    stores: dict[str, MemoryStore] = {}

    def open_store(address: str) -> MemoryStore:
        place = os.path.abspath(address.removeprefix("lance:"))
        Path(place).mkdir(exist_ok=True)
        return stores.setdefault(place, MemoryStore())

    monkeypatch.setattr("unitower.index.shelves.open_store", open_store)
    opened = Ledger.__init__

    def open_ledger(self: Ledger, path: Path, *, create: bool = False) -> None:
        opened(self, path, create=create)
        self._db.execute("PRAGMA synchronous = OFF")  # only a power cut could tell the difference

    monkeypatch.setattr(Ledger, "__init__", open_ledger)
    return stores


def copy_index(source: str, target: str, stores: dict[str, MemoryStore]) -> None:
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
    for task in ("retrieval.lance", "code.lance"):
        stores[os.path.abspath(f"{target}/{task}")] = copy.deepcopy(stores[os.path.abspath(f"{source}/{task}")])


def write(name: str, lines: list[str], *, age: int = 0) -> None:
    Path("docs").mkdir(exist_ok=True)
    path = Path("docs", name)
    path.write_text("\n".join(lines), encoding="utf-8")
    os.utime(path, ns=(age, age))


def text(name: str, number: int) -> list[str]:
    return [f"code: def f{i}(): {name}" if i % 4 == 3 else f"word number {i} of {name}" for i in range(number)]


STEPS: list[tuple[type, str]] = [
    *((Ledger, step) for step in ("doubt", "begin", "advance", "drop")),
    *((MemoryStore, step) for step in ("add", "delete", "optimize")),
]
"""Everything a run changes on disk. Each is atomic, so that a kill at any moment is a kill before or after one of them."""


def add_killed_at(moment: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Run over docs, killed before (even moments) or after (odd ones) a step. False if the run ended before that."""
    count = 0

    def dying(step: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            nonlocal count
            count += 1
            if count == moment:
                raise Killed
            result = step(*args, **options)
            count += 1
            if count == moment:
                raise Killed
            return result

        return call

    with monkeypatch.context() as patch:
        for owner, name in STEPS:
            patch.setattr(owner, name, dying(getattr(owner, name)))
        try:
            Index.open(encoder=FakeEncoder(), create=False).add(["docs"])
        except Killed:
            return True
    return False


def ledger_is_behind_the_stores() -> None:
    """What counts as stored is stored, and what is stored is known, so that it can be deleted."""
    with Ledger(Path(".unitower/files.sqlite3")) as ledger:
        known = {item.id: (item, file) for file in ledger.files() for item in ledger.items(file.key)}
    for task in ("retrieval", "code"):
        stored = {entry.id for entry in shelves.open_store(f"lance:.unitower/{task}.lance").entries()}
        counted = {id for id, (item, file) in known.items() if item.part < file.parts and (task == "retrieval" or item.modality == "code")}
        assert counted <= stored <= set(known)


def test_a_kill_before_or_after_any_step_is_made_good_by_the_next_run(
    stores: dict[str, MemoryStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    write("a.txt", text("a", 7))
    write("b.txt", text("b", 8))
    write("moved.txt", text("moved", 4))
    write("gone.txt", text("gone", 4))
    write("torn.txt", [*text("torn", 2), "!broken torn"])
    Index.open("before", encoder=FakeEncoder()).add(["docs"])
    os.remove("docs/gone.txt")
    os.rename("docs/moved.txt", "docs/away.txt")
    write("b.txt", text("changed", 11), age=1)
    write("torn.txt", [*text("torn otherwise", 3), "!lost", *text("torn on", 4), "!broken torn later"], age=1)
    write("lost.txt", [*text("lost", 4), "!lost", *text("lost again", 4)], age=1)
    Index.open("clean", encoder=FakeEncoder()).add(["docs"])
    expected = state("clean")

    moment, killed = 0, True
    while killed:
        moment += 1
        copy_index("before", ".unitower", stores)
        killed = add_killed_at(moment, monkeypatch)
        ledger_is_behind_the_stores()
        if killed and moment % 2 == 0:  # every other time the second run is killed too
            add_killed_at(moment // 2, monkeypatch)
        if killed:
            Index.open(encoder=FakeEncoder(), create=False).add(["docs"])
        assert state(".unitower") == expected, f"killed at moment {moment}"
    assert moment > 60


def test_a_forget_that_was_killed_is_ended_by_the_next_forget_or_undone_by_the_next_run(
    stores: dict[str, MemoryStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    write("a.txt", text("a", 4))
    write("b.txt", text("b", 4))
    Index.open("before", encoder=FakeEncoder()).add(["docs"])
    expected = state("before")
    for owner, name in [(Ledger, "doubt"), (MemoryStore, "delete"), (Ledger, "drop")]:

        def killed(*args: Any, **options: Any) -> None:
            raise Killed

        copy_index("before", ".unitower", stores)
        index = Index.open(encoder=FakeEncoder())
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, killed)
            with pytest.raises(Killed):
                index.forget(["docs/a.txt"])
        copy_index(".unitower", "again", stores)
        index = Index.open("again", encoder=FakeEncoder())
        assert index.forget(["docs/a.txt"]) == 1
        assert {hit.source.path for hit in index.search("word number 1", k=100)} == {"docs/b.txt"}
        Index.open(encoder=FakeEncoder()).add(["docs"])
        assert state(".unitower") == expected


RUN = """
import os, signal, sys, threading
from unittest.mock import patch
from fake import FakeEncoder, count_lines, read_lines
from index_state import state
from unitower.index import Index

batches, delay_s = int(sys.argv[1]), float(sys.argv[2])
adding = "unitower.index.adding"

def tell(event):
    global batches
    if event.stage == "reading":
        batches -= 1
    if event.stage == "reading" and batches == 0:
        threading.Timer(delay_s, os.kill, (os.getpid(), signal.SIGKILL)).start()

with patch(f"{adding}.read", read_lines), patch(f"{adding}.count", count_lines), patch(f"{adding}.MAX_BATCH_ITEMS", 3):
    Index.open(encoder=FakeEncoder(delay_s=0.003)).add(["docs"], progress=tell)
"""


def run_killed_after(batches: int, *, delay_s: float = 0.0) -> int:
    """Run over docs in a process that is killed some time after so many batches; 0 for never. Returns how it ended."""
    tests = Path(__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tests), *sys.path])}
    return subprocess.run([sys.executable, "-c", RUN, str(batches), str(delay_s)], env=environment, check=False).returncode


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_a_process_killed_again_and_again_ends_with_the_same_index_as_an_unbroken_run() -> None:
    chance = random.Random(0)
    for i in range(6):
        write(f"{i}.txt", text(f"file {i}", 4 + 5 * i))
    write("torn.txt", [*text("torn", 4), "!broken torn"])
    Index.open("clean", encoder=FakeEncoder()).add(["docs"])
    for _ in range(4):
        batches, delay_s = chance.randint(2, 7), chance.uniform(0, 0.06)
        assert run_killed_after(batches, delay_s=delay_s) == -signal.SIGKILL
    assert run_killed_after(0) == 0
    assert state(".unitower") == state("clean")
