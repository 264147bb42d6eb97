from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake import count_lines, read_lines
from workers import Workers


@pytest.fixture(scope="session")
def workers() -> Iterator[Workers]:
    if not hasattr(os, "fork"):
        pytest.skip("needs fork")
    with Workers() as started:
        yield started


@pytest.fixture(autouse=True)
def lines_in_small_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests run in a folder of their own, with the readers of the workers."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("unitower.index.adding.read", read_lines)
    monkeypatch.setattr("unitower.index.adding.count", count_lines)
    monkeypatch.setattr("unitower.index.adding.MAX_BATCH_ITEMS", 3)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if sys.platform == "win32":
        for item in items:
            item.add_marker(pytest.mark.skip(reason="kills and limits of POSIX"))
