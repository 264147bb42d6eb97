"""Where embeddings are kept. One engine per file; `open_store("lance:DIR")` finds it by the file's name.

A store sees ids, vectors and words, never files or models. Everything it gives back is ordered by score, equal scores by id.
`memory` is the reference: the definition of what every other engine must answer (tests/conformance/test_stores.py).

To add an engine, add one file with `def open(address: str) -> Store`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, cast

from unitower.types import Embeddings, Floats, Grid, Modality, Source


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What is kept of an item beside its vectors.

    file_sha     sha256 of the file it was read from, so that a changed file is told from a half-read one
    text         what full-text search reads and snippets are cut from; "" where nothing is known
    size_bytes   of the file when it was read, None where unknown
    modified_ns  when the file was last changed before it was read, nanoseconds since 1970; None where unknown
    grid         the cells of a page's picture among its token vectors, None for anything else
    """

    id: str
    source: Source
    modality: Modality
    part: int = 0
    file_sha: str = ""
    text: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    size_bytes: int | None = None
    modified_ns: int | None = None
    grid: Grid | None = None


@dataclass(frozen=True, kw_only=True)
class Query:
    """One query in all the forms a store can search by; a form left out takes no part.

    dense   float32 [d], unit length
    tokens  float32 [T, m], unit rows
    text    the words as typed
    """

    dense: Floats | None = None
    tokens: Floats | None = None
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class Found:
    """One entry that matched, with the rank-ordered evidence.

    score    fused score, the higher the better
    signals  signal ("multi", "dense", "text") -> its own score: MaxSim, cosine, BM25
    copies   ids of near duplicates that stand behind it and are folded into it, best first
    """

    id: str
    score: float
    signals: Mapping[str, float]
    copies: tuple[str, ...] = ()


class Store(Protocol):
    """Vectors and words that persist. Every call that writes is one commit: after a kill it has happened whole or not at all."""

    def add(self, entries: Sequence[Entry], embeddings: Embeddings) -> None:
        """Keep entries and their vectors; an id that is there already is replaced. ValueError where lengths or widths differ."""
        ...

    def delete(self, ids: Collection[str]) -> int:
        """Forget entries; ids that are not there are passed over. Returns how many went."""
        ...

    def search(
        self,
        query: Query,
        *,
        k: int,
        weights: Mapping[str, float] | None = None,
        where: str | None = None,
        exact: bool = False,
        fold: bool = False,
    ) -> list[Found]:
        """The k best entries. What is done for it stands in `ranking.search`, and is the same for every engine.

        where  a condition of `stores.where`: only entries that meet it are looked at
        exact  score every entry by MaxSim, not only candidates
        fold   tell near duplicates with the best of them
        """
        ...

    def entries(self, ids: Collection[str] | None = None) -> Iterator[Entry]:
        """Entries without their vectors, by id; all of them where ids is None. Ids that are not there are passed over."""
        ...

    def vectors(self, ids: Sequence[str]) -> tuple[Floats, list[Floats]]:
        """Stored vectors of the given ids, in that order: dense [n, d] and n token matrices. KeyError names one that is not there."""
        ...

    def damaged(self) -> list[str]:
        """Ids of entries whose token vectors are not those that were stored. Reads everything."""
        ...

    def faults(self) -> list[str]:
        """What is not as it was written, a line for each file, every byte read; empty where all is well, or nothing lies on a disk."""
        ...

    def optimize(self) -> None:
        """Bring indexes up to date and merge small pieces; never changes what a search answers."""
        ...

    def __len__(self) -> int: ...


def engines() -> list[str]:
    """Names of the engines there are: the files of this folder."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_") and m.name not in NOT_ENGINES)


NOT_ENGINES = {"ranking", "where", "words"}


def open_store(address: str) -> Store:
    """Open or create a store. `address` is `engine:place`, for example `lance:.unitower/retrieval.lance`, or `memory:`."""
    engine, separator, place = address.partition(":")
    if not separator or engine not in engines():
        raise ValueError(f"{address!r} is not a store address: write ENGINE:PLACE with an engine of {', '.join(engines())}.")
    return cast("Store", importlib.import_module(f"{__name__}.{engine}").open(place))


__all__ = ["Entry", "Found", "Query", "Store", "engines", "open_store"]
