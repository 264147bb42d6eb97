"""Scan codes of a run of stored rows: the two bit planes of every token, and an int8 copy of the dense vectors. Made from what is stored.

A segment may be written to a file and mapped from there, so that a search reads only what it looks at and a new process has nothing to
compute. The file tells what it was made from (`made_from`: a data file, which never changes once written, and the rules of the codes), and
has a checksum over all of it: one that is stale, cut off or damaged is not used but made anew.

    bytes 0-7      b"unitower"
    bytes 8-15     uint64, length of the header
    header         JSON: made_from, rows, tokens, words, dense_columns, crc32 of the body
    body, from the next multiple of 4096, each part from a multiple of 64
        lengths    int64 [rows], tokens of each row; 0 for one that was deleted before
        offsets    int64 [rows], where the row's packed token vectors stand in its data file; -1 where they do not in one piece
        crcs       int64 [rows], crc32 of the row's packed token vectors
        signs      uint64 [W, tokens]: first the heads of all rows (`codes.heads`, chosen by `Kernel.heads`), then their other tokens,
        large      uint64 [W, tokens]  so that a first look reads a quarter of it from its beginning to its end
        scales     float32 [rows]
        dense      int8 [rows, D], D = dense width rounded up to a multiple of 4

Letters as in `codes`.
"""

from __future__ import annotations

import json
import mmap
import os
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from unitower import codes
from unitower.codes import Bytes, Int8s, Int64s, Planes, Words
from unitower.kernels import chosen
from unitower.types import Floats

MAGIC = b"unitower"
PAGE, ALIGNED = 4096, 64


@dataclass(frozen=True, kw_only=True)
class Segment:
    """Scan codes of rows.

    starts, lengths  int64 [rows, 2], where a row's heads and its other tokens begin in the planes, and how many they are
    offsets          int64 [rows], where its packed token vectors can be read, -1 where they have to be asked for
    crcs             int64 [rows], crc32 of its packed token vectors, to be compared when they are read
    dense            int8 [rows, D] and their scales float32 [rows]
    """

    starts: Int64s
    lengths: Int64s
    offsets: Int64s
    crcs: Int64s
    planes: Planes
    dense: Int8s
    scales: Floats

    @property
    def tokens(self) -> Int64s:
        """Tokens of each row, int64 [rows]."""
        return cast("Int64s", self.lengths.sum(axis=1))

    @property
    def size_bytes(self) -> int:
        return sum(part.nbytes for part in self.body())

    def body(self) -> list[npt.NDArray[Any]]:
        return [self.tokens, self.offsets, self.crcs, self.planes.signs, self.planes.large, self.scales, self.dense]


def runs(tokens: Int64s) -> tuple[Int64s, Int64s]:
    """Starts and lengths of the heads and the other tokens of rows, both int64 [rows, 2]."""
    heads = codes.heads(tokens)
    lengths = np.stack([heads, tokens - heads], axis=1)
    starts = np.cumsum(lengths, axis=0) - lengths
    starts[:, 1] += heads.sum()
    return starts, lengths


class Making:
    """A segment on its way: rows are put in one batch after the other, in memory that holds the codes alone."""

    def __init__(self, *, lengths: Int64s, token_width: int, dense_width: int) -> None:
        total, words = int(lengths.sum()), codes.words(token_width)
        self.width = token_width
        self._looked_at = 0
        starts, parts = runs(lengths)
        self.segment = Segment(
            starts=starts,
            lengths=parts,
            offsets=np.full(len(lengths), -1, np.int64),
            crcs=np.zeros(len(lengths), np.int64),
            planes=Planes(signs=np.zeros((words, total), np.uint64), large=np.zeros((words, total), np.uint64)),
            dense=np.zeros((len(lengths), codes.padded(dense_width)), np.int8),
            scales=np.zeros(len(lengths), np.float32),
        )

    def put(self, rows: Int64s, packed: Sequence[bytes | memoryview | Bytes], dense: Floats, *, file: mmap.mmap | None = None) -> None:
        """Rows by their places, with their packed token vectors and their dense ones.

        file  where the packed vectors may stand, in the order of the rows; they are looked for
        """
        made = self.segment
        if file is not None:
            for row, one in zip(rows.tolist(), packed, strict=True):
                made.offsets[row] = at = file.find(bytes(one), self._looked_at)
                self._looked_at = at + len(one) if at >= 0 else self._looked_at
        made.crcs[rows] = [zlib.crc32(memoryview(cast(Any, one))) for one in packed]
        matrices = [codes.codes_of(one, self.width)[0] for one in packed]
        if [len(one) for one in matrices] != made.tokens[rows].tolist():
            raise ValueError("the token vectors of a row are not as many as it says")
        for row, matrix in zip(rows.tolist(), matrices, strict=True):
            planes = codes.planes(matrix)
            order = heads_first(planes.signs)
            places = np.concatenate([np.arange(start, start + n) for start, n in zip(made.starts[row], made.lengths[row], strict=True)])
            made.planes.signs[:, places] = planes.signs[:, order]
            made.planes.large[:, places] = planes.large[:, order]
        whole, made.scales[rows] = codes.quantised(dense)
        made.dense[rows, : whole.shape[1]] = whole


