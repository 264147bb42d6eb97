"""What every store must do. Runs on each engine of the folder; the expected answers come from brute force, or from the reference store."""

import math
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter

import numpy as np
import pytest

from unitower import codes
from unitower.stores import Entry, Query, engines, open_store
from unitower.stores.ranking import ALIKE, CLOSE, FOLDED_MOST
from unitower.stores.words import analysed
from unitower.types import Embeddings, Fingerprint, Ragged, Source

MADE_BY = Fingerprint(model="m", revision="r", adapter="a", prompts={}, max_pixels=1, max_length=1, dense_width=16, multi_width=8)
WORDS = ["alpha", "beta", "gamma-ray", "foo_bar", "東京都", "Müller", "2,000", "x", "the", "the", "of"]
NOT_PERSISTENT = {"memory"}

each_engine = pytest.mark.parametrize("engine", engines())
each_persistent_engine = pytest.mark.parametrize("engine", sorted(set(engines()) - NOT_PERSISTENT))


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def vectors(rng, n):
    lengths = rng.integers(1, 9, n)
    tokens = unit(rng.standard_normal((lengths.sum(), 8)))
    return Embeddings(dense=unit(rng.standard_normal((n, 16))), multi=Ragged(tokens, np.cumsum([0, *lengths])), fingerprint=MADE_BY)


def entry(id, text="", **values):
    return Entry(id=id, source=Source(path=id or "?"), modality="text", text=text, **values)


def some(rng, n, *, prefix="d"):
    """n entries with texts of known words, and their vectors."""
    return [entry(f"{prefix}{i}", " ".join(rng.choice(WORDS, rng.integers(0, 12)))) for i in range(n)], vectors(rng, n)


def chosen(embeddings, indices):
    return Embeddings(dense=embeddings.dense[list(indices)], multi=embeddings.multi.take(indices), fingerprint=MADE_BY)


def queries(rng, n):
    """Queries of every form: each of dense, tokens and text present and absent."""
    for i in range(n):
        one = vectors(rng, 1)
        yield Query(
            dense=one.dense[0] if i & 1 else None,
            tokens=one.multi[0] if i & 2 else None,
            text=" ".join(rng.choice(WORDS, rng.integers(1, 5))) if i & 4 or not i & 3 else "",
        )


def ids(found):
    return [one.id for one in found]


def assert_same_answers(found, expected):
    assert ids(found) == ids(expected)
    for one, other in zip(found, expected, strict=True):
        assert list(one.signals) == list(other.signals)
        assert one.score == pytest.approx(other.score, rel=1e-9)
        assert dict(one.signals) == pytest.approx(dict(other.signals), abs=1e-5)


@pytest.fixture
def address(engine, tmp_path):
    return f"{engine}:{tmp_path / 'store'}"


@each_engine
def test_maxsim_and_dense_scores_equal_brute_force(address):
    rng = np.random.default_rng(0)
    entries, made = some(rng, 50)
    store = open_store(address)
    store.add(entries, made)
    query = vectors(rng, 1)
    kept = dict(zip(ids(entries), store.vectors(ids(entries))[1], strict=True))
    by_tokens = {id: float((query.multi[0] @ tokens.T).max(axis=1).sum()) for id, tokens in kept.items()}
    found = store.search(Query(dense=query.dense[0], tokens=query.multi[0]), k=50)
    assert ids(found) == sorted(by_tokens, key=lambda id: (-by_tokens[id], id))
    assert {one.id: one.signals["multi"] for one in found} == pytest.approx(by_tokens, abs=5e-4)  # 8 tokens, the query's in 15 bits
    given = {e.id: float((query.multi[0] @ made.multi[i].T).max(axis=1).sum()) for i, e in enumerate(entries)}
    assert {one.id: one.signals["multi"] for one in found} == pytest.approx(given, abs=8 * 4e-3 * 8**0.5)  # half a step of int8 each
    by_dense = {e.id: float(made.dense[i] @ query.dense[0]) for i, e in enumerate(entries)}
    found = store.search(Query(dense=query.dense[0]), k=50)
    assert ids(found) == sorted(by_dense, key=lambda id: (-by_dense[id], id))
    assert {one.id: one.signals["dense"] for one in found} == pytest.approx(by_dense, abs=1e-6)
    assert [one.score for one in found] == pytest.approx([1 / (60 + rank) for rank in range(1, 51)])


