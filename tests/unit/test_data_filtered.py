"""The filter on words that two texts share, the wrapper that applies it to any source, and key words made of passages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from data_samples import picture, write_jsonl
from hypothesis import given
from hypothesis import strategies as st

from unitower.data import BadPair, open_source
from unitower.data.filtered import filtered, overlaps
from unitower.data.keywords import Keywords
from unitower.types import Item, Pair, Source


class Held:
    """Pairs in memory. A page stands for `None`, and a bad row for an empty query."""

    name, licence, languages = "held", "MIT", ("en",)

    def __init__(self, *pairs: tuple[str, str | None]) -> None:
        self.pairs = pairs

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Pair:
        query, document = self.pairs[index]
        if not query:
            raise BadPair(f"row {index}: the query is empty")
        content = picture() if document is None else document
        sides: Sequence[Item] = [
            Item(
                id=f"{index}{i}",
                modality="image" if value is not query and document is None else "text",
                content=value,
                source=Source(path="x"),
            )
            for i, value in enumerate((query, content))
        ]
        return Pair(query=sides[0], document=sides[1], source=self.name)


@pytest.mark.parametrize(
    ("first", "second", "share", "expected"),
    [
        ("a b c d", "d c b a", 0.8, True),
        ("a b c", "a b c d", 0.8, False),  # three words never suffice
        ("one two three four five", "one two three four six seven", 0.8, True),  # 4 of 5
        ("one two three four five six", "one two three four and more words", 0.8, False),  # 4 of 6
        ("cat sit man run", "Cats sitting: many RUNNING.", 0.8, True),  # as parts of words, whatever the case
        ("Cats sitting many running", "cat sit man run", 0.8, False),  # the parts must stand in the longer one
        ("one two three four five six", "one two three four and more words", 0.5, True),
        ("", "a b c d", 0.8, False),
        ("uno due tre quattro", "eins zwei drei vier fünf", 0.8, False),
    ],
)
def test_overlap_by_hand(first: str, second: str, share: float, expected: bool) -> None:
    assert overlaps(first, second, share=share) is expected


words = st.lists(st.sampled_from(["red", "green", "blue", "redder", "sea", "oversea", "x"]), max_size=9)


@given(words, words)
def test_overlap_is_what_the_rule_says(first: list[str], second: list[str]) -> None:
    shorter, longer = (first, second) if len(first) <= len(second) else (second, first)
    found = [word for word in shorter if any(word in other for other in longer)]
    expected = len(found) >= 4 and len(found) / len(shorter) >= 0.8
    if len(first) != len(second):  # of equally long texts either may be the shorter one
        assert overlaps(" ".join(first), " ".join(second)) is expected
        assert overlaps(" ".join(second), " ".join(first)) is expected


def test_dropped_rows_say_why_and_are_counted_once_by_reason() -> None:
    pairs = filtered(
        Held(
            ("how to bake bread", "How to bake bread at home"),
            ("same words", "Same, words!"),
            ("q", "a good answer"),
            ("", "x"),
            ("why", None),
        ),
        shortest=2,
        longest=30,
    )
    assert len(pairs) == 5
    for _ in range(2):
        for index, why in (
            (0, "80% of the words of one text"),
            (1, "the two texts are the same"),
            (2, "less than 2"),
            (3, "the query is empty"),
        ):
            with pytest.raises(BadPair, match=why):
                pairs[index]
    assert pairs[4].query.content == "why"
    assert pairs.dropped == {
        "80% of the words of one text stand in the other": 1,
        "the two texts are the same": 1,
        "a text of less than 2 characters": 1,
    }


def test_pages_are_not_dropped_for_holding_the_words_they_are_found_by(tmp_path: Path) -> None:
    picture().save(tmp_path / "p.png")
    row = {"query": "total of the invoice", "document_image": "p.png", "document_text": "the total of the invoice is 5"}
    path = write_jsonl(tmp_path / "x.jsonl", [row])
    pairs = open_source("filtered", source="jsonl", options={"path": path, "test_share": 0})
    assert pairs[0].document.modality == "image"


def test_the_rule_may_be_left_out_and_must_be_a_share() -> None:
    assert filtered(Held(("a b c d", "a b c d e")), overlap=None)[0].query.content == "a b c d"
    for wrong in (0, 1.5):
        with pytest.raises(ValueError, match="it is a share"):
            filtered(Held(), overlap=wrong)


def test_the_split_is_handed_on(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "x.jsonl", [{"query": f"q{i}", "pos": [f"document number {i}"]} for i in range(60)])
    options = {"path": path, "test_share": 0.5}
    for kind in ("filtered", "keywords"):
        train, test = (open_source(kind, source="jsonl", options=options, split=split) for split in ("train", "test"))
        assert len(train) + len(test) == 60
        assert 0 < len(test) < 60
        assert len(open_source(kind, source="jsonl", options={**options, "split": "test"})) == len(test)


def test_key_words_are_the_rare_ones_of_the_passage_in_their_order() -> None:
    common = "the house of the man is in the town and the sea is near the town"
    pairs = Keywords(
        Held(*[("q", f"{common} {i}") for i in range(50)], ("q", f"the Zebra saw a {common} quagga")), fewest=3, most=3, longest=2000
    )
    found = pairs[50]
    assert found.query.content == "zebra saw quagga"
    assert (found.document.content, found.source, found.query.modality) == (f"the Zebra saw a {common} quagga", "held-keywords", "text")


def test_key_words_of_pages_or_short_passages_are_bad_pairs() -> None:
    pairs = Keywords(Held(("q", None), ("q", "one word"), ("q", "many different words stand in here")), fewest=2, most=2, longest=2000)
    for index, why in ((0, "this is a page"), (1, "too few")):
        with pytest.raises(BadPair, match=why):
            pairs[index]
    assert len(pairs[2].query.content.split()) == 2
