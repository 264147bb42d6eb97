"""Near-duplicates by min-hashes, and the split by hash."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitower.data._near import Seen, signature
from unitower.data._split import hashed, in_test, rows_of


def triples(words: list[str]) -> set[tuple[str, ...]]:
    return set(zip(words, words[1:], words[2:], strict=False))


def test_equal_least_hashes_estimate_the_share_of_common_triples() -> None:
    random = np.random.default_rng(0)
    errors = []
    for _ in range(300):
        words = [f"w{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in random.permutation(600)[:120]]
        other = [*words[: random.integers(10, 110)], *(f"x{word}" for word in words[:40])]
        exact = len(triples(words) & triples(other)) / len(triples(words) | triples(other))
        errors.append(float((signature(" ".join(words)) == signature(" ".join(other))).mean()) - exact)
    assert abs(np.mean(errors)) < 0.01  # 300 x 20 hashes: the mean is within 0.006 in 19 cases of 20
    assert np.std(errors) < 0.13  # sqrt(0.25 / 20) at the most


def test_nearly_the_same_is_seen_and_something_else_is_not() -> None:
    text = "Return the first item of the list that is longer than the given number of characters, or nothing where there is none."
    seen = Seen()
    assert not seen.add(text)
    assert seen.add(text)
    assert seen.add(text.upper().replace(",", ";") + " 42")  # case, punctuation and numbers do not count
    assert not seen.add("Write the table to a file in the format that its name says, and give back the number of bytes that were written.")
    assert not seen.add("Short one")
    assert seen.add("short ONE!")


@given(st.text(max_size=40), st.floats(0, 1))
def test_the_side_of_a_key_is_that_of_many_at_once(key: str, share: float) -> None:
    hashes = np.array([hashed(key)], np.uint64)
    assert in_test(key, share) is bool(len(rows_of("test", hashes, hashes, test_share=share)))


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_the_share_kept_to_test_with_is_as_stated(share: float) -> None:
    kept = np.mean([in_test(f"document {i}", share) for i in range(20_000)])
    assert abs(kept - share) < 4 * np.sqrt(share * (1 - share) / 20_000)


def test_a_row_whose_query_is_tested_is_not_trained_on() -> None:
    documents = np.array([hashed(f"d{i}") for i in range(4)], np.uint64)
    queries = np.array([1, 1, 2, 3], np.uint64)
    share = (float(np.sort(documents)[0]) + 1e6) / 2**64  # so that just the document with the least hash is tested
    lowest = int(np.argmin(documents))
    trained = rows_of("train", documents, queries, test_share=share)
    assert rows_of("test", documents, queries, test_share=share).tolist() == [lowest]
    assert trained.tolist() == [i for i in range(4) if queries[i] != queries[lowest]]


def test_no_share_and_the_whole_are_all_on_one_side() -> None:
    hashes = np.array([0, 2**64 - 1, 5], np.uint64)
    assert len(rows_of("train", hashes, hashes, test_share=0)) == len(rows_of("test", hashes, hashes, test_share=1)) == 3
    assert len(rows_of("test", hashes, hashes, test_share=0)) == len(rows_of("train", hashes, hashes, test_share=1)) == 0
