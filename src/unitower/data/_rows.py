"""Rows of a table as training pairs: the shapes people have their data in, and what each column means.

A row is taken apart first (`Row`): how many pairs it gives and which rows belong to one document can be told without opening a picture
or looking a document up. A pair is put together when it is asked for; what does not fit raises BadPair with the reason.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast, get_args

from unitower.data import BadPair
from unitower.data._pictures import is_path, path_of, picture, shown
from unitower.data._split import hashed
from unitower.types import Item, Modality, Pair, Source

if TYPE_CHECKING:
    from PIL.Image import Image

Shape: TypeAlias = Literal["triplets", "documents", "images", "graded"]

SHAPES = """\
  triplets   {"query": "…", "pos": ["…"], "neg": ["…"], "pos_scores": [0.9], "neg_scores": [0.2]}; neg and the scores may be left out
  documents  {"query": "…" or "query_image": "a.png", "document_text": "…" or "document_image": "b.png"},
             or "positive_document_ids": ["…"], "negative_document_ids": ["…"] beside the query, with corpus=FILE of
             {"docid": "…", "document_text": "…" or "document_image": "b.png"}
  images     {"query": "…", "image": "b.png"}
  graded     {"text1": "…", "text2": "…", "score": 3.5}, or sentence1 and sentence2"""
"""What a person is shown who has another."""

QUERY = ("query", "query_text", "query_image")
POSITIVES = ("pos", "positive_passages", "positive_document_ids")
NEGATIVES = ("neg", "negative_passages", "negative_document_ids")
TEXTS = ("document_text", "text")
IMAGES = ("document_image", "image")
GRADED = (("text1", "text2"), ("sentence1", "sentence2"))


@dataclass(frozen=True, kw_only=True)
class Content:
    """One side of a pair as the row has it: nothing of it is checked or opened yet.

    what   how a message calls it
    image  a path, base64, bytes or a picture; None where there is only text
    id     of a document that must be looked up
    score  what a teacher gave it, as written
    """

    what: str
    text: Any = None
    image: Any = None
    id: str | None = None
    score: Any = None

    @property
    def key(self) -> int:
        """64 bits that are the same wherever the same content is written the same way."""
        if self.id is not None:
            return hashed("id\0" + self.id)
        if self.image is not None:
            return hashed(b"image\0" + image_key(self.image))
        return hashed("text\0" + (" ".join(self.text.split()) if isinstance(self.text, str) else repr(self.text)))


Lookup: TypeAlias = Callable[[str], Content]
"""A document, by its id; paths of pictures are whole. BadPair if there is none."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row taken apart: it gives as many pairs as it has positives."""

    query: Content
    positives: tuple[Content, ...]
    negatives: tuple[Content, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How rows of one source are read.

    source     what the pairs' `source` says
    place      where the source is, for items that are not in a file of their own
    folder     what paths of pictures are relative to
    columns    our name of a column -> what the data call it, where that differs
    lookup     finds documents by their ids; None where there is no corpus
    negatives  how many of a row's hard negatives are kept, from the first on; None: all
    modality   of the texts of queries and documents: "text" or "code"
    """

    source: str
    place: str
    folder: Path
    shape: Shape
    task: str
    columns: Mapping[str, str] = field(default_factory=dict)
    lookup: Lookup | None = None
    negatives: int | None = None
    query_modality: Modality = "text"
    document_modality: Modality = "text"

    def taken_apart(self, row: Mapping[str, Any]) -> Row:
        """The parts of a row. BadPair names the column that is missing and those there are, or says what is no list."""
        return taken_apart(renamed(row, self.columns), self.shape)

    def pair(self, row: Row, which: int, *, number: int) -> Pair:
        """The pair of a row's positive number `which`; `number` is the row's place in the source, counted from 1."""
        positive = row.positives[which]
        chosen = row.negatives[: self.negatives]
        query = self._item(row.query, f"{number}-query", self.query_modality, number)
        document = self._item(positive, f"{number}-document{which}", self.document_modality, number)
        negatives = tuple(self._item(one, f"{number}-negative{i}", self.document_modality, number) for i, one in enumerate(chosen))
        right = {one.key for one in row.positives}
        for one, negative in zip(chosen, negatives, strict=True):
            if one.key in right or (isinstance(negative.content, str) and negative.content == document.content):
                raise BadPair(f"{one.what} is one of the positives")
        grade = None if positive.score is None else number_of(positive.score, "the score")
        return Pair(query=query, document=document, negatives=negatives, grade=grade, source=self.source, task=self.task)

    def _item(self, content: Content, id: str, modality: Modality, number: int) -> Item:
        metadata = {} if content.score is None else {"score": str(number_of(content.score, f"the score of {content.what}"))}
        what = content.what
        if content.id is not None:
            content = self._looked_up(content)
        source = Source(path=self.place, lines=(number, number))
        held: str | Image
        text = ""
        if content.image is None:
            text = text_of(content.text, what)
            held = text
        else:
            if what.startswith("the query") and filled(content.text):
                raise BadPair("the query has both text and an image; the model reads one of them: leave the other out")
            try:
                held = picture(content.image, folder=self.folder)
            except BadPair as error:
                raise BadPair(f"{what}: {error}") from error
            if filled(content.text):
                text = text_of(content.text, what)
            modality = "image"
            if isinstance(content.image, str) and is_path(content.image):
                source = Source(path=str(path_of(content.image, folder=self.folder)))
        return Item(id=f"{self.source}#{id}", modality=modality, content=held, source=source, text=text, metadata=metadata)

    def _looked_up(self, content: Content) -> Content:
        assert content.id is not None
        if self.lookup is None:
            raise BadPair(f"{content.what} is document {shown(content.id)}, and there is no corpus to find it in: give corpus=FILE")
        return self.lookup(content.id)


def shape_of(columns: Collection[str]) -> Shape | None:
    """The shape that columns speak of; None if none."""
    if any(first in columns and second in columns and "score" in columns for first, second in GRADED):
        return "graded"
    if not any(column in columns for column in QUERY):
        return None
    if any(column in columns for column in POSITIVES[:2]):
        return "triplets"
    if "positive_document_ids" in columns or "document_image" in columns:
        return "documents"
    if "image" in columns:
        return "images"
    return "documents" if "document_text" in columns else None


def checked_columns(columns: Mapping[str, str] | None) -> dict[str, str]:
    """ValueError names the columns that may be called otherwise."""
    known = {*QUERY, *POSITIVES, *NEGATIVES, *TEXTS, *IMAGES, *GRADED[0], *GRADED[1], "score", "pos_scores", "neg_scores", "docid", "title"}
    for ours in columns or {}:
        if ours not in known:
            raise ValueError(f"columns: there is no column {ours!r} of ours to map to; there are {', '.join(sorted(known))}.")
    return dict(columns or {})


def checked_shape(shape: str) -> Shape:
    """ValueError shows the shapes there are."""
    if shape not in get_args(Shape):
        raise ValueError(f"shape is {shape!r}; there are\n{SHAPES}")
    return cast("Shape", shape)


def task_of(shape: Shape, task: str | None) -> str:
    """The task pairs train where the recipe names none: grades are what text-matching learns from."""
    return task or ("text-matching" if shape == "graded" else "retrieval")


def renamed(row: Mapping[str, Any], columns: Mapping[str, str]) -> Mapping[str, Any]:
    """The row under our names. A column that takes another's name hides it."""
    if not columns:
        return row
    taken = set(columns.values())
    return {name: value for name, value in row.items() if name not in taken} | {
        ours: row[theirs] for ours, theirs in columns.items() if theirs in row
    }


def taken_apart(row: Mapping[str, Any], shape: Shape) -> Row:
    """The parts of a row under our names. BadPair as of `Reading.taken_apart`."""
    if shape == "graded":
        first, second = next((names for names in GRADED if names[0] in row), GRADED[0])
        for column in (first, second, "score"):
            required(row, column)
        if row["score"] is None:
            raise BadPair("the score is null")
        return Row(query=Content(what=first, text=row[first]), positives=(Content(what=second, text=row[second], score=row["score"]),))

    query = _query(row)
    negatives = next((_listed(row, column, "neg_scores") for column in NEGATIVES if row.get(column)), ())
    if shape == "images":
        required(row, "image")
        positives: tuple[Content, ...] = (document_of(row, "the document", texts=TEXTS[:1]),)
    elif shape == "triplets" or any(column in row for column in POSITIVES):
        there = next((column for column in POSITIVES if column in row), None)
        if there is None:
            raise BadPair(f"there is no column 'pos'; {_there(row)}")
        positives = _listed(row, there, "pos_scores")
        if not positives:
            raise BadPair(f"{there} is empty")
    else:
        if "document_text" not in row and "document_image" not in row:
            raise BadPair(f"there is no column 'document_text' or 'document_image'; {_there(row)}")
        positives = (document_of(row, "the document", texts=TEXTS[:1], images=IMAGES[:1]),)
    return Row(query=query, positives=positives, negatives=negatives)


def document_of(row: Mapping[str, Any], what: str, *, texts: Sequence[str] = TEXTS, images: Sequence[str] = IMAGES) -> Content:
    """A document of columns of its own: text, image or both; a title stands before the text, as Tevatron has it."""
    text = next((row[column] for column in texts if row.get(column) is not None), None)
    image = next((row[column] for column in images if row.get(column)), None)
    if text is None and image is None:
        column = next((column for column in (*images, *texts) if column in row), None)
        if column is None:
            raise BadPair(f"{what} has no {texts[0]!r} and no {images[0]!r}; {_there(row)}")
        raise BadPair(f"{what} has nothing in {column!r}")
    title = row.get("title")
    if isinstance(title, str) and title.strip() and isinstance(text, str):
        text = f"{title.strip()}\n{text}" if text.strip() else title
    return Content(what=what, text=text, image=image)


def _query(row: Mapping[str, Any]) -> Content:
    columns = [column for column in QUERY if column in row]
    if not columns:
        raise BadPair(f"there is no column 'query'; {_there(row)}")
    value = next((row[column] for column in QUERY[:2] if row.get(column) is not None), None)
    if isinstance(value, dict):
        return _one(value, "the query")
    return Content(what="the query", text=value, image=row.get("query_image") or None)


def _listed(row: Mapping[str, Any], column: str, scores: str) -> tuple[Content, ...]:
    values = row[column]
    marks = row.get(scores) if column in ("pos", "neg") else None
    if values is None:
        values = []
    if isinstance(values, str | dict):
        values = [values]
        marks = marks if marks is None or isinstance(marks, list) else [marks]
    if not isinstance(values, Sequence) or isinstance(values, bytes):
        raise BadPair(f"{column} is {shown(values)}, not a list")
    if marks is None or (not values and not marks):
        marks = [None] * len(values)
    elif not isinstance(marks, Sequence) or isinstance(marks, str) or len(marks) != len(values):
        raise BadPair(f"{scores} is {shown(marks)}, not a list of {len(values)} numbers, one for each of {column}")
    ids = column.endswith("_ids")
    parts = []
    for place, (value, mark) in enumerate(zip(values, marks, strict=True), start=1):
        what = f"{column} {place}"
        if ids:
            if isinstance(value, bool) or not isinstance(value, str | int):
                raise BadPair(f"{what} is {shown(value)}, not an id")
            parts.append(Content(what=what, id=str(value)))
        else:
            parts.append(_one(value, what, score=mark))
    return tuple(parts)


def _one(value: Any, what: str, *, score: Any = None) -> Content:
    """An element of a list: a text, or a small table of text and image."""
    if isinstance(value, dict):
        content = document_of(value, what)
        return Content(what=what, text=content.text, image=content.image, score=score)
    return Content(what=what, text=value, score=score)


def text_of(value: Any, what: str) -> str:
    """A text that says something. Halves of surrogate pairs, which no tokenizer takes, become U+FFFD."""
    if not isinstance(value, str):
        kinds = {type(None): "null", bool: "a truth value", int: "a number", float: "a number", list: "a list", dict: "a table"}
        raise BadPair(f"{what} is {kinds.get(type(value), type(value).__name__)}, not a text")
    if not value.strip():
        raise BadPair(f"{what} is empty")
    return value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def number_of(value: Any, what: str) -> float:
    """A grade or score: a finite number, or one written as text."""
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise BadPair(f"{what} is {shown(value)}, not a finite number")
    return number


def filled(value: Any) -> bool:
    """Whether something stands beside an image that a text could be meant by."""
    return value is not None and not (isinstance(value, str) and not value.strip())


def image_key(value: Any) -> bytes:
    """What tells a picture from others without decoding it: its path, or its size and the bytes at both ends."""
    if isinstance(value, dict):
        value = value.get("bytes") or value.get("path")
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    if isinstance(value, bytes):
        return b"%d\0" % len(value) + value[:4096] + value[-4096:]
    return repr(value).encode()


def required(row: Mapping[str, Any], column: str) -> None:
    """BadPair unless the row has the column."""
    if column not in row:
        raise BadPair(f"there is no column {column!r}; {_there(row)}")


def _there(row: Mapping[str, Any]) -> str:
    names = [str(name) for name in row]
    return f"there are: {', '.join(names[:20])}{', …' if len(names) > 20 else ''}" if names else "the row has no columns"
