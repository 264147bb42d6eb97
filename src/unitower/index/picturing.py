"""An explanation as a picture: the page under its heat, a frame around the best patch of each word, and the words beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

if TYPE_CHECKING:
    from unitower.index.explaining import Answered, Explanation
    from unitower.types import Floats

Colour: TypeAlias = tuple[int, int, int]

PAPER, INK, FAINT, LINE = (247, 245, 241), (38, 36, 33), (122, 116, 108), (224, 219, 211)
FOUND = (0, 121, 140)
"""Underlines words of the query in the text layer."""

HEAT: tuple[Colour, ...] = ((255, 255, 255), (255, 236, 179), (255, 190, 92), (244, 120, 66), (206, 52, 76))
"""From cold to warm; multiplied with the page, so that what is black stays black and can be read."""

COLOURS: tuple[Colour, ...] = (
    (31, 78, 161),
    (156, 39, 118),
    (46, 125, 50),
    (120, 66, 18),
    (94, 53, 177),
    (0, 105, 120),
    (173, 20, 40),
    (69, 90, 100),
)
"""Of the words, in turn."""

HEIGHT = 1200
"""Pixels that the page is scaled to, at the most, in height and width; at least half of that on its longer side."""

PANEL, MARGIN = 400, 36
WORDS = 16
"""Words that are listed. Whoever pastes a page as a query wants the places, not the list."""


def drawn(why: Explanation) -> Image.Image:
    """The picture of an explanation that has a page and its heat."""
    assert why.page is not None
    assert why.heat is not None
    longest = max(why.page.size)
    scale = min(HEIGHT / longest, max(1.0, HEIGHT / 2 / longest))
    size = (max(1, round(why.page.width * scale)), max(1, round(why.page.height * scale)))
    page = warmed(why.page.convert("RGB").resize(size, Image.Resampling.LANCZOS), why.heat)
    listed = _listed(why)
    mark(page, why, listed, scale=scale)

    panel = _Panel(why, listed)
    canvas = Image.new("RGB", (page.width + PANEL + 3 * MARGIN, max(page.height + 2 * MARGIN, panel.height + 2 * MARGIN)), PAPER)
    shade(canvas, (MARGIN, MARGIN, MARGIN + page.width, MARGIN + page.height))
    canvas.paste(page, (MARGIN, MARGIN))
    panel.draw(canvas, MARGIN * 2 + page.width, MARGIN)
    return canvas


def _listed(why: Explanation) -> list[tuple[int, Answered]]:
    """The words to show with their number, from 1, in the order of the query: the strongest where there are too many."""
    strongest = sorted(range(len(why.words)), key=lambda i: -why.words[i].strength)[:WORDS]
    return [(number, why.words[i]) for number, i in enumerate(sorted(strongest), start=1)]


def warmed(page: Image.Image, heat: Floats) -> Image.Image:
    """A page multiplied with the colours of its heat, which flows from patch to patch."""
    grown = Image.fromarray(heat.astype(np.float32)).resize(page.size, Image.Resampling.BICUBIC)
    stops = np.linspace(0, 1, len(HEAT))
    warmth = np.clip(np.asarray(grown), 0, 1)
    colours = np.stack([np.interp(warmth, stops, [colour[i] for colour in HEAT]) for i in range(3)], axis=-1)
    return Image.fromarray((np.asarray(page, np.float32) * colours / 255 + 0.5).astype(np.uint8))


def mark(page: Image.Image, why: Explanation, listed: Sequence[tuple[int, Answered]], *, scale: float) -> None:
    """Underline the query's words in the text layer, and frame the best patch of each word, with its number."""
    assert why.heat is not None
    draw = ImageDraw.Draw(page)
    for box in why.boxes:
        left, _, right, bottom = (side * scale for side in box)
        smooth(page, (left - 1, bottom - 1, right + 1, bottom + 2), FOUND)
    at: dict[tuple[int, int], list[int]] = {}
    for number, word in listed:
        if word.cell is not None:
            at.setdefault(word.cell, []).append(number)
    for cell, numbers in at.items():
        left, top, right, bottom = why.patch(cell, page.size)
        colour = COLOURS[(numbers[0] - 1) % len(COLOURS)]
        draw.rounded_rectangle((left - 3, top - 3, right + 3, bottom + 3), 6, outline=(255, 255, 255), width=2)
        draw.rounded_rectangle((left - 1, top - 1, right + 1, bottom + 1), 5, outline=colour, width=3)
    for cell, numbers in at.items():
        left, top, right, _ = why.patch(cell, page.size)
        across = 20 * len(numbers)
        x = min(max(11, (left + right - across) / 2 + 10), page.width - across + 9)
        y = top - 12 if top > 24 else why.patch(cell, page.size)[3] + 12
        for number in numbers:
            disc(page, x, y, number)
            x += 20


