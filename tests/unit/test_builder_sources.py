"""What sources and queries read from files of a person's: where a row, a title or an entry is wrong, its place is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import builder_samples
import pytest

from unitower.builder import queries, sources
from unitower.builder.config import chosen
from unitower.builder.types import Fact, Page

HEAD = "shop,item,price\n"
SHEET: dict[str, Any] = {"kind": "sheet", **builder_samples.SHEET}
FORM: dict[str, Any] = {"kind": "filled", **builder_samples.FORM}


def pages(folder: Path, options: dict[str, Any]) -> list[Page]:
    function, rest = chosen(sources, options, verb="pages", where="test")
    return list(function(folder=folder, notes=lambda dropped: None, **rest))


def drafts(folder: Path, options: dict[str, Any]) -> list[Any]:
    page = Page(id="a.md#page=1", image=None, language="en", facts=(Fact(kind="row", slots={"item": "rope", "price": "12"}),))
    function, rest = chosen(queries, options, verb="drafts", where="test")
    return list(function([page], folder=folder, seed=0, notes=lambda dropped: None, **rest))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "form.html").write_text("<h1>{{shop}}</h1>{{#rows}}<p>{{item}}: {{price}}</p>{{/rows}}", encoding="utf-8")
    (tmp_path / "goods.csv").write_text(HEAD + "Quay,rope,12.5\nQuay,tar,7\n", encoding="utf-8")
    (tmp_path / "notes.md").write_text("# Knots\n\nA bowline holds under load.\n", encoding="utf-8")
    return tmp_path


# Rows


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("Mill,flour", "line 4 has no value for column 'price': a row has 3, as the head has"),
        ("Mill,flour,", "line 4: price is '': write a number"),
        ("Mill,flour,a lot", "line 4: price is 'a lot': write a number"),
        ("Mill,flour,nan", "line 4: price is 'nan': write a number"),
        ('Mill,flour,"1,040"', "line 4: price is '1,040': write a number"),
        ("Mill,flour,1,040", "line 4 has more than 3 values: one with a comma in it stands in quotation marks"),
    ],
)
def test_a_row_of_a_sheet_that_is_wrong_is_told_with_its_place(folder: Path, line: str, message: str) -> None:
    with (folder / "goods.csv").open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    with pytest.raises(ValueError, match=f"goods.csv, {message}"):
        pages(folder, SHEET)


@pytest.mark.parametrize("options", [SHEET, FORM], ids=["sheet", "filled"])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + "Quay,rope\n", "line 2 has no value for column 'price'"),
        (HEAD, "goods.csv has no rows"),
        ("", "goods.csv is empty"),
        ("market,goods\n", "goods.csv has no column 'shop'; there are market, goods"),
        ("shop;item;price\nQuay;rope;12\n", "goods.csv has no column 'shop'; there are shop;item;price"),
        (HEAD + "Quay,r" + "o" * 140_000 + "pe,12\n", "line 2: field larger than field limit"),
    ],
)
def test_a_sheet_and_a_form_refuse_the_same_rows(folder: Path, options: dict[str, Any], text: str, message: str) -> None:
    (folder / "goods.csv").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        pages(folder, options)


@pytest.mark.parametrize("name", ["draw", "languages"])
def test_a_sheet_of_no_shape_or_language_is_refused(folder: Path, name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is empty: name at least one"):
        pages(folder, {**SHEET, name: []})


def test_blank_lines_and_empty_values_behind_the_last_column_do_no_harm(folder: Path) -> None:
    (folder / "goods.csv").write_text(HEAD + "Quay,rope,12.5,,\n\n   \nQuay,tar,7,\n,,,,\n", encoding="utf-8")
    assert [fact.answer for fact in pages(folder, SHEET)[0].facts if fact.kind == "cell"] == ["12.5", "7"]


@pytest.mark.parametrize("title", ["Prices at {market}", "Prices at {}", "Prices at {shop", "Prices at {shop.x}", "{shop:d}"])
def test_a_title_is_filled_with_the_columns_of_its_page_alone(folder: Path, title: str) -> None:
    with pytest.raises(ValueError, match=r"title\.de is '.*'; it is filled with the columns of page: \{shop\}\.") as wrong:
        pages(folder, {**SHEET, "languages": ["en", "de"], "title": {"en": "{shop}", "de": title}})
    assert title in str(wrong.value)


# Encodings


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("goods.csv", SHEET),
        ("goods.csv", FORM),
        ("form.html", FORM),
        ("mine.css", {"kind": "browser", "paths": ["notes.md"], "style": "mine.css"}),
    ],
    ids=["sheet", "rows of a form", "form", "style"],
)
def test_a_file_that_is_not_utf_8_is_named(folder: Path, name: str, options: dict[str, Any]) -> None:
    (folder / name).write_bytes("shop,item,price\nKöln,Öl,3\n".encode("latin-1"))
    with pytest.raises(ValueError, match=f"{name} is not UTF-8 .*: save it as UTF-8"):
        pages(folder, options)


# Types


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "files", "paths": "notes.md"}, r"test of kind 'files': paths is 'notes\.md'; it is a list of texts: \[\"notes\.md\"\]"),
        ({"kind": "files", "paths": ["notes.md"], "texts": "yes"}, "texts is 'yes'; it is true or false"),
        ({**SHEET, "page": "shop"}, r"page is 'shop'; it is a list of texts: \[\"shop\"\]"),
        ({**SHEET, "px": [300]}, r"px is \[300\]; it is a list of 2 whole numbers"),
        ({**SHEET, "title": "Prices"}, r"title is 'Prices'; it is a table\."),
        ({**SHEET, "words": {"de": "Preis"}}, r"words\.de is 'Preis'; it is a table"),
        ({"kind": "drawn", "pages_of": "form"}, r"pages_of is 'form'; it is a list of texts: \[\"form\"\]"),
    ],
)
def test_an_option_of_the_wrong_type_is_told(folder: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pages(folder, options)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[query]\ntext = 'rope'", r"asked\.toml: query is .*; it is a list of tables: \[\[query\]\] in place of \[query\]"),
        ("[[queries]]\ntext = 'rope'", "there is no field 'queries'; did you mean 'query'"),
        (
            "[[query]]\ntext = 'rope'\nlanguage = 'en'\npages = 'a.md'",
            r"asked\.toml, query 1: pages is 'a\.md'; it is a list of texts: \[\"a\.md\"\]",
        ),
        ("[[query]]\ntext = 'rope'\nlanguage = 'en'\npages = ['a.md']\nanswers = '12'", "did you mean 'answer'"),
        ("[[query]]\ntext = ''\nlanguage = 'en'\npages = ['a.md']", "query 1: text is missing"),
    ],
)
def test_an_entry_of_written_queries_that_is_wrong_is_told(folder: Path, text: str, message: str) -> None:
    (folder / "asked.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        drafts(folder, {"kind": "written", "path": "asked.toml"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("en = 'What?'", r"ask\.toml: en is 'What\?'; it is a table"),
        ("[en.row]\nquestion = 'Why?'", r"ask\.toml: en\.row\.question is 'Why\?'; it is a list of texts: \[\"Why\?\"\]"),
        ("[en.row]\nquestion = [' ']", r"\[row\]: question has a template without text"),
        ("[en.row]\nriddle = ['Why?']", "'riddle' is no kind of query"),
    ],
)
def test_templates_of_ones_own_that_are_wrong_are_told(folder: Path, text: str, message: str) -> None:
    (folder / "ask.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        drafts(folder, {"kind": "templates", "ask": "ask.toml"})


def test_words_in_a_file_are_told_where_they_are_wrong(folder: Path) -> None:
    (folder / "words.toml").write_text("de = 'Seil'\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"words\.toml: de is 'Seil'; it is a table"):
        drafts(folder, {"kind": "templates", "words": "words.toml"})


def test_what_stands_behind_the_arrow_of_a_template_is_the_answer(folder: Path) -> None:
    (folder / "ask.toml").write_text("[en.row]\nquestion = ['What does {item} cost? => {price}']\n", encoding="utf-8")
    (draft,) = drafts(folder, {"kind": "templates", "ask": "ask.toml"})
    assert (draft.text, draft.answer) == ("What does rope cost?", "12")
