"""Which pages count as an answer: two rules, by name.

    every page   every judged page counts, with its grade. mteb and BEIR do so.
    one page     the evaluator of the jina-embeddings-v4 paper: one page a query, whatever else answers it

The two differ where a query has several pages: hindi-gov-vqa has queries with up to 65, europeana-fr-news up to 117. Over the 43 sets of
Jina-VDR jina-embeddings-v4 has 80.55 by the second rule and 80.98 by the first (multi-vectors).

What `one page` does, as its original does (a fork of vidore-benchmark; facts gathered from its public code):

- Queries of the same words are one query; its page is that of the last row.
- All grades are 1.
- Scores start at 0: a page whose score is negative ties with every other such page. This touches dense vectors only in the tail.
- Copies of a page under one file name are one page. The original scores every copy and keeps the best; equal pictures score equally.
- Ties by id from the last to the first, as in trec_eval, for both rules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from unitower.evaluation.metrics import Run
from unitower.evaluation.task import Task


def every_page(task: Task) -> Task:
    """The task as its data set judges it."""
    return replace(task, rule="every page", floor=None)


def one_page(task: Task) -> Task:
    """The task with one relevant page a query: the last of the judged ones; queries of the same words are one.

    The first id of a text is kept, so that runs of the two rules can be compared query by query.
    """
    first: dict[str, str] = {}
    qrels: dict[str, dict[str, int]] = {}
    for query, text in task.queries.items():
        *_, last = (document for document, grade in task.qrels[query].items() if grade > 0)
        qrels[first.setdefault(text, query)] = {last: 1}
    return replace(task, rule="one page", floor=0.0, qrels=qrels, queries={query: task.queries[query] for query in qrels})


RULES: Mapping[str, Callable[[Task], Task]] = {"every page": every_page, "one page": one_page}


def applied(task: Task, rule: str) -> Task:
    """ValueError names the rules there are."""
    if rule not in RULES:
        raise ValueError(f"rule {rule!r} is unknown; there are {' and '.join(map(repr, RULES))}.")
    return RULES[rule](task)


def raised(run: Run, floor: float | None) -> Run:
    """Scores below the floor raised to it.

    >>> raised({"q": {"a": 0.5, "b": -0.1}}, 0.0)
    {'q': {'a': 0.5, 'b': 0.0}}
    """
    if floor is None:
        return run
    return {query: {id: max(score, floor) for id, score in scores.items()} for query, scores in run.items()}
