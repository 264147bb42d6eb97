"""From hidden states to vectors: mean pooling, truncation, and unit rows."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def pooled(hidden_NC: Tensor, spans: Sequence[tuple[int, int]]) -> Tensor:
    """Mean of the rows of each span, as unit rows: float32 [n, C]. A span is (first row, row after the last)."""
    return F.normalize(torch.stack([hidden_NC[first:last].float().mean(0) for first, last in spans]), dim=-1)


def truncated(dense_ND: Tensor, width: int | None) -> Tensor:
    """The first `width` columns of unit rows, made unit rows again; all of them where width is None. Source: Kusupati et al. 2022."""
    return dense_ND if width is None or width == dense_ND.shape[-1] else F.normalize(dense_ND[..., :width], dim=-1)
