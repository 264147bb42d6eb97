"""How a store answers: candidates, MaxSim, one ranking per signal, reciprocal-rank fusion. The same for every engine.

An engine tells what it has through `Evidence`; what follows from it is decided here, so that every engine gives the same
answer: the same ids in the same order, whatever the order and the batches in which they were added.

Token vectors are searched in three looks, each at fewer entries and at more of them: Hamming distances of sign bits over everything;
two bits against the query itself over the best of those, of the dense vectors and of the words; int8 MaxSim over the best of these three
rankings fused. `bench/search.py` tells what each look costs and loses.

Letters: n entries, T query tokens, d dense width, m token width, W words.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from unitower import codes
from unitower.codes import Bytes, Int64s
from unitower.kernels import chosen as chosen_kernel
from unitower.kernels import scores as maxsim
from unitower.scoring import BLOCK_ROWS, ranked, reciprocal_rank_fusion
from unitower.stores import Found, Query
from unitower.stores._segment import Segment
from unitower.stores.where import parse
from unitower.stores.words import analysed, asked, phrase
from unitower.types import Floats

Positions: TypeAlias = npt.NDArray[np.int64]
Scores: TypeAlias = npt.NDArray[np.float64]

SIGNALS = ("multi", "dense", "text")

ALL_SCORED = 500
"""Entries up to which all are scored by int8 MaxSim: 15 ms for pages of 256 tokens, most of it reading them."""

SCANNED_WHOLE = 4_000
"""Entries up to which the scan looks at all tokens of each, at 0.75 us. Of more, it first looks at their heads (`codes.heads`), a quarter
of their tokens, and then at all tokens of the LIKELY. docs/search.md has what that loses."""

LIKELY = 13, 1_500
"""Of how many entries one is looked at whole after its heads, and how many are at least."""

HEADS_AND_DENSE = 0.5
"""What the dense vectors weigh beside the heads when the likely are chosen, in standard deviations of each: .25 and 1 lost more."""

LOOKED_AT = 500
"""Entries that the scan puts forward for the second look, which takes 4 to 6 us each. Fewer lose answers where pages are hard to tell
apart: of the true ten among 5,000, the scan had 78 in 100 among its first 200, 91 among 600, 97 among 1,000 (easy pages: all)."""

NEAR = 150
"""Entries that dense vectors and words each put forward."""

CANDIDATES = 100
"""Entries of which the token vectors are read and scored, at 15 us each. By two bits a number, the true ten were among the first 100 in
all cases of the easy kind and in 98 of 100 of the hard one."""

BY_TOKENS = 0.7
"""Share of the candidates that two bits a number choose alone; the fused rankings choose the others. With no such share, the true ten of
20,000 hard pages were less often among 120 candidates than they are among 100 with it."""

SCANNED = 200_000
"""Entries up to which all are scanned, 0.8 us each for pages of 256 tokens. Above, the dense index puts candidates forward instead."""

DEPTH = 100
"""Length of the rankings that are fused: that of the candidates, so that small and large stores fuse alike. Without an end, MaxSim
would give every entry of a small store a share, and none beyond the candidates of a large one."""

QUERY_WORDS = 100
"""Different words of a query that are looked up. Whoever pastes a page has said what it is about by then."""

CLOSE, ALIKE = 0.9, 0.998
"""Similarity of dense vectors, and mean similarity of token vectors, from which two entries may be near duplicates. To the shipped model,
pictures of different invoices of one form are up to .996 alike (`bench/duplicates.py`): a copy told twice is better than a page hidden."""

FOLDED_MOST = 30
"""Entries beyond twice the k that are looked at for near duplicates."""

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


@dataclass(frozen=True, kw_only=True)
class Pages:
    """Token vectors of entries in one buffer.

    data     packed matrices (`codes.pack`)
    starts   int64 [n], where each begins, in bytes
    lengths  int64 [n], tokens of each
    """

    data: Bytes
    starts: Int64s
    lengths: Int64s


@dataclass(frozen=True, kw_only=True)
class Scan:
    """Scan codes of all entries.

    segments  of rows, in any order
    segment   int64 [n], which one an entry lies in, by position
    row       int64 [n], and where in it
    """

    segments: Sequence[Segment]
    segment: Int64s
    row: Int64s


class Evidence(Protocol):
    """What an engine tells about its entries. Positions count the ids in ascending order, so that ties by position are ties by id."""

    @property
    def ids(self) -> Sequence[str]:
        """All ids, ascending."""
        ...

    @property
    def widths(self) -> tuple[int, int] | None:
        """Columns of the dense and the token vectors; None in an empty store."""
        ...

    @property
    def token_counts(self) -> Int64s:
        """Tokens of each entry, int64 [n]."""
        ...

    def cosines(self, dense: Floats) -> Floats:
        """Dot product of the query [d] with every entry's dense vector by `cosines`, float32 [n]."""
        ...

    def matches(self, words: Sequence[str], *, phrase: str) -> Matches:
        """Entries with at least one of the words; `phrase` is what `words.phrase` wrote, or "" for none."""
        ...

    def columns(self, names: frozenset[str]) -> Mapping[str, Any]:
        """Columns of `where.COLUMNS` as pyarrow arrays, by position."""
        ...

    def scan(self) -> Scan:
        """Scan codes of all entries."""
        ...

    def nearest(self, dense: Floats, *, number: int) -> Positions | None:
        """About so many entries with the largest dot products, by an index that is made for many; None where there is none."""
        ...

    def pages(self, positions: Positions) -> Pages:
        """Token vectors of entries, in the order given."""
        ...

    def texts(self, positions: Positions) -> list[str]:
        """Texts of entries, in the order given."""
        ...


