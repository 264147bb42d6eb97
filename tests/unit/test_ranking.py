import math

import numpy as np
import pytest

from unitower.stores import Entry, Query, memory, open_store, ranking
from unitower.types import Embeddings, Fingerprint, Ragged, Source

MADE_BY = Fingerprint(model="m", revision="r", adapter="a", prompts={}, max_pixels=1, max_length=1, dense_width=2, multi_width=2)


def at(degrees):
    """The unit vector of the plane in that direction: cosines are then cosines of differences."""
    return np.array([math.cos(math.radians(degrees)), math.sin(math.radians(degrees))], np.float32)


def filled(**given):
    """A store in memory of `id=(dense direction, token directions, text)`."""
    store = open_store("memory:")
    store.add(
        [Entry(id=id, source=Source(path=id), modality="text", text=text) for id, (_, _, text) in given.items()],
        Embeddings(
            dense=np.stack([at(dense) for dense, _, _ in given.values()]),
            multi=Ragged.of([np.stack([at(token) for token in tokens]) for _, tokens, _ in given.values()]),
            fingerprint=MADE_BY,
        ),
    )
    return store


def ids(found):
    return [one.id for one in found]


def cosine_of(degrees):
    return pytest.approx(math.cos(math.radians(degrees)), abs=1e-3)


def test_maxsim_decides_where_the_query_has_tokens_and_dense_where_it_has_none():
    store = filled(near=(0, [90], ""), far=(80, [10, 50], ""))
    tokens = np.stack([at(10), at(40)])
    by_tokens = store.search(Query(dense=at(0), tokens=tokens), k=2)
    assert ids(by_tokens) == ["far", "near"]
    assert by_tokens[0].signals == {"multi": pytest.approx(1 + math.cos(math.radians(10)), abs=2 * 2**0.5 / 254)}
    by_dense = store.search(Query(dense=at(0)), k=2)
    assert ids(by_dense) == ["near", "far"]
    assert by_dense[1].signals == {"dense": cosine_of(80)}


def test_scores_are_reciprocal_ranks_done_by_hand():
    store = filled(a=(0, [0], "red"), b=(0, [20], "blue red red"), c=(0, [40], ""))
    found = store.search(Query(tokens=at(0)[None], text="blue"), k=5)
    assert [(one.id, one.score, list(one.signals)) for one in found] == [
        ("b", pytest.approx(1 / 61 + 1 / 62), ["text", "multi"]),
        ("a", pytest.approx(1 / 61), ["multi"]),
        ("c", pytest.approx(1 / 63), ["multi"]),
    ]


def test_weights_multiply_the_shares_of_their_signals():
    store = filled(a=(0, [0], ""), b=(0, [20], "blue"))
    query = Query(tokens=at(0)[None], text="blue")
    found = {one.id: one.score for one in store.search(query, k=2, weights={"text": 0.1})}
    assert found == {"a": pytest.approx(1 / 61), "b": pytest.approx(1 / 62 + 0.1 / 61)}


def test_the_signal_that_counts_most_is_named_first():
    store = filled(a=(0, [0], "blue"))
    query = Query(tokens=at(0)[None], text="blue")
    assert list(store.search(query, k=1, weights={"text": 2})[0].signals) == ["text", "multi"]
    assert list(store.search(query, k=1, weights={"multi": 2})[0].signals) == ["multi", "text"]


