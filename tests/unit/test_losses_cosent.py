"""CoSENT against its sum written out, and where nothing is to be ranked."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unitower.losses import cosent

pairs = st.lists(st.tuples(st.floats(-1, 1, width=32), st.integers(0, 3)), min_size=1, max_size=8)


@settings(deadline=None, max_examples=60)
@given(pairs, st.floats(0.05, 1.0))
def test_it_is_the_sum_over_couples_of_different_grade(pairs: list[tuple[float, int]], temperature: float) -> None:
    total = 1.0 + sum(math.exp((low - high) / temperature) for low, small in pairs for high, large in pairs if small < large)
    scores, grades = (torch.tensor(column) for column in zip(*pairs, strict=True))
    assert cosent.loss(scores.double(), grades, temperature=temperature).item() == pytest.approx(math.log(total), abs=1e-9)


@pytest.mark.parametrize("grades", [[], [3.0], [0.5, 0.5, 0.5]])
def test_where_nothing_is_to_be_ranked_it_is_zero_with_zero_gradient(grades: list[float]) -> None:
    scores = torch.linspace(-1, 1, len(grades)).requires_grad_()
    value = cosent.loss(scores, torch.tensor(grades))
    value.backward()
    assert value == 0
    assert scores.grad is not None
    assert (scores.grad == 0).all()


def test_a_pair_of_a_grade_like_another_is_not_compared_with_it() -> None:
    scores = torch.tensor([0.9, -0.9, 0.1])
    torch.testing.assert_close(
        cosent.loss(scores, torch.tensor([1, 1, 0])),
        torch.log(1 + torch.exp((0.1 - scores[0]) / 0.05) + torch.exp((0.1 - scores[1]) / 0.05)),
    )


def test_only_the_order_of_the_grades_counts() -> None:
    scores = torch.tensor([0.3, 0.1, 0.7, 0.2])
    first = cosent.loss(scores, torch.tensor([0.0, 2.5, 4.0, 5.0]))
    assert first == cosent.loss(scores, torch.tensor([-8, 1, 2, 1000]))
    assert first == cosent.loss(scores, torch.tensor([0.0, 2.5, 4.0, 5.0], dtype=torch.float16))


def test_a_grade_that_is_not_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="grade 1 is NaN"):
        cosent.loss(torch.tensor([0.1, 0.2]), torch.tensor([1.0, math.nan]))
