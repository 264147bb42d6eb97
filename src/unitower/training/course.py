"""A course: stages that make a model from nothing, each with a folder of its own beneath the run's.

    corpus  vocabulary  teacher      what is learned from: text, tokenizer, a teacher's vectors
    reading  spelling  text          the tower: eyes, language
    meeting  pages                   language learns to read what the eyes see, then both go on
    retrieval  text-matching  code   an adapter each, on the frozen tower
    checkpoint                       the released layout, which `unitower.load` takes

A stage that is done is passed over, one that was stopped goes on; a stage may be taught by itself once those before it are done. The
vision tower and the decoder are taught apart, so `reading` and `text` may run at the same time.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor, nn

from unitower.data._corpus import Corpus, Places, gathered
from unitower.data._split import kept_to_test
from unitower.encode.processor import IMAGE_PROMPT
from unitower.encode.tasks import tasks_of
from unitower.errors import UnitowerError
from unitower.model.adapters import AdaptedLinear, Route
from unitower.model.checkpoint import write_checkpoint, write_json
from unitower.model.config import LoraConfig, ModelConfig
from unitower.model.embedder import Embedder
from unitower.model.tower import BARE
from unitower.render import quick
from unitower.training.lesson import WEIGHTS, Lesson, Schedule, claim, teach
from unitower.training.letters import LetterCodes
from unitower.training.loop import Told, hash_of
from unitower.training.pages import Pages, Part, Together
from unitower.training.reading import SHAPES, Pens, Reader, Reading, Shape
from unitower.training.recipe import check_steps
from unitower.training.spelling import codes
from unitower.training.start import from_nothing
from unitower.training.teacher import minilm, read_taught, texts_to_teach, write_taught
from unitower.training.texts import KINDS, Library, Taught, Texts
from unitower.training.vocabulary import train_tokenizer, write_companions

CORPUS, TAUGHT, COMPANIONS = "corpus.json", "texts.json", "companions"

SPELLED = 4.0
"""Length of the embeddings in the beginning: about what the vectors of cells come to by themselves."""


SERIFS_KEPT = ("Accanthis ADF Std", "Baskervald ADF Std", "Charis SIL", "Old Standard TT", "Clear Sans")
"""Families that the table of nano is drawn in although `kept_to_test` would train on them, or on their other weights (bench/nano)."""


def font_kept_to_test(family: str) -> bool:
    """Whether pages to learn from are never drawn in this family."""
    return kept_to_test(family) or family.startswith(SERIFS_KEPT)


@dataclass(frozen=True, kw_only=True)
class Stage(ABC):
    """A stage by its settings. `after` names the stages whose results it needs, if the course has them."""

    name: str
    after: tuple[str, ...] = ()
    kept = True
    """Whether a result that is there is taken as done; else it is made anew in no time."""

    @property
    @abstractmethod
    def result(self) -> str:
        """File of the stage's folder that is written last: where it is, the stage is done."""

    @abstractmethod
    def run(self, school: School) -> None:
        """Make the result, or go on with it."""


@dataclass(frozen=True, kw_only=True)
class Course:
    """A whole run: `unitower train` runs it, by name or file, as it does recipes.

    tower    shape of the model
    lora     rank and scale of its adapters
    workers  processes that make training material; the result does not depend on them

    ValueError for a stage that saves, logs or has texts every 0 steps.
    """

    name: str
    tower: ModelConfig
    stages: tuple[Stage, ...]
    lora: LoraConfig = field(default_factory=lambda: LoraConfig(r=16, lora_alpha=16, lora_dropout=0.0))
    seed: int = 0
    workers: int = 1

    def __post_init__(self) -> None:
        for stage in self.stages:
            if schedule := getattr(stage, "schedule", None):
                check_steps(schedule, where=f"stage {stage.name!r}: ")
            if (every := getattr(stage, "text_every", 1)) < 1:
                raise ValueError(f"stage {stage.name!r}: text_every is {every}: give a number of steps, 1 or more.")


