"""The same losses as sentence-transformers computes them, values and gradients, on stand-ins for its models."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from unitower.losses import cosent, dense, distill, hard_negatives, info_nce, late, matryoshka

WIDTH = 12


class Dense(nn.Module):
    """A model whose features are its embeddings."""

    def forward(self, features: dict[str, Any]) -> dict[str, Any]:
        return {"sentence_embedding": features["vectors"]}

    def get_embedding_dimension(self) -> int:
        return WIDTH


class Late(nn.Module):
    """A multi-vector model whose features are its token embeddings, padded, with their mask."""

    def forward(self, features: dict[str, Any], task: str | None = None) -> dict[str, Any]:
        return {"token_embeddings": features["vectors"], "attention_mask": features["mask"]}


def rows(*shape: int, seed: int) -> Tensor:
    """Vectors of any length, to be differentiated: their losses normalise for themselves, ours are given `unit` rows."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).requires_grad_()


def unit(vectors: Tensor) -> Tensor:
    return nn.functional.normalize(vectors, dim=-1)


def cosines(queries: Tensor, documents: Tensor) -> Tensor:
    return dense.scores(unit(queries), unit(documents))


def padded(tokens: Tensor, lengths: list[int]) -> dict[str, Tensor]:
    """Features of `Late`: matrices of packed tokens, padded to the longest."""
    matrices = nn.utils.rnn.pad_sequence(tokens.split(lengths), batch_first=True)
    return {"vectors": matrices, "mask": torch.arange(matrices.shape[1])[None] < torch.tensor(lengths)[:, None]}


