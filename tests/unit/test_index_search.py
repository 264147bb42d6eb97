"""Searching an index: what comes back, in which order, with which piece of text; and which questions are refused."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import numpy as np
import pytest
from fake import FakeEncoder, count_lines, read_lines, vector
from PIL import Image

from unitower.errors import IndexMismatch, UnreadableFile
from unitower.index import Index
from unitower.index.searching import MODES, Mode
from unitower.index.snippet import LENGTH, STRETCH, snippet
from unitower.scoring import maxsim
from unitower.stores import open_store
from unitower.types import Source


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(name: str, text: str) -> None:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def filled(encoder: FakeEncoder) -> Index:
    write("docs/lease.txt", "The rent is due on the first of the month.")
    write("docs/garden.txt", "The garden is watered in the evening.")
    write("docs/invoice.txt", "Invoice INV-2024-0117: twelve chairs.")
    picture("docs/scan.png", 3)
    index = Index.open(encoder=encoder)
    index.add(["docs"])
    return index


def picture(name: str, seed: int) -> None:
    """Grey noise in coarse cells: pictures of different seeds look different in every cell."""
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    cells = np.random.default_rng(seed).integers(0, 256, (4, 4), np.uint8)
    Image.fromarray(cells).resize((128, 128), Image.Resampling.NEAREST).convert("RGB").save(name)


# Answers


def test_a_hit_tells_where_it_is_and_why(encoder: FakeEncoder) -> None:
    hit = filled(encoder).search("when is the rent due")[0]
    assert (hit.rank, hit.id, hit.source) == (1, "docs/lease.txt#L1-L1", Source(path="docs/lease.txt", lines=(1, 1)))
    assert (hit.modality, hit.snippet, set(hit.found_by)) == ("text", "The rent is due on the first of the month.", {"multi", "text"})
    assert hit.as_dict()["path"] == "docs/lease.txt"


def test_hits_are_ranked_by_score_from_one_on_and_at_most_k(encoder: FakeEncoder) -> None:
    index = filled(encoder)
    hits = index.search("the")
    assert [hit.rank for hit in hits] == [1, 2, 3, 4]
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert [hit.id for hit in index.search("the", k=2)] == [hit.id for hit in hits[:2]]


def test_by_vectors_alone_the_order_is_that_of_maxsim(encoder: FakeEncoder) -> None:
    index = filled(encoder)
    query = "rent of the garden"
    texts = {path.name: path.read_text() for path in Path("docs").glob("*.txt")}
    scores = maxsim(
        np.stack([vector(f"retrieval {word}") for word in query.split()]),
        [np.stack([vector(f"retrieval {word}") for word in re.findall(r"\w+", text.lower())]) for text in texts.values()],
    )
    expected = [name for _, name in sorted(zip(-scores, texts, strict=True))]
    hits = index.search(query, weights={"text": 0, "dense": 0})
    assert [Path(hit.source.path).name for hit in hits if hit.modality == "text"] == expected
    assert {hit.found_by for hit in hits} == {("multi",)}


def test_the_query_is_encoded_as_a_query_for_its_task(encoder: FakeEncoder) -> None:
    index = filled(encoder)
    encoder.calls.clear()
    index.search("rent")
    assert encoder.calls == [("retrieval", "query", ["rent"])]


def test_the_task_code_looks_in_code_only_and_with_its_own_vectors(encoder: FakeEncoder) -> None:
    write("a.py", "def rent():\n    return 1200\n")
    index = filled(encoder)
    index.add(["a.py"])
    encoder.calls.clear()
    assert [hit.source.path for hit in index.search("rent", task="code")] == ["a.py"]
    assert encoder.calls == [("code", "query", ["rent"])]


def test_weights_default_to_those_of_the_encoder(encoder: FakeEncoder) -> None:
    by_words = filled(FakeEncoder(fusion={"multi": 0, "dense": 0}))
    assert [hit.found_by for hit in by_words.search("INV-2024-0117")] == [("text",)]
    by_vectors = Index.open(encoder=FakeEncoder(fusion={"text": 0}))
    assert {hit.found_by for hit in by_vectors.search("INV-2024-0117")} == {("multi",)}
    assert [hit.found_by for hit in by_vectors.search("INV-2024-0117", weights={"multi": 0, "dense": 0})] == [("text",)]


def test_an_empty_index_answers_with_nothing(encoder: FakeEncoder) -> None:
    index = Index.open(encoder=encoder)
    assert index.search("rent") == []
    assert index.search("rent", task="code") == []


def test_an_index_without_code_has_no_answers_in_code(encoder: FakeEncoder) -> None:
    assert filled(encoder).search("rent", task="code") == []


def test_k_may_be_larger_than_the_index(encoder: FakeEncoder) -> None:
    assert len(filled(encoder).search("the", k=10_000)) == 4


def test_paths_are_told_relative_to_where_the_person_is(here: Path, encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(encoder)
    monkeypatch.chdir("docs")
    assert Index.open("../.unitower", encoder=encoder).search("rent")[0].source.path == "lease.txt"
    Path("deep").mkdir()
    monkeypatch.chdir("deep")
    hit = Index.open("../../.unitower", encoder=encoder).search("rent")[0]
    assert (hit.source.path, hit.id) == (f"{here}/docs/lease.txt", "docs/lease.txt#L1-L1")


# By example


def test_a_picture_finds_itself_given_as_a_path_or_as_an_image(encoder: FakeEncoder) -> None:
    index = filled(encoder)
    picture("docs/other.png", 4)
    index.add(["docs"])
    for example in (Path("docs/scan.png"), Image.open("docs/scan.png")):
        hits = index.search(example)
        assert hits[0].source.path == "docs/scan.png"
        assert (hits[0].snippet, hits[0].found_by) == ("", ("multi",))


def test_a_text_file_given_as_an_example_finds_its_like(encoder: FakeEncoder) -> None:
    index = filled(encoder)
    write("example.txt", "watered garden")
    assert index.search(Path("example.txt"))[0].source.path == "docs/garden.txt"
    assert encoder.calls[-1] == ("retrieval", "query", ["watered garden"])


def test_a_string_is_always_text_even_if_a_file_is_called_so(encoder: FakeEncoder) -> None:
    index = filled(encoder)
    index.search("docs/scan.png")
    assert encoder.calls[-1] == ("retrieval", "query", ["docs/scan.png"])


@pytest.mark.parametrize("name", ["nosuch.png", "docs", "docs/film.mp4", "docs/torn.png"])
def test_an_example_that_cannot_be_read_is_told(encoder: FakeEncoder, name: str) -> None:
    index = filled(encoder)
    write("docs/film.mp4", "a film")
    write("docs/torn.png", "no picture")
    with pytest.raises(UnreadableFile, match=re.escape(name)):
        index.search(Path(name))


# Refused questions


@pytest.mark.parametrize("query", ["", "   ", "\n\t"])
def test_an_empty_query_is_refused(encoder: FakeEncoder, query: str) -> None:
    with pytest.raises(ValueError, match="query is empty"):
        filled(encoder).search(query)


@pytest.mark.parametrize("k", [0, -1])
def test_k_below_one_is_refused(encoder: FakeEncoder, k: int) -> None:
    with pytest.raises(ValueError, match=f"k is {k}"):
        filled(encoder).search("rent", k=k)


def test_an_unknown_task_is_refused_by_naming_those_there_are(encoder: FakeEncoder) -> None:
    with pytest.raises(ValueError, match=r"no task 'text-matching' in .*: retrieval, code"):
        filled(encoder).search("rent", task="text-matching")


def test_a_weight_for_an_unknown_signal_is_refused(encoder: FakeEncoder) -> None:
    with pytest.raises(ValueError, match="words"):
        filled(encoder).search("rent", weights={"words": 1.0})


# Snippets

FILLER = "All other terms of this agreement apply as before. "


def test_a_short_text_is_its_own_snippet_on_one_line() -> None:
    assert snippet("Rent\n  is\tdue\r\n\r\nnow", "rent") == "Rent is due now"
    assert snippet("", "rent") == ""
    assert snippet(" \n ", "rent") == ""


@pytest.mark.parametrize("before", [0, 1, 5, 40])
@pytest.mark.parametrize("after", [0, 1, 5, 40])
def test_a_snippet_is_cut_between_words_around_the_query(before: int, after: int) -> None:
    text = FILLER * before + "The monthly rent is due on Fridays. " + FILLER * after
    found = snippet(text, "rent due Fridays")
    assert "monthly rent is due on Fridays." in found
    assert len(found) <= LENGTH + 2 * STRETCH + 4
    if before + after > 5:
        assert len(found) >= LENGTH - 2 * STRETCH
    assert found.startswith("… ") != text.startswith(found[:20])
    assert found.endswith(" …") != text.strip().endswith(found[-20:])
    bare = found.removeprefix("… ").removesuffix(" …")
    assert f" {bare} " in f" {' '.join(text.split())} "


def test_the_cluster_with_most_words_of_the_query_wins_over_the_first_and_the_most_frequent() -> None:
    text = (
        "rent rent rent " + FILLER * 8 + "The rent is due. " + FILLER * 8 + "The rent was never due in advance of the lease. " + FILLER * 8
    )
    assert "advance of the lease" in snippet(text, "rent due lease")
    assert "The rent is due." in snippet(text, "is the rent due")


def test_a_rare_word_counts_more_than_a_frequent_one() -> None:
    text = "the " * 60 + FILLER * 10 + "chairs are listed here " + FILLER * 10
    assert "chairs" in snippet(text, "the chairs")


def test_a_text_found_by_its_meaning_alone_shows_its_beginning() -> None:
    found = snippet("Opening words. " + FILLER * 20, "completely different")
    assert found.startswith("Opening words. All other")
    assert found.endswith(" …")


@pytest.mark.parametrize(
    ("text", "query", "expected"),
    [
        ("die Rechnung der Müllabfuhr für März", "mullabfuhr", "Müllabfuhr"),
        ("los camiones de la Señora Núñez", "NUNEZ", "Núñez"),
        ("the order INV-2024-0117 was shipped", "inv-2024-0117", "INV-2024-0117"),
        ("we met at the CAFÉ again", "café", "CAFÉ"),
        ("аренда за март оплачена", "АРЕНДА", "аренда"),
        ("임대료를 매월 지불한다", "임대료", "임대료를"),
        ("calls getUserName twice", "user name", "getUserName"),
    ],
)
def test_words_are_found_in_any_case_and_script(text: str, query: str, expected: str) -> None:
    found = snippet(FILLER * 20 + text + " " + FILLER * 20, query)
    assert expected in found


@pytest.mark.parametrize("place", [0, 333, 700, 1990])
def test_text_without_spaces_is_cut_around_the_query_too(place: int) -> None:
    filler = "その他の条件は以前と同じように適用されるものとします。" * 80
    text = filler[:place] + "家賃は毎月一日に支払う" + filler[place:]
    found = snippet(text, "家賃")
    assert "家賃は毎月一日に支払う" in found
    assert LENGTH - 2 * STRETCH <= len(found) <= LENGTH + 2 * STRETCH + 4


def test_thai_is_not_cut_between_a_letter_and_its_mark() -> None:
    found = snippet("ที่อยู่อาศัยเช่ารายเดือน" * 60, "เช่า")
    bare = found.removeprefix("… ")
    assert not re.match("[\u0e31\u0e34-\u0e3a\u0e47-\u0e4e]", bare)


def test_a_snippet_holds_nothing_that_steers_a_terminal() -> None:
    found = snippet("rent \x1b[31mis\x00 due\x07 \x9b1m now", "rent")
    assert found == "rent [31mis due 1m now"


def test_words_parted_at_the_end_of_a_line_are_joined() -> None:
    assert snippet("the infor\u00ad\nmation and the agree\x02\r\nment", "agreement") == "the information and the agreement"


def test_a_long_text_of_query_words_is_answered_quickly() -> None:
    began = time.process_time()
    snippet("the rent of the house " * 20_000, "the rent of the house")
    assert time.process_time() - began < 3


# Modes, conditions, files, near duplicates


def test_each_mode_asks_for_its_own_signals(encoder: FakeEncoder) -> None:
    index = filled(encoder)
    signals = {mode: {signal for hit in index.search("rent is due", mode=mode) for signal in hit.found_by} for mode in MODES}
    assert signals == {"auto": {"multi", "text"}, "multi": {"multi"}, "dense": {"dense"}, "text": {"text"}, "exact": {"multi"}}


def test_words_are_looked_for_without_a_model(encoder: FakeEncoder) -> None:
    index = filled(encoder)
    calls = len(encoder.calls)
    assert index.search("rent", mode="text")[0].source.path == "docs/lease.txt"
    assert len(encoder.calls) == calls
    with pytest.raises(ValueError, match="give the query as text"):
        index.search(Path("docs/scan.png"), mode="text")


def test_an_unknown_mode_or_group_and_weights_beside_a_mode_are_refused(encoder: FakeEncoder) -> None:
    index = filled(encoder)
    with pytest.raises(ValueError, match="auto, multi, dense, text, exact"):
        index.search("rent", mode="fast")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="by 'file'"):
        index.search("rent", group="folder")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="weights of its own"):
        index.search("rent", mode="dense", weights={"text": 1})


def test_a_condition_is_met_by_every_hit(encoder: FakeEncoder) -> None:
    index = filled(encoder)
    os.utime("docs/garden.txt", (0, 0))
    write("docs/garden.txt", "The garden is watered in the evening, and the rent is due.")
    os.utime("docs/garden.txt", (0, 0))
    write("docs/tool.py", "def rent():\n    return 'the rent is due'\n")
    write("docs/miete.txt", "Die Miete ist am ersten Tag des Monats fällig, und der Garten wird am Abend gegossen.")
    index.add(["docs"])
    paths = {
        condition: {hit.source.path for hit in index.search("the rent is due", where=condition)}
        for condition in (
            "kind = 'txt'",
            "modality = 'image'",
            "lang = 'python'",
            "lang = 'de'",
            "modified < '1980-01-01'",
            "size = 42",
            "page = 1",
        )
    }
    assert paths == {
        "kind = 'txt'": {"docs/lease.txt", "docs/garden.txt", "docs/invoice.txt", "docs/miete.txt"},
        "modality = 'image'": {"docs/scan.png"},
        "lang = 'python'": {"docs/tool.py"},
        "lang = 'de'": {"docs/miete.txt"},
        "modified < '1980-01-01'": {"docs/garden.txt"},
        "size = 42": {"docs/lease.txt"},
        "page = 1": set(),
    }
    with pytest.raises(ValueError, match="no column 'author'"):
        index.search("rent", where="author = 'me'")


def test_hits_by_file_tell_the_best_place_what_matches_and_what_stands_beside(
    encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unitower.index.adding.read", read_lines)
    monkeypatch.setattr("unitower.index.adding.count", count_lines)
    write("docs/long.txt", "\n".join(["nothing here", "the rent is due", "other matters", "the rent", "rent again", "the end"]))
    write("docs/short.txt", "a rent")
    write("docs/none.txt", "all else")
    index = Index.open(encoder=encoder)
    index.add(["docs"])
    hits = index.search("the rent is due", group="file", k=2)
    assert [(hit.rank, hit.source.path, hit.source.page, hit.matches) for hit in hits] == [
        (1, "docs/long.txt", 2, 4),
        (2, "docs/short.txt", 1, 1),
    ]
    assert sorted(source.page or 0 for source in hits[0].others) == [4, 5, 6]  # they have words of the query
    assert [source.page for source in hits[0].neighbours] == [1, 3]
    assert hits[1].neighbours == ()


@pytest.mark.parametrize("mode", ["dense", "multi", "text"])
def test_a_signal_by_itself_tells_which_places_of_a_file_match(mode: Mode, encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unitower.index.adding.read", read_lines)
    monkeypatch.setattr("unitower.index.adding.count", count_lines)
    lines = ["the rent is due in may", "the rent is due in june", "nothing here", "the rent is due in may now", "due rent", "all else"]
    write("docs/long.txt", "\n".join(lines))
    index = Index.open(encoder=encoder)
    index.add(["docs"])
    (hit,) = index.search(lines[0], group="file", mode=mode, fold=False)

    made = encoder.encode(lines, role="passage")
    scores = {"dense": made.dense @ made.dense[0], "multi": maxsim(made.multi[0], made.multi)}
    if mode == "text":
        expected = [number for number, line in enumerate(lines, start=1) if {*line.split()} & {*lines[0].split()}]
    else:
        expected = [number for number, score in enumerate(scores[mode], start=1) if score >= 0.9 * max(scores[mode])]
    assert 1 < len(expected) < len(lines)
    assert (hit.source.page, hit.matches) == (1, len(expected))
    assert sorted([1, *(source.page or 0 for source in hit.others)]) == expected


def test_files_are_found_beyond_one_that_fills_the_list(encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unitower.index.adding.read", read_lines)
    monkeypatch.setattr("unitower.index.adding.count", count_lines)
    monkeypatch.setattr("unitower.index.searching.GROUPED_FROM", 3)
    write("docs/long.txt", "\n".join(f"rent number {i}" for i in range(60)))
    write("docs/short.txt", "the rent of a room in a house by the sea")
    index = Index.open(encoder=encoder)
    index.add(["docs"])
    assert [hit.source.path for hit in index.search("rent number", group="file", k=2)] == ["docs/long.txt", "docs/short.txt"]


def test_near_duplicates_are_told_with_the_best_of_them(encoder: FakeEncoder) -> None:
    index = filled(encoder)
    write("docs/copy.txt", "The rent is due on the first of the month.")
    write("docs/nearly.txt", "The rent is due on the first of the month!")
    picture("docs/scan copy.png", 3)
    index.add(["docs"])
    hits = index.search("the rent is due")
    assert next(hit.source.path for hit in hits if hit.modality == "text") == "docs/copy.txt"
    first = hits[0]
    assert {source.path for source in first.copies} == {"docs/lease.txt", "docs/nearly.txt"}
    (scan,) = [hit for hit in hits if hit.modality == "image"]
    assert len(scan.copies) == 1
    assert len(index.search("the rent is due", fold=False)) == len(hits) + 3
    assert first.as_dict()["copies"] == [source.place for source in first.copies]


def test_two_invoices_of_one_form_are_no_duplicates(encoder: FakeEncoder) -> None:
    for number in (17, 18):
        write(
            f"docs/{number}.txt",
            f"Invoice INV-2024-{number} of the company for twelve chairs and two tables, to be paid within thirty days of this date",
        )
    index = Index.open(encoder=encoder)
    index.add(["docs"])
    hits = index.search("invoice for chairs")
    assert [hit.copies for hit in hits] == [(), ()]


def test_as_many_hits_come_as_were_asked_for_although_duplicates_are_folded(encoder: FakeEncoder) -> None:
    for i in range(12):
        write(f"docs/{i}.txt", f"The rent of house {i // 3} is due.")
    index = Index.open(encoder=encoder)
    index.add(["docs"])
    hits = index.search("the rent is due", k=4)
    assert [len(hit.copies) for hit in hits] == [2, 2, 2, 2]


def test_an_index_may_merge_token_vectors_and_remembers_it(encoder: FakeEncoder) -> None:
    write("docs/a.txt", "one two three four five six seven eight")
    with Index.open("pooled", encoder=encoder, pooling=2) as index:
        index.add(["docs"])
        assert index.search("five")[0].source.path == "docs/a.txt"
    assert Index.open("pooled", encoder=encoder).manifest.pooling == 2
    _, (tokens,) = open_store("lance:pooled/retrieval.lance").vectors(["docs/a.txt#L1-L1"])
    assert len(tokens) == 4
    with pytest.raises(IndexMismatch, match="pooling 2, not 3"):
        Index.open("pooled", encoder=encoder, pooling=3)
    with pytest.raises(ValueError, match="pooling is 9"):
        Index.open("other", encoder=encoder, pooling=9)
