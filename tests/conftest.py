"""Shared by all tests. This folder is on the import path, so that any test may `from fake import FakeEncoder`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fake import FakeEncoder


@pytest.fixture(scope="session", autouse=True)
def training_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Indexes of training data go to a folder of the run's own, not to the user's."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNITOWER_CACHE", str(folder))
        yield folder


@pytest.fixture
def encoder() -> FakeEncoder:
    return FakeEncoder()
