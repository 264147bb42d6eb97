"""Shared by all tests. This folder is on the import path, so that any test may `from fake import FakeEncoder`."""

from __future__ import annotations

import pytest
from fake import FakeEncoder


@pytest.fixture
def encoder() -> FakeEncoder:
    return FakeEncoder()
