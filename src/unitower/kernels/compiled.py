"""Kernels in C: maxsim.c as hatch_build.py compiled it beside this file. None where it was not compiled or cannot be loaded."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import numpy as np

from unitower.codes import STRETCH, Bytes, Int8s, Int64s, Planes, QueryCode, Words
from unitower.kernels import plain
from unitower.types import Floats

LIBRARY = Path(__file__).with_name("_maxsim.so")
LEVELS = ("portable", "AVX2", "AVX-512")
MAX_WIDTH = 4096
"""Columns of a token that the C code has room for; wider ones are left to numpy."""


def open(library: Path = LIBRARY, *, level: int | None = None) -> Compiled | None:
    """The compiled kernels; `level` takes a lower path than the processor has (0 portable, 1 AVX2, 2 AVX-512)."""
    try:
        functions = ctypes.CDLL(str(library))
        highest = int(functions.unitower_level())
    except (OSError, AttributeError):
        return None
    return Compiled(functions, highest if level is None else min(level, highest))


class Compiled:
    """A `Kernel` by ctypes. It holds no state, so threads may share it; they run side by side, because ctypes lets go of the lock."""

    def __init__(self, functions: Any, level: int) -> None:
        self.level = level
        self.name = f"compiled, {LEVELS[level]}"
        self._functions = functions

    def hamming(self, query: Words, signs: Words, starts: Int64s, lengths: Int64s) -> Int64s:
        query, signs = np.ascontiguousarray(query), _rows(signs)
        out = np.empty(len(starts), np.int32)
        self._call("hamming", query, query.shape[1], *_plane(signs), *_pages(starts, lengths, signs.shape[1]), out)
        return out.astype(np.int64)

    def coarse(self, query: QueryCode, planes: Planes, starts: Int64s, lengths: Int64s) -> Int64s:
        tokens, signs, large = np.ascontiguousarray(query.coarse), _rows(planes.signs), _rows(planes.large)
        if signs.strides != large.strides:
            signs, large = np.ascontiguousarray(signs), np.ascontiguousarray(large)
        _check_width(tokens.shape[1])
        out = np.empty(len(starts), np.int32)
        self._call("coarse", tokens, *tokens.shape, signs, *_plane(large), *_pages(starts, lengths, signs.shape[1]), out)
        return out.astype(np.int64)

    def best(self, query: QueryCode, pages: Bytes, starts: Int64s, lengths: Int64s) -> Floats:
        tokens, pages = np.ascontiguousarray(query.tokens), np.ascontiguousarray(pages)
        _check_width(tokens.shape[1])
        out = np.empty((len(starts), len(tokens)), np.float32)
        ends = starts + lengths * (tokens.shape[1] + 4)
        if len(starts) and (starts.min() < 0 or lengths.min() < 1 or ends.max() > len(pages)):
            raise ValueError("pages reach beyond their buffer")
        self._call("best", tokens, *tokens.shape, pages, len(starts), *_int64s(starts, lengths), out)
        return out

    def heads(self, signs: Words, number: int) -> Int64s:
        signs = _rows(signs)
        if not number <= signs.shape[1] <= STRETCH:
            raise ValueError(f"{number} heads of {signs.shape[1]} tokens were asked for; there may be {STRETCH} tokens.")
        out = np.empty(number, np.int32)
        self._call("heads", *_plane(signs), signs.shape[1], number, out)
        return out.astype(np.int64)

    def dots(self, query: QueryCode, codes: Int8s) -> Int64s:
        tokens, codes = np.ascontiguousarray(query.tokens), np.ascontiguousarray(codes)
        if codes.ndim != 2 or codes.shape[1] != tokens.shape[1]:
            raise ValueError(f"the query has {tokens.shape[1]} columns, the codes are {codes.shape}")
        out = np.empty(len(codes), np.int32)
        self._call("dots", tokens, codes.shape[1], codes, len(codes), out)
        return out.astype(np.int64)

    def crcs(self, data: Bytes, starts: Int64s, sizes: Int64s) -> Int64s:
        if not self.level:
            return plain.open().crcs(data, starts, sizes)
        if len(starts) and (starts.min() < 0 or sizes.min() < 0 or (starts + sizes).max() > len(data)):
            raise ValueError("a stretch reaches beyond its buffer")
        out = np.empty(len(starts), np.int64)
        self._call("crcs", np.ascontiguousarray(data), len(starts), *_int64s(starts, sizes), out)
        return out

    def _call(self, name: str, *arguments: Any) -> None:
        values = [
            ctypes.c_void_p(value.ctypes.data) if isinstance(value, np.ndarray) else ctypes.c_int64(int(value)) for value in arguments
        ]
        if getattr(self._functions, f"unitower_{name}")(ctypes.c_int(self.level), *values):
            raise MemoryError(f"there is no memory for a query of {arguments[1]} tokens")


def _check_width(columns: int) -> None:
    if columns > MAX_WIDTH:
        raise ValueError(f"token vectors have {columns} columns; at most {MAX_WIDTH} can be searched.")


def _rows(plane: Words) -> Words:
    """A plane whose rows are each without gaps, as maps of files are."""
    return plane if plane.strides[1] == 8 and plane.strides[0] % 8 == 0 else np.ascontiguousarray(plane)


def _plane(plane: Words) -> tuple[Words, int, int]:
    return plane, len(plane), plane.strides[0] // 8


def _int64s(*arrays: Int64s) -> list[Int64s]:
    return [np.ascontiguousarray(array, dtype=np.int64) for array in arrays]


def _pages(starts: Int64s, lengths: Int64s, tokens: int) -> tuple[int, int, Int64s, Int64s]:
    first, second = (array if array.ndim == 2 else array[:, None] for array in _int64s(starts, lengths))
    if len(first) and (first.min() < 0 or second.min() < 0 or np.maximum.reduce(second.T).min() < 1 or (first + second).max() > tokens):
        raise ValueError("pages reach beyond the planes")
    return *first.shape, first, second
