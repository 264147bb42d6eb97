"""One stage of a course: a lesson taught step by step, from a start or from where a killed run was.

The loop of recipes (loop.py) takes pairs that lie somewhere; a lesson makes its material as it goes, knows more of it than a pair holds,
and has losses of its own. What they have in common is the promise: the state holds everything the next step depends on, so a resumed run
gives the numbers of an unbroken one, bit for bit on the same kind of machine.
"""

from __future__ import annotations

import json
import math
import random
import shutil
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from safetensors.torch import load_file
from torch import Tensor

from unitower.errors import UnitowerError
from unitower.model.checkpoint import replacing, write_json, write_tensors
from unitower.training.curve import write_curve
from unitower.training.feed import feed
from unitower.training.loop import METRICS, STATE, Told, append, hash_of, write_state
from unitower.training.masters import Masters

WEIGHTS = "weights.safetensors"
SAID = "stage.json"
MEMORY = "memory."
"""Before the names of what a lesson remembers, in a state."""


@dataclass(frozen=True)
class Measured:
    """What a step comes to: the loss, its parts, and shares that came out right, all scalars; `size` counts cells or pairs."""

    loss: Tensor
    size: int
    parts: Mapping[str, Tensor] = field(default_factory=dict)
    right: Mapping[str, Tensor] = field(default_factory=dict)


class Lesson(Protocol):
    """Something to teach: what learns, how its material is made, and how far off an answer is."""

    @property
    def parameters(self) -> Mapping[str, Tensor]:
        """What learns, by name."""
        ...

    def make(self, rng: random.Random, index: int) -> Any:
        """Material of step `index`, numpy and plain values; no torch here."""
        ...

    def measure(self, item: Any, *, progress: float) -> Measured:
        """The loss of an item, with gradients; progress goes from 0 to 1 over the stage."""
        ...


@runtime_checkable
class Remembers(Protocol):
    """A lesson whose steps depend on what earlier ones saw, not on the weights alone."""

    @property
    def memory(self) -> Mapping[str, Tensor]:
        """What the next step depends on, by name, on the CPU."""
        ...

    def recall(self, memory: Mapping[str, Tensor]) -> None:
        """Go on from what `memory` was."""
        ...


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """lr rises over `warmup` steps and falls to `last` of its height; `slow` and `muon` as `Masters` has them.

    falling  share of the steps, the last ones, over which lr falls in a straight line; None: half a cosine over all of them
    """

    steps: int
    lr: float
    warmup: int = 100
    last: float = 0.05
    clip: float = 1.0
    weight_decay: float = 0.02
    slow: Mapping[str, float] = field(default_factory=dict)
    muon: bool = False
    falling: float | None = None
    save_every: int = 250
    log_every: int = 50

    def rate(self, step: int) -> float:
        rise = min(1.0, (step + 1) / max(1, self.warmup))
        done = step / max(1, self.steps)
        if self.falling is None:
            fall = 0.5 * (1 + math.cos(math.pi * done))
            return self.lr * rise * (fall * (1 - self.last) + self.last)
        return self.lr * rise * max(self.last, min(1.0, (1 - done) / self.falling))


