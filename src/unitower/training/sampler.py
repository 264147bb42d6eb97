"""Batches of pairs: one source a batch, drawn by weight, no document twice in a batch, and resumable to the exact next one.

What the next batch is follows from the seed and from how far each source has been read; that is the whole state. Rows that cannot be
used are counted and named, never fatal.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from unitower.data import BadPair, Pairs
from unitower.errors import UnitowerError
from unitower.types import Item, Pair

LOOK_AHEAD = 20
"""Rows read for every row of a batch before a source is given up as unable to fill one."""

NAMED = 20
"""Unusable rows that are named, of each source; all are counted."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Pairs of one source. No two have the same query or the same document: each would be a false negative of the other."""

    source: str
    pairs: tuple[Pair, ...]


@dataclass
class Unusable:
    """Rows that could not be used: how many of each source, and the first few with their reasons."""

    count: Counter[str] = field(default_factory=Counter)
    reasons: list[str] = field(default_factory=list)

    def add(self, source: str, reason: str) -> None:
        self.count[source] += 1
        if self.count[source] <= NAMED:
            self.reasons.append(f"{source}: {reason}")


class Sampler:
    """An endless stream of batches. `state` tells where it is; `resume` goes there.

    sources  with their weights; each source is read in an order of its own, drawn anew for every time it is read through
    """

    def __init__(self, sources: Sequence[tuple[Pairs, float]], *, batch: int, seed: int) -> None:
        self.sources = [pairs for pairs, _ in sources]
        for pairs in self.sources:
            if not len(pairs):
                raise UnitowerError(f"data source {pairs.name} is empty.")
        weights = np.array([weight for _, weight in sources], dtype=np.float64)
        if not len(weights) or (weights < 0).any() or not weights.sum() > 0:
            raise ValueError(f"a mix needs a source with a weight above 0, got weights {weights.tolist()}.")
        self.shares = weights / weights.sum()
        self.batch, self.seed = batch, seed
        self.drawn = 0
        self.read = [0] * len(self.sources)
        self.unusable = Unusable()
        self._order: dict[int, tuple[int, np.ndarray[Any, Any]]] = {}

    def next(self) -> Batch:
        """The next batch. UnitowerError if its source cannot fill one."""
        chosen = int(np.random.default_rng([self.seed, 0, self.drawn]).choice(len(self.sources), p=self.shares))
        self.drawn += 1
        pairs = self.sources[chosen]
        taken: list[Pair] = []
        seen: set[bytes] = set()
        for _ in range(LOOK_AHEAD * self.batch):
            if len(taken) == self.batch:
                break
            try:
                pair = pairs[self._row(chosen)]
            except BadPair as error:
                self.unusable.add(pairs.name, str(error))
                continue
            keys = {_key(pair.query), _key(pair.document)}
            if seen.isdisjoint(keys):
                seen |= keys
                taken.append(pair)
        if len(taken) < self.batch:
            raise UnitowerError(
                f"data source {pairs.name} has {len(pairs)} rows but gave only {len(taken)} different usable pairs for a batch of "
                f"{self.batch} ({self.unusable.count[pairs.name]} rows were unusable). Take smaller batches, or more data."
            )
        return Batch(source=pairs.name, pairs=tuple(taken))

    def _row(self, source: int) -> int:
        size = len(self.sources[source])
        round_, place = divmod(self.read[source], size)
        if source not in self._order or self._order[source][0] != round_:
            self._order[source] = round_, np.random.default_rng([self.seed, 1, source, round_]).permutation(size)
        self.read[source] += 1
        return int(self._order[source][1][place])

    @property
    def state(self) -> dict[str, Any]:
        return {
            "drawn": self.drawn,
            "read": list(self.read),
            "sizes": [len(pairs) for pairs in self.sources],
            "unusable": {"count": dict(self.unusable.count), "reasons": list(self.unusable.reasons)},
        }

    def resume(self, state: dict[str, Any]) -> None:
        """Go to where `state` was. UnitowerError if the sources have other sizes than then: the order would be another."""
        sizes = [len(pairs) for pairs in self.sources]
        if state["sizes"] != sizes:
            raise UnitowerError(f"the data have changed since the run was saved: sources had {state['sizes']} rows, now {sizes}.")
        self.drawn, self.read = state["drawn"], list(state["read"])
        self.unusable = Unusable(Counter(state["unusable"]["count"]), list(state["unusable"]["reasons"]))


def _key(item: Item) -> bytes:
    """The same for items with the same content."""
    if isinstance(item.content, str):
        return hashlib.sha256(b"text\0" + item.content.encode("utf-8", "surrogatepass")).digest()
    return hashlib.sha256(b"image\0" + repr(item.content.size).encode() + item.content.tobytes()).digest()
