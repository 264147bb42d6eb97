"""Kernels in numpy: what every other implementation must answer, and what runs where there is no compiled one."""

from __future__ import annotations

import zlib
from typing import cast

import numpy as np
import numpy.typing as npt

from unitower.codes import LEVELS, Bytes, Int8s, Int64s, Planes, QueryCode, Words, codes_of, padded
from unitower.types import Floats

CHUNK_TOKENS = 16_384
"""Tokens looked at together: a matrix of some megabytes for 24 query tokens."""


def open() -> Plain:
    """Always works."""
    return Plain()


class Plain:
    """A `Kernel` in numpy."""

    name = "numpy"

    def hamming(self, query: Words, signs: Words, starts: Int64s, lengths: Int64s) -> Int64s:
        sums = np.zeros(len(starts), np.int64)
        for first, last, tokens, bounds in _chunks(starts, lengths):
            bits = signs[:, tokens]
            for t in range(query.shape[1]):
                distance = np.zeros(len(tokens), np.uint16)
                for w in range(len(query)):
                    distance += np.bitwise_count(bits[w] ^ query[w, t])
                sums[first:last] += np.minimum.reduceat(distance, bounds)
        return sums

    def coarse(self, query: QueryCode, planes: Planes, starts: Int64s, lengths: Int64s) -> Int64s:
        sums = np.zeros(len(starts), np.int64)
        columns = query.coarse.shape[1]
        for first, last, tokens, bounds in _chunks(starts, lengths):
            above, large = (_unpacked(plane[:, tokens], columns) for plane in (planes.signs, planes.large))
            levels = np.where(large, np.float32(LEVELS[1]), np.float32(LEVELS[0])) * np.where(above, np.float32(1), np.float32(-1))
            products = levels @ query.coarse.astype(np.float32).T  # whole numbers below 2^24: exact
            sums[first:last] = np.maximum.reduceat(products, bounds, axis=0).astype(np.int64).sum(axis=1)
        return sums

    def best(self, query: QueryCode, pages: Bytes, starts: Int64s, lengths: Int64s) -> Floats:
        columns = query.tokens.shape[1]
        tokens = query.tokens.astype(np.float32).T
        out = np.empty((len(starts), tokens.shape[1]), np.float32)
        for i, (start, length) in enumerate(zip(starts.tolist(), lengths.tolist(), strict=True)):
            codes, scales = codes_of(pages[start : start + length * (columns + 4)], columns)
            products = codes.astype(np.float32) @ tokens  # exact: see `codes.query`
            out[i] = (products * scales[:, None]).max(axis=0)
        return out

    def heads(self, signs: Words, number: int) -> Int64s:
        between = np.bitwise_count(signs[:, :, None] ^ signs[:, None]).sum(axis=0, dtype=np.int32)
        nearest = np.full(signs.shape[1], 32 * len(signs), np.int32)
        chosen = np.empty(number, np.int64)
        taken = np.zeros(signs.shape[1], bool)
        for each in range(number):
            gain = np.maximum(nearest - between, 0).sum(axis=1)
            chosen[each] = head = int(np.argmax(np.where(taken, -1, gain)))
            taken[head] = True
            nearest = np.minimum(nearest, between[head])
        return chosen

    def dots(self, query: QueryCode, codes: Int8s) -> Int64s:
        row = query.tokens[0].astype(np.float32)
        products = np.empty(len(codes), np.int64)
        step = max(1, 4_000_000 // max(1, codes.shape[1]))
        for first in range(0, len(codes), step):
            products[first : first + step] = codes[first : first + step].astype(np.float32) @ row
        return products

    def crcs(self, data: Bytes, starts: Int64s, sizes: Int64s) -> Int64s:
        return np.array([zlib.crc32(data[first : first + size].data) for first, size in zip(starts, sizes, strict=True)], np.int64)


def _chunks(starts: Int64s, lengths: Int64s) -> list[tuple[int, int, Int64s, Int64s]]:
    """Some pages at a time, with the places of all their tokens, and where each page begins among those."""
    chunks = []
    starts, lengths = (array if array.ndim == 2 else array[:, None] for array in (starts, lengths))
    ends = np.cumsum(lengths.sum(axis=1))
    first = 0
    while first < len(starts):
        before = int(ends[first - 1]) if first else 0
        last = max(first + 1, int(np.searchsorted(ends, before + CHUNK_TOKENS, side="right")))
        own = lengths[first:last].reshape(-1)
        begins = np.cumsum(own) - own
        tokens = np.repeat(starts[first:last].reshape(-1) - begins, own) + np.arange(int(own.sum()))
        chunks.append((first, last, tokens, begins[:: lengths.shape[1]]))
        first = last
    return chunks


def _unpacked(bits: Words, columns: int) -> npt.NDArray[np.bool_]:
    """Bits [W, t] as a matrix [t, columns]."""
    flat = np.ascontiguousarray(bits.T.astype("<u8")).view(np.uint8)
    whole = np.unpackbits(flat, axis=1, bitorder="little")
    assert columns == padded(columns)
    return cast("npt.NDArray[np.bool_]", whole[:, :columns].astype(bool))
