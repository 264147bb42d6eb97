"""What made the score of a hit: words, their best patches, the heat of a page."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from fake import FakeEncoder, vector
from PIL import Image
from reportlab.pdfgen import canvas

from unitower.index import Index
from unitower.index.explaining import Evidence, Explanation, beneath, heat_of, words_of
from unitower.ingest import pdf, read
from unitower.scoring import maxsim
from unitower.types import Grid

GRID = Grid(rows=3, columns=4, first=2)


def page_with(words: dict[int, str]) -> np.ndarray:
    """Rows of a page of 3 x 4 patches between three rows of prompt: noise, but for the patches of the words."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((17, 32)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    for patch, word in words.items():
        rows[GRID.first + patch] = vector(word)
    return rows


def explained(query: str, words: dict[int, str], **more: object) -> Explanation:
    asked = np.stack([vector("prompt"), *map(vector, query.split())])
    ends = np.cumsum([len(word) + 1 for word in query.split()])
    spans = [(0, 0), *((int(end) - len(word) - 1, int(end) - 1) for end, word in zip(ends, query.split(), strict=True))]
    evidence = Evidence(query=query, spans=spans, asked=asked, entry=page_with(words), grid=GRID, **more)  # type: ignore[arg-type]
    return evidence.explanation(place="a.pdf, page 1")


def test_shares_of_words_and_prompt_sum_to_the_score() -> None:
    why = explained("rent due", {5: "rent", 10: "due"})
    asked = np.stack([vector("prompt"), vector("rent"), vector("due")])
    assert why.score == pytest.approx(maxsim(asked, [page_with({5: "rent", 10: "due"})])[0], abs=1e-5)
    assert why.prompt + sum(word.score for word in why.words) == pytest.approx(why.score, abs=1e-5)


def test_every_word_is_answered_by_the_patch_that_shows_it() -> None:
    why = explained("rent due", {5: "rent", 10: "due"})
    assert [(word.word, word.cell, round(word.strength, 3)) for word in why.words] == [("rent", (1, 1), 1.0), ("due", (2, 2), 1.0)]
    assert why.heat is not None
    assert why.heat.shape == (3, 4)
    assert {tuple(map(int, place)) for place in np.argwhere(why.heat > 0.5)} == {(1, 1), (2, 2)}


def test_heat_is_zero_where_a_page_is_alike_everywhere() -> None:
    assert heat_of(np.ones((3, 17), np.float32), GRID).max() == 0


def test_pieces_of_words_are_put_together_and_bytes_of_one_character_too() -> None:
    text = "Mietvertrag (2024), 東京都?"
    at = text.index("東")
    spans = [(0, 0), (0, 4), (4, 11), (11, 13), (13, 17), (17, 19), (at, at + 1), (at, at + 1), (at + 1, at + 3), (at + 3, at + 4)]
    found = [(one.word, one.rows) for one in words_of(text, spans)]
    assert found[:2] == [("Mietvertrag", (1, 2)), ("2024", (3, 4, 5))]
    assert found[2:4] == [("東", (6, 7)), ("京都", (8,))]


def test_words_beneath_a_patch_are_those_with_a_third_of_themselves_there() -> None:
    words = [
        ("inside", (1.0, 1.0, 9.0, 9.0)),
        ("half", (5.0, 2.0, 15.0, 8.0)),
        ("edge", (9.0, 2.0, 30.0, 8.0)),
        ("·", (2.0, 2.0, 4.0, 4.0)),
    ]
    assert beneath((0, 0, 10, 10), words) == ["inside", "half"]


def test_the_picture_is_warm_where_the_word_stands_and_keeps_the_print_black() -> None:
    page = Image.new("RGB", (400, 300), "white")
    page.paste("black", (130, 130, 150, 150))
    why = explained("rent", {5: "rent"}, page=page)
    picture = np.asarray(why.picture().convert("RGB"), np.int32)
    scale, margin = 1.5, 36  # a page of 400 is drawn at 600 pixels
    warm = picture[margin + int(180 * scale), margin + int(180 * scale)]
    cold = picture[margin + int(30 * scale), margin + int(350 * scale)]
    black = picture[margin + int(140 * scale), margin + int(140 * scale)]
    assert warm[0] - warm[2] > 60
    assert cold.min() > 245
    assert black.max() < 20


@pytest.mark.parametrize("turned", [0, 90, 180, 270])
def test_boxes_of_the_words_of_a_pdf_lie_on_their_ink(tmp_path: Path, turned: int) -> None:
    path = tmp_path / "a.pdf"
    sheet = canvas.Canvas(str(path), pagesize=(500, 500))
    sheet.setPageRotation(turned)
    sheet.setFont("Helvetica", 24)
    sheet.drawString(60, 300, "Hello office")
    sheet.drawString(60, 260, "below")
    sheet.showPage()
    sheet.save()
    found = pdf.words(path, 0)
    assert sorted(word for word, _ in found) == ["Hello", "below", "office"]
    (item,) = read(path, key="k")
    assert isinstance(item.content, Image.Image)
    ink = 255 - np.asarray(item.content.convert("L"), np.int64)
    inside = 0
    for _, (left, top, right, bottom) in found:
        piece = ink[int(top) : int(bottom) + 1, int(left) : int(right) + 1].sum()
        assert piece > 0
        inside += piece
    assert inside == pytest.approx(ink.sum(), rel=0.01)


def test_a_hit_of_an_index_is_explained_and_saved_as_a_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    picture = Image.new("RGB", (400, 400), "white")
    picture.paste("black", (0, 0, 100, 100))
    picture.save("page.png")
    Path("notes.txt").write_text("The rent is due in May.")
    index = Index.open(encoder=FakeEncoder())
    index.add(["."])
    hits = {hit.source.path: hit for hit in index.search("rent due", k=5)}
    told = hits["notes.txt"].explain().as_dict()
    assert [(word["word"], word["there"]) for word in told["words"]] == [("rent", "rent"), ("due", "due")]
    assert told["matched"] == ["rent", "due"]
    assert told["grid"] is None
    why = hits["page.png"].explain()
    assert why.as_dict()["grid"] == [4, 4]
    why.save("out/why.png")
    assert Image.open("out/why.png").size[0] > 400
    with pytest.raises(ValueError, match="it is a text"):
        hits["notes.txt"].explain().picture()


def test_a_page_whose_file_has_changed_is_explained_without_a_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (400, 400), "white").save("page.png")
    index = Index.open(encoder=FakeEncoder())
    index.add(["."])
    (hit,) = index.search("rent", k=1)
    Image.new("RGB", (400, 400), "black").save("page.png")
    assert "has changed" in hit.explain().as_dict()["missing"]
    Path("page.png").unlink()
    assert "no longer there" in hit.explain().as_dict()["missing"]


def test_a_hit_sent_to_another_process_says_that_it_cannot_be_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("notes.txt").write_text("The rent is due in May.")
    index = Index.open(encoder=FakeEncoder())
    index.add(["."])
    (hit,) = index.search("rent", k=1)
    again = pickle.loads(pickle.dumps(hit))
    assert again == hit
    with pytest.raises(ValueError, match="cannot be explained"):
        again.explain()
