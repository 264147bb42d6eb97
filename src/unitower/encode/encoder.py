"""The encoder: texts, code, pictures and items to vectors. `load` gives one; everything a user calls on it is here.

`encode` and `stream` are this project's own way: a role for every text, pictures as they look, bounded memory. `encode_text` and
`encode_image` are the released model's calls with its rules, defaults and return types, for people who switch over; what one input
does never touches another there either.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from PIL import Image

from unitower.codes import PRECISIONS, Precision, dense_in
from unitower.encode.batching import Budget
from unitower.encode.devices import chosen_device, chosen_dtype
from unitower.encode.images import as_released, as_seen, converted, fetch_image, from_array
from unitower.encode.inputs import Waiting, named, waiting_file, waiting_picture, waiting_text
from unitower.encode.passes import Passed, Passes
from unitower.encode.processor import IMAGE_PROMPT, MAX_TEXT_TOKENS, Processor
from unitower.encode.tasks import RELEASED_PROMPTS, ROLES, Task, as_role, tasks_of
from unitower.errors import CheckpointError
from unitower.model.checkpoint import read_checkpoint
from unitower.model.config import ModelConfig
from unitower.model.embedder import Embedder
from unitower.model.heads import truncated
from unitower.model.hub import folder_of
from unitower.types import Embeddings, Encodable, Fingerprint, Item, Ragged, Role

Input: TypeAlias = "Encodable | np.ndarray[Any, Any]"

BUDGET_TOKENS = {"cpu": 4096}
"""Tokens of a pass. A CPU is no faster above 2,048 to 4,096 (measured from 512 to 16,384); elsewhere 16,384."""

SIGNALS = ("multi", "dense", "text")


def load(
    name: str | Path = "nano",
    *,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    revision: str | None = None,
) -> Encoder:
    """An encoder by the name of its model.

    name      "nano", which ships with the package; a checkpoint folder; or a Hub id such as "jinaai/jina-embeddings-v4"
    device    "cpu", "cuda", "cuda:1", "mps"; None: CUDA where there is some, else the CPU
    dtype     "float32" or "bfloat16"; None: bfloat16 where the device multiplies it natively, else float32
    revision  commit, branch or tag of a Hub model; of a folder, the `Fingerprint.revision` it must have

    ValueError for a device or dtype there is not; CheckpointError for a model that is not there or not whole.
    """
    chosen = chosen_device(device)
    numbers = chosen_dtype(dtype, chosen)
    folder, found = folder_of(name, revision=revision)
    embedder = read_checkpoint(folder, device=chosen, dtype=numbers)
    return Encoder(
        embedder,
        Processor.read(folder, embedder.config),
        tasks=tasks_of(embedder.config.task_names, checkpoint=folder),
        fusion=read_fusion(folder),
        name=str(name),
        revision=found,
    )


def read_fusion(folder: Path) -> dict[str, float]:
    """Weights of the search signals that suit a model, from its optional `unitower.json`: {"fusion": {"text": 3.0, "multi": 1.0}}.

    CheckpointError where the file is not of that form.
    """
    path = folder / "unitower.json"
    if not path.is_file():
        return {}
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error
    weights = raw.get("fusion", {}) if isinstance(raw, dict) and raw.keys() <= {"fusion"} else None
    if not isinstance(weights, dict) or not weights.keys() <= set(SIGNALS):
        raise CheckpointError(
            f'{path} should hold {{"fusion": {{SIGNAL: WEIGHT}}}} with signals of {", ".join(SIGNALS)}; it holds {raw!r}.'
        )
    for signal, weight in weights.items():
        if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not 0 <= weight < float("inf"):
            raise CheckpointError(f"{path}: the weight of {signal!r} is {weight!r}; give a number from 0 up.")
    return {signal: float(weight) for signal, weight in weights.items()}


def in_precision(embeddings: Embeddings, precision: Precision) -> Embeddings:
    """The same with its dense vectors in another form; the token vectors stay."""
    dense, scales = dense_in(precision, embeddings.dense)
    return replace(embeddings, dense=dense, scales=scales)


@dataclass(frozen=True, kw_only=True)
class Job:
    """One call's settings, checked."""

    task: Task
    role: Role | None
    adapter: str
    width: int | None
    max_length: int
    max_pixels: int
    budget: Budget | None
    fingerprint: Fingerprint


