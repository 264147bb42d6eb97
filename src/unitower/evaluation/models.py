"""What is evaluated: an encoder by one or both of its heads, or a baseline that reads words.

A model scores a stretch of a corpus at a time, so that no corpus is too large, and one pass serves all its modes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from unitower.types import Floats, Item


class Scorer(Protocol):
    """Queries at hand, scoring stretches of a corpus."""

    def __call__(self, items: Sequence[Item]) -> Mapping[str, Floats]:
        """Mode -> scores [queries, items], the higher the better."""
        ...


class Model(Protocol):
    """Something that finds documents for queries.

    name   as results call it
    modes  what it scores by, for example ("dense", "multi") or ("words",)
    """

    @property
    def name(self) -> str: ...

    @property
    def modes(self) -> tuple[str, ...]: ...

    def fingerprint(self, *, task: str) -> Mapping[str, Any]:
        """Everything about the model that a score depends on: revision, adapter, prompts, limits."""
        ...
