"""Pages drawn from facts, and queries that they answer: visual documents of any layout and language, with nothing to download.

Row i is drawn when it is read, a tenth of a second each, and is the same at every reading on a machine with the same fonts. Pages to
test with have other seeds, other words and sentences, and other fonts than those to train on.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from unitower import render
from unitower.data import BadPair, Pairs
from unitower.data._split import Split, checked, hashed
from unitower.types import Item, Pair, Source


def open(
    *,
    kinds: Sequence[str] | None = None,
    languages: Sequence[str] = ("en",),
    size: int = 10000,
    seed: int = 0,
    px: tuple[int, int] = (700, 1000),
    degrade: float = 0.0,
    split: Split = "train",
) -> Pairs:
    """`size` pairs of a query and the page that answers it; kinds of page, languages and kinds of query come equally often, by chance.

    kinds      of page (see `render.kinds`); left out, all there are. Charts need matplotlib, the extra `render`
    languages  ISO 639-1 codes (see `render.languages`)
    seed       pages of another seed are other pages
    px         width and height of the pages
    degrade    0..1: every page is scanned, folded, copied or compressed by an amount of its own up to this; 0 leaves all as drawn

    ValueError names a kind or a language that cannot be drawn here, and a size or an amount that is out of range.
    """
    checked(split, 0.0)
    if size < 0:
        raise ValueError(f"size is {size}; it is the number of pairs, 0 or more.")
    wanted = tuple(render.kinds() if kinds is None else kinds)
    if not wanted or not languages:
        raise ValueError("no kind of page or no language is named; leave them out, or name at least one of each.")
    for kind in wanted:
        for language in languages:
            render.check(kind, language=language, px=px, degrade=degrade)
    return Rendered(kinds=wanted, languages=tuple(languages), size=size, seed=seed, px=(px[0], px[1]), degrade=degrade, split=split)


class Rendered:
    """`Pairs` of queries and drawn pages."""

    licence = "CC0-1.0"  # made up by this program

    def __init__(
        self, *, kinds: tuple[str, ...], languages: tuple[str, ...], size: int, seed: int, px: tuple[int, int], degrade: float, split: Split
    ) -> None:
        self.name = "rendered"
        self.languages = languages
        self._kinds, self._size, self._seed = kinds, size, seed
        self._px, self._degrade, self._split = px, degrade, split

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, index: int) -> Pair:
        index = range(self._size)[index]
        start = f"{self.name}/{self._split}/{self._seed}/{index}"
        rng = random.Random(start)
        kind, language, query_kind = rng.choice(self._kinds), rng.choice(self.languages), rng.choice(render.QUERY_KINDS)
        amount = self._degrade * rng.random()
        page = render.page(kind, seed=hashed(start), language=language, px=self._px, degrade=amount, split=self._split)
        if not page.words:
            raise BadPair(f"{start}: no word found room on a page of kind {kind!r} of {self._px[0]} by {self._px[1]} pixels")
        query = rng.choice([one for one in render.queries(page, seed=index) if one.kind == query_kind])
        source = Source(path=start)
        metadata = {"kind": kind, "language": language}
        return Pair(
            query=Item(
                id=f"{start}-query",
                modality="text",
                content=query.text,
                source=source,
                text=query.text,
                metadata={"query": query_kind, "language": language, "answer": query.answer},
            ),
            document=Item(id=start, modality="image", content=page.image, source=source, text=page.text, metadata=metadata),
            source=self.name,
        )
