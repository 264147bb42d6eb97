"""Token pooling: the clusters are Ward's, whoever works them out."""

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage

from unitower.encode import compress
from unitower.encode.compress import clusters, pooled
from unitower.types import Ragged


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("rows", [1, 2, 3, 17, 64, 120])
@pytest.mark.parametrize("factor", [2, 3, 4])
def test_clusters_equal_those_of_scipy(rows, factor):
    x = unit(np.random.default_rng(rows).standard_normal((rows, 16)))
    number = -(-rows // factor)
    ours = clusters(x, number)
    theirs = fcluster(linkage(x.astype(np.float64), "ward"), number, "maxclust") if rows > 1 else np.ones(1)
    assert len(set(ours.tolist())) == number
    assert len(set(zip(ours.tolist(), theirs.tolist(), strict=True))) == number


def test_pooled_rows_are_unit_means_in_reading_order():
    x = unit(np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.1], [0.1, 1.0]]))
    (rows,) = pooled(Ragged.of([x]), factor=2)
    np.testing.assert_allclose(rows, unit(np.stack([x[0] + x[2], x[1] + x[3]])), atol=1e-6)


def test_an_item_is_pooled_alike_alone_and_among_others():
    rng = np.random.default_rng(0)
    items = [unit(rng.standard_normal((n, 8))) for n in (1, 5, 9, 30)]
    for item, rows in zip(items, pooled(Ragged.of(items), factor=3), strict=True):
        np.testing.assert_array_equal(rows, pooled(Ragged.of([item]), factor=3)[0])
        assert len(rows) == -(-len(item) // 3)


def test_a_long_item_is_pooled_in_stretches_and_opposite_rows_do_not_vanish(monkeypatch):
    monkeypatch.setattr(compress, "STRETCH", 10)
    assert len(pooled(Ragged.of([unit(np.random.default_rng(0).standard_normal((25, 8)))]), factor=2)[0]) == 13
    (rows,) = pooled(Ragged.of([np.array([[1.0, 0.0], [-1.0, 0.0]])]), factor=2)
    np.testing.assert_array_equal(rows, [[1.0, 0.0]])


def test_a_factor_of_one_changes_nothing_and_less_is_refused():
    multi = Ragged.of([np.eye(3)])
    assert pooled(multi, factor=1) is multi
    with pytest.raises(ValueError, match="factor is 0"):
        pooled(multi, factor=0)
