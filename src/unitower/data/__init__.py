"""Where training pairs come from: one module per source, found by its file's name.

A source module has

    def open(**options) -> Pairs

and `Pairs` is a sequence that can be read at any place, so that a run resumes at the exact next batch and sources may be larger than
memory. A row that cannot be used raises BadPair with the reason; the loop counts it, names it and goes on.

To add a source, add one module; tests/conformance/test_sources.py runs on it by itself.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any, Protocol, cast

from unitower.errors import UnitowerError
from unitower.types import Pair


class BadPair(UnitowerError):
    """A row that cannot be trained on: a missing image, an empty text, a wrong column. Says which row and why."""


class Pairs(Protocol):
    """Examples of one source.

    name       of the source, as batches and metrics call it
    licence    SPDX identifier, or what is known
    languages  ISO 639-1 codes; "code" for programming languages
    """

    name: str
    licence: str
    languages: tuple[str, ...]

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Pair:
        """Row `index`, the same at every reading. BadPair where it cannot be used."""
        ...


def sources() -> list[str]:
    """Names of the kinds of source there are: the modules of this folder."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))


def open_source(kind: str, **options: Any) -> Pairs:
    """Open a source by its kind. ValueError names those there are."""
    if kind not in sources():
        raise ValueError(f"there is no data source {kind!r}; there are {', '.join(sources())}.")
    return cast("Pairs", importlib.import_module(f"{__name__}.{kind}").open(**options))
