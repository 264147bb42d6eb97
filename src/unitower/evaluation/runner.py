"""Cards by models: every figure that is not there yet.

A task is loaded once for each model, searched by all modes in one pass, judged by each rule asked for, and written down. What is written
with the same fingerprint is not made again, and a search that was killed goes on where it was.
"""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from unitower import __version__
from unitower.evaluation import baselines, loading, metrics, results, rules, trec
from unitower.evaluation.cards import Card
from unitower.evaluation.metrics import Ties
from unitower.evaluation.models import Encoded, Model
from unitower.evaluation.results import Result
from unitower.evaluation.task import Task
from unitower.types import Encodes

DEPTH = 100
"""Documents kept for each query: as many as the deepest measure looks at."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a run is: which task of how many, and which document of it."""

    model: str
    task: str
    tasks_done: int
    tasks_total: int
    documents_done: int = 0
    documents_total: int = 0


def model(name: str, *, load: Callable[[], Encodes]) -> Model:
    """A model by its name: a baseline, or else what `load` gives, an encoder with both heads."""
    return baselines.open_baseline(name) if name in baselines.names() else Encoded(load(), name=name)


def run(
    chosen: Sequence[tuple[Card, Sequence[str]]],
    models: Iterable[Callable[[], Model]],
    *,
    out: Path,
    modes: Sequence[str] | None = None,
    rule: Sequence[str] = ("every page",),
    ties: Ties = "trec",
    limit: int | None = None,
    progress: Callable[[Progress], None] = lambda now: None,
    left_out: Callable[[str], None] = lambda reason: None,
) -> list[Result]:
    """Results of all cards and models, in their order; each is in `out` as soon as it is known.

    chosen    cards with the sub-sets that are meant
    models    opened one after the other, when their turn comes
    modes     those wanted of a model that has several; None: all it has
    rule      by which pages count, one or both of `rules.RULES`
    limit     queries and documents to try things with, see `Task.first`
    left_out  told of every baseline that is not installed; the others go on. If none is left, NotInstalled is raised

    UnitowerError and ValueError as of loading and the models.
    """
    tasks = [(card, subset) for card, subsets in chosen for subset in subsets]
    found: list[Result] = []
    missing: list[baselines.NotInstalled] = []
    for open_model in models:
        try:
            opened = open_model()
        except baselines.NotInstalled as error:
            left_out(str(error))
            missing.append(error)
            continue
        for done, (card, subset) in enumerate(tasks):
            wanted = [mode for mode in opened.modes if modes is None or mode in modes] or list(opened.modes)

            def tell(documents: int, of: int, task: str = card.task_name(subset), done: int = done, name: str = opened.name) -> None:
                progress(
                    Progress(model=name, task=task, tasks_done=done, tasks_total=len(tasks), documents_done=documents, documents_total=of)
                )

            tell(0, 0)
            found += one(card, subset, opened, out=out, modes=wanted, rule=rule, ties=ties, limit=limit, tell=tell)
    if missing and not found:
        raise missing[0]
    return found


