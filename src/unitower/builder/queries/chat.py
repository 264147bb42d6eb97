"""Queries by a chat endpoint that sees the page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from unitower.builder import asking, languages
from unitower.builder.endpoint import EndpointError
from unitower.builder.types import KINDS, Draft, Dropped, Page


def drafts(
    pages: Sequence[Page],
    *,
    folder: Path,
    seed: int,
    notes: Callable[[Dropped], None],
    endpoint: Mapping[str, Any],
    only: str = "*",
    per_page: int = 2,
    languages: Sequence[str] = (),
    prompt: str = "",
) -> Iterator[Draft]:
    """`per_page` queries of every page, in one request.

    endpoint   see `endpoint.Settings`
    only       pages whose ids are like this
    languages  of the queries, page by page in turn; left out, that of the page, English where it is not known
    prompt     a file of one's own, with {count}, {language} and {text}

    A page of which nothing usable is answered is noted and left without a query, and so are the pages for which no money is left. An
    endpoint that refuses raises EndpointError at the first page, before money is spent.
    """
    asked = asking.endpoint(endpoint, folder, where="endpoint of [[queries]]")
    system, template = asking.prompt("system", folder), asking.prompt("write", folder, prompt)
    chosen = [page for page in pages if fnmatch(page.id, only)]
    spoken = {page.id: languages[i % len(languages)] if languages else page.language or "en" for i, page in enumerate(chosen)}

    def ask(page: Page) -> Any:
        text = asking.filled(
            template, count=str(per_page), language=_name(spoken[page.id]), text=page.text[: asking.LONGEST_TEXT] or "(none)"
        )
        return asked.ask(system, text, pictures=[page.image] if isinstance(page.image, Path) else [], accept=wrong)

    for page, answer in asking.each(asked, chosen, ask):
        if isinstance(answer, EndpointError):
            notes(Dropped(what="page", name=page.id, reason="kept without a query", detail=str(answer)))
            continue
        for one in answer["queries"][:per_page]:
            yield Draft(
                text=" ".join(one["query"].split()),
                language=spoken[page.id],
                kind=one["kind"] if one.get("kind") in KINDS else "question",
                pages={page.id: 1},
                answer=" ".join(str(one.get("answer") or "").split()),
                made_by=f"chat {asked.settings.model}",
            )


def wrong(answer: Any) -> str:
    """What keeps an answer from being queries; "" where nothing does."""
    if not isinstance(answer, dict) or not isinstance(answer.get("queries"), list):
        return "no list of queries"
    for one in answer["queries"]:
        if not isinstance(one, dict) or not isinstance(one.get("query"), str) or not one["query"].strip():
            return "a query without text"
    return "" if answer["queries"] else "no query"


def _name(code: str) -> str:
    """The language as it is asked for."""
    return f"{languages.find(code).name} ({code})" if code in languages.codes() else code
