"""Measures by hand, rules for ties, files of TREC, and comparison of runs."""

from __future__ import annotations

import math
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from unitower.errors import UnitowerError
from unitower.evaluation.compare import compare, judgements_of, per_task, shown
from unitower.evaluation.metrics import Measure, evaluate, per_query, ranking
from unitower.evaluation.results import macro, weights
from unitower.evaluation.trec import read_qrels, read_run, write_qrels, write_run


def test_the_two_gains_differ_on_grades_and_agree_without() -> None:
    run = {"q": {"half": 2.0, "whole": 1.0}}
    graded = evaluate(run, {"q": {"half": 1, "whole": 2}}, ["ndcg_linear@5", "ndcg_exponential@5"])
    discount = 1 / math.log2(3)
    assert graded["ndcg_linear@5"] == pytest.approx((1 + 2 * discount) / (2 + discount))
    assert graded["ndcg_exponential@5"] == pytest.approx((1 + 3 * discount) / (3 + discount))
    plain = evaluate(run, {"q": {"whole": 1}}, ["ndcg_linear@5", "ndcg_exponential@5"])
    assert plain["ndcg_linear@5"] == plain["ndcg_exponential@5"] == pytest.approx(discount)


def test_the_rules_for_ties() -> None:
    scores, grades = {"a": 1.0, "b": 1.0, "c": 1.0}, {"b": 2}
    assert ranking(scores, ties="trec") == ["c", "b", "a"]
    assert ranking(scores, ties="id") == ["a", "b", "c"]
    assert ranking(scores, ties="pessimistic", grades=grades) == ["a", "c", "b"]
    with pytest.raises(ValueError, match="'coin' is unknown: give one of trec, id, pessimistic"):
        ranking(scores, ties="coin")  # type: ignore[arg-type]


def test_a_model_that_scores_everything_alike_gets_nothing_by_the_pessimistic_rule() -> None:
    run = {"q": {str(n): 0.5 for n in range(50)}}
    assert evaluate(run, {"q": {"49": 1}}, ["success@10"], ties="pessimistic") == {"success@10": 0.0}


def test_a_query_without_a_relevant_document_or_without_an_answer_counts_nothing() -> None:
    figures = per_query({"a": {"x": 1.0}}, {"a": {"x": 0}, "b": {"x": 1}}, ["ndcg@5", "recall@5", "map@5", "mrr@5", "success@5"])
    assert all(one == {"a": 0.0, "b": 0.0} for one in figures.values())


def test_a_measure_that_is_not_there_or_a_score_that_is_no_number_is_named() -> None:
    with pytest.raises(ValueError, match="measure 'ndgc@5' is unknown: write KIND@CUTOFF"):
        Measure.named("ndgc@5")
    with pytest.raises(ValueError, match="query 'q': the score of document 'x' is not a number"):
        evaluate({"q": {"x": math.nan}}, {"q": {"x": 1}}, ["ndcg@5"])


# Files


def test_runs_and_judgements_come_back_from_files_as_they_were(tmp_path: Path) -> None:
    run = {"first query": {"page 3 of 10%": 0.1 + 0.2, "b\u2003c": -1e-9}, "2": {"x": 3.0}}
    qrels = {"first query": {"page 3 of 10%": 2, "y": 0}, "2": {"x": -1}}
    write_run(tmp_path / "runs" / "a.trec", run, tag="nano multi")
    write_qrels(tmp_path / "a.qrels", qrels)
    assert read_run(tmp_path / "runs" / "a.trec") == run
    assert read_qrels(tmp_path / "a.qrels") == qrels
    first = (tmp_path / "runs" / "a.trec").read_text(encoding="utf-8").splitlines()[0].split(" ")
    assert first == ["first%20query", "Q0", "page%203%20of%2010%25", "1", "0.30000000000000004", "nano%20multi"]