def one(
    card: Card,
    subset: str,
    model: Model,
    *,
    out: Path,
    modes: Sequence[str],
    rule: Sequence[str],
    ties: Ties,
    limit: int | None,
    tell: Callable[[int, int], None],
) -> list[Result]:
    """Results of one sub-set by one model: from `out` where they are there, else made now."""
    if card.shape == "mteb":
        return by_mteb(card, subset, model, out=out, modes=modes, limit=limit)
    task = loading.load(card, subset)
    notes = unlike_its_card(card, subset, task)
    whole = task if limit is None else task.first(limit)
    fingerprint = {
        "model": dict(model.fingerprint(task=whole.task)),
        "data": dict(whole.identity),
        "depth": DEPTH,
        "versions": versions(),
        "seed": None,  # nothing is drawn by chance
    }
    known = {result.key: result for result in results.read(out) if same(result.fingerprint, fingerprint) and result.ties == ties}
    keys = {(name, mode): (whole.name, name, limit, model.name, mode) for name in rule for mode in modes}
    if all(key in known for key in keys.values()):
        return [known[key] for key in keys.values()]

    keep = out / "unfinished" / f"{model.name.strip('/').replace('/', '--')}.{whole.name.replace('/', '--')}.npz"
    searched = model.search(whole, modes=modes, depth=DEPTH, keep=keep, progress=tell)
    made = []
    files = out if limit is None else out / f"first-{limit}"  # a trial run must not take the place of a whole one
    for name in rule:
        judged = rules.applied(whole, name)
        trec.write_qrels(files / "qrels" / name.replace(" ", "-") / f"{whole.name}.qrels", judged.qrels)
        for mode in modes:
            figures = metrics.evaluate(rules.raised(searched.runs[mode], judged.floor), judged.qrels, ties=ties)
            made.append(
                Result(
                    task=whole.name,
                    model=model.name,
                    mode=mode,
                    measure=card.measure,
                    figures=figures,
                    rule=name,
                    ties=ties,
                    queries=len(judged.queries),
                    documents=len(judged.corpus),
                    limit=limit,
                    page_s=searched.page.wall_s,
                    page_cpu_s=searched.page.cpu_s,
                    query_s=searched.query.wall_s,
                    notes=notes,
                    fingerprint=fingerprint,
                )
            )
    for result in made:
        trec.write_run(files / "runs" / result.system / f"{whole.name}.trec", searched.runs[result.mode], tag=result.system)
    results.add(out, made)
    keep.unlink(missing_ok=True)
    return made


def by_mteb(card: Card, subset: str, model: Model, *, out: Path, modes: Sequence[str], limit: int | None) -> list[Result]:
    """Results of a card of mteb; those that are not there are made now."""
    if limit is not None:
        raise ValueError(f"{card.name} is a task of mteb, which evaluates whole sets only: leave --limit out.")
    from unitower.evaluation import mteb_bridge

    about = json.loads(json.dumps(dict(model.fingerprint(task=card.task))))
    name = card.task_name(subset)
    known = {
        result.mode: result
        for result in results.read(out)
        if (result.task, result.model) == (name, model.name)
        and (result.fingerprint["model"], result.fingerprint["data"]["revision"]) == (about, card.revision)
    }
    made = mteb_bridge.results(card, subset, model, modes=[mode for mode in modes if mode not in known], versions=versions())
    results.add(out, made)
    return [*known.values(), *made]


def same(written: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether two fingerprints agree, one of which has been through JSON. Versions of what computed it do not make a figure another."""
    drop = {"versions"}
    ours = json.loads(json.dumps({key: value for key, value in now.items() if key not in drop}))
    return bool({key: value for key, value in written.items() if key not in drop} == ours)


def unlike_its_card(card: Card, subset: str, task: Task) -> tuple[str, ...]:
    """What a person should know of the data before the figure is believed: one line each."""
    there = {"queries": len(task.queries), "documents": len(task.corpus)}
    sizes = card.sizes.get(subset, {})
    lines = [f"{there[key]:,} {key}, but its card says {size:,}" for key, size in sizes.items() if there[key] != size]
    for key in ("queries_left_out", "judgements_left_out"):
        if number := task.identity.get(key):
            lines.append(f"{number:,} {key.replace('_', ' ')}: without a relevant page, or of a page that is not there")
    return tuple(lines)


def versions() -> dict[str, str]:
    """Versions of what a figure depends on, and the machine, on which only the times do."""
    found = {"unitower": __version__, "python": platform.python_version(), "machine": f"{platform.machine()}, {processor()}"}
    for name in ("numpy", "torch", "tokenizers", "datasets", "Pillow"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def processor() -> str:
    """What the processor calls itself, and how many of them there are."""
    with suppress(OSError):
        names = re.findall(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
        if names:
            return f"{len(names)} x {names[0]}"
    return platform.processor() or "unknown"