@each_engine
def test_text_scores_equal_bm25_by_the_book(address):
    rng = np.random.default_rng(1)
    entries, made = some(rng, 60)
    store = open_store(address)
    store.add(entries, made)
    counts = {e.id: Counter([*analysed(e.text).parts, *analysed(e.text).beside]) for e in entries}
    lengths = {e.id: len(analysed(e.text).parts) for e in entries}
    with_words = [length for length in lengths.values() if length]
    average = sum(with_words) / len(with_words)
    expected = Counter()
    for word in ("alpha", "muller"):
        there = [id for id in counts if counts[id][word]]
        idf = math.log(1 + (len(with_words) - len(there) + 0.5) / (len(there) + 0.5))
        for id in there:
            tf = counts[id][word]
            expected[id] += idf * tf * 2.2 / (tf + 1.2 * (0.25 + 0.75 * lengths[id] / average))
    together = {e.id for e in entries if "alpha Müller" in e.text}
    assert together
    assert together < expected.keys()
    found = store.search(Query(text="Alpha, MULLER"), k=60)
    assert {one.id: one.signals["text"] for one in found} == pytest.approx(expected)
    assert ids(found) == sorted(expected, key=lambda id: (id not in together, -round(expected[id], 9), id))


@each_engine
def test_any_history_of_changes_answers_like_the_reference(address):
    rng, choose = np.random.default_rng(2), random.Random(2)
    store, reference = open_store(address), open_store("memory:")
    for step in range(25):
        change = choose.random()
        if change < 0.6:
            n = choose.randint(1, 15)
            entries, made = some(rng, n)
            entries = [entry(f"d{choose.randint(0, 60)}", e.text, part=step, file_sha=str(i)) for i, e in enumerate(entries)]
            store.add(entries, made)
            reference.add(entries, made)
        elif change < 0.85:
            gone = [f"d{choose.randint(0, 60)}" for _ in range(choose.randint(0, 12))]
            assert store.delete(gone) == reference.delete(gone)
        else:
            store.optimize()
        assert len(store) == len(reference)
        assert list(store.entries()) == list(reference.entries())
        for query in queries(rng, 8):
            assert_same_answers(store.search(query, k=20), reference.search(query, k=20))


@each_engine
def test_a_large_store_answers_like_the_reference(address):
    """More entries than are all scored, so that candidates decide; most of them contain the commonest words."""
    rng = np.random.default_rng(3)
    store, reference = open_store(address), open_store("memory:")
    entries, made = some(rng, 2_300)
    for part in np.array_split(np.arange(2_300), 5):
        store.add([entries[i] for i in part], chosen(made, part))
        reference.add([entries[i] for i in part], chosen(made, part))
    for optimized in (False, True):
        if optimized:
            store.optimize()
        for query in queries(rng, 8):
            for k in (10, 400):
                assert_same_answers(store.search(query, k=k), reference.search(query, k=k))


@each_engine
def test_answers_do_not_depend_on_how_entries_came_in(engine, tmp_path):
    rng = np.random.default_rng(4)
    entries, made = some(rng, 60)
    made.dense[10:20], made = made.dense[10], chosen(made, [*range(10), *([10] * 10), *range(20, 60)])  # copies: their order is by id
    whole, single, mixed = (open_store(f"{engine}:{tmp_path / name}") for name in ("whole", "single", "mixed"))
    whole.add(entries, made)
    for i in rng.permutation(60).tolist():
        single.add([entries[i]], chosen(made, [i]))
    more, more_made = some(rng, 30, prefix="gone")
    mixed.add(more, more_made)
    mixed.add([entry(e.id, "old") for e in entries[:40]], vectors(rng, 40))
    mixed.optimize()
    mixed.add(entries[30:], chosen(made, range(30, 60)))
    mixed.delete([e.id for e in more] + [entries[35].id])
    mixed.add(entries[:36], chosen(made, range(36)))
    for query in queries(rng, 24):
        expected = whole.search(query, k=60)
        assert single.search(query, k=60) == expected
        assert mixed.search(query, k=60) == expected


