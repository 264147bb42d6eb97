"""What smaller vectors cost: nDCG@10 with fewer columns, fewer bits, and fewer token vectors.

Only documents are made smaller; queries keep what they have, since there is one of them. The rules, without training:

    width    the first columns, made a unit row again (Kusupati et al. 2022)
    float16  rounded
    int8     row by row, as an index codes token vectors (`codes.quantised`)
    binary   the sign of each column
    pooling  token vectors of a document merged as `unitower index --pool` does (`encode.compress`)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from unitower import codes
from unitower.analysis.measures import Mean, mean_of
from unitower.encode.compress import pooled
from unitower.evaluation.metrics import Measure
from unitower.evaluation.models import all_maxsims
from unitower.types import Embeddings, Floats, Ragged

NARROWEST = 16
POOLED = (2, 4, 8)


@dataclass(frozen=True, kw_only=True)
class Cost:
    """nDCG@10 of one way to keep the vectors.

    head    "dense" or "late"
    bits    a key of BITS
    width   columns kept
    pooled  token vectors per kept one; 1 keeps all
    bytes   of a document, on average
    """

    head: str
    bits: str
    width: int
    pooled: int
    bytes: float
    ndcg: Mean


def int8(rows: Floats) -> Floats:
    """What the int8 codes of rows [n, d] stand for.

    >>> [f"{x:.4f}" for x in int8(np.array([[1.0, 0.4]], np.float32))[0]]
    ['1.0000', '0.4016']
    """
    coded, scales = codes.quantised(rows)
    return np.asarray(coded * scales[:, None], np.float32)


BITS: Mapping[str, tuple[Callable[[Floats], Floats], float, int]] = {
    "float32": (lambda rows: rows, 4, 0),
    "float16": (lambda rows: rows.astype(np.float16).astype(np.float32), 2, 0),
    "int8": (int8, 1, 4),
    "binary": (lambda rows: np.where(rows >= 0, 1, -1).astype(np.float32), 1 / 8, 0),
}
"""Name -> what is left of rows, bytes a column, bytes a row besides."""


def cut(rows: Floats, width: int) -> Floats:
    """The first columns of unit rows, as unit rows; a row of zeros stays one."""
    kept = rows[:, :width]
    length = np.linalg.norm(kept, axis=1, keepdims=True)
    return np.asarray(kept / np.where(length > 0, length, 1), np.float32)


def widths(full: int) -> list[int]:
    """The full width and its halves down to 16.

    >>> widths(100)
    [100, 50, 25]
    """
    found = [full]
    while found[-1] // 2 >= NARROWEST:
        found.append(found[-1] // 2)
    return found


def ndcg(scores_QN: Floats, grades: Sequence[Mapping[int, int]]) -> list[float]:
    """nDCG@10 of each query; documents of equal score in their order."""
    measure = Measure.named("ndcg@10")
    best = np.argsort(-scores_QN, axis=1, kind="stable")[:, :10]
    return [measure.of([judged.get(place, 0) for place in row], judged.values()) for row, judged in zip(best.tolist(), grades, strict=True)]


def chance(grades: Sequence[Mapping[int, int]], documents: int) -> float:
    """Mean nDCG@10 of documents in an order by chance: the place of a document is worth the mean discount of all places.

    >>> round(chance([{0: 1}], 2), 4)  # (1 + 1 / log2(3)) / 2
    0.8155
    """
    measure = Measure.named("ndcg@10")
    found = []
    for judged in grades:
        each = [measure.of([0] * rank + [1], [1]) for rank in range(min(10, documents))]  # 1 / log2(rank + 2)
        best = sorted(judged.values(), reverse=True)[:10]
        ideal = sum(grade * discount for grade, discount in zip(best, each, strict=False))
        found.append(sum(judged.values()) * sum(each) / documents / ideal if ideal else 0.0)
    return sum(found) / len(found)


def costs(queries: Embeddings, documents: Embeddings, grades: Sequence[Mapping[int, int]], *, seed: int) -> Iterator[Cost]:
    """The dense vectors at every width and precision; the token vectors at every precision, and pooled as float16."""
    for width in widths(queries.dense.shape[1]):
        asked, kept = cut(queries.dense, width), cut(documents.dense, width)
        for bits, (rounded, column, row) in BITS.items():
            figure = mean_of(ndcg(asked @ rounded(kept).T, grades), seed=seed)
            yield Cost(head="dense", bits=bits, width=width, pooled=1, bytes=width * column + row, ndcg=figure)
    multi, width = documents.multi, documents.multi.width
    for bits, factor in [*((bits, 1) for bits in BITS), *(("float16", factor) for factor in POOLED)]:
        rounded, column, row = BITS[bits]
        fewer = pooled(multi, factor=factor)
        figure = mean_of(ndcg(all_maxsims(queries.multi, Ragged(rounded(fewer.data), fewer.offsets)), grades), seed=seed)
        size = len(fewer.data) / len(fewer) * (width * column + row)
        yield Cost(head="late", bits=bits, width=width, pooled=factor, bytes=size, ndcg=figure)
