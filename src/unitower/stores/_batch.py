"""What every engine does with entries and vectors before it keeps them: the checks, and the forms that are stored.

Token vectors are kept as int8 with a scale per row (`codes.pack`): 132 bytes a token of 128, where float16 took 256. A MaxSim of 20 over
24 query tokens moves by 4e-3 (standard deviation; `bench/search.py` has the recall). Dense vectors, a fiftieth of the size, stay in
float32: they rank without a second look.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b

import numpy as np

from unitower import codes
from unitower.stores import Entry
from unitower.stores.words import Words, analysed
from unitower.types import Embeddings, Floats


@dataclass(frozen=True, kw_only=True)
class Kept:
    """One entry as it is stored.

    dense         float32 [d]
    packed        `codes.pack` of the token vectors
    token_count   their number
    token_width   their width
    digest        `digest(packed)`: two entries with the same digest have the same vectors
    """

    entry: Entry
    words: Words
    dense: Floats
    packed: bytes
    token_count: int
    token_width: int
    digest: int


def kept(entries: Sequence[Entry], embeddings: Embeddings, *, widths: tuple[int, int] | None) -> list[Kept]:
    """The entries in the form they are stored, in the order given; of several with one id the last.

    widths  columns of the dense and token vectors that are there already, None in an empty store
    raises  ValueError where the numbers of entries and vectors differ, widths do, an id is empty, or a number is not finite
    """
    if len(entries) != len(embeddings):
        raise ValueError(f"there are {len(entries)} entries but vectors of {len(embeddings)}.")
    if embeddings.dense.dtype.kind != "f":
        raise ValueError(f"a store keeps dense vectors as float32, these are {embeddings.dense.dtype}: encode without precision=.")
    given = (embeddings.dense.shape[1], embeddings.multi.width)
    if widths is not None and entries and given != widths:
        raise ValueError(
            f"the vectors have widths {given[0]} (dense) and {given[1]} (tokens), those in the store {widths[0]} and {widths[1]}. "
            "Use the encoder the store was made with, or another store."
        )
    last = {entry.id: i for i, entry in enumerate(entries)}
    return [_kept(entries[i], embeddings.dense[i], embeddings.multi[i]) for i in sorted(last.values())]


def digest(packed: bytes | memoryview) -> int:
    """64 bits of a packed matrix, signed."""
    return int.from_bytes(blake2b(packed, digest_size=8).digest(), "little", signed=True)


def _kept(entry: Entry, dense: Floats, tokens: Floats) -> Kept:
    if not entry.id:
        raise ValueError(f"an entry of {entry.source.place} has an empty id.")
    if not (np.isfinite(dense).all() and np.isfinite(tokens).all()):
        raise ValueError(f"{entry.id!r} has vectors that are not finite numbers; a store keeps unit vectors.")
    text = _text(entry.text)
    metadata = {_text(key): _text(value) for key, value in entry.metadata.items()}
    packed = codes.pack(tokens)
    return Kept(
        entry=replace(entry, text=text, metadata=metadata),
        words=analysed(text),
        dense=np.array(dense, np.float32),
        packed=packed,
        token_count=len(tokens),
        token_width=tokens.shape[1],
        digest=digest(packed),
    )


def _text(given: str) -> str:
    """Text without halves of surrogate pairs, which neither files nor terminals can hold. A whole pair becomes its character."""
    return given.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
