"""What a search could cost and find with other settings, measured on a sample of the user's own index.

For each setting every query is answered as a search does it: a scan of all pages by codes of the tokens, dense vectors beside it, the two
rankings fused to candidates, int8 MaxSim of these. Recall is the share of the ten best pages by exact MaxSim of all tokens, of the sample,
that are among its ten. What the index does now takes more looks (`stores/ranking.py`): its time is put together from those. A sample has
fewer pages that come close than the whole index: what is recommended has candidates in proportion.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from unitower import codes
from unitower.codes import Int64s
from unitower.encode.compress import pooled
from unitower.errors import StoreError
from unitower.index.folder import Index
from unitower.index.manifest import POOLINGS
from unitower.index.shelves import Shelves
from unitower.kernels import Kernel, chosen, scores
from unitower.scoring import reciprocal_rank_fusion
from unitower.stores import Store
from unitower.stores.ranking import ALL_SCORED, CANDIDATES, LIKELY, LOOKED_AT, NEAR, SCANNED_WHOLE
from unitower.types import Floats, Ragged

TASK = "retrieval"

SAMPLE, QUERIES = 1_000, 30
LEAST = 50
"""Entries below which there is nothing to tune: everything is compared with everything, in milliseconds."""

BITS = (1, 2, 8)
"""Of a token's numbers in the scan: signs, both planes, or the int8 codes themselves, which is an exact scan."""

DEPTHS = (50, 100, 200, 400)
"""Candidates that are tried."""

NARROWEST = 64
"""Columns of a dense vector that is cut: below, little of it is left."""

TOP = 10
WORDS = 6
"""Of an entry's text, that make a query."""

RECALL = 0.95


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One way to search.

    dims        columns of the dense vectors that are used; 0: none
    bits        of a token's numbers that are scanned
    pooling     tokens merged into one
    candidates  pages that are scored by int8 MaxSim
    """

    dims: int
    bits: int
    pooling: int
    candidates: int


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a setting costs and finds.

    bytes_per_page  of codes and vectors, scan codes included
    ms              processor time of a search over the whole index, from the time over the sample
    recall          of the true ten, 0 to 1
    """

    setting: Setting
    bytes_per_page: int
    ms: float
    recall: float


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """What `tune` found.

    pages     in the index; sampled of them, queries asked
    now       the setting of the index, as near as it was measured
    best      the one that is recommended: the cheapest that reaches the recall asked for, or the one that comes closest
    measured  all of them
    """

    pages: int
    sampled: int
    queries: int
    wanted: float
    now: Measured
    best: Measured
    measured: tuple[Measured, ...]

    @property
    def candidates(self) -> int:
        """Candidates of the recommended setting for the whole index, in proportion to its size."""
        return max(TOP, round(self.best.setting.candidates * self.pages / self.sampled))

    @property
    def frontier(self) -> list[Measured]:
        """Those that no other beats in recall, size and time at once, the cheapest first; each recall once."""
        kept = [one for one in self.measured if not any(beats(other, one) for other in self.measured)]
        return sorted(kept, key=lambda one: (one.recall, one.bytes_per_page, one.ms))

    def as_dict(self) -> dict[str, Any]:
        """The keys of `unitower tune --json`."""
        return {
            "pages": self.pages,
            "sampled": self.sampled,
            "queries": self.queries,
            "wanted": self.wanted,
            "now": told(self.now),
            "best": told(self.best) | {"candidates_for_the_index": self.candidates},
            "measured": [told(one) for one in self.measured],
        }


def told(one: Measured) -> dict[str, Any]:
    return {**vars(one.setting), "bytes_per_page": one.bytes_per_page, "ms": round(one.ms, 3), "recall": round(one.recall, 4)}


def beats(other: Measured, one: Measured) -> bool:
    """Whether another is nowhere worse and somewhere better."""
    ours, theirs = ((-m.recall, m.bytes_per_page, m.ms) for m in (one, other))
    return theirs != ours and all(a <= b for a, b in zip(theirs, ours, strict=True))


