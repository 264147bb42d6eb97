"""What a set is built of: pages, facts on them, drafts of queries, and what was dropped on the way."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

    from unitower.render import Page as DrawnPage

KINDS = ("keywords", "question", "description", "statement", "instruction", "phrase")
"""Kinds of query, as the sets of Jina-VDR have them (question, description, instruction, key phrase) and render (keywords, statement)."""


@dataclass(frozen=True, kw_only=True)
class Fact:
    """Something that a page says, which templates can ask for.

    kind    which templates fit: a table of builder/templates/LANGUAGE.toml
    slots   what the templates fill in, by name
    answer  what the page says; "" where the page itself is the answer
    needs   slots that must stand on a page for it to answer; None: all of them
    """

    kind: str
    slots: Mapping[str, str]
    answer: str = ""
    needs: tuple[str, ...] | None = None

    @property
    def needles(self) -> tuple[str, ...]:
        """What stands on every page that answers a query made of this fact."""
        return tuple(self.slots[name] for name in (self.slots if self.needs is None else self.needs))


@dataclass(frozen=True, kw_only=True, eq=False)
class Page:
    """A document of the set.

    id        unique in the set: path and page
    image     as drawn, RGB; the file it is kept in once the set is being built; None: a passage of text or code
    text      its text layer, or what was drawn; "" where only the picture tells
    language  ISO 639-1; "" where it is not known
    facts     what the source knows that it says
    drawn     the page as the render room drew it, which makes its own queries
    """

    id: str
    image: Image | Path | None
    text: str = ""
    language: str = ""
    facts: tuple[Fact, ...] = ()
    drawn: DrawnPage | None = None


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A query on its way into the set.

    pages    page id -> grade, 1 or more; the first is the one it was made from
    answer   what the page says, where it is known
    made_by  "template", "chat MODEL" or "person NAME"
    needles  texts that all stand on a page which answers it; none where that is not known
    """

    text: str
    language: str
    kind: str
    pages: Mapping[str, int]
    answer: str = ""
    made_by: str
    needles: tuple[str, ...] = field(default=(), compare=False)

    @property
    def page(self) -> str:
        """Id of the page it was made from."""
        return next(iter(self.pages))

    @property
    def id(self) -> str:
        """The same for the same query of the same page in every build."""
        return hashlib.sha256(f"{self.language}\n{self.text}\n{self.page}".encode()).hexdigest()[:12]


@dataclass(frozen=True, kw_only=True)
class Dropped:
    """A page or query that did not come into the set.

    what    "page" or "query"
    name    id of the page, or the text of the query
    reason  one of few words, by which dropped ones are counted: "near duplicate"
    detail  what exactly: the other page, the score, the endpoint's remark
    """

    what: str
    name: str
    reason: str
    detail: str = ""
