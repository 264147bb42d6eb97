"""Cards: what is known of a data set, one TOML file each, and how its rows become a task.

A card of benchmarks/ is named by its folder and file: `jina_vdr/tatqa`; several by a group they are in: their folder (`jina_vdr`), or
what their field `groups` says (`text/coir`). A file of one's own is named by its path: `unitower eval sets/contracts.toml`. One sub-set of
several is named behind a colon: `jina_vdr/airbnb-synthetic-retrieval:de`.

    about = "Questions over pages of annual reports."      one line for a person
    shape = "beir"                                         "beir", "qa" or "mteb", see below
    path = "jinaai/tatqa_beir"                             a Hub id, or a folder beside the card
    revision = "78b7f06bd45d8cead8a61ec83ed20d7eb3c0f82a"  the commit; a folder beside the card has none
    split = "test"
    licence = "MIT"
    citation = "Zhu et al. 2022"
    measure = "ndcg_linear@5"                              by which the set is reported
    faults = ["Queries were filtered by a language model."]

    [subsets]                                              sub-set -> languages of its queries, ISO 639-1
    default = ["en"]

    [sizes.default]                                        what is there at that revision; the runner checks it
    queries = 120
    documents = 270

    [[published]]                                          figures of others, as printed: 92.76 is .9276
    model = "jina-embeddings-v4"
    mode = "multi"
    rule = "one page"
    source = "arXiv 2506.18902, table A2"
    score = 92.76

Shapes:

    beir  three tables: queries (query-id, query), corpus (corpus-id, image and/or text), qrels (query-id, corpus-id, score). They lie in
          folders SUBSET/queries, SUBSET/corpus, SUBSET/qrels; `parts = "{subset}-{part}"` with `by = "name"` says that they are
          configurations instead
    qa    one table in the folder SUBSET: query, image, image_filename, text_description; a row without a query is a document only
    mteb  a task of the package mteb, by its name in `path`; see `mteb_bridge`

Columns with other names: `[columns]`, ours = "theirs"; where a table has no such column, one of our name. Rows of one sub-set: `[rows]`,
part -> column that equals the sub-set. `text` (or `text_description`) is what word search reads of a page.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Literal, TypeAlias

from unitower.evaluation import toml
from unitower.evaluation.metrics import Measure

SHIPPED = Path(__file__).parents[1] / "benchmarks"

SPEARMAN = "spearman"
"""The one measure beside those of `metrics`: correlation of ranks, computed by mteb for tasks of similarity."""

Shape: TypeAlias = Literal["beir", "qa", "mteb"]


@dataclass(frozen=True, kw_only=True)
class Published:
    """A figure somebody printed, in points of 100.

    rule     "every page" or "one page": which documents counted
    source   paper and table, or repository and date
    score    of the whole set, averaged over its sub-sets where there are several
    subsets  sub-set -> its own figure
    group    the benchmark it was printed for, where another one has another figure; "" where it holds for all
    """

    model: str
    mode: str
    rule: str
    source: str
    score: float
    subsets: Mapping[str, float] = field(default_factory=dict)
    group: str = ""


@dataclass(frozen=True, kw_only=True)
class Card:
    """One data set; fields as in the module's text.

    name    `jina_vdr/tatqa`, or the name of the file
    folder  of the card: local paths are relative to it
    groups  benchmarks it is part of, beside its folder
    task    adapter and prompts: a name of src/unitower/tasks/
    by      how parts are addressed: "data_dir" (folders) or "name" (configurations)
    domain, document, query  what it is about, what its pages are, how they are asked for
    """

    name: str
    folder: Path
    about: str
    shape: Shape
    path: str
    licence: str
    citation: str
    subsets: Mapping[str, tuple[str, ...]]
    groups: tuple[str, ...] = ()
    revision: str = ""
    split: str = "test"
    measure: str = "ndcg_linear@5"
    task: str = "retrieval"
    parts: str = ""
    by: Literal["data_dir", "name"] = "data_dir"
    columns: Mapping[str, str] = field(default_factory=dict)
    rows: Mapping[str, str] = field(default_factory=dict)
    sizes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    published: tuple[Published, ...] = ()
    faults: tuple[str, ...] = ()
    domain: str = ""
    document: str = ""
    query: str = ""

    def belongs(self, group: str) -> bool:
        """Whether it is part of a benchmark."""
        return group in (self.name.rpartition("/")[0], *self.groups)

    @property
    def local(self) -> Path | None:
        """Where its data lie on this machine; None where they come from the Hub or from mteb."""
        place = self.folder / Path(self.path).expanduser()
        return place if self.shape != "mteb" and place.exists() else None

    def printed(self, group: str) -> list[Published]:
        """What was published of it as a part of a benchmark."""
        return [entry for entry in self.published if entry.group in ("", group)]

    def task_name(self, subset: str) -> str:
        """What results call a sub-set: the card's name where there is only one."""
        return self.name if len(self.subsets) == 1 else f"{self.name}:{subset}"

    def part(self, subset: str, part: str) -> str:
        """Folder or configuration of a part of a sub-set."""
        template = self.parts or ("{subset}" if self.shape == "qa" else "{subset}/{part}")
        return template.format(subset=subset, part=part)