def tune(index: Index, *, queries: Sequence[str] = (), sample: int = SAMPLE, recall: float = RECALL, seed: int = 0) -> Tuning:
    """Measure settings on a sample of an index and recommend one.

    queries  what its users ask; none: words of its entries are asked for
    sample   entries, chosen by chance
    recall   that is wanted, 0 to 1

    StoreError where there are fewer than 50 entries. ValueError for a recall out of range, or where there are no queries and no texts
    to make some of.
    """
    if not 0 < recall <= 1:
        raise ValueError(f"recall is {recall}: give a share above 0 and at most 1.")
    store = Shelves(index.folder, (TASK,)).get(TASK)
    pages = 0 if store is None else len(store)
    if store is None or pages < LEAST:
        raise StoreError(f"{index.folder} holds {pages} entries: below {LEAST} every search is exact, and there is nothing to tune.")
    if sample < LEAST:
        raise ValueError(f"a sample of {sample} is too small: take {LEAST} or more.")
    chance = random.Random(seed)
    ids = sorted(chance.sample(sorted(entry.id for entry in store.entries()), min(sample, pages)))
    asked = list(queries) or list(made_queries(store, ids, chance))
    if not asked:
        raise ValueError("there are no texts in the index to make queries of: give some, --queries FILE, one a line.")
    vectors = index.encoder.encode(asked, task=TASK, role="query")
    dense, tokens = store.vectors(ids)
    bench = Bench(Ragged.of(tokens), dense, pooling=index.manifest.pooling)
    measured = bench.run(vectors.dense, list(vectors.multi), pages=pages)
    usual = min(CANDIDATES, max(one.setting.candidates for one in measured))
    now = next(
        one
        for one in measured
        if (one.setting.dims, one.setting.bits, one.setting.pooling, one.setting.candidates)
        == (dense.shape[1], 2, index.manifest.pooling, usual)
    )
    now = replace(now, ms=bench.usual_ms(pages))
    return Tuning(
        pages=pages,
        sampled=len(ids),
        queries=len(asked),
        wanted=recall,
        now=now,
        best=recommended(measured, recall=recall, now=now),
        measured=tuple(measured),
    )


def recommended(measured: Sequence[Measured], *, recall: float, now: Measured) -> Measured:
    """The cheapest that reaches the recall: in size and time, each against the setting of now. Else the one with the most recall."""
    able = [one for one in measured if one.recall >= recall]
    if not able:
        return max(measured, key=lambda one: (one.recall, -one.bytes_per_page))
    return min(able, key=lambda one: (one.bytes_per_page / now.bytes_per_page + one.ms / max(now.ms, 1e-6), -one.recall))


def made_queries(store: Store, ids: Sequence[str], chance: random.Random, number: int = QUERIES) -> Iterator[str]:
    """A few words in a row from the texts of entries chosen by chance."""
    for entry in store.entries(chance.sample(list(ids), min(len(ids), 4 * number))):
        words = re.findall(r"\w[\w'’-]*", entry.text)
        if len(words) >= WORDS and number:
            first = chance.randrange(len(words) - WORDS + 1)
            yield " ".join(words[first : first + WORDS])
            number -= 1


