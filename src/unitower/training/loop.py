"""The loop: a recipe's phases, step by step, from a start or from where a killed run was.

`train` is the story; what it needs stands beneath it. A state is written every `save_every` steps, whole or not at all, and holds
everything the next step depends on: a resumed run gives the numbers of an unbroken one.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from unitower.data import Pairs, open_source
from unitower.encode.images import as_seen
from unitower.encode.processor import Processor
from unitower.encode.tasks import Task, tasks_of
from unitower.errors import UnitowerError
from unitower.model.checkpoint import write_checkpoint, write_json
from unitower.model.embedder import Embedder, TokenSequence
from unitower.training.curve import write_curve
from unitower.training.gather import gathered, gathered_rows, sum_gradients
from unitower.training.recipe import Mix, Phase, Recipe, pinned
from unitower.training.sampler import Batch, Sampler, Unusable
from unitower.training.start import start
from unitower.training.step import Side, Sides, backward
from unitower.types import Item, Role

STATE = "state"
METRICS = "metrics.jsonl"
UNUSABLE = "unusable.json"


@dataclass(frozen=True, kw_only=True)
class Told:
    """One line of progress, and of metrics.jsonl."""

    phase: str
    step: int
    steps: int
    loss: float
    lr: float
    gradient_norm: float
    samples_per_s: float
    unusable: int
    parts: Mapping[str, float] = field(default_factory=dict)
    accuracy: Mapping[str, float] = field(default_factory=dict)


def train(recipe: Recipe, out: str | Path, *, resume: bool = False, progress: Callable[[Told], None] | None = None) -> Path:
    """Run a recipe; returns `out`, a checkpoint folder that `unitower.load` takes.

    out     also gets metrics.jsonl, curve.html, recipe.json, unusable.json (rows that could not be used, by phase: how many of each source,
            and the first with their reasons) and, while the run lasts, its state
    resume  go on from the state in `out`, if there is one; without it `out` must be new or empty

    One process or several (`torchrun` or `accelerate launch`): the batch is shared out between them, the result is the same.
    UnitowerError if `out` holds another run, the data have changed, or a source cannot fill a batch.
    """
    try:
        from accelerate import Accelerator
    except ImportError as error:
        raise UnitowerError("training needs the package accelerate: pip install 'unitower[train]'.") from error

    recipe, out = pinned(recipe), Path(out)
    accelerator = Accelerator(mixed_precision="no", cpu=not torch.cuda.is_available())  # its own is one for the life of a process
    main = accelerator.is_main_process
    if main:
        claim(out, recipe, resume=resume)
    accelerator.wait_for_everyone()

    torch.manual_seed(recipe.seed)
    origin, embedder = start(recipe)
    embedder = embedder.to(accelerator.device)
    run = Run.restore(out, embedder) if (out / STATE / "run.json").exists() else Run()
    processor = Processor.read(origin, embedder.config)
    sources = Sources(recipe.phases[run.phase :])  # all of them now: a data set that is missing is told before days of training
    casting = recipe.precision == "bfloat16" and embedder.dtype == torch.float32  # frozen bfloat16 weights need none
    precision = partial(torch.autocast, accelerator.device.type, dtype=torch.bfloat16) if casting else nullcontext

    for number, phase in enumerate(recipe.phases):
        if number < run.phase:
            continue
        share = (accelerator.process_index, accelerator.num_processes)
        stage = Stage(recipe, phase, number, embedder, processor, sources, share=share)
        stage.restore(run)
        clock = time.perf_counter()
        for step, drawn in zip(range(run.step, phase.steps), ahead(stage.draw, phase.steps - run.step), strict=True):
            torch.manual_seed(hash_of(recipe.seed, number, step, accelerator.process_index))  # dropout: the same after a resume
            lr = rate(phase, step)

            measured = backward(
                embedder, drawn.batches, stage.objective, chunk_tokens=phase.chunk_tokens, precision=precision, gather=gathered,
                gather_grades=gathered_rows,
            )  # fmt: skip
            sum_gradients(stage.parameters)
            norm = float(torch.nn.utils.clip_grad_norm_(stage.parameters, phase.clip))
            stage.move(lr)
            stage.average(phase.average)

            last = step + 1 == phase.steps
            if main and ((step + 1) % recipe.log_every == 0 or last):
                took, clock = time.perf_counter() - clock, time.perf_counter()
                done = (step + 1 - run.logged) * sum(mix.batch for mix in (phase.text, phase.pages) if mix)
                told = Told(
                    phase=phase.name, step=step + 1, steps=phase.steps, loss=float(measured.loss.detach()), lr=lr, gradient_norm=norm,
                    samples_per_s=round(done / took, 2), unusable=drawn.unusable.count.total(), parts=floats(measured.parts),
                    accuracy=floats(measured.accuracy),
                )  # fmt: skip
                run.logged = step + 1
                append(out / METRICS, asdict(told))
                name_unusable(out / UNUSABLE, phase.name, drawn.unusable)
                if progress:
                    progress(told)
            if main and (step + 1) % recipe.save_every == 0 and not last:
                run.save(out, recipe, embedder, stage, drawn.samplers, number, step + 1)
        stage.end()
        run = Run(phase=number + 1)
        if main:
            run.save(out, recipe, embedder, None, {}, number + 1, 0)
            write_curve(out / METRICS, out / "curve.html", title=recipe.name)
        accelerator.wait_for_everyone()

    if main:
        finish(out, recipe, embedder, origin)
    accelerator.wait_for_everyone()
    return out


# ---------------------------------------------------------------- one phase


class Sources:
    """The data sources of a run, each opened once, however many phases read it."""

    def __init__(self, phases: Iterable[Phase]) -> None:
        self.opened: dict[str, Pairs] = {}
        for source in (source for phase in phases for mix in (phase.text, phase.pages) if mix for source in mix.sources):
            self.opened.setdefault(repr(source), open_source(source.kind, **source.options))

    def sampler(self, mix: Mix, *, seed: int) -> Sampler:
        return Sampler([(self.opened[repr(source)], source.weight) for source in mix.sources], batch=mix.batch, seed=seed)


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """What a step trains on, and where the samplers stand after it."""

    batches: Mapping[str, Sides]
    samplers: Mapping[str, Any]
    unusable: Unusable


def ahead(draw: Callable[[], Drawn], count: int) -> Iterator[Drawn]:
    """`count` draws, each made while the step before it runs: pages are decoded and scaled beside the arithmetic."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        coming = pool.submit(draw) if count else None
        for left in reversed(range(count)):
            assert coming is not None
            drawn = coming.result()
            coming = pool.submit(draw) if left else None
            yield drawn


