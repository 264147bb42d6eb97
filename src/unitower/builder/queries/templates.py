"""Queries by templates over what is known of pages: facts of the source, pages that render drew, and what a text says by itself."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path

from unitower import render
from unitower.builder import known
from unitower.builder import languages as speech
from unitower.builder.types import Draft, Dropped, Fact, Page
from unitower.evaluation import toml

ARROW = " => "


def drafts(
    pages: Sequence[Page],
    *,
    folder: Path,
    seed: int,
    notes: Callable[[Dropped], None],
    only: str = "*",
    languages: Sequence[str] = (),
    per_page: int = 3,
    ask: str = "",
    facts: Sequence[str] = (),
    kinds: Sequence[str] = (),
    words: str | Mapping[str, Mapping[str, str]] = "",
) -> Iterator[Draft]:
    """At most `per_page` queries a page and language, by chance, different kinds of facts before further ones of a kind.

    only       pages whose ids are like this: "ferries-*"
    languages  of the queries, whatever the page's is; left out, that of the page
    ask        a TOML file of templates of one's own: [LANGUAGE.KIND_OF_FACT], kind of query = texts; they take the place of ours.
               Where the fact does not know the answer, it stands behind an arrow: "What does {item} cost? => {price}"
    facts      kinds of facts that are asked for; left out, all
    kinds      of query; left out, all
    words      language -> word of the data -> that word in the language, or a TOML file of them
    """
    own = _own(folder / ask) if ask else {}
    spoken = speech.dictionary(words, folder)
    rare, elsewhere = known.rarity(pages), known.running(pages)
    for page in pages:
        if not fnmatch(page.id, only):
            continue
        said = list(page.facts) or ([] if page.drawn else list(known.facts(page, rare=rare, elsewhere=elsewhere)))
        said = [fact for fact in said if not facts or fact.kind in facts]
        for language in languages or [page.language]:
            rng = random.Random(f"templates {seed} {page.id} {language}")
            theirs = spoken.get(language, {})
            templates = own.get(language) or (speech.find(language).templates if language in speech.codes() else {})
            made = [
                one for fact in said for one in _asked(page, fact, templates.get(fact.kind, {}), language=language, words=theirs, rng=rng)
            ]
            if page.drawn and language in render.languages():
                made += _of_drawn(page.id, page.drawn, language=language, seed=seed)
            fitting = [(group, draft) for group, draft in made if not kinds or draft.kind in kinds]
            if not fitting:
                notes(Dropped(what="page", name=page.id, reason="kept without a query", detail=f"in {language or 'an unknown language'}"))
            yield from _varied(fitting, per_page, rng)


def _own(path: Path) -> Mapping[str, Mapping[str, Mapping[str, Sequence[str]]]]:
    """Templates of a file of one's own, by language."""
    values = toml.read(path)
    toml.check(values, dict.fromkeys(values, Mapping[str, Mapping[str, Sequence[str]]]), where=str(path))
    return {language: speech.checked(templates, where=f"{path}, {language}") for language, templates in values.items()}


def _asked(
    page: Page,
    fact: Fact,
    templates: Mapping[str, Sequence[str]],
    *,
    language: str,
    words: Mapping[str, str],
    rng: random.Random,
) -> Iterator[tuple[str, Draft]]:
    """A draft for every kind of query there is a template of, with the kind of fact it asks for."""
    if fact.kind == "terms":
        templates = {"keywords": ["{terms}"]}
    slots = {name: words.get(value, value) for name, value in fact.slots.items()}
    for kind, texts in templates.items():
        fitting = [text for text in texts if set(speech.SLOT.findall(text)) <= slots.keys()]
        if fitting:
            text, arrow, answer = speech.SLOT.sub(lambda match: slots[match[1]], rng.choice(fitting)).partition(ARROW)
            yield (
                fact.kind,
                Draft(
                    text=text,
                    language=language,
                    kind=kind,
                    pages={page.id: 1},
                    answer=answer if arrow else words.get(fact.answer, fact.answer),
                    made_by="template",
                    needles=fact.needles,
                ),
            )


def _of_drawn(page: str, drawn: render.Page, *, language: str, seed: int) -> list[tuple[str, Draft]]:
    """The queries that the render room makes of a page it drew, by their kind. A page with the same facts in it answers them too."""
    return [
        (
            query.kind,
            Draft(
                text=query.text,
                language=language,
                kind=query.kind,
                pages={page: 1},
                answer=query.answer,
                made_by="template",
                needles=tuple(value for name, value in drawn.facts.items() if value in query.text and name not in drawn.unseen),
            ),
        )
        for query in render.queries(drawn, seed=seed, language=language)
    ]


def _varied(made: Sequence[tuple[str, Draft]], count: int, rng: random.Random) -> list[Draft]:
    """So many of the drafts, one of each group in turn, by chance within it."""
    groups: dict[str, list[Draft]] = {}
    for group, draft in rng.sample(made, len(made)):
        groups.setdefault(group, []).append(draft)
    taken: list[Draft] = []
    while groups and len(taken) < count:
        for group in list(groups):
            taken.append(groups[group].pop())
            if not groups[group]:
                del groups[group]
    return taken[:count]
