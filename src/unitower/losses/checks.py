"""What every loss asks of its scores: the right shape, float32 or better, and one right column for each query.

B queries, M columns (documents). A mistake here would not crash a training run, it would train the wrong thing; so each is an error.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Literal

import torch
from torch import Tensor


def full_precision(values: Tensor) -> Tensor:
    """The values in float32, float64 where they are float64: at a temperature of 0.02 half precision is too coarse by far.

    ValueError where they are not floating-point numbers.
    """
    if not values.is_floating_point():
        raise ValueError(f"scores and vectors are floating-point tensors, got {values.dtype}.")
    return values if values.dtype == torch.float64 else values.float()


def matrix(scores_BM: Tensor, *, name: str = "scores_BM") -> Tensor:
    """The score matrix in full precision. ValueError where it is no matrix, or has no row or no column."""
    if scores_BM.ndim != 2 or not scores_BM.numel():
        raise ValueError(f"{name} is a matrix [queries, documents] with at least one of each, got shape {tuple(scores_BM.shape)}.")
    return full_precision(scores_BM)


def temperature_of(temperature: float) -> float:
    """The temperature. ValueError where it is not a positive, finite number."""
    if not 0 < temperature < math.inf:
        raise ValueError(f"a temperature is positive and finite, got {temperature}.")
    return temperature


def positive_columns(scores_BM: Tensor, positives_B: Tensor | None) -> Tensor:
    """Column of each query's own document, int64 [B]; the diagonal where None is given."""
    rows, columns = scores_BM.shape
    if positives_B is None:
        if columns < rows:
            raise ValueError(
                f"scores {tuple(scores_BM.shape)} have more queries than documents, so the diagonal cannot hold every query's own "
                "document. Say with positives_B which column does."
            )
        return torch.arange(rows, device=scores_BM.device)
    if positives_B.shape != (rows,) or positives_B.dtype != torch.int64:
        raise ValueError(
            f"positives_B holds one column per query, int64 [{rows}] for scores {tuple(scores_BM.shape)}; "
            f"got {positives_B.dtype} of shape {tuple(positives_B.shape)}."
        )
    outside = (positives_B < 0) | (positives_B >= columns)
    if outside.any():
        raise ValueError(f"positives_B names column {int(positives_B[outside][0])} of scores {tuple(scores_BM.shape)}.")
    return positives_B


def mask(ignored: Tensor, scores: Tensor) -> Tensor:
    """The mask of scores that take no part. ValueError where it is not a bool for each score."""
    if ignored.shape != scores.shape or ignored.dtype != torch.bool:
        raise ValueError(
            f"a mask of ignored scores is bool of their shape {tuple(scores.shape)}; got {ignored.dtype} of shape {tuple(ignored.shape)}."
        )
    return ignored


def reduction_of(reduction: Literal["mean", "sum"]) -> Literal["mean", "sum"]:
    """The reduction. ValueError where it is another word."""
    if reduction not in ("mean", "sum"):
        raise ValueError(f"reduction is 'mean' or 'sum', got {reduction!r}.")
    return reduction


def false_negatives(query_ids: Sequence[Hashable], document_ids: Sequence[Hashable], positives: Sequence[int] | None = None) -> Tensor:
    """Where a column holds a right answer that is not the row's own: bool [B, M], what the losses take as `ignored_BM`.

    A document is a right answer to a query if any row pairs the two, whichever copy of them. Ids are anything that is equal for
    equal contents, the texts themselves or hashes. The mask is on the CPU.

    positives  column of each query's own document; the diagonal where None

    >>> false_negatives(["a", "b", "a"], ["x", "y", "z"]).int().tolist()  # x and z both answer the query that stands there twice
    [[0, 0, 1], [0, 0, 0], [1, 0, 0]]
    >>> false_negatives(["a", "b"], ["x", "x", "y"]).int().tolist()  # one document under two queries
    [[0, 1, 0], [1, 0, 0]]
    """
    own = list(range(len(query_ids))) if positives is None else [int(column) for column in positives]
    if len(own) != len(query_ids) or any(not 0 <= column < len(document_ids) for column in own):
        raise ValueError(f"{len(query_ids)} queries and {len(document_ids)} documents, but the queries' own documents are columns {own}.")
    columns: dict[Hashable, list[int]] = {}
    for column, id in enumerate(document_ids):
        columns.setdefault(id, []).append(column)
    answers: dict[Hashable, set[Hashable]] = {}
    for id, column in zip(query_ids, own, strict=True):
        answers.setdefault(id, set()).add(document_ids[column])
    mask_BM = torch.zeros(len(query_ids), len(document_ids), dtype=torch.bool)
    for row, id in enumerate(query_ids):
        mask_BM[row, [column for answer in answers[id] for column in columns[answer]]] = True
        mask_BM[row, own[row]] = False
    return mask_BM
