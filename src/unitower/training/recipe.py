"""What a training run is: a start, and phases that each say what is trained, on which pairs, towards what.

A recipe is a Python function that returns one of these, so that the editor and the type checker know it and one derives from another
(`dataclasses.replace`). Every number that matters stands beside its reason in the recipe's file (src/unitower/recipes/).
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from unitower.losses.joint import Weights
from unitower.model.config import LoraConfig, ModelConfig

SHIPPED = Path(__file__).parents[1] / "recipes"


@dataclass(frozen=True, kw_only=True)
class Source:
    """One data source and its share of the batches: `data.open_source(kind, **options)`."""

    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)
    weight: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Mix:
    """Sources that take turns, one a batch, drawn by weight. `batch` is the number of pairs over all processes."""

    sources: tuple[Source, ...]
    batch: int


@dataclass(frozen=True, kw_only=True)
class Objective:
    """What a phase makes small.

    kind           "joint": InfoNCE of both heads and the divergence between them, hard negatives included where pairs have them;
                   "graded": CoSENT of both heads where pairs carry grades, "joint" where a source's pairs do not
    weights        of the joint loss's six terms
    temperature    of InfoNCE and the divergence
    both_ways      InfoNCE also from documents to queries
    stop_gradient  head that the divergence does not move; None: both move, as the paper does
    dense_widths   Matryoshka widths of the dense vector; None: those of the model; () for its full width only
    late_widths    the same of the token vectors; () for their full width only, as the paper does
    normalised     late scores are divided by the query's length, as the paper does in training; without, long queries speak louder
    """

    kind: Literal["joint", "graded"] = "joint"
    weights: Weights = field(default_factory=Weights)
    temperature: float = 0.02
    cosent_temperature: float = 0.05
    both_ways: bool = False
    stop_gradient: Literal["dense", "late"] | None = None
    dense_widths: tuple[int, ...] | None = None
    late_widths: tuple[int, ...] = ()
    normalised: bool = True


@dataclass(frozen=True, kw_only=True)
class Phase:
    """One stretch of training with one optimiser.

    task         whose prompts are put before texts
    adapters     adapter that is trained -> adapter it starts from; None for a fresh one, its own name to go on with it. One adapter,
                 or two named `TASK-query` and `TASK-passage` for roles of their own
    train        what else moves: "projector" (its base weights), "tower" (everything)
    text, pages  pairs without and with pictures; a step takes a batch of each there is
    chunk_tokens gradients are cached: the tower sees this many tokens at once, whatever the batch; None: the batch in one pass
    recompute    keep no activations inside a block; a third more work for much less memory
    average      decay of the running average of the weights, which is what is written in the end; 0 for the last weights
    """

    name: str
    steps: int
    objective: Objective = Objective()
    task: str = "retrieval"
    adapters: Mapping[str, str | None] = field(default_factory=dict)
    train: tuple[Literal["projector", "tower"], ...] = ()
    text: Mix | None = None
    pages: Mix | None = None
    lr: float = 1e-4
    warmup: int = 0
    final_lr: float = 0.0
    weight_decay: float = 0.0
    clip: float = 1.0
    average: float = 0.0
    chunk_tokens: int | None = None
    recompute: bool = False
    max_length: int = 512
    max_pixels: int | None = None


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A whole run.

    start       checkpoint folder or Hub id that is trained on: in the released layout, or a bare Qwen2.5-VL; its tokenizer and
                preprocessing go with it
    config      shape of a tower that starts from nothing, with the tokenizer and preprocessing of `start`; None: the weights of `start`
    lora        rank and scale of the adapters
    precision   "bfloat16" or "float32" arithmetic; what is trained is kept in float32
    save_every  steps between states a killed run resumes from; log_every: between lines of progress. ValueError for less than one
    revisions   Hub id -> commit (40 digits), of `start` and of the data sets whose card says none
    """

    name: str
    start: str
    phases: tuple[Phase, ...]
    config: ModelConfig | None = None
    lora: LoraConfig = field(default_factory=lambda: LoraConfig(r=32, lora_alpha=32))
    precision: Literal["bfloat16", "float32"] = "bfloat16"
    seed: int = 0
    save_every: int = 100
    log_every: int = 10
    revisions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_steps(self)


def check_steps(settings: Any, *, where: str = "") -> None:
    """ValueError where `save_every` or `log_every` is no number of steps, before anything is trained."""
    for name in ("save_every", "log_every"):
        every = getattr(settings, name)
        if not every or every < 1:
            raise ValueError(f"{where}{name} is {every}: give a number of steps, 1 or more; one beyond the last step comes to never.")


