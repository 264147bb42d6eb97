"""Processes killed at random moments while they index, forget and compact: what is left, after the same command again, is a clean build."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from documents import write_after, write_before
from index_state import state
from workers import Workers, sound

KILLS = {"index": 20, "forget": 12, "compact": 12}


@pytest.fixture
def scene(tmp_path: Path, workers: Workers) -> Path:
    """An index of the documents as they were, left in as many pieces as it was written in, beside the documents as they are."""
    write_before(tmp_path / "docs")
    workers.run("index", "docs", into="before", cwd=tmp_path, tidy=False)
    return tmp_path


COMMANDS: dict[str, tuple[str, Callable[[Path], None], list[str]]] = {
    "index": ("index", write_after, ["docs"]),
    "forget": ("forget", lambda docs: None, ["docs/b.txt", "docs/gone.txt"]),
    "compact": ("index", lambda docs: None, ["docs"]),  # nothing is new: all that such a run does is to merge the pieces
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_killed_command_given_again_ends_with_a_clean_build(scene: Path, workers: Workers, command: str) -> None:
    job, change, arguments = COMMANDS[command]
    change(scene / "docs")
    shutil.copytree("before", "clean")
    began = time.monotonic()
    workers.run(job, *arguments, into="clean", cwd=scene)
    usual_s = time.monotonic() - began
    expected = clean_state(scene, workers, command)

    chance = random.Random(command)
    kills = tries = 0
    while kills < KILLS[command]:
        tries += 1
        assert tries < 6 * KILLS[command], "the command ends before it can be killed"
        shutil.rmtree(".unitower", ignore_errors=True)
        shutil.copytree("before", ".unitower")
        killed = workers.killed(job, *arguments, after_s=chance.uniform(0, usual_s), cwd=scene)
        if killed and chance.random() < 0.3:  # and once more, in the middle of making it good
            kills += workers.killed(job, *arguments, after_s=chance.uniform(0, usual_s), cwd=scene)
        kills += killed
        answers_after_a_kill = workers.run("search", "word number 2 of kept", cwd=scene)
        assert answers_after_a_kill[0][0].startswith("docs/kept.txt#page=3"), answers_after_a_kill
        workers.run(job, *arguments, cwd=scene)
        assert state(".unitower") == expected, f"kill {kills}"
        assert sound(workers.run("examine", cwd=scene))


def clean_state(scene: Path, workers: Workers, command: str) -> dict[str, Any]:
    """Of an index that nobody ever killed; of `index` one built from nothing, so that nothing of what was before is left."""
    if command == "index":
        workers.run("index", "docs", into="scratch", cwd=scene)
        assert state("scratch") == state("clean")
    return state("clean")
