"""One build: pages drawn and sifted, queries drafted and sifted, the set written."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from unitower.builder import asking, consensus, filters, judge, languages, near, queries, sources, writing
from unitower.builder.config import Config, Filters, Output, chosen
from unitower.builder.endpoint import Usage
from unitower.builder.types import Draft, Dropped, Page
from unitower.builder.words import Texts, counted
from unitower.errors import UnitowerError

if TYPE_CHECKING:
    from PIL.Image import Image

Notes = Callable[[Dropped], None]
Progress = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Built:
    """What a build came to.

    card     path of the card
    dropped  everything that did not come into the set
    spent    what was asked of endpoints; None where there was none
    """

    place: Path
    card: Path
    pages: int
    queries: int
    languages: Sequence[str]
    dropped: Sequence[Dropped]
    spent: Usage | None = None

    @property
    def reasons(self) -> dict[str, int]:
        """ "query: near duplicate" -> how many, the most frequent first."""
        return dict(counted([f"{one.what}: {one.reason}" for one in self.dropped]))


def build(config: Config, *, progress: Progress = lambda line: None) -> Built:
    """Make a set as its config says. UnitowerError if nothing is left of it.

    The same config on the same machine gives the same set, but for what an endpoint answers that is not in its cache. What that came to is
    told by `progress` where nothing else comes of it.
    """
    with asking.spending() as asked:
        try:
            return replace(_built(config, progress=progress), spent=sum(asked[1:], asked[0]) if asked else None)
        except BaseException:
            if asked:
                progress(f"asked of endpoints: {sum(asked[1:], asked[0])}")
            raise


def _built(config: Config, *, progress: Progress) -> Built:
    made = [chosen(sources, options, verb="pages", where=f"[[sources]] {i}") for i, options in enumerate(config.sources, start=1)]
    asked = [chosen(queries, options, verb="drafts", where=f"[[queries]] {i}") for i, options in enumerate(config.queries, start=1)]
    writing.checked(config.place)
    dropped: list[Dropped] = []
    with tempfile.TemporaryDirectory(prefix="unitower-bench-") as scratch:
        drawn = (page for function, options in made for page in function(folder=config.folder, notes=dropped.append, **options))
        pages = kept_pages(
            drawn, Path(scratch), output=config.output, rule=config.filters.near_pages, notes=dropped.append, progress=progress
        )
        if not pages:
            raise UnitowerError(f"{config.name}: no page came of the sources. {_why(dropped)}")
        progress(f"{len(pages)} pages")
        drafts: list[Draft] = []
        for function, options in asked:
            drafts += function(pages, folder=config.folder, seed=config.seed, notes=dropped.append, **options)
        progress(f"{len(drafts)} queries drafted")
        drafts = kept_drafts(drafts, pages, filters=config.filters, folder=config.folder, notes=dropped.append)
        if not drafts:
            raise UnitowerError(f"{config.name}: no query is left. {_why(dropped)}")
        about = {name: getattr(config, name) for name in ("name", "about", "licence", "citation", "domain")}
        writing.write(
            config.place,
            pages=pages,
            drafts=drafts,
            dropped=dropped,
            about={**about, "how": config.how or _how(config)},
            shapes=config.output.shapes,
            subsets=config.output.subsets,
        )
    return Built(
        place=config.place,
        card=config.place.with_name(f"{config.place.name}.toml"),
        pages=len(pages),
        queries=len(drafts),
        languages=list(counted([draft.language for draft in drafts])),
        dropped=dropped,
    )


def kept_pages(drawn: Iterable[Page], scratch: Path, *, output: Output, rule: bool, notes: Notes, progress: Progress) -> list[Page]:
    """The pages with their pictures written to files, without those that repeat an earlier one.

    A page without a language is told one from its text. UnitowerError where two pages have one id.
    """
    looks = filters.Looks()
    pages: dict[str, Page] = {}
    for page in drawn:
        if page.id in pages:
            raise UnitowerError(f"two pages are called {page.id}: give the sources different folders or names.")
        page = page if page.language else replace(page, language=languages.told(page.text))
        if page.image is not None:
            assert not isinstance(page.image, Path)
            image = _sized(page.image, output.max_side)
            twin = looks.twin(page, near.look(image)) if rule else ""
            if twin:
                notes(Dropped(what="page", name=page.id, reason="near duplicate", detail=f"of {twin}"))
                continue
            file = scratch / f"{len(pages)}.{output.format}"
            file.write_bytes(encoded(image, output))
            page = replace(page, image=file)
        pages[page.id] = page
        if len(pages) % 50 == 0:
            progress(f"{len(pages)} pages …")
    return list(pages.values())


def kept_drafts(drafts: Sequence[Draft], pages: Sequence[Page], *, filters: Filters, folder: Path, notes: Notes) -> list[Draft]:
    """The queries that pass all filters, in their order."""
    from unitower.builder import filters as rules

    texts = Texts(pages)
    kept = list(drafts)
    if filters.realistic:
        kept = rules.realistic(kept, notes)
    if filters.near_queries:
        kept = rules.repeated(kept, notes)
    kept = rules.several(kept, texts, notes, rule=filters.several)
    if filters.consensus:
        kept = consensus.agreed(kept, pages, texts, notes, **consensus.settings(filters.consensus))
    if filters.judge:
        kept = judge.judged(kept, pages, texts, notes, options=filters.judge, folder=folder, rule=filters.several)
    return kept


def _sized(image: Image, max_side: int) -> Image:
    """The picture with its longer side within the limit; 0 is none."""
    longer = max(image.size)
    if not max_side or longer <= max_side:
        return image
    return image.resize((max(1, round(image.width * max_side / longer)), max(1, round(image.height * max_side / longer))), 1)


def encoded(image: Image, output: Output) -> bytes:
    """The bytes of a picture in the format of the set."""
    from PIL.Image import Dither

    file = io.BytesIO()
    if output.format == "webp":
        image.save(file, "WEBP", quality=output.quality, method=6)
    else:
        (image.quantize(output.colours, dither=Dither.NONE) if output.colours else image).save(file, "PNG", optimize=True)
    return file.getvalue()


def _why(dropped: Sequence[Dropped]) -> str:
    if not dropped:
        return "Nothing was dropped: the sources and queries gave nothing."
    reasons = counted([f"{one.what}: {one.reason}" for one in dropped])
    return (
        "Dropped: "
        + ", ".join(f"{reason} {count}" for reason, count in reasons.items())
        + f"; for example {dropped[-1].name!r} ({dropped[-1].detail})."
    )


def _how(config: Config) -> str:
    """How the set was made, in a sentence."""
    kinds = ", ".join(dict.fromkeys(str(source["kind"]) for source in config.sources))
    ways = ", ".join(dict.fromkeys(str(way["kind"]) for way in config.queries))
    return f"By `unitower bench build`: pages from {kinds}; queries by {ways}; seed {config.seed}."
