"""The demo, run once; and every command's example, as it is typed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import ENVIRONMENT, unitower, write_files

from unitower.demo import samples


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Where the demo kept its files, and what it printed."""
    folder = tmp_path_factory.mktemp("demo")
    done = unitower("demo", "--keep", "unitower-demo", cwd=folder)
    assert re.findall(r"passages in (\d+) files", done.stderr) == re.findall(r"(\d+) files into", done.stdout)  # none is skipped
    return folder, done.stdout


def test_the_demo_answers_rightly_whatever_needs_no_eyes(demo: tuple[Path, str]) -> None:
    _, printed = demo
    by_query = dict(zip((sample.text for sample in samples()), printed.split("\nQuery  ")[1:], strict=True))
    for sample in samples():
        assert by_query[sample.text].startswith(sample.text)
        if not sample.needs_eyes:
            assert f"right: {sample.why}" in by_query[sample.text]


def test_the_demo_says_what_the_model_cannot_do(demo: tuple[Path, str]) -> None:
    _, printed = demo
    assert "is small" in printed
    assert ".89 on English pages" in printed
    assert re.search(r"\d of \d queries that need eyes", printed)
    assert printed.endswith("Now try your own folder: unitower index FOLDER\n")


def test_the_samples_it_kept_can_be_searched(demo: tuple[Path, str]) -> None:
    folder, printed = demo
    (command,) = re.findall(r"^Ask more: (unitower .*)$", printed, re.MULTILINE)
    done = shell(command, cwd=folder)
    assert done.returncode == 0
    assert " 1. unitower-demo/files/" in done.stdout


def test_a_folder_with_other_things_is_not_touched_by_the_demo(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear", encoding="utf-8")
    done = unitower("demo", "--keep", "mine", cwd=tmp_path, code=1)
    assert done.stderr.startswith("unitower: mine ")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["letter.txt"]


def shell(line: str, *, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A line as it is typed, with the command that is installed beside this Python."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(line, shell=True, cwd=cwd, env={**os.environ, **ENVIRONMENT, "PATH": path}, capture_output=True, text=True)


@pytest.mark.skipif(shutil.which("unitower", path=str(Path(sys.executable).parent)) is None, reason="unitower is not installed here")
def test_the_examples_in_the_help_work_as_typed(tmp_path: Path) -> None:
    write_files(tmp_path / "docs")
    (tmp_path / "docs" / "report.pdf").rename(tmp_path / "docs" / "old.pdf")
    (tmp_path / "notes.md").write_text("# Lease\n\nSigned by both.\n", encoding="utf-8")
    for command in ("index", "search", "status", "forget", "embed"):  # the demo's is run above
        (example,) = re.findall(r"^example:\n  (.+)$", unitower(command, "--help", cwd=tmp_path).stdout, re.MULTILINE)
        done = shell(example, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert done.stdout
