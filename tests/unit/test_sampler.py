"""Batches: of one source each, in their shares, without false negatives, resumable to the exact next one; unusable rows are counted."""

from __future__ import annotations

import json
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from PIL import Image

from unitower.data import BadPair
from unitower.errors import UnitowerError
from unitower.training.sampler import NAMED, Batch, Sampler
from unitower.types import Item, Pair, Source


def item(content: str | Image.Image) -> Item:
    return Item(id=str(content), modality="text" if isinstance(content, str) else "image", content=content, source=Source(path="x"))


class Rows:
    """Pairs in memory: (query, document, *negatives); a string is a row that cannot be used, and why."""

    licence, languages = "MIT", ("en",)

    def __init__(self, name: str, *rows: tuple[str | Image.Image, ...] | str) -> None:
        self.name, self.rows = name, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Pair:
        row = self.rows[index]
        if isinstance(row, str):
            raise BadPair(row)
        query, document, *negatives = map(item, row)
        return Pair(query=query, document=document, negatives=tuple(negatives), source=self.name)


def numbered(name: str, size: int, *, bad: int = 0) -> Rows:
    return Rows(name, *((f"{name} q{i}", f"{name} d{i}") for i in range(size)), *(f"line {i} is broken" for i in range(bad)))


def contents(batch: Batch) -> list[tuple[object, ...]]:
    return [(pair.query.content, pair.document.content, *(n.content for n in pair.negatives)) for pair in batch.pairs]


def test_a_batch_is_of_one_source_and_of_the_size_asked_for() -> None:
    sampler = Sampler([(numbered("a", 50), 1.0), (numbered("b", 50), 1.0)], batch=7, seed=0)
    for _ in range(40):
        batch = sampler.next()
        assert len(batch.pairs) == 7
        assert {pair.source for pair in batch.pairs} == {batch.source}


def test_sources_take_turns_in_the_share_of_their_weights() -> None:
    sampler = Sampler([(numbered("a", 9), 3.0), (numbered("b", 9), 1.0), (numbered("c", 9), 0.0)], batch=2, seed=0)
    counts = Counter(sampler.next().source for _ in range(2000))
    assert set(counts) == {"a", "b"}
    assert abs(counts["a"] / 2000 - 0.75) < 4 * np.sqrt(0.75 * 0.25 / 2000)


def test_every_row_comes_once_before_any_comes_again_and_then_in_another_order() -> None:
    sampler = Sampler([(numbered("a", 24), 1.0)], batch=6, seed=0)
    rounds = [[pair for _ in range(4) for pair in contents(sampler.next())] for _ in range(3)]
    for each in rounds:
        assert sorted(each) == sorted(contents_of(numbered("a", 24)))
    assert rounds[0] != rounds[1] != rounds[2]


def contents_of(rows: Rows) -> list[tuple[object, ...]]:
    return [row for row in rows.rows if not isinstance(row, str)]


def test_the_same_seed_gives_the_same_batches_and_another_gives_others() -> None:
    def drawn(seed: int) -> list[list[tuple[object, ...]]]:
        sampler = Sampler([(numbered("a", 30), 1.0), (numbered("b", 30), 2.0)], batch=5, seed=seed)
        return [contents(sampler.next()) for _ in range(12)]

    assert drawn(1) == drawn(1) != drawn(2)


@pytest.mark.parametrize("cut", [0, 1, 7, 13])
def test_a_resumed_sampler_goes_on_with_the_exact_next_batch(cut: int) -> None:
    def sampler() -> Sampler:
        return Sampler([(numbered("a", 23, bad=4), 1.0), (numbered("b", 31, bad=1), 2.0)], batch=6, seed=5)

    whole = sampler()
    expected = [contents(whole.next()) for _ in range(20)]
    first = sampler()
    for _ in range(cut):
        first.next()
    state = json.loads(json.dumps(first.state))
    second = sampler()
    second.next()  # where it was before does not matter
    second.resume(state)
    assert [contents(second.next()) for _ in range(20 - cut)] == expected[cut:]
    assert second.unusable == whole.unusable
    assert json.dumps(second.state) == json.dumps(whole.state)


def test_a_state_is_of_its_moment_and_does_not_move_with_the_sampler() -> None:
    sampler = Sampler([(numbered("a", 20, bad=5), 1.0)], batch=4, seed=0)
    state = sampler.state
    before = json.dumps(state)
    sampler.next()
    assert json.dumps(state) == before
    restored = Sampler([(numbered("a", 20, bad=5), 1.0)], batch=4, seed=0)
    restored.resume(state)
    restored.next()
    assert json.dumps(state) == before


@pytest.mark.parametrize("other", [[("a", 21), ("b", 30)], [("a", 20)], [("b", 30), ("a", 20)], [("a", 20), ("c", 30)]])
def test_a_state_of_other_data_is_refused(other: list[tuple[str, int]]) -> None:
    state = Sampler([(numbered("a", 20), 1.0), (numbered("b", 30), 1.0)], batch=2, seed=0).state
    sampler = Sampler([(numbered(name, size), 1.0) for name, size in other], batch=2, seed=0)
    with pytest.raises(UnitowerError, match=r"the data have changed .* a \(20 rows\), b \(30 rows\); now there are"):
        sampler.resume(state)


# ---- false negatives


def sides(pair: Pair) -> set[object]:
    return {pair.query.content, pair.document.content}


def test_no_query_or_document_is_twice_in_a_batch_on_whatever_side() -> None:
    random = np.random.default_rng(0)
    rows = [(f"t{a}", f"t{b}") for a, b in random.integers(0, 40, (400, 2)) if a != b]
    sampler = Sampler([(Rows("a", *rows), 1.0)], batch=8, seed=0)
    for _ in range(60):
        for one, other in combinations(sampler.next().pairs, 2):
            assert sides(one).isdisjoint(sides(other))


