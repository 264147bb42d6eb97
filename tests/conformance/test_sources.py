"""What every data source must do, run on each file of src/unitower/data: a new file needs a line in OPTIONS, and is tested."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from data_samples import picture, png_base64, write_files, write_jsonl, write_man, write_mo
from PIL.Image import Image

from unitower.data import BadPair, Pairs, open_source, sources
from unitower.types import Item, Pair

Options = dict[str, Any]

NOUNS = ["window", "button", "folder", "printer", "message", "picture", "password", "network", "keyboard", "calendar", "document", "screen"]


def triplets(folder: Path) -> Options:
    rows: list[Any] = [
        {"query": f"where is the {noun}?", "pos": [f"The {noun} is here.", f"Look: a {noun}!"], "neg": [f"No {noun} at all."]}
        for noun in NOUNS
    ]
    return {
        "path": write_jsonl(folder / "triplets.jsonl", [*rows, "{broken", {"query": "", "pos": ["x"]}, {"pos": ["y"]}]),
        "test_share": 0.5,
    }


def pages(folder: Path) -> Options:
    for number in range(6):
        picture(number).save(folder / f"{number}.png")
    names = [*(f"{number}.png" for number in range(6)), *(png_base64(picture(number)) for number in range(6, 12)), "missing.png"]
    rows = [{"query": f"what stands on page {number}?", "image": name} for number, name in enumerate(names)]
    return {"path": write_jsonl(folder / "pages.jsonl.gz", rows, packed=True), "test_share": 0.5}


def by_id(folder: Path) -> Options:
    corpus = write_jsonl(folder / "corpus.jsonl", [{"docid": noun, "document_text": f"The {noun} is here."} for noun in NOUNS])
    rows = [
        {"query_text": f"where is the {noun}?", "positive_document_ids": [noun], "negative_document_ids": [other]}
        for noun, other in zip([*NOUNS, "nothing"], [*NOUNS[1:], *NOUNS[:2]], strict=True)
    ]
    return {"path": write_jsonl(folder / "queries.jsonl", rows), "corpus": corpus, "test_share": 0.5}


def graded(folder: Path) -> Options:
    rows = [{"sentence1": f"a {noun}", "sentence2": f"one {noun}", "score": number / 2} for number, noun in enumerate(NOUNS)]
    return {"path": write_jsonl(folder / "graded.jsonl", rows), "test_share": 0.5}


def parquet(folder: Path) -> Options:
    datasets = pytest.importorskip("datasets")
    table = datasets.Dataset.from_dict({"question": [f"where is the {noun}?" for noun in NOUNS], "page": [picture(i) for i in range(12)]})
    table.to_parquet(folder / "table.parquet")
    columns = {"query": "question", "image": "page"}
    card = {"path": str(folder / "table.parquet"), "licence": "MIT", "languages": ["en"], "columns": columns}
    return {"card": card, "test_share": 0.5}


def package(sides: str) -> Callable[[Path], Options]:
    def options(folder: Path) -> Options:
        for number, noun in enumerate(NOUNS):
            near, far = " ".join(NOUNS[number:] + NOUNS[:number]), " ".join(NOUNS[number::-1])
            function = (
                f'def {noun}_of(house, {noun}):\n    """Return the {noun} that a house was given.\n\n    Unlike {near}, {far} may stand '
                f'together.\n    """\n    found = house.{noun}\n    return found or {noun}\n'
            )
            write_files(folder / "packages", {f"{noun}/__init__.py": function})
        return {"roots": [folder / "packages"], "licences": ["unknown"], "test_share": 0.5, "sides": sides}

    return options


def interface(folder: Path) -> Options:
    for locale, word in (("de", "Zeige"), ("fr", "Montrer"), ("ja", "表示")):
        strings = {f"_Show the {noun} again": f"{word} {noun}" for noun in NOUNS}
        write_mo(folder / "locale" / locale / "LC_MESSAGES" / "x.mo", strings)
    return {"folders": [folder / "locale"], "test_share": 0.5}


def manual(folder: Path) -> Options:
    for noun in NOUNS:
        write_man(folder / f"man/man1/{noun}.1.gz", f".SH NAME\n{noun} \\- show the {noun} to everybody who wants to see it\n")
        write_man(folder / f"man/de/man1/{noun}.1.gz", f".SH NAME\n{noun} \\- {noun} allen zeigen, die ihn oder sie sehen wollen\n")
    return {"texts": "manual", "folders": [folder / "man"], "test_share": 0.5}


def around(kind: str) -> Callable[[Path], Options]:
    def options(folder: Path) -> Options:
        rows = [
            {
                "query": f"where is the {noun}?",
                "pos": [f"In this {place} there is a {noun}, and nobody knows it, because it is {noun}-like."],
            }
            for place, noun in zip(NOUNS[::-1], NOUNS, strict=True)
        ]
        rows.append({"query": "one two three four", "pos": ["one two three four five"]})
        return {"source": "jsonl", "options": {"path": write_jsonl(folder / f"{kind}.jsonl", rows), "test_share": 0.5}}

    return options


def drawn(folder: Path) -> Options:
    return {"kinds": ["paragraphs"], "size": 4, "px": (300, 400)}


