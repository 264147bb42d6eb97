"""Advice on settings: recall against brute force, costs in bytes, a recommendation that follows from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fake import FakeEncoder

from unitower.commands.tune import asked
from unitower.errors import StoreError
from unitower.index import Index
from unitower.index.tuning import Bench, Measured, Setting, Tuning, beats, plot, recommended, tune
from unitower.scoring import maxsim
from unitower.types import Ragged


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def bench() -> tuple[Bench, Ragged, np.ndarray, list[np.ndarray]]:
    rng = np.random.default_rng(0)
    concepts = rng.standard_normal((60, 64))
    pages = Ragged.of([unit(concepts[rng.choice(60, 12)] + 0.6 * rng.standard_normal((12, 64))) for _ in range(120)])
    queries = [unit(pages[i * 9][:6] + 0.1 * rng.standard_normal((6, 64))) for i in range(8)]
    dense = unit(np.stack([rows.mean(axis=0) for rows in pages]) @ rng.standard_normal((64, 128)))
    return Bench(pages, dense, pooling=1), pages, dense, queries


def test_the_truth_is_that_of_brute_force(bench: tuple[Bench, Ragged, np.ndarray, list[np.ndarray]]) -> None:
    from unitower import codes

    made, pages, _, queries = bench
    for query in queries:
        ours = made.finest.exact(made.kernel, codes.query(query))
        np.testing.assert_allclose(ours, maxsim(query, pages), atol=0.02)


def test_all_pages_as_candidates_lose_nothing_and_fewer_bits_never_cost_more(
    bench: tuple[Bench, Ragged, np.ndarray, list[np.ndarray]],
) -> None:
    made, _, dense, queries = bench
    measured = {one.setting: one for one in made.run(dense[::9][:8], queries, pages=120)}
    for setting, one in measured.items():
        assert 0 <= one.recall <= 1
        if setting.pooling == 1 and setting.candidates == 120:
            assert one.recall == 1
    # 12 tokens of 64: 68 bytes of int8 code and scale each, and 8 bytes for a plane
    assert measured[Setting(dims=0, bits=1, pooling=1, candidates=50)].bytes_per_page == 12 * (68 + 8)
    assert measured[Setting(dims=128, bits=2, pooling=2, candidates=50)].bytes_per_page == 6 * (68 + 16) + 128


def test_the_time_of_now_is_that_of_the_looks_a_search_takes(bench: tuple[Bench, Ragged, np.ndarray, list[np.ndarray]]) -> None:
    made = bench[0]
    made.seconds_per_page = {0: 1.0, 1: 10.0, 2: 100.0, 8: 1000.0}
    assert made.usual_ms(200) == 1000 * 200 * 1000
    assert made.usual_ms(4_000) == 1000 * (4_000 * 10 + 4_000 * 1 + 650 * 100 + 100 * 1000)
    # of many, a quarter of the tokens of all and all of those of one in 13
    assert made.usual_ms(26_000) == 1000 * (26_000 / 4 * 10 + 2_000 * 10 + 26_000 * 1 + 650 * 100 + 100 * 1000)


def of(recall: float, size: int, ms: float) -> Measured:
    return Measured(setting=Setting(dims=0, bits=1, pooling=1, candidates=size), bytes_per_page=size, ms=ms, recall=recall)


def test_the_cheapest_that_reaches_the_recall_is_recommended_or_the_one_that_comes_closest() -> None:
    now, small, quick, poor = of(0.99, 100, 10), of(0.96, 50, 10), of(0.97, 95, 8), of(0.80, 10, 1)
    assert recommended([now, small, quick, poor], recall=0.95, now=now) is small
    assert recommended([now, small, quick, poor], recall=0.98, now=now) is now
    assert recommended([now, small, quick, poor], recall=1.0, now=now) is now
    assert beats(small, of(0.95, 60, 10))
    assert not beats(small, quick)


def test_an_index_is_tuned_by_queries_of_its_own_words_and_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    Path("docs").mkdir()
    for i in range(80):
        words = " ".join(f"word{n}" for n in rng.integers(0, 300, 12))
        Path("docs", f"{i}.txt").write_text(f"{words} text{i}")
    index = Index.open(encoder=FakeEncoder())
    index.add(["docs"])
    found = tune(index, sample=60)
    assert (found.pages, found.sampled, found.queries) == (80, 60, 30)
    assert found.best.recall >= 0.95
    assert found.candidates == pytest.approx(found.best.setting.candidates * 80 / 60, abs=1)
    assert found.frontier
    assert found.as_dict()["best"]["recall"] == round(found.best.recall, 4)
    plot(found, Path("out/tune.png"))
    assert Path("out/tune.png").stat().st_size > 10_000
    assert tune(index, queries=["word1 word2"], sample=60).queries == 1


def test_an_index_of_a_few_entries_has_nothing_to_tune(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_text("one text")
    index = Index.open(encoder=FakeEncoder())
    index.add(["a.txt"])
    with pytest.raises(StoreError, match="nothing to tune"):
        tune(index)


def test_what_none_beats_is_shown() -> None:
    now, small, worse = of(0.99, 100, 10), of(0.96, 50, 5), of(0.95, 60, 6)
    shown = Tuning(pages=9, sampled=9, queries=1, wanted=0.9, now=now, best=small, measured=(now, small, worse)).frontier
    assert shown == [small, now]


def test_queries_are_read_as_utf8_with_a_mark_or_without_and_else_the_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "questions.txt"
    for encoding in ("utf-8", "utf-8-sig"):
        path.write_text("Wo ist der Schlüssel?\n\n  Wann?\n", encoding=encoding)
        assert asked(path) == ["Wo ist der Schlüssel?", "Wann?"]
    path.write_text("Wo ist der Schlüssel?\n", encoding="latin-1")
    with pytest.raises(ValueError, match=r"questions\.txt is not UTF-8 \(invalid start byte at byte 16\): save it as UTF-8"):
        asked(path)
    path.write_text(" \n", encoding="utf-8")
    with pytest.raises(ValueError, match="holds no queries"):
        asked(path)