class Encoder:
    """A tower with its tokenizer, tasks and limits. Threads may share it."""

    def __init__(
        self,
        embedder: Embedder,
        processor: Processor,
        *,
        tasks: Mapping[str, Task],
        name: str,
        revision: str,
        fusion: Mapping[str, float] | None = None,
    ) -> None:
        self.embedder = embedder
        self.processor = processor
        self.name, self.revision = name, revision
        self._tasks = dict(tasks)
        self._fusion = dict(fusion or {})
        self._task: str | None = None
        self.passes = Passes(embedder, Budget.of_tokens(BUDGET_TOKENS.get(embedder.device.type, 16_384)))

    def __repr__(self) -> str:
        dtype = str(self.dtype).removeprefix("torch.")
        return f"Encoder({self.name!r}, tasks={list(self.tasks)}, device={str(self.device)!r}, dtype={dtype!r})"

    @property
    def config(self) -> ModelConfig:
        return self.embedder.config

    @property
    def device(self) -> torch.device:
        return self.embedder.device

    @property
    def dtype(self) -> torch.dtype:
        return self.embedder.dtype

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks it can do."""
        return tuple(self._tasks)

    @property
    def fusion(self) -> Mapping[str, float]:
        """Weight of each search signal for this model; signals left out weigh 1."""
        return dict(self._fusion)

    def fingerprint(
        self, *, task: str, truncate_dim: int | None = None, max_length: int | None = None, max_pixels: int | None = None
    ) -> Fingerprint:
        """What vectors of `encode` with the same arguments carry; nothing is encoded. Both roles of a task share it."""
        return self._job(task, None, truncate_dim=truncate_dim, max_length=max_length, max_pixels=max_pixels).fingerprint

    # ---- this project's way

    def spans(self, text: str, *, task: str = "retrieval", role: Role) -> list[tuple[int, int]]:
        """Where in a text the rows of its multi-vector stand: (first character, character after the last); (0, 0) for the prompt's rows."""
        job = self._job(task, role, truncate_dim=None, max_length=None, max_pixels=None)
        return self.processor.text_spans(text, prompt=job.task.prompt(role), max_length=job.max_length)

    def encode(
        self,
        inputs: Input | Iterable[Input],
        *,
        task: str = "retrieval",
        role: Role | None = None,
        truncate_dim: int | None = None,
        max_length: int | None = None,
        max_pixels: int | None = None,
        budget_tokens: int | None = None,
        precision: Precision = "float32",
        show_progress: bool = False,
    ) -> Embeddings:
        """Dense and multi-vectors of the inputs, in their order; see `stream` for inputs and arguments.

        A single input gives Embeddings of length 1, no input Embeddings of length 0.

        precision      of `dense`, for a store of your own: "float32"; "float16"; "int8" with a scale per row (`Embeddings.scales`), off by
                       half a scale at most; "binary", uint8 [n, ceil(d / 8)], signs, the first in the lowest bit. `codes` has the rules
        show_progress  one line on stderr while it lasts
        """
        if precision not in PRECISIONS:
            raise ValueError(f"precision {precision!r} is unknown: there are {', '.join(PRECISIONS)}.")
        job = self._job(task, role, truncate_dim=truncate_dim, max_length=max_length, max_pixels=max_pixels, budget_tokens=budget_tokens)
        many = _many(inputs)
        if not show_progress:
            return in_precision(self._joined(self._embeddings(many, job), job), precision)
        from unitower.encode.progress import progress_line

        with progress_line(len(many) if isinstance(many, Sized) else None) as done:
            return in_precision(self._joined(self._embeddings(many, job, done), job), precision)

    def stream(
        self,
        inputs: Input | Iterable[Input],
        *,
        task: str = "retrieval",
        role: Role | None = None,
        truncate_dim: int | None = None,
        max_length: int | None = None,
        max_pixels: int | None = None,
        budget_tokens: int | None = None,
    ) -> Iterator[Embeddings]:
        """Embeddings of successive stretches of the inputs, in order, while the inputs are still being made.

        Memory is bounded by a few passes of the tower whatever the number of inputs: pictures are read from their files when their
        pass comes, and pictures in memory are scaled down as they arrive.

        inputs         str (always a text, never opened or fetched), pathlib.Path to an image file, PIL image, numpy uint8
                       [height, width, 3], or Item; a single one, or any iterable of them. Pictures are turned upright by EXIF,
                       transparency is laid on white, and sides under 28 pixels are enlarged
        task           a name among `tasks`: prompts and adapter
        role           "query" for what is searched with, "passage" for what is searched in. Texts must have one; pictures, which
                       no prompt precedes, count as passages without
        truncate_dim   width of the dense vectors, among the model's matryoshka_dims; None: its default
        max_length     tokens kept of a text, its prompt included; None: as many as the tower was made for
        max_pixels     pixels a picture is scaled down to; None: the checkpoint's limit
        budget_tokens  tokens of one pass, image tokens included; it changes speed and memory, not the vectors

        ValueError for an unknown task, role, truncate_dim or limit, a text without a role, or a picture more than 200 times as long
        as wide; TypeError naming the position of an input that is none of these; FileNotFoundError and UnreadableFile for paths.
        """
        job = self._job(task, role, truncate_dim=truncate_dim, max_length=max_length, max_pixels=max_pixels, budget_tokens=budget_tokens)
        return self._embeddings(_many(inputs), job)

    def _job(
        self,
        task: str,
        role: str | None,
        *,
        truncate_dim: int | None,
        max_length: int | None,
        max_pixels: int | None,
        budget_tokens: int | None = None,
    ) -> Job:
        if task not in self._tasks:
            raise ValueError(f"task {task!r} is unknown; this model has {', '.join(self.tasks)}.")
        chosen = self._tasks[task]
        checked = None if role is None else as_role(role)
        width = self._width(truncate_dim)
        if budget_tokens is not None and budget_tokens < 1:
            raise ValueError(f"budget_tokens is {budget_tokens}; give at least 1 (an input that is larger goes alone).")
        length, pixels = self.processor.limit(max_length), self.processor.pixel_limit(max_pixels)
        fingerprint = Fingerprint(
            model=self.name,
            revision=self.revision,
            adapter=chosen.adapter,
            prompts={**{str(role): words for role, words in chosen.prompts.items()}, "image": IMAGE_PROMPT},
            max_pixels=pixels,
            max_length=length,
            dense_width=width or self.config.text.hidden_size,
            multi_width=self.config.multi_vector_projector_dim,
        )
        return Job(
            task=chosen,
            role=checked,
            adapter=self.embedder.adapter_for(chosen.adapter, checked or "passage"),
            width=width,
            max_length=length,
            max_pixels=pixels,
            budget=None if budget_tokens is None else Budget.of_tokens(budget_tokens),
            fingerprint=fingerprint,
        )

    def _width(self, truncate_dim: int | None) -> int | None:
        dims = self.config.matryoshka_dims
        if truncate_dim is not None and truncate_dim not in dims:
            raise ValueError(f"truncate_dim {truncate_dim} is unknown; this model's vectors can be cut to {', '.join(map(str, dims))}.")
        return self.config.truncate_dim if truncate_dim is None else truncate_dim

    def _embeddings(self, inputs: Iterable[Input], job: Job, done: Callable[[int], None] = lambda count: None) -> Iterator[Embeddings]:
        waiting = (self._waiting(each, position, job) for position, each in enumerate(inputs))
        for passed in self.passes.run(waiting, adapter=job.adapter, budget=job.budget, done=done):
            yield Embeddings(
                dense=truncated(passed.dense, job.width).numpy(),
                multi=Ragged.of([each.numpy() for each in passed.tokens]),
                fingerprint=job.fingerprint,
                grids=passed.grids,
            )

    def _joined(self, parts: Iterator[Embeddings], job: Job) -> Embeddings:
        every = list(parts)
        if len(every) == 1:
            return every[0]
        width, multi_width = job.fingerprint.dense_width, job.fingerprint.multi_width
        return Embeddings(
            dense=np.concatenate([np.empty((0, width), np.float32), *(part.dense for part in every)]),
            multi=Ragged(
                np.concatenate([np.empty((0, multi_width), np.float32), *(part.multi.data for part in every)]),
                np.cumsum([0, *(length for part in every for length in part.multi.lengths)]),
            ),
            fingerprint=job.fingerprint,
            grids=tuple(grid for part in every for grid in part.grids),
        )

    def _waiting(self, each: Input, position: int, job: Job) -> Waiting:
        where = f"input {position}"
        if isinstance(each, Item):
            where += f" ({each.id})"
            wanted = Image.Image if each.modality == "image" else str
            if not isinstance(each.content, wanted):
                raise TypeError(
                    f"{where} is an Item of modality {each.modality!r} that holds {type(each.content).__name__}, not {wanted.__name__}."
                )
            each = each.content
        if isinstance(each, str):
            if job.role is None:
                raise ValueError(
                    f"{where} is a text, and texts need a role: role='query' for what is searched with, role='passage' for what is "
                    "searched in. There is no default, because a collection encoded as queries is found badly and nothing shows it."
                )
            return waiting_text(self.processor, each, where, prompt=job.task.prompt(job.role), max_length=job.max_length)
        if isinstance(each, Path):
            return waiting_file(self.processor, each, f"{where} ({each})", as_seen, max_pixels=job.max_pixels, enlarge=True)
        if isinstance(each, np.ndarray):
            each = named(where, from_array, each)
        if isinstance(each, Image.Image):
            return waiting_picture(self.processor, converted(each, as_seen, name=where), where, max_pixels=job.max_pixels, enlarge=True)
        raise TypeError(f"{where} is of type {type(each).__name__}; give str, pathlib.Path, a PIL image, a numpy image or an Item.")

    # ---- the released calls

    @property
    def task(self) -> str | None:
        """Task of `encode_text` and `encode_image` where a call names none; None until it is set. `encode` does not look at it."""
        return self._task

    @task.setter
    def task(self, task: str | None) -> None:
        if task is not None:
            self._released_task(task)
        self._task = task

    def encode_text(
        self,
        texts: str | Iterable[object],
        task: str | None = None,
        max_length: int | None = MAX_TEXT_TOKENS,
        batch_size: int = 8,
        return_multivector: bool = False,
        return_numpy: bool = False,
        truncate_dim: int | None = None,
        prompt_name: str | None = None,
    ) -> Any:
        """The released call for texts; anything that is no string is formatted into one.

        prompt_name   "query" (where None) or "passage". The passage prompt is "Passage: " unless the `task` property is
                      "text-matching"; the argument `task` is not looked at, as released
        max_length    tokens kept, prompt included; None, like anything above it, is 32,768
        truncate_dim  checked even where multi-vectors, which it does not touch, are asked for; 0 counts as not given
        returns       one tensor for a str, else a list of tensors on the tower's device: [d], or [tokens, m] where return_multivector.
                      With return_numpy an array [n, d], of a str [d]; multi-vectors of several texts stay tensors, with a warning.
                      Always float32, whatever the weights are: the released bfloat16 is neither of unit length nor known to numpy.

        ValueError names what is allowed: an unknown task, none anywhere, an unknown prompt_name or truncate_dim.
        """
        role = as_prompt_name(prompt_name)
        width = self._width(truncate_dim or None)
        adapter = self.embedder.adapter_for(self._released_task(task), role)
        prompt = RELEASED_PROMPTS["query" if self.task == "text-matching" else role]
        length = self.processor.limit(max_length)
        single = isinstance(texts, str)
        many = [texts] if single else texts
        waiting = (
            waiting_text(self.processor, f"{text}", f"text {position}", prompt=prompt, max_length=length, as_released=True)
            for position, text in enumerate(many)
        )
        passed = self.passes.run(waiting, adapter=adapter, most=_batch_size(batch_size), to_host=return_numpy, as_released=True)
        return _released(passed, width, single=single, multi=return_multivector, numpy=return_numpy)

    def encode_image(
        self,
        images: Any,
        task: str | None = None,
        batch_size: int = 8,
        return_multivector: bool = False,
        return_numpy: bool = False,
        truncate_dim: int | None = None,
        max_pixels: int | None = None,
    ) -> Any:
        """The released call for pictures.

        images      paths as str, http addresses as str (fetched), PIL images or numpy uint8 [height, width, 3]; one or several.
                    Alpha is dropped and EXIF orientation ignored, as released
        max_pixels  limit of this call only; None or 0: the checkpoint's
        returns     as `encode_text`

        ValueError as of `encode_text`, and for a side under 28 pixels or one more than 200 times the other; TypeError for other
        inputs, pathlib.Path among them; FileNotFoundError; UnreadableFile for broken files and failing addresses.
        """
        width = self._width(truncate_dim or None)
        adapter = self.embedder.adapter_for(self._released_task(task), "passage")
        limit = self.processor.pixel_limit(max_pixels or None)
        single = isinstance(images, (str, Image.Image)) or (isinstance(images, np.ndarray) and images.ndim < 4)
        waiting = (
            self._released_image(image, f"image {position}", max_pixels=limit)
            for position, image in enumerate([images] if single else images)
        )
        passed = self.passes.run(waiting, adapter=adapter, most=_batch_size(batch_size), to_host=return_numpy, as_released=True)
        return _released(passed, width, single=single, multi=return_multivector, numpy=return_numpy)

    def _released_task(self, task: str | None) -> str:
        names = ", ".join(self.config.task_names)
        if task is None and self._task is None:
            raise ValueError(f"no task: give task= or set the encoder's task property; this model has {names}.")
        chosen = self._task if task is None else task
        if chosen is None or chosen not in self.config.task_names:
            raise ValueError(f"task {chosen!r} is unknown; this model has {names}.")
        return chosen

    def _released_image(self, image: object, where: str, *, max_pixels: int) -> Waiting:
        if isinstance(image, str) and not image.startswith(("http://", "https://")):
            return waiting_file(self.processor, image, f"{where} ({image})", as_released, max_pixels=max_pixels, enlarge=False)
        if isinstance(image, str):
            picture = fetch_image(image, as_released)
        elif isinstance(image, np.ndarray):
            picture = as_released(named(where, from_array, image))
        elif isinstance(image, Image.Image):
            picture = converted(image, as_released, name=where)
        else:
            hint = " Write str(path), or use `encode`, which takes paths." if isinstance(image, os.PathLike) else ""
            raise TypeError(f"{where} is of type {type(image).__name__}; give a str, a PIL image or a numpy image.{hint}")
        return waiting_picture(self.processor, picture, where, max_pixels=max_pixels, enlarge=False)


