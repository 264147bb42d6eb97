"""A user's JSONL: the three shapes, what is made of each column, and what is said about rows that cannot be used."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest
from data_samples import picture, png, png_base64, write_jsonl
from PIL import Image

from unitower.data import BadPair, Pairs, open_source
from unitower.errors import UnitowerError
from unitower.types import Pair


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNITOWER_CACHE", str(tmp_path / "cache"))


def opened(tmp_path: Path, *rows: Any, name: str = "train.jsonl", **options: Any) -> Pairs:
    return open_source("jsonl", path=write_jsonl(tmp_path / name, rows), **{"test_share": 0, **options})


def only(tmp_path: Path, row: Any, **options: Any) -> Pair:
    pairs = opened(tmp_path, row, **options)
    assert len(pairs) == 1
    return pairs[0]


def reason(pairs: Pairs, index: int = 0) -> str:
    with pytest.raises(BadPair) as error:
        pairs[index]
    return str(error.value)


# ---- the shapes


def test_triplets_have_negatives_and_their_scores(tmp_path: Path) -> None:
    pair = only(tmp_path, {"query": "q", "pos": ["p"], "neg": ["n1", "n2"], "pos_scores": [0.9], "neg_scores": [0.3, 0.2]})
    assert (pair.query.content, pair.document.content) == ("q", "p")
    assert [(n.content, n.metadata["score"]) for n in pair.negatives] == [("n1", "0.3"), ("n2", "0.2")]
    assert (pair.grade, pair.task, pair.source) == (0.9, "retrieval", "train")


def test_every_positive_of_a_row_makes_a_pair_with_the_same_query_and_negatives(tmp_path: Path) -> None:
    pairs = opened(tmp_path, {"query": "q", "pos": ["a", "b", "c"], "neg": ["n"], "pos_scores": [1, 2, 3]}, {"query": "r", "pos": ["d"]})
    found = [pairs[i] for i in range(len(pairs))]
    assert [(p.query.content, p.document.content, len(p.negatives), p.grade) for p in found] == [
        ("q", "a", 1, 1.0),
        ("q", "b", 1, 2.0),
        ("q", "c", 1, 3.0),
        ("r", "d", 0, None),
    ]
    assert len({item.id for p in found for item in (p.query, p.document)}) == 6  # the query of a row is one item


def test_a_single_positive_need_not_be_a_list_and_missing_negatives_may_be_null(tmp_path: Path) -> None:
    pair = only(tmp_path, {"query": "q", "pos": "p", "pos_scores": 0.5, "neg": None, "neg_scores": None})
    assert (pair.document.content, pair.grade, pair.negatives) == ("p", 0.5, ())


def test_only_the_first_negatives_are_kept_where_fewer_are_asked_for(tmp_path: Path) -> None:
    row = {"query": "q", "pos": ["p"], "neg": ["a", "b", "c"]}
    assert [n.content for n in only(tmp_path, row, negatives=2).negatives] == ["a", "b"]
    assert only(tmp_path, row, negatives=0).negatives == ()


def test_passages_with_titles_as_tevatron_first_had_them(tmp_path: Path) -> None:
    passage = {"docid": "1", "title": "Bees", "text": "make honey"}
    pair = only(
        tmp_path, {"query_id": "7", "query": "q", "positive_passages": [passage], "negative_passages": [{"docid": "2", "text": "no"}]}
    )
    assert pair.document.content == "Bees\nmake honey"
    assert pair.negatives[0].content == "no"


def test_documents_of_columns_of_their_own(tmp_path: Path) -> None:
    picture(1).save(tmp_path / "q.png")
    picture(2).save(tmp_path / "d.png")
    pairs = opened(
        tmp_path,
        {"query": "q", "document_text": "t"},
        {"query_image": "q.png", "query": None, "document_image": "d.png", "document_text": "words on the page"},
    )
    assert (pairs[0].query.content, pairs[0].document.content) == ("q", "t")
    page = pairs[1].document
    assert (page.modality, page.text, page.source.path) == ("image", "words on the page", str(tmp_path / "d.png"))
    assert pairs[1].query.content.tobytes() == picture(1).tobytes()
    assert page.content.tobytes() == picture(2).tobytes()


def test_documents_by_id_come_from_the_corpus(tmp_path: Path) -> None:
    picture(3).save(tmp_path / "page.png")
    corpus = [
        {"docid": "a", "document_text": "alpha"},
        {"docid": 2, "document_image": "page.png"},
        {"docid": "c", "title": "T", "text": "x"},
    ]
    write_jsonl(tmp_path / "corpus.jsonl", corpus)
    pairs = opened(
        tmp_path,
        {"query_id": 1, "query_text": "q", "query_image": None, "positive_document_ids": ["a", 2], "negative_document_ids": ["c"]},
        corpus=tmp_path / "corpus.jsonl",
    )
    assert pairs[0].document.content == "alpha"
    assert pairs[1].document.content.tobytes() == picture(3).tobytes()
    assert pairs[0].negatives[0].content == "T\nx"


def test_pictures_of_a_corpus_lie_beside_the_corpus(tmp_path: Path) -> None:
    (tmp_path / "pages").mkdir()
    picture(4).save(tmp_path / "pages" / "a.png")
    write_jsonl(tmp_path / "pages" / "corpus.jsonl", [{"docid": "a", "image": "a.png"}])
    row = {"query": "q", "positive_document_ids": ["a"]}
    assert only(tmp_path, row, corpus=[tmp_path / "pages" / "corpus.jsonl"]).document.content.tobytes() == picture(4).tobytes()


def test_query_and_image_as_the_colpali_train_set_has_them(tmp_path: Path) -> None:
    picture(5).save(tmp_path / "5.png")
    pair = only(tmp_path, {"image": "5.png", "image_filename": "x", "query": "what?", "answer": "that"})
    assert (pair.query.content, pair.document.modality) == ("what?", "image")


@pytest.mark.parametrize(("first", "second"), [("text1", "text2"), ("sentence1", "sentence2")])
def test_graded_pairs_train_text_matching(tmp_path: Path, first: str, second: str) -> None:
    pair = only(tmp_path, {first: "a", second: "b", "score": "3.8"})
    assert (pair.query.content, pair.document.content, pair.grade, pair.task) == ("a", "b", 3.8, "text-matching")


def test_a_task_and_a_modality_may_be_named(tmp_path: Path) -> None:
    pair = only(tmp_path, {"query": "q", "pos": ["def f(): ..."], "neg": ["x = 1"]}, task="code", document_modality="code")
    assert (pair.task, pair.query.modality, pair.document.modality, pair.negatives[0].modality) == ("code", "text", "code", "code")


def test_columns_with_other_names_are_mapped(tmp_path: Path) -> None:
    row = {"anchor": "q", "positive": "p", "negative": "n", "query": "something else"}
    pair = only(tmp_path, row, columns={"query": "anchor", "pos": "positive", "neg": "negative"})
    assert (pair.query.content, pair.document.content, pair.negatives[0].content) == ("q", "p", "n")


def test_a_mapping_to_a_column_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no column 'positive' of ours"):
        opened(tmp_path, {"query": "q", "pos": "p"}, columns={"positive": "pos"})


def test_elements_of_lists_may_be_pages(tmp_path: Path) -> None:
    picture(6).save(tmp_path / "6.png")
    pair = only(
        tmp_path, {"query": {"image": "6.png"}, "pos": [{"image": png_base64(picture(7)), "text": "seven"}], "neg": [{"text": "n"}]}
    )
    assert pair.query.content.tobytes() == picture(6).tobytes()
    assert (pair.document.content.tobytes(), pair.document.text) == (picture(7).tobytes(), "seven")
    assert pair.negatives[0].content == "n"


# ---- telling the shape


def test_the_shape_is_that_of_the_first_row_that_has_one(tmp_path: Path) -> None:
    pairs = opened(tmp_path, "{broken", {"note": "made by hand"}, {"query": "q", "pos": ["p"]}, {"query": "q", "image": "x.png"})
    assert pairs.shape == "triplets"
    assert pairs[2].document.content == "p"
    assert "not JSON" in reason(pairs, 0)
    assert "no column 'query'; there are: note" in reason(pairs, 1)
    assert "line 4: there is no column 'pos'; there are: query, image" in reason(pairs, 3)


def test_a_named_shape_is_not_told_from_the_rows(tmp_path: Path) -> None:
    pairs = opened(tmp_path, {"query": "q", "pos": ["p"], "image": "x.png"}, shape="images")
    assert "image 'x.png'" in reason(pairs) or "x.png" in reason(pairs)


@pytest.mark.parametrize("rows", [[{"question": "q", "context": "c"}], ["nonsense"], [[1, 2]], ["[", '{"query": "q", "pos": ["p"]},', "]"]])
def test_rows_of_no_known_shape_show_those_that_are_known(tmp_path: Path, rows: list[Any]) -> None:
    with pytest.raises(ValueError, match="pos_scores") as error:
        opened(tmp_path, *rows)
    for word in ("triplets", "documents", "images", "graded", "positive_document_ids", "document_image", "sentence1", "columns="):
        assert word in str(error.value)


def test_a_json_array_is_told_to_be_one(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="one object a line"):
        opened(tmp_path, "[", '{"query": "q", "pos": ["p"]},', "]")


def test_wrong_arguments_say_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"there is no file .*nowhere\.jsonl"):
        open_source("jsonl", path=tmp_path / "nowhere.jsonl")
    with pytest.raises(ValueError, match=r"empty\.jsonl is empty"):
        opened(tmp_path, name="empty.jsonl")
    with pytest.raises(ValueError, match="shape is 'pairs'; there are"):
        opened(tmp_path, {"query": "q", "pos": "p"}, shape="pairs")
    with pytest.raises(ValueError, match="split is 'dev'"):
        opened(tmp_path, {"query": "q", "pos": "p"}, split="dev")
    with pytest.raises(ValueError, match=r"test_share is 1\.5"):
        opened(tmp_path, {"query": "q", "pos": "p"}, test_share=1.5)


# ---- rows that cannot be used

GOOD = {"query": "q", "pos": ["p"]}


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ('{"query": "q", "pos": ["p"', "not JSON: "),
        ("[1, 2]", "not an object in braces but a list"),
        ("null", "not an object in braces but null"),
        ("3", "not an object in braces but a number"),
        ("[" * 100_000, "not JSON"),
        ({"pos": ["p"]}, "no column 'query'; there are: pos"),
        ({"query": "q"}, "no column 'pos'; there are: query"),
        ({"query": "", "pos": ["p"]}, "the query is empty"),
        ({"query": " \t\n", "pos": ["p"]}, "the query is empty"),
        ({"query": None, "pos": ["p"]}, "the query is null, not a text"),
        ({"query": 5, "pos": ["p"]}, "the query is a number, not a text"),
        ({"query": ["q"], "pos": ["p"]}, "the query is a list, not a text"),
        ({"query": "q", "pos": []}, "pos is empty"),
        ({"query": "q", "pos": None}, "pos is empty"),
        ({"query": "q", "pos": 3}, "pos is '3', not a list"),
        ({"query": "q", "pos": [None]}, "pos 1 is null"),
        ({"query": "q", "pos": [""]}, "pos 1 is empty"),
        ({"query": "q", "pos": [{"image": ""}]}, "pos 1 has nothing in 'image'"),
        ({"query": "q", "pos": [{"page": "x"}]}, "pos 1 has no 'document_text' and no 'document_image'; there are: page"),
        ({"query": "q", "pos": ["p"], "neg": ["n", ""]}, "neg 2 is empty"),
        ({"query": "q", "pos": ["p"], "neg": "p"}, "neg 1 is one of the positives"),
        ({"query": "q", "pos": ["p"], "pos_scores": [1, 2]}, "pos_scores is '[1, 2]', not a list of 1"),
        ({"query": "q", "pos": ["p"], "pos_scores": ["high"]}, "the score of pos 1 is 'high', not a finite number"),
        ('{"query": "q", "pos": ["p"], "pos_scores": [NaN]}', "the score of pos 1 is 'nan', not a finite number"),
        ({"query": "q", "pos": ["p"], "neg": ["n"], "neg_scores": 1}, "neg_scores is '1', not a list of 1"),
        ({"query": "q", "positive_document_ids": ["a"]}, "no corpus to find it in: give corpus=FILE"),
        ({"query": "q", "query_image": "x.png", "pos": ["p"]}, "the query has both text and an image"),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_used_is_named_with_file_line_and_reason(tmp_path: Path, row: Any, why: str) -> None:
    pairs = opened(tmp_path, GOOD, row, GOOD, shape="triplets")
    assert len(pairs) == 3
    assert pairs[0].document.content == pairs[2].document.content == "p"
    told = reason(pairs, 1)
    assert told.startswith(f"{tmp_path / 'train.jsonl'}, line 2: ")
    assert why in told


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"text1": "a", "text2": "b", "score": None}, "the score is null"),
        ({"text1": "a", "text2": "b", "score": True}, "not a finite number"),
        ({"text1": "a", "text2": "", "score": 1}, "text2 is empty"),
        ({"text1": "a", "score": 1}, "no column 'text2'; there are: text1, score"),
    ],
)
def test_a_graded_row_that_cannot_be_used_is_named(tmp_path: Path, row: Any, why: str) -> None:
    assert why in reason(opened(tmp_path, row, shape="graded"))


def test_the_other_positives_of_a_row_are_not_lost_with_one(tmp_path: Path) -> None:
    pairs = opened(tmp_path, {"query": "q", "pos": ["a", "", "c"]})
    assert [pairs[0].document.content, pairs[2].document.content] == ["a", "c"]
    assert "pos 2 is empty" in reason(pairs, 1)


def test_a_negative_that_is_another_positive_of_the_row_is_refused(tmp_path: Path) -> None:
    assert "neg 1 is one of the positives" in reason(opened(tmp_path, {"query": "q", "pos": ["a", "b"], "neg": ["b "]}))


def test_bytes_that_are_no_utf8_spoil_their_line_only(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'{"query": "q", "pos": ["p"]}\n{"query": "\xe4", "pos": ["p"]}\n{"query": "r", "pos": ["s"]}')
    pairs = open_source("jsonl", path=path, test_share=0)
    assert [pairs[0].query.content, pairs[2].query.content] == ["q", "r"]
    assert "line 2: not UTF-8" in reason(pairs, 1)


def test_missing_documents_and_corpora_are_named(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "corpus.jsonl", [{"docid": "a", "document_text": ""}, "{", {"docid": "b"}])
    ids = [{"query": "q", "positive_document_ids": [id]} for id in ("a", "b", "c", None)]
    pairs = opened(tmp_path, *ids, corpus=tmp_path / "corpus.jsonl")
    assert "positive_document_ids 1 is empty" in reason(pairs, 0)
    assert "corpus.jsonl, line 3: document 'b' has no 'document_text' and no 'document_image'; there are: docid" in reason(pairs, 1)
    assert "document 'c' is not in corpus.jsonl" in reason(pairs, 2)
    assert "positive_document_ids 1 is 'None', not an id" in reason(pairs, 3)


# ---- pictures


@pytest.mark.parametrize(
    "written",
    [
        lambda image: png_base64(image),
        lambda image: "data:image/png;base64," + png_base64(image),
        lambda image: {"bytes": png_base64(image), "path": "gone.png"},
        lambda image: {"bytes": None, "path": "here.png"},
        lambda image: "here.png",
        lambda image: "./deep/../here.png",
    ],
)
def test_a_picture_may_be_a_path_base64_or_a_data_url(tmp_path: Path, written: Any) -> None:
    picture(9).save(tmp_path / "here.png")
    (tmp_path / "deep").mkdir()
    page = only(tmp_path, {"query": "q", "image": written(picture(9))}).document
    assert page.content.tobytes() == picture(9).tobytes()


@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"])
def test_pictures_of_these_kinds_are_read_whatever_they_are_called(tmp_path: Path, format: str) -> None:
    data = png(Image.new("RGB", (64, 48), (200, 30, 30)), format=format)
    (tmp_path / "a.jpg").write_bytes(data)
    pairs = opened(tmp_path, *({"query": "q", "image": value} for value in ("a.jpg", base64.b64encode(data).decode())))
    for page in (pairs[0].document.content, pairs[1].document.content):
        assert (page.mode, page.size) == ("RGB", (64, 48))
        assert max(abs(a - b) for a, b in zip(page.getpixel((5, 5)), (200, 30, 30), strict=True)) < 8


def test_an_absolute_path_and_a_folder_of_pictures_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    picture(1).save(tmp_path / "images" / "a.png")
    assert only(tmp_path, {"query": "q", "image": "a.png"}, images=tmp_path / "images").document.content.tobytes() == picture(1).tobytes()
    assert only(tmp_path, {"query": "q", "image": str(tmp_path / "images/a.png")}).document.content.tobytes() == picture(1).tobytes()


def test_pictures_are_not_opened_before_their_row_is_read(tmp_path: Path) -> None:
    pairs = opened(tmp_path, {"query": "q", "image": "later.png"})
    picture(2).save(tmp_path / "later.png")
    assert pairs[0].document.content.size == (40, 30)


def test_pictures_come_out_upright_on_white_in_rgb(tmp_path: Path) -> None:
    turned = Image.new("RGB", (20, 10), "red")
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.jpg", exif=exif)
    Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    Image.new("I;16", (4, 4), 65535).save(tmp_path / "deep.png")
    Image.new("CMYK", (4, 4), (0, 0, 0, 0)).save(tmp_path / "print.jpg")
    pairs = opened(tmp_path, *({"query": "q", "image": name} for name in ("turned.jpg", "clear.png", "deep.png", "print.jpg")))
    pages = [pairs[i].document.content for i in range(4)]
    assert pages[0].size == (10, 20)
    assert [page.mode for page in pages] == ["RGB"] * 4
    assert [page.getpixel((0, 0)) for page in pages[1:]] == [(255, 255, 255)] * 3


def broken(folder: Path) -> dict[str, str]:
    """Pictures that cannot be used -> what is said about them."""
    whole = png(picture(1, size=(200, 200)), format="JPEG")
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "text.png").write_text("not a picture")
    (folder / "empty.png").write_bytes(b"")
    (folder / "folder.png").mkdir()
    Image.new("1", (3000, 5)).save(folder / "slim.png")
    Image.new("1", (10_000, 9_000)).save(folder / "bomb.png")
    return {
        "gone.png": "image 'gone.png' is missing",
        "cut.jpg": "image 'cut.jpg' is broken",
        "text.png": "image 'text.png' is no image that can be read",
        "empty.png": "image 'empty.png' is no image that can be read",
        "folder.png": "image 'folder.png' is no image that can be read",
        "slim.png": "3000 x 5 pixels: too slim",
        "bomb.png": "10,000 x 9,000 pixels, more than 80 million",
        "https://example.com/a.png": "is an address",
        "a\0b.png": "cannot be read",
        "n" * 300: "cannot be read",
        png_base64(picture(1))[:-40] + "====": "the picture",
        "data:image/png;base64,@@@": "no base64",
        "": "has nothing in 'image'",
    }


def test_every_picture_that_cannot_be_used_is_named_with_its_row(tmp_path: Path) -> None:
    expected = broken(tmp_path)
    pairs = opened(tmp_path, *({"query": "q", "image": value} for value in expected))
    for index, why in enumerate(expected.values()):
        told = reason(pairs, index).replace(f"{tmp_path}/", "")
        assert told.startswith(f"train.jsonl, line {index + 1}: ")
        assert why in told
        assert len(told) < 400


# ---- files


def test_a_gzipped_file_reads_like_a_plain_one(tmp_path: Path) -> None:
    rows = [{"query": f"q{i}", "pos": [f"p{i}"]} for i in range(50)]
    plain, packed = write_jsonl(tmp_path / "a.jsonl", rows), write_jsonl(tmp_path / "a.jsonl.gz", rows, packed=True)
    one, other = (open_source("jsonl", path=path) for path in (plain, packed))
    assert one.name == other.name == "a"
    assert [one[i].document.content for i in range(len(one))] == [other[i].document.content for i in range(len(other))]


def test_a_damaged_gzip_file_is_refused_rather_than_read_in_part(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl.gz", [{"query": f"q{i}", "pos": [str(i)]} for i in range(2000)], packed=True)
    path.write_bytes(path.read_bytes()[:-2000])
    for _ in range(2):
        with pytest.raises(UnitowerError, match=r"a\.jsonl\.gz is damaged"):
            open_source("jsonl", path=path)


def test_marks_blank_lines_and_windows_line_ends_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"query": "a", "pos": ["p"]}\r\n\r\n   \n{"query": "b", "pos": ["p"]}')
    pairs = open_source("jsonl", path=path, test_share=0)
    assert [pairs[i].query.content for i in range(len(pairs))] == ["a", "b"]
    assert pairs[1].query.source.lines == (4, 4)


def test_halves_of_surrogate_pairs_are_replaced(tmp_path: Path) -> None:
    pair = only(tmp_path, r'{"query": "a\ud83d", "pos": ["\ud83d\ude00"]}')
    assert (pair.query.content, pair.document.content) == ("a\ufffd", "😀")


def test_offsets_of_a_large_file_are_kept_and_dropped_when_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import unitower.data.jsonl as module

    monkeypatch.setattr(module, "KEPT_BYTES", 0)
    first = opened(tmp_path, {"query": "q", "pos": ["p"]}, {"query": "r", "pos": ["s"]})
    kept = list((tmp_path / "cache").rglob("jsonl-*.npz"))
    assert len(kept) == 1
    with monkeypatch.context() as patch:
        patch.setattr(module, "_index", lambda *_: pytest.fail("the file was read through again"))
        again = open_source("jsonl", path=tmp_path / "train.jsonl", test_share=0)
    assert [again[i].query.content for i in range(2)] == [first[i].query.content for i in range(2)]
    changed = opened(tmp_path, {"query": "new", "pos": ["p"]})
    assert [changed[i].query.content for i in range(len(changed))] == ["new"]
    kept[0].write_bytes(b"damaged")
    assert len(opened(tmp_path, {"query": "q", "pos": ["p"]}, {"query": "r", "pos": ["s"]})) == 2


def test_nothing_kept_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import unitower.data.jsonl as module

    monkeypatch.setattr(module, "KEPT_BYTES", 0)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("UNITOWER_CACHE", str(tmp_path / "file" / "below"))
    assert only(tmp_path, {"query": "q", "pos": ["p"]}).query.content == "q"


def test_a_file_that_changes_while_it_is_read_stops_the_run(tmp_path: Path) -> None:
    pairs = opened(tmp_path, {"query": "q", "pos": ["p"]})
    path = write_jsonl(tmp_path / "train.jsonl", [{"query": "other", "pos": ["p"]}])
    os.utime(path, ns=(1, 1))
    with pytest.raises(UnitowerError, match="has changed since it was opened"):
        pairs[0]


def test_places_outside_the_file_are_an_index_error(tmp_path: Path) -> None:
    pairs = opened(tmp_path, {"query": "q", "pos": ["p"]})
    with pytest.raises(IndexError):
        pairs[1]


# ---- the split


def test_the_split_holds_documents_and_queries_apart(tmp_path: Path) -> None:
    rows = [{"query": f"question {i % 300}", "pos": [f"document {i % 450}"]} for i in range(900)]
    train, test = (opened(tmp_path, *rows, name=f"{split}.jsonl", split=split, test_share=0.2) for split in ("train", "test"))
    sides = [{(p[i].query.content, p[i].document.content) for i in range(len(p))} for p in (train, test)]
    for place in (0, 1):
        assert {pair[place] for pair in sides[0]}.isdisjoint({pair[place] for pair in sides[1]})
    assert 0.1 < len(test) / len(rows) < 0.3
    assert all((p["query"], p["pos"][0]) in sides[0] | sides[1] or p["query"] in {q for q, _ in sides[1]} for p in rows)


def test_a_row_keeps_its_side_when_others_come(tmp_path: Path) -> None:
    rows = [{"query": f"q{i}", "pos": [f"p{i}"]} for i in range(400)]
    before = opened(tmp_path, *rows, split="test", test_share=0.1)
    more = [{"query": f"new {i}", "pos": [f"new {i}"]} for i in range(100)]
    after = opened(tmp_path, *more, *reversed(rows), name="after.jsonl", split="test", test_share=0.1)
    assert {before[i].query.content for i in range(len(before))} <= {after[i].query.content for i in range(len(after))}


def test_licence_languages_and_name_are_told(tmp_path: Path) -> None:
    pairs = opened(tmp_path, {"query": "q", "pos": ["p"]}, name="my.data.jsonl")
    assert (pairs.name, pairs.licence, pairs.languages) == ("my.data", "unknown", ("und",))
    told = open_source("jsonl", path=tmp_path / "my.data.jsonl", name="mine", licence="CC-BY-4.0", languages=["de"], test_share=0)
    assert (told.name, told.licence, told.languages, told[0].source) == ("mine", "CC-BY-4.0", ("de",), "mine")


def test_a_row_reads_the_same_whatever_was_read_before(tmp_path: Path) -> None:
    rows = [{"query": json.dumps(i), "pos": ["x" * (i * 37 % 500) + str(i)]} for i in range(200)]
    pairs = opened(tmp_path, *rows)
    for i in (150, 3, 199, 0, 77):
        assert (pairs[i].query.content, pairs[i].document.content) == (rows[i]["query"], rows[i]["pos"][0])
