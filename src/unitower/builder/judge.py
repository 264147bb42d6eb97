"""An endpoint judges queries: relevant, realistic, answered by one page or several.

Which model filtered the queries of Jina-VDR, and by which prompt, is not told in its paper (section 6.4); ours stands in prompts/judge.txt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from unitower.builder import asking
from unitower.builder.endpoint import EndpointError, Settings
from unitower.builder.types import Draft, Dropped, Page
from unitower.builder.words import Texts
from unitower.evaluation import toml

OURS = {"prompt": str, "others": int}
"""Options of a judge beside those of its endpoint."""

WHERE = "[filters.judge]"

OTHERS = 2
"""Further pages that are shown along: the likeliest by words. Each costs as much as the first."""


def settings(options: Mapping[str, Any], *, where: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options of the judge, and those of its endpoint. ValueError names what is missing, unknown or wrong in them."""
    ours = {name: value for name, value in options.items() if name in OURS}
    theirs = {name: value for name, value in options.items() if name not in OURS}
    toml.check(ours, OURS, where=where)
    toml.check_fields(theirs, Settings, where=where)
    return ours, theirs


def judged(
    drafts: Sequence[Draft],
    pages: Sequence[Page],
    texts: Texts,
    notes: Callable[[Dropped], None],
    *,
    options: Mapping[str, Any],
    folder: Path,
    rule: str,
) -> list[Draft]:
    """The queries that the endpoint finds relevant and realistic.

    options  of the endpoint, see `endpoint.Settings`; `prompt` is a file of one's own with {query}, `others` how many further pages are
             shown along; none with a page that is a text without a picture
    rule     what becomes of queries that further pages answer too: "drop", "add" those it was shown, or "keep"

    Where no money is left, queries are dropped as unjudged.
    """
    ours, theirs = settings(options, where=WHERE)
    asked = asking.endpoint(theirs, folder, where=WHERE)
    system, template = asking.prompt("system", folder), asking.prompt("judge", folder, ours.get("prompt", ""))
    most = ours.get("others", OTHERS)
    by_id = {page.id: page for page in pages}
    shown: dict[str, list[Page]] = {}
    for draft in drafts:
        own = by_id[draft.page]
        others = [id for id in texts.ranked(draft.text, k=most + len(draft.pages)) if id not in draft.pages]
        # the prompt takes the first picture for the page that was asked of: a text is judged by itself
        near = [by_id[id] for id in others[:most]] if isinstance(own.image, Path) else []
        shown[draft.id] = [own, *(page for page in near if isinstance(page.image, Path))]

    def ask(draft: Draft) -> Any:
        pictures = [page.image for page in shown[draft.id] if isinstance(page.image, Path)]
        text = asking.filled(template, query=draft.text)
        if not pictures:
            text += f"\n\nThe page is a text without a picture:\n{by_id[draft.page].text[: asking.LONGEST_TEXT]}"
        return asked.ask(system, text, pictures=pictures, accept=wrong)

    kept = []
    for draft, answer in asking.each(asked, drafts, ask):
        if isinstance(answer, EndpointError):
            notes(Dropped(what="query", name=draft.text, reason="not judged", detail=str(answer)))
            continue
        why = str(answer.get("why", ""))[:200]
        also = [shown[draft.id][number - 1].id for number in answer.get("also") or [] if 2 <= number <= len(shown[draft.id])]
        if not answer["relevant"] or not answer["realistic"]:
            reason = "not relevant" if not answer["relevant"] else "not realistic"
            notes(Dropped(what="query", name=draft.text, reason=reason, detail=f"{asked.settings.model}: {why}"))
        elif rule == "drop" and (answer["several"] or also):
            detail = f"{asked.settings.model}: {why}" + (f" (also {', '.join(also)})" if also else "")
            notes(Dropped(what="query", name=draft.text, reason="answered by several pages", detail=detail))
        else:
            kept.append(replace(draft, pages={**draft.pages, **dict.fromkeys(also, 1)}) if rule == "add" else draft)
    return kept


def wrong(answer: Any) -> str:
    """What keeps an answer from being a judgement; "" where nothing does."""
    if not isinstance(answer, dict):
        return "no object"
    for name in ("relevant", "realistic", "several"):
        if not isinstance(answer.get(name), bool):
            return f"{name} is neither true nor false"
    also = answer.get("also") or []
    return "" if isinstance(also, list) and all(isinstance(one, int) for one in also) else "also is no list of numbers"