def run_course(
    course: Course, out: str | Path, *, only: str | None = None, resume: bool = False, progress: Callable[[Told], None] | None = None
) -> Path:
    """Run the stages of a course, or one of them; the folder of the last one that was run.

    only    a stage's name; those it comes after must be done
    resume  pass over stages that are done, go on with one that was stopped; without it the folder must be new or empty

    UnitowerError tells which stage is missing, or what of a folder belongs to other settings.
    """
    out, names = Path(out), [stage.name for stage in course.stages]
    if only is not None and only not in names:
        raise ValueError(f"there is no stage {only!r}; there are {', '.join(names)}.")
    if only is None and not resume and out.is_dir() and any(out.iterdir()):
        raise UnitowerError(f"{out} is not empty: go on with the run in it by --resume, or choose another folder.")
    results = {stage.name: out / stage.name / stage.result for stage in course.stages}
    for stage in course.stages:
        if only not in (None, stage.name):
            continue
        if missing := [name for name in stage.after if name in results and not results[name].exists()]:
            raise UnitowerError(f"stage {stage.name!r} comes after {missing[0]!r}, which is not done in {out}: run that first.")
        school = School(course, stage, out, resume=resume, progress=progress)
        if results[stage.name].exists() and resume and stage.kept:
            claim(school.folder, school.said, resume=True)
        else:
            stage.run(school)
    return out / (only or names[-1])


class School:
    """What a stage finds: its folder, and what the stages before it have made."""

    def __init__(self, course: Course, stage: Stage, out: Path, *, resume: bool, progress: Callable[[Told], None] | None) -> None:
        self.course, self.stage, self.out, self.resume, self._progress = course, stage, out, resume, progress
        self.folder = out / stage.name

    @property
    def said(self) -> dict[str, Any]:
        """All that decides what the stage makes, for its stage.json."""
        stage = asdict(self.stage)
        for setting in ("save_every", "log_every"):
            stage.get("schedule", {}).pop(setting, None)
        return {"stage": stage, "tower": asdict(replace(self.course.tower, extra={})), "lora": asdict(self.course.lora), "seed": self.seed}

    @property
    def seed(self) -> int:
        return hash_of(self.course.seed, [stage.name for stage in self.course.stages].index(self.stage.name))

    @cached_property
    def corpus(self) -> Corpus:
        return Corpus.read(self._needed(GatherStage) / CORPUS)

    @cached_property
    def companions(self) -> Path:
        return self._needed(VocabularyStage) / COMPANIONS

    @cached_property
    def tokenizer(self) -> Tokenizer:
        return Tokenizer.from_file(str(self.companions / "tokenizer.json"))

    @cached_property
    def library(self) -> Library:
        taught = [self.out / stage.name for stage in self.course.stages if isinstance(stage, TeacherStage)]
        return Library(self.corpus, read_taught(taught[0]) if taught else Taught())

    def _needed(self, kind: type[Stage]) -> Path:
        for stage in self.course.stages:
            if isinstance(stage, kind):
                return self.out / stage.name
        raise UnitowerError(f"course {self.course.name!r} has no {kind.__name__}, which stage {self.stage.name!r} needs.")

    def prompts(self, task: str) -> tuple[str, str]:
        """Before queries and passages, without the space that belongs to the first word."""
        known = tasks_of(dict.fromkeys([*self.course.tower.task_names, task]))[task]
        return known.prompt("query").rstrip(), known.prompt("passage").rstrip()

    def pens(self, shapes: tuple[Shape, ...], *, easy: int = 0) -> Pens:
        fonts = quick.fonts(left_out=font_kept_to_test) or quick.fonts()  # a machine whose only family is kept to test with still draws
        magnify = next((stage.magnify for stage in self.course.stages if isinstance(stage, VocabularyStage)), 1.0)
        return Pens(self.corpus.to_draw, fonts, shapes, easy=easy, magnify=magnify)

    def tower(self, *taught: str) -> tuple[Embedder, Reader, LetterCodes]:
        """The tower, the reading head and the codes of letters: drawn by the seed, then what the named stages have taught.

        In bfloat16, nothing to learn yet.
        """
        torch.manual_seed(self.course.seed)
        tower = self.course.tower
        embedder, reader, letters = from_nothing(tower), Reader(tower.text.hidden_size), LetterCodes(tower.multi_vector_projector_dim)
        held = dict(embedder.named_parameters()) | named("reader", reader) | named("letters", letters)
        spelled = torch.from_numpy(codes(self.tokenizer, self.course.tower.text.hidden_size)) * SPELLED
        with torch.no_grad():
            embedder.decoder.embed_tokens.weight[: len(spelled)].copy_(spelled)  # a small corpus has fewer tokens than there is room for
        for name in taught:
            for key, weight in load_file(self.out / name / WEIGHTS).items():
                with torch.no_grad():
                    held[key].copy_(weight)
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        for module in (embedder, reader, letters):
            module.to(device, torch.bfloat16).train().requires_grad_(False)
        return embedder, reader, letters

    def couples(self, embedder: Embedder, count: int, prompts: tuple[str, str], route: Route = BARE) -> Texts | None:
        """Draws so many couples of texts, to stand in one pool with pages."""
        return Texts(embedder, {}, self.library, self.tokenizer, batch=count, prompts=prompts, route=route) if count else None

    def say(self, line: str) -> None:
        """A line of progress, where a person asked for it."""
        if self._progress is not None:
            print(f"{self.stage.name}: {line}", file=sys.stderr, flush=True)

    def teach(self, lesson: Lesson, schedule: Schedule) -> None:
        for parameter in lesson.parameters.values():
            parameter.requires_grad_()
        teach(
            lesson, schedule, self.folder, name=self.stage.name, seed=self.seed, said=self.said, resume=self.resume,
            workers=self.course.workers, progress=self._progress,
        )  # fmt: skip


