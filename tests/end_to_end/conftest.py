"""A folder that is indexed once, and copies of it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import unitower, write_files


@pytest.fixture(scope="session")
def harbour(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A folder with `files/` indexed, and what `unitower index` printed. Not to be changed: tests that change it take a copy."""
    folder = tmp_path_factory.mktemp("harbour")
    write_files(folder / "files")
    return folder, unitower("index", "files", cwd=folder)


@pytest.fixture
def copy(harbour: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path) -> Callable[[], Path]:
    """Makes a copy of the indexed folder, times of its files included."""
    return lambda: Path(shutil.copytree(harbour[0], tmp_path / "copy"))
