"""Pages that the render room draws from made-up facts: forms, invoices, letters, slides and what else it knows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from unitower import render
from unitower.builder.types import Dropped, Page


def pages(
    *,
    folder: Path,
    notes: Callable[[Dropped], None],
    pages_of: Sequence[str],
    languages: Sequence[str] = ("en",),
    count: int = 20,
    seed: int = 0,
    px: tuple[int, int] = (700, 1000),
    degrade: float = 0.0,
) -> Iterator[Page]:
    """`count` pages, kinds and languages in turn. Queries come from the templates of render/languages/.

    pages_of  kinds of page, see `render.kinds`
    seed      pages of another seed are other pages
    degrade   0 leaves a page as drawn; up to 1 it is scanned, folded, copied, the more the worse

    ValueError names a kind or language that cannot be drawn here.
    """
    from PIL import Image

    size = (px[0], px[1])
    for kind in pages_of:
        for language in languages:
            render.check(kind, language=language, px=size, degrade=degrade)
    for number in range(count):
        kind, language = pages_of[number % len(pages_of)], languages[number // len(pages_of) % len(languages)]
        drawn = render.page(kind, seed=seed + number, language=language, px=size, degrade=degrade)
        # the queries need its words and facts alone: many pictures would fill the memory
        told = replace(drawn, image=Image.new("RGB", (1, 1)))
        yield Page(id=f"{kind}-{language}-{seed + number:04}", image=drawn.image, text=drawn.text, language=language, drawn=told)