def learning(embedder: Embedder, *parts: str) -> dict[str, Tensor]:
    """Parameters of parts of the tower (`vision`, `vision.merger`, `decoder`, `projector`), by name."""
    beginnings = tuple(f"{part}." for part in parts)
    return {name: parameter for name, parameter in embedder.named_parameters() if name.startswith(beginnings)}


def named(part: str, module: nn.Module) -> dict[str, Tensor]:
    """Parameters of what is no part of the tower, by name."""
    return {f"{part}.{name}": parameter for name, parameter in module.named_parameters()}


# ---------------------------------------------------------------- what is learned from


@dataclass(frozen=True, kw_only=True)
class GatherStage(Stage):
    """Text from what lies on this machine."""

    name: str = "corpus"
    places: Places = field(default_factory=Places)
    result = CORPUS

    def run(self, school: School) -> None:
        claim(school.folder, school.said, resume=school.resume)
        corpus = gathered(self.places, seed=school.seed)
        if not any(corpus.texts.values()):
            raise UnitowerError(
                "there is no text on this machine to learn from; on Debian install libreoffice-help-*, manpages-*, dict-* and fortunes-*."
            )
        write_json(school.folder / "sources.json", corpus.sources)
        school.say(f"{sum(map(len, corpus.texts.values())):,} passages in {', '.join(sorted(corpus.texts))}")
        corpus.write(school.folder / CORPUS)


@dataclass(frozen=True, kw_only=True)
class VocabularyStage(Stage):
    """A tokenizer from about so many characters of it, and the files beside it, with the rules for pictures (`ImageRules`)."""

    name: str = "vocabulary"
    after: tuple[str, ...] = ("corpus",)
    characters: int = 70_000_000
    max_pixels: int = 1_003_520
    magnify: float = 1.0
    result = f"{COMPANIONS}/preprocessor_config.json"

    def run(self, school: School) -> None:
        claim(school.folder, school.said, resume=school.resume)
        tower = school.course.tower
        tokenizer = train_tokenizer(school.corpus, size=tower.text.vocab_size, characters=self.characters)
        school.say(f"{tokenizer.get_vocab_size():,} tokens")
        length, pixels = tower.text.max_position_embeddings, self.max_pixels
        write_companions(tokenizer, school.folder / COMPANIONS, max_length=length, max_pixels=pixels, magnify=self.magnify)


