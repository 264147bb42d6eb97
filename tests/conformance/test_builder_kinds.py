"""Every source of pages and every language of templates keeps what its folder promises."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from builder_samples import FORM, SHEET
from fake import FakeEncoder
from PIL import Image

from unitower.builder import languages, sources
from unitower.builder.config import chosen
from unitower.builder.near import plain
from unitower.builder.types import KINDS, Dropped, Page
from unitower.index import Index

OPTIONS: dict[str, dict[str, Any]] = {
    "browser": {"paths": ["notes.md", "page.html"], "px": [400, 300]},
    "drawn": {"pages_of": ["form", "letter"], "count": 2, "px": [300, 400]},
    "files": {"paths": ["grey.png", "notes.md"], "texts": True},
    "filled": {**FORM, "px": [400, 300]},
    "index": {"path": "index"},
    "sheet": SHEET,
}
"""A kind of source -> what it is tried with, over the files below."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sources")
    (folder / "notes.md").write_text("# Knots\n\nA bowline holds under load, [see](https://example.org/).\n", encoding="utf-8")
    (folder / "page.html").write_text(
        "<h1>Bends</h1><p>A sheet bend joins two ropes.</p><img src='http://example.org/a.png'>", encoding="utf-8"
    )
    (folder / "goods.csv").write_text("shop,item,price\nQuay,rope,12.5\nQuay,tar,7\nMill,flour,1040\nMill,bran,3\n", encoding="utf-8")
    (folder / "form.html").write_text("<h1>{{shop}}</h1>{{#rows}}<p>{{item}}: {{price}}</p>{{/rows}}", encoding="utf-8")
    Image.new("RGB", (60, 40), "grey").save(folder / "grey.png")
    Index.open(folder / "index", encoder=FakeEncoder()).add([folder / "notes.md", folder / "grey.png"])
    return folder


def drawn(kind: str, folder: Path) -> list[Page]:
    dropped: list[Dropped] = []
    function, options = chosen(sources, {"kind": kind, **OPTIONS[kind]}, verb="pages", where="test")
    pages = list(function(folder=folder, notes=dropped.append, **options))
    if dropped and all(one.reason == "no browser" for one in dropped):
        pytest.skip(dropped[0].detail)
    assert dropped == []
    return pages


@pytest.fixture(scope="module")
def once(folder: Path) -> Callable[[str], list[Page]]:
    """Pages of a kind, drawn once for all tests."""
    return cache(lambda kind: drawn(kind, folder))


@pytest.mark.parametrize("kind", sources.kinds())
def test_pages_come_twice_the_same_and_say_what_their_facts_need(kind: str, folder: Path, once: Callable[[str], list[Page]]) -> None:
    first, second = once(kind), drawn(kind, folder)
    assert len(first) == 2
    assert len({page.id for page in first}) == 2
    for page, again in zip(first, second, strict=True):
        assert (page.id, page.text, page.language, page.facts) == (again.id, again.text, again.language, again.facts)
        if isinstance(page.image, Image.Image):
            assert isinstance(again.image, Image.Image)
            assert page.image.mode == "RGB"
            assert page.image.tobytes() == again.image.tobytes()
        for fact in page.facts:
            assert all(plain(needle) in plain(page.text) for needle in fact.needles)


def test_a_sheet_and_a_form_know_every_value_they_show(once: Callable[[str], list[Page]]) -> None:
    quay, mill = once("sheet")
    cells = {(fact.slots["row"], fact.answer) for fact in mill.facts if fact.kind == "cell"}
    assert cells == {("flour", "1,040"), ("bran", "3")}
    assert [(fact.kind, fact.answer) for fact in quay.facts if fact.kind != "cell"] == [("highest", "rope"), ("lowest", "tar")]
    assert [dict(fact.slots) for fact in once("filled")[0].facts] == [
        {"shop": "Quay", "item": "rope", "price": "12.5"},
        {"shop": "Quay", "item": "tar", "price": "7"},
    ]


SLOTS = {
    "title": {"title"},
    "labelled": {"title", "label"},
    "quote": {"quote"},
    "cell": {"title", "row", "column"},
    "highest": {"title", "column"},
    "lowest": {"title", "column"},
}
"""What templates for a kind of fact must fill in, so that a query says enough."""


def test_there_are_templates_in_ten_languages_and_more() -> None:
    assert len(languages.codes()) >= 10


@pytest.mark.parametrize("code", languages.codes())
def test_a_language_asks_for_every_kind_of_fact_and_is_told_by_its_own_words(code: str) -> None:
    language = languages.find(code)
    assert language.templates.keys() == SLOTS.keys()
    for fact, by_kind in language.templates.items():
        assert set(by_kind) <= set(KINDS)
        texts = [text for texts in by_kind.values() for text in texts]
        assert len(texts) == len(set(texts)) > 0
        for text in texts:
            assert set(languages.SLOT.findall(text)) == SLOTS[fact], text
            bare = languages.SLOT.sub("", text).casefold()
            assert not any(word in bare for word in language.pointing), text
    questions = [languages.SLOT.sub("", text) for by_kind in language.templates.values() for text in by_kind.get("question", [])]
    assert languages.told(" ".join(questions)) == code
