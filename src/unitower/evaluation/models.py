"""What is evaluated: an encoder by one or both of its heads, or words over a text."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from unitower.evaluation.metrics import ranking
from unitower.evaluation.search import Cost, Searched, over
from unitower.evaluation.task import Corpus, Task
from unitower.scoring import BLOCK_ROWS
from unitower.stores.ranking import K1, QUERY_WORDS, B, Matches, bm25
from unitower.stores.words import analysed, asked
from unitower.types import Embeddings, Encodable, Encodes, Floats, Item, Ragged, Source

Tell = Callable[[int, int], None]


class Model(Protocol):
    """Something that finds documents for queries.

    name   as results call it
    modes  what it scores by: ("dense", "multi") or ("words",)
    """

    @property
    def name(self) -> str: ...

    @property
    def modes(self) -> tuple[str, ...]: ...

    def fingerprint(self, *, task: str) -> Mapping[str, Any]:
        """Everything about the model that a score depends on: revision, adapter, prompts, limits."""
        ...

    def search(
        self, task: Task, *, modes: Sequence[str], depth: int, keep: Path | None = None, progress: Tell = lambda done, total: None
    ) -> Searched:
        """The best documents of every query by each of these modes; see `search.over` for depth, keep and progress."""
        ...


class Texts(Protocol):
    """Where a baseline has the text of a page from.

    name        what it is, as results call it
    remembered  cost of the texts that were read from a cache instead of being made again
    """

    @property
    def name(self) -> str: ...

    @property
    def remembered(self) -> Cost: ...

    def __call__(self, task: Task, places: Sequence[int]) -> list[str]: ...


@dataclass
class Layer:
    """The text of the corpus itself: of texts, or of the pages' text layer."""

    name: str = "text layer"
    remembered: Cost = field(default_factory=Cost)

    def __call__(self, task: Task, places: Sequence[int]) -> list[str]:
        return [task.corpus.text(place) for place in places]


class Encoded:
    """An encoder. Dense and multi-vectors are scored from one encoding pass.

    texts  for an encoder without eyes: what it reads of a page; None: the page itself
    modes  "dense" (cosine), "multi" (MaxSim)
    """

    def __init__(self, encoder: Encodes, *, name: str, modes: tuple[str, ...] = ("dense", "multi"), texts: Texts | None = None) -> None:
        self.encoder, self.name, self.modes, self.texts = encoder, name, modes, texts

    def fingerprint(self, *, task: str) -> dict[str, Any]:
        """That of the encoder's vectors, with what computes them."""
        about = self.encoder.fingerprint(task=task).as_dict()
        about |= {key: str(getattr(self.encoder, key)) for key in ("device", "dtype") if hasattr(self.encoder, key)}
        return about | ({"text": self.texts.name} if self.texts else {})

    def search(
        self, task: Task, *, modes: Sequence[str], depth: int, keep: Path | None = None, progress: Tell = lambda done, total: None
    ) -> Searched:
        began = Cost.now()
        asked = self.encoder.encode(list(task.queries.values()), task=task.task, role="query")
        query = Cost.now() - began

        def score(places: Sequence[int]) -> tuple[dict[str, Floats], Cost]:
            nonlocal query
            inputs = self._inputs(task.corpus, places)
            began, before = Cost.now(), self.texts.remembered if self.texts else Cost()
            if self.texts:
                inputs = [
                    Item(id=str(place), modality="text", content=text, source=Source(path=str(place)))
                    for place, text in zip(places, self.texts(task, places), strict=True)
                ]
            pages = self.encoder.encode(inputs, task=task.task, role="passage")
            encoded = Cost.now()
            scores = {mode: SCORES[mode](asked, pages) for mode in modes}
            query += Cost.now() - encoded
            return scores, encoded - began + ((self.texts.remembered - before) if self.texts else Cost())

        words = sha256("\0".join([*task.queries, *task.queries.values()]).encode()).hexdigest()
        key = {
            "model": self.fingerprint(task=task.task),
            "data": dict(task.identity),
            "modes": list(modes),
            "depth": depth,
            "queries": words,
        }
        found = over(task.corpus.ids, score, queries=len(task.queries), depth=depth, keep=keep, key=key, progress=progress)
        runs = {mode: best.run(list(task.queries), task.corpus.ids) for mode, best in found.best.items()}
        return Searched(runs=runs, page=found.cost / len(task.corpus), query=query / len(task.queries))

    def _inputs(self, corpus: Corpus, places: Sequence[int]) -> list[Encodable]:
        """The documents themselves; nothing where only their texts are read."""
        return [] if self.texts else [corpus[place] for place in places]