@dataclass(frozen=True, kw_only=True)
class _Ranking:
    positions: Positions  # best first
    scores: Scores


def search(
    evidence: Evidence,
    query: Query,
    *,
    k: int,
    weights: Mapping[str, float] | None = None,
    where: str | None = None,
    exact: bool = False,
    fold: bool = False,
) -> list[Found]:
    """The k best entries, best first, equal scores by id. Fewer where fewer match; none in an empty store or for an empty query.

    The signals are "multi" (MaxSim; "dense" takes its place where the query has no tokens or "multi" weighs 0) and "text"
    (BM25; entries with the query's words as a phrase come before all others). A signal of weight 0 is neither computed nor told.
    `Found.signals` names those that brought the entry, the one that counted most first.

    weights  signal -> weight, 1 where not given
    where    a condition of `stores.where`. It is applied first: among the entries that meet it, the search is as good as in a store
             that holds no others (words count for as much as they do in the whole store)
    exact    score all of them by MaxSim
    fold     near duplicates (see `_folded`) are told with the best of them and do not count among the k
    raises   ValueError for k < 0, an unknown signal, a weight that is negative or not finite, a query of the wrong width, a condition
             that makes no sense
    """
    if k < 0:
        raise ValueError(f"k is the number of answers wanted, got {k}.")
    weight = _weights(weights)
    condition = None if where is None else parse(where)
    for form in (query.dense, query.tokens):
        if form is not None and not np.isfinite(form).all():
            raise ValueError("the query's vectors are not finite numbers.")
    if k == 0 or not len(evidence.ids):
        return []
    among = np.arange(len(evidence.ids))
    if condition is not None:
        among = np.flatnonzero(condition.mask(evidence.columns(condition.names)))
    depth = max(DEPTH, 2 * k if fold else k)
    rankings: dict[str, _Ranking] = {}
    by_words = _by_words(evidence, query.text, among, depth=depth) if weight["text"] else None
    if query.tokens is not None and weight["multi"]:
        rankings["multi"] = _by_tokens(evidence, query, by_words, among, depth=depth, exact=exact)
    elif query.dense is not None and weight["dense"]:
        rankings["dense"] = best(among, evidence.cosines(np.asarray(query.dense, np.float32))[among], limit=depth)
    if by_words is not None:
        rankings["text"] = by_words
    if not fold:
        return _fused(evidence.ids, rankings, weight, k=k)
    return _folded(evidence, _fused(evidence.ids, rankings, weight, k=2 * k + FOLDED_MOST), k=k)


