"""How well a query fits a document: the one definition of MaxSim, cosine of dense vectors, and reciprocal-rank fusion.

numpy only. Faster versions elsewhere are tested equal to these.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from unitower.types import Floats, Ragged

BLOCK_ROWS = 65_536
"""Document rows scored at once for a query of up to 24 tokens, fewer for a longer one: a matrix of 6 MB, however many documents."""


def maxsim(query: npt.ArrayLike, documents: Ragged | Sequence[npt.ArrayLike]) -> Floats:
    """Late-interaction score of one query against n documents.

    score = sum over the query's tokens of the best dot product with any token of the document. There is no padding, so a
    document scores the same alone and among others, up to the rounding of the matrix product (5e-7).

    query      [T, m], unit rows, T >= 1
    documents  Ragged, or a sequence of [tokens_i, m], unit rows, none empty
    returns    float32 [n], between -T and T; not comparable between queries of different length

    >>> maxsim(np.eye(2), Ragged.of([np.eye(2), [[1.0, 0.0]]])).tolist()
    [2.0, 1.0]

    Source: Khattab & Zaharia 2020, equation 3.
    """
    query_TM = np.asarray(query, dtype=np.float32)
    if query_TM.ndim != 2 or not len(query_TM):
        raise ValueError(f"query is a matrix [tokens, width] with at least one row, got shape {query_TM.shape}.")
    docs = documents if isinstance(documents, Ragged) else Ragged.of(documents, width=query_TM.shape[1])
    if docs.width != query_TM.shape[1]:
        raise ValueError(
            f"the query's vectors have width {query_TM.shape[1]}, the documents' {docs.width}: they come from different encoders."
        )
    scores = np.empty(len(docs), np.float32)
    block_rows = max(1, BLOCK_ROWS * 24 // max(24, len(query_TM)))
    first = 0
    while first < len(docs):  # blocks of whole documents, so that memory does not grow with their number
        last = max(first + 1, int(np.searchsorted(docs.offsets, docs.offsets[first] + block_rows, side="right")) - 1)
        start, stop = docs.offsets[first], docs.offsets[last]
        similarity_TS = query_TM @ docs.data[start:stop].T
        scores[first:last] = np.maximum.reduceat(similarity_TS, docs.offsets[first:last] - start, axis=1).sum(axis=0)
        first = last
    return scores


def cosine(query: npt.ArrayLike, documents: npt.ArrayLike) -> Floats:
    """Dot products of one unit vector [d] with n unit rows [n, d]: float32 [n], between -1 and 1."""
    return np.asarray(documents, np.float32) @ np.asarray(query, np.float32)


def ranked(scores: Mapping[str, float]) -> list[str]:
    """Ids from the highest score to the lowest, equal scores by id: the order never depends on how things were stored.

    >>> ranked({"b": 1.0, "a": 1.0, "c": 2.0})
    ['c', 'a', 'b']
    """
    return sorted(scores, key=lambda id: (-scores[id], id))


def reciprocal_rank_fusion(
    rankings: Mapping[str, Iterable[str]], *, weights: Mapping[str, float] | None = None, k: float = 60.0
) -> dict[str, float]:
    """One score per id from several rankings of ids, best first: the sum over rankings of weight / (k + rank).

    rankings  signal name -> ids, best first; an id that a ranking leaves out gains nothing from it
    weights   signal name -> weight, 1 where not given
    returns   id -> score, the higher the better

    >>> fused = reciprocal_rank_fusion({"text": ["a", "b"], "multi": ["b"]})
    >>> ranked(fused)
    ['b', 'a']

    Source: Cormack, Clarke & Büttcher 2009; k = 60 is theirs.
    """
    fused: dict[str, float] = {}
    for signal, ids in rankings.items():
        weight = (weights or {}).get(signal, 1.0)
        for rank, id in enumerate(ids, start=1):
            fused[id] = fused.get(id, 0.0) + weight / (k + rank)
    return fused
