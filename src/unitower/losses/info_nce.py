"""InfoNCE: a query should score its own document above every other document of the batch (jina-embeddings-v4, equations 3 and 4).

Columns need not be square with the rows: documents gathered from other processes and hard negatives are further columns.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from unitower.losses import Kind
from unitower.losses.checks import mask, matrix, positive_columns, reduction_of, temperature_of

KIND: Kind = "pairs"


def loss(
    scores_BM: Tensor,
    positives_B: Tensor | None = None,
    *,
    temperature: float = 0.02,
    both_ways: bool = False,
    ignored_BM: Tensor | None = None,
    reduction: Literal["mean", "sum"] = "mean",
) -> Tensor:
    """Cross-entropy of picking each query's own document among the columns, in nats.

        L = - sum over i of ln( exp(s[i, p_i] / t) / sum over k of exp(s[i, k] / t) )        p_i: the column of query i's document

    scores_BM    the higher the better: cosines, or late scores divided by the query's length
    positives_B  int64, p_i; the diagonal where None, further columns being documents of no query here
    temperature  t; 0.02 is the paper's for triplets. For pairs it names none, jina-embeddings-v3 used 0.05
    both_ways    add the same with the sides exchanged: each query's document should score its own query above the other rows'
                 queries (jina-embeddings-v3 trained pairs so; v4 prints one direction). The sum of both, twice their mean. Columns
                 that are no query's own document have no such term. The rows must be all queries of the batch: where only a part of
                 gathered queries are rows, the others are missing here, with no error
    ignored_BM   bool, True where a score takes no part, in either direction: known right answers that are not the row's own
    reduction    "mean" over the queries, so that a learning rate outlives a change of batch size; "sum" is as printed

    With one column, or nothing left to confuse: zero, with zero gradient. A document that is the own one of several rows is no
    mistake for any of them.

    >>> odds = torch.tensor([[3.0, 1.0], [1.0, 7.0]])  # as scores at temperature 1: probabilities 3/4 and 7/8
    >>> round(loss(odds.log(), temperature=1.0, reduction="sum").item(), 4)  # ln(4/3) + ln(8/7) = 0.2877 + 0.1335
    0.4212
    """
    logits_BM = matrix(scores_BM) / temperature_of(temperature)
    positives_B = positive_columns(logits_BM, positives_B)
    if ignored_BM is not None:
        lost_B = mask(ignored_BM, logits_BM).gather(1, positives_B[:, None])[:, 0]
        if lost_B.any():
            raise ValueError(f"ignored_BM leaves out the query's own document in row {int(lost_B.nonzero()[0])}.")
        logits_BM = logits_BM.masked_fill(ignored_BM, -torch.inf)
    documents = nn.functional.cross_entropy(logits_BM, positives_B, reduction=reduction_of(reduction))
    if not both_ways:
        return documents
    own_B = torch.arange(len(positives_B), device=positives_B.device)
    shared_BB = (positives_B[:, None] == positives_B) & (own_B[:, None] != own_B)
    logits_BB = logits_BM.index_select(1, positives_B).T.masked_fill(shared_BB, -torch.inf)  # a row per own document, a column per query
    return documents + nn.functional.cross_entropy(logits_BB, own_B, reduction=reduction)
