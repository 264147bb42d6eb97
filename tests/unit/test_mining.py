"""Hard negatives: what is chosen equals the definition, what is an answer is left out, and a stopped run goes on where it was."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_samples import picture, png_base64, write_files, write_jsonl
from fake import FakeEncoder, tokens_of
from PIL import Image, ImageDraw

from unitower import codes
from unitower.data import BadPair, Pairs, open_source
from unitower.errors import IndexMismatch, UnitowerError
from unitower.index import Index
from unitower.stores import open_store
from unitower.training.mining import Look, Mining, mine
from unitower.types import Item, Source

WORDS = [
    "red",
    "green",
    "blue",
    "house",
    "boat",
    "tree",
    "river",
    "bread",
    "lamp",
    "stone",
    "cloud",
    "road",
    "bird",
    "glass",
    "wool",
    "drum",
]


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNITOWER_CACHE", str(tmp_path / "cache"))


def rows(number: int, *, seed: int = 0) -> list[dict[str, Any]]:
    """Queries of three words, and a document that has two of them among six others."""
    random = np.random.default_rng(seed)
    found = []
    for i in range(number):
        words = [str(word) for word in random.permutation(WORDS)]
        found.append({"query": " ".join(words[:3]), "pos": [f"{' '.join(words[1:9])} {i}"]})
    return found


def pairs_of(tmp_path: Path, given: list[Any], **options: Any) -> Pairs:
    return open_source("jsonl", path=write_jsonl(tmp_path / "train.jsonl", given), test_share=0, **options)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def dense(text: str) -> np.ndarray[Any, Any]:
    summed = tokens_of(text, task="retrieval").sum(axis=0)
    return summed / np.linalg.norm(summed)


def late(query: str, document: str) -> float:
    rows = tokens_of(document, task="retrieval")
    kept = codes.unpack(codes.pack(rows), rows.shape[1])  # as a store keeps them: int8
    similarity = tokens_of(query, task="retrieval") @ kept.T
    return float(similarity.max(axis=1).mean())


def words_of(text: str) -> set[str]:
    return set(text.lower().split())


@pytest.mark.parametrize("by", ["dense", "late"])
def test_the_negatives_are_the_best_scored_that_stay_below_the_positive(tmp_path: Path, encoder: FakeEncoder, by: Any) -> None:
    given = rows(40)
    pairs = pairs_of(tmp_path, given)
    done = mine(pairs, encoder=encoder, among=open_store("memory:"), out=tmp_path / "m.jsonl", settings=Mining(k=3, by=by, batch=7))
    score = late if by == "late" else lambda q, d: float(dense(q) @ dense(d))
    documents = [row["pos"][0] for row in given]
    found = lines(tmp_path / "m.jsonl")
    assert [line["query"] for line in found] == [row["query"] for row in given]
    assert (done.pairs, done.unusable) == (40, 0)
    for line, positive in zip(found, documents, strict=True):
        best = score(line["query"], positive)
        assert line["pos"] == [positive]
        assert line["pos_scores"][0] == pytest.approx(best, abs=2e-4)
        other = [
            d for d in documents if d != positive and len(words_of(d) & words_of(positive)) < 0.9 * len(words_of(d) | words_of(positive))
        ]
        expected = sorted((d for d in other if score(line["query"], d) <= best - 0.05 * abs(best)), key=lambda d: -score(line["query"], d))
        scores = [score(line["query"], d) for d in expected[:3]]
        assert line["neg_scores"] == pytest.approx(scores, abs=2e-4)
        assert [score(line["query"], d) for d in line["neg"]] == pytest.approx(scores, abs=1e-6)
    assert done.negatives == sum(len(line["neg"]) for line in found)
    assert done.left_out["too near to the positive's score"] > 0


def test_candidates_come_from_dense_vectors_and_from_words(tmp_path: Path, encoder: FakeEncoder) -> None:
    # By vectors the long document is far from "red zebra"; by words the rare zebra counts, however long its document.
    long = "zebra " + " ".join(WORDS[3:])
    others = ["red red red", long, *(f"red {word}" for word in WORDS[3:9])]
    given = [{"query": "red zebra", "pos": ["red zebra indeed"]}, *({"query": f"q{i}", "pos": [text]} for i, text in enumerate(others))]
    pairs = pairs_of(tmp_path, given)
    mine(pairs, encoder=encoder, among=open_store("memory:"), out=tmp_path / "m.jsonl", settings=Mining(k=9, depth=2))
    nearest = sorted(["red zebra indeed", *others], key=lambda text: -float(dense("red zebra") @ dense(text)))[:2]
    assert nearest[0] == "red zebra indeed"
    assert lines(tmp_path / "m.jsonl")[0]["neg"] == [nearest[1], long]


def test_all_positives_of_a_query_are_no_negatives_of_it_in_whatever_row(tmp_path: Path, encoder: FakeEncoder) -> None:
    given = [
        {"query": "red house", "pos": ["a red house by the river", "house painted red with a lamp"]},
        {"query": "green boat", "pos": ["the green boat"]},
        {"query": "red house", "pos": ["some house is red like stone"]},
    ]
    mine(pairs_of(tmp_path, given), encoder=encoder, among=open_store("memory:"), out=tmp_path / "m.jsonl", settings=Mining(keep_below=1))
    found = lines(tmp_path / "m.jsonl")
    assert [line["neg"] for line in found if line["query"] == "red house"] == [["the green boat"]] * 3


def test_given_hard_negatives_are_among_those_looked_through(tmp_path: Path, encoder: FakeEncoder) -> None:
    given = [{"query": "red house", "pos": ["a red house by the river"], "neg": ["wool of a house in stone and cloud"]}]
    mine(pairs_of(tmp_path, given), encoder=encoder, among=open_store("memory:"), out=tmp_path / "m.jsonl")
    assert lines(tmp_path / "m.jsonl")[0]["neg"] == ["wool of a house in stone and cloud"]


def same(first: str | Image.Image, second: str | Image.Image) -> bool:
    items = [
        Item(id="x", modality="text" if isinstance(content, str) else "image", content=content, source=Source(path="x"))
        for content in (first, second)
    ]
    return Look(items[0]).same_as(Look(items[1]))


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("The cat sat.", "the CAT sat", True),
        ("one two three four five six seven eight nine ten", "one two three four five six seven eight nine ten eleven", True),
        ("one two three four five six seven eight", "one two three four five six seven other", False),
        ("in the answer is forty two", "It is said that in the answer is forty two, and so on.", True),
        ("two", "a long text in which two is only one word of very many others", False),
        ("", "", True),
        ("", "some words", False),
        ("red", picture(), False),
    ],
)
def test_which_texts_are_the_same_again(first: Any, second: Any, expected: bool) -> None:
    assert same(first, second) is same(second, first) is expected


def page(*texts: str, size: tuple[int, int] = (500, 700)) -> Image.Image:
    """A page of large letters."""
    image = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(image)
    for i, text in enumerate(texts):
        draw.text((30, 30 + 40 * i), text, fill="black", font_size=28)
    return image


def test_a_page_scanned_again_is_the_same_and_another_page_of_the_same_layout_is_not() -> None:
    one = page("Invoice 4711", "Sum: 120.00", "Due in May")
    for share, quality in ((0.5, 50), (0.8, 60), (1.3, 30)):
        file = io.BytesIO()
        one.resize((int(500 * share), int(700 * share)), Image.Resampling.LANCZOS).save(file, format="JPEG", quality=quality)
        assert same(one, Image.open(file).convert("RGB"))
    assert not same(one, page("Invoice 4711", "Sum: 385.50", "Due in May"))
    assert not same(one, page("Invoice 4712", "Sum: 120.00", "Due in May"))
    assert not same(one, page("Invoice 4711", "Sum: 120.00", "Due in May", size=(700, 500)))
    assert not same(one, page("Something else"))


def test_pages_are_mined_like_texts_and_written_where_jsonl_finds_them(tmp_path: Path, encoder: FakeEncoder) -> None:
    pictures = []
    for i in range(8):
        grey = np.tile(np.repeat(np.linspace(0, 255, 4), 10), (40, 1)) if i < 6 else np.zeros((40, 40))
        grey = np.array(grey)
        grey[i * 5 : i * 5 + 5] = 255 - grey[i * 5 : i * 5 + 5]
        pictures.append(Image.fromarray(grey.astype(np.uint8)).convert("RGB"))
    pictures[0].save(tmp_path / "0.png")
    given = [
        {
            "query_image": png_base64(pictures[i]),
            "document_image": "0.png" if i == 0 else png_base64(pictures[i]),
            "document_text": f"page {i}",
        }
        for i in range(8)
    ]
    pairs = pairs_of(tmp_path, given)
    out = tmp_path / "mined" / "m.jsonl"
    mine(pairs, encoder=encoder, among=open_store("memory:"), out=out, settings=Mining(k=2))
    read = open_source("jsonl", path=out, test_share=0)
    assert len(read) == 8
    for i in range(8):
        pair = read[i]
        assert pair.query.content.tobytes() == pictures[i].tobytes()
        assert pair.document.content.tobytes() == pictures[i].tobytes()
        assert pair.document.text == f"page {i}"
        assert len(pair.negatives) == 2
        assert all(negative.content.tobytes() != pictures[i].tobytes() for negative in pair.negatives)
        assert all(float(negative.metadata["score"]) <= 0.95 * (pair.grade or 0) + 1e-5 for negative in pair.negatives)
    first = lines(out)[0]
    assert first["pos"][0]["image"] == str(tmp_path / "0.png")  # a file of the user's stays where it is
    assert first["query"]["image"].startswith("m-pages/")
    assert len(list((out.parent / "m-pages").iterdir())) <= 8  # a page is written once


def test_what_is_written_is_read_back_as_pairs_with_negatives(tmp_path: Path, encoder: FakeEncoder) -> None:
    pairs = pairs_of(tmp_path, [*rows(12), {"query": "naïve “quotes”\n日本", "pos": ["zwei\nZeilen"]}])
    mine(pairs, encoder=encoder, among=open_store("memory:"), out=tmp_path / "m.jsonl", settings=Mining(k=2))
    read = open_source("jsonl", path=tmp_path / "m.jsonl", test_share=0)
    assert [(read[i].query.content, read[i].document.content) for i in range(13)] == [
        (pairs[i].query.content, pairs[i].document.content) for i in range(13)
    ]
    assert sum(len(read[i].negatives) for i in range(13)) > 13


def test_unusable_rows_are_counted_and_left_out(tmp_path: Path, encoder: FakeEncoder) -> None:
    given = [*rows(5), "{broken", {"query": "", "pos": ["x"]}, *rows(3, seed=1)]
    done = mine(pairs_of(tmp_path, given), encoder=encoder, among=open_store("memory:"), out=tmp_path / "m.jsonl", settings=Mining(batch=3))
    assert (done.pairs, done.unusable) == (8, 2)
    assert any("line 6: not JSON" in reason for reason in done.reasons)
    assert [line["row"] for line in lines(tmp_path / "m.jsonl")] == [0, 1, 2, 3, 4, 7, 8, 9]


def test_a_single_pair_gets_no_negatives_and_is_kept(tmp_path: Path, encoder: FakeEncoder) -> None:
    mine(pairs_of(tmp_path, rows(1)), encoder=encoder, among=open_store("memory:"), out=tmp_path / "m.jsonl")
    assert [line["neg"] for line in lines(tmp_path / "m.jsonl")] == [[]]


# ---- stopping and going on


class Stopped(Exception):
    pass


@pytest.mark.parametrize("stage", ["documents", "negatives"])
@pytest.mark.parametrize("after", [5, 10, 20])
def test_a_stopped_run_goes_on_to_the_same_file(tmp_path: Path, encoder: FakeEncoder, stage: str, after: int) -> None:
    pairs = pairs_of(tmp_path, rows(24))
    settings = Mining(batch=5)
    whole = mine(pairs, encoder=FakeEncoder(), among=open_store("memory:"), out=tmp_path / "whole.jsonl", settings=settings)

    def stop(at: str, done: int, total: int) -> None:
        if at == stage and done >= after:
            raise Stopped

    store = open_store(f"lance:{tmp_path / 'store.lance'}")
    out = tmp_path / "m.jsonl"
    with pytest.raises(Stopped):
        mine(pairs, encoder=encoder, among=store, out=out, settings=settings, progress=stop)
    assert not out.exists()
    part = out.with_name("m.jsonl.part")
    if part.exists():
        with part.open("ab") as file:
            file.write(b'{"query": "torn')  # what a kill in the middle of a line leaves
    encoder.calls.clear()
    told: list[tuple[str, int]] = []
    done = mine(pairs, encoder=encoder, among=store, out=out, settings=settings, progress=lambda at, row, total: told.append((at, row)))
    assert out.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    assert done == whole
    if stage == "negatives":
        assert encoder.encoded == []  # the documents are in the store
        assert min(row for at, row in told if at == "negatives") > after
    assert not part.exists()


def test_a_run_stopped_between_its_last_two_acts_ends_well(tmp_path: Path, encoder: FakeEncoder) -> None:
    pairs = pairs_of(tmp_path, rows(6))
    out = tmp_path / "m.jsonl"
    done = mine(pairs, encoder=encoder, among=open_store("memory:"), out=out)
    content = out.read_bytes()
    state = json.loads((tmp_path / "m.jsonl.mining.json").read_text())
    (tmp_path / "m.jsonl.mining.json").write_text(json.dumps({**state, "finished": None}))
    assert mine(pairs, encoder=encoder, among=open_store("memory:"), out=out) == done
    assert out.read_bytes() == content


def test_a_finished_file_is_not_made_again_and_one_taken_away_is(tmp_path: Path, encoder: FakeEncoder) -> None:
    pairs = pairs_of(tmp_path, rows(6))
    out = tmp_path / "m.jsonl"
    done = mine(pairs, encoder=encoder, among=open_store("memory:"), out=out)
    content = out.read_bytes()
    encoder.calls.clear()
    assert mine(pairs, encoder=encoder, among=open_store("memory:"), out=out) == done
    assert encoder.calls == []
    out.unlink()
    assert mine(pairs, encoder=encoder, among=open_store("memory:"), out=out) == done
    assert out.read_bytes() == content


def test_another_file_or_other_settings_are_not_written_over(tmp_path: Path, encoder: FakeEncoder) -> None:
    pairs = pairs_of(tmp_path, rows(6))
    (tmp_path / "mine.jsonl").write_text("my own")
    with pytest.raises(UnitowerError, match="is there already, and no run of mining made it"):
        mine(pairs, encoder=encoder, among=open_store("memory:"), out=tmp_path / "mine.jsonl")
    assert (tmp_path / "mine.jsonl").read_text() == "my own"
    mine(pairs, encoder=encoder, among=open_store("memory:"), out=tmp_path / "m.jsonl")
    for settings, other, what in ((Mining(k=2), encoder, "settings"), (Mining(), FakeEncoder(revision="2"), "encoder")):
        with pytest.raises(UnitowerError, match=rf"something else \({what} differ\)"):
            mine(pairs, encoder=other, among=open_store("memory:"), out=tmp_path / "m.jsonl", settings=settings)


@pytest.mark.parametrize("wrong", [{"k": 0}, {"depth": 0}, {"batch": 0}, {"keep_below": 0}, {"keep_below": 1.2}, {"by": "bm25"}])
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Mining(**wrong)


# ---- an index of files


def test_negatives_from_an_index_of_files(tmp_path: Path, encoder: FakeEncoder) -> None:
    texts = {
        "a.txt": "The red house stands by the river and has a lamp.",
        "b.txt": "The red boat lies on the river and has no lamp.",
        "c.txt": "Bread is made of flour.",
        "d.txt": "Red wool and a drum, nothing more.",
    }
    write_files(tmp_path / "files", texts)
    picture(3).save(tmp_path / "files" / "p.png")
    index = Index.open(tmp_path / ".unitower", encoder=encoder)
    index.add([tmp_path / "files"])
    given = [{"query": "red house lamp", "pos": ["the red house stands by the river, and has a LAMP"]}]
    done = mine(pairs_of(tmp_path, given), encoder=encoder, among=index, out=tmp_path / "m.jsonl", settings=Mining(k=3))
    found = lines(tmp_path / "m.jsonl")[0]
    assert found["neg"][0] == texts["b.txt"]
    assert texts["a.txt"] not in found["neg"]
    assert found["neg_scores"] == sorted(found["neg_scores"], reverse=True)
    assert done.negatives == 3
    with pytest.raises(IndexMismatch):
        mine(pairs_of(tmp_path, given), encoder=FakeEncoder(revision="9"), among=index, out=tmp_path / "n.jsonl")
    with pytest.raises(ValueError, match="no vectors for the task 'text-matching'"):
        mine(pairs_of(tmp_path, given), encoder=encoder, among=index, out=tmp_path / "n.jsonl", settings=Mining(task="text-matching"))


def test_files_that_are_gone_from_an_index_are_passed_over(tmp_path: Path, encoder: FakeEncoder) -> None:
    write_files(tmp_path / "files", {"a.txt": "The red boat.", "b.txt": "The red bird."})
    index = Index.open(tmp_path / ".unitower", encoder=encoder)
    index.add([tmp_path / "files"])
    (tmp_path / "files" / "a.txt").unlink()
    done = mine(pairs_of(tmp_path, [{"query": "red house", "pos": ["red house"]}]), encoder=encoder, among=index, out=tmp_path / "m.jsonl")
    assert lines(tmp_path / "m.jsonl")[0]["neg"] == ["The red bird."]
    assert done.left_out == {"not there any more": 1}


def test_a_store_whose_pages_came_from_other_pairs_gives_none_of_them(tmp_path: Path, encoder: FakeEncoder) -> None:
    store = open_store("memory:")
    first = pairs_of(tmp_path, rows(6))
    mine(first, encoder=encoder, among=store, out=tmp_path / "a.jsonl")
    second = open_source("jsonl", path=write_jsonl(tmp_path / "other.jsonl", rows(6, seed=9)), test_share=0)
    mine(second, encoder=encoder, among=store, out=tmp_path / "b.jsonl")
    own = {row["pos"][0] for row in rows(6, seed=9)}
    assert {negative for line in lines(tmp_path / "b.jsonl") for negative in line["neg"]} <= own


def test_a_pair_that_becomes_unusable_on_the_way_is_left_out(tmp_path: Path, encoder: FakeEncoder) -> None:
    class Failing:
        name, licence, languages = "failing", "MIT", ("en",)

        def __init__(self, pairs: Pairs) -> None:
            self.pairs, self.read = pairs, 0

        def __len__(self) -> int:
            return len(self.pairs)

        def __getitem__(self, index: int) -> Any:
            self.read += 1
            if index == 2 and self.read > 5:
                raise BadPair("the image was deleted")
            return self.pairs[index]

    done = mine(Failing(pairs_of(tmp_path, rows(5))), encoder=encoder, among=open_store("memory:"), out=tmp_path / "m.jsonl")
    assert done.pairs == 4
