"""Matryoshka: a loss at several widths of the same vectors, so that they can be cut short (Kusupati et al. 2022).

jina-embeddings-v4 does it over the dense vector (section 4: 128 to 2048 columns, in both phases). The token vectors of the late head
can be trained the same way, which the paper does not do: their score is a function of vectors like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import torch
from torch import Tensor, nn

from unitower.losses.checks import full_precision

DENSE_WIDTHS = (128, 256, 512, 1024, 2048)
"""Columns the released model's dense vector may be cut to."""


def truncated(vectors_ND: Tensor, width: int) -> Tensor:
    """The first `width` columns, made unit rows again, in full precision.

    >>> truncated(torch.tensor([[0.6, 0.0, 0.8]]), 2).tolist()
    [[1.0, 0.0]]
    """
    if vectors_ND.ndim != 2 or not 1 <= width <= vectors_ND.shape[1]:
        raise ValueError(f"a width is between 1 and the vectors' own, got width {width} of vectors {tuple(vectors_ND.shape)}.")
    return nn.functional.normalize(full_precision(vectors_ND[:, :width]), dim=1)


def scores(score: Callable[[Tensor, Tensor], Tensor], queries: Tensor, documents: Tensor, *, widths: Collection[int]) -> dict[int, Tensor]:
    """Scores at each width: width -> score(queries, documents), both cut and made unit rows again.

    score  `dense.scores` or `dense.paired`; of token vectors, `late.scores` or `late.paired` with their lengths filled in
    widths  none twice; the full width counts only if it is named

    >>> from unitower.losses import dense
    >>> queries, documents = torch.tensor([[0.6, 0.8]]), torch.tensor([[1.0, 0.0]])
    >>> {width: round(each.item(), 4) for width, each in scores(dense.scores, queries, documents, widths=[1, 2]).items()}
    {1: 1.0, 2: 0.6}
    """
    if not widths or len(set(widths)) != len(widths):
        raise ValueError(f"widths are one or more different numbers of columns, got {list(widths)}.")
    return {width: score(truncated(queries, width), truncated(documents, width)) for width in widths}


def loss(base: Callable[[Tensor], Tensor], scores: Mapping[int, Tensor], *, weights: Mapping[int, float] | None = None) -> Tensor:
    """A loss of scores, summed over the widths they were made at.

        L = sum over widths d of c[d] base(scores at width d)

    base     e.g. `info_nce.loss`, with its options filled in
    scores   width -> scores, see `scores`
    weights  c by width, one for each; 1 where None, which is the usual choice (the paper names none)

    >>> round(loss(torch.sum, {1: torch.tensor(2.0), 2: torch.tensor(3.0)}, weights={1: 0.5, 2: 1.0}).item(), 4)  # 0.5 * 2 + 3
    4.0
    """
    if not scores or (weights is not None and set(weights) != set(scores)):
        raise ValueError(f"there is a weight for each width, got widths {sorted(scores)} and weights for {sorted(weights or {})}.")
    return torch.stack([base(each) * (1.0 if weights is None else weights[width]) for width, each in scores.items()]).sum()