@each_engine
def test_adding_twice_keeps_one_and_the_last_wins(address):
    rng = np.random.default_rng(5)
    store = open_store(address)
    first, second = vectors(rng, 2), vectors(rng, 3)
    store.add([entry("a", "old"), entry("b", "other")], first)
    store.add([entry("a", "older"), entry("c", "third"), entry("a", "new", part=3)], second)
    assert len(store) == 3
    assert [(e.id, e.text, e.part) for e in store.entries()] == [("a", "new", 3), ("b", "other", 0), ("c", "third", 0)]
    assert store.search(Query(text="old older"), k=5) == []
    assert ids(store.search(Query(text="new"), k=5)) == ["a"]
    np.testing.assert_allclose(store.vectors(["a"])[0][0], second.dense[2])
    assert ids(store.search(Query(dense=second.dense[2]), k=1)) == ["a"]


@each_engine
def test_deleted_entries_are_gone_from_every_answer_and_can_come_back(address):
    rng = np.random.default_rng(6)
    store = open_store(address)
    entries, made = [entry(id, "alpha") for id in "abcd"], vectors(rng, 4)
    store.add(entries, made)
    assert store.delete(["a", "c", "c", "nobody"]) == 2
    assert store.delete(["a"]) == 0
    assert store.delete([]) == 0
    assert ids(store.search(Query(text="alpha"), k=9)) == ["b", "d"]
    assert set(ids(store.search(Query(dense=made.dense[0], tokens=made.multi[0]), k=9))) == {"b", "d"}
    assert [e.id for e in store.entries()] == ["b", "d"]
    with pytest.raises(KeyError, match="'a'"):
        store.vectors(["b", "a"])
    assert store.delete({"b", "d"}) == 2
    assert len(store) == 0
    assert store.search(Query(dense=made.dense[0], tokens=made.multi[0], text="alpha"), k=9) == []
    store.optimize()
    store.add(entries, made)
    assert ids(store.search(Query(text="alpha"), k=9)) == ["a", "b", "c", "d"]


@each_engine
def test_an_empty_store_answers_with_nothing(address):
    store = open_store(address)
    one = vectors(np.random.default_rng(0), 1)
    for _ in range(2):
        assert store.search(Query(dense=one.dense[0], tokens=one.multi[0], text="alpha"), k=5) == []
        assert list(store.entries()) == list(store.entries(["a"])) == []
        assert len(store) == 0
        assert store.delete(["a"]) == 0
        dense, tokens = store.vectors([])
        assert (len(dense), tokens) == (0, [])
        with pytest.raises(KeyError, match="'a'"):
            store.vectors(["a"])
        store.optimize()
        store.add([], chosen(one, []))


@each_persistent_engine
def test_everything_is_there_when_it_is_opened_again(address):
    rng = np.random.default_rng(7)
    entries = [
        Entry(
            id="docs/a.pdf#page=3",
            source=Source(path="docs/a.pdf", page=3),
            modality="image",
            part=2,
            file_sha="ab" * 32,
            text="Zwölf\nZeilen\t \u2028 😀",
            metadata={"title": "A \"quoted\" 'title'", "größe": "", "": "empty key"},
        ),
        Entry(id="src/x.py#L10-L42", source=Source(path="src/x.py", lines=(10, 42)), modality="code", text="def f(): ..."),
        Entry(id="b.txt", source=Source(path="/abs/b.txt"), modality="text"),
    ]
    made = vectors(rng, 3)
    open_store(address).add(entries, made)
    again = open_store(address)
    assert len(again) == 3
    assert list(again.entries()) == sorted(entries, key=lambda e: e.id)
    dense, tokens = again.vectors([e.id for e in entries])
    np.testing.assert_array_equal(dense, made.dense)
    for kept, given in zip(tokens, made.multi, strict=True):
        assert kept.dtype == np.float32
        np.testing.assert_allclose(kept, given, atol=1 / 254 + 1e-6)
    assert ids(again.search(Query(text="zwolf zeilen"), k=3)) == ["docs/a.pdf#page=3"]