@pytest.mark.parametrize(
    ("weights", "query", "signals"),
    [
        ({"text": 0}, Query(dense=at(0), tokens=at(0)[None], text="blue"), {"multi"}),
        ({"multi": 0}, Query(dense=at(0), tokens=at(0)[None], text="blue"), {"dense", "text"}),
        ({"multi": 0, "dense": 0}, Query(dense=at(0), tokens=at(0)[None], text="blue"), {"text"}),
        ({"dense": 0}, Query(dense=at(0), tokens=at(0)[None]), {"multi"}),
        ({"dense": 0}, Query(dense=at(0)), set()),
        ({"multi": 0, "dense": 0, "text": 0}, Query(dense=at(0), tokens=at(0)[None], text="blue"), set()),
    ],
)
def test_a_signal_of_weight_zero_is_neither_computed_nor_told(monkeypatch, weights, query, signals):
    needs = {"multi": "pages", "dense": "cosines", "text": "matches"}
    for signal in needs.keys() - signals:
        monkeypatch.delattr(memory._Evidence, needs[signal])
    found = filled(a=(0, [0], "blue")).search(query, k=5, weights=weights)
    assert {signal for one in found for signal in one.signals} == signals


@pytest.mark.parametrize(
    ("weights", "said"),
    [({"txt": 1}, "'txt' is not a search signal"), ({"text": -1}, "-1"), ({"multi": math.nan}, "nan"), ({"dense": math.inf}, "inf")],
)
def test_weights_that_make_no_sense_are_refused_even_in_an_empty_store(weights, said):
    with pytest.raises(ValueError, match=said):
        open_store("memory:").search(Query(text="x"), k=1, weights=weights)


def test_bm25_of_a_case_done_by_hand():
    store = filled(a=(0, [0], "cat cat dog"), b=(0, [0], "dog bird bird bird bird"), c=(0, [0], "bird"), empty=(0, [0], ""))
    # N = 3 entries with words, mean length 3. "cat" is in 1 of them, "dog" in 2.
    idf_cat, idf_dog = math.log(1 + 2.5 / 1.5), math.log(1 + 1.5 / 2.5)
    a = idf_cat * 2 * 2.2 / (2 + 1.2) + idf_dog * 2.2 / (1 + 1.2)
    b = idf_dog * 2.2 / (1 + 1.2 * (0.25 + 0.75 * 5 / 3))
    found = store.search(Query(text="Dog, cat!"), k=5)
    assert [(one.id, one.signals["text"]) for one in found] == [("a", pytest.approx(a)), ("b", pytest.approx(b))]


def test_a_word_asked_for_twice_counts_once():
    store = filled(a=(0, [0], "cat"), b=(0, [0], "dog"))
    assert store.search(Query(text="cat cat"), k=2)[0].signals == store.search(Query(text="cat"), k=2)[0].signals


def test_an_entry_with_the_phrase_comes_before_any_without():
    store = filled(
        scattered=(0, [0], "total total invoice invoice"),
        phrase=(0, [0], "somewhere in a long text about quite other matters stands the Invoice-Total and then it goes on"),
        one=(0, [0], "invoice"),
    )
    found = store.search(Query(text="invoice total"), k=5)
    assert ids(found) == ["phrase", "scattered", "one"]
    assert found[0].signals["text"] < found[1].signals["text"]


def test_a_query_of_one_word_is_no_phrase():
    short, long = "alpha", "alpha " + "beta " * 50
    store = filled(b=(0, [0], short), a=(0, [0], long))
    assert ids(store.search(Query(text="alpha"), k=2)) == ["b", "a"]


@pytest.mark.parametrize("text", ["", "  ", "?!", "🎉", "unheard"])
def test_a_query_without_a_known_word_has_no_text_signal(text):
    store = filled(a=(0, [0], "blue"), b=(10, [10], "blue"))
    assert store.search(Query(text=text), k=5) == []
    assert [list(one.signals) for one in store.search(Query(dense=at(10), text=text), k=5)] == [["dense"], ["dense"]]


def test_a_query_with_nothing_in_it_finds_nothing():
    assert filled(a=(0, [0], "blue")).search(Query(), k=5) == []


def test_only_the_first_hundred_words_of_a_pasted_page_are_looked_up():
    store = filled(early=(0, [0], "w0"), late=(0, [0], "w100"))
    assert ids(store.search(Query(text=" ".join(f"w{i}" for i in range(101))), k=5)) == ["early"]


