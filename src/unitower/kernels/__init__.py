"""The arithmetic of a search, over codes. One implementation per file; `chosen()` gives the fastest that works here.

    plain     numpy, always there: the definition
    compiled  maxsim.c, if the package was built where there was a C compiler: AVX-512, AVX2 or portable, as the processor has it

All of them work in whole numbers (see `codes`), so that they give the same answers to the last bit: which one runs changes the time of
a search and nothing else (tests/conformance/test_kernels.py).

Letters: n pages, R runs of tokens in a page, T query tokens, W words of 64 bits, M columns.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import Protocol, cast

import numpy as np

from unitower.codes import Bytes, Int8s, Int64s, Planes, QueryCode, Words
from unitower.types import Floats


class Kernel(Protocol):
    """What a module of this folder gives by `open()`.

    Pages are told by where they start and how many tokens they have, int64 [n]; in planes also [n, R], where a page lies in R runs, each
    of which may be empty, but not all of them.
    """

    @property
    def name(self) -> str:
        """As a person is told: "numpy", "compiled, AVX-512"."""
        ...

    def hamming(self, query: Words, signs: Words, starts: Int64s, lengths: Int64s) -> Int64s:
        """Sum over query tokens [W, T] of the least Hamming distance to a token of the page, int64 [n]; `signs` is [W, tokens]."""
        ...

    def coarse(self, query: QueryCode, planes: Planes, starts: Int64s, lengths: Int64s) -> Int64s:
        """Sum over query tokens of the largest product of `query.coarse` with the levels a token's two bits stand for, int64 [n]."""
        ...

    def best(self, query: QueryCode, pages: Bytes, starts: Int64s, lengths: Int64s) -> Floats:
        """Largest product of each query token with a token of the page, float32 [n, T]; to be multiplied by `query.scale`.

        pages   packed matrices (`codes.pack`), anywhere in one buffer
        starts  where each begins, in bytes
        """
        ...

    def heads(self, signs: Words, number: int) -> Int64s:
        """Places of tokens [W, t] that stand for all of them, int64 [number]; t is at most STRETCH.

        One after the other, the token by which the distances of all tokens to their nearest head shrink most, of equal ones the first.
        Where there is no head yet, distances count as half of the bits, 32 W.

        Source: the greedy method of facility location, Cornuejols, Fisher & Nemhauser 1977.
        """
        ...

    def dots(self, query: QueryCode, codes: Int8s) -> Int64s:
        """Products of a query of one token with rows [n, M], int64 [n]."""
        ...

    def crcs(self, data: Bytes, starts: Int64s, sizes: Int64s) -> Int64s:
        """`zlib.crc32` of stretches of a buffer, int64 [n]."""
        ...


def kernels() -> list[str]:
    """Names of the implementations: the files of this folder."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))


def load(name: str) -> Kernel | None:
    """The implementation of that name; None where it does not work here."""
    return cast("Kernel | None", importlib.import_module(f"{__name__}.{name}").open())


@cache
def chosen() -> Kernel:
    """The fastest implementation that works here."""
    return load("compiled") or cast("Kernel", load("plain"))


def scores(kernel: Kernel, query: QueryCode, pages: Bytes, starts: Int64s, lengths: Int64s) -> Floats:
    """MaxSim of a query with packed pages, float32 [n]: `scoring.maxsim` of what the codes stand for."""
    best = kernel.best(query, pages, starts, lengths)
    return cast("Floats", (best.sum(axis=1, dtype=np.float64) * query.scale).astype(np.float32))
