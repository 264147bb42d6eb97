"""Where the right document stands, and what that is worth. One document is right for each query.

Of equal scores the right one counts as last: what gives everything the same score finds nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Scores: TypeAlias = npt.NDArray[np.float32]
"""[queries, documents], the higher the better."""


def ranks(scores: Scores, right: Sequence[int]) -> npt.NDArray[np.int64]:
    """Rank of the right document of each query, from 1."""
    own = scores[np.arange(len(scores)), list(right)]
    return (scores >= own[:, None]).sum(axis=1)


FIGURES = {"ndcg10": "ndcg@10", "ndcg5": "ndcg@5", "recall1": "recall@1", "mrr10": "mrr@10", "first5": "success@5"}
"""Names of the table, and what `unitower.evaluation.metrics` calls them."""


@cache
def worth(rank: int) -> dict[str, float]:
    """What the right document is worth at a rank."""
    from unitower.evaluation.metrics import Measure

    return {name: Measure.named(measure).of([0] * (rank - 1) + [1], [1]) for name, measure in FIGURES.items()}


def figures(found: npt.NDArray[np.int64]) -> dict[str, float]:
    """Means over the queries: nDCG@5 and @10, recall@1, MRR@10, and the share with the right one among the first five.

    >>> {name: round(value, 2) for name, value in figures(np.array([1, 3, 11])).items()}
    {'ndcg10': 0.5, 'ndcg5': 0.5, 'recall1': 0.33, 'mrr10': 0.44, 'first5': 0.67}
    """
    each = [worth(min(int(rank), 11)) for rank in found]
    return {name: float(np.mean([one[name] for one in each])) for name in FIGURES}


def averaged(several: Sequence[dict[str, float]]) -> dict[str, float]:
    """Means of figures, each of the several counting alike."""
    return {name: float(np.mean([one[name] for one in several])) for name in several[0]} if several else {}


def spearman(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """Rank correlation, equal values sharing their ranks.

    >>> round(spearman([1, 2, 3, 4], [1, 3, 2, 4]), 3)
    0.8
    """

    def ranked(values: npt.ArrayLike) -> Any:
        array = np.asarray(values, np.float64)
        return np.array([(array < value).sum() + ((array == value).sum() - 1) / 2 for value in array])

    return float(np.corrcoef(ranked(first), ranked(second))[0, 1])
