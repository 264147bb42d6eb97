"""Measures of vectors against values by hand, known distributions, brute force, and what a rotation leaves as it is."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from unitower import codes
from unitower.analysis import cost, measures
from unitower.encode.compress import pooled
from unitower.evaluation.models import all_maxsims
from unitower.types import Embeddings, Fingerprint, Ragged

D = 24


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def isotropic(n: int, d: int = D, *, seed: int = 0) -> np.ndarray:
    """Directions spread evenly."""
    return unit(np.random.default_rng(seed).standard_normal((n, d)))


def cone(n: int, cosine: float, *, d: int = D, seed: int = 0) -> np.ndarray:
    """Unit rows, each with the given cosine to the first axis, spread evenly around it."""
    around = isotropic(n, d - 1, seed=seed) * np.sqrt(1 - cosine**2)
    return np.column_stack([np.full(n, cosine), around])


def rotation(d: int = D) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(9).standard_normal((d, d)))[0]


# the cone


def test_directions_spread_evenly_have_random_cosine_0_and_full_effective_rank() -> None:
    rows = isotropic(4000)
    assert measures.random_cosine(rows) == pytest.approx(0, abs=0.002)  # standard deviation 1 / (n sqrt(d)) = 0.00005
    assert measures.effective_rank(rows) == pytest.approx(D, rel=0.01)
    assert measures.effective_rank(rows, centred=True) == pytest.approx(D, rel=0.01)


@pytest.mark.parametrize("cosine", [0.3, 0.6, 0.9])
def test_in_a_cone_the_random_cosine_is_the_square_of_the_cosine_with_its_axis(cosine: float) -> None:
    assert measures.random_cosine(cone(4000, cosine)) == pytest.approx(cosine**2, abs=0.003)


def test_a_narrow_cone_takes_effective_rank_away_and_centring_gives_all_but_its_axis_back() -> None:
    ranks = [measures.effective_rank(cone(4000, cosine)) for cosine in (0.3, 0.6, 0.9, 0.99)]
    assert ranks == sorted(ranks, reverse=True)
    assert ranks[-1] < 0.8 * D
    assert measures.effective_rank(cone(4000, 0.9), centred=True) == pytest.approx(D - 1, rel=0.01)


def test_effective_rank_of_two_directions_is_that_of_the_entropy_by_hand() -> None:
    rows = np.array([[3.0, 0.0], [0.0, 1.0]])  # singular values 3 and 1: shares 3/4 and 1/4
    assert measures.effective_rank(rows) == pytest.approx(np.exp(0.75 * np.log(4 / 3) + 0.25 * np.log(4)))


def test_random_cosine_is_the_mean_over_all_couples() -> None:
    rows = isotropic(7)
    brute = np.mean([rows[i] @ rows[j] for i in range(7) for j in range(7) if i != j])
    assert measures.random_cosine(rows) == pytest.approx(brute)


def test_of_one_row_there_is_no_random_cosine() -> None:
    assert np.isnan(measures.random_cosine(np.ones((1, 3))))


# two modalities


def test_centroid_distance_of_two_cones_is_that_of_their_axes() -> None:
    there, here = cone(4000, 0.6, seed=1), cone(4000, 0.6, seed=2) * np.array([-1] + [1] * (D - 1))
    assert measures.centroid_distance(there, here) == pytest.approx(1.2, abs=0.01)


def test_a_probe_tells_two_cones_apart_and_cannot_tell_what_is_alike() -> None:
    apart = measures.separability(cone(300, 0.6, seed=1), cone(300, 0.6, seed=2) * np.array([-1] + [1] * (D - 1)))
    assert apart.mean == 1.0
    alike = measures.separability(isotropic(2000, seed=1), isotropic(2000, seed=2))
    assert alike.n == 2000
    assert alike.mean == pytest.approx(0.5, abs=0.05)  # 4.5 standard deviations of 2,000 throws of a coin


def test_a_probe_is_judged_on_what_it_was_not_trained_on() -> None:
    # 40 rows in 200 dimensions: any labels can be learnt by heart
    assert measures.separability(isotropic(20, 200, seed=1), isotropic(20, 200, seed=2)).mean < 0.9


def test_the_logistic_regression_is_that_of_plain_gradient_descent() -> None:
    x = isotropic(60, 3) + np.array([0.3, 0, 0])
    y = (np.random.default_rng(3).random(60) < 1 / (1 + np.exp(-4 * x[:, 0]))).astype(float)
    weights, bias = measures.logistic(x, y, ridge=0.5)
    w = np.zeros(4)
    z = np.column_stack([x, np.ones(60)])
    for _ in range(20_000):
        w -= 0.02 * (z.T @ (1 / (1 + np.exp(-z @ w)) - y) + np.array([0.5, 0.5, 0.5, 1e-6]) * w)
    np.testing.assert_allclose([*weights, bias], w, atol=1e-5)


def test_a_rotation_changes_no_measure() -> None:
    one, other, turn = cone(400, 0.5, seed=1), cone(400, 0.7, seed=2), rotation()
    for measure in (measures.random_cosine, measures.effective_rank):
        assert measure(one @ turn) == pytest.approx(measure(one))
    assert measures.centroid_distance(one @ turn, other @ turn) == pytest.approx(measures.centroid_distance(one, other))
    assert measures.separability(one @ turn, other @ turn).mean == pytest.approx(measures.separability(one, other).mean)
    np.testing.assert_allclose(measures.paired(one @ turn, other @ turn), measures.paired(one, other))


# pairs


def test_auc_counts_couples_with_ties_as_half() -> None:
    draw = np.random.default_rng(0)
    good, bad = draw.integers(0, 6, 40) + 1, draw.integers(0, 6, 50)
    brute = np.mean([(a > b) + 0.5 * (a == b) for a in good for b in bad])
    assert measures.auc(good, bad) == pytest.approx(brute)


def test_d_prime_of_two_normal_distributions_is_their_distance_and_agrees_with_the_auc() -> None:
    draw = np.random.default_rng(0)
    good, bad = draw.normal(2.0, 1.0, 20_000), draw.normal(0.0, 1.0, 20_000)
    assert measures.d_prime(good, bad) == pytest.approx(2.0, abs=0.03)
    assert measures.auc(good, bad) == pytest.approx(0.9214, abs=0.004)  # Phi(2 / sqrt 2)


def test_the_interval_of_a_mean_is_that_of_the_normal_distribution_where_there_are_many() -> None:
    found = measures.mean_of(np.random.default_rng(0).normal(5, 2, 4000))
    half = 1.96 * 2 / np.sqrt(4000)
    assert found.n == 4000
    assert found.high - found.mean == pytest.approx(half, rel=0.1)
    assert found.mean - found.low == pytest.approx(half, rel=0.1)
    assert measures.mean_of([1.0, 2.0, 4.0]) == measures.mean_of([1.0, 2.0, 4.0])


def test_other_pairs_are_never_those_that_belong_together() -> None:
    forbidden = np.eye(5, 8, dtype=bool)
    forbidden[2, :6] = True
    rows, columns = measures.others(5, per_row=4, forbidden=forbidden, seed=0)
    assert not forbidden[rows, columns].any()
    assert np.bincount(rows).tolist() == [4, 4, 2, 4, 4]
    assert len(set(zip(rows.tolist(), columns.tolist(), strict=True))) == len(rows)


# hubs


def test_hubness_by_hand() -> None:
    # four queries, k = 1 of four documents: found 3, 1, 0 and 0 times. Mean 1, deviations 2, 0, -1, -1
    scores = np.eye(4)[[0, 0, 0, 1]]
    assert measures.hubness(scores, k=1) == pytest.approx((8 - 1 - 1) / 4 / np.sqrt(6 / 4) ** 3)


def test_documents_found_equally_often_have_no_hubness_and_a_document_near_all_is_a_hub() -> None:
    assert np.isnan(measures.hubness(np.eye(6), k=1))
    queries, documents = cone(500, 0.5, seed=1), isotropic(200, seed=2)
    usual = measures.hubness(queries @ isotropic(200, seed=2).T)
    documents[0] = np.eye(D)[0]  # the axis of the queries' cone
    assert measures.hubness(queries @ documents.T) > usual


def test_hubness_grows_with_the_dimension() -> None:  # Radovanović et al. 2010, figure 1
    low, high = (
        measures.hubness(isotropic(600, d, seed=1) @ (n := np.random.default_rng(2).standard_normal((600, d))).T - (n**2).sum(1) / 2)
        for d in (3, 100)
    )
    assert high > low + 1


# what smaller vectors cost


def test_codes_keep_what_they_promise() -> None:
    rows = isotropic(50, 64).astype(np.float32)
    largest = np.abs(rows).max(axis=1, keepdims=True)
    assert (np.abs(cost.int8(rows) - rows) <= largest / 254 + 1e-7).all()
    assert np.abs(cost.BITS["float16"][0](rows) - rows).max() < 2**-11
    assert set(np.unique(cost.BITS["binary"][0](rows))) == {-1.0, 1.0}
    np.testing.assert_array_equal(cost.int8(np.zeros((1, 4), np.float32)), 0)
    np.testing.assert_allclose(np.linalg.norm(cost.cut(rows, 16), axis=1), 1, atol=1e-6)


def test_coded_and_pooled_vectors_are_those_of_an_index() -> None:
    about = Fingerprint(model="m", revision="1", adapter="a", prompts={}, max_pixels=1, max_length=1, dense_width=16, multi_width=16)
    multi = Ragged.of([isotropic(9 + n % 4, 16, seed=n).astype(np.float32) for n in range(60)])
    dense = unit(isotropic(60, 16)).astype(np.float32)
    asked = Ragged.of([unit(rows[:3] + 0.5 * isotropic(3, 16, seed=100 + n)).astype(np.float32) for n, rows in enumerate(multi)])
    queries, documents = (Embeddings(dense=dense, multi=one, fingerprint=about) for one in (asked, multi))
    grades = [{i: 1} for i in range(60)]
    by = {(one.bits, one.pooled): one for one in cost.costs(queries, documents, grades, seed=0) if one.head == "late"}

    for factor in cost.POOLED:
        kept = pooled(multi, factor=factor)
        kept = Ragged(kept.data.astype(np.float16).astype(np.float32), kept.offsets)
        assert by["float16", factor].ndcg.mean == pytest.approx(np.mean(cost.ndcg(all_maxsims(asked, kept), grades)))
        assert by["float16", factor].bytes == pytest.approx(np.mean([2 * 16 * -(-len(rows) // factor) for rows in multi]))
    np.testing.assert_array_equal(cost.int8(multi.data), codes.unpack(codes.pack(multi.data), 16))


def test_ndcg_is_that_of_the_evaluation_and_ties_stand_in_their_order() -> None:
    scores = np.array([[0.1, 0.9, 0.5], [0.5, 0.5, 0.5]], np.float32)
    found = cost.ndcg(scores, [{2: 1}, {1: 1, 0: 2}])
    assert found == pytest.approx([1 / np.log2(3), 1.0])


def test_chance_is_the_mean_over_all_orders() -> None:
    grades = {0: 2, 3: 1}
    orders = [cost.ndcg(-np.array([order], np.float32), [grades])[0] for order in permutations(range(5))]
    assert cost.chance([grades], 5) == pytest.approx(np.mean(orders))


def test_full_float32_costs_nothing_and_bytes_are_those_of_the_vectors() -> None:
    about = Fingerprint(model="m", revision="1", adapter="a", prompts={}, max_pixels=1, max_length=1, dense_width=64, multi_width=64)
    dense = isotropic(40, 64).astype(np.float32)
    multi = Ragged.of([dense[i : i + 1].repeat(8, axis=0) for i in range(40)])
    same = Embeddings(dense=dense, multi=multi, fingerprint=about)
    found = list(cost.costs(same, same, [{i: 1} for i in range(40)], seed=0))
    by = {(one.head, one.bits, one.width, one.pooled): one for one in found}
    assert by["dense", "float32", 64, 1].ndcg.mean == 1.0
    assert by["dense", "float32", 64, 1].bytes == 256
    assert by["dense", "binary", 16, 1].bytes == 2
    assert by["late", "int8", 64, 1].bytes == 8 * 68
    assert by["late", "float16", 64, 8].bytes == 128
    assert by["late", "float16", 64, 8].ndcg.mean == 1.0
    assert {one.width for one in found if one.head == "dense"} == {64, 32, 16}


def test_what_is_lost_is_seen() -> None:
    documents = isotropic(300, 64).astype(np.float32)
    queries = unit(documents + 0.6 * isotropic(300, 64, seed=1)).astype(np.float32)

    def figure(bits: str, width: int) -> float:
        kept = cost.BITS[bits][0](cost.cut(documents, width))
        return float(np.mean(cost.ndcg(cost.cut(queries, width) @ kept.T, [{i: 1} for i in range(300)])))

    figures = [figure("float32", 64), figure("float32", 16), figure("binary", 16)]
    assert figures == sorted(figures, reverse=True)
    assert figures[-1] < figures[0] - 0.1
