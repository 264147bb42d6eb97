"""The joint loss: both heads and the bridge between them, over a batch of text pairs and a batch of text and page pairs, in one step.

jina-embeddings-v4, equation 6; with hard negatives as further columns of the scores it is the loss of the second phase (section 4 there).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from unitower.losses import distill, info_nce, matryoshka

Widths: TypeAlias = "Tensor | Mapping[int, Tensor]"
"""Scores [B, M], or width -> scores where vectors are trained to be cut short."""


@dataclass(frozen=True, kw_only=True)
class Scored:
    """One batch of pairs as both heads score it. A column per document; hard negatives are columns too, after the documents.

    dense      cosines [B, M]
    late       late scores [B, M], divided by the query's length
    positives  int64 [B], column of each query's own document; the diagonal where None
    ignored    bool [B, M], True where a score takes no part

    A head may be None where no term with a weight asks for it.
    """

    dense: Widths | None
    late: Widths | None
    positives: Tensor | None = None
    ignored: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class Weights:
    """w1 to w6 of the joint loss, in the paper's order. Its values were not published; 1 is our starting point. 0 leaves a term out."""

    text_dense: float = 1.0
    text_late: float = 1.0
    text_distill: float = 1.0
    pages_dense: float = 1.0
    pages_late: float = 1.0
    pages_distill: float = 1.0

    def __post_init__(self) -> None:
        for name, weight in asdict(self).items():
            if not 0 <= weight < math.inf:
                raise ValueError(f"weight {name} is finite and not negative, got {weight}.")


@dataclass(frozen=True, kw_only=True)
class Joint:
    """The joint loss of a step.

    total  what to differentiate
    parts  name of each term, as in `Weights` -> its value before weighting; terms left out are not there
    """

    total: Tensor
    parts: Mapping[str, Tensor]


def loss(
    *,
    text: Scored | None = None,
    pages: Scored | None = None,
    weights: Weights | None = None,
    temperature: float = 0.02,
    both_ways: bool = False,
    stop_gradient: Literal["dense", "late"] | None = None,
    dense_weights: Mapping[int, float] | None = None,
    late_weights: Mapping[int, float] | None = None,
) -> Joint:
    """InfoNCE of both heads and the divergence between them, for the batches that are given, weighted and added up.

        L = w1 NCE(text dense)  + w2 NCE(text late)  + w3 KL(text dense || text late)
          + w4 NCE(pages dense) + w5 NCE(pages late) + w6 KL(pages dense || pages late)          each a mean over its queries

    text, pages    either may be None (code is trained on text alone); its terms are then left out
    weights        all 1 where None
    both_ways      of InfoNCE, see there
    stop_gradient  of the divergence, see `distill`
    dense_weights  Matryoshka weight of each dense width, 1 where None: NCE and KL of the dense head are summed over its widths
    late_weights   the same for the NCE of the late head's widths. The divergence is always taken from its widest

    The paper wraps the whole loss in Matryoshka, so that the late terms count once per dense width; here they count once, and w2 and
    w5 mean what they say. Hard negatives are part of both distributions of the divergence, on which the paper is silent.

    ValueError where no term is left, or a term's scores are missing.

    >>> scored = Scored(dense=torch.tensor([[3.0, 1.0]]).log(), late=torch.tensor([[1.0, 1.0]]).log())
    >>> joint = loss(text=scored, weights=Weights(text_distill=10.0), temperature=1.0)
    >>> {name: round(value.item(), 4) for name, value in joint.parts.items()}  # ln(4/3), ln 2, 3/4 ln(3/2) + 1/4 ln(1/2)
    {'text_dense': 0.2877, 'text_late': 0.6931, 'text_distill': 0.1308}
    >>> round(joint.total.item(), 4)  # 0.2877 + 0.6931 + 10 * 0.1308
    2.289
    """
    weight_of = asdict(weights or Weights())
    parts: dict[str, Tensor] = {}
    for name, batch in (("text", text), ("pages", pages)):
        if batch is None:
            continue
        nce = partial(info_nce.loss, positives_B=batch.positives, temperature=temperature, both_ways=both_ways, ignored_BM=batch.ignored)
        kl = partial(distill.loss, temperature=temperature, stop_gradient=stop_gradient, ignored_BM=batch.ignored)
        if weight_of[f"{name}_dense"]:
            parts[f"{name}_dense"] = _over_widths(nce, _given(batch.dense, f"{name}_dense"), dense_weights)
        if weight_of[f"{name}_late"]:
            parts[f"{name}_late"] = _over_widths(nce, _given(batch.late, f"{name}_late"), late_weights)
        if weight_of[f"{name}_distill"]:
            widest_BM = _widest(_given(batch.late, f"{name}_distill"))
            parts[f"{name}_distill"] = _over_widths(partial(kl, late_BM=widest_BM), _given(batch.dense, f"{name}_distill"), dense_weights)
    if not parts:
        raise ValueError("the joint loss has no term: give it text, pages or both, and a weight above 0.")
    return Joint(total=torch.stack([weight_of[name] * part for name, part in parts.items()]).sum(), parts=parts)


def _given(scores: Widths | None, term: str) -> Widths:
    if scores is None:
        raise ValueError(f"term {term} needs scores that are None. Give them, or set Weights({term}=0).")
    return scores


def _widest(scores: Widths) -> Tensor:
    return scores[max(scores)] if isinstance(scores, Mapping) else scores


def _over_widths(base: Callable[[Tensor], Tensor], scores: Widths, weights: Mapping[int, float] | None) -> Tensor:
    if isinstance(scores, Mapping):
        return matryoshka.loss(base, scores, weights=weights)
    if weights is not None:
        raise ValueError(f"there are weights for widths {sorted(weights)}, but scores of one width only: give a mapping width -> scores.")
    return base(scores)
