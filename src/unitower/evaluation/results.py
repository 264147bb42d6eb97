"""A result with everything that made it: one JSON line per task, model and mode.

    out/results.jsonl                     what is measured, a line each
    out/runs/nano.multi/jina_vdr/tatqa.trec      the documents found, in TREC's form
    out/qrels/jina_vdr/tatqa.qrels        the judgements they were measured by
    out/.lock                             held by the one run that adds results

A line replaces an earlier one of the same task, rule, limit, model and mode.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from unitower.errors import UnitowerError
from unitower.evaluation.trec import write_whole

FILE = "results.jsonl"

LOCK = ".lock"
"""Stays there: a lock file that is taken away would be two, to those who wait for it."""

LOCK_WAIT_S = 30.0
"""Adding results takes milliseconds: whoever has the lock for longer hangs."""

FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a model reached on a task.

    task         name of the card, with `:SUBSET` where there are several
    model, mode  "nano", "multi"; a baseline such as "bm25" has the mode "words"
    measure      the figure the data set is reported by, a key of `figures`
    figures      full name of a measure -> mean over the queries, 0 to 1
    rule         which pages count, see `rules`; ties: which of equal scores comes first, see `metrics`
    queries, documents  how many there were
    limit        queries that were asked for with --limit; None: all
    page_s       seconds per document to make it searchable, reading and decoding left out; page_cpu_s: of all processors together
    query_s      seconds per query, scoring every document included
    notes        what a person should know before the figure is believed
    fingerprint  model: revision, adapter, prompts, limits, widths; data: card, path, revision; versions of what computed it; seed
    """

    task: str
    model: str
    mode: str
    measure: str
    figures: Mapping[str, float]
    rule: str
    ties: str
    queries: int
    documents: int
    limit: int | None = None
    page_s: float | None = None
    page_cpu_s: float | None = None
    query_s: float | None = None
    notes: tuple[str, ...] = ()
    fingerprint: Mapping[str, Any] = field(default_factory=dict)
    format: int = FORMAT

    @property
    def score(self) -> float:
        """The figure the data set is reported by."""
        return self.figures[self.measure]

    def as_dict(self) -> dict[str, Any]:
        """All fields, and the score."""
        return {"score": self.score, **asdict(self)}

    @property
    def key(self) -> tuple[Any, ...]:
        """What a later result replaces an earlier one by."""
        return (self.task, self.rule, self.limit, self.model, self.mode)

    @property
    def system(self) -> str:
        """Model and mode as a folder is called.

        A model that is a path or a Hub id has its separators written as `--`.
        """
        return f"{self.model.strip('/').replace('/', '--')}.{self.mode}"


def read(path: Path) -> list[Result]:
    """Results of a file, or of `results.jsonl` in a folder; none where there is none yet. UnitowerError names a line that is no result."""
    file = path / FILE if path.is_dir() or not path.suffix else path
    if not file.exists():
        return []
    found = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            values = json.loads(line)
            values["notes"] = tuple(values.get("notes", ()))
            found.append(Result(**{f.name: values[f.name] for f in fields(Result) if f.name in values}))
        except (ValueError, TypeError, KeyError) as error:
            raise UnitowerError(f"{file}, line {number} is no result: {error}") from error
    return found


def write(path: Path, results: Iterable[Result]) -> None:
    """All results of a folder or file, one of each key (the last), as they came."""
    kept = {result.key: result for result in results}
    file = path / FILE if path.is_dir() or not path.suffix else path
    write_whole(file, (json.dumps(result.as_dict(), ensure_ascii=False) + "\n" for result in kept.values()))


def add(out: Path, made: Iterable[Result]) -> None:
    """Results beside those of the folder, in place of those of the same key. Runs that add to it at once lose none.

    UnitowerError if another process keeps the folder from being written to.
    """
    from filelock import FileLock, Timeout

    lock = out / LOCK
    out.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(lock, timeout=LOCK_WAIT_S):
            write(out, [*read(out), *made])
    except Timeout as error:
        raise UnitowerError(f"{out / FILE} is being written to by another process. Run again when that has ended.") from error


def weights(tasks: Iterable[str]) -> dict[str, float]:
    """Share of each task in the mean of a benchmark: every data set the same, divided among its sub-sets.

    The overall score of Jina-VDR is taken so (arXiv 2506.18902, section 6): the mean of a multilingual set first, then of the 43 sets.

    >>> weights(["a:de", "a:fr", "b"])
    {'a:de': 0.25, 'a:fr': 0.25, 'b': 0.5}
    """
    several = list(dict.fromkeys(tasks))
    subsets = Counter(task.partition(":")[0] for task in several)
    return {task: 1 / len(subsets) / subsets[task.partition(":")[0]] for task in several}


def macro(scores: Mapping[str, float]) -> float:
    """The overall score of a benchmark from those of its tasks: see `weights`.

    >>> macro({"a:de": 0.2, "a:fr": 0.4, "b": 0.9})
    0.6
    """
    return math.fsum(share * scores[task] for task, share in weights(scores).items())