def disc(page: Image.Image, x: float, y: float, number: int) -> None:
    """The number of a word in its colour, around a place."""
    smooth(page, (x - 11, y - 11, x + 11, y + 11), (255, 255, 255))
    smooth(page, (x - 10, y - 10, x + 10, y + 10), COLOURS[(number - 1) % len(COLOURS)])
    ImageDraw.Draw(page).text((x, y), str(number), font=font("0", 13 if number < 10 else 11), fill=(255, 255, 255), anchor="mm")


def smooth(page: Image.Image, box: tuple[float, float, float, float], colour: Colour) -> None:
    """A box with round ends; Pillow's own have steps for edges."""
    left, top = math.floor(box[0]), math.floor(box[1])
    size = (math.ceil(box[2]) - left + 1, math.ceil(box[3]) - top + 1)
    mask = Image.new("L", (4 * size[0], 4 * size[1]), 0)
    inside = [4 * (side - (left, top)[i % 2]) for i, side in enumerate(box)]
    ImageDraw.Draw(mask).rounded_rectangle(inside, 2 * (box[3] - box[1]), fill=255)
    page.paste(colour, (left, top), mask.resize(size, Image.Resampling.BOX))


class _Panel:
    """What stands beside the page."""

    def __init__(self, why: Explanation, listed: Sequence[tuple[int, Answered]]) -> None:
        self.why, self.listed = why, listed
        folder, _, name = why.place.rpartition("/")
        self.title = wrapped(name, 21, lines=3)
        self.folder = shortened(folder[::-1], 14, PANEL)[::-1]  # its end tells more than its beginning
        self.query = wrapped(why.query, 17, lines=4) if why.query else ["an example picture"]
        self.more = len(why.words) - len(listed)
        self.height = self.draw(Image.new("RGB", (1, 1)), 0, 0)

    def draw(self, page: Image.Image, x: int, y: int) -> int:
        """Draw it with its upper left corner at a place; where it ends."""
        draw = ImageDraw.Draw(page)
        for line in self.title:
            draw.text((x, y), line, font=font(line, 21), fill=INK)
            y += 28
        if self.folder:
            draw.text((x, y), self.folder, font=font(self.folder, 14), fill=FAINT)
            y += 24
        y += 8
        for line in self.query:
            draw.text((x, y), line, font=font(line, 17), fill=INK)
            y += 24
        y += 14
        draw.line((x, y, x + PANEL, y), fill=LINE, width=2)
        y += 20
        for number, word in self.listed:
            y = self._word(page, x, y, number, word)
        if self.more > 0:
            draw.text((x, y), f"and {self.more} more words", font=font("a", 14), fill=FAINT)
            y += 26
        y += 8
        draw.line((x, y, x + PANEL, y), fill=LINE, width=2)
        return self._legend(page, x, y + 18)

    def _word(self, page: Image.Image, x: int, y: int, number: int, word: Answered) -> int:
        draw = ImageDraw.Draw(page)
        disc(page, x + 11, y + 11, number)
        name = shortened(word.word, 17, PANEL - 190)
        draw.text((x + 34, y + 11), name, font=font(name, 17), fill=INK, anchor="lm")
        bar = (x + PANEL - 146, y + 6, x + PANEL - 46, y + 16)
        smooth(page, bar, LINE)
        if word.strength > 0.1:  # less would not be as long as its ends are round
            smooth(page, (*bar[:2], bar[0] + 100 * min(1.0, word.strength), bar[3]), COLOURS[(number - 1) % len(COLOURS)])
        draw.text((x + PANEL, y + 11), f"{word.strength:.2f}", font=font("0", 14), fill=FAINT, anchor="rm")
        if word.there:
            beneath = shortened(word.there, 14, PANEL - 34)
            draw.text((x + 34, y + 34), beneath, font=font(beneath, 14), fill=FAINT, anchor="lm")
            return y + 54
        return y + 36

    def _legend(self, page: Image.Image, x: int, y: int) -> int:
        draw = ImageDraw.Draw(page)
        steps = 160
        for step in range(steps):
            place = step / (steps - 1) * (len(HEAT) - 1)
            low = min(int(place), len(HEAT) - 2)
            colour = tuple(round(a + (b - a) * (place - low)) for a, b in zip(HEAT[low], HEAT[low + 1], strict=True))
            draw.line((x + step, y, x + step, y + 11), fill=colour)
        draw.rectangle((x - 1, y - 1, x + steps, y + 12), outline=LINE)
        draw.text((x + steps + 14, y + 6), "cold to warm: like the query", font=font("a", 14), fill=FAINT, anchor="lm")
        y += 30
        disc(page, x + 11, y + 6, 1)
        draw.text((x + 34, y + 6), "the best patch for a word, and how alike they are", font=font("a", 14), fill=FAINT, anchor="lm")
        y += 28
        if self.why.boxes:
            smooth(page, (x, y + 5, x + 24, y + 8), FOUND)
            draw.text((x + 34, y + 6), "words of the query in the text layer", font=font("a", 14), fill=FAINT, anchor="lm")
            y += 28
        return y