@each_persistent_engine
def test_a_store_that_is_open_sees_what_another_wrote(address):
    rng = np.random.default_rng(8)
    reader, writer = open_store(address), open_store(address)
    entries, made = some(rng, 30)
    assert len(reader) == 0
    for i in range(0, 30, 10):
        writer.add(entries[i : i + 10], chosen(made, range(i, i + 10)))
        assert len(reader) == i + 10
        assert ids(reader.search(Query(dense=made.dense[i + 9]), k=1)) == [f"d{i + 9}"]
    listing = reader.entries()
    next(listing)
    writer.delete(["d3"])
    writer.optimize()
    assert reader.search(Query(dense=made.dense[3]), k=30) == writer.search(Query(dense=made.dense[3]), k=30)
    list(listing)  # goes on, although the files it began with are gone
    assert [e.id for e in reader.entries()] == sorted(e.id for e in entries if e.id != "d3")


STRANGE = [
    "it's",
    'say "hi"',
    "a'; DROP TABLE entries; --",
    "100%_\\",
    "tab\tnew\nline\r",
    "nul\x00byte",
    " lead and trail ",
    "日本語/ファイル.pdf#page=1",
    "e\u0301 is not \u00e9",
    "\u00e9 is not e\u0301",
    "😀\u200d🔥",
    "\U0010ffff\ufdd0\ufdd0dce9\uffff",
    "not-utf8-\udce9.txt",
    "not-utf8-\udcea.txt",
    "\ud83d\ude00 in two halves",
    "\ufdd0ud800",
    "id IN ('x') OR 1=1",
    '{"a": [1]}',
    "x" * 5_000,
    "null",
    "None",
]


@each_engine
def test_any_string_is_an_id(address):
    rng = np.random.default_rng(9)
    made = vectors(rng, len(STRANGE))
    store = open_store(address)
    store.add([entry(id, "alpha") for id in STRANGE], made)
    assert [e.id for e in store.entries()] == sorted(STRANGE)
    assert [e.source.path for e in store.entries()] == sorted(STRANGE)
    assert [e.id for e in store.entries(STRANGE[:5])] == sorted(STRANGE[:5])
    assert ids(store.search(Query(text="alpha"), k=99)) == sorted(STRANGE)
    np.testing.assert_array_equal(store.vectors(STRANGE)[0], made.dense)
    store.add([entry(id, "beta") for id in STRANGE[::2]], chosen(made, range(0, len(STRANGE), 2)))
    assert len(store) == len(STRANGE)
    for i, id in enumerate(STRANGE):
        assert store.delete([id]) == 1
        assert [e.id for e in store.entries()] == sorted(STRANGE[i + 1 :])


@each_engine
def test_any_text_can_be_kept_and_only_half_characters_are_replaced(address):
    texts = [
        "nul \x00 byte",
        "half \ud83d here",
        "whole \ud83d\ude00 pair",
        "",
        "\x00",
        "a" * 200_000,
        "\r\n\u2028",
        "\ufdd0 \uffff \U0010ffff",
    ]
    store = open_store(address)
    store.add(
        [entry(f"{i}", text, metadata={"k": text[:20]}) for i, text in enumerate(texts)], vectors(np.random.default_rng(0), len(texts))
    )
    kept = [e.text for e in store.entries()]
    assert kept == [text.replace("\ud83d\ude00", "😀").replace("\ud83d", "\ufffd") for text in texts]
    assert [e.metadata["k"] for e in store.entries()] == [text[:20] for text in kept[:2]] + ["whole 😀 pair"] + [
        text[:20] for text in kept[3:]
    ]
    assert ids(store.search(Query(text="half here"), k=9)) == ["1"]
    assert ids(store.search(Query(text="byte\x00 \udfff"), k=9)) == ["0"]


