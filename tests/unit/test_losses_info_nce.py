"""InfoNCE, with and without hard negatives, against sums written out and against batches that must count the same."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from unitower.losses import hard_negatives, info_nce
from unitower.losses.checks import false_negatives


def random(*shape: int, seed: int = 0) -> Tensor:
    return 0.2 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def written_out(scores: list[list[float]], positives: list[int], temperature: float, ignored: list[list[bool]] | None = None) -> float:
    """Equation 4 of the paper, term by term."""
    total = 0.0
    for i, row in enumerate(scores):
        left = [math.exp(s / temperature) for k, s in enumerate(row) if not (ignored and ignored[i][k])]
        total -= math.log(math.exp(row[positives[i]] / temperature) / sum(left))
    return total


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 6), st.integers(1, 8), st.floats(0.05, 2.0), st.integers(0, 99), st.data())
def test_it_is_the_equation_for_any_columns_and_masks(rows: int, columns: int, temperature: float, seed: int, data: st.DataObject) -> None:
    scores = random(rows, columns, seed=seed)
    positives = data.draw(st.lists(st.integers(0, columns - 1), min_size=rows, max_size=rows))
    ignored = torch.tensor(data.draw(st.lists(st.booleans(), min_size=rows * columns, max_size=rows * columns))).view(rows, columns)
    ignored[torch.arange(rows), positives] = False
    value = info_nce.loss(scores, torch.tensor(positives), temperature=temperature, ignored_BM=ignored, reduction="sum")
    assert value.item() == pytest.approx(written_out(scores.tolist(), positives, temperature, ignored.tolist()), abs=1e-9)


def test_the_mean_is_the_sum_over_the_number_of_queries() -> None:
    scores = random(5, 7)
    for both_ways in (False, True):
        total = info_nce.loss(scores, both_ways=both_ways, reduction="sum")
        assert info_nce.loss(scores, both_ways=both_ways).item() == pytest.approx(total.item() / 5)


def test_both_ways_adds_the_loss_of_the_transposed_scores() -> None:
    scores = random(4, 4)
    torch.testing.assert_close(info_nce.loss(scores, both_ways=True), info_nce.loss(scores) + info_nce.loss(scores.T))


def test_the_other_way_is_asked_of_own_documents_only() -> None:
    scores = random(3, 5)
    torch.testing.assert_close(info_nce.loss(scores, both_ways=True), info_nce.loss(scores) + info_nce.loss(scores[:, :3].T))


def test_columns_in_another_order_with_their_positives_count_the_same() -> None:
    scores, order = random(4, 7), torch.randperm(7, generator=torch.Generator().manual_seed(3))
    positives = torch.argsort(order)[:4]
    for both_ways in (False, True):
        torch.testing.assert_close(
            info_nce.loss(scores[:, order], positives, both_ways=both_ways), info_nce.loss(scores, both_ways=both_ways)
        )


def test_the_rows_of_two_processes_add_up_to_the_whole_batch() -> None:
    scores = random(6, 6)  # each process holds its own queries against the gathered documents
    parts = [info_nce.loss(scores[rows], rows, reduction="sum") for rows in (torch.arange(2), torch.arange(2, 6))]
    torch.testing.assert_close(sum(parts), info_nce.loss(scores, reduction="sum"))


def test_an_ignored_column_is_as_good_as_cut_out() -> None:
    scores = random(3, 5)
    ignored = torch.zeros(3, 5, dtype=torch.bool)
    ignored[:, 3] = True
    torch.testing.assert_close(info_nce.loss(scores, ignored_BM=ignored), info_nce.loss(scores[:, [0, 1, 2, 4]]))


def test_ignored_scores_get_no_gradient_and_break_none() -> None:
    scores = random(4, 4).requires_grad_()
    ignored = ~torch.eye(4, dtype=torch.bool)
    ignored[0] = False
    info_nce.loss(scores, ignored_BM=ignored, both_ways=True).backward()
    assert scores.grad is not None
    assert scores.grad.isfinite().all()
    assert (scores.grad[ignored] == 0).all()
    assert (scores.grad[0] != 0).all()


def test_nothing_left_to_confuse_is_zero_with_zero_gradient() -> None:
    for scores, ignored in ((random(1, 1), None), (random(3, 3), ~torch.eye(3, dtype=torch.bool))):
        scores.requires_grad_()
        value = info_nce.loss(scores, ignored_BM=ignored, both_ways=True)
        value.backward()
        assert value == 0
        assert scores.grad is not None
        assert (scores.grad == 0).all()


def test_a_small_loss_is_not_lost_to_rounding() -> None:
    scores = torch.tensor([[1.0, 0.75], [0.75, 1.0]])  # logits 50 and 37.5: the loss is ln(1 + exp(-12.5)) = 3.7266e-6
    assert info_nce.loss(scores).item() == pytest.approx(math.log1p(math.exp(-12.5)), rel=0.05)


def test_a_document_of_two_queries_is_no_mistake_for_either() -> None:
    scores = random(3, 2).requires_grad_()  # queries 0 and 2 share column 0
    value = info_nce.loss(scores, torch.tensor([0, 1, 0]), temperature=1.0, both_ways=True, reduction="sum")
    (s00, s01), (s10, s11), (s20, s21) = scores.exp().tolist()
    documents = -math.log(s00 / (s00 + s01)) - math.log(s11 / (s10 + s11)) - math.log(s20 / (s20 + s21))
    queries = -math.log(s00 / (s00 + s10)) - math.log(s11 / (s01 + s11 + s21)) - math.log(s20 / (s20 + s10))
    assert value.item() == pytest.approx(documents + queries)


def test_repeated_documents_and_queries_count_as_if_they_stood_there_once() -> None:
    # rows 0 and 2 are the same query, their documents x and z both answer it; column 3 is a copy of x
    ignored = false_negatives(["a", "b", "a"], ["x", "y", "z", "x"])
    assert ignored.int().tolist() == [[0, 0, 1, 1], [0, 0, 0, 0], [1, 0, 0, 1]]
    scores = random(3, 4)
    value = info_nce.loss(scores, ignored_BM=ignored, temperature=1.0, reduction="sum")
    e = scores.exp().tolist()
    by_hand = [e[0][0] / (e[0][0] + e[0][1]), e[1][1] / sum(e[1]), e[2][2] / (e[2][1] + e[2][2])]
    assert value.item() == pytest.approx(-sum(map(math.log, by_hand)))


def test_false_negatives_of_gathered_batches_know_where_the_own_documents_stand() -> None:
    assert false_negatives(["b"], ["x", "y", "y"], positives=[2]).int().tolist() == [[0, 1, 0]]
    with pytest.raises(ValueError, match=r"columns \[5\]"):
        false_negatives(["b"], ["x", "y"], positives=[5])


@pytest.mark.parametrize(
    ("positives", "told"),
    [
        (torch.tensor([0, 1, 4]), r"column 4 of scores \(3, 4\)"),
        (torch.tensor([0, 1, -1]), r"column -1 of scores \(3, 4\)"),
        (torch.tensor([0, 1, -100]), r"column -100"),  # what torch's cross-entropy would pass over
        (torch.tensor([0, 1]), r"int64 \[3\].*\(2,\)"),
        (torch.tensor([0.0, 1.0, 2.0]), r"float32"),
    ],
)
def test_positives_that_name_no_column_are_refused(positives: Tensor, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        info_nce.loss(random(3, 4), positives)


@pytest.mark.parametrize(
    ("ignored", "told"),
    [
        (torch.eye(3, 4, dtype=torch.bool), r"own document in row 0"),
        (torch.zeros(3, 3, dtype=torch.bool), r"\(3, 4\).*\(3, 3\)"),
        (torch.zeros(4, dtype=torch.bool), r"\(3, 4\).*\(4,\)"),
        (torch.zeros(3, 4), r"bool.*float32"),
    ],
)
def test_masks_that_do_not_fit_or_hide_the_right_answer_are_refused(ignored: Tensor, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        info_nce.loss(random(3, 4), ignored_BM=ignored)


def test_more_queries_than_documents_need_their_positives_named() -> None:
    with pytest.raises(ValueError, match=r"\(3, 2\).*positives_B"):
        info_nce.loss(random(3, 2))


def test_another_reduction_is_refused() -> None:
    with pytest.raises(ValueError, match="'none'"):
        info_nce.loss(random(2, 2), reduction="none")  # type: ignore[arg-type]


def test_hard_negatives_are_the_equation_over_all_documents_and_all_negatives() -> None:
    documents, negatives, t = random(3, 3), random(3, 6, seed=1), 0.1
    total = 0.0
    for i in range(3):
        denominator = sum(math.exp(documents[i, k] / t) + sum(math.exp(negatives[i, 2 * k + j] / t) for j in range(2)) for k in range(3))
        total -= math.log(math.exp(documents[i, i] / t) / denominator)
    assert hard_negatives.loss(documents, negatives, temperature=t, reduction="sum").item() == pytest.approx(total)


def test_without_negatives_it_is_info_nce() -> None:
    scores = random(3, 3)
    for both_ways in (False, True):
        torch.testing.assert_close(
            hard_negatives.loss(scores, torch.empty(3, 0, dtype=torch.float64), both_ways=both_ways),
            info_nce.loss(scores, both_ways=both_ways),
        )


def test_negatives_take_no_part_in_the_other_way() -> None:
    documents, negatives = random(3, 3), random(3, 6, seed=1)
    both = hard_negatives.loss(documents, negatives, both_ways=True)
    torch.testing.assert_close(both, hard_negatives.loss(documents, negatives) + info_nce.loss(documents.T))


def test_the_loss_rises_with_every_negative_also_those_of_other_queries() -> None:
    documents, negatives = random(3, 3), random(3, 6, seed=1).requires_grad_()
    hard_negatives.loss(documents, negatives).backward()
    assert negatives.grad is not None
    assert (negatives.grad > 0).all()


def test_masks_of_documents_and_negatives_are_kept_apart() -> None:
    documents, negatives = random(2, 3), random(2, 4, seed=1)
    ignored, ignored_negatives = torch.zeros(2, 3, dtype=torch.bool), torch.zeros(2, 4, dtype=torch.bool)
    ignored[:, 2] = True
    ignored_negatives[:, [0, 3]] = True
    value = hard_negatives.loss(documents, negatives, ignored_BM=ignored, ignored_negatives_BN=ignored_negatives)
    torch.testing.assert_close(value, hard_negatives.loss(documents[:, :2], negatives[:, 1:3]))
    one = hard_negatives.loss(documents, negatives, ignored_negatives_BN=ignored_negatives)
    torch.testing.assert_close(one, hard_negatives.loss(documents, negatives[:, 1:3]))
    with pytest.raises(ValueError, match=r"\(2, 3\).*\(2, 2\)"):
        hard_negatives.loss(documents, negatives, ignored_BM=ignored[:, :2], ignored_negatives_BN=torch.zeros(2, 5, dtype=torch.bool))


def test_half_precision_negatives_beside_float32_documents_are_counted_in_float32() -> None:
    documents, negatives = random(2, 2).float(), random(2, 4, seed=1).bfloat16()
    value = hard_negatives.loss(documents, negatives)
    torch.testing.assert_close(value, hard_negatives.loss(documents, negatives.float()))
    assert value.dtype == torch.float32


def test_negatives_of_another_number_of_queries_are_refused() -> None:
    with pytest.raises(ValueError, match=r"3 of them.*\(2, 6\)"):
        hard_negatives.loss(random(3, 3), random(2, 6))
