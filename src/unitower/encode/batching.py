"""Which inputs share a pass of the tower: windows of a stream, and batches by a budget of tokens and pixels.

A stream is read window by window; a window is sorted by length, cut into batches, and given back in the order it came. So memory
is bounded by the window, whatever the number of inputs, and sequences of like length, which attend together, end up together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

PIXELS_PER_TOKEN = 28 * 28
"""A page gives one token per merge cell; a budget of so many tokens lets as many pages through as their tokens would."""

WINDOW_BATCHES = 4
"""Batches' worth of input looked ahead: more would sort better and hold more; only the last batch of a window is not full."""

WINDOW_INPUTS = 1024
"""Inputs looked ahead at the most: short texts gain nothing from more."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """What an input costs in a pass: its tokens (image tokens included), and the pixels the vision tower sees."""

    tokens: int
    pixels: int = 0

    def __add__(self, other: Size) -> Size:
        return Size(tokens=self.tokens + other.tokens, pixels=self.pixels + other.pixels)


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The most one pass may hold; an input beyond it goes alone."""

    tokens: int
    pixels: int

    @classmethod
    def of_tokens(cls, tokens: int) -> Budget:
        return cls(tokens=tokens, pixels=tokens * PIXELS_PER_TOKEN)

    def holds(self, size: Size) -> bool:
        return size.tokens <= self.tokens and size.pixels <= self.pixels

    def least(self, other: Budget) -> Budget:
        """What both allow."""
        return Budget(tokens=min(self.tokens, other.tokens), pixels=min(self.pixels, other.pixels))

    def half_of(self, size: Size) -> Budget:
        """This budget, lowered so far that what has just been too large makes two passes or more."""
        lower = Budget(tokens=max(1, size.tokens // 2), pixels=max(1, size.pixels // 2) if size.pixels else self.pixels)
        return self.least(lower)


def windows(inputs: Iterable[T], *, size: Callable[[T], Size], budget: Budget) -> Iterator[list[T]]:
    """The stream cut into stretches of a few batches' worth. Nothing is read ahead of the window that is given out."""
    most = Budget(tokens=budget.tokens * WINDOW_BATCHES, pixels=budget.pixels * WINDOW_BATCHES)
    window: list[T] = []
    held = Size(tokens=0)
    for each in inputs:
        window.append(each)
        held += size(each)
        if len(window) == WINDOW_INPUTS or not most.holds(held):
            yield window
            window, held = [], Size(tokens=0)
    if window:
        yield window


def batches(sizes: Sequence[Size], *, budget: Budget, most: int | None = None) -> list[list[int]]:
    """Positions grouped into batches, longest inputs first, equal lengths in their order.

    budget   what a batch may hold; an input beyond it is a batch of its own
    most     inputs in a batch at the most
    returns  every position once; no batch is empty
    """
    groups: list[list[int]] = []
    held = Size(tokens=0)
    for position in sorted(range(len(sizes)), key=lambda i: (-sizes[i].tokens, -sizes[i].pixels)):
        with_it = held + sizes[position]
        if groups and budget.holds(with_it) and len(groups[-1]) != most:
            groups[-1].append(position)
            held = with_it
        else:
            groups.append([position])
            held = sizes[position]
    return groups
