"""Sentences that share most of their words and do not say the same: likeness of meaning is another thing than likeness of words.

Of a sentence that shows what a word means: the same with a synonym, with an opposite, with "not", with two words changed about, with a word
less; another sentence that shows the same word in another meaning; the meaning itself. How alike they are, a teacher says.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

FAMILY = 4
"""Most sentences of a family, the first unchanged."""

FEWEST_WORDS, LONGEST = 4, 140
ENDINGS = ("", "s", "ed", "ing")
AUXILIARIES = {"is", "was", "are", "were", "will", "can", "could", "should", "has", "had", "may", "must"}


@dataclass(frozen=True, kw_only=True)
class Sense:
    """One meaning of a word, with the words that share it, those that say the opposite, and sentences that show it."""

    word: str
    means: str
    synonyms: tuple[str, ...] = ()
    opposites: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()


def families(senses: Sequence[Sense], *, seed: int = 0) -> list[tuple[str, ...]]:
    """One of each example of FEWEST_WORDS words or more whose word has a synonym, an opposite or an example of another meaning."""
    rng = random.Random(seed)
    by_word: dict[str, list[Sense]] = {}
    for sense in senses:
        by_word.setdefault(sense.word, []).append(sense)
    found: dict[str, tuple[str, ...]] = {}
    for sense in senses:
        for example in sense.examples:
            place = stands(sense.word, example)
            if example in found or len(example.split()) < FEWEST_WORDS or len(example) > LONGEST or place is None:
                continue
            meant = [replaced(example, place, rng.choice(words)) for words in (sense.synonyms, sense.opposites) if words]
            others = [text for other in by_word[sense.word] if other is not sense for text in other.examples if stands(sense.word, text)]
            meant += [rng.choice(others)] if others else []
            if not meant:
                continue
            rest = [negated(example), turned(example, rng), shortened(example, rng), sense.means]
            rng.shuffle(rest)
            family = dict.fromkeys((example, *meant, *rest))
            found[example] = tuple(family)[:FAMILY]
    return list(found.values())


Place = tuple[int, int, str]
"""From and to which letter a word stands in a text, and with what ending."""


def stands(word: str, text: str) -> Place | None:
    """Where a word first stands by itself in a text, as it is or with an ending.

    >>> stands("delay", "Traffic was delayed by the rain")
    (12, 19, 'ed')
    >>> stands("right", "a bright light on the right")
    (22, 27, '')
    """
    lower = text.lower()
    for ending in ENDINGS:
        form = inflected(word.lower(), ending)
        start = lower.find(form)
        while start >= 0:
            end = start + len(form)
            if not lower[:start][-1:].isalnum() and not lower[end : end + 1].isalnum():
                return start, end, ending
            start = lower.find(form, end)
    return None


def replaced(text: str, place: Place, other: str) -> str:
    """
    >>> replaced("Traffic was delayed by the rain", (12, 19, "ed"), "slow down")
    'Traffic was slowed down by the rain'
    """
    start, end, ending = place
    first, *rest = other.split(" ")
    return f"{text[:start]}{' '.join([inflected(first, ending), *rest])}{text[end:]}"


def negated(text: str) -> str:
    """
    >>> negated("The day was long"), negated("He went")
    ('The day was not long', 'not He went')
    """
    words = text.split()
    at = next((i + 1 for i, word in enumerate(words) if word in AUXILIARIES), 0)
    return " ".join([*words[:at], "not", *words[at:]])


def turned(text: str, rng: random.Random) -> str:
    """Two words of more than three letters in each other's place."""
    words = text.split()
    long = [i for i, word in enumerate(words) if len(word) > 3]
    if len(long) > 1:
        i, j = rng.sample(long, 2)
        words[i], words[j] = words[j], words[i]
    return " ".join(words)


def shortened(text: str, rng: random.Random) -> str:
    """Without one of its words of more than three letters."""
    words = text.split()
    del words[rng.choice([i for i, word in enumerate(words) if len(word) > 3] or [0])]
    return " ".join(words)


def inflected(word: str, ending: str) -> str:
    """Without the exceptions: the teacher reads "holded", too.

    >>> inflected("postpone", "ed"), inflected("carry", "ed"), inflected("play", "ed")
    ('postponed', 'carried', 'played')
    """
    if ending in ("ed", "ing") and word.endswith("e"):
        return word[:-1] + ending
    return f"{word[:-1]}ied" if ending == "ed" and word.endswith("y") and word[-2:-1] not in "aeiou" else word + ending
