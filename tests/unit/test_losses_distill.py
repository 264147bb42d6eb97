"""The divergence between the heads: by hand, against torch's own, and who moves whom."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from unitower.losses import distill


def heads(rows: int = 3, columns: int = 4) -> tuple[Tensor, Tensor]:
    dense, late = 0.2 * torch.randn(2, rows, columns, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return dense.requires_grad_(), late.requires_grad_()


def test_it_is_the_divergence_of_late_from_dense_and_not_the_other_way_round() -> None:
    dense, late = heads()
    p, q = torch.softmax(dense / 0.1, dim=1), torch.softmax(late / 0.1, dim=1)
    value = distill.loss(dense, late, temperature=0.1, reduction="sum")
    torch.testing.assert_close(value, torch.distributions.kl_divergence(*map(torch.distributions.Categorical, (p, q))).sum())
    torch.testing.assert_close(value / 3, distill.loss(dense, late, temperature=0.1))
    assert value.item() != pytest.approx(distill.loss(late, dense, temperature=0.1, reduction="sum").item(), rel=1e-3)


def test_equal_heads_have_no_divergence_and_no_gradient() -> None:
    dense, _ = heads()
    value = distill.loss(dense, dense.detach().clone())
    value.backward()
    assert value == 0
    assert dense.grad is not None
    assert dense.grad.abs().max() < 1e-12


def test_a_shift_of_all_scores_of_a_row_changes_nothing() -> None:
    dense, late = heads()
    torch.testing.assert_close(distill.loss(dense, late + torch.tensor([[1.0], [-2.0], [0.5]])), distill.loss(dense, late))


def test_stopping_the_gradient_of_one_head_leaves_the_others_as_it_was() -> None:
    dense, late = heads()
    both = torch.autograd.grad(distill.loss(dense, late), (dense, late))
    for stopped, moving, expected in (("dense", late, both[1]), ("late", dense, both[0])):
        value = distill.loss(dense, late, stop_gradient=stopped)  # type: ignore[arg-type]
        still = dense if moving is late else late
        gradient, nothing = torch.autograd.grad(value, (moving, still), allow_unused=True)
        torch.testing.assert_close(gradient, expected)
        assert nothing is None
        assert value == distill.loss(dense, late)
        torch.autograd.gradcheck(
            lambda head, stopped=stopped, moving=moving: distill.loss(
                *((dense, head) if moving is late else (head, late)), temperature=0.1, stop_gradient=stopped
            ),
            moving,
        )


def test_ignored_scores_take_no_part_in_either_distribution() -> None:
    dense, late = heads()
    ignored = torch.zeros(3, 4, dtype=torch.bool)
    ignored[:, 1] = True
    value = distill.loss(dense, late, ignored_BM=ignored)
    torch.testing.assert_close(value, distill.loss(dense[:, [0, 2, 3]], late[:, [0, 2, 3]]))
    for gradient in torch.autograd.grad(value, (dense, late)):
        assert gradient.isfinite().all()
        assert (gradient[ignored] == 0).all()
    assert torch.autograd.gradcheck(lambda d, lt: distill.loss(d, lt, temperature=0.1, ignored_BM=ignored), (dense, late))


def test_heads_sure_of_opposite_things_diverge_by_the_gap_in_their_scores() -> None:
    dense, late = torch.tensor([[1.0, -1.0]]), torch.tensor([[-1.0, 1.0]])
    assert distill.loss(dense, late, temperature=1e-3).item() == pytest.approx(2000.0)  # P is (1, 0), and -ln Q of the first is 2 / t


def test_half_precision_is_told_apart_where_float16_could_not() -> None:
    dense, late = torch.tensor([[1000.0, 999.5]]).half(), torch.tensor([[999.5, 1000.0]]).half()
    p = 1 / (1 + math.exp(-0.5 / 0.02))  # 1000 / 0.02 is beyond float16
    assert distill.loss(dense, late).item() == pytest.approx((2 * p - 1) * 0.5 / 0.02, rel=1e-5)


def test_a_row_without_any_document_left_is_refused() -> None:
    ignored = torch.zeros(3, 4, dtype=torch.bool)
    ignored[2] = True
    with pytest.raises(ValueError, match="every document in row 2"):
        distill.loss(*heads(), ignored_BM=ignored)


def test_heads_of_different_shape_or_an_unknown_head_are_refused() -> None:
    dense, late = heads()
    with pytest.raises(ValueError, match=r"dense \(3, 4\) and late \(3, 3\)"):
        distill.loss(dense, late[:, :3])
    with pytest.raises(ValueError, match="'teacher'"):
        distill.loss(dense, late, stop_gradient="teacher")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'batchmean'"):
        distill.loss(dense, late, reduction="batchmean")  # type: ignore[arg-type]