def pinned(recipe: Recipe) -> Recipe:
    """The recipe with its revisions written into the cards of its data sets. ValueError names all that are open, before anything runs.

    >>> card = {"path": "owner/name", "licence": "MIT", "languages": ["en"]}
    >>> phase = Phase(name="one", steps=1, text=Mix(sources=(Source(kind="hub", options={"card": card}),), batch=2))
    >>> pinned(Recipe(name="x", start="nano", phases=(phase,), revisions={"owner/name": "0" * 40})).phases[0].text.sources[0].options
    {'card': {'path': 'owner/name', 'licence': 'MIT', 'languages': ['en'], 'revision': '0000000000000000000000000000000000000000'}}
    """
    missing: dict[str, None] = {}

    def filled(value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        inner = {key: filled(each) for key, each in value.items()}
        path = inner.get("path")
        if isinstance(path, str) and path in recipe.revisions and not inner.get("revision"):
            inner["revision"] = recipe.revisions[path] or missing.setdefault(path)
        return inner

    def mixed(mix: Mix | None) -> Mix | None:
        return mix and replace(mix, sources=tuple(replace(source, options=filled(source.options)) for source in mix.sources))

    phases = tuple(replace(phase, text=mixed(phase.text), pages=mixed(phase.pages)) for phase in recipe.phases)
    if missing:
        settings = " ".join(f"--set revisions.{path}=COMMIT" for path in missing)
        raise ValueError(
            f"no commit is known for {', '.join(missing)}. Look each up on the Hub (huggingface.co/datasets/NAME/commits/main), see that "
            f"its licence suits you, and give it: {settings}"
        )
    return replace(recipe, phases=phases)


def recipes() -> list[str]:
    """Names of the recipes that ship: the modules of `unitower.recipes`."""
    return sorted(m.name for m in pkgutil.iter_modules([str(SHIPPED)]) if not m.name.startswith("_"))


def find(name: str, *, settings: Sequence[str] = ()) -> Recipe:
    """A recipe of phases by name or file, as `load` finds it. ValueError if what is there is none, such as a course of stages."""
    found = load(name, settings=settings)
    if not isinstance(found, Recipe):
        raise ValueError(f"{name} is a {type(found).__name__.lower()}, not a recipe of phases.")
    return found


def load(name: str, *, settings: Sequence[str] = ()) -> object:
    """What `recipe()` of a shipped module or of a Python file gives, with `key=value` settings put into it: a Recipe, or a Course.

    A key is a path of fields: `seed=1`, `phases.0.steps=20`, `phases.pairs.objective.temperature=0.05`.

    ValueError names the recipes there are, the fields there are, the value that does not fit, or a file without recipe().
    """
    path = Path(name)
    if path.suffix == ".py":
        if not path.is_file():
            raise ValueError(f"there is no recipe file {name}.")
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    elif name in recipes():
        module = importlib.import_module(f"unitower.recipes.{name}")
    else:
        raise ValueError(f"there is no recipe {name!r}; there are {', '.join(recipes())}, or give the path of a .py file with recipe().")
    make = getattr(module, "recipe", None)
    if not callable(make):
        raise ValueError(f"{name} has no recipe(): define a function of that name that gives a Recipe or a Course.")
    recipe: object = make()
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise ValueError(f"{setting!r} is no setting: write KEY=VALUE.")
        recipe = with_setting(recipe, key.split("."), value)
    return recipe


T = TypeVar("T")


def with_setting(config: T, key: Sequence[str], value: str) -> T:
    """A copy of a configuration with one field changed; the value is read as Python where it is, else as a string.

    >>> with_setting(Mix(sources=(), batch=8), ["batch"], "16").batch
    16
    """
    name, *rest = key
    if isinstance(config, tuple):
        names = [getattr(each, "name", str(i)) for i, each in enumerate(config)]
        if name not in names and not (name.isdigit() and int(name) < len(config)):
            raise ValueError(f"there is no {name!r}; there are {', '.join(names)}.")
        at = names.index(name) if name in names else int(name)
        changed = with_setting(config[at], rest, value) if rest else _value(value, like=config[at], key=name)
        return (*config[:at], changed, *config[at + 1 :])  # type: ignore[return-value]
    if isinstance(config, Mapping):
        cut = next((cut for cut in range(len(key), 0, -1) if ".".join(key[:cut]) in config), 1)  # a name may have dots itself
        name, rest = ".".join(key[:cut]), list(key[cut:])
        if rest and name not in config:
            raise ValueError(f"there is no {name!r}; there are {', '.join(map(str, config))}.")
        return {**config, name: with_setting(config[name], rest, value) if rest else _value(value, like=config.get(name), key=name)}  # type: ignore[return-value]
    if not is_dataclass(config) or name not in {f.name for f in fields(config)}:
        there = [f.name for f in fields(config)] if is_dataclass(config) else []
        raise ValueError(f"there is no setting {name!r}; there are {', '.join(there) or 'none at this place'}.")
    now = getattr(config, name)
    return replace(config, **{name: with_setting(now, rest, value) if rest else _value(value, like=now, key=name)})  # type: ignore[type-var]


def _value(text: str, *, like: object, key: str) -> object:
    import ast

    if isinstance(like, str):
        return text
    try:
        value: object = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        value = text
    if isinstance(like, float) and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if isinstance(like, tuple) and isinstance(value, list):
        value = tuple(value)
    if like is not None and value is not None and type(value) is not type(like):
        raise ValueError(f"{key} is a {type(like).__name__}, got {text!r}.")
    return value