@dataclass(frozen=True, kw_only=True)
class TeacherStage(Stage):
    """What the teacher says of the corpus's English texts, at most so many of each kind."""

    name: str = "teacher"
    after: tuple[str, ...] = ("corpus",)
    most: int = 40_000
    result = TAUGHT

    def run(self, school: School) -> None:
        claim(school.folder, school.said, resume=school.resume)
        texts = texts_to_teach(school.corpus, most=self.most)
        write_taught(texts, minilm(), school.folder, width=school.course.tower.text.hidden_size, say=school.say)


# ---------------------------------------------------------------- the tower

TAUGHT_IN = ("spelling", "text", "meeting", "pages")
"""Stages that have taught parts of the tower, the later ones over the earlier."""


@dataclass(frozen=True, kw_only=True)
class ReadingStage(Stage):
    """The vision tower learns characters.

    easy    steps until pages are as hard as they come
    tokens  it learns the tokens of each cell, too
    begun   the stage that it goes on from; "" for none
    """

    name: str = "reading"
    after: tuple[str, ...] = ("corpus", "vocabulary")
    tokens: bool = False
    begun: str = ""
    schedule: Schedule
    shapes: tuple[Shape, ...] = SHAPES
    easy: int = 0
    result = WEIGHTS

    def run(self, school: School) -> None:
        embedder, reader, _ = school.tower(*filter(None, [self.begun]))
        pens = school.pens(self.shapes, easy=self.easy)
        school.teach(Reading(embedder, reader, pens, school.tokenizer if self.tokens else None), self.schedule)


@dataclass(frozen=True, kw_only=True)
class TextStage(Stage):
    """The decoder and the projector learn language."""

    name: str = "text"
    after: tuple[str, ...] = ("corpus", "vocabulary", "teacher")
    schedule: Schedule
    batch: int = 72
    kinds: Mapping[str, float] = field(default_factory=lambda: dict(KINDS))
    result = WEIGHTS

    def run(self, school: School) -> None:
        embedder, _, _ = school.tower()
        learns = learning(embedder, "decoder", "projector")
        prompts = school.prompts("retrieval")
        lesson = Texts(embedder, learns, school.library, school.tokenizer, batch=self.batch, prompts=prompts, kinds=self.kinds)
        school.teach(lesson, self.schedule)


@dataclass(frozen=True, kw_only=True)
class PagesStage(Stage):
    """Pages are learned, and every few steps texts are gone on with.

    begun  stages whose weights it starts from, the later ones over the earlier
    parts  what learns; the codes of letters do, too, and the reading head where "vision" does
    kinds  of the texts; nearly half are spelled
    mixed  couples of texts that stand in one pool with the pages of a step; 0 for none
    earlier  steps before, whose pages and texts stand in the pool, too
    """

    name: str = "pages"
    after: tuple[str, ...] = ("corpus", "vocabulary", "teacher", "spelling", "text")
    schedule: Schedule
    shapes: tuple[Shape, ...] = SHAPES
    batch: int = 72
    text_every: int = 2
    text_weight: float = 1.0
    mixed: int = 0
    earlier: int = 0
    kinds: Mapping[str, float] = field(default_factory=lambda: {**KINDS, "teacher": 50, "letters": 120})
    begun: tuple[str, ...] = ("spelling", "text")
    parts: tuple[str, ...] = ("vision", "decoder", "projector")
    result = WEIGHTS

    def run(self, school: School) -> None:
        embedder, reader, letters = school.tower(*self.begun)
        learns = learning(embedder, *self.parts) | named("letters", letters)
        if "vision" in self.parts:
            learns |= named("reader", reader)
        prompts, pens = school.prompts("retrieval"), school.pens(self.shapes)
        pages = Pages(
            embedder, reader, learns, pens, school.tokenizer, frame=IMAGE_PROMPT, prompts=prompts, letters=letters,
            characters=1.0 if "vision" in self.parts else 0.0, couples=school.couples(embedder, self.mixed, prompts), earlier=self.earlier,
        )  # fmt: skip
        texts = Texts(
            embedder, learns, school.library, school.tokenizer, batch=self.batch, prompts=prompts, kinds=self.kinds, letters=letters
        )
        school.teach(Together(pages=Part(pages), texts=Part(texts, every=self.text_every, weight=self.text_weight)), self.schedule)