@pytest.mark.parametrize("k", [-1, -10])
def test_a_negative_k_is_refused(k):
    with pytest.raises(ValueError, match=str(k)):
        filled(a=(0, [0], "")).search(Query(dense=at(0)), k=k)


def test_no_answers_wanted_are_no_answers():
    assert filled(a=(0, [0], "")).search(Query(dense=at(0)), k=0) == []


@pytest.mark.parametrize(
    "query", [Query(dense=np.ones(3, np.float32)), Query(tokens=np.ones((1, 3), np.float32)), Query(dense=np.ones((1, 2), np.float32))]
)
def test_a_query_of_another_width_is_refused(query):
    with pytest.raises(ValueError, match="width"):
        filled(a=(0, [0], "")).search(query, k=1)


@pytest.mark.parametrize("query", [Query(dense=np.array([np.nan, 0], np.float32)), Query(tokens=np.array([[np.inf, 0]], np.float32))])
def test_a_query_that_is_not_finite_is_refused(query):
    with pytest.raises(ValueError, match="finite"):
        filled(a=(0, [0], "")).search(query, k=1)


@pytest.fixture
def _small_limits(monkeypatch):
    """A large store is one of more than 6 entries, with 2 candidates after the second look."""
    monkeypatch.setattr(ranking, "ALL_SCORED", 6)
    monkeypatch.setattr(ranking, "LOOKED_AT", 3)
    monkeypatch.setattr(ranking, "NEAR", 2)
    monkeypatch.setattr(ranking, "CANDIDATES", 2)
    monkeypatch.setattr(ranking, "DEPTH", 2)


def _seven(**changed):
    return filled(**({f"d{i}": (10 * i, [200 + 10 * i], "") for i in range(7)} | changed))


@pytest.mark.usefixtures("_small_limits")
def test_in_a_large_store_token_vectors_dense_vectors_and_words_each_put_entries_forward(monkeypatch):
    scored = []
    pages = memory._Evidence.pages
    monkeypatch.setattr(memory._Evidence, "pages", lambda self, chosen: scored.append(set(chosen.tolist())) or pages(self, chosen))
    store = _seven(d5=(50, [0], ""), d6=(60, [190], "blue"))
    store.search(Query(tokens=at(0)[None]), k=1)
    assert 5 in scored.pop()  # its tokens
    store.search(Query(dense=at(0), tokens=at(90)[None]), k=1)
    assert 0 in scored.pop()  # its dense vector
    store.search(Query(tokens=at(20)[None], text="blue"), k=1)
    assert 6 in scored.pop()  # its word
    assert scored == []


@pytest.mark.usefixtures("_small_limits")
def test_exact_scores_everything(monkeypatch):
    scored = []
    pages = memory._Evidence.pages
    monkeypatch.setattr(memory._Evidence, "pages", lambda self, chosen: scored.append(len(chosen)) or pages(self, chosen))
    store = _seven()
    store.search(Query(dense=at(0), tokens=at(0)[None]), k=1)
    store.search(Query(dense=at(0), tokens=at(0)[None]), k=1, exact=True)
    assert scored == [2, 7]


@pytest.mark.usefixtures("_small_limits")
def test_a_small_store_scores_everything():
    store = filled(**{f"d{i}": (10 * i, [90], "") for i in range(5)}, best=(60, [0], ""))
    assert ids(store.search(Query(dense=at(0), tokens=at(0)[None]), k=1)) == ["best"]


@pytest.mark.usefixtures("_small_limits")
def test_tokens_without_a_dense_vector_are_compared_with_everything():
    assert ids(_seven(d6=(60, [0], "")).search(Query(tokens=at(0)[None]), k=1)) == ["d6"]


