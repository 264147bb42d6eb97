"""Queries that a page answers: by templates over what it states, from its statements, and by words of the page."""

from __future__ import annotations

import random
from collections.abc import Sequence

from unitower.render import language as speech
from unitower.render.content import SLOT
from unitower.render.finding import MARKS, bare
from unitower.render.language import HAS_IDEOGRAPHS
from unitower.render.types import Page, Query, Word

MOST_OF_A_KIND = 3


def asked(page: Page, *, seed: int, language: str) -> list[Query]:
    """At most MOST_OF_A_KIND queries of each kind and at least one, in a language. ValueError if there is no such language."""
    spoken = speech.find(language)
    rng = random.Random(f"queries {page.kind} {page.seed} {seed} {language}")
    own = language == page.language
    found: list[Query] = []

    questions = [Query(kind="question", text=claim.asks, answer=claim.answer) for claim in page.claims] if own else []
    for template, fact in spoken.card["ask"][page.kind]:
        if fact in page.facts and (text := _filled(template, page)):
            questions.append(Query(kind="question", text=text, answer=page.facts[fact]))
    if not questions:
        words = _keywords(page, rng)
        text = str(spoken.card["ask_any"]).format(words=words)
        questions = [Query(kind="question", text=text)]

    statements = [Query(kind="statement", text=claim.says, answer=claim.answer) for claim in page.claims] if own else []
    statements += [Query(kind="statement", text=text) for t in spoken.card["tell"][page.kind] if (text := _filled(t, page))]
    if not statements:
        statements = [Query(kind="statement", text=_passage(page, rng))]

    noun = str(spoken.card["nouns"][page.kind])
    descriptions = [text for t in spoken.card["describe"][page.kind] if (text := _filled(t, page))]
    if not descriptions:
        descriptions = [str(spoken.card["describe_any"]).format(noun=noun, words=_keywords(page, rng))]
    if own and page.claims:  # what the page is, and something it says
        joint = "" if spoken.script in ("Hans", "Jpan") else " "
        descriptions = [text + joint + rng.choice(page.claims).says for text in descriptions]
    described = [Query(kind="description", text=text) for text in descriptions]

    keywords = {_keywords(page, rng) for _ in range(2)}
    keywords |= {_by_facts(page, noun, rng) for _ in range(2)} - {""}
    keyed = [Query(kind="keywords", text=text) for text in sorted(keywords)]

    for some in (keyed, questions, described, statements):
        found += rng.sample(some, min(len(some), MOST_OF_A_KIND))
    return found


def _filled(template: str, page: Page) -> str:
    """The template with what the page states; empty where it does not state all of it."""
    names = SLOT.findall(template)
    if any(name not in page.facts or (name in page.unseen and name.endswith("_value")) for name in names):
        return ""
    return SLOT.sub(lambda match: page.facts[match[1]], template)


def _by_facts(page: Page, noun: str, rng: random.Random) -> str:
    """Two or three facts as a person would type them, at times with the kind of page."""
    values = [value for name, value in page.facts.items() if name not in page.unseen and 2 < len(value) <= 60]
    if len(values) < 2:
        return ""
    chosen = rng.sample(values, min(len(values), rng.choice((2, 2, 3))))
    return " ".join([*chosen, noun] if rng.random() < 0.4 else chosen)


def _keywords(page: Page, rng: random.Random) -> str:
    """Words or a phrase of the page: long words from anywhere on it, or a few that follow each other on one line."""
    if not page.words:
        return page.kind
    phrases = _phrases(page.words)
    if phrases and rng.random() < 0.5:
        return rng.choice(phrases)
    if any(HAS_IDEOGRAPHS.search(word.text) for word in page.words):
        return " ".join(rng.sample(phrases, min(2, len(phrases)))) if phrases else bare(page.words[0].text)
    content = sorted({bare(word.text) for word in page.words if len(bare(word.text)) > 4 and not word.text.isdigit()})
    content = content or sorted({bare(word.text) for word in page.words})
    return " ".join(rng.sample(content, min(len(content), rng.randint(2, 4))))


def _phrases(words: Sequence[Word]) -> list[str]:
    """Stretches of two to four words (of three to six characters, where words are not spaced) on one line, without marks inside."""
    stretches: list[list[str]] = [[]]
    line = -1
    for word in words:
        if word.line != line:
            stretches.append([])
        line = word.line
        if word.text[0] in MARKS:
            stretches.append([])
        stretches[-1].append(bare(word.text))
        if word.text[-1] in MARKS:
            stretches.append([])
    phrases = []
    for stretch in stretches:
        if HAS_IDEOGRAPHS.search("".join(stretch)):
            phrases += ["".join(stretch[i : i + 5]) for i in range(0, len(stretch) - 2, 5) if len(stretch) - i >= 3]
        else:
            phrases += [" ".join(stretch[i : i + 3]) for i in range(0, len(stretch), 3) if len(" ".join(stretch[i : i + 3])) > 9]
    return phrases


def _passage(page: Page, rng: random.Random) -> str:
    """A stretch of a line or two of the page."""
    lines = page.text.split("\n")
    long = [line.strip() for line in lines if len(line) > 24] or [line for line in lines if line.strip()] or [page.kind]
    return rng.choice(long)[:160]
