"""Pages drawn from facts, which know what stands where: for training the tower to read, and for testing it.

    >>> from unitower import render
    >>> page = render.page("invoice", seed=7, language="en")       # the same page for the same arguments, on the same fonts
    >>> page.image.size, page.facts["total"] in page.text
    ((700, 1000), True)
    >>> [word.text for word in page.where("total")] == page.facts["total"].split()
    True

One module per kind of page in `pages/`, found by listing that folder; one file per language in `languages/`. To add a kind, add a
module with `FACTS` (names of what its pages may state) and `draw(canvas, content, style)`; tests/conformance/test_render.py runs on it
by itself. Nothing heavy is imported before the first page is drawn; charts need matplotlib (the extra `render`).
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Literal, cast

from unitower.render.types import QUERY_KINDS, Page, Query, Word

if TYPE_CHECKING:
    from unitower.render.pages import Kind

LEAST_SIDE_PX = 160
"""A page that is narrower or lower has no room for words."""
LARGEST_SIDE_PX = 6000


@cache
def kinds() -> tuple[str, ...]:
    """Names of the kinds of page there are: the modules of the folder `pages`."""
    from unitower.render import pages as folder

    return tuple(sorted(found.name for found in pkgutil.iter_modules(folder.__path__)))


def languages() -> tuple[str, ...]:
    """ISO 639-1 codes of the languages whose pages can be drawn here: those with a font that has all their letters."""
    from unitower.render import language

    return tuple(code for code in language.languages_known() if not language.drawable(code))


def fonts(*, split: Literal["train", "test"] | None = None) -> dict[str, list[str]]:
    """Font families of this machine by script (ISO 15924: Latn, Cyrl, Grek, Hans, Jpan, Arab, Deva).

    split  only the families that pages of that split are drawn in; where a script has none in it, all of that script
    """
    from unitower.render import language, typefaces

    samples: dict[str, tuple[frozenset[str], str]] = {}
    for one in map(language.find, language.languages_known()):
        sample, region = samples.get(one.script, (frozenset(), one.region))
        samples[one.script] = (sample | one.sample, region)
    return typefaces.by_script(samples, split=split)


def page(
    kind: str,
    *,
    seed: int,
    language: str = "en",
    px: tuple[int, int] = (700, 1000),
    degrade: float = 0.0,
    fonts: Sequence[str] | None = None,
    facts: Mapping[str, str] | None = None,
    passages: Iterable[str] = (),
    split: Literal["train", "test"] | None = None,
) -> Page:
    """A page of a kind, the same for the same arguments on a machine with the same fonts.

    px        width and height
    degrade   0 leaves it as drawn; up to 1 it is scanned, folded, copied and compressed, the more the worse; boxes go along
    fonts     families to draw it in (see `fonts`); None for those of this machine
    facts     values to state in place of made-up ones, by name; `facts_of(kind)` names those the kind knows. One that finds no room on the
              page is not among the facts of the page.
    passages  running text to fill it with, in any language; taken in their order, as far as there is room. Characters that no font of
              this machine has are left out.
    split     draw words, sentences and fonts only from those kept for training or for testing; None for all

    ValueError names what is wrong: a kind, language or font that is not there, a language whose script no font can write, a size or
    amount out of range.
    """
    import random

    from unitower.render import degrade as degradation
    from unitower.render import language as speech
    from unitower.render.canvas import Canvas
    from unitower.render.content import Content
    from unitower.render.finding import found
    from unitower.render.style import style

    check(kind, language=language, px=px, degrade=degrade)
    chosen = _kind(kind)
    spoken = speech.find(language)
    if unknown := sorted(set(facts or {}) - set(chosen.FACTS)):
        raise ValueError(f"a page of kind {kind!r} has no fact {unknown[0]!r}; it may state {', '.join(chosen.FACTS)}.")

    rng = random.Random(f"{kind} {seed} {language} {px} {split}")
    look = style(rng, spoken, px, split=split, names=fonts, **getattr(chosen, "STYLE", {}))
    content = Content(language=spoken, rng=rng, split=split, given=dict(facts or {}), passages=iter(passages))
    canvas = Canvas(px, paper=look.paper, mirrored=spoken.right_to_left)
    chosen.draw(canvas, content, look)
    image = canvas.finish()
    words = tuple(Word(placed.text, placed.box, placed.line, placed.block) for placed in canvas.words)
    if degrade:
        image, boxes = degradation.degraded(image, [word.box for word in words], amount=degrade, seed=rng.getrandbits(63))
        words = tuple(Word(word.text, box, word.line, word.block) for word, box in zip(words, boxes, strict=True))

    starts: dict[str, list[int]] = {}
    stated = {name: value for name, value in content.facts.items() if name in content.unseen or found(words, value, starts)}
    return Page(
        image=image,
        words=words,
        text="".join(placed.before + placed.text for placed in canvas.words),
        facts=stated,
        unseen=frozenset(content.unseen & stated.keys()),
        claims=tuple(claim for claim in content.claims if found(words, claim.says, starts)),
        language=language,
        kind=kind,
        seed=seed,
        _starts=starts,
    )


def check(kind: str, *, language: str = "en", px: tuple[int, int] = (700, 1000), degrade: float = 0.0) -> None:
    """ValueError names what of this would keep `page` from drawing; nothing is drawn."""
    from unitower.render import language as speech

    if kind not in kinds():
        raise ValueError(f"there is no kind of page {kind!r}; there are {', '.join(kinds())}.")
    if missing := speech.drawable(language):
        raise ValueError(missing)
    if len(px) != 2 or not all(LEAST_SIDE_PX <= side <= LARGEST_SIDE_PX for side in px):
        raise ValueError(f"px={px} is no size for a page: both sides lie between {LEAST_SIDE_PX} and {LARGEST_SIDE_PX} pixels.")
    if not 0.0 <= degrade <= 1.0:
        raise ValueError(f"degrade={degrade} is out of range: 0 leaves a page as drawn, 1 is the worst.")


def facts_of(kind: str) -> tuple[str, ...]:
    """Names of what pages of a kind may state. ValueError if there is no such kind."""
    return _kind(kind).FACTS


def queries(page: Page, *, seed: int, language: str | None = None) -> list[Query]:
    """Queries that the page answers, of all four kinds, at least one of each; the same for the same page and seed.

    language  of the questions, descriptions and statements; that of the page if left out. Names and numbers stay as the page has them.
    """
    from unitower.render.asking import asked

    return asked(page, seed=seed, language=language or page.language)


def _kind(name: str) -> Kind:
    if name not in kinds():
        raise ValueError(f"there is no kind of page {name!r}; there are {', '.join(kinds())}.")
    return cast("Kind", importlib.import_module(f"{__name__}.pages.{name}"))


__all__ = ["QUERY_KINDS", "Page", "Query", "Word", "check", "facts_of", "fonts", "kinds", "languages", "page", "queries"]
