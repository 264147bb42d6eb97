"""Codes of vectors: what goes in comes out, to within the error that is promised, alone and among many."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unitower import codes

KINDS = ("normal", "sparse", "of all sizes", "equal", "one large")


def made(size, seed, kind):
    """A matrix of a kind. Numbers come from a seed: hypothesis takes a second to draw a few thousand."""
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal(size)
    if kind == "sparse":
        rows *= rng.random(size) < 0.1
    elif kind == "of all sizes":
        rows *= 10.0 ** rng.integers(-15, 15, (size[0], 1))
    elif kind == "equal":
        rows[:] = rows[0, 0]
    elif kind == "one large":
        rows[:, rng.integers(size[1])] *= 1e4
    return rows.astype(np.float32)


sizes = st.tuples(st.integers(1, 40), st.integers(1, 140))
matrices = st.builds(made, sizes, st.integers(0, 2**32 - 1), st.sampled_from(KINDS))
quick = settings(max_examples=60, deadline=None)


@quick
@given(matrices)
def test_a_packed_matrix_comes_back_to_within_half_a_step(rows):
    back = codes.unpack(codes.pack(rows), rows.shape[1])
    scales = np.abs(rows).max(axis=1, keepdims=True) / 127
    assert back.shape == rows.shape
    assert (np.abs(back - rows) <= scales * 0.5001 + 1e-30).all()


@quick
@given(matrices)
def test_a_matrix_has_the_size_that_is_told(rows):
    t, m = rows.shape
    assert len(codes.pack(rows)) == t * (codes.padded(m) + 4)
    assert codes.length(codes.pack(rows), m) == t


@quick
@given(matrices)
def test_packing_what_was_unpacked_changes_no_code(rows):
    whole, _ = codes.quantised(rows)
    again, _ = codes.codes_of(codes.pack(codes.unpack(codes.pack(rows), rows.shape[1])), rows.shape[1])
    np.testing.assert_array_equal(again, whole)


@quick
@given(matrices, st.integers(0, 10))
def test_a_row_has_the_same_code_alone_and_among_others(rows, place):
    i = place % len(rows)
    (alone,), (scale,) = codes.quantised(rows[i : i + 1])
    every, scales = codes.quantised(rows)
    np.testing.assert_array_equal(every[i], alone)
    assert scales[i] == scale
    both, one = codes.planes(every), codes.planes(every[i : i + 1])
    np.testing.assert_array_equal(both.signs[:, i], one.signs[:, 0])
    np.testing.assert_array_equal(both.large[:, i], one.large[:, 0])


@quick
@given(matrices)
def test_codes_keep_the_order_within_a_row(rows):
    whole, _ = codes.quantised(rows)
    for row, code in zip(rows, whole.astype(int), strict=True):
        order = np.argsort(row, kind="stable")
        assert (np.diff(code[order]) >= 0).all()


@quick
@given(matrices)
def test_planes_tell_sign_and_size_of_every_code(rows):
    whole = codes.quantised(rows)[0].astype(np.int64)
    planes = codes.planes(whole.astype(np.int8))
    for i in range(rows.shape[1]):
        word, bit = i // 64, np.uint64(i % 64)
        np.testing.assert_array_equal(planes.signs[word] >> bit & np.uint64(1), whole[:, i] >= 0)
        large = whole[:, i] ** 2 * rows.shape[1] * 25 > 24 * (whole**2).sum(axis=1)
        np.testing.assert_array_equal(planes.large[word] >> bit & np.uint64(1), large)


@quick
@given(matrices)
def test_a_query_comes_back_to_within_half_a_step_and_its_sums_stay_exact(rows):
    asked, m = codes.query(rows), rows.shape[1]
    assert (np.abs(asked.tokens[:, :m] * asked.scale - rows) <= asked.scale * 0.5001).all()
    assert np.abs(asked.tokens.astype(np.int64)).max() * 127 * codes.padded(m) <= 2**24
    assert not asked.tokens[:, m:].any()


def test_the_errors_told_for_unit_rows_of_128_hold():
    rng = np.random.default_rng(0)
    rows, query = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in rng.standard_normal((2, 4_000, 128)))
    back = codes.unpack(codes.pack(rows), 128)
    assert np.abs(back - rows).mean() < 0.001
    assert (np.einsum("nd,nd->n", back - rows, query)).std() < 0.0008
    scales = codes.quantised(rows)[1]
    assert (np.abs(np.einsum("nd,nd->n", back - rows, query)) <= scales * 128**0.5 / 2).all()


@pytest.mark.parametrize("rows", [np.zeros((3, 5), np.float32), np.full((1, 3), 1e-38, np.float32)])
def test_rows_without_direction_are_zeros(rows):
    assert not codes.unpack(codes.pack(rows), rows.shape[1]).any()


def test_a_matrix_that_was_cut_off_is_refused():
    with pytest.raises(ValueError, match="whole number of rows"):
        codes.unpack(codes.pack(np.ones((3, 8)))[:-1], 8)


@quick
@given(st.builds(made, st.just((5, 33)), st.integers(0, 2**32 - 1), st.sampled_from(KINDS[:2])))
def test_dense_vectors_in_every_precision(dense):
    assert codes.dense_in("float32", dense)[0] is dense
    np.testing.assert_array_equal(codes.dense_in("float16", dense)[0], dense.astype(np.float16))
    whole, scales = codes.dense_in("int8", dense)
    assert (np.abs(whole * scales[:, None] - dense) <= scales[:, None] * 0.5001 + 1e-30).all()
    bits, none = codes.dense_in("binary", dense)
    assert none is None
    assert bits.shape == (5, 5)
    np.testing.assert_array_equal(np.unpackbits(bits, axis=1, bitorder="little")[:, :33], dense >= 0)