def heads_first(signs: Words) -> Int64s:
    """The order of a row's tokens: its heads, as they were chosen, then the others."""
    tokens = signs.shape[1]
    heads = [np.empty(0, np.int64)]
    for first in range(0, tokens, codes.STRETCH):
        part = np.ascontiguousarray(signs[:, first : first + codes.STRETCH])
        heads.append(first + chosen().heads(part, int(codes.heads(np.array([part.shape[1]]))[0])))
    others = np.ones(tokens, bool)
    others[np.concatenate(heads)] = False
    return np.concatenate([*heads, np.flatnonzero(others)])


def write(segment: Segment, path: Path, *, made_from: Mapping[str, Any]) -> None:
    """Write a segment beside its place, then put it there. OSError where that cannot be."""
    body = segment.body()
    crc, size = 0, 0
    padding = []
    for part in body:
        padding.append(bytes(-(size + part.nbytes) % ALIGNED))
        crc = zlib.crc32(padding[-1], zlib.crc32(np.ascontiguousarray(part).data.cast("B"), crc))
        size += part.nbytes + len(padding[-1])
    told = {
        "made_from": dict(made_from),
        "rows": len(segment.offsets),
        "tokens": len(segment.planes),
        "words": len(segment.planes.signs),
        "dense_columns": segment.dense.shape[1],
        "crc32": crc,
    }
    header = json.dumps(told).encode()
    path.parent.mkdir(exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        with temporary.open("wb") as file:
            file.write(MAGIC + len(header).to_bytes(8, "little") + header)
            file.write(bytes(-file.tell() % PAGE))
            for part, rest in zip(body, padding, strict=True):
                file.write(np.ascontiguousarray(part).data.cast("B"))
                file.write(rest)
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def read(path: Path, *, made_from: Mapping[str, Any]) -> Segment | None:
    """The segment in a file, mapped; None where there is none, or it is damaged, or of other rows than `made_from` tells."""
    try:
        with path.open("rb") as file:
            head = file.read(16)
            length = int.from_bytes(head[8:16], "little")
            if head[:8] != MAGIC or length > 1 << 20:
                return None
            told = json.loads(file.read(length))
            if told["made_from"] != dict(made_from):
                return None
            first = -(-(16 + length) // PAGE) * PAGE
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        rows, tokens, words, columns = (int(told[name]) for name in ("rows", "tokens", "words", "dense_columns"))
        shapes: list[tuple[npt.DTypeLike, tuple[int, ...]]] = [
            *[("<i8", (rows,))] * 3, ("<u8", (words, tokens)), ("<u8", (words, tokens)), ("<f4", (rows,)), ("<i1", (rows, columns))
        ]  # fmt: skip
        parts, place = [], first
        for dtype, shape in shapes:
            parts.append(np.frombuffer(mapped, dtype, count=int(np.prod(shape)), offset=place).reshape(shape))
            place += -(-parts[-1].nbytes // ALIGNED) * ALIGNED
        if place != len(mapped) or zlib.crc32(memoryview(mapped)[first:]) != told["crc32"]:
            return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    counts, offsets, crcs, signs, large, scales, dense = parts
    starts, lengths = runs(counts)
    return Segment(
        starts=starts,
        lengths=lengths,
        offsets=offsets,
        crcs=crcs,
        planes=Planes(signs=signs, large=large),
        dense=dense,
        scales=scales,
    )
