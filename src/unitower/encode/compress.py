"""Fewer token vectors for a page: neighbours in space are merged into their mean.

Ward's clustering of the rows of one item, cut where so many clusters are left as were asked for. It is a setting of an index, not of a
search: what it costs in recall and saves in bytes stands in docs/search.md.

Source: Clavié, Chaffin & Adams 2024 (token pooling); Ward 1963; the chain of nearest neighbours, Murtagh 1983.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from unitower.types import Floats, Ragged

STRETCH = 1_024
"""Rows that are clustered together: the work grows with the square. A longer item is pooled stretch by stretch."""


def pooled(multi: Ragged, *, factor: int) -> Ragged:
    """Each matrix with ceil(rows / factor) unit rows, in the order of the first row of each cluster.

    >>> pooled(Ragged.of([[[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]]), factor=2)[0].tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    if factor < 1:
        raise ValueError(f"factor is {factor}: 2 leaves half of the rows, 1 all of them.")
    if factor == 1:
        return multi
    return Ragged.of([_pooled(rows, factor) for rows in multi], width=multi.width)


def _pooled(rows: Floats, factor: int) -> Floats:
    if len(rows) > STRETCH:
        return np.concatenate([_pooled(rows[first : first + STRETCH], factor) for first in range(0, len(rows), STRETCH)])
    labels = clusters(rows, -(-len(rows) // factor))
    sums = np.zeros((labels.max() + 1, rows.shape[1]), np.float64)
    np.add.at(sums, labels, rows)
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    first = np.unique(labels, return_index=True)[1]
    means = np.where(lengths > 1e-6, sums / np.maximum(lengths, 1e-6), rows[first])  # opposite rows cancel out: the first stands for them
    return means.astype(np.float32)


def clusters(rows: Floats, number: int) -> npt.NDArray[np.int64]:
    """Ward's clusters of rows [t, m]: a label for each, int64 [t], numbered by their first row. `number` of them, at most t."""
    t = len(rows)
    parent = np.arange(t)
    for first, second in sorted_merges(rows)[: max(0, t - number)]:
        parent[_root(parent, second)] = _root(parent, first)
    roots = [_root(parent, i) for i in range(t)]
    numbers: dict[int, int] = {}
    return np.array([numbers.setdefault(root, len(numbers)) for root in roots], np.int64)


def sorted_merges(rows: Floats) -> list[tuple[int, int]]:
    """All t - 1 merges of Ward's method, cheapest first; each as one row of either cluster."""
    t = len(rows)
    x = rows.astype(np.float64)
    squares = (x * x).sum(axis=1)
    distance = np.maximum(squares[:, None] + squares[None] - 2 * (x @ x.T), 0)
    np.fill_diagonal(distance, np.inf)
    size = np.ones(t)
    there = np.ones(t, bool)
    merges: list[tuple[float, int, int]] = []
    chain: list[int] = []
    while len(merges) < t - 1:
        if not chain:
            chain = [int(np.argmax(there))]
        last = chain[-1]
        nearest = int(np.argmin(distance[last]))
        if len(chain) > 1 and distance[last, chain[-2]] <= distance[last, nearest]:
            nearest = chain[-2]
        if len(chain) < 2 or nearest != chain[-2]:
            chain.append(nearest)
            continue
        chain = chain[:-2]
        merges.append((float(distance[last, nearest]), min(last, nearest), max(last, nearest)))
        a, b, d = size[last], size[nearest], distance[last, nearest]
        new = ((a + size) * distance[last] + (b + size) * distance[nearest] - size * d) / (a + b + size)  # Lance & Williams
        new[~there] = np.inf
        new[[last, nearest]] = np.inf
        distance[last], distance[:, last] = new, new
        distance[nearest], distance[:, nearest] = np.inf, np.inf
        there[nearest] = False
        size[last] = a + b
    return [(first, second) for _, first, second in sorted(merges, key=lambda merge: merge[0])]


def _root(parent: npt.NDArray[np.int64], i: int) -> int:
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = int(parent[i])
    return i
