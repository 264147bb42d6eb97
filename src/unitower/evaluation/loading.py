"""Data sets to tasks: the tables of a card, read through `datasets`, mapped from disk; a picture is decoded when its page is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from unitower.data import BadPair, hub
from unitower.data._pictures import picture
from unitower.errors import UnitowerError
from unitower.evaluation.cards import Card
from unitower.evaluation.task import Corpus, Task
from unitower.types import Item, Modality, Source

if TYPE_CHECKING:
    from PIL.Image import Image

READ_AT_ONCE = 512
"""Rows looked through at once where all are; columns of pictures are left out then."""


def load(card: Card, subset: str) -> Task:
    """The task of a sub-set, as its tables say: every judged page counts. `rules` makes others of it.

    Queries that are empty or have no relevant page are left out, and so are judgements of pages that are not there; `identity` tells
    how many.

    UnitowerError if the data cannot be had, lack a column, give one id to several documents or to queries of other words, or hold no
    query.
    """
    task = _beir(card, subset) if card.shape == "beir" else _qa(card, subset)
    if not task.queries:
        raise UnitowerError(f"{task.name}: there is no query with a relevant document.")
    return task


class Table:
    """Rows of a data set under our names of its columns."""

    def __init__(self, card: Card, place: str, *, wanted: Sequence[str]) -> None:
        folder = card.local
        self.place = f"{card.path}, {place}"
        self.folder = hub.folder_of(folder)
        about = hub.Card(
            path=str(folder) if folder else card.path,
            revision=card.revision or None,
            split=card.split,
            licence=card.licence,
            languages=("",),
            name=place if card.by == "name" else None,
            data_dir=place if card.by == "data_dir" else None,
        )
        with silent() if folder else nullcontext():  # a bar tells something of what is fetched only
            self.rows = hub.loaded(about)
        theirs = {ours: card.columns.get(ours, ours) for ours in (*COLUMNS, *wanted)}
        there = self.rows.column_names
        # what a card says of one table need not hold for another: judgements have a query-id where queries have an id, or BEIR's _id
        found = {ours: next((one for one in (name, f"_{name}", ours) if one in there), None) for ours, name in theirs.items()}
        self.columns = {ours: name for ours, name in found.items() if name}
        self._narrowed: dict[tuple[str, ...], Any] = {}
        for column in wanted:
            if column not in self.columns:
                raise UnitowerError(
                    f"{self.place} has no column {theirs[column]!r}; there are {', '.join(self.rows.column_names)}. "
                    f"If it is called otherwise: [columns], {column} = 'its name'."
                )

    def __len__(self) -> int:
        return len(self.rows)

    def light(self, *columns: str) -> Iterator[dict[str, Any]]:
        """All rows, of these columns only; those that are not there are None."""
        there = {ours: self.columns[ours] for ours in columns if ours in self.columns}
        for batch in self.rows.select_columns(list(there.values())).iter(READ_AT_ONCE):
            lists = [batch[theirs].to_pylist() for theirs in there.values()]
            for values in zip(*lists, strict=True):
                yield {**dict.fromkeys(columns), **dict(zip(there, values, strict=True))}

    def row(self, number: int, *columns: str) -> dict[str, Any]:
        """One row: these columns, or all."""
        there = {ours: theirs for ours, theirs in self.columns.items() if not columns or ours in columns}
        if columns not in self._narrowed:
            self._narrowed[columns] = self.rows.select_columns(sorted({*there.values()}))
        row = hub.at(self._narrowed[columns], number) if there else {}
        return {ours: row[theirs] for ours, theirs in there.items()}


@contextmanager
def silent() -> Iterator[None]:
    """Without the bars of `datasets`."""
    import datasets

    shown = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            datasets.enable_progress_bars()


COLUMNS = ("query-id", "query", "corpus-id", "score", "image", "text", "text_description", "image_filename", "id")


class Pages:
    """A corpus in a table: a picture, a text, or a picture with its text. `Corpus`."""

    def __init__(self, table: Table, *, ids: Sequence[str], rows: Sequence[int] | None = None) -> None:
        self.table, self.ids = table, list(ids)
        self._rows = rows

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Item:
        row = self.table.row(self._row(index))
        text = written(row)
        content: str | Image = text
        modality: Modality = "text"
        if row.get("image") is not None:
            try:
                content, modality = picture(row["image"], folder=self.table.folder), "image"
            except BadPair as error:
                raise UnitowerError(f"{self.table.place}: document {self.ids[index]!r}: {error}") from error
        source = Source(path=str(row.get("image_filename") or self.ids[index]))
        return Item(id=self.ids[index], modality=modality, content=content, source=source, part=index, text=text)

    def text(self, index: int) -> str:
        return written(self.table.row(self._row(index), "text", "text_description"))

    def _row(self, index: int) -> int:
        return index if self._rows is None else self._rows[index]


def written(row: Mapping[str, Any]) -> str:
    """The text of a document, or the text layer of its page."""
    return str(row.get("text") or row.get("text_description") or "")


def local_revision(card: Card) -> str:
    """What the files of a set on this machine hold, so that a figure is of one state of them: `local` and a digest."""
    digest = sha256()
    folder = card.local
    for path in sorted(folder.rglob("*") if folder else ()):
        if path.suffix in DATA:
            digest.update(path.relative_to(folder or path).as_posix().encode() + sha256(path.read_bytes()).digest())
    return f"local {digest.hexdigest()[:16]}"


DATA = {".parquet", ".arrow", ".jsonl", ".json", ".csv", ".png", ".jpg", ".jpeg", ".webp"}


def _beir(card: Card, subset: str) -> Task:
    column = card.rows.get("queries", "")
    queries = Table(card, card.part(subset, "queries"), wanted=["query-id", "query", *([column] if column else [])])
    pages = Table(card, card.part(subset, "corpus"), wanted=["corpus-id"])
    judged = Table(card, card.part(subset, "qrels"), wanted=["query-id", "corpus-id", "score"])
    ids = [str(row["corpus-id"]) for row in pages.light("corpus-id")]
    _each_its_own(ids, pages, "corpus-id", what="document")
    chosen = (row for row in queries.light("query-id", "query", *([column] if column else [])) if not column or row[column] == subset)
    asked = list(dict.fromkeys((str(row["query-id"]), str(row["query"] or "")) for row in chosen))
    _each_its_own((id for id, _ in asked), queries, "query-id", what="query")
    texts = dict(asked)
    grades: dict[str, dict[str, int]] = {}
    for row in judged.light("query-id", "corpus-id", "score"):
        if str(row["query-id"]) in texts or not column:
            grades.setdefault(str(row["query-id"]), {})[str(row["corpus-id"])] = int(row["score"])
    return _task(card, subset, texts=texts, corpus=Pages(pages, ids=ids), grades=grades)


def _each_its_own(ids: Iterable[str], table: Table, column: str, *, what: str) -> None:
    """UnitowerError names an id that stands there several times, and its table."""
    for id, times in Counter(ids).most_common(1):
        if times > 1:
            raise UnitowerError(
                f"{table.place}: {table.columns[column]} {id!r} stands there {times} times: every {what} needs an id of its own."
            )


def _qa(card: Card, subset: str) -> Task:
    """Rows of a query with its page. Pages are told apart by their file name, queries by their text."""
    table = Table(card, card.part(subset, "qa"), wanted=["query", "image_filename"])
    first: dict[str, int] = {}
    grades: dict[str, dict[str, int]] = {}
    for number, row in enumerate(table.light("query", "image_filename")):
        name = str(row["image_filename"])
        first.setdefault(name, number)
        if query := str(row["query"] or "").strip():
            grades.setdefault(query, {}).pop(name, None)  # so that the page of the last row is the last: see rules.one_page
            grades[query][name] = 1
    corpus = Pages(table, ids=list(first), rows=list(first.values()))
    return _task(card, subset, texts={query: query for query in grades}, corpus=corpus, grades=grades)


def _task(card: Card, subset: str, *, texts: Mapping[str, str], corpus: Corpus, grades: Mapping[str, Mapping[str, int]]) -> Task:
    """A task of what holds together."""
    known = set(corpus.ids)
    there = {query: {id: grade for id, grade in judged.items() if id in known} for query, judged in grades.items()}
    kept = [query for query, text in texts.items() if text.strip() and any(grade > 0 for grade in there.get(query, {}).values())]
    lost = sum(len(judged) for judged in grades.values()) - sum(len(judged) for judged in there.values())
    return Task(
        name=card.task_name(subset),
        queries={query: texts[query] for query in kept},
        corpus=corpus,
        qrels={query: there[query] for query in kept},
        task=card.task,
        measure=card.measure,
        identity={
            "card": card.name,
            "subset": subset,
            "languages": list(card.subsets[subset]),
            "path": card.path,
            "revision": card.revision or local_revision(card),
            "split": card.split,
            "queries_left_out": len(texts) - len(kept),
            "judgements_left_out": lost,
        },
    )
