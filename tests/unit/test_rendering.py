"""The pen, the effects and the fonts beneath drawn pages, each against what can be seen or counted by hand."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from unitower import render
from unitower.render import degrade, typefaces
from unitower.render.canvas import Canvas
from unitower.render.face import Look, face
from unitower.render.finding import found
from unitower.render.language import find, units
from unitower.render.types import Word

WHITE, BLACK = (255, 255, 255), (0, 0, 0)


def letters(look: Look = Look.PRINT, *, size: float = 20.0):
    family = next(f for f in typefaces.families_in(typefaces.folders()) if f.name == "DejaVu Sans")
    return face(family.typeface(), size, look=look)


def inked(image: Image.Image, *, darker_than: int = 255) -> tuple[int, int, int, int]:
    """Box around all pixels that are not paper, looked up in the picture itself."""
    rows, columns = np.nonzero(np.asarray(image.convert("L")) < darker_than)
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


@pytest.mark.parametrize("look", list(Look))
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize(("align", "x", "width"), [("left", 31.3, 0.0), ("right", 150.6, 0.0), ("centre", 20.0, 160.0)])
def test_the_box_of_a_word_is_the_box_of_its_ink(look: Look, mirrored: bool, align, x: float, width: float) -> None:
    canvas = Canvas((220, 60), paper=WHITE, mirrored=mirrored)
    assert canvas.line("Jumpy", x, 35, face=letters(look), fill=BLACK, align=align, width=width)
    image = canvas.finish()
    (word,) = canvas.words
    assert np.abs(np.subtract(word.box, inked(image))).max() <= 1


@pytest.mark.parametrize("angle", [30, 45, 90, -20])
def test_the_box_of_a_turned_word_is_the_box_of_its_ink(angle: float) -> None:
    canvas = Canvas((200, 200), paper=WHITE)
    assert canvas.line("Jumpy", 80, 110, face=letters(), fill=BLACK, angle=angle)
    (word,) = canvas.words
    assert np.abs(np.subtract(word.box, inked(canvas.finish(), darker_than=200))).max() <= 2


def test_each_word_of_a_line_has_its_own_ink() -> None:
    canvas = Canvas((300, 60), paper=WHITE)
    canvas.line("one two three", 10, 35, face=letters(), fill=BLACK)
    image = canvas.finish()
    assert [word.text for word in canvas.words] == ["one", "two", "three"]
    columns = np.flatnonzero((np.asarray(image.convert("L")) < 255).any(axis=0))
    breaks = np.flatnonzero(np.diff(columns) > 4)  # a blank of this face is 6 pixels wide, between letters there are 2 or 3
    assert len(breaks) == 2
    starts = [columns[0], *columns[breaks + 1]]
    assert np.abs(np.subtract([word.box[0] for word in canvas.words], starts)).max() <= 1


def test_a_line_that_would_leave_the_page_is_not_drawn() -> None:
    canvas = Canvas((60, 60), paper=WHITE)
    assert not canvas.line("incomprehensible", 10, 35, face=letters(), fill=BLACK)
    assert canvas.words == []
    assert np.asarray(canvas.finish()).min() == 255


def test_boxes_go_along_when_a_page_is_skewed() -> None:
    boxes = [(40, 30, 90, 42), (300, 60, 380, 74), (60, 500, 130, 515), (280, 520, 350, 533)]
    for seed in range(12):
        for box in boxes:
            page = Image.new("RGB", (420, 600), WHITE)
            ImageDraw.Draw(page).rectangle((box[0], box[1], box[2] - 1, box[3] - 1), BLACK)
            moved, (now,) = degrade.degraded(page, [box], amount=1.0, seed=seed, effects=["skew"])
            dark = np.asarray(moved.convert("L"))[now[1] : now[3], now[0] : now[2]]
            assert (dark < 128).sum() > 0.97 * (box[2] - box[0]) * (box[3] - box[1]) * 0.95**2  # shrunk by 5 % at the most
            tight = inked(Image.fromarray(dark), darker_than=128)  # and the box is no wider than it must be
            assert np.abs(np.subtract(tight, (0, 0, now[2] - now[0], now[3] - now[1]))).max() <= 3


@given(seed=st.integers(0, 2**32), amount=st.floats(0, 1))
@settings(max_examples=25, deadline=None)
def test_any_degrading_leaves_words_visible_and_on_the_page(seed: int, amount: float) -> None:
    page = render.page("table", seed=8, px=(240, 320))
    boxes = [word.box for word in page.words]
    image, now = degrade.degraded(page.image, boxes, amount=amount, seed=seed)
    grey = np.asarray(image.convert("L")).astype(int)
    assert image.size == page.image.size
    assert image.mode == "RGB"
    assert len(now) == len(boxes)
    assert all(0 <= x0 < x1 <= 240 and 0 <= y0 < y1 <= 320 for x0, y0, x1, y1 in now)
    faint = sum(np.ptp(grey[max(y0 - 1, 0) : y1 + 1, max(x0 - 1, 0) : x1 + 1]) < 20 for x0, y0, x1, y1 in now)
    assert faint <= 0.02 * len(now)


@pytest.mark.parametrize("effect", sorted(degrade.EFFECTS))
def test_an_effect_changes_the_picture_and_only_skew_moves_words(effect: str) -> None:
    page = render.page("screenshot", seed=1, px=(300, 400))
    boxes = [word.box for word in page.words]
    image, now = degrade.degraded(page.image, boxes, amount=0.8, seed=5, effects=[effect])
    assert image.tobytes() != page.image.tobytes()
    assert (now != boxes) == (effect == "skew")


def test_degrading_a_page_changes_neither_what_it_says_nor_how_it_is_laid_out() -> None:
    clean, worn = (render.page("invoice", seed=9, degrade=amount) for amount in (0.0, 0.9))
    assert clean.text == worn.text
    assert clean.facts == worn.facts
    shift = np.subtract([w.box for w in clean.words], [w.box for w in worn.words])
    assert np.abs(shift).max() < 60


@pytest.mark.parametrize(
    ("code", "value", "decimals", "expected"),
    [("en", 1234567.5, 2, "1,234,567.50"), ("de", 1234567.5, 2, "1.234.567,50"), ("zh", 999, 0, "999"), ("ru", 1234.5, 1, "1234,5")],
)
def test_numbers_are_written_as_the_language_writes_them(code: str, value: float, decimals: int, expected: str) -> None:
    assert find(code).number(value, decimals=decimals) == expected


def test_what_is_for_training_and_what_is_for_tests_are_apart_and_together_all() -> None:
    for code in ("en", "de", "zh"):
        for name in ("first", "cities", "sentences", "claims"):
            train, test = (list(find(code).entries(name, split=split)) for split in ("train", "test"))
            assert len(train) > len(test) >= 2
            assert not [entry for entry in test if entry in train]
            assert sorted(map(str, train + test)) == sorted(map(str, find(code).entries(name)))
    families = {split: {f.name for f in typefaces.families_for("abc", split=split)} for split in ("train", "test")}
    everything = {f.name for f in typefaces.families_for("abc")}
    assert not families["train"] & families["test"] or families["train"] == everything or families["test"] == everything


def test_words_are_found_where_they_follow_each_other() -> None:
    words = tuple(Word(text, (i, 0, i + 1, 1), 0, 0) for i, text in enumerate(("The", "bill:", "12", "oak", "tables", "(12", "chairs).")))
    assert found(words, "12 chairs", {}) == words[5:7]
    assert found(words, "bill 12 oak", {}) == words[1:4]
    assert found(words, "oak chairs", {}) == ()
    assert found(words, "", {}) == ()


@given(st.text(max_size=40))
def test_units_lose_nothing_but_white_space(text: str) -> None:
    assert "".join(unit for unit, _ in units(text)) == "".join(text.split())


@pytest.fixture
def only_dejavu(monkeypatch):
    matplotlib = pytest.importorskip("matplotlib")
    fonts = Path(matplotlib.__file__).parent / "mpl-data/fonts/ttf"
    monkeypatch.setattr(typefaces, "folders", lambda: (fonts,))


@pytest.mark.usefixtures("only_dejavu")
def test_with_nothing_but_matplotlibs_fonts_pages_are_drawn_in_dejavu() -> None:
    assert {"en", "de", "ru"} <= set(render.languages())
    assert "zh" not in render.languages()
    assert all(name.startswith("DejaVu") for names in render.fonts().values() for name in names)
    for kind in render.kinds():
        assert render.page(kind, seed=1, language="de", px=(300, 400), split="test").words


@pytest.mark.usefixtures("only_dejavu")
def test_a_language_without_a_font_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="Chinese"):
        render.page("letter", seed=1, language="zh")


def test_a_machine_without_any_font_has_no_language(monkeypatch) -> None:
    monkeypatch.setattr(typefaces, "folders", lambda: ())
    assert render.languages() == ()
    with pytest.raises(ValueError, match="English"):
        render.page("letter", seed=1)


def test_a_file_that_is_no_font_is_passed_over(tmp_path: Path) -> None:
    good = letters().typeface.path
    (tmp_path / "good.ttf").write_bytes(good.read_bytes())
    (tmp_path / "empty.ttf").write_bytes(b"")
    (tmp_path / "cut.ttf").write_bytes(good.read_bytes()[:2000])
    (tmp_path / "text.otf").write_text("no font")
    (tmp_path / "random.ttc").write_bytes(b"ttcf" + random.Random(0).randbytes(400))
    assert [family.name for family in typefaces.families_in((tmp_path,))] == ["DejaVu Sans"]


def test_the_characters_of_a_font_are_those_its_tables_say() -> None:
    fonttools = pytest.importorskip("fontTools.ttLib")
    typeface = letters().typeface
    known = fonttools.TTFont(typeface.path, fontNumber=typeface.index).getBestCmap()
    for code in [*range(32, 0x600), *range(0x1E00, 0x2200), 0x4E2D, 0x1F600, 0x1D400, 0x10FFFF]:
        assert (chr(code) in typeface.characters) == (code in known), hex(code)


def test_passages_of_the_callers_fill_the_page() -> None:
    page = render.page("paragraphs", seed=4, passages=["Zweihundert Kilometer flussabwärts liegt Quibblewick."])
    assert page.words_of("Zweihundert Kilometer flussabwärts liegt Quibblewick")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"language": "tlh"}, "tlh"),
        ({"px": (700, 20)}, "20"),
        ({"degrade": -0.1}, "-0.1"),
        ({"degrade": float("nan")}, "nan"),
        ({"fonts": ["No Such Sans"]}, "No Such Sans"),
        ({"facts": {"colour": "red"}}, "colour"),
    ],
)
def test_what_cannot_be_drawn_is_named(options, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        render.page("letter", seed=1, **options)
    with pytest.raises(ValueError, match="poster"):
        render.page("poster", seed=1)


def test_nothing_heavy_is_imported_before_the_first_page() -> None:
    code = "import sys; from unitower import render; render.kinds(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"PIL", "numpy", "matplotlib"}.isdisjoint(loaded)
