"""What a drawn page is made of: its words with their places, what it states, and the queries it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from unitower.render.finding import found

if TYPE_CHECKING:
    from PIL.Image import Image

Box: TypeAlias = tuple[int, int, int, int]
QueryKind: TypeAlias = Literal["keywords", "question", "description", "statement"]

QUERY_KINDS: tuple[QueryKind, ...] = ("keywords", "question", "description", "statement")
"""The four kinds of query that jina-embeddings-v4 was trained with (paper, section 5)."""


@dataclass(frozen=True, slots=True)
class Word:
    """One word on a page; in Chinese and Japanese one character with the marks that cling to it.

    box    x0, y0, x1, y1 in pixels around its ink, y down, x1 and y1 not included
    line   0-based number of the line on the page, in reading order
    block  0-based number of the paragraph, row or label it belongs to
    """

    text: str
    box: Box
    line: int
    block: int


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A statement of fact on a page, the question it answers, and the answer, which is a piece of the statement."""

    says: str
    asks: str
    answer: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Page:
    """A drawn page.

    image     RGB
    words     in reading order
    text      the words as plain text, with line ends between blocks
    facts     what the page states, by name; values are printed word for word, except those in `unseen`, which its picture shows
              (the largest value of a chart without numbers)
    claims    its statements of fact in sentences, each with the question it answers
    language  ISO 639-1 code
    """

    image: Image
    words: tuple[Word, ...]
    text: str
    facts: Mapping[str, str]
    unseen: frozenset[str] = frozenset()
    claims: tuple[Claim, ...] = ()
    language: str
    kind: str
    seed: int
    _starts: dict[str, list[int]] = field(default_factory=dict, repr=False)

    def where(self, fact: str) -> tuple[Word, ...]:
        """The words that state a fact, at the first place they stand; empty for an unseen one. KeyError if the page does not state it."""
        return self.words_of(self.facts[fact])

    def words_of(self, text: str) -> tuple[Word, ...]:
        """The first words on the page that read as the text does, marks at the ends of words aside; empty if there are none."""
        return found(self.words, text, self._starts)


@dataclass(frozen=True, kw_only=True)
class Query:
    """Something to search a page with, and what the page answers ("" where it is the page itself that is looked for)."""

    kind: QueryKind
    text: str
    answer: str = ""
