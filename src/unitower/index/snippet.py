"""The piece of a text that shows why it was found."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from unitower.stores.words import analysed, asked

LENGTH = 180
"""Characters of a snippet, give or take a word at its ends."""

PIECE = 16
"""Characters looked at together where a script has no spaces."""

STRETCH = 12
"""How far an end moves to fall between words; scripts without spaces are cut where they are."""

_HYPHEN_AT_LINE_END = re.compile("[\x02\ufffe\u00ad]\\s*")


def snippet(text: str, query: str) -> str:
    """About 180 characters around the closest cluster of the query's words, on one line; the beginning if none occurs; "" of no text.

    >>> found = snippet("All other terms apply. " * 20 + "The rent is due on the first. " + "All other terms apply. " * 20, "due rent")
    >>> "apply. The rent is due on the first. All" in found, len(found)
    (True, 184)
    """
    line = one_line(text)
    if len(line) <= LENGTH + 2 * STRETCH:
        return line
    first, last = cluster(list(places(line, asked(query).counts)))
    start = min(max(0, (first + last - LENGTH) // 2), len(line) - LENGTH)
    start, end = between_words(line, start, -1), between_words(line, start + LENGTH, +1)
    return ("… " if start else "") + line[start:end].strip() + (" …" if end < len(line) else "")


def one_line(text: str) -> str:
    """Text with the words joined that a line's end parted, white space collapsed, and nothing in it that steers a terminal."""
    joined = _HYPHEN_AT_LINE_END.sub("", text)
    return " ".join("".join(" " if unicodedata.category(c) in ("Cc", "Cs") else c for c in joined).split())


class Place(NamedTuple):
    """A stretch of a line with query words in it."""

    start: int
    end: int
    words: frozenset[str]


def places(line: str, words: Collection[str]) -> Iterator[Place]:
    """Where the words stand in a line, from left to right."""
    wanted = frozenset(words)
    known: dict[str, frozenset[str]] = {}
    for match in re.finditer(r"\S+", line):
        if match[0] not in known:
            known[match[0]] = wanted.intersection(analysed(match[0]).counts)
        found = known[match[0]]
        if found and len(match[0]) <= 4 * PIECE:
            yield Place(match.start(), match.end(), found)
        elif found:  # Chinese, Japanese, Thai, or a long path: looked at in pieces that overlap by half
            for start in range(match.start(), match.end(), PIECE // 2):
                end = min(start + PIECE, match.end())
                if here := found.intersection(analysed(line[start:end]).counts):
                    yield Place(start, end, here)


def cluster(found: Sequence[Place]) -> tuple[int, int]:
    """The first stretch of at most LENGTH characters that tells most: a word counts once, and less the more often the text has it."""
    often = Counter(word for place in found for word in place.words)
    within: Counter[str] = Counter()
    best, score, first, stretch = 0.0, 0.0, 0, (0, 0)
    for place in found:
        for word in sorted(place.words):
            score += 0 if within[word] else 1 / often[word]
            within[word] += 1
        while place.end - found[first].start > LENGTH and found[first] is not place:
            for word in sorted(found[first].words):
                within[word] -= 1
                score -= 0 if within[word] else 1 / often[word]
            first += 1
        if score > best + 1e-9:  # what is added and taken away again leaves a trace in the last digits
            best, stretch = score, (found[first].start, place.end)
    return stretch


def between_words(line: str, position: int, step: int) -> int:
    """The nearest place that cuts no word, outwards (`step` -1 to the left, +1 to the right) if there is one close by, else inwards."""
    if position <= 0 or position >= len(line):
        return max(0, min(position, len(line)))
    for direction in (step, -step):
        for moved in range(position, position + direction * STRETCH, direction):
            if moved <= 0 or moved >= len(line):
                return max(0, min(moved, len(line)))
            if line[moved - 1].isspace() or line[moved].isspace():
                return moved
    while 0 < position < len(line) and unicodedata.combining(line[position]):
        position += step
    return position
