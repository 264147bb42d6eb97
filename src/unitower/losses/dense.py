"""Scores of the dense head: cosines of unit vectors, every query against every document or pair by pair."""

from __future__ import annotations

import torch
from torch import Tensor

from unitower.losses.checks import full_precision


def scores(queries_BD: Tensor, documents_MD: Tensor) -> Tensor:
    """Cosine of every query with every document, [B, M]; rows are unit vectors. Full precision, also under autocast.

    >>> scores(torch.eye(2), torch.tensor([[0.6, 0.8]])).tolist()
    [[0.6000000238418579], [0.800000011920929]]
    """
    if queries_BD.ndim != 2 or documents_MD.ndim != 2 or queries_BD.shape[1] != documents_MD.shape[1]:
        raise ValueError(f"queries and documents are rows of one width, got {tuple(queries_BD.shape)} and {tuple(documents_MD.shape)}.")
    with torch.autocast(queries_BD.device.type, enabled=False):
        return full_precision(queries_BD) @ full_precision(documents_MD).T


def paired(queries_BD: Tensor, documents_BD: Tensor) -> Tensor:
    """Cosine of each query with the document of its row, [B]: the diagonal of `scores`, for graded pairs."""
    if queries_BD.ndim != 2 or queries_BD.shape != documents_BD.shape:
        raise ValueError(f"there is one document per query, got {tuple(queries_BD.shape)} and {tuple(documents_BD.shape)}.")
    return (full_precision(queries_BD) * full_precision(documents_BD)).sum(dim=1)
