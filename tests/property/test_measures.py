"""The measures against pytrec_eval (trec_eval itself) on random runs with ties, unjudged documents, negative grades and short lists."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from unitower.evaluation.metrics import Qrels, Run, evaluate, per_query

pytrec_eval = pytest.importorskip("pytrec_eval")

THEIRS = {
    "ndcg_linear@5": "ndcg_cut_5",
    "ndcg_linear@10": "ndcg_cut_10",
    "recall@5": "recall_5",
    "recall@100": "recall_100",
    "precision@5": "P_5",
    "success@1": "success_1",
    "success@10": "success_10",
    "map@10": "map_cut_10",
    "map@100": "map_cut_100",
    "mrr@1000": "recip_rank",
}
EXACT = 1e-9


def random_case(seed: int) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, int]]]:
    """A run and its judgements; odd seeds have few different scores, so that most documents tie."""
    rng = np.random.default_rng(seed)
    documents = [f"{'dD'[n % 2]}{n}é" if n % 7 == 0 else f"doc {n}".replace(" ", "-") for n in range(150)]
    qrels: dict[str, dict[str, int]] = {}
    run: dict[str, dict[str, float]] = {}
    for query in map(str, range(12)):
        judged = rng.choice(150, int(rng.integers(1, 30)), replace=False)
        qrels[query] = {documents[d]: int(rng.integers(-1, 4)) for d in judged}
        found = rng.choice(150, int(rng.integers(1, 140)), replace=False)
        scores = rng.normal(size=len(found)).round(1 if seed % 2 else 8) + (0 if seed % 3 else 1000)
        run[query] = {documents[d]: float(score) for d, score in zip(found, scores, strict=True)}
    return run, qrels


def reference(run: Run, qrels: Qrels) -> dict[str, dict[str, float]]:
    measures = {"ndcg_cut", "recall", "P", "success", "map_cut", "recip_rank"}
    found: dict[str, dict[str, float]] = pytrec_eval.RelevanceEvaluator(qrels, measures).evaluate(run)
    return found


@pytest.mark.parametrize("seed", range(20))
def test_every_measure_of_every_query_equals_trec_eval(seed: int) -> None:
    run, qrels = random_case(seed)
    theirs = reference(run, qrels)
    for name, figures in per_query(run, qrels, THEIRS).items():
        for query in qrels:
            assert figures[query] == pytest.approx(theirs[query][THEIRS[name]], abs=EXACT), (name, query)


@pytest.mark.parametrize("seed", range(6))
def test_exponential_gain_equals_linear_gain_of_grades_raised_to_it(seed: int) -> None:
    run, qrels = random_case(seed)
    raised = {query: {id: 2 ** max(grade, 0) - 1 for id, grade in grades.items()} for query, grades in qrels.items()}
    theirs = reference(run, raised)
    for query, figure in per_query(run, qrels, ["ndcg_exponential@10"])["ndcg_exponential@10"].items():
        assert figure == pytest.approx(theirs[query]["ndcg_cut_10"], abs=EXACT)


@pytest.mark.parametrize("seed", range(6))
def test_the_mean_counts_judged_queries_that_the_run_leaves_out(seed: int) -> None:
    run, qrels = random_case(seed)
    del run["3"]
    theirs = reference(run, qrels)
    assert "3" not in theirs
    expected = sum(one["ndcg_cut_10"] for one in theirs.values()) / len(qrels)
    assert evaluate(run, qrels, ["ndcg@10"])["ndcg_linear@10"] == pytest.approx(expected, abs=EXACT)


def test_scores_that_a_float32_cannot_tell_apart_tie_as_they_do_in_trec_eval() -> None:
    run: Any = {"q": {"a": 1000.00001, "b": 1000.0}}
    qrels = {"q": {"a": 1}}
    assert per_query(run, qrels, ["mrr@10"])["mrr@10"]["q"] == reference(run, qrels)["q"]["recip_rank"] == 0.5
    assert per_query(run, qrels, ["mrr@10"], ties="id")["mrr@10"]["q"] == 1
