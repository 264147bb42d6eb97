"""The reference store: dictionaries, nothing approximate, nothing kept after the process. What it answers is right by definition."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from unitower.stores import Entry, Found, Query
from unitower.stores._batch import Kept, kept
from unitower.stores.ranking import Matches, Positions, cosines, search
from unitower.types import Embeddings, Floats, Ragged


def open(address: str) -> MemoryStore:
    """An empty store; the address says nothing, there is no place."""
    return MemoryStore()


class MemoryStore:
    """A `Store` in dictionaries. Takes the memory of its vectors, and time in proportion to its entries for every search."""

    def __init__(self) -> None:
        self._kept: dict[str, Kept] = {}

    def add(self, entries: Sequence[Entry], embeddings: Embeddings) -> None:
        widths = next(((len(one.dense), one.tokens.shape[1]) for one in self._kept.values()), None)
        self._kept |= {one.entry.id: one for one in kept(entries, embeddings, widths=widths)}

    def delete(self, ids: Collection[str]) -> int:
        return sum(self._kept.pop(id, None) is not None for id in set(ids))

    def search(self, query: Query, *, k: int, weights: Mapping[str, float] | None = None) -> list[Found]:
        return search(_Evidence(self._kept), query, k=k, weights=weights)

    def entries(self, ids: Collection[str] | None = None) -> Iterator[Entry]:
        return iter([self._kept[id].entry for id in sorted(self._kept.keys() if ids is None else self._kept.keys() & set(ids))])

    def vectors(self, ids: Sequence[str]) -> tuple[Floats, list[Floats]]:
        chosen = [self._kept[id] for id in ids]
        width = max((len(one.dense) for one in self._kept.values()), default=0)
        return np.array([one.dense for one in chosen], np.float32).reshape(len(chosen), width), [
            one.tokens.astype(np.float32) for one in chosen
        ]

    def optimize(self) -> None:
        pass

    def __len__(self) -> int:
        return len(self._kept)


class _Evidence:
    def __init__(self, by_id: Mapping[str, Kept]) -> None:
        self.ids = sorted(by_id)
        self._kept = [by_id[id] for id in self.ids]

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

    def token_facts(self, positions: Positions) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        chosen = [self._kept[p] for p in positions]
        return np.array([len(one.tokens) for one in chosen], np.int64), np.array([one.digest for one in chosen], np.int64)

    def tokens(self, positions: Positions) -> Ragged:
        return Ragged.of([self._kept[p].tokens for p in positions])
