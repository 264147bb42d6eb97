"""A pass over a corpus: the same answers in any stretches, after a kill, and with kept vectors; MaxSim of many; BM25."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from fake import FakeEncoder
from PIL import Image

from unitower.evaluation import rules, search
from unitower.evaluation.kept import Kept
from unitower.evaluation.models import Encoded, Layer, Words, all_maxsims
from unitower.evaluation.search import Cost, over
from unitower.evaluation.task import Listed, Task
from unitower.scoring import maxsim
from unitower.types import Floats, Item, Ragged, Source


def page(id: str, text: str) -> Item:
    return Item(id=id, modality="text", content=text, source=Source(path=id), text=text)


TEXTS = {"a": "rent is due in may", "b": "the mill stands by the river", "c": "rent of the mill", "d": "roses need sun", "e": "may is warm"}
TASK = Task(
    name="set",
    queries={"q1": "when is the rent due", "q2": "where is the mill", "q3": "roses"},
    corpus=Listed([page(id, text) for id, text in TEXTS.items()]),
    qrels={"q1": {"a": 1}, "q2": {"b": 2, "c": 1}, "q3": {"d": 1}},
)


def scored(matrix: Floats) -> search.Callable[[Sequence[int]], tuple[dict[str, Floats], Cost]]:
    return lambda places: ({"dense": matrix[:, list(places)]}, Cost(1.0 * len(places), 0.0))


@pytest.mark.parametrize("stretch_s", [0.0, 100.0])
def test_the_best_are_those_of_the_whole_matrix_in_any_stretches(stretch_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "STRETCH_S", stretch_s)  # one document at a time, or all
    matrix = np.random.default_rng(0).integers(0, 4, (7, 90)).astype(np.float32)  # most scores tie
    ids = [f"{n:03}" for n in np.random.default_rng(1).permutation(90)]
    run = over(ids, scored(matrix), queries=7, depth=10).best["dense"].run([str(q) for q in range(7)], ids)
    for query in range(7):
        everything = sorted(zip(matrix[query].tolist(), ids, strict=True), reverse=True)  # equal scores by id, the last first: trec_eval
        assert list(run[str(query)].items()) == [(id, score) for score, id in everything[:10]]


def test_a_pass_that_was_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    matrix = np.random.default_rng(0).normal(size=(3, 50)).astype(np.float32)
    ids = [str(n) for n in range(50)]
    seen: list[int] = []

    def dying(places: Sequence[int]) -> tuple[dict[str, Floats], Cost]:
        if places[0] > 20:
            raise KeyboardInterrupt
        seen.extend(places)
        return scored(matrix)(places)

    def living(places: Sequence[int]) -> tuple[dict[str, Floats], Cost]:
        seen.extend(places)
        return scored(matrix)(places)

    with pytest.raises(KeyboardInterrupt):
        over(ids, dying, queries=3, depth=5, keep=tmp_path / "pass.npz", key={"model": "x"})
    found = over(ids, living, queries=3, depth=5, keep=tmp_path / "pass.npz", key={"model": "x"})
    assert seen == list(range(50))
    assert found.cost.cpu_s == 50
    whole = over(ids, scored(matrix), queries=3, depth=5)
    np.testing.assert_array_equal(found.best["dense"].documents, whole.best["dense"].documents)
    seen.clear()
    over(ids, living, queries=3, depth=5, keep=tmp_path / "pass.npz", key={"model": "another"})
    assert seen == list(range(50))  # what another model found is not taken up


def test_maxsim_of_many_equals_the_definition(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unitower.evaluation.models.BLOCK_ROWS", 16)
    rng = np.random.default_rng(0)
    queries = Ragged.of([rng.normal(size=(n, 8)) for n in (1, 5, 30, 2)])
    pages = Ragged.of([rng.normal(size=(n, 8)) for n in (3, 1, 40, 7, 7, 2)])
    expected = [maxsim(query, pages) for query in queries]
    np.testing.assert_allclose(all_maxsims(queries, pages), expected, rtol=1e-5, atol=1e-5)


def test_dense_and_multi_come_from_one_encoding_pass(encoder: FakeEncoder) -> None:
    found = Encoded(encoder, name="fake").search(TASK, modes=["dense", "multi"], depth=3)
    assert encoder.encoded == list(TEXTS.values())
    assert {mode: max(run["q3"], key=run["q3"].__getitem__) for mode, run in found.runs.items()} == {"dense": "d", "multi": "d"}
    asked = encoder.encode(["roses"], task="retrieval", role="query")
    pages = encoder.encode(list(TEXTS.values()), task="retrieval", role="passage")
    expected = dict(zip(TEXTS, maxsim(asked.multi[0], pages.multi), strict=True))
    assert found.runs["multi"]["q3"] == pytest.approx({id: expected[id] for id in found.runs["multi"]["q3"]}, abs=1e-5)


def test_kept_vectors_are_not_made_again_and_belong_to_what_they_show(encoder: FakeEncoder, tmp_path: Path) -> None:
    kept = Kept(encoder, tmp_path)
    pages = [TASK.corpus[0], Item(id="p", modality="image", content=Image.new("RGB", (32, 32), "red"), source=Source(path="p"))]
    first = kept.encode(pages, role="passage")
    calls = len(encoder.calls)
    again = kept.encode(pages, role="passage")
    assert len(encoder.calls) == calls
    np.testing.assert_array_equal(first.dense, again.dense)
    np.testing.assert_array_equal(first.multi.data, again.multi.data)
    kept.encode([page("a", "another text under the same id")], role="passage")
    Kept(FakeEncoder(revision="2"), tmp_path).encode(pages, role="passage")
    assert len(encoder.calls) == calls + 1
    assert len(list(tmp_path.rglob("*.npz"))) == 5


def test_words_find_by_bm25() -> None:
    found = Words(Layer(), name="bm25").search(TASK, modes=["words"], depth=3).runs["words"]
    assert next(iter(found["q1"])) == "a"
    assert list(found["q3"]) == ["d"]  # pages without a word of the query are not found
    assert set(found["q2"]) <= set(TEXTS)
    by_hand = (
        np.log1p((5 - 1 + 0.5) / (1 + 0.5)) * (1.2 + 1) / (1 + 1.2 * (0.25 + 0.75 * 3 / 4.2))
    )  # roses: once, in 3 of 21 words of 5 pages
    assert found["q3"]["d"] == pytest.approx(by_hand)


def test_one_page_counts_the_last_page_of_all_queries_of_the_same_words() -> None:
    task = Task(
        name="set",
        queries={"1": "where", "2": "when", "3": "where"},
        corpus=TASK.corpus,
        qrels={"1": {"a": 2, "b": 1}, "2": {"c": 1, "d": 0}, "3": {"e": 3}},
    )
    judged = rules.applied(task, "one page")
    assert dict(judged.queries) == {"1": "where", "2": "when"}
    assert judged.qrels == {"1": {"e": 1}, "2": {"c": 1}}
    assert rules.raised({"1": {"a": -0.5, "e": -0.1}}, judged.floor) == {"1": {"a": 0.0, "e": 0.0}}
    assert rules.applied(task, "every page").qrels == task.qrels
    with pytest.raises(ValueError, match="rule 'first page' is unknown; there are 'every page' and 'one page'"):
        rules.applied(task, "first page")


def test_faults_of_a_task_are_told() -> None:
    broken = Task(
        name="x",
        queries={"1": "a", "2": " ", "3": "c"},
        corpus=Listed([page("a", "x"), page("a", "y")]),
        qrels={"1": {"a": 1}, "2": {"gone": 1}, "4": {"a": 1}},
    )
    assert list(broken.faults()) == [
        "an id of a document stands there twice",
        "query '2' is judged by document 'gone', which is not there",
        "the judgements name query '4', which is not there",
        "query '2' is empty",
        "query '3' has no relevant document",
    ]


def test_a_limit_keeps_the_answers_of_its_queries() -> None:
    few = TASK.first(1)
    assert (list(few.queries), list(few.corpus.ids)) == (["q1"], ["a"])
    two = Task(name="x", queries={"q": "a", "r": "b"}, corpus=TASK.corpus, qrels={"q": {"e": 1}, "r": {"a": 1}}).first(1)
    assert (list(two.queries), list(two.corpus.ids), list(two.faults())) == (["q"], ["a", "e"], [])
