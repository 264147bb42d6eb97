"""What keeps pages and queries out of a set. Each filter gives what it keeps, and a line for everything it drops.

The order is that of `kept_pages` and `kept_drafts`: cheap ones first, endpoints last.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from unitower.builder import languages, near
from unitower.builder.types import Draft, Dropped, Page
from unitower.builder.words import Texts

Notes = Callable[[Dropped], None]

SHORTEST, LONGEST = 3, 1000
"""Characters of a query; the longest of Jina-VDR's (owid_charts_en, snippets of articles) have about 900."""

SAME_QUERY = 0.9
"""Share of the words of two queries for one page that are the same. Questions for two months of a year share eight or nine of ten."""


class Looks:
    """Tells pages that repeat an earlier one, as they come."""

    def __init__(self) -> None:
        self._ids: list[str] = []
        self._looks: list[near.Bits] = []
        self._words: list[frozenset[str]] = []

    def twin(self, page: Page, look: near.Bits) -> str:
        """Id of an earlier page that looks and reads the same, or ""; the page is remembered if there is none."""
        words = near.words(page.text)
        if self._looks:
            for place in np.flatnonzero(near.differing(look, np.stack(self._looks)) <= near.SAME_BITS):
                theirs = self._words[place]
                # a scan beside its own text layer says the same, so that words count only where both have some
                if not (words and theirs) or near.share(words, theirs) >= near.SAME_WORDS:
                    return self._ids[place]
        self._ids.append(page.id)
        self._looks.append(look)
        self._words.append(words)
        return ""


def realistic(drafts: Sequence[Draft], notes: Notes) -> list[Draft]:
    """Without queries that nobody would type: too short or long, with gaps, or pointing at what the asker would have to see."""
    kept = []
    for draft in drafts:
        text = draft.text.strip()
        folded = text.casefold()
        pointing = languages.find(draft.language).pointing if draft.language in languages.codes() else ()
        if not SHORTEST <= len(text) <= LONGEST or not re.search(r"\w", text):
            notes(_dropped(draft, "not realistic", f"{len(text)} characters"))
        elif gap := re.search(r"\{\w+\}", text):
            notes(_dropped(draft, "not realistic", f"a gap was not filled: {gap[0]}"))
        elif word := next((word for word in pointing if _stands(word, folded)), ""):
            notes(_dropped(draft, "not realistic", f"it points at the page: {word}"))
        else:
            kept.append(draft)
    return kept


def _stands(word: str, text: str) -> bool:
    """Whether a word stands in a text as a whole; in scripts without spaces, anywhere."""
    if re.search("[\u3040-\u30ff\u4e00-\u9fff]", word):
        return word in text
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text) is not None


def repeated(drafts: Sequence[Draft], notes: Notes) -> list[Draft]:
    """Without queries that say the same as an earlier one of the same language and page.

    The same words for different pages are joined to one query that all of them answer: what the answers are is for `several`.
    """
    first: dict[tuple[str, str], int] = {}
    by_page: dict[tuple[str, str], list[tuple[str, frozenset[str]]]] = {}
    kept: list[Draft] = []
    for draft in drafts:
        key = (draft.language, near.plain(draft.text))
        if key in first:
            other = kept[first[key]]
            if draft.page not in other.pages:
                kept[first[key]] = replace(other, pages={**other.pages, **draft.pages})
            else:
                notes(_dropped(draft, "near duplicate", f"of {other.text!r}"))
            continue
        words = near.words(draft.text)
        seen = by_page.setdefault((draft.language, draft.page), [])
        twin = next((text for text, theirs in seen if near.share(words, theirs) > SAME_QUERY), "")
        if twin:
            notes(_dropped(draft, "near duplicate", f"of {twin!r}"))
            continue
        seen.append((draft.text, words))
        first[key] = len(kept)
        kept.append(draft)
    return kept


def several(drafts: Sequence[Draft], texts: Texts, notes: Notes, *, rule: str) -> list[Draft]:
    """What becomes of queries that further pages answer, as far as their texts tell: "drop", "add" the pages, or "keep"."""
    kept = []
    for draft in drafts:
        others = {page: 1 for page in texts.saying(draft.needles) if page not in draft.pages}
        answers = len(draft.pages) + len(others)
        if rule == "drop" and answers > 1:
            named = [*list(draft.pages)[1:], *others]
            notes(_dropped(draft, "answered by several pages", f"also by {', '.join(named[:3])}" + (" …" if len(named) > 3 else "")))
        else:
            kept.append(replace(draft, pages={**draft.pages, **others}) if rule == "add" else draft)
    return kept


def _dropped(draft: Draft, reason: str, detail: str) -> Dropped:
    return Dropped(what="query", name=draft.text, reason=reason, detail=detail)
