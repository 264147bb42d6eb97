"""Another source without the pairs that teach nothing: those whose two texts share most of their words, or are too short or too long.

The rule on words is that of jina-embeddings-v3 (arXiv 2409.10173): such a pair can be told by its letters alone.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from unitower.data import BadPair, Pairs, open_source
from unitower.data._split import Split
from unitower.types import Pair

OVERLAP = 0.8
"""Share of the shorter text's words that are found in the longer one, from which on a pair is dropped; from jina-embeddings-v3."""

FEWEST = 4
"""How many words that is at least, from there too."""


def open(
    *,
    source: str,
    options: Mapping[str, Any] | None = None,
    split: Split | None = None,
    overlap: float | None = OVERLAP,
    shortest: int = 0,
    longest: int | None = None,
) -> Pairs:
    """The pairs of another source, filtered as by `filtered`.

    source, options  kind of the source, and what it is opened with
    split            handed on to it; left out, what its options say
    """
    given = dict(options or {}) | ({} if split is None else {"split": split})
    return filtered(open_source(source, **given), overlap=overlap, shortest=shortest, longest=longest)


def filtered(pairs: Pairs, *, overlap: float | None = OVERLAP, shortest: int = 0, longest: int | None = None) -> Filtered:
    """The same pairs at the same places; those dropped raise BadPair with the reason, and are counted by it.

    overlap    a pair is dropped if at least this share of the words of its shorter text, and at least four, stand in the longer one as
               they are or as a part of a word; case does not matter. None: not looked at. It is about pairs of two texts: a page naturally
               holds the words it is found by
    shortest   characters that either text has at least
    longest    characters that either text has at most

    Two texts that are the same are dropped in any case. ValueError for a share that is none.
    """
    if overlap is not None and not 0 < overlap <= 1:
        raise ValueError(f"overlap is {overlap}; it is a share above 0 and up to 1, or None.")
    return Filtered(pairs, overlap=overlap, shortest=shortest, longest=longest)


class Filtered:
    """`Pairs` without some of another's. dropped: reason -> how many different rows read so far were dropped for it."""

    def __init__(self, pairs: Pairs, *, overlap: float | None, shortest: int, longest: int | None) -> None:
        self.name, self.licence, self.languages = pairs.name, pairs.licence, pairs.languages
        self.pairs, self.overlap, self.shortest, self.longest = pairs, overlap, shortest, longest
        self.dropped: Counter[str] = Counter()
        self._seen = np.zeros(len(pairs), bool)

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Pair:
        pair = self.pairs[index]
        if reason := self.reason(pair):
            if not self._seen[index]:
                self._seen[index] = True
                self.dropped[reason] += 1
            raise BadPair(
                f"{pair.document.source.place}: dropped, {reason}: {_start(pair.query.content)} and {_start(pair.document.content)}"
            )
        return pair

    def reason(self, pair: Pair) -> str | None:
        """Why a pair is dropped; None if it stays."""
        query, document = pair.query.content, pair.document.content
        texts = [text for text in (query, document) if isinstance(text, str)]
        if any(len(text.strip()) < self.shortest for text in texts):
            return f"a text of less than {self.shortest} characters"
        if self.longest is not None and any(len(text) > self.longest for text in texts):
            return f"a text of more than {self.longest} characters"
        if isinstance(query, str) and isinstance(document, str):
            if words(query) == words(document):
                return "the two texts are the same"
            if self.overlap is not None and overlaps(query, document, share=self.overlap):
                return f"{self.overlap:.0%} of the words of one text stand in the other"
        return None


def overlaps(first: str, second: str, *, share: float = OVERLAP) -> bool:
    """Whether at least `share` of the words of the text with fewer words, and at least four, are sub-strings of the other.

    >>> overlaps("the cat sat down", "The cats sat. Down it was.")
    True
    >>> overlaps("the cat sat", "The cat sat down.")
    False
    """
    shorter, longer = sorted((first, second), key=lambda text: len(words(text)))
    within = longer.casefold()
    listed = words(shorter)
    found = sum(word in within for word in listed)
    return found >= FEWEST and found >= share * len(listed)


def words(text: str) -> list[str]:
    """Runs of letters, digits and marks, without case."""
    return re.findall(r"\w+", text.casefold())


def _start(content: object) -> str:
    return repr(content if len(content) <= 60 else content[:57] + "…") if isinstance(content, str) else "a page"
