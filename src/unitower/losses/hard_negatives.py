"""InfoNCE with hard negatives: every query against every document and every query's negatives (jina-embeddings-v4, equation 7).

It takes the place of InfoNCE in the second phase. As a matrix it is InfoNCE with the negatives as further columns, which is also how
the joint loss takes them.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from unitower.losses import Kind, info_nce
from unitower.losses.checks import full_precision, mask, matrix, positive_columns

KIND: Kind = "triplets"


def loss(
    scores_BM: Tensor,
    negatives_BN: Tensor,
    positives_B: Tensor | None = None,
    *,
    temperature: float = 0.02,
    both_ways: bool = False,
    ignored_BM: Tensor | None = None,
    ignored_negatives_BN: Tensor | None = None,
    reduction: Literal["mean", "sum"] = "mean",
) -> Tensor:
    """Cross-entropy of picking each query's own document among all documents and all hard negatives of the batch, in nats.

        L = - sum over i of ln( exp(s[i, p_i] / t) / ( sum over k of exp(s[i, k] / t) + sum over n of exp(s'[i, n] / t) ) )

    scores_BM             s, queries against documents
    negatives_BN          s', queries against the negatives of all queries, in any order; N may be 0 and need not be a multiple of B
    ignored_negatives_BN  bool, as ignored_BM, for negatives that are right for some other query of the batch

    The other arguments are those of `info_nce`. With `both_ways` the negatives take no part in the second direction: they have no
    query of their own.

    >>> scores = torch.tensor([[3.0, 1.0], [1.0, 3.0]]).log()
    >>> round(loss(scores, torch.tensor([[2.0], [4.0]]).log(), temperature=1.0, reduction="sum").item(), 4)  # ln(6/3) + ln(8/3)
    1.674
    """
    scores_BM = matrix(scores_BM)
    if negatives_BN.ndim != 2 or len(negatives_BN) != len(scores_BM):
        raise ValueError(f"negatives_BN has a row per query, {len(scores_BM)} of them; got shape {tuple(negatives_BN.shape)}.")
    positives_B = positive_columns(scores_BM, positives_B)
    ignored = None
    if ignored_BM is not None or ignored_negatives_BN is not None:
        masks = zip((scores_BM, negatives_BN), (ignored_BM, ignored_negatives_BN), strict=True)
        ignored = torch.cat(
            [torch.zeros_like(scores, dtype=torch.bool) if chosen is None else mask(chosen, scores) for scores, chosen in masks], dim=1
        )
    return info_nce.loss(
        torch.cat([scores_BM, full_precision(negatives_BN)], dim=1),
        positives_B,
        temperature=temperature,
        both_ways=both_ways,
        ignored_BM=ignored,
        reduction=reduction,
    )
