"""Matryoshka and the joint loss: sums of what their parts give alone."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from unitower.losses import cosent, dense, distill, info_nce, late, matryoshka
from unitower.losses.joint import Scored, Weights
from unitower.losses.joint import loss as joint_loss


def random(*shape: int, seed: int = 0) -> Tensor:
    return 0.2 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def unit(*shape: int, seed: int = 0) -> Tensor:
    return torch.nn.functional.normalize(random(*shape, seed=seed), dim=-1).requires_grad_()


def test_cut_vectors_are_unit_rows_again_and_the_full_width_changes_nothing() -> None:
    vectors = unit(3, 8)
    torch.testing.assert_close(matryoshka.truncated(vectors, 8), vectors)
    cut = matryoshka.truncated(vectors, 5)
    torch.testing.assert_close(cut.norm(dim=1), torch.ones(3, dtype=torch.float64))
    torch.testing.assert_close(cut, vectors[:, :5] / vectors[:, :5].norm(dim=1, keepdim=True))
    assert torch.autograd.gradcheck(lambda v: matryoshka.truncated(v, 5), vectors)


def test_dense_scores_at_each_width_are_cosines_of_the_cut_vectors() -> None:
    queries, documents = unit(3, 8), unit(4, 8, seed=1)
    scores = matryoshka.scores(dense.scores, queries, documents, widths=[2, 8])
    assert list(scores) == [2, 8]
    expected = torch.nn.functional.cosine_similarity(queries[:, None, :2], documents[None, :, :2], dim=2)
    torch.testing.assert_close(scores[2], expected)


def test_token_vectors_are_cut_the_same_way() -> None:
    of: dict[str, Any] = {"query_lengths": [2, 1], "document_lengths": [3, 4]}
    queries, documents = unit(3, 6), unit(7, 6, seed=1)
    scores = matryoshka.scores(partial(late.scores, **of), queries, documents, widths=[3, 6])
    torch.testing.assert_close(scores[6], late.scores(queries, documents, **of))
    cut = [torch.nn.functional.normalize(each[:, :3], dim=1) for each in (queries, documents)]
    torch.testing.assert_close(scores[3], late.scores(*cut, **of))
    graded = matryoshka.scores(partial(late.paired, **of), queries, documents, widths=[3])
    torch.testing.assert_close(graded[3], scores[3].diagonal())


def test_the_loss_is_the_weighted_sum_over_widths_and_so_is_its_gradient() -> None:
    queries, documents = unit(3, 4), unit(3, 4, seed=1)

    def total(queries: Tensor, documents: Tensor) -> Tensor:
        scores = matryoshka.scores(dense.scores, queries, documents, widths=[1, 2, 4])
        return matryoshka.loss(info_nce.loss, scores, weights={4: 1.0, 2: 0.5, 1: 0.25})

    by_hand = sum(
        weight * info_nce.loss(matryoshka.truncated(queries, width) @ matryoshka.truncated(documents, width).T)
        for width, weight in {1: 0.25, 2: 0.5, 4: 1.0}.items()
    )
    torch.testing.assert_close(total(queries, documents), by_hand)
    assert torch.autograd.gradcheck(lambda q, d: total(q, d), (queries, documents), eps=1e-7, atol=1e-4)


def test_graded_pairs_take_matryoshka_too() -> None:
    queries, documents, grades = unit(4, 4), unit(4, 4, seed=1), torch.tensor([0, 1, 2, 2])
    scores = matryoshka.scores(dense.paired, queries, documents, widths=[2, 4])
    value = matryoshka.loss(lambda each: cosent.loss(each, grades), scores)
    torch.testing.assert_close(value, cosent.loss(scores[2], grades) + cosent.loss(scores[4], grades))


@pytest.mark.parametrize(
    ("widths", "told"),
    [([0], r"width 0 of vectors \(3, 8\)"), ([9], r"width 9 of vectors \(3, 8\)"), ([], "different numbers"), ([4, 4], r"\[4, 4\]")],
)
def test_widths_that_the_vectors_do_not_have_are_refused(widths: list[int], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        matryoshka.scores(dense.scores, unit(3, 8), unit(3, 8), widths=widths)


def test_weights_for_other_widths_are_refused() -> None:
    scores = {2: random(3, 3), 4: random(3, 3)}
    for weights in ({2: 1.0}, {2: 1.0, 4: 1.0, 8: 1.0}):
        with pytest.raises(ValueError, match=r"widths \[2, 4\] and weights for"):
            matryoshka.loss(info_nce.loss, scores, weights=weights)
    with pytest.raises(ValueError, match="weight for each width"):
        matryoshka.loss(info_nce.loss, {})


WEIGHTS = Weights(text_dense=1.0, text_late=0.5, text_distill=2.0, pages_dense=0.25, pages_late=3.0, pages_distill=0.125)


def batches() -> dict[str, Scored]:
    return {
        "text": Scored(dense=random(3, 3), late=random(3, 3, seed=1)),
        "pages": Scored(dense=random(4, 6, seed=2), late=random(4, 6, seed=3)),
    }


@pytest.mark.parametrize("both_ways", [False, True])
def test_the_six_terms_are_what_the_losses_give_alone(both_ways: bool) -> None:
    scored = batches()
    joint = joint_loss(**scored, weights=WEIGHTS, temperature=0.1, both_ways=both_ways)
    expected = {}
    for name, batch in scored.items():
        assert isinstance(batch.dense, Tensor)
        assert isinstance(batch.late, Tensor)
        expected[f"{name}_dense"] = info_nce.loss(batch.dense, temperature=0.1, both_ways=both_ways)
        expected[f"{name}_late"] = info_nce.loss(batch.late, temperature=0.1, both_ways=both_ways)
        expected[f"{name}_distill"] = distill.loss(batch.dense, batch.late, temperature=0.1)
    assert joint.parts == expected
    total = 1.0 * expected["text_dense"] + 0.5 * expected["text_late"] + 2.0 * expected["text_distill"]
    total = total + 0.25 * expected["pages_dense"] + 3.0 * expected["pages_late"] + 0.125 * expected["pages_distill"]
    torch.testing.assert_close(joint.total, total)


def test_each_weight_scales_its_own_term_and_no_other() -> None:
    names = ["text_dense", "text_late", "text_distill", "pages_dense", "pages_late", "pages_distill"]
    for name in names:
        alone = joint_loss(**batches(), weights=Weights(**{each: 7.0 if each == name else 0.0 for each in names}))
        assert list(alone.parts) == [name]
        torch.testing.assert_close(alone.total, 7.0 * joint_loss(**batches()).parts[name])


def test_one_batch_alone_leaves_out_the_terms_of_the_other() -> None:
    scored = batches()
    text = joint_loss(text=scored["text"])
    assert sorted(text.parts) == ["text_dense", "text_distill", "text_late"]
    torch.testing.assert_close(text.total + joint_loss(pages=scored["pages"]).total, joint_loss(**scored).total)


def test_a_head_without_weight_may_be_missing_and_one_with_weight_may_not() -> None:
    dense_only = Scored(dense=random(3, 3), late=None)
    joint = joint_loss(text=dense_only, weights=Weights(text_late=0, text_distill=0))
    torch.testing.assert_close(joint.total, info_nce.loss(random(3, 3)))
    with pytest.raises(ValueError, match=r"term text_late .*text_late=0"):
        joint_loss(text=dense_only)
    with pytest.raises(ValueError, match=r"term text_distill"):
        joint_loss(text=dense_only, weights=Weights(text_late=0))
    with pytest.raises(ValueError, match=r"term pages_dense"):
        joint_loss(pages=Scored(dense=None, late=random(3, 3)))


def test_nothing_to_add_up_is_refused() -> None:
    with pytest.raises(ValueError, match="no term"):
        joint_loss()
    with pytest.raises(ValueError, match="no term"):
        joint_loss(text=batches()["text"], weights=Weights(text_dense=0, text_late=0, text_distill=0))


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_weights_below_zero_or_not_finite_are_refused(weight: float) -> None:
    with pytest.raises(ValueError, match="text_late"):
        Weights(text_late=weight)


def test_positives_and_masks_reach_every_term() -> None:
    scores, other = random(3, 5), random(3, 5, seed=1)
    positives, ignored = torch.tensor([4, 0, 2]), torch.zeros(3, 5, dtype=torch.bool)
    ignored[1, 3] = True
    joint = joint_loss(text=Scored(dense=scores, late=other, positives=positives, ignored=ignored))
    expected = info_nce.loss(scores, positives, ignored_BM=ignored) + info_nce.loss(other, positives, ignored_BM=ignored)
    torch.testing.assert_close(joint.total, expected + distill.loss(scores, other, ignored_BM=ignored))


def test_the_stopped_head_gets_no_gradient_from_the_divergence() -> None:
    dense_scores, late_scores = random(3, 3).requires_grad_(), random(3, 3, seed=1).requires_grad_()
    scored = Scored(dense=dense_scores, late=late_scores)
    joint_loss(text=scored, weights=Weights(text_dense=0, text_late=0), stop_gradient="late").total.backward()
    assert dense_scores.grad is not None
    assert late_scores.grad is None


def test_widths_sum_up_in_the_terms_of_their_head_and_the_divergence_looks_at_the_widest_late_scores() -> None:
    narrow, wide, late_narrow, late_wide = (random(3, 3, seed=seed) for seed in range(4))
    joint = joint_loss(
        text=Scored(dense={4: narrow, 8: wide}, late={16: late_wide, 2: late_narrow}),
        dense_weights={4: 0.5, 8: 1.0},
        late_weights={16: 2.0, 2: 0.25},
    )
    nce, kl = info_nce.loss, distill.loss
    torch.testing.assert_close(joint.parts["text_dense"], 0.5 * nce(narrow) + nce(wide))
    torch.testing.assert_close(joint.parts["text_late"], 2.0 * nce(late_wide) + 0.25 * nce(late_narrow))
    torch.testing.assert_close(joint.parts["text_distill"], 0.5 * kl(narrow, late_wide) + kl(wide, late_wide))


def test_wrapping_the_whole_joint_loss_as_printed_only_multiplies_the_late_weights() -> None:
    scores, late_scores = {4: random(3, 3), 8: random(3, 3, seed=1)}, random(3, 3, seed=2)
    printed = matryoshka.loss(lambda each: joint_loss(text=Scored(dense=each, late=late_scores)).total, scores, weights={4: 0.5, 8: 1.0})
    ours = joint_loss(text=Scored(dense=scores, late=late_scores), weights=Weights(text_late=1.5), dense_weights={4: 0.5, 8: 1.0})
    torch.testing.assert_close(ours.total, printed)


def test_weights_for_widths_without_scores_at_widths_are_refused() -> None:
    with pytest.raises(ValueError, match=r"widths \[4, 8\]"):
        joint_loss(text=batches()["text"], dense_weights={4: 1.0, 8: 1.0})
    with pytest.raises(ValueError, match=r"widths \[2\]"):
        joint_loss(text=batches()["text"], late_weights={2: 1.0})


def test_both_batches_are_trained_in_one_step() -> None:
    heads = [random(3, 3, seed=seed).requires_grad_() for seed in range(4)]
    joint_loss(text=Scored(dense=heads[0], late=heads[1]), pages=Scored(dense=heads[2], late=heads[3])).total.backward()
    for each in heads:
        assert each.grad is not None
        assert (each.grad != 0).all()
