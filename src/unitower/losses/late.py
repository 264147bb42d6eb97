"""Scores of the late head for training: MaxSim of every query with every document, on token vectors packed end to end.

The same numbers as `unitower.scoring.maxsim` (divided by the query's length where asked), with gradients. Neither padding nor masks:
documents of about one length are stacked, the shorter ones repeating their last token, which no maximum notices. The token by token
matrix exists one block at a time; what is kept for the backward pass is which token won, 4 bytes per query token and document.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn

from unitower.losses.checks import full_precision

# B queries, T tokens of all of them; M documents, S tokens of all of them; K token width
# a block: t query tokens against m documents of at most s tokens

BLOCK_SCORES = {"cpu": 1 << 20}
"""Token by token scores held at once. On a CPU a larger block falls out of the cache; elsewhere 1 << 26, which is 256 MB."""

STRETCH = 1.25
"""Documents are stacked with others up to this much longer: at most a fifth of the work is on repeated tokens, and usually far less."""


def scores(
    queries_TK: Tensor, documents_SK: Tensor, *, query_lengths: Sequence[int], document_lengths: Sequence[int], normalised: bool = True
) -> Tensor:
    """Late-interaction score of every query with every document, [B, M].

        s[i, j] = sum over tokens a of query i of the largest dot product of a with any token of document j
        s'[i, j] = s[i, j] / number of tokens of query i

    queries_TK, documents_SK  unit rows, sequences end to end, as the tower gives them
    query_lengths             tokens of each query, adding up to T; none 0
    document_lengths          tokens of each document, adding up to S; none 0
    normalised                s', between -1 and 1, so that queries of different length share a temperature; else s. Training only:
                              the order of a query's documents is the same

    Full precision, also under autocast. Where several tokens tie for the largest, one of them gets the gradient. Can be
    differentiated once. ValueError where lengths and rows do not fit, or a sequence is empty.

    >>> queries, documents = torch.eye(2), torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    >>> scores(queries, documents, query_lengths=[2], document_lengths=[2, 1])  # (1 + 1) / 2 and (.6 + .8) / 2
    tensor([[1.0000, 0.7000]])

    Source: jina-embeddings-v4, equations 1 and 2.
    """
    _fit(queries_TK, query_lengths, "query")
    _fit(documents_SK, document_lengths, "document")
    if queries_TK.shape[1] != documents_SK.shape[1]:
        raise ValueError(f"query and document tokens are of one width, got {tuple(queries_TK.shape)} and {tuple(documents_SK.shape)}.")
    with torch.autocast(queries_TK.device.type, enabled=False):
        tokens = full_precision(queries_TK), full_precision(documents_SK)
        maxsim_BM: Tensor = _MaxSim.apply(*tokens, query_lengths, document_lengths)  # type: ignore[no-untyped-call]
    return maxsim_BM / maxsim_BM.new_tensor(query_lengths)[:, None] if normalised else maxsim_BM


def paired(
    queries_TK: Tensor, documents_SK: Tensor, *, query_lengths: Sequence[int], document_lengths: Sequence[int], normalised: bool = True
) -> Tensor:
    """Late score of each query with the document of its place, [B]: the diagonal of `scores` at a B-th of the work, for graded pairs."""
    _fit(queries_TK, query_lengths, "query")
    _fit(documents_SK, document_lengths, "document")
    if len(query_lengths) != len(document_lengths) or queries_TK.shape[1] != documents_SK.shape[1]:
        raise ValueError(
            f"there is one document per query and tokens are of one width, got {len(query_lengths)} queries with tokens "
            f"{tuple(queries_TK.shape)} and {len(document_lengths)} documents with tokens {tuple(documents_SK.shape)}."
        )
    pairs = zip(torch.split(queries_TK, list(query_lengths)), torch.split(documents_SK, list(document_lengths)), strict=True)
    with torch.autocast(queries_TK.device.type, enabled=False):
        best = [(full_precision(query) @ full_precision(document).T).max(dim=1).values for query, document in pairs]
    return torch.stack([each.mean() if normalised else each.sum() for each in best])


def _fit(tokens: Tensor, lengths: Sequence[int], side: str) -> None:
    if tokens.ndim != 2 or not len(lengths) or min(lengths) < 1 or sum(lengths) != len(tokens):
        raise ValueError(
            f"{side} tokens are rows [tokens, width] of one or more sequences end to end, none empty; got shape {tuple(tokens.shape)} "
            f"for {len(lengths)} lengths from {min(lengths, default=0)} that add up to {sum(lengths)}."
        )


def _stacks(lengths: Sequence[int], columns: int) -> Iterator[list[int]]:
    """Documents to be stacked together: of about one length, and no more than so many tokens unless there is one alone."""
    stack: list[int] = []
    for document in sorted(range(len(lengths)), key=lengths.__getitem__):
        if stack and (lengths[document] > STRETCH * lengths[stack[0]] or lengths[document] * (len(stack) + 1) > columns):
            yield stack
            stack = []
        stack.append(document)
    yield stack


class _MaxSim(torch.autograd.Function):
    """Sums of maxima without the matrix they are taken from: autograd would keep all T x S token scores."""

    @staticmethod
    def forward(
        ctx: Any, queries_TK: Tensor, documents_SK: Tensor, query_lengths: Sequence[int], document_lengths: Sequence[int]
    ) -> Tensor:
        block = BLOCK_SCORES.get(queries_TK.device.type, 1 << 26)
        device = queries_TK.device
        lengths_M = torch.tensor(document_lengths, device=device)
        starts_M = torch.tensor([0, *accumulate(document_lengths)][:-1], device=device)
        lengths_B = torch.tensor(query_lengths, device=device)
        maxsim_BM = queries_TK.new_empty(len(query_lengths), len(document_lengths))
        winners_TM = torch.empty(len(queries_TK), len(document_lengths), dtype=torch.int32, device=device)
        for stack in _stacks(document_lengths, columns=block // 256):
            of_m = torch.tensor(stack, device=device)
            last_m = lengths_M[of_m] - 1
            rows_ms = starts_M[of_m, None] + torch.minimum(torch.arange(document_lengths[stack[-1]], device=device), last_m[:, None])
            documents_nK = documents_SK[rows_ms.flatten()]
            best_Tm = queries_TK.new_empty(len(queries_TK), len(stack))
            t = max(1, block // len(documents_nK))
            for first in range(0, len(queries_TK), t):
                scores_tms = (queries_TK[first : first + t] @ documents_nK.T).view(-1, *rows_ms.shape)
                best_tm, at_tm = scores_tms.max(dim=2)
                best_Tm[first : first + t] = best_tm
                winners_TM[first : first + t, of_m] = rows_ms.gather(1, at_tm.T).T.int()
            maxsim_BM[:, of_m] = torch.segment_reduce(best_Tm, "sum", lengths=lengths_B, axis=0)
        ctx.save_for_backward(queries_TK, documents_SK, winners_TM, lengths_B)
        return maxsim_BM

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient_BM: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        queries_TK, documents_SK, winners_TM, lengths_B = ctx.saved_tensors
        for_queries, for_documents = ctx.needs_input_grad[:2]
        gradient_TK = torch.empty_like(queries_TK) if for_queries else None
        gradient_SK = torch.zeros_like(documents_SK) if for_documents else None
        of_T = torch.repeat_interleave(torch.arange(len(lengths_B), device=lengths_B.device), lengths_B)
        t = max(1, BLOCK_SCORES.get(queries_TK.device.type, 1 << 26) // (winners_TM.shape[1] * queries_TK.shape[1]))
        for first in range(0, len(queries_TK), t):
            rows = slice(first, first + t)
            gradient_tM = gradient_BM[of_T[rows]]
            if gradient_TK is not None:
                gradient_TK[rows] = nn.functional.embedding_bag(winners_TM[rows], documents_SK, per_sample_weights=gradient_tM, mode="sum")
            if gradient_SK is not None:
                each_tMK = gradient_tM[:, :, None] * queries_TK[rows, None]
                gradient_SK.index_add_(0, winners_TM[rows].flatten(), each_tMK.flatten(0, 1))
        return gradient_TK, gradient_SK, None, None