@pytest.mark.usefixtures("_small_limits")
@pytest.mark.parametrize("query", [Query(dense=at(0)), Query(dense=at(0), tokens=at(0)[None]), Query(text="blue")])
def test_as_many_answers_come_as_were_asked_for(query):
    store = _seven(**{f"d{i}": (10 * i, [10 * i], "blue") for i in range(7)})
    assert ids(store.search(query, k=7)) == [f"d{i}" for i in range(7)]
    assert ids(store.search(query, k=4)) == [f"d{i}" for i in range(4)]


@pytest.mark.usefixtures("_small_limits")
def test_rankings_end_so_that_the_tail_adds_nothing():
    store = filled(a=(0, [0], ""), b=(0, [10], ""), c=(0, [20], "blue"))
    found = store.search(Query(tokens=at(0)[None], text="blue"), k=2)
    assert {one.id: set(one.signals) for one in found} == {"a": {"multi"}, "c": {"text"}}


def test_copies_score_the_same_to_the_last_bit_and_stand_in_order_of_id():
    rng = np.random.default_rng(0)
    store = open_store("memory:")
    tokens = [rng.standard_normal((n, 64)).astype(np.float32) / 8 for n in rng.integers(1, 40, 120)]
    dense = rng.standard_normal((120, 64)).astype(np.float32) / 8
    copies = sorted(rng.choice(120, 50, replace=False).tolist())
    for i in copies:
        tokens[i], dense[i] = tokens[copies[0]], dense[copies[0]]
    entries = [Entry(id=f"{i:03d}", source=Source(path="x"), modality="image") for i in range(120)]
    store.add(entries, Embeddings(dense=dense, multi=Ragged.of(tokens), fingerprint=MADE_BY))
    for query in (
        Query(tokens=tokens[copies[0]][:5]),
        Query(tokens=rng.standard_normal((3, 64)).astype(np.float32)),
        Query(dense=dense[7]),
    ):
        found = [one for one in store.search(query, k=120) if int(one.id) in copies]
        assert ids(found) == [f"{i:03d}" for i in copies]
        assert len({score for one in found for score in one.signals.values()}) == 1


@pytest.mark.parametrize("width", [1, 3, 7, 64, 257])
def test_a_row_has_the_same_cosine_wherever_it_stands(width):
    rng = np.random.default_rng(width)
    query, row = rng.standard_normal((2, width)).astype(np.float32)
    for rows in (1, 2, 3, 5, 8, 33):
        for shift in range(4):  # also where rows do not begin at an aligned address
            matrix = np.empty(rows * width + shift, np.float32)[shift:].reshape(rows, width)
            matrix[:] = row
            assert set(ranking.cosines(matrix, query).tolist()) == {ranking.cosines(row[None], query)[0]}


def test_token_vectors_are_read_in_bounded_pieces(monkeypatch):
    read = []
    pages = memory._Evidence.pages
    monkeypatch.setattr(memory._Evidence, "pages", lambda self, positions: read.append(pages(self, positions)) or read[-1])
    monkeypatch.setattr(ranking, "BLOCK_ROWS", 5)
    lengths = [1, 2, 3, 4, 9, 1, 5, 1]
    store = filled(**{f"d{i}": (0, [i + j for j in range(n)], "") for i, n in enumerate(lengths)})
    store.search(Query(tokens=at(0)[None]), k=8)
    assert [one.lengths.tolist() for one in read] == [[1, 2], [3], [4], [9], [1], [5], [1]]


def test_the_order_of_adding_does_not_matter():
    rng = np.random.default_rng(3)
    given = {f"d{i}": (int(rng.integers(0, 8)) * 10, [int(d) * 10 for d in rng.integers(0, 8, 3)], f"w{i % 4} w{i % 3}") for i in range(40)}
    shuffled = {id: given[id] for id in rng.permutation(list(given)).tolist()}
    for query in (Query(dense=at(5)), Query(tokens=np.stack([at(5), at(33)])), Query(text="w1 w2"), Query(tokens=at(5)[None], text="w2")):
        assert filled(**given).search(query, k=40) == filled(**shuffled).search(query, k=40)