def same(ours: Tensor, theirs: Tensor, *vectors: Tensor) -> None:
    """Equal values and equal gradients of the vectors, to float32."""
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    for one, other in zip(torch.autograd.grad(ours, vectors), torch.autograd.grad(theirs, vectors), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def columns(*vectors: Tensor) -> list[dict[str, Tensor]]:
    return [{"vectors": each} for each in vectors]


@pytest.fixture(scope="module")
def theirs() -> Any:
    from sentence_transformers.sentence_transformer import losses

    return losses


@pytest.fixture(scope="module")
def theirs_late() -> Any:
    from sentence_transformers.multi_vector_encoder import losses

    return losses


def test_info_nce_is_their_multiple_negatives_ranking_loss(theirs: Any) -> None:
    queries, documents = rows(6, WIDTH, seed=0), rows(6, WIDTH, seed=1)
    expected = theirs.MultipleNegativesRankingLoss(Dense(), scale=50.0)(columns(queries, documents), torch.tensor([]))
    same(info_nce.loss(cosines(queries, documents), temperature=0.02), expected, queries, documents)


def test_info_nce_both_ways_is_twice_their_symmetric_one(theirs: Any) -> None:
    queries, documents = rows(6, WIDTH, seed=0), rows(6, WIDTH, seed=1)
    symmetric = theirs.MultipleNegativesRankingLoss(
        Dense(), scale=20.0, directions=("query_to_doc", "doc_to_query"), partition_mode="per_direction"
    )
    expected = 2 * symmetric(columns(queries, documents), torch.tensor([]))
    same(info_nce.loss(cosines(queries, documents), temperature=0.05, both_ways=True), expected, queries, documents)


@pytest.mark.parametrize("both_ways", [False, True])
def test_hard_negatives_are_theirs(theirs: Any, both_ways: bool) -> None:
    queries, documents, first, second = (rows(5, WIDTH, seed=seed) for seed in range(4))
    directions = {"directions": ("query_to_doc", "doc_to_query"), "partition_mode": "per_direction"} if both_ways else {}
    expected = theirs.MultipleNegativesRankingLoss(Dense(), scale=20.0, **directions)(
        columns(queries, documents, first, second), torch.tensor([])
    )
    ours = hard_negatives.loss(
        cosines(queries, documents), cosines(queries, torch.cat([first, second])), temperature=0.05, both_ways=both_ways
    )
    same(ours, expected * (2 if both_ways else 1), queries, documents, first, second)


@pytest.mark.parametrize("grades", [[0.1, 0.9, 0.4, 0.4, 1.0, 0.0], [0.5] * 6, [0, 1, 0, 1, 1, 0]])
def test_cosent_is_theirs(theirs: Any, grades: list[float]) -> None:
    queries, documents, grades_B = rows(6, WIDTH, seed=0), rows(6, WIDTH, seed=1), torch.tensor(grades)
    expected = theirs.CoSENTLoss(Dense())(columns(queries, documents), grades_B)
    same(cosent.loss(dense.paired(unit(queries), unit(documents)), grades_B, temperature=0.05), expected, queries, documents)


def test_matryoshka_is_theirs(theirs: Any) -> None:
    queries, documents = rows(6, WIDTH, seed=0), rows(6, WIDTH, seed=1)
    model, weights = Dense(), {12: 1.0, 6: 0.5, 3: 0.25}
    ranking = theirs.MultipleNegativesRankingLoss(model, scale=20.0)
    wrapped = theirs.MatryoshkaLoss(model, ranking, list(weights), list(weights.values()))
    expected = wrapped(columns(queries, documents), torch.tensor([]))
    scores = matryoshka.scores(dense.scores, queries, documents, widths=weights)
    same(matryoshka.loss(partial(info_nce.loss, temperature=0.05), scores, weights=weights), expected, queries, documents)


def test_matryoshka_of_cosent_is_theirs_and_a_width_weighs_one_by_default(theirs: Any) -> None:
    queries, documents, grades = rows(6, WIDTH, seed=0), rows(6, WIDTH, seed=1), torch.arange(6.0)
    model = Dense()
    expected = theirs.MatryoshkaLoss(model, theirs.CoSENTLoss(model), [12, 4])(columns(queries, documents), grades)
    scores = matryoshka.scores(dense.paired, queries, documents, widths=[12, 4])
    same(matryoshka.loss(partial(cosent.loss, grades_B=grades), scores), expected, queries, documents)


def test_distillation_with_the_dense_head_held_is_their_divergence(theirs: Any) -> None:
    queries, *documents = (rows(5, WIDTH, seed=seed) for seed in range(5))
    given = torch.randn(5, 4, generator=torch.Generator().manual_seed(9)) * 0.3
    divergence = theirs.DistillKLDivLoss(Dense(), temperature=0.5)(columns(queries, *documents), given)
    scores = torch.stack([dense.paired(queries, each) for each in documents], dim=1)
    ours = distill.loss(given, scores, temperature=0.5, stop_gradient="dense")
    same(ours, divergence / 0.5**2, queries, *documents)  # they multiply by the squared temperature


def test_late_scores_are_their_mean_maxsim() -> None:
    from sentence_transformers.util.similarity import maxsim

    query_lengths, document_lengths = [3, 7, 1], [4, 30, 9, 1]
    queries, documents = rows(11, WIDTH, seed=0), rows(44, WIDTH, seed=1)
    expected = maxsim(list(queries.split(query_lengths)), list(documents.split(document_lengths)), length_normalize=True)
    ours = late.scores(queries, documents, query_lengths=query_lengths, document_lengths=document_lengths)
    torch.testing.assert_close(ours, expected)
    same(ours.square().sum(), expected.square().sum(), queries, documents)


def test_late_info_nce_is_their_multi_vector_ranking_loss(theirs_late: Any) -> None:
    query_lengths, document_lengths, negative_lengths = [3, 7, 1], [4, 20, 9], [5, 2, 11]
    queries, documents, negatives = rows(11, WIDTH, seed=0), rows(33, WIDTH, seed=1), rows(18, WIDTH, seed=2)
    features = [padded(queries, query_lengths), padded(documents, document_lengths), padded(negatives, negative_lengths)]
    expected = theirs_late.MultiVectorMultipleNegativesRankingLoss(Late(), scale=1.0)(features)
    of = partial(late.scores, queries, query_lengths=query_lengths, normalised=False)
    ours = hard_negatives.loss(
        of(documents, document_lengths=document_lengths), of(negatives, document_lengths=negative_lengths), temperature=1.0
    )
    same(ours, expected, queries, documents, negatives)
