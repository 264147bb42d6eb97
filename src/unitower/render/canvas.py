"""A page being drawn: shapes by Pillow, text by the pictures of its letters, and a record of where every word came to stand.

All places are pixels from the upper left corner, y down. Text is collected first and laid over the shapes when the page is finished,
all places of one letter at once. On a mirrored canvas (Arabic pages) x counts from the right edge, for shapes and text alike, so that
one layout serves both directions. A line of text that does not fit on the page is not drawn, so that no word is cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from math import ceil, cos, floor, radians, sin
from typing import Literal, NamedTuple, TypeAlias, cast

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from unitower.render.face import SHIFTS, Face, Look
from unitower.render.language import RIGHT_TO_LEFT, units

Colour: TypeAlias = tuple[int, int, int]
Align: TypeAlias = Literal["left", "right", "centre", "justify"]


class Run(NamedTuple):
    """A stretch of text in one face and colour."""

    text: str
    face: Face
    fill: Colour


class Bit(NamedTuple):
    """One unit of a line (see language.units) and how it is drawn; `spaced` where white space stands before it."""

    text: str
    spaced: bool
    face: Face
    fill: Colour


class Placed(NamedTuple):
    """A word on the page: its pixels x0, y0, x1, y1 (the last not included), its line and block, and what the text has before it."""

    text: str
    box: tuple[int, int, int, int]
    line: int
    block: int
    before: str


def bits(text: str | Iterable[Run], face: Face, fill: Colour) -> list[Bit]:
    """The units of a text in a face and colour, or of runs with their own. Units that no font of this machine can write are left out."""
    runs = [Run(text, face, fill)] if isinstance(text, str) else list(text)
    found: list[Bit] = []
    ends_blank = False
    for run in runs:
        whole = run.face.covers(run.text)
        for i, (unit, spaced) in enumerate(units(run.text)):
            able = run.face if whole else run.face.standing_in(unit)
            if able is not None:
                found.append(Bit(unit, spaced or (i == 0 and bool(found) and (ends_blank or run.text[:1].isspace())), able, run.fill))
        ends_blank = run.text[-1:].isspace()
    return found


def widths(line: Sequence[Bit]) -> list[float]:
    """Width of each unit with the space before it; none before the first."""
    return [bit.face.width(bit.text) + (bit.face.space if bit.spaced and i else 0.0) for i, bit in enumerate(line)]


def visual_groups(line: Sequence[Bit]) -> list[list[int]]:
    """Indices of the units from left to right, in groups that read from left to right inside.

    A line with right-to-left letters runs from the right; its Latin stretches, with the numbers that follow in them, stay as they are.
    This is what the Unicode bidirectional algorithm comes to for whole words; Raqm orders the letters inside each word.
    """
    if not any(RIGHT_TO_LEFT.search(bit.text) for bit in line):
        return [list(range(len(line)))]
    groups: list[list[int]] = []
    in_latin = False
    for i, bit in enumerate(line):
        right_to_left = RIGHT_TO_LEFT.search(bit.text) is not None
        latin = not right_to_left and (any(map(str.isalpha, bit.text)) or (in_latin and any(map(str.isdigit, bit.text))))
        if latin and in_latin:
            groups[-1].append(i)
        else:
            groups.append([i])
        in_latin = latin
    return groups[::-1]


class Canvas:
    """The page under the pen. `width` and `height` in pixels; `words` in the order drawn, which is the reading order."""

    def __init__(self, px: tuple[int, int], *, paper: Colour, mirrored: bool = False) -> None:
        self.width, self.height = px
        self.image = Image.new("RGB", px, paper)
        self.pen = ImageDraw.Draw(self.image)
        self.mirrored = mirrored
        self.words: list[Placed] = []
        self._lines = 0
        self._block = 0
        self._opens_block = True
        self._between_lines = "\n"
        self._text: dict[Colour, dict[tuple[Face, str, int], list[int]]] = {}

    # text

    def block(self, *, flowing: bool = False) -> None:
        """Begin a block: a paragraph, a row, a label. In the plain text, blanks part the lines of a flowing one, not line ends."""
        if not self._opens_block:
            self._block += 1
        self._opens_block = True
        self._between_lines = " " if flowing else "\n"

    def line(
        self,
        text: str | Sequence[Run] | Sequence[Bit],
        x: float,
        y: float,
        *,
        face: Face,
        fill: Colour,
        align: Align = "left",
        width: float = 0.0,
        angle: float = 0.0,
        indent: str = "",
        wraps: bool = False,
    ) -> bool:
        """Draw one line with its baseline at y. False, and nothing drawn, where any of it would lie off the page.

        x       where it starts, with `align` within `width` pixels from there; with "right" or "centre" and no width, where it ends or
                has its middle
        angle   degrees counter-clockwise about that point
        indent  white space that stands before it in the plain text (of code)
        wraps   it goes on the line before in the same sentence: Chinese and Japanese have no blank between them
        """
        line = cast("list[Bit]", text) if _is_bits(text) else bits(cast("str | list[Run]", text), face, fill)
        if not line:
            return True
        advances = widths(line)
        total = sum(advances)
        stretch = 0.0
        if align == "justify" and len(line) > 1:
            gaps = sum(1 for bit in line[1:] if bit.spaced) or len(line) - 1
            stretch = max(0.0, width - total) / gaps
        start = x + {"left": 0.0, "justify": 0.0, "centre": (width - total) / 2, "right": width - total}[align]
        every_gap = not any(bit.spaced for bit in line[1:])
        if stretch:
            advances = [a + (stretch if i and (line[i].spaced or every_gap) else 0.0) for i, a in enumerate(advances)]
            total = width
        if self.mirrored:
            start = self.width - start - total
        pens = self._pens(line, advances)
        placed = self._turned(line, pens, start, y, angle) if angle else self._level(line, pens, start, y)
        if placed is None:
            return False
        self._record(line, placed, indent, wraps)
        return True

    @staticmethod
    def _pens(line: Sequence[Bit], advances: Sequence[float]) -> list[float]:
        """Where the pen starts each unit, from the left end of the line."""
        pens = [0.0] * len(line)
        own = [bit.face.width(bit.text) for bit in line]
        pen = 0.0
        for group in visual_groups(line):
            for position, i in enumerate(group):
                if position:
                    pen += advances[i] - own[i]
                pens[i] = pen
                pen += own[i]
            pen += advances[group[0]] - own[group[0]]
        return pens

    def _level(self, line: Sequence[Bit], pens: Sequence[float], start: float, y: float) -> list[tuple[int, int, int, int]] | None:
        baseline = round(y)
        boxes = []
        for bit, pen in zip(line, pens, strict=True):
            extent = bit.face.extent(bit.text)
            x = start + pen if bit.face.look is Look.PRINT else round(start + pen)
            box = (floor(x + extent.left), int(baseline + extent.top), ceil(x + extent.right), int(baseline + extent.bottom))
            if box[0] < 1 or box[1] < 0 or box[2] >= self.width - 1 or box[3] > self.height:
                return None
            boxes.append(box)
        for bit, pen in zip(line, pens, strict=True):
            places = self._text.setdefault(bit.fill, {})
            _put(bit, start + pen, baseline, self.width, places)
        return boxes

    def _turned(
        self, line: Sequence[Bit], pens: Sequence[float], start: float, y: float, angle: float
    ) -> list[tuple[int, int, int, int]] | None:
        """Draw a line turned about (start, y), word by word on pictures of their own, at once."""
        boxes = []
        stamps = []
        turn = radians(angle)
        for bit, pen in zip(line, pens, strict=True):
            extent = bit.face.extent(bit.text)
            w, h = ceil(extent.right - extent.left) + 4, ceil(extent.bottom - extent.top) + 4
            places: dict[tuple[Face, str, int], list[int]] = {}
            _put(bit, 2 - extent.left, 2 - int(extent.top), w, places)
            stamp = Image.fromarray(_inked(places, w, h)).rotate(angle, Image.Resampling.BICUBIC, expand=True)
            # middle of the word about the line's start, turned
            mx, my = pen + (extent.left + extent.right) / 2, (extent.top + extent.bottom) / 2
            cx, cy = start + mx * cos(turn) + my * sin(turn), y - mx * sin(turn) + my * cos(turn)
            x0, y0 = round(cx - stamp.width / 2), round(cy - stamp.height / 2)
            inked = stamp.point(_AT_LEAST_48).getbbox()
            if inked is None:
                inked = (0, 0, stamp.width, stamp.height)
            box = (x0 + inked[0], y0 + inked[1], x0 + inked[2], y0 + inked[3])
            if box[0] < 0 or box[1] < 0 or box[2] > self.width or box[3] > self.height:
                return None
            boxes.append(box)
            stamps.append((stamp, (x0, y0), bit.fill))
        for stamp, at, fill in stamps:
            self.image.paste(fill, (*at, at[0] + stamp.width, at[1] + stamp.height), stamp)
        return boxes

    def _record(self, line: Sequence[Bit], boxes: Sequence[tuple[int, int, int, int]], indent: str, wraps: bool) -> None:
        before = "" if not self.words else "\n" if self._opens_block else self._between_lines
        self._opens_block = False
        if before == " " and wraps and not line[0].spaced:
            before = ""
        for i, (bit, box) in enumerate(zip(line, boxes, strict=True)):
            between = (before + indent) if i == 0 else " " if bit.spaced else ""
            self.words.append(Placed(bit.text, box, self._lines, self._block, between))
        self._lines += 1

    # shapes

    def span(self, x0: float, x1: float) -> tuple[float, float]:
        """Left and right edge in pixels of the image of what lies between x0 and x1 of the canvas."""
        return (self.width - x1, self.width - x0) if self.mirrored else (x0, x1)

    @contextmanager
    def unmirrored(self) -> Iterator[None]:
        """Within, x counts from the left edge on any canvas: for charts and code, which run from left to right everywhere."""
        was, self.mirrored = self.mirrored, False
        try:
            yield
        finally:
            self.mirrored = was

    def rectangle(
        self,
        x0: float,
        y0: float,
        x1: float,
        y1: float,
        *,
        fill: Colour | None = None,
        outline: Colour | None = None,
        line_px: float = 1,
        radius: float = 0,
    ) -> None:
        """A box, filled or outlined or both; rounded with a radius."""
        x0, x1 = self.span(x0, x1)
        box = (round(x0), round(y0), max(round(x0), round(x1) - 1), max(round(y0), round(y1) - 1))
        thick = max(1, round(line_px)) if outline else 0
        if radius >= 1:
            self.pen.rounded_rectangle(box, min(radius, (box[2] - box[0]) / 2, (box[3] - box[1]) / 2), fill, outline, thick)
        else:
            self.pen.rectangle(box, fill, outline, thick)

    def rule(self, x0: float, y0: float, x1: float, y1: float, *, fill: Colour, line_px: float = 1, dash: float = 0) -> None:
        """A straight line, level or upright; in strokes of `dash` pixels where that is not 0."""
        x0, x1 = self.span(x0, x1)
        half = max(1, round(line_px))
        if y0 == y1:
            starts = np.arange(x0, x1, 2 * dash) if dash else [x0]
            for start in starts:
                self.pen.rectangle((round(start), round(y0), round(min(start + dash, x1) if dash else x1), round(y0) + half - 1), fill)
        else:
            starts = np.arange(y0, y1, 2 * dash) if dash else [y0]
            for start in starts:
                self.pen.rectangle((round(x0), round(start), round(x0) + half - 1, round(min(start + dash, y1) if dash else y1)), fill)

    def ellipse(
        self, x0: float, y0: float, x1: float, y1: float, *, fill: Colour | None = None, outline: Colour | None = None, line_px: float = 1
    ) -> None:
        """A circle or an ellipse in a box."""
        x0, x1 = self.span(x0, x1)
        self.pen.ellipse((round(x0), round(y0), round(x1), round(y1)), fill, outline, max(1, round(line_px)) if outline else 0)

    def paste(self, picture: Image.Image, x: float, y: float) -> None:
        """A picture with its upper corner at (x, y)."""
        x, _ = self.span(x, x + picture.width)
        self.image.paste(picture, (round(x), round(y)))

    def flush(self) -> None:
        """Lay the text so far onto the page: before a shape that is to lie over it."""
        for colour, places in self._text.items():
            ink = _inked(places, self.width, self.height)
            rows = np.flatnonzero(ink.any(axis=1))
            if len(rows):
                top, bottom = int(rows[0]), int(rows[-1]) + 1
                self.image.paste(colour, (0, top, self.width, bottom), Image.fromarray(ink[top:bottom]))
        self._text = {}

    def finish(self) -> Image.Image:
        """The page with its text."""
        self.flush()
        return self.image


_AT_LEAST_48 = [0] * 48 + [255] * 208


def _is_bits(text: object) -> bool:
    return isinstance(text, list) and bool(text) and isinstance(text[0], Bit)


def _put(bit: Bit, x: float, baseline: int, page_width: int, places: dict[tuple[Face, str, int], list[int]]) -> None:
    """Note where the letters of a unit start: index of the pixel, by letter and place between two pixels."""
    face = bit.face
    row = baseline * page_width
    if face.look is Look.SCREEN:
        pen = round(x)
        for piece, advance in face.pieces(bit.text):
            places.setdefault((face, piece, 0), []).append(row + pen)
            pen += int(advance)
        return
    for piece, advance in face.pieces(bit.text):
        quarters = int(x * SHIFTS + 0.5)
        places.setdefault((face, piece, quarters % SHIFTS), []).append(row + quarters // SHIFTS)
        x += advance


def _inked(places: dict[tuple[Face, str, int], list[int]], width: int, height: int) -> npt.NDArray[np.uint8]:
    """Darkness [height, width] of the letters at their places."""
    plane = np.zeros(width * height, np.uint16)
    for (face, piece, shift), starts in places.items():
        ink = face.ink(piece, shift)
        if len(ink.rows):
            at = (ink.rows * width + ink.columns)[None, :] + np.array(starts)[:, None]
            plane[at] += ink.values
    return np.minimum(plane, 255).astype(np.uint8).reshape(height, width)
