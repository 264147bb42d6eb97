"""How a store answers: candidates, exact MaxSim, one ranking per signal, reciprocal-rank fusion. The same for every engine.

An engine tells what it has through `Evidence`; what follows from it is decided here, so that every engine gives the same
answer: the same ids in the same order, whatever the order and the batches in which they were added.

Letters: n entries, T query tokens, d dense width, m token width, W words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from unitower.scoring import BLOCK_ROWS, maxsim, ranked, reciprocal_rank_fusion
from unitower.stores import Found, Query
from unitower.stores.words import asked, phrase
from unitower.types import Floats, Ragged

Positions: TypeAlias = npt.NDArray[np.int64]
Scores: TypeAlias = npt.NDArray[np.float64]

SIGNALS = ("multi", "dense", "text")

ALL_SCORED = 2_000
"""Entries up to which all are scored by exact MaxSim. Candidates chosen by dense vectors lose some of the best (of the true ten,
14 in 100 with 200 candidates out of 5,000 synthetic pages, 26 out of 20,000); so many entries still take a fraction of a second."""

CANDIDATES = 250
"""Entries that dense vectors and words each put forward in a larger store. Fewer lose answers (recall of the true ten among 5,000
synthetic pages 0.78 with 100, 0.86 with 200, 0.94 with 500), more cost 0.1 ms each; the two err differently, so their union helps."""

DEPTH = 250
"""Length of the rankings that are fused: that of the candidates, so that small and large stores fuse alike. Without an end, MaxSim
would give every entry of a small store a share, and none beyond the candidates of a large one."""

QUERY_WORDS = 100
"""Different words of a query that are looked up. Whoever pastes a page has said what it is about by then."""

K1, B = 1.2, 0.75  # BM25 as Lucene and Lance set it


@dataclass(frozen=True, kw_only=True)
class Matches:
    """The entries that contain at least one of W words.

    positions   int64 [n], ascending, into `Evidence.ids`
    counts      int64 [n, W], how often each word occurs
    lengths     int64 [n], number of parts of each entry
    has_phrase  bool [n], whether the entry contains the phrase asked for; all False if none was
    entries     number of entries in the store that have words at all
    parts       sum of the lengths of all entries in the store
    """

    positions: Positions
    counts: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]
    has_phrase: npt.NDArray[np.bool_]
    entries: int
    parts: int


class Evidence(Protocol):
    """What an engine tells about its entries. Positions count the ids in ascending order, so that ties by position are ties by id."""

    @property
    def ids(self) -> Sequence[str]:
        """All ids, ascending."""
        ...

    def cosines(self, dense: Floats) -> Floats:
        """Dot product of the query [d] with every entry's dense vector by `cosines`, float32 [n]."""
        ...

    def matches(self, words: Sequence[str], *, phrase: str) -> Matches:
        """Entries with at least one of the words; `phrase` is what `words.phrase` wrote, or "" for none."""
        ...

    def token_facts(self, positions: Positions) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Number of tokens and digest of the token vectors of entries, int64 [n] each."""
        ...

    def tokens(self, positions: Positions) -> Ragged:
        """Token vectors of entries, in the order given."""
        ...


@dataclass(frozen=True, kw_only=True)
class _Ranking:
    positions: Positions  # best first
    scores: Scores


def search(evidence: Evidence, query: Query, *, k: int, weights: Mapping[str, float] | None = None) -> list[Found]:
    """The k best entries, best first, equal scores by id. Fewer where fewer match; none in an empty store or for an empty query.

    The signals are "multi" (exact MaxSim; "dense" takes its place where the query has no tokens or "multi" weighs 0) and "text"
    (BM25; entries with the query's words as a phrase come before all others). A signal of weight 0 is neither computed nor told.
    `Found.signals` names those that brought the entry, the one that counted most first.

    weights  signal -> weight, 1 where not given
    raises   ValueError for k < 0, an unknown signal, a weight that is negative or not finite, a query of the wrong width
    """
    if k < 0:
        raise ValueError(f"k is the number of answers wanted, got {k}.")
    weight = _weights(weights)
    for form in (query.dense, query.tokens):
        if form is not None and not np.isfinite(form).all():
            raise ValueError("the query's vectors are not finite numbers.")
    if k == 0 or not len(evidence.ids):
        return []
    depth = max(DEPTH, k)
    rankings: dict[str, _Ranking] = {}
    by_words = _by_words(evidence, query.text, depth=depth) if weight["text"] else None
    if query.tokens is not None and weight["multi"]:
        chosen = _candidates(evidence, query, by_words, depth=depth)
        rankings["multi"] = best(chosen, _maxsim(evidence, query.tokens, chosen), limit=depth)
    elif query.dense is not None and weight["dense"]:
        rankings["dense"] = _by_dense(evidence, query.dense, depth=depth)
    if by_words is not None:
        rankings["text"] = by_words
    return _fused(evidence.ids, rankings, weight, k=k)


def _weights(weights: Mapping[str, float] | None) -> dict[str, float]:
    given = dict(weights or {})
    if unknown := sorted(given.keys() - set(SIGNALS)):
        raise ValueError(f"{unknown[0]!r} is not a search signal: there are {', '.join(SIGNALS)}.")
    for signal, weight in given.items():
        if not (np.isfinite(weight) and weight >= 0):
            raise ValueError(f"the weight of {signal!r} is {weight}: give a number of at least 0.")
    return {signal: float(given.get(signal, 1.0)) for signal in SIGNALS}


def _candidates(evidence: Evidence, query: Query, by_words: _Ranking | None, *, depth: int) -> Positions:
    """Positions to score by MaxSim, ascending. All of a small store; all too where no dense vector narrows them down."""
    if len(evidence.ids) <= ALL_SCORED or query.dense is None:
        return np.arange(len(evidence.ids))
    number = max(CANDIDATES, depth)
    chosen = _by_dense(evidence, query.dense, depth=number).positions
    return chosen if by_words is None else np.union1d(chosen, by_words.positions[:number])


def _by_dense(evidence: Evidence, dense: Floats, *, depth: int) -> _Ranking:
    return best(np.arange(len(evidence.ids)), evidence.cosines(np.asarray(dense, np.float32)), limit=depth)


def cosines(matrix: Floats, query: Floats) -> Floats:
    """Dot products of a query [d] with rows [n, d], float32 [n], the same for a row wherever it stands.

    Not `matrix @ query`: BLAS sums the rows at the end of a block in another order, so that two copies of a page differed in the
    last digit and were told apart by where they were stored. einsum is as fast (10 ms for 20,000 rows of 2048).
    """
    if query.shape != (matrix.shape[1],):
        raise ValueError(f"the query's dense vector has shape {query.shape}, those in the store have width {matrix.shape[1]}.")
    products: Floats = np.einsum("nd,d->n", matrix, query)
    return products


def best(positions: Positions, scores: npt.NDArray[np.floating], *, limit: int) -> _Ranking:
    """The highest scores first, equal ones by position."""
    if limit < len(scores):
        least = np.partition(scores, len(scores) - limit)[len(scores) - limit]
        positions, scores = positions[scores >= least], scores[scores >= least]
    order = np.lexsort((positions, -scores))[:limit]
    return _Ranking(positions=positions[order], scores=scores[order].astype(np.float64))


def _maxsim(evidence: Evidence, query: Floats, positions: Positions) -> Floats:
    """Exact MaxSim at the positions, float32 [n], with at most BLOCK_ROWS token vectors in memory (but one entry at least).

    Entries with the same token vectors are scored once: their scores are then equal to the last bit, which BLAS does not promise.
    """
    rows, digests = evidence.token_facts(positions)
    _, firsts, inverse = np.unique(digests, return_index=True, return_inverse=True)
    to_score = np.sort(firsts)
    ends = np.cumsum(rows[to_score])
    scores = np.empty(len(positions), np.float32)
    start = 0
    while start < len(to_score):
        read = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, read + BLOCK_ROWS, side="right")))
        chunk = to_score[start:stop]
        scores[chunk] = maxsim(query, evidence.tokens(positions[chunk]))
        start = stop
    return scores[firsts[inverse]]


def _by_words(evidence: Evidence, text: str, *, depth: int) -> _Ranking | None:
    """Entries by BM25, those with the whole query as a phrase first; None where no word is found."""
    query = asked(text)
    words = list(query.counts)[:QUERY_WORDS]
    if not words:
        return None
    matches = evidence.matches(words, phrase=phrase(query.parts) if len(query.parts) > 1 else "")
    if not len(matches.positions):
        return None
    scores = bm25(matches)
    order = np.lexsort((matches.positions, -scores, ~matches.has_phrase))[:depth]
    return _Ranking(positions=matches.positions[order], scores=scores[order])


def bm25(matches: Matches) -> Scores:
    """BM25 of each match, float64 [n], above 0.

    idf = ln(1 + (N - df + 0.5) / (df + 0.5)), which is Lucene's and never negative; tf as in Robertson & Zaragoza 2009, equation 3.15.
    """
    average = matches.parts / matches.entries
    norm = K1 * (1 - B + B * matches.lengths / average)
    scores = np.zeros(len(matches.positions))
    for count in matches.counts.T.astype(np.float64):
        found_in = np.count_nonzero(count)
        idf = np.log1p((matches.entries - found_in + 0.5) / (found_in + 0.5))
        scores += idf * count * (K1 + 1) / (count + norm)
    return scores


def _fused(ids: Sequence[str], rankings: Mapping[str, _Ranking], weight: Mapping[str, float], *, k: int) -> list[Found]:
    named = {signal: [ids[p] for p in ranking.positions] for signal, ranking in rankings.items()}
    fused = reciprocal_rank_fusion(named, weights=weight)
    shares: dict[str, list[tuple[float, str, float]]] = {}
    for signal, ranking in rankings.items():
        share = reciprocal_rank_fusion({signal: named[signal]}, weights=weight)
        for id, score in zip(named[signal], ranking.scores.tolist(), strict=True):
            shares.setdefault(id, []).append((share[id], signal, score))
    return [
        Found(
            id=id,
            score=fused[id],
            signals={signal: score for _, signal, score in sorted(shares[id], key=lambda share: -share[0])},
        )
        for id in ranked(fused)[:k]
    ]
