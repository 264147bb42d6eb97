"""From a question to hits: which signals are asked for, what the stores find, and how it is told."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from unitower.index.ledger import Recorded
from unitower.index.snippet import snippet
from unitower.stores import Entry, Found, Query, Store
from unitower.types import Hit, Source

Mode: TypeAlias = Literal["auto", "multi", "dense", "text", "exact"]

MODES: Mapping[str, Mapping[str, float] | None] = {
    "auto": None,
    "multi": {"dense": 0, "text": 0},
    "dense": {"multi": 0, "text": 0},
    "text": {"multi": 0, "dense": 0},
    "exact": {"dense": 0, "text": 0},
}
"""Mode -> weights of the signals; None: those of the caller or the encoder."""

GROUPED_FROM = 100
"""Entries that are found at least, before they are grouped by file."""

AS_GOOD = 0.9
"""Share of the best likeness from which an entry counts as a match of a file, where the words do not say so."""

OTHERS_TOLD = 5


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked of a store. See `Index.search` for the arguments."""

    query: Query
    k: int
    weights: Mapping[str, float] | None
    exact: bool = False
    where: str | None = None
    fold: bool = True


def weights_of(mode: str, given: Mapping[str, float] | None) -> Mapping[str, float] | None:
    """Weights for a mode. ValueError for an unknown mode, or weights beside one that has its own."""
    if mode not in MODES:
        raise ValueError(f"mode {mode!r} is unknown: there are {', '.join(MODES)}.")
    if mode != "auto" and given is not None:
        raise ValueError(f"mode {mode!r} has weights of its own; leave weights out, or search with mode 'auto'.")
    return given if mode == "auto" else MODES[mode]


def found_in(store: Store, question: Question, *, k: int) -> list[Found]:
    """What the store answers."""
    return store.search(question.query, k=k, weights=question.weights, where=question.where, exact=question.exact, fold=question.fold)


def single(store: Store, question: Question, *, words: str, shown: Callable[[str], str]) -> list[Hit]:
    """A hit for each entry found. `shown` gives a path as the person sees it."""
    found = found_in(store, question, k=question.k)
    entries = _entries(store, found)
    # A writer may have deleted one in between.
    there = [one for one in found if one.id in entries]
    return [_hit(one, entries, rank=rank, words=words, shown=shown) for rank, one in enumerate(there, start=1)]


def by_file(
    store: Store, question: Question, *, words: str, shown: Callable[[str], str], items: Callable[[str], Sequence[Recorded]]
) -> list[Hit]:
    """A hit for each file: its best entry, with the number of its entries that match, the best of these, and its neighbours.

    An entry matches if it has words of the query, where words are searched, or a likeness of at least AS_GOOD of the best there is; those
    beyond the best hundred (or ten times k) are not counted.

    items  what the ledger knows of a file, by its key
    """
    number = max(GROUPED_FROM, 10 * question.k)
    while True:
        found = found_in(store, question, k=number)
        entries = _entries(store, found)
        files: dict[str, list[Found]] = {}
        for one in found:
            if one.id in entries:
                files.setdefault(entries[one.id].source.path, []).append(one)
        if len(files) >= question.k or len(found) < number:
            break
        number *= 4  # a few long files fill the list
    best = max(map(likeness, found), default=-math.inf)
    good = best - (1 - AS_GOOD) * abs(best)
    hits = []
    for rank, (path, of_file) in enumerate(list(files.items())[: question.k], start=1):
        first = of_file[0]
        matching = [one for one in of_file if "text" in one.signals or likeness(one) >= good]
        others = [one for one in matching if one is not first]
        part = entries[first.id].part
        beside = [item.id for item in items(path) if abs(item.part - part) == 1]
        neighbours = sorted(store.entries(beside), key=lambda entry: entry.part)
        hits.append(
            replace(
                _hit(first, entries, rank=rank, words=words, shown=shown),
                matches=len(others) + 1,
                others=tuple(_shown(entries[one.id].source, shown) for one in others[:OTHERS_TOLD]),
                neighbours=tuple(_shown(entry.source, shown) for entry in neighbours),
            )
        )
    return hits


def likeness(one: Found) -> float:
    """What its vectors say: MaxSim, or the cosine where dense vectors are searched instead; -inf where words alone found it."""
    return one.signals.get("multi", one.signals.get("dense", -math.inf))


def _entries(store: Store, found: Sequence[Found]) -> dict[str, Entry]:
    """Entries of those found, and of their copies, by id."""
    return {entry.id: entry for entry in store.entries([id for one in found for id in (one.id, *one.copies)])}


def _hit(one: Found, entries: Mapping[str, Entry], *, rank: int, words: str, shown: Callable[[str], str]) -> Hit:
    entry = entries[one.id]
    return Hit(
        rank=rank,
        score=one.score,
        id=one.id,
        source=_shown(entry.source, shown),
        modality=entry.modality,
        snippet=snippet(entry.text, words),
        found_by=tuple(one.signals),
        metadata=entry.metadata,
        copies=tuple(_shown(entries[id].source, shown) for id in one.copies if id in entries),
    )


def _shown(source: Source, shown: Callable[[str], str]) -> Source:
    return replace(source, path=shown(source.path))
