"""Queries that people wrote down: a TOML file of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from unitower.builder.types import KINDS, Draft, Dropped, Page
from unitower.evaluation import toml

ENTRY = {"text": str, "language": str, "kind": str, "pages": Sequence[str], "answer": str}


def drafts(
    pages: Sequence[Page], *, folder: Path, seed: int, notes: Callable[[Dropped], None], path: str, by: str = "the makers of the set"
) -> Iterator[Draft]:
    """The queries of a file:

        [[query]]
        text = "a kitchen timer for the terminal"
        language = "en"
        kind = "description"
        pages = ["timer.md#page=1"]        ids; the name of a file stands for its first page
        answer = ""                        what the page says, where that is asked for

    by  who wrote them

    A query whose page is not in the set is noted. ValueError for an entry that lacks text, language or pages, or has
    something else than these.
    """
    known = {page.id for page in pages}
    values = toml.read(folder / path)
    toml.check(values, {"query": Sequence[Mapping[str, Any]]}, where=str(folder / path))
    for number, entry in enumerate(values.get("query", []), start=1):
        where = f"{folder / path}, query {number}"
        toml.check(entry, ENTRY, where=where)
        missing = [name for name in ("text", "language", "pages") if not entry.get(name)]
        kind = entry.get("kind", "question")
        if missing or kind not in KINDS:
            raise ValueError(f"{where}: " + (f"{missing[0]} is missing." if missing else f"kind is {kind!r}, which is none."))
        named = [page if page in known else f"{page}#page=1" for page in entry["pages"]]
        if lost := [page for page in named if page not in known]:
            notes(Dropped(what="query", name=entry["text"], reason="its page is not in the set", detail=", ".join(lost)))
            continue
        yield Draft(
            text=entry["text"],
            language=entry["language"],
            kind=kind,
            pages=dict.fromkeys(named, 1),
            answer=entry.get("answer", ""),
            made_by=f"person {by}",
        )
