"""What a model is compared with: one file each, found by its name.

A baseline is a module with

    ABOUT: str              one line for the table
    def open() -> Model     NotInstalled says what must be installed first

To add one, add one file; tests/conformance/test_baselines.py runs on it by itself.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import cast

from unitower.errors import UnitowerError
from unitower.evaluation.models import Model


class NotInstalled(UnitowerError):
    """A baseline needs a program or a package that is not there. A run of several models goes on without it."""


def names() -> list[str]:
    """Names of the baselines there are: the files of this folder."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))


def about(name: str) -> str:
    return str(importlib.import_module(f"{__name__}.{name}").ABOUT)


def open_baseline(name: str) -> Model:
    """A baseline by its name."""
    return cast("Model", importlib.import_module(f"{__name__}.{name}").open())
