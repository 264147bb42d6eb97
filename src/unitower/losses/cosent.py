"""CoSENT: graded pairs should be ranked by their grade (Su 2022; jina-embeddings-v4, equation 8, text-matching phase).

The paper prints (exp(s2) - exp(s1)) / t inside the logarithm, which may be negative there; this is the standard form.
"""

from __future__ import annotations

import torch
from torch import Tensor

from unitower.losses import Kind
from unitower.losses.checks import full_precision, temperature_of

KIND: Kind = "grades"


def loss(scores_B: Tensor, grades_B: Tensor, *, temperature: float = 0.05) -> Tensor:
    """How far lower-graded pairs are scored above higher-graded ones.

        L = ln( 1 + sum over couples of pairs with grade[i] < grade[j] of exp((s[i] - s[j]) / t) )

    scores_B     one score per pair, the higher the more alike
    grades_B     their grades, on any scale, the higher the more alike; only their order counts
    temperature  t; the original's 0.05. jina-embeddings-v4 names none for this phase

    Pairs of equal grade are not compared. Where all grades are equal, or there is one pair or none: zero, with zero gradient.
    ValueError where a grade is NaN: it would drop out of every comparison unseen. Memory grows with B squared.

    >>> round(loss(torch.tensor([3.0, 1.0]).log(), torch.tensor([0, 1]), temperature=1.0).item(), 4)  # ln(1 + 3/1)
    1.3863
    >>> round(loss(torch.tensor([3.0, 1.0]).log(), torch.tensor([1, 0]), temperature=1.0).item(), 4)  # ln(1 + 1/3)
    0.2877
    """
    if scores_B.ndim != 1 or grades_B.shape != scores_B.shape:
        raise ValueError(f"there is one score and one grade per pair, got shapes {tuple(scores_B.shape)} and {tuple(grades_B.shape)}.")
    if grades_B.isnan().any():
        raise ValueError(f"grade {int(grades_B.isnan().nonzero()[0])} is NaN: leave ungraded pairs out of the batch.")
    logits_B = full_precision(scores_B) / temperature_of(temperature)
    gaps_BB = logits_B[:, None] - logits_B
    wrong_way = gaps_BB[grades_B[:, None] < grades_B]
    return torch.logsumexp(torch.cat([logits_B.new_zeros(1), wrong_way]), dim=0)
