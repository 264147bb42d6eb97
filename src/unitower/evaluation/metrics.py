"""How good a ranking is: nDCG with both gains, recall, precision, MAP, MRR, success.

    ndcg_linear@5        gain = grade                      trec_eval, mteb, BEIR; `ndcg@5` is this one
    ndcg_exponential@5   gain = 2^grade - 1                Burges et al. 2005; the same where grades are 0 and 1
    recall@10            share of the relevant documents among the first 10
    precision@10         share of the first 10 that are relevant
    map@100              mean of the precisions at the relevant documents found, over all relevant ones
    mrr@10               1 / rank of the first relevant document, 0 where it is not among the first 10
    success@1            1 where one of the first is relevant

All are between 0 and 1, the higher the better. A document without a judgement counts as not relevant, a grade of 0 or less too.
A judged query that a run leaves out scores 0, and so does one without any relevant document (`trec_eval -c`).

Documents of equal score need a rule, or the order in which things were stored decides:

    trec        by id, from the last to the first, scores compared as float32: what trec_eval and pytrec_eval do (the default)
    id          by id, from the first to the last, as an index of this project answers
    pessimistic relevant documents last: what a model that gives everything the same score deserves

The first is tested equal to pytrec_eval on random runs with ties, to 1e-9.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np

Qrels: TypeAlias = Mapping[str, Mapping[str, int]]
"""Query id -> document id -> grade; 0 and less are not relevant."""

Run: TypeAlias = Mapping[str, Mapping[str, float]]
"""Query id -> document id -> score, the higher the better; ranks follow from the scores and a rule for ties."""

Ties: TypeAlias = Literal["trec", "id", "pessimistic"]

MEASURES = (
    "ndcg_linear@5", "ndcg_exponential@5", "ndcg_linear@10", "ndcg_exponential@10", "recall@1", "recall@5", "recall@10", "recall@100",
    "map@100", "mrr@10", "success@1", "success@5",
)  # fmt: skip
"""What is written down of every run."""


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A figure by its name, for example `ndcg_linear@5`; `str()` gives the full name."""

    kind: str
    cutoff: int

    @classmethod
    def named(cls, name: str) -> Measure:
        """ValueError names the kinds there are.

        >>> str(Measure.named("nDCG@5"))
        'ndcg_linear@5'
        """
        match = re.fullmatch(r"(\w+)@([1-9]\d*)", name.strip().lower())
        kind = {"ndcg": "ndcg_linear"}.get(match[1], match[1]) if match else ""
        if match is None or kind not in KINDS:
            raise ValueError(f"measure {name!r} is unknown: write KIND@CUTOFF, for example ndcg@5, with a kind of {', '.join(KINDS)}.")
        return cls(kind=kind, cutoff=int(match[2]))

    def __str__(self) -> str:
        return f"{self.kind}@{self.cutoff}"

    def of(self, grades: Sequence[int], judged: Iterable[int]) -> float:
        """The figure of one query.

        grades  of the documents found, best first; 0 where one is not judged
        judged  all grades there are for the query, in any order
        """
        relevant = [grade for grade in judged if grade > 0]
        if not relevant:
            return 0.0
        return KINDS[self.kind]([max(grade, 0) for grade in grades[: self.cutoff]], relevant, self.cutoff)


def _ndcg(gain: Callable[[int], float]) -> Callable[[Sequence[int], Sequence[int], int], float]:
    def ndcg(grades: Sequence[int], relevant: Sequence[int], cutoff: int) -> float:
        best = sorted(relevant, reverse=True)[:cutoff]
        return _discounted(map(gain, grades)) / _discounted(map(gain, best))

    return ndcg


def _discounted(gains: Iterable[float]) -> float:
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, start=1))


def _average_precision(grades: Sequence[int], relevant: Sequence[int], cutoff: int) -> float:
    found, total = 0, 0.0
    for rank, grade in enumerate(grades, start=1):
        if grade:
            found += 1
            total += found / rank
    return total / len(relevant)


