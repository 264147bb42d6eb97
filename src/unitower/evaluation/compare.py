"""Whether one run is better than another: query by query, and whether chance would do the same.

    better on 61 queries, worse on 22, equal on 37; ndcg_linear@5 .7312 -> .7604, +.0292 (95 % +.0071 to +.0513), p = 0.01

p      paired randomisation (Fisher; Smucker, Allan & Carterette 2007): how often the difference of the means is at least as large, in
       either direction, when each query's two figures are swapped by the toss of a coin; (1 + times) / (1 + tosses), so never 0
95 %   paired bootstrap (Efron; Sakai 2006): the middle 95 of 100 differences of queries drawn again with replacement

Where there are several tasks the mean is that of their means, as the published tables have it; sub-sets of a data set first. A query then
weighs as much as its task divided by the number of its queries, in the tosses too, and queries are drawn within their task.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from unitower.errors import UnitowerError
from unitower.evaluation import trec
from unitower.evaluation.metrics import MEASURES, Measure, Ties, mean, per_query
from unitower.evaluation.results import weights

Floats: TypeAlias = npt.NDArray[np.float64]

SAMPLES = 10_000

AT_ONCE = 4_000_000
"""Numbers drawn at once: 32 MB."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How the second run does against the first.

    better, worse, equal  queries
    first, second         means
    low, high             95 % of differences second - first, by bootstrap
    p                     of the difference, two-sided, by randomisation
    """

    measure: str
    better: int
    worse: int
    equal: int
    first: float
    second: float
    low: float
    high: float
    p: float
    samples: int
    seed: int

    @property
    def difference(self) -> float:
        return self.second - self.first

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "difference": self.difference}

    def __str__(self) -> str:
        return (
            f"better on {self.better:,} queries, worse on {self.worse:,}, equal on {self.equal:,}; {self.measure} {self.first:.4f} -> "
            f"{self.second:.4f}, {self.difference:+.4f} (95 % {self.low:+.4f} to {self.high:+.4f}), p = {shown(self.p)}"
        )


def shown(p: float) -> str:
    """A p as it is printed: two digits that mean something.

    >>> shown(0.0123), shown(0.00009), shown(0.5)
    ('0.012', '0.00009', '0.5')
    """
    return np.format_float_positional(p, precision=2 if p >= 0.01 else 1, fractional=False, trim="-")


def compare(
    first: Mapping[str, Mapping[str, float]],
    second: Mapping[str, Mapping[str, float]],
    *,
    measure: str,
    samples: int = SAMPLES,
    seed: int = 0,
) -> Comparison:
    """How the second does against the first.

    first, second  task -> query id -> figure, of the same tasks and queries

    ValueError if there are none, or they differ.
    """
    if {task: figures.keys() for task, figures in first.items()} != {task: figures.keys() for task, figures in second.items()}:
        raise ValueError("the two runs are of different tasks or queries; compare runs of the same set, rule and limit.")
    parts = [(task, np.array([[first[task][q], second[task][q]] for q in first[task]])) for task in first if first[task]]
    if not parts:
        raise ValueError("there is no query to compare.")
    share = weights(task for task, _ in parts)
    rng = np.random.default_rng(seed)
    swapped, drawn = np.zeros(samples), np.zeros(samples)
    for task, figures in parts:
        gain = figures[:, 1] - figures[:, 0]
        swapped += share[task] * means_of(gain, samples, lambda number, of: rng.integers(0, 2, (number, of)) * 2.0 - 1.0)
        drawn += share[task] * means_of(gain, samples, lambda number, of: 1.0 * rng.multinomial(of, np.full(of, 1 / of), number))
    means = sum((share[task] * figures.mean(axis=0) for task, figures in parts), np.zeros(2))
    gains = np.concatenate([figures[:, 1] - figures[:, 0] for _, figures in parts])
    observed = abs(means[1] - means[0])
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Comparison(
        measure=str(Measure.named(measure)),
        better=int((gains > 0).sum()),
        worse=int((gains < 0).sum()),
        equal=int((gains == 0).sum()),
        first=float(means[0]),
        second=float(means[1]),
        low=float(low),
        high=float(high),
        p=float((1 + (np.abs(swapped) >= observed - 1e-12).sum()) / (1 + samples)),
        samples=samples,
        seed=seed,
    )


def means_of(gain: Floats, samples: int, draw: Callable[[int, int], npt.NDArray[Any]]) -> Floats:
    """Means of the gains [n], each times what is drawn for it: [samples]. `draw` gives [samples, n], a part of them at a time."""
    step = max(1, AT_ONCE // len(gain))
    parts = [draw(min(step, samples - start), len(gain)) @ gain for start in range(0, samples, step)]
    means: Floats = np.concatenate(parts) / len(gain)
    return means


def judgements_of(runs: Path) -> Path:
    """Where `unitower eval` put the judgements of a run: OUT/qrels/every-page for what is beneath OUT/runs/SYSTEM.

    Of a run file: the judgements of its task. ValueError if it lies elsewhere.
    """
    absolute = runs.absolute()
    home = next((parent for parent in absolute.parents if parent.name == "runs"), None)
    if home is None:
        raise ValueError(f"{runs} is not in a folder runs/ of `unitower eval`: name its judgements with --qrels.")
    task = absolute.relative_to(home).parts[1:]
    folder = home.parent / "qrels" / "every-page"
    return folder.joinpath(*task).with_suffix(".qrels") if runs.is_file() else folder


def per_task(runs: Path, qrels: Path, *, measure: str, ties: Ties = "trec") -> dict[str, dict[str, float]]:
    """Task -> query id -> figure, of a run file or a folder of them.

    runs   a .trec file, or a folder as `unitower eval` writes it
    qrels  the judgements: a file, or a folder with a file of the same name for each run. Queries that they leave out do not count

    UnitowerError if there is no run, or no judgements for one.
    """
    name = str(Measure.named(measure))
    files = (
        {"": runs} if runs.is_file() else {path.relative_to(runs).with_suffix("").as_posix(): path for path in sorted(runs.rglob("*.trec"))}
    )
    if not files:
        raise UnitowerError(f"there is no run in {runs}: give a .trec file, or a folder that `unitower eval --out` wrote into runs/.")
    figures = {}
    for task, path in files.items():
        judged = qrels if qrels.is_file() else qrels / f"{task}.qrels"
        if not judged.is_file():
            raise UnitowerError(f"there are no judgements for {path}: {judged} is not there. Name them with --qrels.")
        run = trec.read_run(path)
        figures[task] = per_query(run, trec.read_qrels(judged), [name], ties=ties)[name]
    return figures


def figures_of(runs: Path, qrels: Path) -> dict[str, dict[str, float]]:
    """Task -> full name of a measure -> mean over its queries, for a run file or a folder of them; see `per_task`."""
    found: dict[str, dict[str, float]] = {}
    for name in MEASURES:
        for task, figures in per_task(runs, qrels, measure=name).items():
            found.setdefault(task or runs.stem, {})[name] = mean(figures)
    return found


def columns(figures: Mapping[str, Mapping[str, float]]) -> str:
    """Figures as lines of a terminal: a measure each, a column for every task."""
    tasks = list(figures)
    widths = [max(len(task), 6) for task in tasks]
    lines = ["  ".join([" " * 20, *(task.rjust(width) for task, width in zip(tasks, widths, strict=True))])]
    for name in MEASURES:
        values = [f"{figures[task][name]:.4f}".rjust(width) for task, width in zip(tasks, widths, strict=True)]
        lines.append("  ".join([f"{name:<20}", *values]))
    return "\n".join(lines)


def differing(first: Mapping[str, Mapping[str, float]], second: Mapping[str, Mapping[str, float]]) -> list[dict[str, Any]]:
    """Every query whose figure differs: task, query, first, second; the largest loss first."""
    found = [
        {"task": task, "query": query, "first": figure, "second": second[task][query]}
        for task, figures in first.items()
        for query, figure in figures.items()
        if second[task][query] != figure
    ]
    return sorted(found, key=lambda one: (one["second"] - one["first"], one["task"], one["query"]))
