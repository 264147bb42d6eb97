"""Token vectors as small integers: int8 to rank by, two bit planes to look through everything by.

Nothing is learned from data. A row is coded by itself, by fixed rules of `REVISION`, so that a vector has the same code alone and among
a million, today and in a run that goes on tomorrow. Rules and sizes, for a row of width m (128 as a rule):

    int8    m bytes and a float32 scale: x ~ scale * code, scale = max|x| / 127. No element is off by more than scale / 2, which for
            unit rows of 128 is 0.001 on average; a dot product with a unit vector is off by at most scale * sqrt(m) / 2, and by 0.0007
            (standard deviation) in practice.
    signs   m bits: whether code >= 0. Hamming distance of two of them is what the scan compares.
    large   m bits: whether |code| is above 0.98 of the row's root mean square. Both planes together stand for the levels -10, -3, 3, 10
            (the best four levels of a normal distribution, Max 1960, table I, in whole numbers).

The planes are made from the int8 codes, so that they can be rebuilt from what is stored. Documents are coded, queries hardly: `query`
keeps as many bits (11 for m = 128) as leave every sum of products below 2^24. Such sums are exact in float32 and in any order, so that
every kernel gives the same scores to the last bit.

Letters: t rows, m width, M = m rounded up to a multiple of 4, W = words of 64 bits for m bits, T query tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast, get_args

import numpy as np
import numpy.typing as npt

from unitower.types import Floats

Bytes: TypeAlias = npt.NDArray[np.uint8]
Int8s: TypeAlias = npt.NDArray[np.int8]
Int16s: TypeAlias = npt.NDArray[np.int16]
Int64s: TypeAlias = npt.NDArray[np.int64]
Words: TypeAlias = npt.NDArray[np.uint64]
Precision: TypeAlias = Literal["float32", "float16", "int8", "binary"]

REVISION = 1
"""Of all rules in this module. An index keeps the number and is refused by a unitower with another."""

BLOCK = 16
"""Rows that are stored together, four columns of each at a time: what one vector register takes."""

LEVELS = (3, 10)
"""What a small and a large element count in the two planes."""

STRETCH = 256
"""Tokens of a page among which heads are chosen together: the work grows with the cube of it."""

HEADS = 4
"""Tokens of which one is a head (see `heads`)."""

EXACT = 2**24
"""Whole numbers below it are exact in float32."""


def parameters() -> dict[str, Any]:
    """All numbers of the rules, as they are written beside the codes they made."""
    return {"revision": REVISION, "tokens": "int8, scale per row", "block": BLOCK, "large_above_rms": 0.98, "levels": list(LEVELS)}


def padded(width: int) -> int:
    """M of a width: columns that are stored, the last of them zero.

    >>> padded(128), padded(2)
    (128, 4)
    """
    return -(-width // 4) * 4


def quantised(rows: npt.ArrayLike) -> tuple[Int8s, Floats]:
    """Codes [t, m] and scales [t] of rows [t, m]. A row of zeros has scale 0.

    >>> codes, scales = quantised([[0.5, -1.0], [0.0, 0.0]])
    >>> codes.tolist(), scales.tolist()
    ([[64, -127], [0, 0]], [0.007874015718698502, 0.0])
    """
    x = np.asarray(rows, np.float32)
    largest = np.abs(x).max(axis=1) if x.shape[1] else np.zeros(len(x), np.float32)
    scales = (largest / np.float32(127)).astype(np.float32)
    steps = np.divide(np.float32(127), largest, out=np.zeros_like(largest), where=largest > 1e-30)
    return np.rint(x * steps[:, None]).astype(np.int8), np.where(largest > 1e-30, scales, np.float32(0)).astype(np.float32)


def pack(rows: npt.ArrayLike) -> bytes:
    """A token matrix [t, m] as it is stored: t float32 scales, then the codes in blocks of 16 rows, t * (M + 4) bytes.

    Within a block stand columns 0 to 3 of all its rows, then columns 4 to 7, and so on; the last block has the rows that are left.
    """
    codes, scales = quantised(rows)
    t, m = codes.shape
    full = np.zeros((t, padded(m)), np.int8)
    full[:, :m] = codes
    whole = t - t % BLOCK
    blocks = full[:whole].reshape(-1, BLOCK, padded(m) // 4, 4).transpose(0, 2, 1, 3)
    rest = full[whole:].reshape(t - whole, padded(m) // 4, 4).transpose(1, 0, 2)
    return b"".join([scales.astype("<f4").tobytes(), blocks.tobytes(), rest.tobytes()])


def length(packed: bytes | memoryview | Bytes, width: int) -> int:
    """Rows of a packed matrix. ValueError where it was cut off."""
    rows, rest = divmod(len(packed), padded(width) + 4)
    if rest:
        raise ValueError(f"{len(packed)} bytes are no whole number of rows of {padded(width) + 4}.")
    return rows


def codes_of(packed: bytes | memoryview | Bytes, width: int) -> tuple[Int8s, Floats]:
    """Codes [t, m] and scales [t] of a packed matrix."""
    t, columns = length(packed, width), padded(width)
    flat = np.frombuffer(packed, np.uint8)
    scales = np.frombuffer(flat[: 4 * t].tobytes(), "<f4").astype(np.float32)
    codes = flat[4 * t :].view(np.int8)
    whole = t - t % BLOCK
    blocks = codes[: whole * columns].reshape(-1, columns // 4, BLOCK, 4).transpose(0, 2, 1, 3).reshape(whole, columns)
    rest = codes[whole * columns :].reshape(columns // 4, t - whole, 4).transpose(1, 0, 2).reshape(t - whole, columns)
    return np.concatenate([blocks, rest])[:, :width], scales


def unpack(packed: bytes | memoryview | Bytes, width: int) -> Floats:
    """The rows [t, m] that a packed matrix stands for, float32."""
    codes, scales = codes_of(packed, width)
    return cast("Floats", codes.astype(np.float32) * scales[:, None])


@dataclass(frozen=True, kw_only=True)
class Planes:
    """Two bits for every element of t rows.

    signs, large  uint64 [W, t]; element i of row r is bit i % 64 of [i // 64, r]. Bits beyond the width are 0.
    """

    signs: Words
    large: Words

    def __len__(self) -> int:
        return int(self.signs.shape[1])


def words(width: int) -> int:
    """W of a width."""
    return -(-width // 64)


def planes(codes: Int8s) -> Planes:
    """Both planes of int8 rows [t, m]."""
    wide = codes.astype(np.int32)
    squares = wide * wide
    large = squares * (25 * codes.shape[1]) > 24 * squares.sum(axis=1, keepdims=True)  # 0.98 squared is 24 / 25
    return Planes(signs=_bits(codes >= 0), large=_bits(large))


def _bits(given: npt.NDArray[np.bool_]) -> Words:
    t, m = given.shape
    whole = np.zeros((t, 8 * words(m)), np.uint8)
    whole[:, : -(-m // 8)] = np.packbits(given, axis=1, bitorder="little")
    return np.ascontiguousarray(whole.view("<u8").T).astype(np.uint64)


def heads(lengths: Int64s) -> Int64s:
    """How many tokens of pages stand for all of them in a scan, int64 [n]: one of HEADS, stretch by stretch.

    >>> heads(np.array([0, 1, 4, 5, 257])).tolist()
    [0, 1, 1, 2, 65]
    """
    whole, rest = np.divmod(lengths, STRETCH)
    return cast("Int64s", whole * (STRETCH // HEADS) - (-rest // HEADS))


@dataclass(frozen=True, kw_only=True)
class QueryCode:
    """A query of T tokens as the kernels take it: whole numbers, and what they have to be multiplied by.

    tokens  int16 [T, M], x ~ scale * tokens
    scale   one for all tokens, so that sums over tokens stay whole numbers
    coarse  int8 [T, M], the same with 7 bits, for the two planes
    signs   uint64 [W, T]
    width   m
    """

    tokens: Int16s
    scale: float
    coarse: Int8s
    signs: Words
    width: int


def query(rows: npt.ArrayLike) -> QueryCode:
    """The code of a query [T, m], unit rows. An element is off by at most scale / 2; scale = max|x| / 1032 for m = 128.

    1032 = 2^24 / (127 * 128): the sum of m products of a query's number and a document's stays below 2^24.
    """
    x = np.asarray(rows, np.float32)
    m = x.shape[1]
    largest = float(np.abs(x).max()) or 1.0
    steps = min(32_767, EXACT // (127 * padded(m)))
    full = np.zeros((len(x), padded(m)), np.float64)
    full[:, :m] = x
    fine = np.rint(full * (steps / largest)).astype(np.int16)
    return QueryCode(
        tokens=fine,
        scale=largest / steps,
        coarse=np.rint(full * (127 / largest)).astype(np.int8),
        signs=_bits(x >= 0),
        width=m,
    )


PRECISIONS = get_args(Precision)


def dense_in(precision: Precision, dense: Floats) -> tuple[npt.NDArray[Any], Floats | None]:
    """Dense vectors [n, d] in a form, and their scales where it has any; see `Encoder.encode`.

    Sizes for d = 2048: 8192, 4096, 2052 and 256 bytes a vector.

    >>> dense_in("binary", np.array([[0.6, -0.8]], np.float32))[0].tolist()
    [[1]]
    """
    if precision == "float16":
        return dense.astype(np.float16), None
    if precision == "int8":
        return quantised(dense)
    if precision == "binary":
        return np.packbits(dense >= 0, axis=1, bitorder="little"), None
    return dense, None