def read(path: Path, *, name: str = "") -> Card:
    """The card in a file. ValueError names what is missing, unknown or wrong in it."""
    values = toml.read(path)
    toml.check_fields(values, Card, where=str(path), given={"name", "folder"})
    values["subsets"] = {subset: tuple(languages) for subset, languages in values["subsets"].items()}
    where = f"{path}, [[published]]"
    values["published"] = tuple(toml.table(Published, entry, where=where) for entry in values.get("published", []))
    for key in ("faults", "groups"):
        values[key] = tuple(values.get(key, ()))
    if values.get("measure") != SPEARMAN:
        values["measure"] = str(Measure.named(values.get("measure", "ndcg@5")))
    card = Card(name=name or path.stem, folder=path.parent, **values)
    if not card.subsets:
        raise ValueError(f'{path}: [subsets] is empty; a set without sub-sets has one: default = ["en"].')
    return card


def names() -> list[str]:
    """Names of all cards that ship, in order: the files of benchmarks/."""
    return sorted(path.relative_to(SHIPPED).with_suffix("").as_posix() for path in SHIPPED.glob("*/*.toml"))


def shipped() -> list[Card]:
    """All cards that ship, in the order of their names."""
    return [read(SHIPPED / f"{name}.toml", name=name) for name in names()]


def groups(cards: Iterable[Card]) -> list[str]:
    """Names of the groups that cards are in."""
    return sorted({group for card in cards for group in (card.name.rpartition("/")[0], *card.groups)})


def find(name: str) -> list[tuple[Card, tuple[str, ...]]]:
    """The cards that a name stands for, each with the sub-sets that are meant.

    name  `jina_vdr/tatqa`, `jina_vdr`, `sets/contracts.toml`, each with `:SUBSET` behind it where only that one is meant

    ValueError names what comes near.
    """
    plain, _, subset = name.partition(":")
    if plain.endswith(".toml"):
        found = [read(Path(plain))]
    elif plain in names():
        found = [read(SHIPPED / f"{plain}.toml", name=plain)]
    else:
        known = shipped()
        found = [card for card in known if card.belongs(plain)]
        if not found:
            words = [*groups(known), *names()]
            near = [one for one in words if plain in one][:4] or get_close_matches(plain, words, 3, 0.4) or groups(known)
            raise ValueError(f"there is no card {plain!r}: write a name such as {', '.join(near)}, or the path of a .toml file.")
    chosen = [(card, (subset,) if subset else tuple(card.subsets)) for card in found if not subset or subset in card.subsets]
    if not chosen:
        raise ValueError(f"{plain} has no sub-set {subset!r}; there are {', '.join(found[0].subsets)}.")
    return chosen


@dataclass(frozen=True, kw_only=True)
class Mean:
    """What somebody printed for a whole group of cards, in points of 100; those with figures set by set are in the cards."""

    group: str
    model: str
    mode: str
    score: float
    source: str
    note: str = ""


def published_means() -> list[Mean]:
    """The entries of benchmarks/published.toml, in their order."""
    path = SHIPPED / "published.toml"
    return [toml.table(Mean, entry, where=str(path)) for entry in toml.read(path)["mean"]]
