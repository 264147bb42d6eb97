"""What every engine does with entries and vectors before it keeps them: the checks, and the forms that are stored.

Token vectors are kept in half precision. They are half the size of float32 ones (51 kB for 200 tokens of 128), cost the same to
score because reading them is what takes the time, and move a MaxSim of 20 over 24 query tokens by 1e-4 (at most 5e-4 in 200
pages), far less than bfloat16 weights do. Dense vectors, a fiftieth of the size, stay in float32: they rank without a second look.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from unitower.stores import Entry
from unitower.stores.words import Words, analysed
from unitower.types import Embeddings, Floats

Halves: TypeAlias = npt.NDArray[np.float16]


@dataclass(frozen=True, kw_only=True)
class Kept:
    """One entry as it is stored.

    dense   float32 [d]
    tokens  float16 [t, m]
    digest  64 bits of the token vectors: two entries with the same digest have the same vectors
    """

    entry: Entry
    words: Words
    dense: Floats
    tokens: Halves
    digest: int


def kept(entries: Sequence[Entry], embeddings: Embeddings, *, widths: tuple[int, int] | None) -> list[Kept]:
    """The entries in the form they are stored, in the order given; of several with one id the last.

    widths  columns of the dense and token vectors that are there already, None in an empty store
    raises  ValueError where the numbers of entries and vectors differ, widths do, an id is empty, or a number is not finite
    """
    if len(entries) != len(embeddings):
        raise ValueError(f"there are {len(entries)} entries but vectors of {len(embeddings)}.")
    given = (embeddings.dense.shape[1], embeddings.multi.width)
    if widths is not None and entries and given != widths:
        raise ValueError(
            f"the vectors have widths {given[0]} (dense) and {given[1]} (tokens), those in the store {widths[0]} and {widths[1]}. "
            "Use the encoder the store was made with, or another store."
        )
    last = {entry.id: i for i, entry in enumerate(entries)}
    return [_kept(entries[i], embeddings.dense[i], embeddings.multi[i]) for i in sorted(last.values())]


def _kept(entry: Entry, dense: Floats, tokens: Floats) -> Kept:
    if not entry.id:
        raise ValueError(f"an entry of {entry.source.place} has an empty id.")
    with np.errstate(over="ignore"):  # what is too large for float16 becomes infinite, and is refused below
        halves = np.ascontiguousarray(tokens, dtype=np.float16)
    if not (np.isfinite(dense).all() and np.isfinite(halves).all()):
        raise ValueError(f"{entry.id!r} has vectors that are not finite numbers; a store keeps unit vectors.")
    text = _text(entry.text)
    metadata = {_text(key): _text(value) for key, value in entry.metadata.items()}
    digest = int.from_bytes(blake2b(halves.tobytes(), digest_size=8).digest(), "little", signed=True)
    return Kept(
        entry=replace(entry, text=text, metadata=metadata),
        words=analysed(text),
        dense=np.array(dense, np.float32),
        tokens=halves,
        digest=digest,
    )


def _text(given: str) -> str:
    """Text without halves of surrogate pairs, which neither files nor terminals can hold. A whole pair becomes its character."""
    return given.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
