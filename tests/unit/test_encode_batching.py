"""Windows and batches: every input once, in order, within the budget, and no more looked ahead than needed."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from unitower.encode.batching import WINDOW_BATCHES, WINDOW_INPUTS, Budget, Size, batches, windows

sizes = st.lists(st.builds(Size, tokens=st.integers(1, 300), pixels=st.sampled_from([0, 0, 784, 3136, 100_000])), max_size=80)
budgets = st.builds(Budget, tokens=st.integers(1, 500), pixels=st.integers(1, 200_000))


def total(group: list[Size]) -> Size:
    return Size(tokens=sum(each.tokens for each in group), pixels=sum(each.pixels for each in group))


@settings(deadline=None)
@given(sizes=sizes, budget=budgets, most=st.one_of(st.none(), st.integers(1, 9)))
def test_batches_hold_every_input_once_and_keep_the_budget_but_for_lone_ones(sizes: list[Size], budget: Budget, most: int | None) -> None:
    groups = batches(sizes, budget=budget, most=most)
    assert sorted(i for group in groups for i in group) == list(range(len(sizes)))
    for group in groups:
        assert group
        assert len(group) == 1 or budget.holds(total([sizes[i] for i in group]))
        assert most is None or len(group) <= most


@settings(deadline=None)
@given(sizes=sizes, budget=budgets)
def test_batches_go_from_long_to_short(sizes: list[Size], budget: Budget) -> None:
    lengths = [sizes[i].tokens for group in batches(sizes, budget=budget) for i in group]
    assert lengths == sorted(lengths, reverse=True)


def test_inputs_fill_a_pass_before_the_next_begins() -> None:
    texts = [Size(tokens=n) for n in (10, 40, 30, 20)]
    assert batches(texts, budget=Budget.of_tokens(50)) == [[1], [2, 3], [0]]
    assert batches(texts, budget=Budget.of_tokens(100)) == [[1, 2, 3, 0]]
    assert batches(texts, budget=Budget.of_tokens(5)) == [[1], [2], [3], [0]]
    assert batches([], budget=Budget.of_tokens(5)) == []


@settings(deadline=None)
@given(sizes=sizes, budget=budgets)
def test_windows_are_the_stream_cut_up(sizes: list[Size], budget: Budget) -> None:
    cut = list(windows(sizes, size=lambda each: each, budget=budget))
    assert [each for window in cut for each in window] == sizes
    most = Budget(tokens=WINDOW_BATCHES * budget.tokens, pixels=WINDOW_BATCHES * budget.pixels)
    for window in cut:
        assert window
        assert most.holds(total(window[:-1]))  # the last one fills it
        assert len(window) <= WINDOW_INPUTS


def test_nothing_is_read_before_its_window_is_asked_for() -> None:
    read: list[int] = []

    def stream() -> Iterator[int]:
        for i in range(10_000):
            read.append(i)
            yield i

    cut = windows(stream(), size=lambda i: Size(tokens=100), budget=Budget.of_tokens(1000))
    assert not read
    for count in (1, 2, 3):
        next(cut)
        assert len(read) <= count * (WINDOW_BATCHES * 10 + 1)


@settings(deadline=None)
@given(sizes=sizes.filter(lambda sizes: len(sizes) > 1), budget=budgets)
def test_a_batch_that_did_not_fit_makes_several_under_half_of_it(sizes: list[Size], budget: Budget) -> None:
    lower = budget.half_of(total(sizes))
    assert len(batches(sizes, budget=lower)) > 1
    assert lower.tokens <= budget.tokens
    assert lower.pixels <= budget.pixels


def test_a_text_that_did_not_fit_leaves_pictures_their_pixels() -> None:
    assert Budget.of_tokens(1000).half_of(Size(tokens=600)) == Budget(tokens=300, pixels=784_000)
