"""What stands on a page and where: ink drawn at several times the size, and every character by its place."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from unitower.render.quick.alphabet import CELL_PX, INDEX, SLOTS
from unitower.render.quick.fonts import Pen


@dataclass(frozen=True)
class Written:
    """A word on a page, in pixels of the page.

    xs      left edge of each character, and the right edge of the last
    middle  y of half the height of its small letters
    line    number of its line
    size    of the font
    """

    text: str
    xs: tuple[float, ...]
    middle: float
    line: int
    size: float


class Sheet:
    """A page while it is drawn: 0 is paper, 255 ink. Coordinates are those of the page, `scale` times smaller than what is drawn."""

    def __init__(self, width: int, height: int, *, scale: int) -> None:
        self.width, self.height, self.scale = width, height, scale
        self.ink = Image.new("L", (width * scale, height * scale), 0)
        self.draw = ImageDraw.Draw(self.ink)
        self.words: list[Written] = []
        self.shaded: list[tuple[float, float, float, float]] = []
        self.line = 0

    def width_of(self, pen: Pen, word: str) -> float:
        return sum(pen.widths(word)) / self.scale

    def space_of(self, pen: Pen) -> float:
        return pen.space / self.scale

    def write(self, pen: Pen, word: str, x: float, y: float) -> float | None:
        """Draw a word with its top left corner at x, y; its width, or None where it does not fit or lacks a glyph and is left out."""
        size, widths = pen.size / self.scale, pen.widths(word)
        width = sum(widths) / self.scale
        if x < 0 or y < 0 or x + width > self.width or y + size > self.height or not pen.lacks.isdisjoint(word):
            return None
        self.draw.text((x * self.scale, y * self.scale), word, font=pen.face, fill=255)
        xs = tuple(x + along / self.scale for along in accumulate(widths, initial=0.0))
        self.words.append(Written(word, xs, y + pen.middle / self.scale, self.line, size))
        return width

    def row(self, pen: Pen, words: list[str], x: float, y: float, *, until: float, gap: float | None = None) -> None:
        """Words one after the other as far as they fit, and the line is done."""
        space = self.space_of(pen) if gap is None else gap
        for word in words:
            width = self.width_of(pen, word)
            if x + width > until:
                break
            self.write(pen, word, x, y)
            x += width + space
        self.line += 1

    def enlarge(self, width: int, height: int) -> None:
        """Take all that is written to where it stands on a picture of this size."""
        across, down = width / self.width, height / self.height
        self.words = [
            Written(word.text, tuple(x * across for x in word.xs), word.middle * down, word.line, word.size * down) for word in self.words
        ]
        self.width, self.height = width, height

    def rule(self, x0: float, y0: float, x1: float, y1: float, *, width: float, ink: int) -> None:
        points = [value * self.scale for value in (x0, y0, x1, y1)]
        self.draw.line(points, fill=ink, width=max(1, round(width * self.scale)))

    def labels(self) -> npt.NDArray[np.int16]:
        """The character in each slot of each cell, row by row: int16 [cells, slots], 0 for none. Of two in one slot the later counts."""
        rows, columns = self.height // CELL_PX, self.width // CELL_PX
        down, across = SLOTS
        slots = np.zeros((rows * down, columns * across), np.int16)
        for word in self.words:
            row = int(word.middle * down / CELL_PX)
            if not 0 <= row < len(slots):
                continue
            for place, character in enumerate(word.text):
                column = int((word.xs[place] + word.xs[place + 1]) / 2 * across / CELL_PX)
                if character in INDEX and column < slots.shape[1]:
                    slots[row, column] = INDEX[character]
        return slots.reshape(rows, down, columns, across).transpose(0, 2, 1, 3).reshape(rows * columns, down * across)