def test_of_many_entries_the_heads_say_which_are_looked_at_whole(monkeypatch):
    monkeypatch.setattr(ranking, "ALL_SCORED", 6)
    monkeypatch.setattr(ranking, "SCANNED_WHOLE", 10)
    monkeypatch.setattr(ranking, "LIKELY", (13, 3))
    monkeypatch.setattr(ranking, "LOOKED_AT", 2)
    monkeypatch.setattr(ranking, "NEAR", 2)
    monkeypatch.setattr(ranking, "CANDIDATES", 2)
    monkeypatch.setattr(ranking, "DEPTH", 2)
    rng = np.random.default_rng(0)
    wide = rng.standard_normal((40, 8, 64))
    store = memory.open("")
    rows = (wide / np.linalg.norm(wide, axis=2, keepdims=True)).astype(np.float32)
    dense = np.tile(at(0), (40, 1))
    made_by = Fingerprint(model="m", revision="r", adapter="a", prompts={}, max_pixels=1, max_length=1, dense_width=2, multi_width=64)
    entries = [Entry(id=f"e{i:02}", source=Source(path=f"e{i:02}"), modality="text") for i in range(40)]
    store.add(entries, Embeddings(dense=dense, multi=Ragged.of(list(rows)), fingerprint=made_by))
    looked = []
    hamming = ranking.chosen_kernel().hamming
    monkeypatch.setattr(
        ranking.chosen_kernel(), "hamming", lambda *given: looked.append((len(given[2]), int(given[3].sum()))) or hamming(*given)
    )
    for i in (3, 17, 39):
        assert ids(store.search(Query(tokens=rows[i]), k=1)) == [f"e{i:02}"]
    assert looked == [(40, 40 * 2), (4, 4 * 8)] * 3  # heads are two of eight; four are the least number that candidates come from


def _reads(monkeypatch):
    """How many texts each call reads, and how many pages."""
    read = {"texts": [], "pages": []}
    for what, calls in read.items():
        given = getattr(memory._Evidence, what)
        monkeypatch.setattr(
            memory._Evidence, what, lambda self, positions, given=given, calls=calls: calls.append(len(positions)) or given(self, positions)
        )
    return read


@pytest.mark.parametrize("n", [2, 12, 60])
def test_texts_are_read_in_one_call_however_many_pairs_are_compared(monkeypatch, n):
    store = filled(**{f"d{i:02}": (i / n, [i], f"page {i}") for i in range(n)})
    read = _reads(monkeypatch)
    assert ids(store.search(Query(dense=at(0)), k=n, fold=True)) == [f"d{i:02}" for i in range(n)]
    assert read == {"texts": [n], "pages": []}


@pytest.mark.parametrize("n", [2, 12, 60])
def test_a_page_without_words_is_read_once_however_many_it_is_compared_with(monkeypatch, n):
    store = filled(**{f"d{i:02}": (i / n, [5 * (i // 2), 5 * (i // 2) + 40], "") for i in range(n)})
    read = _reads(monkeypatch)
    found = store.search(Query(dense=at(0)), k=n, fold=True)
    assert [(one.id, one.copies) for one in found] == [(f"d{i:02}", (f"d{i + 1:02}",)) for i in range(0, n, 2)]
    assert read["texts"] == [n]
    assert sum(read["pages"]) == n


def test_what_is_close_to_nothing_is_not_read(monkeypatch):
    store = filled(a=(0, [0], "one"), b=(1, [0], "two"), far=(60, [0], "three"), farther=(120, [0], ""))
    read = _reads(monkeypatch)
    assert len(store.search(Query(dense=at(0)), k=4, fold=True)) == 4
    assert read == {"texts": [2], "pages": []}
    assert len(store.search(Query(dense=at(0)), k=1, where="path like 'far%'", fold=True)) == 1
    assert read == {"texts": [2], "pages": []}