def _many(inputs: Input | Iterable[Input]) -> Iterable[Input]:
    if isinstance(inputs, (str, Path, Image.Image, Item)):
        return [inputs]
    if isinstance(inputs, np.ndarray) and inputs.dtype == np.uint8 and inputs.ndim in (2, 3):
        return [inputs]
    if isinstance(inputs, (bytes, Mapping)) or not isinstance(inputs, Iterable):
        raise TypeError(
            f"inputs are of type {type(inputs).__name__}; give str, pathlib.Path, a PIL image, a numpy image, an Item, or several."
        )
    return inputs


def as_prompt_name(prompt_name: str | None) -> Role:
    """The role a released prompt name stands for; none counts as "query". ValueError names the two."""
    name = prompt_name or "query"
    if name not in ROLES:
        raise ValueError(f"prompt_name {name!r} is unknown; give {' or '.join(map(repr, ROLES))}.")
    return as_role(name)


def _batch_size(batch_size: int) -> int:
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}; a pass holds at least 1 input.")
    return batch_size


def _released(passed: Iterable[Passed], width: int | None, *, single: bool, multi: bool, numpy: bool) -> Any:
    """Vectors in the released call's shapes: see `Encoder.encode_text`."""
    vectors = [each for part in passed for each in (part.tokens if multi else truncated(part.dense, width))]
    if not numpy:
        return vectors[0] if single else vectors
    if multi and len(vectors) > 1:
        warnings.warn("return_numpy is not heeded for multi-vectors of several inputs: they differ in length.", stacklevel=3)
        return vectors
    if not vectors:
        raise ValueError("there is nothing to stack: return_numpy needs at least one input.")
    return vectors[0].numpy() if single else np.stack([each.numpy() for each in vectors])