def shade(canvas: Image.Image, box: tuple[int, int, int, int]) -> None:
    """A soft shadow beneath a box."""
    shadow = Image.new("L", canvas.size, 0)
    ImageDraw.Draw(shadow).rectangle((box[0] + 2, box[1] + 6, box[2] + 2, box[3] + 6), fill=90)
    canvas.paste((90, 84, 76), mask=shadow.filter(ImageFilter.GaussianBlur(9)))


def wrapped(text: str, size: int, *, lines: int) -> list[str]:
    """A text in lines as wide as the panel, at most so many; what is too much ends in dots."""
    found = [""]
    for word in text.split():
        longer = f"{found[-1]} {word}".strip()
        if width(longer, size) <= PANEL or not found[-1]:
            found[-1] = longer
        else:
            found.append(word)
    if len(found) > lines:
        found = [*found[: lines - 1], " ".join(found[lines - 1 :])]
    return [shortened(line, size, PANEL) for line in found]


def shortened(text: str, size: int, most: int) -> str:
    """A text cut to so many pixels, with dots where something is missing."""
    if width(text, size) <= most:
        return text
    low, high = 0, len(text)
    while low < high:  # the most characters that leave room for the dots
        middle = math.ceil((low + high) / 2)
        low, high = (middle, high) if width(text[:middle] + "…", size) <= most else (low, middle - 1)
    return text[:low].rstrip() + "…"


def width(text: str, size: int) -> float:
    return font(text, size).getlength(text)


def font(text: str, size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The font of Pillow, or where a text has other letters one of this machine that has them all."""
    return _font("".join(sorted({c for c in text if ord(c) > 0x17F and c not in "“”…–—’‘•€"})), size)


@lru_cache(maxsize=256)
def _font(unusual: str, size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    if unusual:
        from unitower.render.typefaces import families_for

        able = families_for([*unusual, *"abc012…"], region="JP") or families_for(unusual, region="JP")
        if able:
            best = min(able, key=lambda family: (family.mono, not family.name.startswith(("Noto Sans", "DejaVu Sans")), family.name))
            face = best.typeface()
            return ImageFont.truetype(str(face.path), size, index=face.index)
    return ImageFont.load_default(size)
