"""Numbers that tell what a set of vectors looks like. Rows are unit vectors unless a function says otherwise.

    alignment           mean cosine of matched pairs             Eslami & de Melo 2025
    separation          AUC and d' of matched against other pairs
    centroid distance   between two modalities                   Liang et al. 2022
    separability        held-out accuracy of a linear probe that tells two modalities apart
    random cosine       mean cosine of two different rows        the cone: 0 for directions spread evenly
    effective rank      exp of the entropy of the singular values  Roy & Vetterli 2007
    hubness             skewness of how often a document is among the nearest k  Radovanović et al. 2010

The mean cosine of matched pairs alone can be raised by a narrow cone: all rows alike have alignment 1. So it is told with the cosine of
random pairs and the separation, always.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Rows: TypeAlias = npt.NDArray[np.floating[Any]]
Indices: TypeAlias = npt.NDArray[np.int64]

RESAMPLES = 2_000
"""Of a bootstrap: the ends of a 95 % interval then move by less than a fiftieth of its width from seed to seed."""

BLOCK = 1 << 20
"""Numbers drawn at once for it."""


@dataclass(frozen=True, kw_only=True)
class Mean:
    """A mean with its 95 % interval; NaN where nothing was measured.

    low, high  percentile bootstrap over what is averaged (Efron 1979)
    """

    mean: float
    low: float
    high: float
    n: int


def mean_of(values: npt.ArrayLike, *, seed: int = 0) -> Mean:
    """Mean of numbers [n], with its interval.

    >>> mean_of([1.0, 1.0])
    Mean(mean=1.0, low=1.0, high=1.0, n=2)
    """
    each = np.asarray(values, np.float64)
    if not len(each):
        return Mean(mean=nan, low=nan, high=nan, n=0)
    draw = np.random.default_rng(seed)
    together = max(1, min(RESAMPLES, BLOCK // len(each)))  # resamples at once
    sizes = [min(together, RESAMPLES - done) for done in range(0, RESAMPLES, together)]
    means = np.concatenate([each[draw.integers(len(each), size=(size, len(each)))].mean(axis=1) for size in sizes])
    low, high = np.quantile(means, [0.025, 0.975])
    return Mean(mean=float(each.mean()), low=float(low), high=float(high), n=len(each))


def paired(one: Rows, other: Rows) -> npt.NDArray[np.float64]:
    """Cosine of each row with the row of its place, [n]."""
    return np.asarray((one.astype(np.float64) * other).sum(axis=1), np.float64)


def auc(positive: npt.ArrayLike, negative: npt.ArrayLike) -> float:
    """Chance that a positive scores above a negative, ties half: 0.5 where they are alike, 1 where all are told apart.

    >>> auc([3.0, 2.0], [1.0, 2.0])
    0.875

    Source: Mann & Whitney 1947, divided by the number of couples.
    """
    good, bad = np.asarray(positive, np.float64), np.asarray(negative, np.float64)
    if not len(good) or not len(bad):
        return nan
    ordered = np.sort(bad)
    below, upto = np.searchsorted(ordered, good, side="left"), np.searchsorted(ordered, good, side="right")
    return float((below + upto).sum() / (2 * len(good) * len(bad)))


def d_prime(positive: npt.ArrayLike, negative: npt.ArrayLike) -> float:
    """Distance of the two means in units of the spread (root of the mean of both variances): peaks are apart from about 2 on.

    >>> d_prime([2.0, 4.0], [-1.0, 1.0])
    3.0
    """
    good, bad = np.asarray(positive, np.float64), np.asarray(negative, np.float64)
    spread = float(np.sqrt((good.var() + bad.var()) / 2)) if len(good) and len(bad) else 0.0
    return float((good.mean() - bad.mean()) / spread) if spread else nan


def centroid_distance(one: Rows, other: Rows) -> float:
    """Length of the difference of the two means: 0 where both modalities lie around one point, at most 2.

    >>> centroid_distance(np.array([[1.0, 0.0]]), np.array([[-1.0, 0.0]]))
    2.0

    Source: Liang et al. 2022, section 2 (the modality gap).
    """
    return float(np.linalg.norm(one.mean(axis=0, dtype=np.float64) - other.mean(axis=0, dtype=np.float64)))


def random_cosine(rows: Rows) -> float:
    """Mean cosine of two different rows, over all couples: near 0 where directions are spread evenly, c where all lie in a cone around
    one direction with which they have cosine sqrt(c). NaN of fewer than two rows.

    >>> random_cosine(np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]))
    0.3333333333333333
    """
    n, total = len(rows), rows.sum(axis=0, dtype=np.float64)
    return float((total @ total - np.square(rows, dtype=np.float64).sum()) / (n * (n - 1))) if n > 1 else nan


def effective_rank(rows: Rows, *, centred: bool = False) -> float:
    """How many directions the rows spread over, between 1 and the width: exp(-sum p ln p) with p the singular values divided by their sum.

    centred  around the mean: what is left when a common direction is taken away

    >>> round(effective_rank(np.eye(3)), 6), round(effective_rank(np.array([[1.0, 0.0], [1.0, 0.0]])), 6)
    (3.0, 1.0)

    Source: Roy & Vetterli 2007, definition 1. With few rows it is lower than the width even for directions spread evenly.
    """
    x = rows.astype(np.float64)
    values = np.linalg.svd(x - x.mean(axis=0) if centred else x, compute_uv=False)
    share = values / values.sum() if values.sum() > 0 else np.ones(1)
    share = share[share > 0]
    return float(np.exp(-(share * np.log(share)).sum()))


def hubness(scores_QN: Rows, *, k: int = 10) -> float:
    """Skewness of k-occurrence: how unevenly the documents share the places among the k best of all queries. About 0 where every document
    is found equally often; above 1 a few hubs are found for everything. NaN where all documents are found equally often.

    scores_QN  score of every query with every document; k is at most half of the documents

    Source: Radovanović, Nanopoulos & Ivanović 2010, equation 1.
    """
    k = max(1, min(k, scores_QN.shape[1] // 2))
    best = np.argsort(-scores_QN, axis=1, kind="stable")[:, :k]
    found = np.bincount(best.ravel(), minlength=scores_QN.shape[1]).astype(np.float64)
    spread = found.std()
    return float((((found - found.mean()) / spread) ** 3).mean()) if spread else nan


def separability(one: Rows, other: Rows, *, seed: int = 0, ridge: float = 1.0) -> Mean:
    """Share of held-out rows whose modality a linear probe tells: .5 where it cannot, 1 where a plane lies between the two.

    one, other  [n, d], row i of both from the same page: both go to the same half, so that the probe cannot know a page from training
    ridge       weight of the squared weights of the probe, beside the sum of its log losses

    A logistic regression on one half, tried on the other. The interval is over the held-out rows. NaN for fewer than 4 pairs.
    """
    n = len(one)
    if n < 4:
        return mean_of([])
    order = np.random.default_rng(seed).permutation(n)
    train, test = order[: n // 2], order[n // 2 :]
    x = np.concatenate([one[train], other[train]]).astype(np.float64)
    y = np.repeat([1.0, 0.0], len(train))
    middle = x.mean(axis=0)
    weights, bias = logistic(x - middle, y, ridge=ridge)
    held = np.concatenate([one[test], other[test]]).astype(np.float64) - middle
    right = ((held @ weights + bias > 0) == np.repeat([True, False], len(test))).astype(np.float64)
    return mean_of(right, seed=seed)


def logistic(x: Rows, y: Rows, *, ridge: float) -> tuple[npt.NDArray[np.float64], float]:
    """Weights [d] and bias of a logistic regression of y in {0, 1} on x [n, d], by Newton's method in the span of the rows."""
    _, values, basis = np.linalg.svd(x, full_matrices=False)
    basis = basis[values > 1e-9 * max(float(values.max(initial=0.0)), 1e-30)]
    z = np.column_stack([x @ basis.T, np.ones(len(x))])
    penalty = np.diag([ridge] * len(basis) + [1e-6])
    w = np.zeros(z.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(z @ w, -30, 30)))
        gradient = z.T @ (p - y) + penalty @ w
        step = np.linalg.solve(z.T @ (z * (p * (1 - p))[:, None]) + penalty, gradient)
        w = w - step
        if np.abs(step).max() < 1e-8:
            break
    return basis.T @ w[:-1], float(w[-1])


def others(n: int, *, per_row: int, forbidden: npt.NDArray[np.bool_], seed: int) -> tuple[Indices, Indices]:
    """Couples that do not match: for each row, up to `per_row` different columns that are not forbidden to it.

    forbidden  bool [n, m]: what belongs together, its own column among it
    returns    row and column of each couple
    """
    draw = np.random.default_rng(seed)
    rows: list[int] = []
    columns: list[int] = []
    for row in range(n):
        allowed = np.flatnonzero(~forbidden[row])
        taken = draw.choice(allowed, size=min(per_row, len(allowed)), replace=False)
        rows += [row] * len(taken)
        columns += taken.tolist()
    return np.array(rows, np.int64), np.array(columns, np.int64)