OPTIONS: dict[str, tuple[str, Callable[[Path], Options]]] = {
    "jsonl of triplets": ("jsonl", triplets),
    "jsonl of pages": ("jsonl", pages),
    "jsonl of ids": ("jsonl", by_id),
    "jsonl of grades": ("jsonl", graded),
    "hub": ("hub", parquet),
    "python_docs of code": ("python_docs", package("code")),
    "python_docs of summaries": ("python_docs", package("summary")),
    "translations of interfaces": ("translations", interface),
    "translations of manuals": ("translations", manual),
    "filtered": ("filtered", around("filtered")),
    "keywords": ("keywords", around("keywords")),
    "rendered": ("rendered", drawn),
}
"""A name -> the kind, and what makes small options for it in a folder, with something on both sides of the split."""


@pytest.fixture(params=OPTIONS)
def opened(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Pairs]:
    """Opens the source at hand; further options are put over its own."""
    monkeypatch.setenv("UNITOWER_CACHE", str(tmp_path / "cache"))
    kind, make = OPTIONS[request.param]
    if kind == "hub":
        datasets = pytest.importorskip("datasets")
        monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets")
    options = make(tmp_path)
    return lambda **more: open_source(kind, **{**options, **more})


def usable(pairs: Pairs) -> dict[int, Pair]:
    """The pairs that can be used; anything else than BadPair is an error."""
    found = {}
    for index in range(len(pairs)):
        with suppress(BadPair):
            found[index] = pairs[index]
    return found


def seen(item: Item) -> tuple[Any, ...]:
    """Everything about an item, comparable."""
    content = item.content if isinstance(item.content, str) else (item.content.size, item.content.tobytes())
    return item.id, item.modality, content, item.source, item.text, dict(item.metadata)


def test_every_source_has_options_to_be_tested_with() -> None:
    assert {kind for kind, _ in OPTIONS.values()} == set(sources())


def test_name_licence_and_languages_are_told(opened: Callable[..., Pairs]) -> None:
    pairs = opened()
    assert pairs.name
    assert pairs.licence.strip()
    assert isinstance(pairs.languages, tuple)
    assert pairs.languages
    assert all(re.fullmatch(r"[a-z]{2,3}|code", language) for language in pairs.languages)


def test_it_has_as_many_rows_as_it_says(opened: Callable[..., Pairs]) -> None:
    pairs = opened()
    assert len(pairs) > 1
    assert usable(pairs)
    with pytest.raises(IndexError):
        pairs[len(pairs)]


def test_rows_are_the_same_at_every_reading_and_opening_in_any_order(opened: Callable[..., Pairs]) -> None:
    first, second = opened(), opened()
    assert len(first) == len(second)
    forwards = usable(first)
    for index in reversed(range(len(second))):
        if index not in forwards:
            with pytest.raises(BadPair):
                second[index]
            continue
        one, other = forwards[index], second[index]
        assert (one.grade, one.source, one.task) == (other.grade, other.source, other.task)
        assert [*map(seen, (one.query, one.document, *one.negatives))] == [*map(seen, (other.query, other.document, *other.negatives))]


def test_what_is_trained_on_and_what_is_tested_with_have_nothing_in_common(opened: Callable[..., Pairs]) -> None:
    train, test = (usable(opened(split=split)).values() for split in ("train", "test"))
    assert train
    assert test
    for side in ("query", "document"):
        contents = [{seen(getattr(pair, side))[1:3] for pair in pairs} for pairs in (train, test)]
        assert contents[0].isdisjoint(contents[1])
    with pytest.raises(ValueError, match="'validation'"):
        opened(split="validation")


def test_training_is_what_one_gets_without_asking(opened: Callable[..., Pairs]) -> None:
    assert [seen(pair.query) for pair in usable(opened()).values()] == [seen(pair.query) for pair in usable(opened(split="train")).values()]


def test_pairs_are_well_formed(opened: Callable[..., Pairs]) -> None:
    pairs = opened()
    for pair in usable(pairs).values():
        assert pair.source == pairs.name
        assert pair.task in ("retrieval", "text-matching", "code")
        assert pair.grade is None or isinstance(pair.grade, float)
        items = (pair.query, pair.document, *pair.negatives)
        assert len({item.id for item in items}) == len(items)
        for item in items:
            assert item.source.path
            if item.modality == "image":
                assert isinstance(item.content, Image)
                assert item.content.mode == "RGB"
                assert min(item.content.size) > 0
            else:
                assert isinstance(item.content, str)
                assert item.content.strip()
                assert item.text == item.content
                item.content.encode("utf-8")  # no halves of surrogate pairs


def test_ids_tell_different_contents_apart(opened: Callable[..., Pairs]) -> None:
    contents: dict[str, set[Any]] = {}
    for pair in usable(opened()).values():
        for item in (pair.query, pair.document):
            contents.setdefault(item.id, set()).add(seen(item)[2])
    assert all(len(different) == 1 for different in contents.values())


def test_an_option_that_there_is_not_is_refused(opened: Callable[..., Pairs]) -> None:
    with pytest.raises((TypeError, ValueError), match="no_such_option"):
        opened(no_such_option=1)


def test_an_unknown_kind_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"no data source 'jsonlines'; there are filtered, .*jsonl"):
        open_source("jsonlines")
