"""Token sequences end to end, rounded up to a few lengths: how the lessons put many short texts through the decoder.

Sequences of one length attend in one call, so that a batch of a hundred texts takes eight calls and not a hundred. The rows that round a
sequence up lie behind it, where causal attention keeps them from being seen, and are left out of its vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from unitower.model.adapters import Route
from unitower.model.embedder import Embedder

STEP = 8
"""Lengths are multiples of this."""


@dataclass(frozen=True)
class Packed:
    """n sequences, the shorter first.

    ids      int32, end to end
    lengths  rows of each, rounded up
    real     rows of each that are its own
    order    which sequence each is
    """

    ids: npt.NDArray[np.int32]
    lengths: list[int]
    real: list[int]
    order: list[int]


def pack(sequences: Sequence[Sequence[int]]) -> Packed:
    """
    >>> pack([[7] * 9, [5, 6]]).lengths
    [8, 16]
    """
    order = sorted(range(len(sequences)), key=lambda i: len(sequences[i]))
    real = [len(sequences[i]) for i in order]
    lengths = [-(-n // STEP) * STEP for n in real]
    rows = [[*sequences[i], *[0] * (length - len(sequences[i]))] for i, length in zip(order, lengths, strict=True)]
    return Packed(np.concatenate([np.array(row, np.int32) for row in rows]), lengths, real, order)


@dataclass(frozen=True)
class TextVectors:
    """Vectors of n texts in the order they were given.

    dense   float32 [n, hidden], unit rows
    tokens  float32 [n, longest, m], unit rows, zero where a text has ended
    real    bool [n, longest]
    """

    dense: Tensor
    tokens: Tensor
    real: Tensor

    def __getitem__(self, some: slice) -> TextVectors:
        return TextVectors(self.dense[some], self.tokens[some], self.real[some])


def text_vectors(embedder: Embedder, packed: Packed, route: Route) -> TextVectors:
    """Both vectors of every text, with gradients."""
    device, n, longest = embedder.device, len(packed.lengths), max(packed.lengths)
    lengths = torch.tensor(packed.lengths)
    row = torch.repeat_interleave(torch.arange(n), lengths).to(device)
    column = torch.cat([torch.arange(length) for length in packed.lengths]).to(device)
    ids = torch.from_numpy(packed.ids).long().to(device)
    hidden = embedder.decoder(embedder.decoder.embed_tokens(ids), column.expand(3, -1), packed.lengths, route)
    unit = F.normalize(embedder.projector(hidden, route).float(), dim=-1)

    own = column < torch.tensor(packed.real, device=device)[row]
    tokens = unit.new_zeros(n, longest, unit.shape[1]).index_put((row, column), unit * own[:, None])
    real = torch.zeros(n, longest, dtype=torch.bool, device=device).index_put((row, column), own)
    sums = hidden.new_zeros(n, hidden.shape[1], dtype=torch.float32).index_add(0, row, hidden.float() * own[:, None])
    back = torch.argsort(torch.tensor(packed.order)).to(device)
    return TextVectors(F.normalize(sums, dim=-1)[back], tokens[back], real[back])


def late_scores(query_QTK: Tensor, query_real: Tensor, document_NSK: Tensor, document_real: Tensor | None = None) -> Tensor:
    """Mean over a query's tokens of the best similarity with a document's tokens: [Q, N], between -1 and 1.

    The mean in place of MaxSim's sum (scoring.py), so that one temperature fits queries of any length; the order is the same.
    """
    queries, tokens, width = query_QTK.shape
    documents, rows, _ = document_NSK.shape
    if document_real is None and rows > width:
        with torch.no_grad():  # which token is best needs no way back, which would take most of the time
            similar = query_QTK.reshape(-1, width).bfloat16() @ document_NSK.reshape(-1, width).bfloat16().T
            nearest = similar.view(-1, documents, rows).max(-1).indices  # argmax takes four times as long in bfloat16
        of_document = document_NSK[torch.arange(documents, device=nearest.device), nearest].float()  # [queries x tokens, documents, width]
        best = torch.einsum("tnk,tk->tn", of_document, query_QTK.reshape(-1, width)).view(queries, tokens, documents)
        best = best * query_real[:, :, None]
        return best.sum(1) / query_real.sum(1)[:, None]
    similar = query_QTK.reshape(-1, width).bfloat16() @ document_NSK.reshape(-1, width).bfloat16().T
    similar = similar.view(queries, tokens, documents, rows)
    if document_real is not None:
        similar = similar.masked_fill(~document_real[None, None], -2.0)
    best = similar.amax(-1).float() * query_real[:, :, None]
    return best.sum(1) / query_real.sum(1)[:, None]
