"""Which examples are trained on and which are kept to test with: decided by a hash, so that it is the same in every run and on every
machine, and does not change for an example when others come or go."""

from __future__ import annotations

from hashlib import blake2b, sha256
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Split: TypeAlias = Literal["train", "test"]
Hashes: TypeAlias = npt.NDArray[np.uint64]

TEST_SHARE = 0.05
"""Share of what is split (rows, strings, packages: each source says which) that is kept to test with, unless a recipe says otherwise."""


def hashed(key: str | bytes) -> int:
    """64 bits of a key, evenly spread."""
    data = key.encode("utf-8", "surrogatepass") if isinstance(key, str) else key
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "big")


def checked(split: str, test_share: float) -> None:
    """ValueError unless the split is one of the two and the share lies between 0 and 1."""
    if split not in ("train", "test"):
        raise ValueError(f"split is {split!r}; it is 'train' or 'test'.")
    if not 0 <= test_share <= 1:
        raise ValueError(f"test_share is {test_share}; it lies between 0 (train on everything) and 1.")


def in_test(key: str | bytes, test_share: float) -> bool:
    """Whether what goes by this key is kept to test with."""
    return hashed(key) < _limit(test_share)


KEPT_NAMES = 26
"""Of 256: the names of files, font families and packages that shipped weights are never trained on, about one in ten."""


def kept_to_test(name: str) -> bool:
    """Whether what bears this name is kept to test shipped weights with: by the first byte of the SHA-256 of its small letters.

    Anything with a name can be asked, and anyone can say so again without this code: a file by its name without folders, a font by its
    family, a module or package by its top-level name.

    >>> [name for name in ("csv", "json", "queue", "textwrap") if kept_to_test(name)]
    ['json', 'queue']
    """
    return sha256(name.lower().encode("utf-8", "surrogatepass")).digest()[0] < KEPT_NAMES


def rows_of(split: Split, documents: Hashes, queries: Hashes, *, test_share: float) -> npt.NDArray[np.int64]:
    """Positions of the rows of a split, ascending.

    A row is for testing if the hash of its document says so. A row for training has neither its document nor its query in common
    with one for testing; a row that has its query in common with one is in neither split.
    """
    test = selected(documents, "test", test_share=test_share)
    if split == "test":
        return np.flatnonzero(test)
    tested = np.union1d(queries[test], documents[test])
    return np.flatnonzero(~(test | np.isin(queries, tested) | np.isin(documents, tested)))


def selected(hashes: Hashes, split: Split, *, test_share: float) -> npt.NDArray[np.bool_]:
    """Which of many keys are on a side of the split, by their hashes: bool [n]."""
    test: npt.NDArray[np.bool_] = hashes < np.uint64(_limit(test_share)) if test_share < 1 else np.ones(len(hashes), bool)
    return test if split == "test" else ~test


def _limit(test_share: float) -> int:
    return int(test_share * 2**64)
