import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unitower import scoring
from unitower.scoring import cosine, maxsim, ranked, reciprocal_rank_fusion
from unitower.types import Ragged


def unit_rows(rng, n, width):
    rows = rng.standard_normal((n, width))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def by_the_book(query, document):
    """MaxSim as the paper writes it: for each query token the best dot product, one number at a time, in double precision."""
    return sum(max(float(np.dot(np.float64(q), np.float64(d))) for d in document) for q in query)


def test_maxsim_of_a_case_done_by_hand():
    query = [[1, 0], [0, 1]]
    same = [[1, 0], [0, 1]]  # 1 + 1
    half = [[0.6, 0.8]]  # 0.6 + 0.8
    opposite = [[-1, 0], [0, -1]]  # the better of -1 and 0, twice
    assert maxsim(query, [same, half, opposite]).tolist() == pytest.approx([2.0, 1.4, 0.0])


def test_a_document_that_points_away_has_a_negative_score():
    assert maxsim([[1.0, 0.0]], [[[-1.0, 0.0]], [[-0.6, 0.8], [-0.8, 0.6]]]).tolist() == pytest.approx([-1.0, -0.6])


def test_a_query_token_given_twice_counts_twice_and_a_document_token_once():
    assert maxsim([[1.0, 0.0], [1.0, 0.0]], [[[1.0, 0.0]], [[1.0, 0.0], [1.0, 0.0]]]).tolist() == [2.0, 2.0]


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 40), max_size=12),
    tokens=st.integers(1, 20),
    width=st.integers(1, 33),
    block=st.integers(1, 60),
    seed=st.integers(0, 10_000),
)
def test_maxsim_equals_the_definition_whatever_the_blocks(lengths, tokens, width, block, seed):
    rng = np.random.default_rng(seed)
    query, documents = unit_rows(rng, tokens, width), [unit_rows(rng, n, width) for n in lengths]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scoring, "BLOCK_ROWS", block)
        scores = maxsim(query, documents)
    assert scores.dtype == np.float32
    assert scores.shape == (len(lengths),)
    np.testing.assert_allclose(scores, [by_the_book(query, document) for document in documents], atol=1e-5 * tokens)


@pytest.mark.parametrize("block", [1, 4, 5, 6, 9, 10, 11])
def test_documents_that_end_just_before_at_and_after_a_block_are_scored_once(monkeypatch, block):
    monkeypatch.setattr(scoring, "BLOCK_ROWS", block)
    documents = [np.full((5, 1), value) for value in (1, 2, 3, 4)]
    assert maxsim([[1.0]], documents).tolist() == [1, 2, 3, 4]


def test_the_default_block_is_crossed_without_a_seam():
    rng = np.random.default_rng(0)
    documents = [unit_rows(rng, n, 4) for n in (scoring.BLOCK_ROWS - 1, 1, 1, scoring.BLOCK_ROWS + 1, 3)]
    query = unit_rows(rng, 3, 4)
    expected = [(query @ document.T).max(axis=1).sum() for document in documents]
    np.testing.assert_allclose(maxsim(query, documents), expected, atol=1e-5)


def test_a_document_scores_the_same_alone_and_among_others():
    rng = np.random.default_rng(1)
    query, documents = unit_rows(rng, 24, 128), [unit_rows(rng, int(n), 128) for n in rng.integers(1, 300, 40)]
    alone = [maxsim(query, [document])[0] for document in documents]
    np.testing.assert_allclose(maxsim(query, documents), alone, atol=5e-6)  # BLAS rounds by position: a few ulp of a score near 10


def test_a_slice_of_a_ragged_scores_like_the_whole():
    rng = np.random.default_rng(2)
    query, documents = unit_rows(rng, 3, 8), Ragged.of([unit_rows(rng, n, 8) for n in (2, 5, 1, 7)])
    np.testing.assert_allclose(maxsim(query, documents[1:3]), maxsim(query, documents)[1:3], atol=1e-6)


def test_no_documents_have_no_scores():
    assert maxsim([[1.0, 0.0]], []).shape == (0,)
    assert maxsim([[1.0, 0.0]], Ragged.of([], width=2)).shape == (0,)


@pytest.mark.parametrize("query", [np.empty((0, 2)), np.ones(2), np.ones((1, 2, 2)), 1.0])
def test_a_query_that_is_no_matrix_with_rows_is_refused_with_its_shape(query):
    with pytest.raises(ValueError, match=r"got shape \("):
        maxsim(query, [np.ones((1, 2))])


def test_a_query_of_another_width_is_refused_with_both_widths():
    with pytest.raises(ValueError, match="width 3, the documents' 2"):
        maxsim(np.ones((1, 3)), Ragged.of([np.ones((1, 2))]))


def test_an_empty_document_is_refused():
    with pytest.raises(ValueError, match="empty"):
        maxsim(np.ones((1, 2)), [np.ones((1, 2)), np.empty((0, 2))])


def test_cosine_of_unit_rows_is_the_dot_product():
    assert cosine([0.6, 0.8], [[1, 0], [0, 1], [0.6, 0.8], [-0.6, -0.8]]).tolist() == pytest.approx([0.6, 0.8, 1.0, -1.0])


def test_ranked_goes_down_in_score_and_up_in_id():
    assert ranked({"b": 1.0, "c": 2.0, "a": 1.0, "d": -1.0}) == ["c", "a", "b", "d"]
    assert ranked({}) == []


def test_fusion_of_two_rankings_done_by_hand():
    fused = reciprocal_rank_fusion({"multi": ["a", "b", "c"], "text": ["c", "a"]})
    assert fused == pytest.approx({"a": 1 / 61 + 1 / 62, "b": 1 / 62, "c": 1 / 63 + 1 / 61})
    assert ranked(fused) == ["a", "c", "b"]


def test_weights_multiply_a_signal_and_default_to_one():
    fused = reciprocal_rank_fusion({"multi": ["a", "b"], "text": ["b"]}, weights={"text": 3.0})
    assert fused == pytest.approx({"a": 1 / 61, "b": 1 / 62 + 3 / 61})


def test_k_sets_how_much_the_first_ranks_count():
    assert reciprocal_rank_fusion({"text": ["a", "b"]}, k=0) == {"a": 1.0, "b": 0.5}


def test_fusion_of_nothing_is_nothing():
    assert reciprocal_rank_fusion({}) == {}
    assert reciprocal_rank_fusion({"text": []}) == {}
