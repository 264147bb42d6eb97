"""Batches of pairs: one source a batch, drawn by weight, no document twice in a batch, and resumable to the exact next one.

What the next batch is follows from the seed and from how far each source has been read; that is the whole state. Rows that cannot be
used are counted and named, never fatal.
"""

from __future__ import annotations

import base64
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from unitower.data import BadPair, Pairs
from unitower.errors import UnitowerError
from unitower.types import Item, Pair

Bits: TypeAlias = npt.NDArray[np.bool_]

LOOK_AHEAD = 20
"""Rows read for every row of a batch before a source is given up as unable to fill one."""

NAMED = 20
"""Unusable rows that are named, of each source; all are counted."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Pairs of one source that are no false negatives of each other.

    No text or page is query or document of two of them, and none is a hard negative of one and query or document of another.
    """

    source: str
    pairs: tuple[Pair, ...]


@dataclass
class Unusable:
    """Rows that could not be used: how many different ones of each source, and the first few with their reasons."""

    count: Counter[str] = field(default_factory=Counter)
    reasons: list[str] = field(default_factory=list)

    def add(self, source: str, reason: str) -> None:
        self.count[source] += 1
        if self.count[source] <= NAMED:
            self.reasons.append(f"{source}: {reason}")


class Sampler:
    """An endless stream of batches. `state` tells where it is; `resume` goes there.

    sources   with their weights; each source is read in an order of its own, drawn anew for every time it is read through
    unusable  the rows so far that could not be used

    ValueError for weights or a batch that make no sense, UnitowerError for a source with nothing in it.
    """

    def __init__(self, sources: Sequence[tuple[Pairs, float]], *, batch: int, seed: int) -> None:
        if batch < 1:
            raise ValueError(f"batch is {batch}; it is the number of pairs, at least 1.")
        self.sources = [pairs for pairs, _ in sources]
        weights = np.array([weight for _, weight in sources], dtype=np.float64)
        if not len(weights) or not np.isfinite(weights).all() or (weights < 0).any() or not weights.sum() > 0:
            raise ValueError(f"weights are 0 or more, and one of them is above 0; got {weights.tolist()}.")
        for pairs in self.sources:
            if not len(pairs):
                raise UnitowerError(f"data source {pairs.name} is empty: there is nothing in it, or nothing on this side of its split.")
        self.shares = weights / weights.sum()
        self.batch, self.seed = batch, seed
        self.drawn = 0
        self.read = [0] * len(self.sources)
        self.unusable = Unusable()
        self._bad: list[Bits] = [np.zeros(len(pairs), bool) for pairs in self.sources]
        self._order: dict[int, tuple[int, npt.NDArray[np.int64]]] = {}

    def next(self) -> Batch:
        """The next batch. UnitowerError if its source cannot fill one."""
        chosen = int(np.random.default_rng([self.seed, 0, self.drawn]).choice(len(self.sources), p=self.shares))
        self.drawn += 1
        pairs = self.sources[chosen]
        taken: list[Pair] = []
        sides: set[bytes] = set()
        negatives: set[bytes] = set()
        for _ in range(LOOK_AHEAD * self.batch):
            if len(taken) == self.batch:
                break
            row = self._row(chosen)
            try:
                pair = pairs[row]
                own, others = _keys(pair)
            except BadPair as error:
                if not self._bad[chosen][row]:
                    self._bad[chosen][row] = True
                    self.unusable.add(pairs.name, str(error))
                continue
            if own.isdisjoint(sides) and own.isdisjoint(negatives) and others.isdisjoint(sides):
                sides |= own
                negatives |= others
                taken.append(pair)
        if len(taken) < self.batch:
            bad = int(self._bad[chosen].sum())
            first = next((reason for reason in self.unusable.reasons if reason.startswith(f"{pairs.name}: ")), "")
            raise UnitowerError(
                f"data source {pairs.name} has {len(pairs)} rows but gave only {len(taken)} different usable pairs for a batch of "
                f"{self.batch}"
                + (f" ({bad} rows were unusable, the first: {first})" if bad else "")
                + ". Take smaller batches, or more data."
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
        """Where it is: plain values that JSON can write."""
        return {
            "drawn": self.drawn,
            "read": list(self.read),
            "sources": [[pairs.name, len(pairs)] for pairs in self.sources],
            "unusable": {"count": dict(self.unusable.count), "reasons": list(self.unusable.reasons)},
            "bad": [_written(bits) for bits in self._bad],
        }

    def resume(self, state: Mapping[str, Any]) -> None:
        """Go to where `state` was. UnitowerError if the sources are others, or have other sizes: the order would be another."""
        now, then = ([f"{name} ({size:,} rows)" for name, size in each["sources"]] for each in (self.state, state))
        if now != then:
            raise UnitowerError(
                f"the data have changed since the run was saved: there were {', '.join(then)}; now there are {', '.join(now)}."
            )
        self.drawn, self.read = state["drawn"], list(state["read"])
        self.unusable = Unusable(Counter(state["unusable"]["count"]), list(state["unusable"]["reasons"]))
        self._bad = [_read(bits, size=len(pairs)) for bits, pairs in zip(state["bad"], self.sources, strict=True)]


def _written(bits: Bits) -> str:
    return base64.b64encode(zlib.compress(np.packbits(bits).tobytes())).decode() if bits.any() else ""


def _read(text: str, *, size: int) -> Bits:
    packed = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8) if text else np.zeros((size + 7) // 8, np.uint8)
    return np.unpackbits(packed, count=size).astype(bool)


def _keys(pair: Pair) -> tuple[set[bytes], set[bytes]]:
    """What query and document, and what the hard negatives are known by. BadPair where one of these is one of those."""
    own, negatives = {content_key(pair.query), content_key(pair.document)}, {content_key(item) for item in pair.negatives}
    if own & negatives:
        raise BadPair(f"{pair.document.source.place}: a hard negative is the query or the document itself")
    return own, negatives


def content_key(item: Item) -> bytes:
    """The same for items with the same content."""
    if isinstance(item.content, str):
        return blake2b(b"text\0" + item.content.encode("utf-8", "surrogatepass"), digest_size=16).digest()
    image = item.content
    return blake2b(b"image\0" + f"{image.mode} {image.size}".encode() + image.tobytes(), digest_size=16).digest()
