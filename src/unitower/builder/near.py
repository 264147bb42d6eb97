"""Pages that look alike, texts that read alike.

A page's look is 256 bits: whether each of 16 x 16 cells is darker than its right neighbour (difference hash, after N. Krawetz 2013).
Charts and tables of one series look alike and differ in their numbers: where both pages have words, these must be the same as well.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from unitower.stores.words import analysed

if TYPE_CHECKING:
    from PIL.Image import Image

Bits = npt.NDArray[np.uint8]

CELLS = 16
SAME_BITS = 10
"""Bits of 256 that may differ: scaled and compressed again, pages differ by 0 to 6; other pages of a document by 30 and more."""

SAME_WORDS = 0.95
"""Share of the words of two pages that are the same: 19 of 20."""


def look(image: Image) -> Bits:
    """256 bits, as uint8 [32]."""
    small = image.convert("L").resize((CELLS + 1, CELLS), 1)
    grey = np.asarray(small, np.int16)
    return np.packbits(grey[:, :-1] < grey[:, 1:])


def differing(one: Bits, others: Bits) -> npt.NDArray[np.int64]:
    """Bits that differ between a look [32] and others [n, 32], int64 [n]."""
    counted: npt.NDArray[np.int64] = np.bitwise_count(one[None] ^ others).sum(axis=1, dtype=np.int64)
    return counted


def words(text: str) -> frozenset[str]:
    """The words of a text, numbers included."""
    return frozenset(analysed(text).counts)


def share(one: frozenset[str], other: frozenset[str]) -> float:
    """Words that both have, of those that either has; 1 where neither has any.

    >>> share(words("rent is due in May"), words("Rent is due in June"))
    0.6666666666666666
    """
    either = len(one | other)
    return len(one & other) / either if either else 1.0


def plain(text: str) -> str:
    """A text without case, marks and spaces: equal for queries that differ by these alone.

    >>> plain("Where is it?") == plain("where is  it")
    True
    """
    return re.sub(r"[\W_]+", " ", text.casefold()).strip()