@each_engine
def test_equal_scores_stand_in_order_of_id(address):
    rng = np.random.default_rng(10)
    one = vectors(rng, 1)
    names = [f"{i:02d}" for i in range(40)]
    shuffled = rng.permutation(names).tolist()
    store = open_store(address)
    for i in range(0, 40, 10):
        store.add([entry(id, "alpha beta") for id in shuffled[i : i + 10]], chosen(one, [0] * 10))
    for query in (Query(dense=one.dense[0]), Query(tokens=one.multi[0]), Query(text="beta"), Query(text="alpha beta"), *queries(rng, 4)):
        if found := store.search(query, k=15):
            assert ids(found) == names[:15]


@each_engine
def test_optimizing_changes_no_answer(address):
    rng = np.random.default_rng(11)
    entries, made = some(rng, 80)
    store = open_store(address)
    for i in range(0, 80, 8):
        store.add(entries[i : i + 8], chosen(made, range(i, i + 8)))
    store.delete(["d3", "d40"])
    store.add([entries[5]], chosen(made, [6]))
    asked = list(queries(rng, 16))
    before = [store.search(query, k=80) for query in asked], list(store.entries())
    for _ in range(2):
        store.optimize()
        assert ([store.search(query, k=80) for query in asked], list(store.entries())) == before


def near_duplicates(store, found, k):
    """Of each entry that is told, its copies: by the definition of `ranking._folded`, a pair at a time, on what the store gives back."""
    texts = {one.id: set(analysed(one.text).counts) for one in store.entries(ids(found))}
    dense, tokens = store.vectors(ids(found))
    scanned = unit(codes.quantised(dense)[0].astype(np.float32))
    stored = {one.id: (row, rows) for one, row, rows in zip(found, scanned, tokens, strict=True)}

    def alike(one, other):
        (dense, rows), (other_dense, other_rows) = stored[one], stored[other]
        if dense @ other_dense < CLOSE:
            return False
        if texts[one] or texts[other]:
            numbers = [{word for word in texts[id] if any(c.isdigit() for c in word)} for id in (one, other)]
            return numbers[0] == numbers[1] and len(texts[one] & texts[other]) >= 0.9 * len(texts[one] | texts[other])
        products = rows @ other_rows.T
        return min(products.max(axis=1).mean(), products.max(axis=0).mean()) >= ALIKE

    told = {}
    for one in ids(found):
        best = next((kept for kept in told if alike(one, kept)), None)
        if best is not None:
            told[best].append(one)
        elif len(told) < k:
            told[one] = []
    return [(one, tuple(copies)) for one, copies in told.items()]


@each_engine
def test_near_duplicates_are_folded_as_one_pair_after_the_other_says(address):
    """A hundred copies of ten pages: of the same vectors or nearly, of the same words or nearly, or with other numbers, or with none."""
    rng = np.random.default_rng(12)
    base = vectors(rng, 10)
    which = rng.integers(0, 10, 100)
    moved = rng.choice([0, 0.002, 0.02, 0.1], 100)
    made = chosen(base, which)
    dense = unit(made.dense + moved[:, None] * rng.standard_normal(made.dense.shape))
    tokens = [unit(rows + far * rng.standard_normal(rows.shape)) for rows, far in zip(made.multi, moved, strict=True)]
    sentence = "the quick brown fox jumps over a lazy dog while many grey wolves sleep under old trees"
    texts = ["", "?!", sentence, sentence + " today", sentence + " on 17", sentence + " on 18", "quite other words"]
    entries = [entry(f"d{i:02}", str(rng.choice(texts if page % 2 else texts[:2]))) for i, page in enumerate(which)]
    store, reference = open_store(address), open_store("memory:")
    for one in (store, reference):
        one.add(entries, Embeddings(dense=dense, multi=Ragged.of(tokens), fingerprint=MADE_BY))
    folded = 0
    for k, query in zip([1, 3, 10, 20, 60, 100] * 4, queries(rng, 24), strict=True):
        found = store.search(query, k=k, fold=True)
        assert_same_answers(found, reference.search(query, k=k, fold=True))
        told = [(one.id, one.copies) for one in found]
        assert told == [(one.id, one.copies) for one in reference.search(query, k=k, fold=True)]
        assert told == near_duplicates(store, store.search(query, k=2 * k + FOLDED_MOST), k)
        folded += sum(len(one.copies) for one in found)
    assert folded > 100


