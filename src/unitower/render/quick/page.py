"""A whole page: its columns filled with blocks of one of five mixtures, and then made a picture."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from PIL import Image

from unitower.render.quick import blocks
from unitower.render.quick.alphabet import CELL_PX, WRITES
from unitower.render.quick.blocks import Author
from unitower.render.quick.fonts import Font, languages
from unitower.render.quick.paper import picture
from unitower.render.quick.sheet import Sheet, Written

Block = Callable[[Author, float, float, float], float]

MIXTURES: tuple[tuple[float, tuple[tuple[Block, float], ...]], ...] = (
    (48, ((blocks.paragraph, 6), (blocks.heading, 2), (blocks.bullets, 1))),
    (12, ((blocks.table, 5), (blocks.paragraph, 2), (blocks.heading, 1))),
    (8, ((blocks.form, 4), (blocks.table, 1), (blocks.heading, 1), (blocks.paragraph, 1))),
    (8, ((blocks.code, 4), (blocks.paragraph, 1))),
    (24, ((blocks.paragraph, 3), (blocks.figure, 1.5), (blocks.heading, 1), (blocks.bullets, 1), (blocks.table, 1))),
)
"""Shares of pages, and of the blocks on them: running text above all, as in real documents."""

SHARES = {
    "en": 34, "de": 11, "fr": 11, "es": 11, "ru": 16, "it": 4, "pt": 4, "nl": 3, "pl": 3, "cs": 2, "sv": 2, "hu": 1, "el": 1, "uk": 1,
    "da": 0.5, "fi": 0.5, "ro": 0.5, "tr": 0.5,
}  # fmt: skip
"""Languages and their shares of the pages, where there are text and fonts for them."""

ONE_COLUMN_PX = 330
"""Narrower pages have no room for a second column."""


@dataclass(frozen=True)
class QuickPage:
    """A page and all that is written on it.

    image     uint8 [height, width] or [height, width, 3]
    words     in the order in which they were written
    language  of its text
    """

    image: npt.NDArray[np.uint8]
    words: tuple[Written, ...]
    language: str
    _sheet: Sheet = field(repr=False)

    def labels(self) -> npt.NDArray[np.int16]:
        """The character in each slot of each cell: int16 [cells, slots], as places in `ALPHABET` from 1; 0 where there is none."""
        return self._sheet.labels()


def page(
    rng: random.Random,
    size: tuple[int, int],
    *,
    texts: Mapping[str, Sequence[str]],
    fonts: Sequence[Font],
    language: str | None = None,
    ease: float = 0.0,
    enlarged: float = 1.0,
    larger: float = 1.0,
) -> QuickPage:
    """A page drawn by chance, the same for the same generator, texts and fonts.

    size      width and height in pixels, multiples of a cell
    texts     language -> passages; "code" -> pieces of code
    language  None: drawn by `SHARES` from those that there are texts and fonts for
    ease      from 1 (common fonts, middling sizes, clean) to 0 (everything)
    enlarged  it is drawn so many times smaller and the picture enlarged, as small ones are for a tower (`ImageRules.magnify`); 1 to 4
    larger    its letters are so many times as large as usual, as on a large picture; 1 to 4

    ValueError if the size or a factor is none, or no language can be written.
    """
    width, height = size
    if width < CELL_PX or height < CELL_PX or width % CELL_PX or height % CELL_PX:
        raise ValueError(f"{width} x {height} px is no size for a page here: both sides are multiples of {CELL_PX} pixels.")
    for name, factor in (("enlarged", enlarged), ("larger", larger)):
        if not 1 <= factor <= 4:
            raise ValueError(f"{name} is {factor}; give a factor from 1 to 4.")
    able = [code for code in languages(fonts) if texts.get(code)]
    if language is None and able:
        language = rng.choices(able, [SHARES[code] for code in able])[0]
    if language not in able:
        raise ValueError(f"there are no texts, or no fonts, for {language or 'any language of ' + ', '.join(WRITES)}.")
    drawn = (round(width / enlarged), round(height / enlarged))
    sheet = Sheet(*drawn, scale=rng.choice((2, 2, 3)))  # three times for finer places, twice for speed
    author = Author(rng, sheet, texts, fonts, language=language, ease=ease, larger=larger)
    _fill(author)
    image = picture(rng, sheet.ink, drawn, sheet.shaded, ease=ease)
    if drawn != size:
        image = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))
        sheet.enlarge(width, height)
    return QuickPage(image, tuple(sheet.words), language, sheet)


def _fill(author: Author) -> None:
    rng, sheet = author.rng, author.sheet
    margin, y_first = rng.uniform(4, 0.1 * sheet.width + 6), rng.uniform(2, 0.07 * sheet.height + 6)
    columns = 1 if sheet.width < ONE_COLUMN_PX else rng.choices((1, 2, 3), (62, 28, 10))[0]
    gap = rng.uniform(10, 24)
    width = (sheet.width - 2 * margin - gap * (columns - 1)) / columns
    if columns > 1 and rng.random() < 0.6:
        y_first = blocks.heading(author, margin, y_first, sheet.width - 2 * margin)
    mixture = rng.choices([parts for _, parts in MIXTURES], [share for share, _ in MIXTURES])[0]
    for column in range(columns):
        x, y = margin + column * (width + gap), y_first
        while not author.full(y + 2):
            block = rng.choices([block for block, _ in mixture], [share for _, share in mixture])[0]
            end = block(author, x, y, width)
            y = max(end, y + 0.5 * author.size) + author.size * rng.uniform(0, 0.9)
            if rng.random() < 0.04:  # the column ends early
                break