def _weights(weights: Mapping[str, float] | None) -> dict[str, float]:
    given = dict(weights or {})
    if unknown := sorted(given.keys() - set(SIGNALS)):
        raise ValueError(f"{unknown[0]!r} is not a search signal: there are {', '.join(SIGNALS)}.")
    for signal, weight in given.items():
        if not (np.isfinite(weight) and weight >= 0):
            raise ValueError(f"the weight of {signal!r} is {weight}: give a number of at least 0.")
    return {signal: float(given.get(signal, 1.0)) for signal in SIGNALS}


# Token vectors


def _by_tokens(evidence: Evidence, query: Query, by_words: _Ranking | None, among: Positions, *, depth: int, exact: bool) -> _Ranking:
    """The best entries by MaxSim, of all among them or of candidates."""
    tokens = np.asarray(query.tokens, np.float32)
    assert evidence.widths is not None
    if tokens.ndim != 2 or not len(tokens) or tokens.shape[1] != evidence.widths[1]:
        raise ValueError(f"the query's token vectors have shape {tokens.shape}, those in the store have width {evidence.widths[1]}.")
    if query.dense is not None and np.shape(query.dense) != (evidence.widths[0],):
        raise ValueError(f"the query's dense vector has shape {np.shape(query.dense)}, those in the store have width {evidence.widths[0]}.")
    asked_for = codes.query(tokens)
    if not exact and len(among) > ALL_SCORED:
        among = _candidates(evidence, query, asked_for, by_words, among, number=max(CANDIDATES, depth))
    return best(among, _maxsim(evidence, asked_for, among), limit=depth)


def _candidates(
    evidence: Evidence, query: Query, asked_for: codes.QueryCode, by_words: _Ranking | None, among: Positions, *, number: int
) -> Positions:
    """Positions to score by MaxSim, ascending: the best by two bits a number, by dense vectors and by words, fused."""
    scan, kernel = evidence.scan(), chosen_kernel()
    rankings: dict[str, _Ranking] = {} if by_words is None else {"text": by_words}
    indexed = _indexed(evidence, query, among)
    pool = among if indexed is None else indexed
    dense = None if query.dense is None else _dense_products(scan, query.dense, pool)
    if dense is not None:
        rankings["dense"] = best(pool, dense, limit=max(NEAR, number))
    if indexed is None:
        pool = _scanned(scan, asked_for, among, dense, number=max(LOOKED_AT, 2 * number))
    chosen = np.zeros(len(evidence.ids), bool)
    for positions in (pool, *(ranking.positions[: max(NEAR, number)] for ranking in rankings.values())):
        chosen[positions] = True
    pool = np.flatnonzero(chosen)
    looks = _over(scan, pool, lambda own, rows: kernel.coarse(asked_for, own.planes, own.starts[rows], own.lengths[rows]))
    rankings["multi"] = best(pool, looks, limit=2 * number)
    named = {signal: ranking.positions.tolist() for signal, ranking in rankings.items()}
    fused = reciprocal_rank_fusion(named) | dict.fromkeys(named["multi"][: int(BY_TOKENS * number)], np.inf)
    found, shares = np.fromiter(fused, np.int64, len(fused)), np.fromiter(fused.values(), np.float64, len(fused))
    return np.sort(best(found, shares, limit=number).positions)


