"""The reference store: dictionaries, nothing approximate, nothing kept after the process. What it answers is right by definition."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from unitower import codes
from unitower.codes import Int64s
from unitower.stores import Entry, Found, Query
from unitower.stores._batch import Kept, digest, kept
from unitower.stores._segment import Making
from unitower.stores.ranking import Matches, Pages, Positions, Scan, cosines, search
from unitower.stores.where import arrays
from unitower.types import Embeddings, Floats


def open(address: str) -> MemoryStore:
    """An empty store; the address says nothing, there is no place."""
    return MemoryStore()


class MemoryStore:
    """A `Store` in dictionaries. Takes the memory of its vectors, and time in proportion to its entries for every search."""

    def __init__(self) -> None:
        self._kept: dict[str, Kept] = {}

    def add(self, entries: Sequence[Entry], embeddings: Embeddings) -> None:
        widths = next(((len(one.dense), one.token_width) for one in self._kept.values()), None)
        self._kept |= {one.entry.id: one for one in kept(entries, embeddings, widths=widths)}

    def delete(self, ids: Collection[str]) -> int:
        return sum(self._kept.pop(id, None) is not None for id in set(ids))

    def search(
        self,
        query: Query,
        *,
        k: int,
        weights: Mapping[str, float] | None = None,
        where: str | None = None,
        exact: bool = False,
        fold: bool = False,
    ) -> list[Found]:
        return search(_Evidence(self._kept), query, k=k, weights=weights, where=where, exact=exact, fold=fold)

    def entries(self, ids: Collection[str] | None = None) -> Iterator[Entry]:
        return iter([self._kept[id].entry for id in sorted(self._kept.keys() if ids is None else self._kept.keys() & set(ids))])

    def vectors(self, ids: Sequence[str]) -> tuple[Floats, list[Floats]]:
        chosen = [self._kept[id] for id in ids]
        width = max((len(one.dense) for one in self._kept.values()), default=0)
        return np.array([one.dense for one in chosen], np.float32).reshape(len(chosen), width), [
            codes.unpack(one.packed, one.token_width) for one in chosen
        ]

    def damaged(self) -> list[str]:
        return sorted(id for id, one in self._kept.items() if digest(one.packed) != one.digest)

    def faults(self) -> list[str]:
        return []

    def optimize(self) -> None:
        pass

    def __len__(self) -> int:
        return len(self._kept)


class _Evidence:
    def __init__(self, by_id: Mapping[str, Kept]) -> None:
        self.ids = sorted(by_id)
        self._kept = [by_id[id] for id in self.ids]

    @property
    def widths(self) -> tuple[int, int] | None:
        return (len(self._kept[0].dense), self._kept[0].token_width) if self._kept else None

    @cached_property
    def token_counts(self) -> Int64s:
        return np.array([one.token_count for one in self._kept], np.int64)

    def cosines(self, dense: Floats) -> Floats:
        return cosines(np.stack([one.dense for one in self._kept]), dense)

    def matches(self, words: Sequence[str], *, phrase: str) -> Matches:
        counts = np.array([[one.words.counts.get(word, 0) for word in words] for one in self._kept], np.int64)
        positions = np.flatnonzero(counts.any(axis=1))
        lengths = np.array([len(one.words.parts) for one in self._kept], np.int64)
        return Matches(
            positions=positions,
            counts=counts[positions],
            lengths=lengths[positions],
            has_phrase=np.array([bool(phrase) and phrase in self._kept[p].words.stored for p in positions], bool),
            entries=int(np.count_nonzero(lengths)),
            parts=int(lengths.sum()),
        )

    def columns(self, names: frozenset[str]) -> Mapping[str, Any]:
        return arrays([one.entry for one in self._kept], names)

    def scan(self) -> Scan:
        first = self._kept[0]
        making = Making(lengths=self.token_counts, token_width=first.token_width, dense_width=len(first.dense))
        rows = np.arange(len(self._kept))
        making.put(rows, [one.packed for one in self._kept], np.stack([one.dense for one in self._kept]))
        return Scan(segments=[making.segment], segment=np.zeros_like(rows), row=rows)

    def nearest(self, dense: Floats, *, number: int) -> Positions | None:
        return None

    def pages(self, positions: Positions) -> Pages:
        chosen = [self._kept[p] for p in positions]
        sizes = np.array([len(one.packed) for one in chosen], np.int64)
        data = np.frombuffer(b"".join(one.packed for one in chosen), np.uint8)
        return Pages(data=data, starts=np.cumsum(sizes) - sizes, lengths=self.token_counts[positions])

    def texts(self, positions: Positions) -> list[str]:
        return [self._kept[p].entry.text for p in positions]
