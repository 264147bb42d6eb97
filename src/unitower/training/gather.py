"""Vectors of all processes on every process, so that a batch's negatives are those of all of them.

Every process gets everybody's vectors, its own with their gradients, and differentiates the loss of the whole batch. The sum of the
processes' parameter gradients is then exactly the gradient of one process with the whole batch.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch import distributed as dist

from unitower.model.embedder import Vectors


def gathered(vectors: Vectors) -> Vectors:
    """Vectors of all processes in the order of their ranks; the same ones where there is one process."""
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return vectors
    device = vectors.dense.device
    lengths = gathered_rows(torch.tensor(vectors.lengths, dtype=torch.long, device=device))
    return Vectors(gathered_rows(vectors.dense), gathered_rows(vectors.tokens), lengths.tolist())


def gathered_rows(rows: Tensor) -> Tensor:
    """Rows of all processes end to end; processes may have different numbers of them."""
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return rows
    world, rank = dist.get_world_size(), dist.get_rank()
    count = torch.tensor([len(rows)], device=rows.device)
    counts = [torch.empty_like(count) for _ in range(world)]
    dist.all_gather(counts, count)
    most = int(max(counts))
    sent = torch.zeros(most, *rows.shape[1:], dtype=rows.dtype, device=rows.device)
    sent[: len(rows)] = rows.detach()
    received = [torch.empty_like(sent) for _ in range(world)]
    dist.all_gather(received, sent)
    return torch.cat([rows if i == rank else each[: int(counts[i])] for i, each in enumerate(received)])


def sum_gradients(parameters: list[Tensor]) -> None:
    """Replace every gradient by the sum of all processes'. A parameter that took no part counts as zero."""
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    flat = torch.cat([parameter.grad.flatten() for parameter in parameters])  # type: ignore[union-attr]
    dist.all_reduce(flat)
    for parameter, piece in zip(parameters, torch.split(flat, [p.numel() for p in parameters]), strict=True):
        parameter.grad.copy_(piece.view_as(parameter))  # type: ignore[union-attr]