def _scanned(scan: Scan, asked_for: codes.QueryCode, among: Positions, dense: npt.NDArray[np.float64] | None, *, number: int) -> Positions:
    """The entries with the least Hamming distances, best first; of many, among the best by their heads and dense vectors together."""
    kernel, signs = chosen_kernel(), asked_for.signs
    if len(among) > SCANNED_WHOLE:
        heads = _over(scan, among, lambda own, rows: kernel.hamming(signs, own.planes.signs, own.starts[rows, 0], own.lengths[rows, 0]))
        likely = -_standard(heads) if dense is None else HEADS_AND_DENSE * _standard(dense) - _standard(heads)
        among = np.sort(best(among, likely, limit=max(len(among) // LIKELY[0], LIKELY[1], number)).positions)
    distances = _over(scan, among, lambda own, rows: kernel.hamming(signs, own.planes.signs, own.starts[rows], own.lengths[rows]))
    return best(among, -distances, limit=number).positions


def _standard(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Scores with mean 0 and standard deviation 1."""
    scores = scores - scores.mean()
    return scores / max(float(np.sqrt(np.square(scores).mean())), 1e-12)


def _indexed(evidence: Evidence, query: Query, among: Positions) -> Positions | None:
    """What the dense index puts forward where there are too many entries to scan; None where there is no need or no index."""
    if len(among) <= SCANNED or query.dense is None:
        return None
    share = len(among) / len(evidence.ids)
    found = evidence.nearest(np.asarray(query.dense, np.float32), number=int(10 * LOOKED_AT / share))
    return None if found is None else np.intersect1d(found, among)


def _dense_products(scan: Scan, dense: Floats, among: Positions) -> npt.NDArray[np.float64]:
    """Dot products with the int8 copies of the dense vectors."""
    asked_for, kernel = codes.query(np.asarray(dense, np.float32)[None]), chosen_kernel()

    return _over(scan, among, lambda own, rows: kernel.dots(asked_for, own.dense[rows]) * own.scales[rows].astype(np.float64))


def _over(scan: Scan, positions: Positions, look: Callable[[Segment, Any], npt.NDArray[Any]]) -> npt.NDArray[np.float64]:
    """What `look(segment, rows)` gives for entries, in the order of the positions. Rows are ascending, so that memory is gone through from
    its beginning to its end; `slice(None)` for all of them in order, which costs no copy."""
    of, rows = scan.segment[positions], scan.row[positions]
    out = np.empty(len(positions), np.float64)
    for number, segment in enumerate(scan.segments):
        own = np.flatnonzero(of == number) if len(scan.segments) > 1 else np.arange(len(positions))
        if not len(own):
            continue
        chosen = rows[own]
        if not (chosen[1:] > chosen[:-1]).all():
            order = np.argsort(chosen)
            own, chosen = own[order], chosen[order]
        out[own] = look(segment, slice(None) if len(chosen) == len(segment.offsets) else chosen)
    return out


def _maxsim(evidence: Evidence, asked_for: codes.QueryCode, positions: Positions) -> Floats:
    """MaxSim at the positions, float32 [n], with about BLOCK_ROWS token vectors in memory (but one entry at least)."""
    ends = np.cumsum(evidence.token_counts[positions])
    scores = np.empty(len(positions), np.float32)
    start = 0
    while start < len(positions):
        read = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, read + BLOCK_ROWS, side="right")))
        pages = evidence.pages(positions[start:stop])
        scores[start:stop] = maxsim(chosen_kernel(), asked_for, pages.data, pages.starts, pages.lengths)
        start = stop
    return scores


# Dense vectors


def cosines(matrix: Floats, query: Floats) -> Floats:
    """Dot products of a query [d] with rows [n, d], float32 [n], the same for a row wherever it stands.

    Not `matrix @ query`: BLAS sums the rows at the end of a block in another order, so that two copies of a page differed in the
    last digit and were told apart by where they were stored. einsum is as fast (10 ms for 20,000 rows of 2048).
    """
    if query.shape != (matrix.shape[1],):
        raise ValueError(f"the query's dense vector has shape {query.shape}, those in the store have width {matrix.shape[1]}.")
    products: Floats = np.einsum("nd,d->n", matrix, query)
    return products


def best(positions: Positions, scores: npt.NDArray[Any], *, limit: int) -> _Ranking:
    """The highest scores first, equal ones by position."""
    if limit < len(scores):
        least = np.partition(scores, len(scores) - limit)[len(scores) - limit]
        positions, scores = positions[scores >= least], scores[scores >= least]
    order = np.lexsort((positions, -scores))[:limit]
    return _Ranking(positions=positions[order], scores=scores[order].astype(np.float64))


# Words


def _by_words(evidence: Evidence, text: str, among: Positions, *, depth: int) -> _Ranking | None:
    """Entries by BM25, those with the whole query as a phrase first; None where no word is found."""
    query = asked(text)
    words = list(query.counts)[:QUERY_WORDS]
    if not words:
        return None
    matches = evidence.matches(words, phrase=phrase(query.parts) if len(query.parts) > 1 else "")
    kept = np.isin(matches.positions, among, assume_unique=True) if len(among) < len(evidence.ids) else slice(None)
    scores = bm25(matches)[kept] if len(matches.positions) else np.zeros(0)
    positions, has_phrase = matches.positions[kept], matches.has_phrase[kept]
    if not len(positions):
        return None
    order = np.lexsort((positions, -scores, ~has_phrase))[:depth]
    return _Ranking(positions=positions[order], scores=scores[order])


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


# Near duplicates


def _folded(evidence: Evidence, found: Sequence[Found], *, k: int) -> list[Found]:
    """The first k of those found that are not near duplicates of a better one, each with its duplicates among those found.

    Their dense vectors must be close (CLOSE). Then, where either has words, both must have the same numbers and nine words of ten in
    common: two invoices of one form are no duplicates. Where neither has any, every token of each must have its like in the other: MaxSim
    of one with the other, and of the other with the one, over its number of tokens, is ALIKE or more.
    """
    if not found:
        return []
    positions = np.array([bisect_left(evidence.ids, one.id) for one in found], np.int64)
    dense = _dense_of(evidence.scan(), positions)
    close = dense @ dense.T >= CLOSE
    np.fill_diagonal(close, False)
    compared = np.flatnonzero(close.any(axis=0) | close.any(axis=1))
    texts = dict(zip(compared.tolist(), evidence.texts(positions[compared]) if len(compared) else [], strict=True))
    kept: dict[int, _Content] = {}
    copies: dict[int, list[str]] = {}
    for i in range(len(found)):
        content = _Content(evidence=evidence, position=int(positions[i]), text=texts.get(i, ""))
        like = next((j for j, other in kept.items() if close[i, j] and content.alike(other)), None)
        if like is not None:
            copies[like].append(found[i].id)
        elif len(kept) < k:
            kept[i] = content
            copies[i] = []
    return [replace(found[i], copies=tuple(copies[i])) for i in kept]


def _dense_of(scan: Scan, positions: Positions) -> Floats:
    """Dense vectors of entries from their int8 copies, unit rows."""
    rows = [scan.segments[s].dense[r] for s, r in zip(scan.segment[positions], scan.row[positions], strict=True)]
    matrix = np.array(rows, np.float32).reshape(len(positions), -1)
    unit: Floats = matrix / np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), np.float32(1e-9))
    return unit


@dataclass(frozen=True, kw_only=True)
class _Content:
    """What an entry is compared by (see `_folded`): worked out once, and read only where it is compared."""

    evidence: Evidence
    position: int
    text: str

    @cached_property
    def words(self) -> frozenset[str]:
        return frozenset(analysed(self.text).counts)

    @cached_property
    def numbers(self) -> frozenset[str]:
        return frozenset(word for word in self.words if any(c.isdigit() for c in word))

    @cached_property
    def pages(self) -> Pages:
        """Its token vectors alone."""
        return self.evidence.pages(np.array([self.position], np.int64))

    @cached_property
    def packed(self) -> Bytes:
        """Its token vectors as `codes.pack` writes them."""
        start = int(self.pages.starts[0])
        return self.pages.data[start : start + int(self.pages.lengths[0]) * (codes.padded(self._width) + 4)]

    @cached_property
    def asking(self) -> codes.QueryCode:
        """Its token vectors as a query."""
        return codes.query(codes.unpack(self.packed, self._width))

    @property
    def _width(self) -> int:
        assert self.evidence.widths is not None
        return self.evidence.widths[1]

    def alike(self, other: _Content) -> bool:
        """Whether the words of both say the same, or their token vectors where neither has words."""
        if self.words or other.words:
            return self.numbers == other.numbers and len(self.words & other.words) >= 0.9 * len(self.words | other.words)
        return np.array_equal(self.packed, other.packed) or (self._is_in(other) and other._is_in(self))

    def _is_in(self, other: _Content) -> bool:
        """Whether every token has its like in the other."""
        pages = other.pages
        score = maxsim(chosen_kernel(), self.asking, pages.data, pages.starts, pages.lengths)[0]
        return bool(score >= ALIKE * self.pages.lengths[0])
