"""A typeface at a size: how wide words are, and the ink of their letters, each rasterised once and kept.

Two ways of drawing, as pages come from two kinds of machine. `Look.SCREEN`: hinted by FreeType, letters at whole pixels. `Look.PRINT`:
letters at quarters of a pixel, unhinted (rasterised several times larger and averaged), as PDF pages come out. In both, plain text is
put together from the pictures of its letters, which costs a tenth of having FreeType draw every word. Scripts that join their letters
are drawn word by word through Raqm; so are, at choice, the others, with the kerning and ligatures of the font.
"""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from math import inf
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from unitower.render.typefaces import Typeface, stand_in

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

SHIFTS = 4
"""Places between two pixels at which a letter may start."""
FINE_BELOW_PX = 36.0
"""Letters of a smaller size are rasterised SHIFTS times larger before they are averaged; of the others twice suffices."""


class Look(Enum):
    """How letters meet the pixels."""

    SCREEN = "screen"
    PRINT = "print"


class Extent(NamedTuple):
    """Where the ink of a word lies about the pen's start on the baseline, in pixels, y down; empty (all 0) for blanks."""

    left: float
    top: float
    right: float
    bottom: float


NO_INK = Extent(0.0, 0.0, 0.0, 0.0)


class Ink(NamedTuple):
    """Pixels of a letter about the pen: rows and columns int64 [n], darkness uint16 [n] in 1..255, and where they lie."""

    rows: npt.NDArray[np.int64]
    columns: npt.NDArray[np.int64]
    values: npt.NDArray[np.uint16]
    extent: Extent


class Face:
    """A typeface at a size in pixels, in one look. Get one from `face`."""

    def __init__(self, typeface: Typeface, size: float, look: Look, shaped: bool) -> None:
        self.typeface = typeface
        self.size = size
        self.look = look
        self.shaped = shaped
        self._times = 1 if look is Look.SCREEN else SHIFTS if size < FINE_BELOW_PX else 2
        engine = ImageFont.Layout.RAQM if shaped else ImageFont.Layout.BASIC
        self._font: FreeTypeFont = ImageFont.truetype(str(typeface.path), size * self._times, index=typeface.index, layout_engine=engine)
        self._advances: dict[str, float] = {}
        self._widths: dict[str, float] = {}
        self._pieces: dict[str, tuple[tuple[str, float], ...]] = {}
        self._extents: dict[str, Extent] = {}
        self._inks: dict[tuple[str, int], Ink] = {}
        ascent, descent = self._font.getmetrics()
        self.ascent: float = ascent / self._times
        self.descent: float = descent / self._times
        self.space: float = self._advance(" ")

    def pieces(self, word: str) -> tuple[tuple[str, float], ...]:
        """What is drawn for a word, one after the other, each with how far the pen moves on."""
        pieces = self._pieces.get(word)
        if pieces is None:
            parts = (word,) if self.shaped else word
            pieces = self._pieces[word] = tuple((part, self._advance(part)) for part in parts)
        return pieces

    def width(self, word: str) -> float:
        """How far the pen moves over a word."""
        width = self._widths.get(word)
        if width is None:
            width = self._widths[word] = sum(advance for _, advance in self.pieces(word))
        return width

    def extent(self, word: str) -> Extent:
        """Where the ink of a word lies."""
        extent = self._extents.get(word)
        if extent is None:
            extent = self._extents[word] = self._measured(word)
        return extent

    def ink(self, piece: str, shift: int) -> Ink:
        """Pixels of a piece whose pen starts `shift` SHIFTS-ths of a pixel right of a whole pixel."""
        ink = self._inks.get((piece, shift))
        if ink is None:
            ink = self._inks[piece, shift] = self._rasterised(piece, shift)
        return ink

    def covers(self, text: str) -> bool:
        """Whether the typeface has every character of the text."""
        return self.typeface.characters.covers(text)

    def standing_in(self, word: str) -> Face | None:
        """This face if it has the word's characters, else one of another typeface that has; None if this machine has none."""
        if self.covers(word):
            return self
        other = stand_in(word, like=self.typeface)
        return None if other is None else face(other, self.size, look=self.look, shaped=self.shaped)

    def _advance(self, piece: str) -> float:
        advance = self._advances.get(piece)
        if advance is None:
            advance = self._font.getlength(piece) / self._times
            if self.look is Look.SCREEN:
                advance = float(round(advance))
            self._advances[piece] = advance
        return advance

    def _measured(self, word: str) -> Extent:
        pen = 0.0
        left, top, right, bottom = inf, inf, -inf, -inf
        for piece, advance in self.pieces(word):
            ink = self.ink(piece, 0).extent
            if ink.right > ink.left:
                left, right = min(left, pen + ink.left), max(right, pen + ink.right)
                top, bottom = min(top, ink.top), max(bottom, ink.bottom)
            pen += advance
        return Extent(left, top, right, bottom) if right > left else NO_INK

    def _rasterised(self, piece: str, shift: int) -> Ink:
        times = self._times
        left, top, right, bottom = self._font.getbbox(piece, anchor="ls")
        # the picture's corner lies on a whole pixel of the page
        x0, y0 = int(left // times) - 1, int(top // times) - 1
        x1, y1 = int(right // times) + 2, int(bottom // times) + 2
        image = Image.new("L", ((x1 - x0) * times, (y1 - y0) * times))
        pen = (-x0 * times + shift * times / SHIFTS, -y0 * times)
        ImageDraw.Draw(image).text(pen, piece, font=self._font, fill=255, anchor="ls")
        if times > 1:
            image = image.reduce(times)
        pixels = np.asarray(image)
        rows, columns = np.nonzero(pixels > 3)
        if not len(rows) and self.look is Look.SCREEN and piece.strip():  # a thin line that hinting has rounded away
            return face(self.typeface, self.size, look=Look.PRINT, shaped=self.shaped).ink(piece, shift)
        extent = NO_INK
        if len(rows):
            extent = Extent(int(columns.min()) + x0, int(rows.min()) + y0, int(columns.max()) + x0 + 1, int(rows.max()) + y0 + 1)
        return Ink(rows + y0, columns + x0, pixels[rows, columns].astype(np.uint16), extent)


def face(typeface: Typeface, size: float, *, look: Look = Look.PRINT, shaped: bool = False) -> Face:
    """The face of a typeface at a size in pixels, to the quarter; kept with its letters for the next page that asks for it."""
    return _face(typeface, round(size * 4) / 4, look, shaped)


@lru_cache(maxsize=384)
def _face(typeface: Typeface, size: float, look: Look, shaped: bool) -> Face:
    return Face(typeface, size, look, shaped)


@lru_cache(maxsize=2048)
def x_height(typeface: Typeface) -> float:
    """Height of a lower-case x as a share of the font size; 0 where it has none."""
    if "x" not in typeface.characters:
        return 0.0
    font = ImageFont.truetype(str(typeface.path), 200, index=typeface.index, layout_engine=ImageFont.Layout.BASIC)
    _, top, _, bottom = font.getbbox("x", anchor="ls")
    return (bottom - top) / 200
