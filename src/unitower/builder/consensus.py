"""Retrieval consensus: a query is kept where rankings that know nothing of how it was made find its page.

A set that is filtered so holds no query that all rankers miss: it is easier than what people ask, and kinder to models like the rankers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from unitower.builder.types import Draft, Dropped, Page
from unitower.builder.words import Texts
from unitower.evaluation import toml
from unitower.scoring import maxsim
from unitower.types import Encodes

ENCODED_AT_ONCE = 16

Ranker = Callable[[Draft], Sequence[str]]


def settings(values: Mapping[str, Any], *, where: str = "[filters.consensus]") -> dict[str, Any]:
    """The table `filters.consensus` with what it leaves out. ValueError names what is unknown, wrong or out of range in it."""
    toml.check(values, {"rankers": Sequence[str], "k": int, "agree": int}, where=where)
    found = {"rankers": ["words"], "k": 10, "agree": 1, **values}
    if not found["rankers"] or not 1 <= found["agree"] <= len(found["rankers"]) or found["k"] < 1:
        raise ValueError(f"{where} is {found}: agree lies between 1 and the number of rankers, k is 1 or more.")
    return found


def agreed(
    drafts: Sequence[Draft],
    pages: Sequence[Page],
    texts: Texts,
    notes: Callable[[Dropped], None],
    *,
    rankers: Sequence[str],
    k: int,
    agree: int,
    encoder: Callable[[str], Encodes] | None = None,
) -> list[Draft]:
    """The queries of which at least `agree` rankers have an answering page among their first k.

    rankers  "words" is BM25 over the texts; anything else is a model that `unitower.load` knows: its token vectors over the pictures
    encoder  loads a model by name
    """
    found = {draft.id: 0 for draft in drafts}
    for name in rankers:
        ranked = _by_words(texts, k) if name == "words" else _by_vectors(drafts, pages, (encoder or _loaded)(name), k)
        for draft in drafts:
            found[draft.id] += any(page in draft.pages for page in ranked(draft))
    kept = []
    for draft in drafts:
        if found[draft.id] >= agree:
            kept.append(draft)
        else:
            detail = f"{found[draft.id]} of {len(rankers)} rankings have its page among the first {k}"
            notes(Dropped(what="query", name=draft.text, reason="no consensus", detail=detail))
    return kept


def _by_words(texts: Texts, k: int) -> Ranker:
    return lambda draft: texts.ranked(draft.text, k=k)


def _by_vectors(drafts: Sequence[Draft], pages: Sequence[Page], encoder: Encodes, k: int) -> Ranker:
    asked = encoder.encode([draft.text for draft in drafts], role="query")
    scores = np.empty((len(drafts), len(pages)), np.float32)
    for start in range(0, len(pages), ENCODED_AT_ONCE):
        some = pages[start : start + ENCODED_AT_ONCE]
        vectors = encoder.encode([page.image if isinstance(page.image, Path) else page.text for page in some], role="passage")
        for row in range(len(drafts)):
            scores[row, start : start + len(some)] = maxsim(asked.multi[row], vectors.multi)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    rows = {draft.id: [pages[place].id for place in order[row]] for row, draft in enumerate(drafts)}
    return lambda draft: rows[draft.id]


def _loaded(name: str) -> Encodes:
    """An encoder by name. Loads torch."""
    from unitower.encode.encoder import load

    return load(name)
