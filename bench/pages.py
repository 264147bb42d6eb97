"""Synthetic pages: token vectors with the clusters, the repetitions and the near ties of real ones. For the benches of searching.

Tokens are 128 wide. There are 2,000 concepts in 100 themes of Zipf's frequencies, and one direction that all tokens share. A page has one
to three themes, 10 to 24 of their concepts, a style of its own, and an offset for each of its entities (what sets this page's "Smith" apart
from another's); a quarter of its tokens come from a background that all pages share. A query has 12 to 32 tokens: noisy copies of tokens of
its page, a quarter of them generic. The dense vector is a non-linear lift of the page's centred mean, with noise.

`kind` "hard" halves the offsets and adds 1.8 and 2.2 times the noise to tokens and queries: ranks 2 to 10 are then near ties.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
WIDTH, DENSE = 128, 1024


def unit(rows: npt.NDArray[np.floating]) -> Floats:
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


@dataclass(frozen=True)
class Kind:
    offset: float
    noise: float
    query_noise: float


KINDS = {"easy": Kind(0.65, 0.55, 0.55), "hard": Kind(0.325, 0.99, 1.21)}


class Pages:
    """An endless collection; the same seed gives the same pages, block by block."""

    def __init__(self, kind: str = "easy", *, tokens: int = 256, seed: int = 0) -> None:
        self.kind, self.tokens, self.seed = KINDS[kind], tokens, seed
        rng = np.random.default_rng([seed, 1])
        self.themes = unit(rng.standard_normal((100, WIDTH)))
        self.theme_of = rng.choice(100, 2000, p=_zipf(100))
        self.concepts = unit(0.7 * self.themes[self.theme_of] + unit(rng.standard_normal((2000, WIDTH))))
        self.shared = unit(rng.standard_normal(WIDTH))
        self.background = unit(unit(rng.standard_normal((400, WIDTH))) + 0.5 * self.shared)
        self.lift = [rng.standard_normal((WIDTH, DENSE)).astype(np.float32) / WIDTH**0.5 for _ in range(2)]

    def blocks(self, number: int, *, block: int = 500) -> Iterator[tuple[npt.NDArray[np.float32], Floats]]:
        """Tokens [b, tokens, 128] and dense [b, 1024] of `number` pages, `block` at a time."""
        for first in range(0, number, block):
            yield self.block(first // block, min(block, number - first))

    def block(self, index: int, size: int) -> tuple[npt.NDArray[np.float32], Floats]:
        rng = np.random.default_rng([self.seed, 2, index])
        tokens = np.empty((size, self.tokens, WIDTH), np.float32)
        for page in tokens:
            themes = rng.choice(100, rng.integers(1, 4), p=_zipf(100))
            known = np.flatnonzero(np.isin(self.theme_of, themes))
            chosen = rng.choice(known if len(known) else 2000, rng.integers(10, 25))
            entities = self.concepts[chosen] + self.kind.offset * unit(rng.standard_normal((len(chosen), WIDTH)))
            style = 0.3 * unit(rng.standard_normal(WIDTH))
            page[:] = entities[rng.integers(0, len(chosen), self.tokens)] + style + 0.5 * self.shared
            generic = rng.random(self.tokens) < 0.25
            page[generic] = self.background[rng.integers(0, 400, int(generic.sum()))]
        tokens += self.kind.noise * rng.standard_normal(tokens.shape, dtype=np.float32) / WIDTH**0.5
        tokens = unit(tokens)
        centred = unit(tokens.mean(axis=1) - 0.35 * self.shared)
        dense = np.tanh(3 * centred @ self.lift[0]) + 0.5 * np.maximum(centred @ self.lift[1], 0)
        return tokens, unit(dense + 0.15 * rng.standard_normal(dense.shape))

    def query(self, tokens: Floats, dense: Floats, *, seed: int) -> tuple[Floats, Floats]:
        """A query [T, 128] whose answer is the page with these vectors, and its dense vector."""
        rng = np.random.default_rng([self.seed, 3, seed])
        length = int(rng.integers(12, 33))
        rows = tokens[rng.integers(0, len(tokens), length)]
        generic = rng.random(length) < 0.25
        rows[generic] = self.background[rng.integers(0, 400, int(generic.sum()))]
        rows = rows + self.kind.query_noise * rng.standard_normal(rows.shape) / WIDTH**0.5
        return unit(rows), unit(dense + 0.9 * rng.standard_normal(DENSE) / DENSE**0.5)


def _zipf(number: int) -> npt.NDArray[np.float64]:
    weights = 1 / np.arange(1, number + 1)
    return weights / weights.sum()
