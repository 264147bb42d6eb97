"""Data to matched pairs: a query, the document that answers it, and the text of that document where it is a picture.

What is named may be a card or a group of cards as `unitower eval` takes them, a .jsonl file of pairs, or a source of pairs by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from unitower import data
from unitower.errors import UnitowerError
from unitower.evaluation import cards, loading
from unitower.evaluation.cards import Card
from unitower.evaluation.task import Task
from unitower.types import Item, Pair

SOURCES = ("rendered", "translations", "python_docs", "keywords")
"""Sources of pairs that need no options; their test side is looked at."""


Watched: TypeAlias = Callable[[Iterable[Pair]], Iterator[Pair]]


@dataclass(frozen=True, kw_only=True)
class Material:
    """Pairs drawn from a data set.

    task       the adapter and prompts that the data are made for
    queries    texts
    languages  of each query: ISO 639-1, "code", or "?" where it is not known
    documents  what the queries are answered by, each once; pictures or texts
    texts      what is written on a document that is a picture; "" where it is not known, or the document is a text itself
    own        place of each query's document
    grades     of each query: place of a document -> grade, of all that answer it among the documents
    drawn_from queries and documents of the whole set
    """

    name: str
    task: str
    queries: list[str]
    languages: list[str]
    documents: list[Item]
    texts: list[str]
    own: list[int]
    grades: list[dict[int, int]]
    drawn_from: tuple[int, int]
    identity: Mapping[str, Any] = field(default_factory=dict)


def drawn(name: str, *, pairs: int, seed: int, watched: Watched = iter) -> Material:
    """At most `pairs` pairs of what is named, by chance.

    watched  what the rows of a source, which may be slow to make, are passed through
    ValueError where it cannot be told what is meant or there are no pairs in it; UnitowerError as of loading.
    """
    if name.endswith((".jsonl", ".jsonl.gz")):
        return of_pairs(data.open_source("jsonl", path=name, test_share=0.0), name=Path(name).name, pairs=pairs, seed=seed, watched=watched)
    if name in SOURCES:
        return of_pairs(data.open_source(name, split="test"), name=name, pairs=pairs, seed=seed, watched=watched)
    try:
        chosen = cards.find(name)
    except ValueError as error:
        raise ValueError(f"{error} Or give a .jsonl file of pairs, or a source: {', '.join(SOURCES)}.") from error
    if names := [card.name for card, _ in chosen if card.shape == "mteb"]:
        raise ValueError(f"{names[0]} is a task of mteb, whose pairs are not read here: name a card of another shape.")
    tasks = [(loading.load(card, subset), languages_of(card, subset)) for card, subsets in chosen for subset in subsets]
    return of_tasks(tasks, name=name, pairs=pairs, seed=seed)


def languages_of(card: Card, subset: str) -> Mapping[str, str]:
    """Query id -> language, from the column `language` of the queries where there is one; else the one language of the sub-set."""
    if card.shape == "beir":
        try:
            table = loading.Table(card, card.part(subset, "queries"), wanted=["query-id", "language"])
        except UnitowerError:
            pass
        else:
            return {str(row["query-id"]): str(row["language"] or "?") for row in table.light("query-id", "language")}
    return _Always(card.subsets[subset][0]) if len(card.subsets[subset]) == 1 else {}


class _Always(dict[str, str]):
    """The same language for every query."""

    def __init__(self, language: str) -> None:
        super().__init__()
        self.language = language

    def get(self, key: str, default: Any = None) -> str:
        return self.language


def of_tasks(tasks: list[tuple[Task, Mapping[str, str]]], *, name: str, pairs: int, seed: int) -> Material:
    """Pairs of tasks, each with the languages of its queries. Documents are drawn, with all their queries: two queries of one page are a
    pair of texts that say the same, as two captions of a photograph are."""
    places = {task.name: {id: place for place, id in enumerate(task.corpus.ids)} for task, _ in tasks}
    asked: dict[tuple[int, str], list[str]] = {}  # (task, document) -> its queries
    for number, (task, _) in enumerate(tasks):
        for query in task.queries:
            best = max(task.qrels[query].items(), key=lambda one: one[1])[0]  # the first of the best
            asked.setdefault((number, best), []).append(query)
    order = [list(asked)[i] for i in np.random.default_rng(seed).permutation(len(asked))]
    chosen: list[tuple[int, str, str]] = [(number, document, query) for number, document in order for query in asked[number, document]]
    chosen = sorted(chosen[:pairs], key=lambda one: (one[0], places[tasks[one[0]][0].name][one[1]]))
    where = {one: place for place, one in enumerate(dict.fromkeys((number, document) for number, document, _ in chosen))}
    documents = [tasks[number][0].corpus[places[tasks[number][0].name][document]] for number, document in where]
    return Material(
        name=name,
        task=tasks[0][0].task,
        queries=[tasks[number][0].queries[query] for number, _, query in chosen],
        languages=[tasks[number][1].get(query, "?") for number, _, query in chosen],
        documents=documents,
        texts=[document.text.strip() if document.modality == "image" else "" for document in documents],
        own=[where[number, document] for number, document, _ in chosen],
        grades=[
            {where[number, id]: grade for id, grade in tasks[number][0].qrels[query].items() if grade > 0 and (number, id) in where}
            for number, _, query in chosen
        ],
        drawn_from=(sum(len(task.queries) for task, _ in tasks), sum(len(task.corpus) for task, _ in tasks)),
        identity={"sets": [dict(task.identity) for task, _ in tasks]},
    )


def of_pairs(source: data.Pairs, *, name: str, pairs: int, seed: int, watched: Watched = iter) -> Material:
    """Pairs of a source, in an order by chance; rows that cannot be read are passed over, and so is a text that was a query before."""
    documents: dict[bytes, int] = {}
    items: list[Item] = []
    rows: dict[str, tuple[str, int]] = {}  # query -> language, document
    task = ""
    for pair in watched(_readable(source, np.random.default_rng(seed).permutation(len(source)).tolist())):
        if pair.grade is not None or not isinstance(pair.query.content, str):
            continue
        key = shown(pair.document)
        if key not in documents:
            documents[key] = len(items)
            items.append(pair.document)
        language = pair.query.metadata.get("language") or (source.languages[0] if len(source.languages) == 1 else "?")
        rows.setdefault(pair.query.content, ("?" if language == "und" else language, documents[key]))
        task = task or pair.task
        if len(rows) == pairs:
            break
    if not rows:
        raise ValueError(f"{name}: there is no pair of a text that is searched with and a document that answers it.")
    return Material(
        name=name,
        task=task,
        queries=list(rows),
        languages=[language for language, _ in rows.values()],
        documents=items,
        texts=[item.text.strip() if item.modality == "image" else "" for item in items],
        own=[document for _, document in rows.values()],
        grades=[{document: 1} for _, document in rows.values()],
        drawn_from=(len(source), len(source)),
        identity={"source": source.name, "licence": source.licence},
    )


def _readable(source: data.Pairs, order: list[int]) -> Iterator[Pair]:
    for row in order:
        try:
            yield source[row]
        except data.BadPair:
            continue


def shown(item: Item) -> bytes:
    """The same for two items that show the same."""
    if isinstance(item.content, str):
        return sha256(item.content.encode("utf-8", "surrogatepass")).digest()
    return sha256(repr(item.content.size).encode() + item.content.tobytes()).digest()
