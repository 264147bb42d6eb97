"""Quick pages: characters stand where the labels say, and the same generator draws the same page."""

from __future__ import annotations

import random

import numpy as np
import pytest

from unitower.data._split import kept_to_test
from unitower.render import quick
from unitower.render.quick.alphabet import ALPHABET, CELL_PX, SLOTS, WRITES
from unitower.render.quick.fonts import Pen
from unitower.render.quick.sheet import Sheet

TEXTS = {
    "en": ["The rent is due on the first day of May, and the goat has eaten the letter."],
    "de": ["Der Mietvertrag wurde am zwölften März unterschrieben."],
    "code": ["def rent(month):\n    return month * 410"],
}


@pytest.fixture(scope="module")
def fonts() -> tuple[quick.Font, ...]:
    """The DejaVu that matplotlib brings, so that every machine draws the same."""
    return tuple(font for font in quick.fonts() if font.family in ("DejaVu Sans", "DejaVu Serif"))


def ink(sheet: Sheet) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of what is drawn, in pixels of the page."""
    ys, xs = np.nonzero(np.asarray(sheet.ink) > 100)
    return tuple(float(v) / sheet.scale for v in (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1))  # type: ignore[return-value]


@pytest.mark.parametrize("character", "xHöж8")
@pytest.mark.parametrize("scale", [2, 3])
def test_a_character_stands_in_the_slot_that_its_label_is_in(fonts: tuple[quick.Font, ...], character: str, scale: int) -> None:
    rng = random.Random(f"{character}{scale}")
    down, across = SLOTS
    for _ in range(12):
        sheet = Sheet(168, 112, scale=scale)
        size = rng.uniform(9, 24)
        word = sheet.write(Pen(rng.choice(fonts), round(size * scale)), character, rng.uniform(0, 140), rng.uniform(0, 85))
        if word is None:
            continue
        left, top, right, bottom = ink(sheet)
        (written,) = sheet.words
        assert written.xs[0] - 1 <= left
        assert right <= written.xs[1] + 1
        assert top - 1 <= written.middle <= bottom + 1

        labels = sheet.labels().reshape(4, 6, down, across)
        ((row, column, slot_row, slot_column),) = np.argwhere(labels)
        assert ALPHABET[labels[row, column, slot_row, slot_column] - 1] == character
        x, y = (column + (slot_column + 0.5) / across) * CELL_PX, (row + (slot_row + 0.5) / down) * CELL_PX
        assert abs(x - (left + right) / 2) <= CELL_PX / across / 2 + 1.5  # a pixel and a half: side bearings
        assert top - CELL_PX / down / 2 <= y <= bottom + CELL_PX / down / 2


def test_every_word_of_a_page_has_ink_under_every_character_and_none_before_it(fonts: tuple[quick.Font, ...]) -> None:
    sheet, pen = Sheet(280, 56, scale=2), Pen(fonts[0], 24)
    sheet.row(pen, ["rent", "due", "in", "May"], 10, 10, until=280)
    columns = (np.asarray(sheet.ink) > 60).any(0)
    for word in sheet.words:
        for left, right in zip(word.xs, word.xs[1:], strict=False):
            assert columns[round(left * 2) : round(right * 2)].any()
        assert not columns[round(word.xs[0] * 2) - 3 : round(word.xs[0] * 2)].any()
    assert [word.text for word in sheet.words] == ["rent", "due", "in", "May"]


def test_the_same_generator_draws_the_same_page_and_another_another(fonts: tuple[quick.Font, ...]) -> None:
    first, again, other = (quick.page(random.Random(seed), (336, 224), texts=TEXTS, fonts=fonts) for seed in (5, 5, 6))
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.labels(), again.labels())
    assert first.words == again.words
    assert first.image.shape != other.image.shape or not np.array_equal(first.image, other.image)


def test_words_of_an_enlarged_page_stand_where_they_are_drawn(fonts: tuple[quick.Font, ...]) -> None:
    contrasts = []  # of each word, whether its line has more of it than the gap below
    for seed in range(6):
        page = quick.page(random.Random(seed), (560, 448), texts=TEXTS, fonts=fonts, ease=1.0, enlarged=1.4)
        assert page.image.shape[:2] == (448, 560)
        assert page.labels().shape == (16 * 20, 18)
        grey = page.image.reshape(448, 560, -1).mean(2)
        for word in page.words:
            across, down = slice(int(word.xs[0]), round(word.xs[-1])), slice(int(word.middle - 1), int(word.middle + 2))
            below = slice(int(word.middle + 0.75 * word.size), int(word.middle + 0.75 * word.size) + 1)  # between this line and the next
            if len(word.text) > 3 and below.stop < 448:
                contrasts.append(np.ptp(grey[down, across]) > np.ptp(grey[below, across]) + 20)
    assert len(contrasts) > 60
    assert np.mean(contrasts) > 0.85


@pytest.mark.parametrize("factor", [0.9, 4.5, float("nan")])
@pytest.mark.parametrize("name", ["enlarged", "larger"])
def test_a_factor_that_does_not_enlarge_is_refused(fonts: tuple[quick.Font, ...], name: str, factor: float) -> None:
    with pytest.raises(ValueError, match=f"{name} is {factor}"):
        quick.page(random.Random(0), (336, 224), texts=TEXTS, fonts=fonts, **{name: factor})


def test_letters_are_so_many_times_as_large(fonts: tuple[quick.Font, ...]) -> None:
    plain, large = (
        [quick.page(random.Random(seed), (560, 448), texts=TEXTS, fonts=fonts, larger=larger).words[0].size for seed in range(8)]
        for larger in (1.0, 1.5)
    )
    assert large == pytest.approx([1.5 * size for size in plain], rel=0.12)  # a pen has whole pixels


def test_pages_of_every_mixture_keep_within_the_page(fonts: tuple[quick.Font, ...]) -> None:
    written = 0
    for seed in range(16):
        page = quick.page(random.Random(seed), (448, 336), texts=TEXTS, fonts=fonts)
        assert page.image.shape[:2] == (336, 448)
        assert page.image.dtype == np.uint8
        assert all(word.xs[0] >= 0 and word.xs[-1] <= 448 and 0 < word.middle < 336 for word in page.words)
        assert page.labels().shape == (12 * 16, SLOTS[0] * SLOTS[1])
        written += len(page.words)
    assert written > 16 * 20


def test_families_that_are_left_out_are_not_drawn_in() -> None:
    there = {font.family for font in quick.fonts()}
    left = {font.family for font in quick.fonts(left_out=kept_to_test)}
    assert left == {family for family in there if not kept_to_test(family)}


def test_a_font_writes_the_languages_whose_letters_it_has(fonts: tuple[quick.Font, ...]) -> None:
    assert set(quick.languages(fonts)) == set(WRITES)  # DejaVu has Latin, Cyrillic and Greek
    assert all(not set("abcäßж") & font.lacks for font in fonts)


def test_a_size_that_is_no_multiple_of_a_cell_is_refused(fonts: tuple[quick.Font, ...]) -> None:
    with pytest.raises(ValueError, match="330 x 224 px"):
        quick.page(random.Random(0), (330, 224), texts=TEXTS, fonts=fonts)


def test_a_language_without_texts_is_refused(fonts: tuple[quick.Font, ...]) -> None:
    with pytest.raises(ValueError, match="for fr"):
        quick.page(random.Random(0), (336, 224), texts=TEXTS, fonts=fonts, language="fr")