class Bench:
    """A sample in every form that is tried."""

    def __init__(self, tokens: Ragged, dense: Floats, *, pooling: int) -> None:
        """`pooling` is what the tokens were merged by already; they can only be merged further."""
        self.kernel: Kernel = chosen()
        self.forms = {factor: Form(pooled(tokens, factor=factor // pooling)) for factor in POOLINGS if factor % pooling == 0}
        self.finest, self.pooling = self.forms[pooling], pooling
        self.seconds_per_page: dict[int, float] = {}
        """By bits of the tokens' numbers, and 0 for dense vectors, after `run`."""
        self.dense, self.scales = codes.quantised(dense)
        self.widths = [width for width in (dense.shape[1] >> i for i in range(4)) if width >= NARROWEST] or [dense.shape[1]]

    def run(self, dense: Floats, queries: Sequence[Floats], *, pages: int) -> list[Measured]:
        """Every setting, over all queries. `pages` is the size of the index that times are told for."""
        n = len(self.dense)
        asked = [codes.query(tokens) for tokens in queries]
        depths = sorted({min(number, n) for number in DEPTHS})
        truth = [set(top(self.finest.exact(self.kernel, one), TOP)) for one in asked]
        by_dense = {0: ([np.empty(0, np.int64)] * len(asked), 0.0)} | {width: self._by_dense(dense, width) for width in self.widths}
        scanned = {
            (bits, factor): timed([partial(form.scan, self.kernel, one, bits) for one in asked])
            for bits, (factor, form) in product(BITS, self.forms.items())
        }
        exact = {factor: timed([partial(form.exact, self.kernel, one) for one in asked]) for factor, form in self.forms.items()}
        self.seconds_per_page = {bits: scanned[bits, self.pooling][1] / n for bits in BITS} | {0: by_dense[dense.shape[1]][1] / n}
        measured = []
        for dims, bits, (factor, form), depth in product(by_dense, BITS, self.forms.items(), depths):
            looks, scan_s = scanned[bits, factor]
            near, dense_s = by_dense[dims]
            final, score_s = exact[factor]
            hits = [
                len(truth[i].intersection(answered(top(looks[i], depth), near[i][:depth], final[i], depth))) / max(1, len(truth[i]))
                for i in range(len(asked))
            ]
            per_page = form.bytes_per_page(bits, self.finest.width) + dims
            seconds = (scan_s + dense_s) * pages / n + score_s * depth / n
            setting = Setting(dims=dims, bits=bits, pooling=factor, candidates=depth)
            measured.append(Measured(setting=setting, bytes_per_page=per_page, ms=1000 * seconds, recall=float(np.mean(hits))))
        return measured

    def usual_ms(self, pages: int) -> float:
        """Processor time of a search as it is: signs of all entries, or of the heads of all and of the likely; dense vectors; two bits of
        those that are looked at; int8 of the candidates."""
        per_page = self.seconds_per_page
        if pages <= ALL_SCORED:
            return 1000 * per_page[8] * pages
        whole = pages if pages <= SCANNED_WHOLE else pages / codes.HEADS + max(pages // LIKELY[0], LIKELY[1])
        looked_at = min(pages, LOOKED_AT + NEAR)
        return 1000 * (per_page[1] * whole + per_page[0] * pages + per_page[2] * looked_at + per_page[8] * min(pages, CANDIDATES))

    def _by_dense(self, dense: Floats, width: int) -> tuple[list[Int64s], float]:
        rows = np.ascontiguousarray(self.dense[:, : codes.padded(width)])
        if rows.shape[1] < codes.padded(width):
            rows = np.pad(rows, ((0, 0), (0, codes.padded(width) - rows.shape[1])))
        asked = [codes.query(one[None, :width]) for one in dense]
        found, seconds = timed([partial(self._products, one, rows) for one in asked])
        return [top(one, len(rows)) for one in found], seconds

    def _products(self, query: codes.QueryCode, rows: codes.Int8s) -> Floats:
        return (self.kernel.dots(query, rows) * self.scales).astype(np.float32)


class Form:
    """Pages with some pooling, packed and as planes."""

    def __init__(self, tokens: Ragged) -> None:
        self.width = tokens.width
        packed = [codes.pack(matrix) for matrix in tokens]
        self.pages = np.frombuffer(b"".join(packed), np.uint8)
        sizes = np.array([len(one) for one in packed], np.int64)
        self.begins = np.cumsum(sizes) - sizes
        self.starts, self.lengths = tokens.offsets[:-1], tokens.lengths
        rows, _ = codes.quantised(tokens.data)
        self.planes = codes.planes(rows)

    def scan(self, kernel: Kernel, query: codes.QueryCode, bits: int) -> Floats:
        """How alike each page is to a query by so many bits, float [n]; more is more."""
        if bits == 1:
            return -kernel.hamming(query.signs, self.planes.signs, self.starts, self.lengths).astype(np.float32)
        if bits == 2:
            return kernel.coarse(query, self.planes, self.starts, self.lengths).astype(np.float32)
        return self.exact(kernel, query)

    def exact(self, kernel: Kernel, query: codes.QueryCode) -> Floats:
        return scores(kernel, query, self.pages, self.begins, self.lengths)

    def bytes_per_page(self, bits: int, width: int) -> int:
        """Of int8 codes with their scales, and of the planes that are scanned."""
        planes = 0 if bits == 8 else bits * 8 * codes.words(width)
        return round(float(self.lengths.mean()) * (codes.padded(width) + 4 + planes))


def answered(scanned: Int64s, near: Int64s, final: Floats, depth: int) -> Int64s:
    """The ten best of the candidates that scan and dense vectors put forward together."""
    fused = reciprocal_rank_fusion({"scan": map(str, scanned.tolist()), "dense": map(str, near.tolist())})
    chosen = np.array(sorted(map(int, sorted(fused, key=lambda id: (-fused[id], int(id)))[:depth])), np.int64)
    return chosen[top(final[chosen], TOP)]


def top(scored: Floats, number: int) -> Int64s:
    """Places of the highest, best first, equal ones in order."""
    return np.argsort(-scored, kind="stable")[:number]


def timed(works: Sequence[Callable[[], Any]]) -> tuple[list[Any], float]:
    """What each gives, and the processor time of one of them: the median."""
    found, took = [], []
    for work in works:
        began = time.process_time()
        found.append(work())
        took.append(time.process_time() - began)
    return found, float(np.median(took))


def plot(tuning: Tuning, path: Path) -> None:
    """Draw recall against size and against time, every setting a point. ImportError without matplotlib."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    colours = {1: "#3b6fb6", 2: "#d9812a", 8: "#4d4d4d"}
    marks = dict(zip(sorted({one.setting.pooling for one in tuning.measured}), ("o", "s", "^", "D"), strict=False))
    figure: Any = Figure(figsize=(10.5, 4.8), layout="constrained")
    costs: dict[str, Callable[[Measured], float]] = {
        "kB for each entry": lambda one: one.bytes_per_page / 1000,
        "ms of a search, one core": lambda one: one.ms,
    }
    for axes, (name, value) in zip(figure.subplots(1, 2, sharey=True), costs.items(), strict=True):
        for one in tuning.measured:
            axes.scatter(
                value(one), one.recall, s=22, c=colours[one.setting.bits], marker=marks[one.setting.pooling], alpha=0.55, linewidths=0
            )
        axes.axhline(tuning.wanted, color="#999999", linewidth=0.8, linestyle=(0, (4, 4)))
        for one, label, side in ((tuning.now, "now", -1), (tuning.best, "recommended", 1)):
            axes.scatter(value(one), one.recall, s=150, facecolors="none", edgecolors="#b3202c" if side > 0 else "#222222", linewidths=1.6)
            axes.annotate(label, (value(one), one.recall), xytext=(8, 9 * side), textcoords="offset points", fontsize=9, va="center")
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel(name)
        axes.grid(alpha=0.25, linewidth=0.6)
        for edge in ("top", "right"):
            axes.spines[edge].set_visible(False)
    left, right = figure.axes
    left.set_ylabel(f"recall of the true {TOP}")
    handles = [right.scatter([], [], c=colour, s=30, label=f"{bits} bit" + "s" * (bits > 1)) for bits, colour in colours.items()]
    handles += [right.scatter([], [], c="#777777", s=30, marker=mark, label=f"pooling {factor}") for factor, mark in marks.items()]
    right.legend(handles=handles, frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1.0, 0.5))
    figure.suptitle(f"{tuning.sampled:,} of {tuning.pages:,} entries, {tuning.queries} queries", fontsize=11, x=0.01, ha="left")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
