"""What a build is told: one TOML file.

    name = "harbour"                       of the set; the folder beside the config, or `out`
    about = "Questions over the papers of the harbour office."
    licence = "CC-BY-4.0"                  of pages and queries
    seed = 0

    [[sources]]                            one or more; `kind` is a module of builder/sources/, the rest its options
    kind = "files"
    paths = ["papers"]

    [[queries]]                            one or more; `kind` is a module of builder/queries/, the rest its options
    kind = "templates"
    languages = ["en", "de"]

    [filters]                              see `filters`; left out, those that need no model and no endpoint
    several = "drop"

    [output]
    shapes = ["beir", "qa"]
    format = "webp"                        or "png"

Paths are relative to the config's folder.
"""

from __future__ import annotations

import importlib
import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, get_type_hints

from unitower.builder import consensus, judge
from unitower.evaluation import toml


@dataclass(frozen=True, kw_only=True)
class Filters:
    """What a page or query must pass.

    near_pages    pages that look and read like an earlier one are dropped
    near_queries  queries that read like an earlier one are dropped
    realistic     queries that no person would type are dropped, as far as that can be told by rule: length, gaps left unfilled,
                  words that point at a page ("this table")
    several       queries that further pages answer too, as far as the texts tell: "drop" them, "add" those pages to the answers, or
                  "keep" them as they are
    consensus     rankings that must find the page: {rankers = ["words"], k = 10, agree = 1}
    judge         an endpoint that is asked, see `endpoint.Settings`
    """

    near_pages: bool = True
    near_queries: bool = True
    realistic: bool = True
    several: str = "drop"
    consensus: Mapping[str, Any] = field(default_factory=dict)
    judge: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Output:
    """How a set is written.

    shapes   "beir", "qa" or both
    format   of pictures: "webp" (quality `quality`) or "png" (with `colours`, a palette of so many)
    max_side pixels of the longer side; larger pages are scaled down; 0: never
    subsets  "one", or "languages" for one per language of the queries; the corpus is the same for all
    """

    shapes: Sequence[str] = ("beir", "qa")
    format: str = "webp"
    quality: int = 80
    colours: int = 0
    max_side: int = 0
    subsets: str = "one"


@dataclass(frozen=True, kw_only=True)
class Config:
    """A build; fields as in the module's text. `folder` is that of the config."""

    name: str
    about: str
    sources: Sequence[Mapping[str, Any]]
    queries: Sequence[Mapping[str, Any]]
    folder: Path
    out: str = ""
    licence: str = "not specified"
    citation: str = ""
    domain: str = ""
    how: str = ""
    seed: int = 0
    filters: Filters = field(default_factory=Filters)
    output: Output = field(default_factory=Output)

    @property
    def place(self) -> Path:
        """Folder of the set."""
        return Path(os.path.normpath(self.folder / (self.out or self.name)))


def read(path: Path) -> Config:
    """The config in a file. ValueError names what is missing, unknown or wrong in it."""
    return made(toml.read(path), folder=path.parent, where=str(path))


def made(values: Mapping[str, Any], *, folder: Path, where: str) -> Config:
    """A config of values. Errors as of `read`."""
    toml.check_fields(values, Config, where=where, given={"folder"})
    parts = {
        "filters": toml.table(Filters, values.get("filters", {}), where=f"{where}, [filters]"),
        "output": toml.table(Output, values.get("output", {}), where=f"{where}, [output]"),
    }
    config = Config(**{**values, **parts}, folder=folder)
    if config.filters.consensus:
        consensus.settings(config.filters.consensus, where=f"{where}, [filters.consensus]")
    if config.filters.judge:
        judge.settings(config.filters.judge, where=f"{where}, {judge.WHERE}")
    choices = {
        "shapes": (config.output.shapes, {"beir", "qa"}),
        "format": ([config.output.format], {"webp", "png"}),
        "subsets": ([config.output.subsets], {"languages", "one"}),
        "several": ([config.filters.several], {"drop", "add", "keep"}),
    }
    for name, (chosen, known) in choices.items():
        for one in chosen:
            if one not in known:
                raise ValueError(f"{where}: {name} is {one!r}; there are {', '.join(sorted(known))}.")
    if not config.output.shapes or not config.sources or not config.queries:
        raise ValueError(f"{where}: a set needs at least one of [[sources]], [[queries]] and shapes.")
    return config


def chosen(package: ModuleType, options: Mapping[str, Any], *, verb: str, where: str) -> tuple[Callable[..., Any], dict[str, Any]]:
    """The function `verb` of the module that `kind` names, and the other options. ValueError where they are not what it takes."""
    kinds = package.kinds()
    kind = options.get("kind", "")
    if kind not in kinds:
        raise ValueError(f"{where}: kind is {kind!r}; there are {', '.join(kinds)}.")
    function = getattr(importlib.import_module(f"{package.__name__}.{kind}"), verb)
    rest = {key: value for key, value in options.items() if key != "kind"}
    ours = {"folder", "notes"} if verb == "pages" else {"pages", "folder", "seed", "notes"}  # given by the build, not by the config
    theirs = {name: one for name, one in inspect.signature(function).parameters.items() if name not in ours}
    hints = get_type_hints(function)
    needed = [name for name, one in theirs.items() if one.default is inspect.Parameter.empty]
    toml.check(rest, {name: hints[name] for name in theirs}, needed=needed, where=f"{where} of kind {kind!r}")
    return function, rest
