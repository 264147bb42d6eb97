"""Data sets by card: local files only, as `datasets` reads them; what a card must say; what happens offline."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data_samples import picture, png

from unitower.data import BadPair, Pairs, open_source
from unitower.errors import UnitowerError
from unitower.types import Pair

datasets = pytest.importorskip("datasets")
ABOUT = {"licence": "MIT", "languages": ["en"]}


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNITOWER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets")


def parquet(path: Path, columns: dict[str, list[Any]], *, images: str | None = None) -> Path:
    """A table in a file; `images` is a column of pictures."""
    table = datasets.Dataset.from_dict(columns)
    if images:
        table = table.cast_column(images, datasets.Image())
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_parquet(str(path))
    return path


def opened(path: Path, **card: Any) -> Pairs:
    return open_source("hub", card={"path": str(path), **ABOUT, **card}, test_share=0)


def test_a_local_parquet_file_of_pages(tmp_path: Path) -> None:
    pages = [{"bytes": png(picture(i)), "path": None} for i in range(3)]
    path = parquet(tmp_path / "t.parquet", {"query": ["a", "b", None], "image": pages}, images="image")
    pairs = opened(path)
    assert (len(pairs), pairs.name, pairs.licence, pairs.languages) == (3, "t", "MIT", ("en",))
    for i, query in enumerate("ab"):
        assert (pairs[i].query.content, pairs[i].document.content.tobytes()) == (query, picture(i).tobytes())
    with pytest.raises(BadPair, match=r"t\.parquet, row 3: the query is null"):
        pairs[2]


def test_rows_without_what_must_be_filled_are_no_pairs(tmp_path: Path) -> None:
    path = parquet(tmp_path / "t.parquet", {"query": ["a", None, "", "d"], "document_text": list("wxyz")})
    pairs = opened(path, filled=["query"])
    assert [(pairs[i].query.content, pairs[i].document.content) for i in range(len(pairs))] == [("a", "w"), ("d", "z")]


def test_a_folder_inside_a_data_set_is_read_alone(tmp_path: Path) -> None:
    parquet(tmp_path / "set" / "de" / "train.parquet", {"query": ["a"], "document_text": ["w"]})
    parquet(tmp_path / "set" / "fr" / "train.parquet", {"query": ["b", "c"], "document_text": ["x", "y"]})
    pairs = opened(tmp_path / "set", data_dir="fr")
    assert [(pairs[i].query.content, pairs[i].document.content) for i in range(len(pairs))] == [("b", "x"), ("c", "y")]


def test_broken_pictures_spoil_their_row_only(tmp_path: Path) -> None:
    pages = [{"bytes": b"junk", "path": None}, {"bytes": png(picture(1)), "path": None}, {"bytes": None, "path": "gone.png"}, None]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    pq.write_table(pa.table({"query": list("abcd"), "image": pa.array(pages, kind)}), tmp_path / "t.parquet")
    pairs = opened(tmp_path / "t.parquet")
    assert pairs[1].document.content.tobytes() == picture(1).tobytes()
    for row, why in ((0, "no image that can be read"), (2, r"gone\.png' is missing"), (3, "nothing in 'image'")):
        with pytest.raises(BadPair, match=rf"row {row + 1}: .*{why}"):
            pairs[row]


def test_lists_of_positives_and_mapped_columns(tmp_path: Path) -> None:
    path = parquet(tmp_path / "t.parquet", {"anchor": ["q", "r"], "good": [["a", "b"], ["c"]], "bad": [["x"], []]})
    pairs = opened(path, columns={"query": "anchor", "pos": "good", "neg": "bad"}, task="code")
    assert [(pairs[i].query.content, pairs[i].document.content, [n.content for n in pairs[i].negatives]) for i in range(len(pairs))] == [
        ("q", "a", ["x"]),
        ("q", "b", ["x"]),
        ("r", "c", []),
    ]
    assert pairs[0].task == "code"


def test_negatives_by_id_come_from_the_same_table_or_another(tmp_path: Path) -> None:
    path = parquet(
        tmp_path / "t.parquet", {"id": ["1", "2", "3"], "query": ["a", "b", None], "text": list("xyz"), "wrong": [["2", "3"], [], []]}
    )
    columns = {"docid": "id", "document_text": "text", "negative_document_ids": "wrong"}
    pairs = opened(path, columns=columns, corpus={}, filled=["query"])
    assert [n.content for n in pairs[0].negatives] == ["y", "z"]
    other = parquet(tmp_path / "c.parquet", {"docid": [7, 8], "text": ["seven", "eight"]})
    path = parquet(tmp_path / "u.parquet", {"query": ["q", "r"], "positive_document_ids": [[8], [9]]})
    pairs = opened(path, corpus={"path": str(other)})
    assert pairs[0].document.content == "eight"
    with pytest.raises(BadPair, match=r"row 2: document '9' is not in .*c\.parquet"):
        pairs[1]


def test_folders_as_datasets_saves_them_and_folders_of_files(tmp_path: Path) -> None:
    table = datasets.Dataset.from_dict({"text1": ["a"], "text2": ["b"], "score": [2.5]})
    table.save_to_disk(tmp_path / "one")
    datasets.DatasetDict({"dev": table}).save_to_disk(tmp_path / "several")
    parquet(tmp_path / "files" / "data" / "train-00000-of-00001.parquet", {"text1": ["a"], "text2": ["b"], "score": [2.5]})
    for pairs in (opened(tmp_path / "one"), opened(tmp_path / "several", split="dev"), opened(tmp_path / "files")):
        assert (pairs[0].query.content, pairs[0].document.content, pairs[0].grade, pairs[0].task) == ("a", "b", 2.5, "text-matching")


def test_a_card_may_be_a_file_and_paths_are_relative_to_it(tmp_path: Path) -> None:
    parquet(tmp_path / "data" / "t.parquet", {"question": ["q"], "document_text": ["d"]})
    card = tmp_path / "cards" / "t.toml"
    card.parent.mkdir()
    card.write_text('path = "../data/t.parquet"\nlicence = "MIT"\nlanguages = "de"\n[columns]\nquery = "question"\n')
    pairs = open_source("hub", card=card, test_share=0)
    assert (pairs[0].query.content, pairs.languages) == ("q", ("de",))
    parquet(tmp_path / "data" / "u.parquet", {"query": ["q"], "positive_document_ids": [["7"]]})
    parquet(tmp_path / "data" / "c.parquet", {"docid": ["7"], "text": ["seven"]})
    card.write_text('path = "../data/u.parquet"\nlicence = "MIT"\nlanguages = ["de"]\n[corpus]\npath = "../data/c.parquet"\n')
    assert open_source("hub", card=card, test_share=0)[0].document.content == "seven"


def test_a_card_is_read_as_utf8_with_a_mark_or_without_and_else_named(tmp_path: Path) -> None:
    card = tmp_path / "müll.toml"
    parquet(tmp_path / "größe.parquet", {"query": ["q"], "document_text": ["d"]})
    text = 'path = "größe.parquet"\nlicence = "MIT"\nlanguages = "de"\n'
    card.write_text(text, encoding="utf-8-sig")  # as editors on Windows save it
    assert len(open_source("hub", card=card, test_share=0)) == 1
    card.write_text(text, encoding="latin-1")
    with pytest.raises(ValueError, match=r"müll\.toml is not UTF-8 \(invalid start byte at byte 11\): save it as UTF-8"):
        open_source("hub", card=card)


@pytest.mark.parametrize(
    ("card", "why"),
    [
        ({"path": "a/b", "languages": ["en"]}, "licence is missing"),
        ({"path": "a/b", **ABOUT, "revison": "x"}, "no field 'revison'; did you mean 'revision'"),
        ({"path": "a/b", **ABOUT}, "revision is None; pin the commit"),
        ({"path": "a/b", **ABOUT, "revision": "main"}, "revision is 'main'; pin the commit"),
        ({"path": "no such folder", **ABOUT}, "there is no data set 'no such folder'"),
        ({"path": "a/b", **ABOUT, "columns": {"question": "q"}}, "no column 'question' of ours"),
    ],
)
def test_a_wrong_card_says_what_is_wrong(card: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        open_source("hub", card=card)


def test_wrong_splits_columns_and_kinds_of_file_are_named(tmp_path: Path) -> None:
    path = parquet(tmp_path / "t.parquet", {"question": ["q"], "answer": ["a"]})
    with pytest.raises(ValueError, match=r"t\.parquet has the columns question, answer, which is no shape"):
        opened(path)
    datasets.DatasetDict({"dev": datasets.Dataset.from_dict({"query": ["q"], "pos": ["p"]})}).save_to_disk(tmp_path / "d")
    with pytest.raises(ValueError, match="has no split 'train'"):
        opened(tmp_path / "d")
    (tmp_path / "t.xlsx").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"none of \.parquet"):
        opened(tmp_path / "t.xlsx")
    (tmp_path / "bad.parquet").write_bytes(b"junk")
    with pytest.raises((ValueError, UnitowerError), match=r"bad\.parquet"):
        opened(tmp_path / "bad.parquet")


def test_offline_nothing_is_fetched_and_the_error_says_so(tmp_path: Path) -> None:
    code = (
        "from unitower.data import open_source\n"
        "from unitower.errors import UnitowerError\n"
        "try: open_source('hub', card={'path': 'vidore/colpali_train_set', 'licence': 'x', 'languages': ['en'], 'revision': 'a' * 40})\n"
        "except UnitowerError as error: print('told:', error)\n"
    )
    environment = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "UNITOWER_CACHE": str(tmp_path), "PATH": "/usr/bin"}
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment).stdout
    assert told.startswith("told: data set vidore/colpali_train_set cannot be had")
    assert "Offline, it must have been fetched before" in told


def test_the_index_is_made_once_and_pictures_are_not_read_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import unitower.data.hub as module

    pages = [{"bytes": png(picture(i)), "path": "same.png"} for i in range(40)]
    path = parquet(tmp_path / "t.parquet", {"query": [f"q{i}" for i in range(40)], "image": pages}, images="image")
    card = {"path": str(path), **ABOUT}
    train, test = (open_source("hub", card=card, split=split, test_share=0.3) for split in ("train", "test"))
    assert len(train) + len(test) == 40
    assert 0 < len(test) < 25  # pages are told apart by their bytes, not by a name that all have
    monkeypatch.setattr(module, "_index", lambda *_: pytest.fail("the table was read through again"))
    assert len(open_source("hub", card=card, split="test", test_share=0.3)) == len(test)


def test_a_file_that_has_changed_is_read_anew(tmp_path: Path) -> None:
    path = parquet(tmp_path / "t.parquet", {"query": ["a"], "document_text": ["x"]})
    assert [pair.query.content for pair in all_of(opened(path))] == ["a"]
    parquet(path, {"query": ["b", "c"], "document_text": ["y", "z"]})
    assert [pair.query.content for pair in all_of(opened(path))] == ["b", "c"]


def all_of(pairs: Pairs) -> list[Pair]:
    return [pairs[i] for i in range(len(pairs))]
