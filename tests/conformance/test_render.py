"""What every kind of page must do, in every language that can be drawn on this machine."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import numpy as np
import pytest

from unitower import render
from unitower.render.types import Page

SMALL = (420, 600)
VISIBLE = 25
"""Grey levels between a word's ink and what lies around it, at the least."""

each_kind = pytest.mark.parametrize("kind", render.kinds())
each_language = pytest.mark.parametrize("language", render.languages())


@cache
def drawn(kind: str, language: str, seed: int, degrade: float = 0.0) -> Page:
    return render.page(kind, seed=seed, language=language, px=SMALL, degrade=degrade)


def contrast(page: Page) -> list[int]:
    """Difference of the darkest and the lightest pixel in each word's box, one pixel around it included."""
    grey = np.asarray(page.image.convert("L")).astype(int)
    return [int(np.ptp(grey[max(y0 - 1, 0) : y1 + 1, max(x0 - 1, 0) : x1 + 1])) for x0, y0, x1, y1 in (word.box for word in page.words)]


def covered(page: Page) -> list[tuple[str, str]]:
    """Couples of words of which one lies over more than a third of the other."""
    boxes = np.array([word.box for word in page.words])
    low, high = boxes[:, :2], boxes[:, 2:]
    shared = np.clip(np.minimum(high[:, None], high[None]) - np.maximum(low[:, None], low[None]), 0, None).prod(axis=2)
    area = (high - low).prod(axis=1)
    share = shared / np.minimum(area[:, None], area[None])
    first, second = np.nonzero(np.triu(share > 1 / 3, 1))
    # signs of one word of code ("x[i]:") are words of their own and may be thinner than the space between them
    return [
        (page.words[i].text, page.words[j].text) for i, j in zip(first, second, strict=True) if page.words[i].line != page.words[j].line
    ]


@each_language
@each_kind
@pytest.mark.parametrize("degrade", [0.0, 0.7])
def test_every_word_lies_on_the_page_where_ink_is(kind: str, language: str, degrade: float) -> None:
    page = drawn(kind, language, 3, degrade)
    assert page.image.size == SMALL
    assert page.image.mode == "RGB"
    assert page.words
    for x0, y0, x1, y1 in (word.box for word in page.words):
        assert 0 <= x0 < x1 <= SMALL[0]
        assert 0 <= y0 < y1 <= SMALL[1]
    seen = np.array(contrast(page)) >= VISIBLE
    # a hair line in grey may be fainter than that, and degrading may take half a percent of the words with it
    assert seen.mean() >= (0.97 if degrade else 0.99)


@each_language
@each_kind
def test_no_word_covers_a_word_of_another_line(kind: str, language: str) -> None:
    assert covered(drawn(kind, language, 3)) == []
    assert covered(drawn(kind, language, 4)) == []


@each_language
@each_kind
def test_what_a_page_states_is_printed_on_it(kind: str, language: str) -> None:
    page = drawn(kind, language, 3)
    assert page.facts
    assert page.facts.keys() <= set(render.facts_of(kind))
    squeezed = "".join(page.text.split())
    for name, value in page.facts.items():
        if name not in page.unseen:
            assert "".join(value.split()) in squeezed
            assert page.where(name)
    for claim in page.claims:
        assert claim.answer in claim.says
        assert page.words_of(claim.says)


@each_language
@each_kind
def test_text_and_words_say_the_same_in_the_same_order(kind: str, language: str) -> None:
    page = drawn(kind, language, 3)
    assert "".join(page.text.split()) == "".join(word.text for word in page.words)
    assert all(a.line <= b.line and a.block <= b.block for a, b in pairwise(page.words))


@each_language
@each_kind
def test_a_page_is_asked_for_in_four_ways_and_holds_the_answers(kind: str, language: str) -> None:
    page = drawn(kind, language, 3)
    queries = render.queries(page, seed=1)
    assert [query.kind for query in queries] == sorted((query.kind for query in queries), key=render.QUERY_KINDS.index)
    assert {query.kind for query in queries} == set(render.QUERY_KINDS)
    squeezed = "".join(page.text.split())
    for query in queries:
        assert query.text.strip()
        assert "{" not in query.text or kind == "code"  # a slot that nothing was filled into
        assert query.answer in page.facts.values() or "".join(query.answer.split()) in squeezed
    assert queries == render.queries(page, seed=1)


@each_kind
def test_the_same_arguments_give_the_same_page(kind: str) -> None:
    first, second = (render.page(kind, seed=5, px=SMALL, degrade=0.5) for _ in range(2))
    assert first.image.tobytes() == second.image.tobytes()
    assert (first.words, first.facts, first.text) == (second.words, second.facts, second.text)
    assert render.page(kind, seed=6, px=SMALL, degrade=0.5).text != first.text


@each_kind
def test_a_fact_of_the_callers_stands_on_the_page_or_is_none_of_its_facts(kind: str) -> None:
    for name in render.facts_of(kind):
        page = render.page(kind, seed=2, px=SMALL, facts={name: "Quibblewick 77"})
        assert page.facts.get(name, "Quibblewick 77") == "Quibblewick 77"
        if name in page.facts and name not in page.unseen:
            assert "Quibblewick" in page.where(name)[0].text


@each_kind
@pytest.mark.parametrize("px", [(160, 160), (900, 200), (200, 900)])
def test_a_page_of_any_shape_keeps_its_words_inside(kind: str, px: tuple[int, int]) -> None:
    page = render.page(kind, seed=1, px=px)
    assert page.image.size == px
    assert all(0 <= x0 < x1 <= px[0] and 0 <= y0 < y1 <= px[1] for x0, y0, x1, y1 in (word.box for word in page.words))


@each_language
def test_a_language_has_all_that_english_has(language: str) -> None:
    from unitower.render.language import find

    english, other = find("en").card, find(language).card
    assert set(english) <= set(other)
    for name, entry in english.items():
        if isinstance(entry, dict):
            assert set(entry) == set(other[name])
        elif isinstance(entry, list):
            assert other[name]
    for kind, questions in other["ask"].items():
        assert {fact for _, fact in questions} <= set(render.facts_of(kind))
