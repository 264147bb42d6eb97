"""Pairs of queries and drawn pages: the same at every reading, and nothing in common between the sides of the split."""

import subprocess
import sys

import pytest

from unitower import render
from unitower.data import open_source


def test_a_row_is_a_query_and_the_page_that_answers_it() -> None:
    pairs = open_source("rendered", kinds=["invoice", "letter"], size=6, px=(420, 600))
    assert len(pairs) == 6
    assert pairs.languages == ("en",)
    for pair in (pairs[i] for i in range(6)):
        assert pair.source == pairs.name
        assert pair.task == "retrieval"
        assert pair.query.modality == "text"
        assert pair.query.content == pair.query.text != ""
        assert pair.document.modality == "image"
        assert pair.document.content.size == (420, 600)
        assert pair.document.metadata["kind"] in ("invoice", "letter")
        answer = pair.query.metadata["answer"]
        assert all(word.strip(".,") in pair.document.text for word in answer.split())


def test_a_row_is_the_same_at_every_reading_and_in_another_process() -> None:
    code = (
        "import zlib; from unitower.data import open_source; "
        "p = open_source('rendered', kinds=['letter'], size=3, degrade=0.6, px=(300, 400))[2]; "
        "print(zlib.crc32(p.document.content.tobytes()), p.query.text)"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8"},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(seen) == 1
    pairs = open_source("rendered", kinds=["letter"], size=3, degrade=0.6, px=(300, 400))
    assert pairs[2].document.content.tobytes() == pairs[-1].document.content.tobytes()
    assert pairs[2].query == pairs[2].query


def test_rows_and_seeds_give_different_pages() -> None:
    texts = [
        open_source("rendered", kinds=["table"], size=3, seed=seed, px=(300, 400))[i].document.text for seed in (0, 1) for i in range(3)
    ]
    assert len(set(texts)) == 6


def test_all_kinds_of_page_language_and_query_come_up() -> None:
    pairs = open_source("rendered", kinds=["code", "form", "letter"], size=40, px=(240, 320))
    rows = [pairs[i] for i in range(40)]
    assert {row.document.metadata["kind"] for row in rows} == {"code", "form", "letter"}
    assert {row.query.metadata["query"] for row in rows} == set(render.QUERY_KINDS)


def test_what_a_page_to_train_on_says_is_not_said_on_one_to_test_with() -> None:
    def surnames(split):
        people = set()
        for seed in range(25):
            people.add(render.page("letter", seed=seed, px=(300, 400), split=split).facts.get("sender", "").split(" ")[-1])
        return people - {""}

    train, test = surnames("train"), surnames("test")
    assert len(train) > len(test) > 1
    assert not train & test
    rows = [open_source("rendered", kinds=["letter"], size=8, split=split, px=(300, 400)) for split in ("train", "test")]
    assert not {rows[0][i].document.id for i in range(8)} & {rows[1][i].document.id for i in range(8)}
    assert not {rows[0][i].document.text for i in range(8)} & {rows[1][i].document.text for i in range(8)}


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"kinds": ["poster"]}, "poster"),
        ({"kinds": []}, "at least one"),
        ({"languages": ("xx",)}, "xx"),
        ({"degrade": 1.5}, "1.5"),
        ({"px": (10, 10)}, "10"),
        ({"size": -1}, "-1"),
        ({"split": "dev"}, "dev"),
    ],
)
def test_what_cannot_be_drawn_is_named_when_the_source_is_opened(options, named) -> None:
    with pytest.raises(ValueError, match=named):
        open_source("rendered", **options)


def test_rows_end_where_the_size_says() -> None:
    with pytest.raises(IndexError):
        open_source("rendered", size=2)[2]
    assert len(open_source("rendered", size=0)) == 0