@each_engine
@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("Rechnung INV-2024-0117 über 2.102.650 EUR", "INV-2024-0117"),
        ("Rechnung INV-2024-0117 über 2.102.650 EUR", "2102650"),
        ("Ask jane.doe@example.com", "jane.doe@example.com"),
        ("written in C++17", "C++"),
        ("released as 1.2.3", "1.2.3"),
        ("def getUserName(): ...", "user name"),
        ("die Rechnungs-\nnummer", "Rechnungsnummer"),
        ("Les élèves à l’école", "eleves ecole"),
        ("中文搜索引擎很快", "搜索引擎"),
        ("消費税の計算方法", "税"),
        ("서울특별시에서 만나요", "서울"),
        ("ภาษาไทยเขียนติดกัน", "ไทย"),
        ("यह हिन्दी का वाक्य है", "हिन्दी"),
        ("اَلْعَرَبِيَّةُ لغة", "العربية"),
        ("Настоящий ёж", "еж"),
        ("Η Ελλάδα είναι όμορφη", "ελλαδα"),
    ],
)
def test_words_are_found_in_every_script(address, text, query):
    store = open_store(address)
    others = ["nothing of it", "", "INV-2024 and 0118, 2.1", "搜 引 索", "C", "हिमालय", "1.2.4"]
    store.add([entry("right", text), *(entry(f"{i}", other) for i, other in enumerate(others))], vectors(np.random.default_rng(0), 8))
    store.optimize()
    assert ids(store.search(Query(text=query), k=9))[0] == "right"


@each_engine
@pytest.mark.parametrize(
    ("text", "query", "pieces"),
    [
        ("हिन्दी", "हिन्दी", "हिन दी"),
        (
            "Rindfleischetikettierungsüberwachungsaufgabenübertragungsgesetz",
            "rindfleischetikettierungsuberwachungsaufgabenubertragungsgesetz",
            "gesetz",
        ),
        ("naïvement", "naivement", "na vement"),
        ("สวัสดี", "สวัสดี", "ส ว ด"),
    ],
)
def test_a_word_is_found_whole_and_not_by_pieces(address, text, query, pieces):
    store = open_store(address)
    store.add([entry("right", text), entry("pieces", pieces)], vectors(np.random.default_rng(0), 2))
    for _ in range(2):
        assert ids(store.search(Query(text=query), k=9)) == ["right"]
        store.optimize()


@each_engine
def test_what_cannot_be_kept_is_refused_and_leaves_the_store_as_it_was(address):
    rng = np.random.default_rng(12)
    entries, made = some(rng, 3)
    store = open_store(address)
    store.add(entries, made)
    wide = Embeddings(dense=unit(np.ones((1, 17))), multi=made.multi[:1], fingerprint=MADE_BY)
    wider = Embeddings(dense=made.dense[:1], multi=Ragged.of([np.ones((1, 9))]), fingerprint=MADE_BY)
    broken = Embeddings(
        dense=np.where(np.arange(16) == 3, np.nan, made.dense[:1]).astype(np.float32), multi=made.multi[:1], fingerprint=MADE_BY
    )
    endless = Embeddings(dense=made.dense[:1], multi=Ragged.of([np.full((1, 8), np.inf)]), fingerprint=MADE_BY)
    for refused, given, said in (
        (entries[:2], made, "2 entries but vectors of 3"),
        ([entry("new")], wide, "widths 17"),
        ([entry("new")], wider, "and 9"),
        ([entry("new")], broken, "'new'.*finite"),
        ([entry("new")], endless, "'new'.*finite"),
        ([entry("")], chosen(made, [0]), "empty id"),
    ):
        with pytest.raises(ValueError, match=said):
            store.add(refused, given)
    assert [e.id for e in store.entries()] == ["d0", "d1", "d2"]
    assert open_store(address).search(Query(dense=made.dense[0]), k=0) == []