def test_a_table_of_beir_is_read_as_judgements(tmp_path: Path) -> None:
    (tmp_path / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td7\t2\n", encoding="utf-8")
    assert read_qrels(tmp_path / "test.tsv") == {"q1": {"d7": 2}}


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    (tmp_path / "run.trec").write_text("q Q0 d 1 0.5 x\nq Q0 d 2 high x\n", encoding="utf-8")
    with pytest.raises(UnitowerError, match=r"run\.trec, line 2: .* is not `QUERY Q0 DOCUMENT RANK SCORE TAG`"):
        read_run(tmp_path / "run.trec")
    (tmp_path / "run.trec").write_text("q Q0 d 1 0.5 x\nq Q0 d 2 0.4 x\n", encoding="utf-8")
    with pytest.raises(UnitowerError, match=r"line 2: document 'd' stands there twice"):
        read_run(tmp_path / "run.trec")
    (tmp_path / "a.qrels").write_text("q 0 d\n", encoding="utf-8")
    with pytest.raises(UnitowerError, match=r"a\.qrels, line 1"):
        read_qrels(tmp_path / "a.qrels")


# Comparison


def test_the_p_of_few_queries_is_that_of_all_ways_to_toss() -> None:
    gains = [0.5, 0.25, 0.25, 0.125, -0.125, 0.5]
    observed = abs(sum(gains))
    exact = np.mean(
        [abs(sum(s * g for s, g in zip(signs, gains, strict=True))) >= observed - 1e-12 for signs in product((1, -1), repeat=6)]
    )
    first = {"set": {str(n): 0.5 for n in range(6)}}
    second = {"set": {str(n): 0.5 + gain for n, gain in enumerate(gains)}}
    found = compare(first, second, measure="ndcg@5", samples=40_000)
    assert found.p == pytest.approx(exact, abs=0.01)  # four standard errors of 40,000 tosses
    assert (found.better, found.worse, found.equal) == (5, 1, 0)
    assert found.difference == pytest.approx(sum(gains) / 6)


def test_the_interval_is_that_of_the_normal_distribution_where_there_are_many_queries() -> None:
    rng = np.random.default_rng(7)
    gains = rng.normal(0.02, 0.1, 2_000)
    found = compare(
        {"s": dict.fromkeys(map(str, range(2_000)), 0.0)}, {"s": dict(zip(map(str, range(2_000)), gains, strict=True))}, measure="mrr@10"
    )
    error = gains.std() / math.sqrt(2_000)
    assert found.low == pytest.approx(gains.mean() - 1.96 * error, abs=0.15 * error)
    assert found.high == pytest.approx(gains.mean() + 1.96 * error, abs=0.15 * error)


def test_equal_runs_do_not_differ() -> None:
    run = {"s": {"a": 0.3, "b": 1.0}}
    found = compare(run, run, measure="ndcg@5", samples=100)
    assert (found.better, found.worse, found.equal, found.p, found.low, found.high) == (0, 0, 2, 1.0, 0.0, 0.0)


def test_data_sets_weigh_the_same_whatever_the_number_of_their_queries() -> None:
    first = {"small": {"a": 0.0}, "large": dict.fromkeys(map(str, range(99)), 0.5)}
    second = {"small": {"a": 1.0}, "large": dict.fromkeys(map(str, range(99)), 0.5)}
    assert compare(first, second, measure="ndcg@5", samples=100).difference == pytest.approx(0.5)
    assert weights(["x:de", "x:fr", "x:it", "y"])["x:de"] == pytest.approx(1 / 6)
    assert macro({"x:de": 0.0, "x:fr": 0.0, "x:it": 0.9, "y": 1.0}) == pytest.approx(0.65)


def test_the_same_seed_gives_the_same_p_and_other_queries_are_refused() -> None:
    rng = np.random.default_rng(0)
    first, second = ({"s": {str(n): float(x) for n, x in enumerate(rng.random(30))}} for _ in range(2))
    assert compare(first, second, measure="ndcg@5", seed=3) == compare(first, second, measure="ndcg@5", seed=3)
    with pytest.raises(ValueError, match="different tasks or queries"):
        compare(first, {"s": {"0": 1.0}}, measure="ndcg@5")


def test_run_files_are_compared_by_the_judgements_beside_them(tmp_path: Path) -> None:
    qrels = {"q1": {"a": 1}, "q2": {"b": 1}}
    write_qrels(tmp_path / "qrels" / "every-page" / "group" / "set.qrels", qrels)
    write_run(tmp_path / "runs" / "one.multi" / "group" / "set.trec", {"q1": {"a": 2.0, "b": 1.0}, "q2": {"a": 2.0, "b": 1.0}}, tag="one")
    folder = tmp_path / "runs" / "one.multi"
    file = folder / "group" / "set.trec"
    assert judgements_of(folder) == tmp_path / "qrels" / "every-page"
    assert judgements_of(file) == tmp_path / "qrels" / "every-page" / "group" / "set.qrels"
    assert per_task(folder, judgements_of(folder), measure="mrr@10") == {"group/set": {"q1": 1.0, "q2": 0.5}}
    assert per_task(file, judgements_of(file), measure="mrr@10") == {"": {"q1": 1.0, "q2": 0.5}}
    with pytest.raises(ValueError, match="name its judgements with --qrels"):
        judgements_of(tmp_path / "elsewhere.trec")


def test_a_small_p_keeps_its_digits() -> None:
    assert [shown(p) for p in (1.0, 0.04321, 0.00012)] == ["1", "0.043", "0.0001"]