def test_no_hard_negative_is_the_query_or_the_document_of_another_pair() -> None:
    random = np.random.default_rng(1)
    rows = [(f"q{i}", f"d{i % 60}", *(f"d{n}" for n in random.integers(0, 60, 3) if n != i % 60)) for i in range(300)]
    sampler = Sampler([(Rows("a", *rows), 1.0)], batch=6, seed=0)
    for _ in range(60):
        batch = sampler.next()
        for one in batch.pairs:
            for other in batch.pairs:
                assert sides(one).isdisjoint({n.content for n in other.negatives})


def test_two_pairs_may_share_a_hard_negative() -> None:
    batch = Sampler([(Rows("a", ("q1", "d1", "n"), ("q2", "d2", "n")), 1.0)], batch=2, seed=0).next()
    assert len(batch.pairs) == 2


def test_pages_are_the_same_by_their_pixels() -> None:
    red, red_again, green = (Image.new("RGB", (8, 8), color) for color in ("red", "red", "green"))
    shape = Image.new("RGB", (4, 16), "red")  # the same bytes in another shape
    sampler = Sampler([(Rows("a", ("q1", red), ("q2", red_again), ("q3", green), ("q4", shape)), 1.0)], batch=3, seed=0)
    for _ in range(10):
        documents = [pair.document.content for pair in sampler.next().pairs]
        assert len({(image.size, image.tobytes()) for image in documents}) == 3
    with pytest.raises(UnitowerError, match="only 3 different usable pairs"):
        Sampler([(Rows("a", ("q1", red), ("q2", red_again), ("q3", green), ("q4", shape)), 1.0)], batch=4, seed=0).next()


def test_a_text_is_not_the_same_as_a_page_and_a_pair_may_have_the_same_text_twice() -> None:
    rows = Rows("a", ("same", "same"), ("other", "one"))
    assert len(Sampler([(rows, 1.0)], batch=2, seed=0).next().pairs) == 2


def test_a_hard_negative_that_is_its_own_positive_makes_the_row_unusable() -> None:
    sampler = Sampler([(Rows("a", ("q", "d", "d"), ("q1", "d1"), ("q2", "d2")), 1.0)], batch=2, seed=0)
    for _ in range(3):
        assert {pair.query.content for pair in sampler.next().pairs} == {"q1", "q2"}
    assert sampler.unusable.count == {"a": 1}
    assert "a hard negative is the query or the document itself" in sampler.unusable.reasons[0]


# ---- unusable rows


def test_unusable_rows_are_passed_over_counted_once_and_named() -> None:
    sampler = Sampler([(numbered("a", 20, bad=6), 1.0), (numbered("b", 20, bad=2), 1.0)], batch=5, seed=0)
    for _ in range(40):  # each source is read through several times
        assert len(sampler.next().pairs) == 5
    assert sampler.unusable.count == {"a": 6, "b": 2}
    assert sorted(sampler.unusable.reasons) == sorted(
        [*(f"a: line {i} is broken" for i in range(6)), *(f"b: line {i} is broken" for i in range(2))]
    )


def test_only_the_first_reasons_are_kept() -> None:
    sampler = Sampler([(numbered("a", 40, bad=3 * NAMED), 1.0)], batch=20, seed=0)
    for _ in range(20):
        sampler.next()
    assert sampler.unusable.count["a"] == 3 * NAMED
    assert len(sampler.unusable.reasons) == NAMED


def test_another_error_than_a_bad_pair_is_not_hidden() -> None:
    class Broken(Rows):
        def __getitem__(self, index: int) -> Pair:
            raise UnitowerError("the disk is gone")

    with pytest.raises(UnitowerError, match="the disk is gone"):
        Sampler([(Broken("a", ("q", "d")), 1.0)], batch=1, seed=0).next()


# ---- too little


def test_too_little_data_is_told_with_what_there_is() -> None:
    with pytest.raises(UnitowerError, match=r"data source a has 3 rows but gave only 3 .* for a batch of 4\. Take smaller batches"):
        Sampler([(numbered("a", 3), 1.0)], batch=4, seed=0).next()
    with pytest.raises(UnitowerError, match=r"has 12 rows but gave only 2 .* \(10 rows were unusable, the first: a: line \d is broken\)"):
        Sampler([(numbered("a", 2, bad=10), 1.0)], batch=4, seed=0).next()
    with pytest.raises(UnitowerError, match=r"gave only 0"):
        Sampler([(numbered("a", 0, bad=10), 1.0)], batch=1, seed=0).next()


def test_a_batch_of_all_there_is_can_be_filled_again_and_again() -> None:
    sampler = Sampler([(numbered("a", 5), 1.0)], batch=5, seed=0)
    for _ in range(5):
        assert len(sampler.next().pairs) == 5


def test_an_empty_source_is_refused_by_name() -> None:
    with pytest.raises(UnitowerError, match="data source b is empty"):
        Sampler([(numbered("a", 5), 1.0), (numbered("b", 0), 1.0)], batch=2, seed=0)


@pytest.mark.parametrize("weights", [[], [0.0, 0.0], [1.0, -1.0], [float("nan"), 1.0], [float("inf"), 1.0]])
def test_weights_that_make_no_sense_are_refused(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="weights are 0 or more"):
        Sampler([(numbered("a", 5), weight) for weight in weights], batch=2, seed=0)


def test_a_batch_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="batch is 0"):
        Sampler([(numbered("a", 5), 1.0)], batch=0, seed=0)