def teach(
    lesson: Lesson,
    schedule: Schedule,
    out: Path,
    *,
    name: str,
    seed: int,
    said: Mapping[str, Any],
    resume: bool = False,
    workers: int = 0,
    progress: Callable[[Told], None] | None = None,
) -> Path:
    """Teach to the end; the folder `out` then has weights.safetensors (float32, what learned), metrics.jsonl and curve.html.

    said    what the stage is, as JSON: `out` is gone on with only if it says the same
    resume  go on from the state in `out` if there is one; without it `out` must be new or empty
    """
    claim(out, said, resume=resume)
    masters = Masters(lesson.parameters, weight_decay=schedule.weight_decay, slow=schedule.slow, muon=schedule.muon)
    first = _restored(out, masters, lesson)
    clock, size = time.perf_counter(), 0
    seen: dict[str, dict[str, list[Tensor]]] = {"parts": defaultdict(list), "right": defaultdict(list)}
    losses: list[Tensor] = []

    with feed(lesson.make, seed=seed, first=first, workers=workers) as items:
        for step in range(first, schedule.steps):
            torch.manual_seed(hash_of(seed, step))  # of what a measure draws: the same after a resume
            measured = lesson.measure(next(items), progress=step / schedule.steps)
            measured.loss.backward()  # type: ignore[no-untyped-call]
            norm = masters.step(lr := schedule.rate(step), clip=schedule.clip)

            losses.append(measured.loss.detach())
            size += measured.size
            for kind, values in (("parts", measured.parts), ("right", measured.right)):
                for key, value in values.items():
                    seen[kind][key].append(value.detach())
            last = step + 1 == schedule.steps
            if (step + 1) % schedule.log_every == 0 or last:
                took, clock = time.perf_counter() - clock, time.perf_counter()
                means = {
                    kind: {key: round(float(torch.stack(values).mean()), 4) for key, values in of.items()} for kind, of in seen.items()
                }
                told = Told(
                    phase=name, step=step + 1, steps=schedule.steps, loss=round(float(torch.stack(losses).mean()), 5), lr=lr,
                    gradient_norm=norm, samples_per_s=round(size / took, 1), unusable=0, parts=means["parts"], accuracy=means["right"],
                )  # fmt: skip
                append(out / METRICS, asdict(told))
                if progress:
                    progress(told)
                seen, size, losses = {"parts": defaultdict(list), "right": defaultdict(list)}, 0, []
            if (step + 1) % schedule.save_every == 0 and not last:
                memory = lesson.memory if isinstance(lesson, Remembers) else {}
                write_state(out, masters.state | {f"{MEMORY}{key}": value for key, value in memory.items()}, {"step": step + 1})

    write_tensors(out / WEIGHTS, masters.weights)
    write_curve(out / METRICS, out / "curve.html", title=name)
    shutil.rmtree(out / STATE, ignore_errors=True)
    return out


def claim(out: Path, said: Mapping[str, Any], *, resume: bool) -> None:
    """Make `out`, or see that it holds this very stage. UnitowerError otherwise; nothing is ever overwritten."""
    if (out / f"{STATE}.old").exists() and not (out / STATE).exists():
        (out / f"{STATE}.old").rename(out / STATE)  # killed between the two renames of a save
    said = json.loads(json.dumps(said, default=str))
    if out.is_dir() and any(out.iterdir()):
        if not resume:
            raise UnitowerError(f"{out} is not empty: go on with the stage in it by --resume, or choose another folder.")
        try:
            there = json.loads((out / SAID).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UnitowerError(f"{out} holds no stage: {SAID} cannot be read ({error}).") from error
        if different := sorted(key for key in {*said, *there} if said.get(key) != there.get(key)):
            raise UnitowerError(f"{out} holds a stage of other settings ({', '.join(different)} differ): resume with the same ones.")
    out.mkdir(parents=True, exist_ok=True)
    if not (out / STATE).exists() and not (out / WEIGHTS).exists():
        (out / METRICS).unlink(missing_ok=True)  # of a run that was stopped before it had saved anything
    write_json(out / SAID, said)


def _restored(out: Path, masters: Masters, lesson: Lesson) -> int:
    """Put the state in `out` into the optimiser and the lesson, forget metrics that were written after it; the step that comes next."""
    if not (out / STATE / "run.json").exists():
        return 0
    step: int = json.loads((out / STATE / "run.json").read_text(encoding="utf-8"))["step"]
    state = load_file(out / STATE / "tensors.safetensors")
    masters.restore(state)
    if isinstance(lesson, Remembers):
        lesson.recall({key.removeprefix(MEMORY): value for key, value in state.items() if key.startswith(MEMORY)})
    kept = []
    for line in (out / METRICS).read_text(encoding="utf-8").splitlines() if (out / METRICS).exists() else []:
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line + "\n")
        except ValueError:  # half a line, from the kill
            continue
    with replacing(out / METRICS) as part:
        part.write_text("".join(kept), encoding="utf-8")
    return step


def on_stderr(told: Told) -> None:
    """Progress for people: one line each time."""
    right = "".join(f", {name} {value:.1%}" for name, value in told.accuracy.items())
    print(f"{told.phase} {told.step}/{told.steps}: loss {told.loss:.3f}{right}, {told.samples_per_s:,.0f}/s", file=sys.stderr, flush=True)


__all__ = ["SAID", "WEIGHTS", "Lesson", "Measured", "Remembers", "Schedule", "claim", "on_stderr", "teach"]
