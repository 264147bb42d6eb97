"""Late scores of packed tokens: the same as the one definition of MaxSim, with true gradients, in bounded memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from unitower.losses import dense, late
from unitower.scoring import maxsim

lengths = st.lists(st.integers(1, 40), min_size=1, max_size=12)


def tokens(lengths: list[int], *, width: int = 4, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    rows = torch.randn(sum(lengths), width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.nn.functional.normalize(rows, dim=1).to(dtype).requires_grad_()


def one_by_one(queries: Tensor, documents: Tensor, query_lengths: list[int], document_lengths: list[int]) -> Tensor:
    """Every pair by itself, differentiated by autograd."""
    each = [[(q @ d.T).max(dim=1).values.mean() for d in documents.split(document_lengths)] for q in queries.split(query_lengths)]
    return torch.stack([torch.stack(row) for row in each])


@settings(deadline=None, max_examples=60)
@given(lengths, lengths, st.sampled_from([1, 64, 2048, 65_536, 1 << 20]))
def test_scores_and_gradients_are_those_of_every_pair_by_itself(query_lengths: list[int], document_lengths: list[int], block: int) -> None:
    queries, documents = tokens(query_lengths), tokens(document_lengths, seed=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(late.BLOCK_SCORES, "cpu", block)
        scores = late.scores(queries, documents, query_lengths=query_lengths, document_lengths=document_lengths)
        expected = one_by_one(queries, documents, query_lengths, document_lengths)
        torch.testing.assert_close(scores, expected, rtol=1e-12, atol=1e-12)
        upstream = torch.randn(scores.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
        ours = torch.autograd.grad(scores, (queries, documents), upstream)
    theirs = torch.autograd.grad(expected, (queries, documents), upstream)
    for gradient, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(gradient, other, rtol=1e-12, atol=1e-12)


def test_unnormalised_scores_are_those_a_search_computes() -> None:
    query_lengths, document_lengths = [3, 1, 8], [5, 40, 1, 6, 300]
    queries, documents = (
        tokens(n, width=16, seed=s, dtype=torch.float32).detach() for s, n in enumerate((query_lengths, document_lengths))
    )
    scores = late.scores(queries, documents, query_lengths=query_lengths, document_lengths=document_lengths, normalised=False)
    matrices = [each.numpy() for each in documents.split(document_lengths)]
    for query, row in zip(queries.split(query_lengths), scores, strict=True):
        np.testing.assert_allclose(row.numpy(), maxsim(query.numpy(), matrices), rtol=1e-6)


def test_the_length_of_the_query_is_divided_out() -> None:
    query, documents = tokens([3]), tokens([2, 5], seed=1)
    once = late.scores(query, documents, query_lengths=[3], document_lengths=[2, 5])
    twice = late.scores(torch.cat([query, query]), documents, query_lengths=[6], document_lengths=[2, 5])
    torch.testing.assert_close(once, twice)
    torch.testing.assert_close(late.scores(query, query, query_lengths=[3], document_lengths=[3]), torch.ones(1, 1, dtype=torch.float64))


def test_a_document_scores_the_same_alone_and_in_a_batch() -> None:
    queries, documents, of = tokens([3, 4]), tokens([1, 30, 31, 2], seed=1), [1, 30, 31, 2]
    together = late.scores(queries, documents, query_lengths=[3, 4], document_lengths=of)
    for j, document in enumerate(documents.split(of)):
        torch.testing.assert_close(together[:, j : j + 1], late.scores(queries, document, query_lengths=[3, 4], document_lengths=[of[j]]))


def test_similarities_below_zero_stay_below_zero() -> None:
    query, document = torch.tensor([[1.0, 0.0]]), torch.tensor([[-1.0, 0.0], [-0.6, 0.8]])  # padding with zeros would answer 0
    for lengths in ([2], [1, 1]):
        scores = late.scores(query, document, query_lengths=[1], document_lengths=lengths)
        assert scores.max().item() == pytest.approx(-0.6)


def test_the_gradient_is_that_of_finite_differences() -> None:
    queries, documents = tokens([2, 3]), tokens([1, 4, 2], seed=1)
    for normalised in (True, False):
        assert torch.autograd.gradcheck(
            lambda q, d, normalised=normalised: late.scores(q, d, query_lengths=[2, 3], document_lengths=[1, 4, 2], normalised=normalised),
            (queries, documents),
        )


def test_one_side_may_be_frozen() -> None:
    queries, documents = tokens([2, 3]), tokens([1, 4], seed=1)
    both = torch.autograd.grad(late.scores(queries, documents, query_lengths=[2, 3], document_lengths=[1, 4]).sum(), (queries, documents))
    for frozen, expected in ((0, both[1]), (1, both[0])):
        sides = [queries.detach(), documents.detach()]
        sides[1 - frozen].requires_grad_()
        late.scores(*sides, query_lengths=[2, 3], document_lengths=[1, 4]).sum().backward()
        assert sides[frozen].grad is None
        torch.testing.assert_close(sides[1 - frozen].grad, expected)


def test_tokens_that_tie_share_out_one_gradient_in_all() -> None:
    query, document = torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 0.0]] * 3).requires_grad_()
    late.scores(query, document, query_lengths=[1], document_lengths=[3]).sum().backward()
    assert document.grad is not None
    torch.testing.assert_close(document.grad.sum(dim=0), query[0])


def test_a_second_derivative_is_refused_rather_than_wrong() -> None:
    queries, documents = tokens([2]), tokens([3], seed=1)
    score = late.scores(queries, documents, query_lengths=[2], document_lengths=[3]).square().sum()
    (gradient,) = torch.autograd.grad(score, queries, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


class Sizes(TorchDispatchMode):
    """Remembers the largest tensor any operation made."""

    largest = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        self.largest = max([self.largest, *(leaf.numel() for leaf in tree_leaves(made) if isinstance(leaf, Tensor))])
        return made


def test_no_tensor_grows_with_query_tokens_times_document_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(late.BLOCK_SCORES, "cpu", 1 << 14)
    query_lengths, document_lengths = [10] * 30, [400] * 20 + [7] * 20
    queries, documents = tokens(query_lengths, dtype=torch.float32), tokens(document_lengths, seed=1, dtype=torch.float32)
    with Sizes() as sizes:
        late.scores(queries, documents, query_lengths=query_lengths, document_lengths=document_lengths).sum().backward()
    assert sizes.largest <= max(1 << 14, documents.numel())
    assert sizes.largest < len(queries) * len(documents) / 20


def test_half_precision_and_autocast_are_counted_in_float32() -> None:
    queries, documents = tokens([3, 2], dtype=torch.bfloat16).detach(), tokens([4, 9], seed=1, dtype=torch.bfloat16).detach()
    of = {"query_lengths": [3, 2], "document_lengths": [4, 9]}
    exact = late.scores(queries.double(), documents.double(), **of).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        scores = late.scores(queries.float(), documents.float(), **of)
        pairs = late.paired(queries.float(), documents.float(), **of)
        cosines = dense.scores(queries.float(), documents.float())
    for found, expected in (
        (late.scores(queries, documents, **of), exact),
        (scores, exact),
        (pairs, exact.diagonal()),
        (cosines, (queries.double() @ documents.double().T).float()),
    ):
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


def test_half_precision_tokens_get_their_gradient_in_half_precision() -> None:
    queries, documents = tokens([3], dtype=torch.bfloat16), tokens([4], seed=1, dtype=torch.bfloat16)
    late.scores(queries, documents, query_lengths=[3], document_lengths=[4]).sum().backward()
    assert queries.grad is not None
    assert queries.grad.dtype == torch.bfloat16


@pytest.mark.parametrize("normalised", [True, False])
def test_paired_scores_are_the_diagonal_with_its_gradient(normalised: bool) -> None:
    of: dict[str, Any] = {"query_lengths": [3, 1, 5], "document_lengths": [2, 9, 4], "normalised": normalised}
    queries, documents = tokens([3, 1, 5]), tokens([2, 9, 4], seed=1)
    pairs, diagonal = late.paired(queries, documents, **of), late.scores(queries, documents, **of).diagonal()
    torch.testing.assert_close(pairs, diagonal)
    weights = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    for one, other in zip(*(torch.autograd.grad((each * weights).sum(), (queries, documents)) for each in (pairs, diagonal)), strict=True):
        torch.testing.assert_close(one, other)


def test_dense_pairs_are_the_diagonal_of_the_dense_scores() -> None:
    queries, documents = tokens([5]), tokens([5], seed=1)
    torch.testing.assert_close(dense.paired(queries, documents), dense.scores(queries, documents).diagonal())
    with pytest.raises(ValueError, match=r"\(5, 4\) and \(4, 4\)"):
        dense.paired(queries, documents[:4])
    with pytest.raises(ValueError, match=r"\(5, 4\) and \(5, 3\)"):
        dense.scores(queries, documents[:, :3])


@pytest.mark.parametrize(
    ("query_lengths", "document_lengths", "width", "told"),
    [
        ([2, 2], [3], 4, r"query tokens .*\(3, 4\).* add up to 4"),
        ([3, 0], [3], 4, r"query tokens .*from 0"),
        ([4, -1], [3], 4, r"query tokens .*from -1"),
        ([], [3], 4, r"query tokens .*0 lengths"),
        ([3], [2], 4, r"document tokens .*\(3, 4\).* add up to 2"),
        ([3], [], 4, r"document tokens"),
        ([3], [3], 5, r"\(3, 4\) and \(3, 5\)|\(3, 4\).*\(3, 5\)"),
    ],
)
@pytest.mark.parametrize("score", [late.scores, late.paired])
def test_lengths_that_do_not_fit_the_tokens_are_refused(
    score: Any, query_lengths: list[int], document_lengths: list[int], width: int, told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        score(tokens([3]), tokens([3], width=width), query_lengths=query_lengths, document_lengths=document_lengths)


def test_pairs_need_as_many_queries_as_documents() -> None:
    with pytest.raises(ValueError, match=r"1 queries .* 2 documents"):
        late.paired(tokens([3]), tokens([3]), query_lengths=[3], document_lengths=[1, 2])
