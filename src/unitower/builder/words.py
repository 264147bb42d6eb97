"""Ranking of pages by words, and which pages say given things."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from unitower.builder.near import plain
from unitower.builder.types import Page
from unitower.stores.ranking import Matches, bm25
from unitower.stores.words import analysed, asked


class Texts:
    """The texts of all pages of a set, for looking things up."""

    def __init__(self, pages: Sequence[Page]) -> None:
        self.ids = [page.id for page in pages]
        self._plain = {page.id: plain(page.text).replace(" ", "") for page in pages}
        analysis = [analysed(page.text) for page in pages]
        self._lengths = np.array([len(words.parts) for words in analysis], np.int64)
        self._having: dict[str, list[tuple[int, int]]] = {}
        for place, words in enumerate(analysis):
            for word, count in words.counts.items():
                self._having.setdefault(word, []).append((place, count))

    def ranked(self, query: str, *, k: int) -> list[str]:
        """Ids of the k best pages by BM25, best first, equal ones by id; fewer where fewer share a word with the query."""
        words = [word for word in asked(query).counts if word in self._having]
        places = sorted({place for word in words for place, _ in self._having[word]})
        if not places:
            return []
        row = {place: i for i, place in enumerate(places)}
        counts = np.zeros((len(places), len(words)), np.int64)
        for column, word in enumerate(words):
            for place, count in self._having[word]:
                counts[row[place], column] = count
        scores = bm25(
            Matches(
                positions=np.array(places),
                counts=counts,
                lengths=self._lengths[places],
                has_phrase=np.zeros(len(places), bool),
                entries=int(np.count_nonzero(self._lengths)),
                parts=int(self._lengths.sum()),
            )
        )
        best = sorted(range(len(places)), key=lambda i: (-scores[i], self.ids[places[i]]))[:k]
        return [self.ids[places[i]] for i in best]

    def saying(self, needles: Sequence[str]) -> list[str]:
        """Ids of the pages on which every one of the texts stands, case, marks and spaces aside; none for no texts."""
        wanted = [plain(needle).replace(" ", "") for needle in needles]
        if not any(wanted):
            return []
        return [id for id, text in self._plain.items() if all(needle in text for needle in wanted)]


def counted(values: Sequence[str]) -> Mapping[str, int]:
    """How often each value stands there, the most frequent first, equal ones by name."""
    return dict(sorted(Counter(values).items(), key=lambda one: (-one[1], one[0])))
