"""Distillation between the heads: dense and late scores should spread their probability alike (jina-embeddings-v4, equation 5).

Late scores err far less than dense ones. Bringing the two distributions together balances them, so that both heads can be trained in
one step.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from unitower.losses import Kind
from unitower.losses.checks import mask, matrix, reduction_of, temperature_of

KIND: Kind = "heads"


def loss(
    dense_BM: Tensor,
    late_BM: Tensor,
    *,
    temperature: float = 0.02,
    stop_gradient: Literal["dense", "late"] | None = None,
    ignored_BM: Tensor | None = None,
    reduction: Literal["mean", "sum"] = "mean",
) -> Tensor:
    """Kullback-Leibler divergence of the late from the dense distribution of every query over the columns, in nats.

        L = KL(P || Q) = sum over i and j of P[i, j] ln( P[i, j] / Q[i, j] )    P, Q: softmax of a row of dense / t, late / t

    dense_BM       cosines
    late_BM        late scores divided by the query's length, so that one temperature serves both
    temperature    t, the same for both heads, as in the paper
    stop_gradient  the head whose scores are taken as given. None, as the paper prints it, moves both towards each other; "late" makes
                   the dense head follow the late one
    ignored_BM     bool, True where a score takes no part in either distribution; every row keeps at least one
    reduction      "mean" over the queries, or "sum" as printed

    Zero exactly where both distributions agree, which they always do over one column; never negative but for rounding.

    >>> dense, late = torch.tensor([[3.0, 1.0]]).log(), torch.tensor([[1.0, 1.0]]).log()
    >>> round(loss(dense, late, temperature=1.0).item(), 4)  # 3/4 ln(3/2) + 1/4 ln(1/2) = 0.3041 - 0.1733
    0.1308
    """
    dense_BM, late_BM = matrix(dense_BM, name="dense_BM"), matrix(late_BM, name="late_BM")
    if dense_BM.shape != late_BM.shape:
        raise ValueError(f"both heads score the same pairs, got dense {tuple(dense_BM.shape)} and late {tuple(late_BM.shape)}.")
    if stop_gradient == "dense":
        dense_BM = dense_BM.detach()
    elif stop_gradient == "late":
        late_BM = late_BM.detach()
    elif stop_gradient is not None:
        raise ValueError(f"stop_gradient is 'dense', 'late' or None, got {stop_gradient!r}.")
    dense_BM, late_BM = dense_BM / temperature_of(temperature), late_BM / temperature
    if ignored_BM is not None:
        mask(ignored_BM, dense_BM)
        if ignored_BM.all(dim=1).any():
            raise ValueError(f"ignored_BM leaves out every document in row {int(ignored_BM.all(dim=1).nonzero()[0])}.")
        dense_BM, late_BM = (logits_BM.masked_fill(ignored_BM, -torch.inf) for logits_BM in (dense_BM, late_BM))
    ln_p_BM, ln_q_BM = nn.functional.log_softmax(dense_BM, dim=1), nn.functional.log_softmax(late_BM, dim=1)
    ratio_BM = ln_p_BM - ln_q_BM
    if ignored_BM is not None:
        ratio_BM = ratio_BM.masked_fill(ignored_BM, 0.0)  # -inf less -inf; its weight is zero
    divergence_B = (ln_p_BM.exp() * ratio_BM).sum(dim=1)
    return divergence_B.mean() if reduction_of(reduction) == "mean" else divergence_B.sum()
