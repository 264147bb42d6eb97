"""The sample files of the demo are all there, as their list says, and its queries can be answered from them."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
from PIL import Image

SAMPLES = Path(__file__).parents[2] / "src" / "unitower" / "samples"
FILES = SAMPLES / "files"
DOCUMENTS: list[dict[str, Any]] = tomllib.loads((SAMPLES / "index.toml").read_text(encoding="utf-8"))["document"]
QUERIES: list[dict[str, Any]] = tomllib.loads((SAMPLES / "queries.toml").read_text(encoding="utf-8"))["query"]
LISTED = {document["path"]: document for document in DOCUMENTS}
MAX_SIZE_BYTES = 2_500_000
SCRIPTS = {
    "ar": ("؀", "ۿ"),
    "el": ("Ͱ", "Ͽ"),
    "hi": ("ऀ", "ॿ"),
    "ja": ("぀", "ヿ"),
    "ru": ("Ѐ", "ӿ"),
    "zh": ("一", "鿿"),
}
"""First and last letter of the Unicode block that a language's text is mostly made of."""


def named(document: dict[str, Any]) -> str:
    return str(document["path"])


def page_texts(path: Path) -> list[str]:
    """Text layer of every page of a PDF, with the spaces and line ends of the layout made one space each."""
    with pypdfium2.PdfDocument(path) as document:
        return [" ".join(page.get_textpage().get_text_range().split()) for page in document]


def text_of(path: str, page: int | None = None) -> str:
    """What can be read in a sample without eyes; of one page if it is given."""
    if path.endswith(".pdf"):
        pages = page_texts(FILES / path)
        return pages[page - 1] if page else " ".join(pages)
    if LISTED[path]["medium"] == "picture":
        return ""
    return " ".join((FILES / path).read_text(encoding="utf-8").split())


def test_the_list_names_every_file_and_no_other() -> None:
    present = {path.relative_to(FILES).as_posix() for path in FILES.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert sorted(LISTED) == sorted(present)
    assert len(LISTED) == len(DOCUMENTS)


def test_there_are_enough_documents_of_enough_kinds_and_languages() -> None:
    assert len(DOCUMENTS) >= 25
    assert len({document["language"] for document in DOCUMENTS}) >= 8
    assert {"chart", "invoice", "letter", "slides", "minutes", "code", "timetable", "receipt", "form"} <= {d["kind"] for d in DOCUMENTS}
    assert sum(document["medium"] == "picture" for document in DOCUMENTS) >= 8


def test_the_samples_stay_small_enough_for_the_wheel() -> None:
    assert sum(path.stat().st_size for path in SAMPLES.rglob("*") if path.is_file()) <= MAX_SIZE_BYTES


@pytest.mark.parametrize("document", [d for d in DOCUMENTS if d["path"].endswith(".pdf")], ids=named)
def test_a_pdf_has_its_pages_and_the_text_layer_the_list_promises(document: dict[str, Any]) -> None:
    pages = page_texts(FILES / document["path"])
    assert len(pages) == document["pages"]
    if document["medium"] == "layer":
        assert min(map(len, pages)) >= 60
        assert "�" not in "".join(pages)
    else:
        assert not any(pages)


@pytest.mark.parametrize("document", [d for d in DOCUMENTS if not d["path"].endswith(".pdf") and d["medium"] == "picture"], ids=named)
def test_a_picture_opens_and_is_large_enough_to_read(document: dict[str, Any]) -> None:
    with Image.open(FILES / document["path"]) as picture:
        assert getattr(picture, "n_frames", 1) == document.get("pages", 1)
        for frame in range(getattr(picture, "n_frames", 1)):
            picture.seek(frame)
            assert min(picture.size) >= 400
            darkest, lightest = picture.convert("L").getextrema()
            assert lightest - darkest >= 150


@pytest.mark.parametrize("document", [d for d in DOCUMENTS if d["medium"] != "picture" and d["language"] in SCRIPTS], ids=named)
def test_text_comes_out_in_the_script_of_its_language(document: dict[str, Any]) -> None:
    first, last = SCRIPTS[document["language"]]
    letters = [letter for letter in text_of(document["path"]) if letter.isalpha()]
    assert sum(first <= letter <= last for letter in letters) >= len(letters) / 3


def test_a_source_file_is_of_a_readable_length() -> None:
    for document in DOCUMENTS:
        if document["kind"] == "code":
            assert 30 <= len((FILES / document["path"]).read_text(encoding="utf-8").splitlines()) <= 140, document["path"]


def test_the_queries_are_of_every_kind_and_in_several_languages() -> None:
    assert 8 <= len(QUERIES) <= 10
    assert {query["kind"] for query in QUERIES} == {"keyword", "phrase", "question", "cross-lingual", "code"}
    assert len({query["language"] for query in QUERIES}) >= 4
    assert sum(query.get("needs_eyes", False) for query in QUERIES) <= 2


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query["text"])
def test_a_query_has_its_answer_where_it_says(query: dict[str, Any]) -> None:
    assert query["why"].endswith(".")
    assert query["answers"]
    for answer in query["answers"]:
        document = LISTED[answer["path"]]
        assert ("page" in answer) == ("pages" in document)
        assert 1 <= answer.get("page", 1) <= document.get("pages", 1)
        if query.get("needs_eyes"):
            assert document["medium"] == "picture"
            assert not query["words"]
        else:
            assert query["words"]
            text = text_of(answer["path"], answer.get("page"))
            assert [words for words in query["words"] if words not in text] == []


@pytest.mark.parametrize("query", [q for q in QUERIES if not q.get("needs_eyes")], ids=lambda query: query["text"])
def test_no_other_page_or_file_holds_all_the_words_of_an_answer(query: dict[str, Any]) -> None:
    holders = [
        (path, page)
        for path, document in LISTED.items()
        for page in range(1, document.get("pages", 1) + 1)
        if all(words in text_of(path, page) for words in query["words"])
    ]
    assert sorted(holders) == sorted((answer["path"], answer.get("page", 1)) for answer in query["answers"])


@pytest.mark.parametrize("query", [q for q in QUERIES if q["kind"] == "cross-lingual"], ids=lambda query: query["text"])
def test_a_cross_lingual_query_is_answered_in_another_language(query: dict[str, Any]) -> None:
    assert all(LISTED[answer["path"]]["language"] != query["language"] for answer in query["answers"])