@each_engine
def test_a_query_of_another_width_is_refused(address):
    store = open_store(address)
    store.add(*some(np.random.default_rng(13), 3))
    for query in (Query(dense=np.ones(17, np.float32)), Query(tokens=np.ones((2, 9), np.float32))):
        with pytest.raises(ValueError, match="width"):
            store.search(query, k=1)


@each_engine
def test_vectors_come_in_the_order_asked_for(address):
    rng = np.random.default_rng(14)
    entries, made = some(rng, 20)
    store = open_store(address)
    store.add(entries, made)
    wanted = [7, 3, 19, 3, 0]
    dense, tokens = store.vectors([f"d{i}" for i in wanted])
    np.testing.assert_array_equal(dense, made.dense[wanted])
    assert [len(one) for one in tokens] == [len(made.multi[i]) for i in wanted]
    for one, i in zip(tokens, wanted, strict=True):
        np.testing.assert_allclose(one, made.multi[i], atol=1 / 254 + 1e-6)


WRITER = """
import sys
import numpy as np
from unitower.stores import Entry, open_store
from unitower.types import Embeddings, Fingerprint, Ragged, Source

store = open_store(sys.argv[1])
made_by = Fingerprint(model="m", revision="r", adapter="a", prompts={}, max_pixels=1, max_length=1, dense_width=8, multi_width=4)
first = len(store) // 5
print("open", flush=True)
for batch in range(first, first + 1000):
    entries = [Entry(id=f"{batch:04d}-{i}", source=Source(path="x"), modality="text", part=i, text=f"batch b{batch}") for i in range(5)]
    store.add(entries, Embeddings(dense=np.eye(5, 8), multi=Ragged.of([np.ones((40, 4))] * 5), fingerprint=made_by))
    print(batch, flush=True)
    if batch % 7 == 6:
        store.optimize()
"""


@each_persistent_engine
def test_a_writer_killed_at_any_moment_leaves_whole_commits_only(address):
    chance, told = random.Random(0), 0
    for acknowledged in (0, 0, 1, 3, 5, 8, 8):  # batches that the writer tells of before the kill; 0: while the store is opened or made
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, address], stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )
        assert writer.stdout is not None
        lines = [writer.stdout.readline() for _ in range(acknowledged + 1)]
        time.sleep(chance.uniform(0, 0.02))  # somewhere in the commits after it
        os.kill(writer.pid, signal.SIGKILL)
        lines += writer.stdout.readlines()
        writer.wait()
        told = max(told, *(int(line) + 1 if line.strip().isdigit() else 0 for line in lines))
        store = open_store(address)
        batches = Counter(e.id.split("-")[0] for e in store.entries())
        assert set(batches.values()) <= {5}
        assert sorted(batches) == [f"{i:04d}" for i in range(len(batches))]
        assert told <= len(batches) <= told + 1
        for batch in {0, told - 1} if told else ():
            assert len(store.search(Query(text=f"b{batch}"), k=9)) == 5
    assert told >= 20
    store.optimize()
    assert len(store) == 5 * len(batches)


def test_there_is_a_reference_and_a_default_engine():
    assert {"memory", "lance"} <= set(engines())
    assert all(not name.startswith("_") for name in engines())


@pytest.mark.parametrize("address", ["", "lance", "nothing:here", "words:x", "ranking:", "_batch:", "C:\\store"])
def test_an_address_of_no_engine_is_refused_with_those_there_are(address):
    with pytest.raises(ValueError, match="lance, memory"):
        open_store(address)