class Stage:
    """A phase at work: what it trains, its optimiser, its data, and how pairs become sequences.

    parameters  of the model, that the phase moves, and `weights`, what the optimiser moves: the same, or a float32 copy of those that the
                model keeps in bfloat16, where small steps would be rounded away
    """

    def __init__(
        self,
        recipe: Recipe,
        phase: Phase,
        number: int,
        embedder: Embedder,
        processor: Processor,
        sources: Sources,
        *,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        self.phase, self.embedder, self.processor, self.share = phase, embedder, processor, share
        torch.manual_seed(hash_of(recipe.seed, number, -1, 0))
        for name, origin in phase.adapters.items():
            if name not in embedder.lora:
                embedder.add_adapter(name, recipe.lora, start_from=origin)
        self.names = trained_names(embedder, phase)
        if not self.names:
            raise UnitowerError(f"phase {phase.name!r} trains nothing: name adapters, or 'projector' or 'tower' in train.")
        embedder.requires_grad_(False)
        parameters = dict(embedder.named_parameters())
        self.parameters: list[Tensor] = [parameters[name].requires_grad_() for name in self.names]
        embedder.train()
        embedder.recompute(phase.recompute)
        self.weights = [p if p.dtype == torch.float32 else p.detach().float() for p in self.parameters]
        self.optimizer = torch.optim.AdamW(self.weights, lr=phase.lr, weight_decay=phase.weight_decay, betas=(0.9, 0.98))
        self.averages = [weight.detach().clone() for weight in self.weights] if phase.average else []
        widths = embedder.config.matryoshka_dims if phase.objective.dense_widths is None else phase.objective.dense_widths
        self.objective = replace(phase.objective, dense_widths=tuple(widths))
        mixes: dict[str, Mix] = {name: mix for name, mix in (("text", phase.text), ("pages", phase.pages)) if mix}
        if not mixes:
            raise UnitowerError(f"phase {phase.name!r} has no data: give it text, pages or both.")
        if smallest := min((mix.batch for mix in mixes.values() if mix.batch < share[1]), default=0):
            raise UnitowerError(f"phase {phase.name!r}: a batch of {smallest} pairs cannot be shared by {share[1]} processes.")
        self.samplers = {name: sources.sampler(mix, seed=hash_of(recipe.seed, number, 0, i)) for i, (name, mix) in enumerate(mixes.items())}
        self.task = self._task()

    def _task(self) -> Task:
        known = tasks_of(dict.fromkeys([*self.embedder.config.task_names, self.phase.task]))
        return known[self.phase.task]

    def draw(self) -> Drawn:
        """The next batches, text and pages."""
        batches = {name: self.sides(sampler.next()) for name, sampler in self.samplers.items()}
        unusable = Unusable()
        for sampler in self.samplers.values():
            unusable.count.update(sampler.unusable.count)
            unusable.reasons += sampler.unusable.reasons
        return Drawn(batches=batches, samplers={name: sampler.state for name, sampler in self.samplers.items()}, unusable=unusable)

    def sides(self, batch: Batch) -> Sides:
        """A batch's sequences; in a run of several processes the part that falls to this one."""
        rank, world = self.share
        pairs = batch.pairs[rank * len(batch.pairs) // world : (rank + 1) * len(batch.pairs) // world]
        grades = [pair.grade for pair in pairs if pair.grade is not None]
        # what a batch has is decided by all of it, or processes would wait for one another's vectors that never come
        negative, graded = any(pair.negatives for pair in batch.pairs), all(pair.grade is not None for pair in batch.pairs)
        return Sides(
            queries=self._side([pair.query for pair in pairs], "query"),
            documents=self._side([pair.document for pair in pairs], "passage"),
            negatives=self._side([item for pair in pairs for item in pair.negatives], "passage") if negative else None,
            grades=torch.tensor(grades, device=self.embedder.device) if graded else None,
        )

    def _side(self, items: Iterable[Item], role: Role) -> Side:
        of_role = [name for name in self.phase.adapters if name == f"{self.phase.task}-{role}"]
        adapter = next(iter([*of_role, *self.phase.adapters]), None)
        return Side(sequences=tuple(self._sequence(item, role) for item in items), adapter=adapter)

    def _sequence(self, item: Item, role: Role) -> TokenSequence:
        if isinstance(item.content, str):
            ids = self.processor.text_ids(item.content, prompt=self.task.prompt(role), max_length=self.phase.max_length)
            return TokenSequence(torch.tensor(ids))
        image = as_seen(item.content)
        size = self.processor.image_size(*image.size, max_pixels=self.phase.max_pixels, enlarge=True)
        return self.processor.image_sequence(self.processor.resized(image, size))

    @torch.no_grad()
    def move(self, lr: float) -> None:
        """One step of the optimiser against the gradients, which are then forgotten."""
        copies = [(weight, p) for weight, p in zip(self.weights, self.parameters, strict=True) if weight is not p]
        for weight, parameter in copies:
            weight.grad = None if parameter.grad is None else parameter.grad.float()
        self.optimizer.param_groups[0]["lr"] = lr
        self.optimizer.step()
        for weight, parameter in copies:
            parameter.copy_(weight)
        for each in (*self.weights, *self.parameters):
            each.grad = None

    @torch.no_grad()
    def average(self, decay: float) -> None:
        """Let the running average follow the weights."""
        for average, weight in zip(self.averages, self.weights, strict=True) if self.averages else ():
            average.lerp_(weight, 1 - decay)

    @torch.no_grad()
    def end(self) -> None:
        """Put the averages in place of the weights, and freeze everything."""
        for average, parameter in zip(self.averages, self.parameters, strict=True) if self.averages else ():
            parameter.copy_(average)
        self.embedder.requires_grad_(False)

    def restore(self, run: Run) -> None:
        """Go to where a saved run was in this phase."""
        if run.step == 0:
            return
        state = run.tensors
        for i, (name, parameter, weight) in enumerate(zip(self.names, self.parameters, self.weights, strict=True)):
            with torch.no_grad():
                weight.copy_(state[f"weights.{name}"])
                parameter.copy_(weight)
                if self.averages:
                    self.averages[i].copy_(state[f"average.{name}"])
            if f"step.{name}" in state:
                moments = {key: state[f"{key}.{name}"].to(weight.device) for key in ("exp_avg", "exp_avg_sq")}
                self.optimizer.state[weight] = {"step": state[f"step.{name}"], **moments}
        for name, sampler in self.samplers.items():
            sampler.resume(run.samplers[name])


def trained_names(embedder: Embedder, phase: Phase) -> list[str]:
    """Names of the parameters a phase moves."""
    names = []
    for name, _ in embedder.named_parameters():
        adapter = name.rpartition(".")[2] if ".lora_" in name else None
        if adapter is not None:
            chosen = adapter in phase.adapters
        else:
            chosen = "tower" in phase.train or ("projector" in phase.train and name.startswith("projector."))
        if chosen:
            names.append(name)
    return names


def rate(phase: Phase, step: int) -> float:
    """Learning rate of a step: a straight line up over `warmup` steps, then half a cosine down to `final_lr`."""
    if step < phase.warmup:
        return phase.lr * (step + 1) / phase.warmup
    progress = (step - phase.warmup) / max(1, phase.steps - phase.warmup)
    return phase.final_lr + (phase.lr - phase.final_lr) * (1 + math.cos(math.pi * progress)) / 2


def hash_of(*numbers: int) -> int:
    """A seed from several numbers, the same in every process and run."""
    from hashlib import sha256

    return int.from_bytes(sha256(repr(numbers).encode()).digest()[:6], "big")


# ---------------------------------------------------------------- state on disk


def write_state(out: Path, tensors: Mapping[str, Tensor], run: Mapping[str, Any]) -> None:
    """Write the state beside the old one, then take its place: a kill leaves one of the two whole."""
    part, whole, old = out / f"{STATE}.part", out / STATE, out / f"{STATE}.old"
    for stale in (part, old):
        shutil.rmtree(stale, ignore_errors=True)
    part.mkdir()
    save_file(dict(tensors), part / "tensors.safetensors")
    write_json(part / "run.json", run)
    for path in (part / "tensors.safetensors", part / "run.json", part):
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
    if whole.exists():
        whole.rename(old)
    part.rename(whole)
    shutil.rmtree(old, ignore_errors=True)


@dataclass(kw_only=True)
class Run:
    """How far a run is: phase and step that come next, and what they depend on."""

    phase: int = 0
    step: int = 0
    logged: int = 0
    tensors: dict[str, Tensor] = field(default_factory=dict)
    samplers: dict[str, Any] = field(default_factory=dict)

    def save(
        self, out: Path, recipe: Recipe, embedder: Embedder, stage: Stage | None, samplers: Mapping[str, Any], phase: int, step: int
    ) -> None:
        """Write the state. A backbone that no phase moves is not written again and again: it is where the recipe's start is."""
        frozen = recipe.config is None and not any("tower" in each.train for each in recipe.phases)
        kept = {n: p for n, p in embedder.named_parameters() if not frozen or ".lora_" in n or n.startswith("projector.")}
        tensors = {f"model.{name}": p.detach().cpu().contiguous() for name, p in kept.items()}
        if stage is not None:
            for i, (name, weight) in enumerate(zip(stage.names, stage.weights, strict=True)):
                del tensors[f"model.{name}"]
                tensors[f"weights.{name}"] = weight.detach().cpu().contiguous()
                for key, value in stage.optimizer.state[weight].items():  # empty for what never had a gradient
                    tensors[f"{key}.{name}"] = value.cpu().contiguous()
                if stage.averages:
                    tensors[f"average.{name}"] = stage.averages[i].cpu().contiguous()
        adapters = {name: asdict(replace(lora, extra={})) for name, lora in embedder.lora.items()}
        write_state(out, tensors, {"phase": phase, "step": step, "adapters": adapters, "samplers": samplers})

    @classmethod
    def restore(cls, out: Path, embedder: Embedder) -> Run:
        """The state in `out`, its weights put into the embedder, and later lines of the metrics forgotten."""
        from unitower.model.config import LoraConfig

        raw = json.loads((out / STATE / "run.json").read_text(encoding="utf-8"))
        tensors = load_file(out / STATE / "tensors.safetensors")
        for name, values in raw["adapters"].items():
            if name not in embedder.lora:
                embedder.add_adapter(name, LoraConfig(**values))
        parameters = dict(embedder.named_parameters())
        with torch.no_grad():
            for name, parameter in parameters.items():
                for key in (f"model.{name}", f"weights.{name}"):
                    if key in tensors:
                        parameter.copy_(tensors[key])
        forget_after(out / METRICS, names_before=raw["phase"], step=raw["step"], out=out)
        return cls(phase=raw["phase"], step=raw["step"], logged=raw["step"], tensors=tensors, samplers=raw["samplers"])


def claim(out: Path, recipe: Recipe, *, resume: bool) -> None:
    """Make `out`, or see that it holds this very run. UnitowerError otherwise; nothing is ever overwritten."""
    if (out / f"{STATE}.old").exists() and not (out / STATE).exists():
        (out / f"{STATE}.old").rename(out / STATE)  # killed between the two renames of a save
    said = json.loads(json.dumps(asdict(recipe), default=str))
    path = out / "recipe.json"
    if out.is_dir() and any(out.iterdir()):
        if not resume:
            raise UnitowerError(f"{out} is not empty: go on with the run in it by --resume, or choose another folder.")
        if not path.is_file():
            raise UnitowerError(f"{out} holds no run: recipe.json is missing.")
        there = json.loads(path.read_text(encoding="utf-8"))
        different = [key for key in said if said[key] != there.get(key) and key not in ("save_every", "log_every")]
        if different:
            raise UnitowerError(f"{out} holds a run of another recipe ({', '.join(different)} differ): resume with the same settings.")
    out.mkdir(parents=True, exist_ok=True)
    if not (out / STATE).exists():
        for stale in (METRICS, UNUSABLE):  # of a run that was stopped before it had saved anything
            (out / stale).unlink(missing_ok=True)
    write_json(path, said)


def forget_after(path: Path, *, names_before: int, step: int, out: Path) -> None:
    """Drop lines of metrics that were written after the state was saved: they will be written again."""
    if not path.exists():
        return
    phases = [phase["name"] for phase in json.loads((out / "recipe.json").read_text(encoding="utf-8"))["phases"]]
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            told = json.loads(line)
        except ValueError:  # half a line, from the kill
            continue
        place = phases.index(told["phase"])
        if place < names_before or (place == names_before and told["step"] <= step):
            kept.append(line + "\n")
    part = path.with_suffix(".part")
    part.write_text("".join(kept), encoding="utf-8")
    part.replace(path)


def finish(out: Path, recipe: Recipe, embedder: Embedder, origin: Path) -> None:
    """The checkpoint in the released layout; adapters that no phase has trained start from the last trained one."""
    for name in embedder.config.adapter_names:
        if name not in embedder.lora:
            embedder.add_adapter(name, recipe.lora, start_from=next(reversed(embedder.lora), None))
    for name in set(embedder.lora) - set(embedder.config.adapter_names):
        embedder.remove_adapter(name)  # what the tasks' adapters started from
    embedder.eval()
    write_checkpoint(embedder, out, like=origin)
    if seen := [phase.max_pixels for phase in recipe.phases if phase.max_pixels]:  # pages are encoded as large as they were trained
        path = out / "preprocessor_config.json"
        rules = json.loads(path.read_text(encoding="utf-8")) | {"max_pixels": max(seen)}
        if "longest_edge" in rules.get("size", {}):  # a newer name of the same
            rules["size"]["longest_edge"] = max(seen)
        write_json(path, rules)
    shutil.rmtree(out / STATE, ignore_errors=True)


def name_unusable(path: Path, phase: str, unusable: Unusable) -> None:
    """Put down which rows of a phase could not be used; nothing where all could."""
    if unusable.count:
        there = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        write_json(path, there | {phase: {"rows": dict(unusable.count), "first": unusable.reasons}})


def floats(values: Mapping[str, Tensor]) -> dict[str, float]:
    return {name: round(float(value), 6) for name, value in values.items()}


def append(path: Path, line: Mapping[str, Any]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def on_stderr(told: Told) -> None:
    """Progress for people: one line each time."""
    first = "".join(f", {name.replace('_', ' ')} right first {value:.0%}" for name, value in told.accuracy.items())
    bad = f", {told.unusable} rows unusable (see {UNUSABLE})" if told.unusable else ""
    line = f"{told.phase} {told.step}/{told.steps}: loss {told.loss:.4f}{first}, {told.samples_per_s:.1f} pairs/s{bad}"
    print(line, file=sys.stderr, flush=True)


__all__ = ["Told", "on_stderr", "train"]