KINDS: Mapping[str, Callable[[Sequence[int], Sequence[int], int], float]] = {
    "ndcg_linear": _ndcg(float),
    "ndcg_exponential": _ndcg(lambda grade: 2.0**grade - 1),
    "recall": lambda grades, relevant, cutoff: sum(map(bool, grades)) / len(relevant),
    "precision": lambda grades, relevant, cutoff: sum(map(bool, grades)) / cutoff,
    "map": _average_precision,
    "mrr": lambda grades, relevant, cutoff: next((1 / rank for rank, grade in enumerate(grades, start=1) if grade), 0.0),
    "success": lambda grades, relevant, cutoff: float(any(grades)),
}
"""Kind -> figure of the grades found (best first, cut), the grades of all relevant documents, and the cutoff."""


def ranking(scores: Mapping[str, float], *, ties: Ties = "trec", grades: Mapping[str, int] | None = None) -> list[str]:
    """Ids of the documents, best first. `grades` are needed for "pessimistic" only.

    >>> ranking({"a": 1.0, "b": 1.0, "c": 2.0}), ranking({"a": 1.0, "b": 1.0, "c": 2.0}, ties="id")
    (['c', 'b', 'a'], ['c', 'a', 'b'])
    """
    if ties == "trec":
        # two scores that differ by less than a float32 holds are equal to trec_eval, which keeps them so
        single = dict(zip(scores, np.fromiter(scores.values(), np.float32, len(scores)).tolist(), strict=True))
        return sorted(sorted(scores, key=_bytes, reverse=True), key=lambda id: -single[id])
    if ties == "id":
        return sorted(scores, key=lambda id: (-scores[id], id))
    if ties == "pessimistic":
        known = grades or {}
        return sorted(scores, key=lambda id: (-scores[id], known.get(id, 0), id))
    raise ValueError(f"ties {ties!r} is unknown: give one of {', '.join(get_args(Ties))}.")


def _bytes(id: str) -> bytes:
    """As C compares strings."""
    return id.encode("utf-8", "surrogatepass")


def per_query(run: Run, qrels: Qrels, measures: Iterable[str], *, ties: Ties = "trec") -> dict[str, dict[str, float]]:
    """Full name of a measure -> query id -> its figure, for every judged query.

    ValueError for a measure there is not, or a score that is not a number.
    """
    wanted = [Measure.named(name) for name in measures]
    depth = max((measure.cutoff for measure in wanted), default=0)
    figures: dict[str, dict[str, float]] = {str(measure): {} for measure in wanted}
    for query, grades in qrels.items():
        scores = run.get(query, {})
        if wrong := next((id for id, score in scores.items() if math.isnan(score)), None):
            raise ValueError(f"query {query!r}: the score of document {wrong!r} is not a number.")
        found = [grades.get(id, 0) for id in ranking(scores, ties=ties, grades=grades)[:depth]]
        for measure in wanted:
            figures[str(measure)][query] = measure.of(found, grades.values())
    return figures


def mean(figures: Mapping[str, float]) -> float:
    """Mean over queries; 0 of none. Summed exactly, so that the order of queries does not matter.

    >>> mean({"a": 1.0, "b": 0.5})
    0.75
    """
    return math.fsum(figures.values()) / len(figures) if figures else 0.0


def evaluate(run: Run, qrels: Qrels, measures: Iterable[str] = MEASURES, *, ties: Ties = "trec") -> dict[str, float]:
    """Full name of a measure -> its mean over the judged queries.

    >>> evaluate({"q": {"a": 0.9, "b": 0.8}}, {"q": {"b": 1}}, ["ndcg@5", "mrr@10"])
    {'ndcg_linear@5': 0.6309297535714575, 'mrr@10': 0.5}
    """
    return {name: mean(figures) for name, figures in per_query(run, qrels, measures, ties=ties).items()}