def cosines(queries: Embeddings, pages: Embeddings) -> Floats:
    """float32 [queries, pages]."""
    return queries.dense @ pages.dense.T


def maxsims(queries: Embeddings, pages: Embeddings) -> Floats:
    """MaxSim of every query with every page, float32 [queries, pages]: `scoring.maxsim`, many queries in one product."""
    return all_maxsims(queries.multi, pages.multi)


def all_maxsims(queries: Ragged, pages: Ragged) -> Floats:
    """MaxSim of every query with every page, float32 [queries, pages]. Memory is that of 6 MB blocks, whatever their numbers."""
    scores = np.empty((len(queries), len(pages)), np.float32)
    for first_page, last_page in blocks(pages.offsets, BLOCK_ROWS):
        rows = pages.data[pages.offsets[first_page] : pages.offsets[last_page]]
        starts = pages.offsets[first_page:last_page] - pages.offsets[first_page]
        for first, last in blocks(queries.offsets, max(24, BLOCK_ROWS * 24 // len(rows))):
            tokens = queries.data[queries.offsets[first] : queries.offsets[last]]
            best = np.maximum.reduceat(tokens @ rows.T, starts, axis=1)
            scores[first:last, first_page:last_page] = np.add.reduceat(best, queries.offsets[first:last] - queries.offsets[first], axis=0)
    return scores


def blocks(offsets: np.ndarray[Any, np.dtype[np.int64]], rows: int) -> list[tuple[int, int]]:
    """Runs of whole matrices of at most that many rows, or of one that is larger: first and last, the last left out."""
    found, first = [], 0
    while first < len(offsets) - 1:
        last = max(first + 1, int(np.searchsorted(offsets, offsets[first] + rows, side="right")) - 1)
        found.append((first, last))
        first = last
    return found


SCORES: Mapping[str, Callable[[Embeddings, Embeddings], Floats]] = {"dense": cosines, "multi": maxsims}


class Words:
    """BM25 over a text of the pages, by the words and the formula of the index (`stores.words`, `stores.ranking`).

    Statistics are those of the whole corpus; only the words of the queries are kept.
    """

    modes: tuple[str, ...] = ("words",)

    def __init__(self, texts: Texts, *, name: str) -> None:
        self.texts, self.name = texts, name

    def fingerprint(self, *, task: str) -> dict[str, Any]:
        return {"model": self.name, "revision": "1", "text": self.texts.name, "k1": K1, "b": B}

    def search(
        self, task: Task, *, modes: Sequence[str], depth: int, keep: Path | None = None, progress: Tell = lambda done, total: None
    ) -> Searched:
        """Pages without any word of a query are not found. Nothing is kept: the texts are, where making them takes long."""
        words = {id: list(asked(text).counts)[:QUERY_WORDS] for id, text in task.queries.items()}
        vocabulary = {word for several in words.values() for word in several}
        counts: dict[str, dict[int, int]] = defaultdict(dict)
        lengths = np.zeros(len(task.corpus), np.int64)
        cost = Cost()
        told = time.monotonic()
        for place in range(len(task.corpus)):
            began, before = Cost.now(), self.texts.remembered
            (text,) = self.texts(task, [place])
            of_page = analysed(text)
            cost += Cost.now() - began + (self.texts.remembered - before)
            lengths[place] = len(of_page.parts)
            for word, count in of_page.counts.items():
                if word in vocabulary:
                    counts[word][place] = count
            if time.monotonic() - told > 0.2 or place + 1 == len(task.corpus):
                told = time.monotonic()
                progress(place + 1, len(task.corpus))
        began = Cost.now()
        run: dict[str, dict[str, float]] = {}
        for query, several in words.items():
            places = sorted({place for word in several for place in counts[word]})
            run[query] = {}
            if not places:
                continue
            matches = Matches(
                positions=np.array(places, np.int64),
                counts=np.array([[counts[word].get(place, 0) for word in several] for place in places], np.int64),
                lengths=lengths[places],
                has_phrase=np.zeros(len(places), bool),
                entries=int(np.count_nonzero(lengths)),
                parts=int(lengths.sum()),
            )
            scores = dict(zip((task.corpus.ids[place] for place in places), bm25(matches).tolist(), strict=True))
            run[query] = {id: scores[id] for id in ranking(scores)[:depth]}
        return Searched(runs={"words": run}, page=cost / len(task.corpus), query=(Cost.now() - began) / len(words))
