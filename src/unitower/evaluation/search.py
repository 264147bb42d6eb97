"""The best documents of a corpus of any size, by several modes at once, in one pass.

Documents are read, encoded and scored in stretches of a few seconds. Only the best of each query are kept, and after each stretch they
are written beside the results: a run that is killed goes on there. Vectors are not kept unless `kept.Kept` does.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from unitower.data import _cache
from unitower.evaluation.metrics import Run, ranking
from unitower.types import Floats

STRETCH_S = 4.0
"""Seconds of work between two writings of what was found."""

FIRST = 4
"""Documents of the first stretch, before there is a pace."""

LARGEST = 256
"""Documents of a stretch at most: their pictures are in memory together."""


@dataclass(frozen=True)
class Cost:
    """Seconds: of processors (children included), and of the clock on the wall."""

    cpu_s: float = 0.0
    wall_s: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.cpu_s + other.cpu_s, self.wall_s + other.wall_s)

    def __sub__(self, other: Cost) -> Cost:
        return Cost(self.cpu_s - other.cpu_s, self.wall_s - other.wall_s)

    def __truediv__(self, number: int) -> Cost:
        return Cost(self.cpu_s / max(number, 1), self.wall_s / max(number, 1))

    @classmethod
    def now(cls) -> Cost:
        """What this process has spent so far."""
        children = os.times()  # counts in hundredths of a second, which is too coarse for our own share
        return cls(time.process_time() + children.children_user + children.children_system, time.monotonic())


@dataclass(frozen=True, kw_only=True)
class Searched:
    """What a model found.

    runs   mode -> the best documents of every query
    page   cost per document of making it searchable, without reading it
    query  cost per query: encoding and scoring
    """

    runs: Mapping[str, Run]
    page: Cost
    query: Cost


@dataclass
class Best:
    """The best documents of each query so far.

    scores     float32 [queries, kept], best first, -inf where there is none yet
    documents  int64 [queries, kept], places in the corpus, -1 where there is none yet
    """

    scores: Floats
    documents: npt.NDArray[np.int64]

    @classmethod
    def none(cls, queries: int, depth: int) -> Best:
        return cls(np.full((queries, depth), -np.inf, np.float32), np.full((queries, depth), -1, np.int64))

    def join(self, scores_QN: Floats, documents_N: npt.NDArray[np.int64], order: npt.NDArray[np.int64]) -> None:
        """Take in scores of more documents. `order` [corpus] is the place of each document among equals: ties at the end are cut by it."""
        depth = self.scores.shape[1]
        scores = np.concatenate([self.scores, scores_QN.astype(np.float32)], axis=1)
        documents = np.concatenate([self.documents, np.broadcast_to(documents_N, scores_QN.shape)], axis=1)
        among = np.where(documents >= 0, order[documents], len(order))
        kept = np.lexsort((among, -scores), axis=1)[:, :depth]
        self.scores, self.documents = np.take_along_axis(scores, kept, axis=1), np.take_along_axis(documents, kept, axis=1)

    def run(self, queries: Sequence[str], ids: Sequence[str]) -> dict[str, dict[str, float]]:
        """Query id -> document id -> score."""
        return {
            query: {ids[place]: score for place, score in zip(places, scores, strict=True) if place >= 0}
            for query, places, scores in zip(queries, self.documents.tolist(), self.scores.tolist(), strict=True)
        }


@dataclass
class Pass:
    """One pass over a corpus, that can be taken up where it was broken off.

    done  documents scored so far
    cost  of encoding them
    best  mode -> the best so far
    """

    done: int = 0
    cost: Cost = field(default_factory=Cost)
    best: dict[str, Best] = field(default_factory=dict)

    def write(self, path: Path, key: Mapping[str, Any]) -> None:
        arrays: dict[str, npt.NDArray[Any]] = {"key": _cache.packed(dict(key))}
        arrays["done"] = np.array([self.done, self.cost.cpu_s, self.cost.wall_s])
        for mode, best in self.best.items():
            arrays |= {f"scores {mode}": best.scores, f"documents {mode}": best.documents}
        with _cache.written(path) as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]

    @classmethod
    def read(cls, path: Path, key: Mapping[str, Any]) -> Pass:
        """A pass as it was written for the same key; a new one where there is none."""
        try:
            with np.load(path, allow_pickle=False) as kept:
                arrays = {name: kept[name] for name in kept.files}
            if _cache.unpacked(arrays["key"]) != json.loads(json.dumps(dict(key))):
                return cls()
        except (OSError, ValueError, KeyError, EOFError):
            return cls()
        done, cpu_s, wall_s = arrays["done"].tolist()
        modes = [name.removeprefix("scores ") for name in arrays if name.startswith("scores ")]
        best = {mode: Best(arrays[f"scores {mode}"], arrays[f"documents {mode}"]) for mode in modes}
        return cls(done=int(done), cost=Cost(cpu_s, wall_s), best=best)


def over(
    ids: Sequence[str],
    score: Callable[[Sequence[int]], tuple[Mapping[str, Floats], Cost]],
    *,
    queries: int,
    depth: int,
    keep: Path | None = None,
    key: Mapping[str, Any] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Pass:
    """The best documents for each query.

    ids       of the documents
    score     places in the corpus -> mode -> scores [queries, places], and what encoding them cost
    depth     documents kept for each query
    keep      file for what was found so far; removed by the caller, when the result is written
    key       everything the scores depend on: what was kept for another key is not taken up
    progress  told documents done and their number
    """
    so_far = Pass.read(keep, key or {}) if keep else Pass()
    place = {id: number for number, id in enumerate(ids)}
    order = np.empty(len(ids), np.int64)  # of each document among equals
    order[[place[id] for id in ranking(dict.fromkeys(ids, 0.0))]] = np.arange(len(ids))
    size = FIRST
    progress(so_far.done, len(ids))
    while so_far.done < len(ids):
        began = time.monotonic()
        places = range(so_far.done, min(so_far.done + size, len(ids)))
        scores, cost = score(places)
        for mode, scores_QN in scores.items():
            if mode not in so_far.best:
                so_far.best[mode] = Best.none(queries, min(depth, len(ids)))
            so_far.best[mode].join(scores_QN, np.arange(places.start, places.stop), order)
        so_far.done, so_far.cost = places.stop, so_far.cost + cost
        if keep:
            so_far.write(keep, key or {})
        seconds = time.monotonic() - began
        size = max(1, min(LARGEST, 2 * size, int(size * STRETCH_S / max(seconds, 1e-3))))
        progress(so_far.done, len(ids))
    return so_far
