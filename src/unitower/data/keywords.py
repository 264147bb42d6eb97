"""Key words of a passage and the passage: the first of the four kinds of query, made from the documents of another source.

Key words are those that stand often in the passage and seldom in the rest of the source (tf-idf over a sample of it), in the order in
which they stand.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from unitower.data import BadPair, Pairs, open_source
from unitower.data._split import Split, hashed
from unitower.types import Item, Pair

SAMPLE = 2000
"""Documents of the source that are read to tell common words from rare ones."""

WORD = re.compile(r"[^\W\d_][\w'’-]*[^\W_]")


def open(
    *,
    source: str,
    options: Mapping[str, Any] | None = None,
    split: Split | None = None,
    fewest: int = 2,
    most: int = 5,
    longest: int = 2000,
) -> Pairs:
    """Key words -> passage, for the text documents of another source. Their number lies between `fewest` and `most`, drawn by row.

    source, options  kind of the source, and what it is opened with
    split            handed on to it; left out, what its options say
    longest          characters of the passage that are looked at

    Rows whose document is no text, or has too few different words, raise BadPair. Texts written without spaces have no words here.
    """
    if not 1 <= fewest <= most:
        raise ValueError(f"fewest is {fewest} and most is {most}; 1 <= fewest <= most.")
    given = dict(options or {}) | ({} if split is None else {"split": split})
    return Keywords(open_source(source, **given), fewest=fewest, most=most, longest=longest)


class Keywords:
    """`Pairs` of key words and the documents of another source."""

    def __init__(self, pairs: Pairs, *, fewest: int, most: int, longest: int) -> None:
        self.name, self.licence, self.languages = f"{pairs.name}-keywords", pairs.licence, pairs.languages
        self._pairs, self._fewest, self._most, self._longest = pairs, fewest, most, longest
        self._documents = Counter[str]()
        size = len(pairs)
        read = range(0, size, max(1, size // SAMPLE))
        for index in read:
            try:
                self._documents.update(set(self._words(pairs[index].document)))
            except BadPair:
                continue
        self._sample = len(read)

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, index: int) -> Pair:
        pair = self._pairs[index]
        counts = Counter(self._words(pair.document))
        number = self._fewest + hashed(f"{pair.document.id}") % (self._most - self._fewest + 1)
        if len(counts) <= number:
            raise BadPair(f"{pair.document.source.place}: {len(counts)} different words are too few to choose {number} key words from")
        rank = {word: -count * math.log((1 + self._sample) / (1 + self._documents[word])) for word, count in counts.items()}
        chosen = set(sorted(counts, key=lambda word: (rank[word], word))[:number])
        text = " ".join(word for word in counts if word in chosen)
        query = replace(pair.query, modality="text", content=text, text=text, metadata={}, id=f"{pair.document.id}-keywords")
        return replace(pair, query=query, grade=None, negatives=(), source=self.name)

    def _words(self, item: Item) -> list[str]:
        """Words of a document in reading order, without case. BadPair if it is no text."""
        if not isinstance(item.content, str):
            raise BadPair(f"{item.source.place}: key words are taken from texts, and this is a page")
        return [word.casefold() for word in WORD.findall(item.content[: self._longest])]
