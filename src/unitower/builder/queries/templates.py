"""Queries by templates over what is known of pages: facts of the source, pages that render drew, and what a text says by itself."""

from __future__ import annotations

import random
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from unitower import render
from unitower.builder import known
from unitower.builder import languages as speech
from unitower.builder.types import Draft, Dropped, Fact, Page


def drafts(
    pages: Sequence[Page],
    *,
    folder: Path,
    seed: int,
    notes: Callable[[Dropped], None],
    languages: Sequence[str] = (),
    per_page: int = 3,
    ask: str = "",
    facts: Sequence[str] = (),
    kinds: Sequence[str] = (),
    words: Mapping[str, Mapping[str, str]] | None = None,
) -> Iterator[Draft]:
    """At most `per_page` queries a page and language, by chance, different kinds of facts before further ones of a kind.

    languages  of the queries, whatever the page's is; left out, that of the page
    ask        a TOML file of templates of one's own: [LANGUAGE.KIND_OF_FACT], kind of query = texts; they take the place of ours
    facts      kinds of facts that are asked for; left out, all
    kinds      of query; left out, all
    words      language -> word of the data -> that word in the language
    """
    own = _own(folder / ask) if ask else {}
    rare = known.rarity(pages)
    for page in pages:
        said = list(page.facts) or ([] if page.drawn else list(known.facts(page, rare=rare)))
        said = [fact for fact in said if not facts or fact.kind in facts]
        for language in languages or [page.language]:
            rng = random.Random(f"templates {seed} {page.id} {language}")
            theirs = (words or {}).get(language, {})
            templates = own.get(language) or (speech.find(language).templates if language in speech.codes() else {})
            made = [one for fact in said for one in _asked(page, fact, templates.get(fact.kind, {}), language=language, words=theirs, rng=rng)]
            if page.drawn and language in render.languages():
                made += [
                    (query.kind, Draft(text=query.text, language=language, kind=query.kind, pages={page.id: 1}, answer=query.answer, made_by="template"))
                    for query in render.queries(page.drawn, seed=seed, language=language)
                ]
            fitting = [(group, draft) for group, draft in made if not kinds or draft.kind in kinds]
            if not fitting:
                notes(Dropped(what="page", name=page.id, reason="nothing to ask", detail=f"in {language or 'an unknown language'}"))
            yield from _varied(fitting, per_page, rng)


def _own(path: Path) -> Mapping[str, Mapping[str, Mapping[str, Sequence[str]]]]:
    """Templates of a file of one's own, by language."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}.") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"{path} is no TOML: {error}") from error
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
            text = speech.SLOT.sub(lambda match: slots[match[1]], rng.choice(fitting))
            yield (
                fact.kind,
                Draft(
                    text=text,
                    language=language,
                    kind=kind,
                    pages={page.id: 1},
                    answer=words.get(fact.answer, fact.answer),
                    made_by="template",
                    needles=fact.needles,
                ),
            )


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