@dataclass(frozen=True, kw_only=True)
class AdapterStage(Stage):
    """The adapter of a task learns on the frozen tower; name is the task's. pages_every 0: texts alone.

    begun  the stage to whose weights the adapter takes the tower at first, as near as its rank allows; "" for none: it begins as nothing
    mixed  couples of texts that stand in one pool with the pages; 0 for none
    """

    after: tuple[str, ...] = TAUGHT_IN
    schedule: Schedule
    kinds: Mapping[str, float]
    batch: int = 96
    symmetric: bool = False
    begun: str = ""
    pages_every: int = 0
    mixed: int = 0
    shapes: tuple[Shape, ...] = SHAPES
    result = WEIGHTS

    def run(self, school: School) -> None:
        embedder, reader, _ = school.tower(*TAUGHT_IN)
        torch.manual_seed(school.seed)
        embedder.add_adapter(self.name, school.course.lora)
        wanted = load_file(school.out / self.begun / WEIGHTS) if self.begun else {}
        for name, layer in embedder.named_modules():
            if isinstance(layer, AdaptedLinear) and f"{name}.weight" in wanted:
                layer.begin_adapter(self.name, wanted[f"{name}.weight"])
        learns = {name: parameter for name, parameter in embedder.named_parameters() if name.endswith(f".{self.name}")}
        embedder.requires_grad_(False)
        route, prompts = ((self.name, 0, -1),), school.prompts(self.name)
        texts = Texts(
            embedder, learns, school.library, school.tokenizer, batch=self.batch, prompts=prompts, kinds=self.kinds,
            symmetric=self.symmetric, route=route,
        )  # fmt: skip
        parts = {"texts": Part(texts)}
        if self.pages_every:
            pages = Pages(
                embedder, reader, learns, school.pens(self.shapes), school.tokenizer, frame=IMAGE_PROMPT, prompts=prompts, characters=0.0,
                couples=school.couples(embedder, self.mixed, prompts, route), route=route,
            )  # fmt: skip
            parts["pages"] = Part(pages, every=self.pages_every)
        school.teach(Together(**parts), self.schedule)


@dataclass(frozen=True, kw_only=True)
class CheckpointStage(Stage):
    """The tower with its adapters in the released layout, bfloat16. fusion: weights of the signals in a search (unitower.json)."""

    name: str = "checkpoint"
    after: tuple[str, ...] = (*TAUGHT_IN, "retrieval", "text-matching", "code")
    fusion: Mapping[str, float] = field(default_factory=dict)
    result = "config.json"
    kept = False

    def run(self, school: School) -> None:
        embedder, _, _ = school.tower(*TAUGHT_IN)
        for task in school.course.tower.adapter_names:
            embedder.add_adapter(task, school.course.lora)
            with torch.no_grad():
                for key, weight in load_file(school.out / task / WEIGHTS).items():
                    embedder.get_parameter(key).copy_(weight)
        write_checkpoint(embedder.eval(), school.folder, like=school.companions)
        if self.fusion:
            write_json(school.folder / "unitower.json", {"fusion": dict(self.fusion)})


__all__ = [
    "AdapterStage", "CheckpointStage", "Course", "GatherStage", "PagesStage", "ReadingStage", "Stage", "TeacherStage", "TextStage",
    "VocabularyStage", "run_course",
]  # fmt: skip
