"""Where on a page a text stands: the first run of words that read the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from unitower.render.language import units

if TYPE_CHECKING:
    from unitower.render.types import Word

MARKS = ".,;:!?…·•()[]{}\"'“”„‚‘’«»‹›、。，．：；！？（）「」『』【】《》،؛؟।"


def bare(word: str) -> str:
    """The word without the marks at its ends; marks alone stay as they are."""
    return word.strip(MARKS) or word


def found(words: Sequence[Word], text: str, starts: dict[str, list[int]]) -> tuple[Word, ...]:
    """The words that read as the text does; empty if they stand nowhere one after the other.

    starts  where each word stands by what it reads, filled here at the first call for a page
    """
    if not starts:
        for i, word in enumerate(words):
            starts.setdefault(bare(word.text), []).append(i)
    wanted = [bare(unit) for unit, _ in units(text)]
    if not wanted:
        return ()
    for start in starts.get(wanted[0], ()):
        here = words[start : start + len(wanted)]
        if len(here) == len(wanted) and all(bare(word.text) == want for word, want in zip(here, wanted, strict=True)):
            return tuple(here)
    return ()
