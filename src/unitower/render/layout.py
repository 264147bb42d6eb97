"""Text in columns and cells: lines broken to a width, paragraphs one below the other, tables.

Everything here stops where the page or the column ends and says what is left; nothing is drawn over the edge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from unitower.render.canvas import Align, Bit, Canvas, Colour, Run, bits
from unitower.render.face import Face
from unitower.render.style import Style


def broken(line: Sequence[Bit], width: float, *, first: float | None = None) -> list[list[Bit]]:
    """Lines no wider than `width` (the first no wider than `first`), each as full as it can be.

    A unit that is wider than a line by itself is cut between letters.
    """
    lines: list[list[Bit]] = []
    current: list[Bit] = []
    used = 0.0
    room = width if first is None else first
    for bit in line:
        for piece in _cut(bit, width):
            own = piece.face.width(piece.text)
            gap = piece.face.space if piece.spaced and current else 0.0
            if current and used + gap + own > room:
                lines.append(current)
                current, used, gap, room = [], 0.0, 0.0, width
            current.append(piece)
            used += gap + own
    if current:
        lines.append(current)
    return lines


def _cut(bit: Bit, width: float) -> list[Bit]:
    """The unit, in pieces that fit a line."""
    if bit.face.width(bit.text) <= width or len(bit.text) < 2:
        return [bit]
    half = len(bit.text) // 2
    return [*_cut(bit._replace(text=bit.text[:half]), width), *_cut(bit._replace(text=bit.text[half:], spaced=False), width)]


@dataclass(kw_only=True)
class Column:
    """A strip of the page filled from the top: `y` is where the next thing goes, `bottom` where it ends."""

    canvas: Canvas
    style: Style
    x: float
    y: float
    width: float
    bottom: float
    top: float = field(init=False)

    def __post_init__(self) -> None:
        self.top = self.y

    @property
    def left(self) -> float:
        """Pixels left below."""
        return self.bottom - self.y

    def space(self, px: float) -> None:
        """Leave so many pixels free."""
        self.y += px

    def text(
        self,
        text: str | Sequence[Run] | list[Bit],
        *,
        face: Face | None = None,
        fill: Colour | None = None,
        align: Align | None = None,
        indent: float = 0.0,
        first: float = 0.0,
        pitch: float | None = None,
        flowing: bool = True,
        whole: bool = False,
        goes_on: bool = False,
    ) -> list[Bit]:
        """Draw a block of text and return what found no room.

        face    of running text, if left out
        indent  of all lines; `first` that of the first line on top of it
        whole   draw all of it or nothing
        goes_on it is the rest of the block before, from another column
        """
        face = face or self.style.face()
        fill = fill or self.style.ink
        align = align or self.style.align
        pitch = pitch or self.style.pitch(face)
        if isinstance(text, list) and text and isinstance(text[0], Bit):
            line: list[Bit] = text
        else:
            line = bits(text, face, fill)  # type: ignore[arg-type]
        width = self.width - indent
        lines = broken(line, width, first=width - first)
        room = max(0, int((self.left + 0.35 * (pitch - face.size)) // pitch))
        if whole and len(lines) > room:
            return line
        if not goes_on:
            self.canvas.block(flowing=flowing)
        for i, one in enumerate(lines[:room]):
            start = first if i == 0 else 0.0
            last = i == len(lines) - 1
            drawn = self.canvas.line(
                one,
                self.x + indent + start,
                self.y + baseline(pitch, face),
                face=face,
                fill=fill,
                align="left" if last and align == "justify" else align,
                width=width - start,
                wraps=i > 0 or goes_on,
            )
            if not drawn:
                room = i
                break
            self.y += pitch
        return [bit for one in lines[room:] for bit in one]

    def line_of(self, face: Face) -> float:
        """Height of one line in that face."""
        return self.style.pitch(face)


def poured(columns: list[Column], text: str | Sequence[Run], **how: Any) -> bool:
    """Draw a block of text in the first of the columns and, where that is full, on in the next; full ones are taken off the list.

    False where the last column is full and text is left.
    """
    rest: str | Sequence[Run] | list[Bit] = text
    goes_on = False
    while columns:
        rest = columns[0].text(rest, goes_on=goes_on, **how)
        if not rest:
            return True
        goes_on = columns[0].y > columns[0].top or goes_on
        how = {**how, "first": 0.0}
        columns.pop(0)
    return False


def baseline(pitch: float, face: Face) -> float:
    """How far below the top of a line of that height the letters stand, so that capitals are in its middle."""
    return pitch / 2 + 0.35 * face.size


@dataclass(frozen=True, kw_only=True)
class Ruling:
    """How a table is drawn: which lines it has, and which rows lie on a shade."""

    across: bool
    down: bool
    frame: bool
    striped: bool
    head_fill: Colour | None
    head_ink: Colour
    padding: float


def table(
    canvas: Canvas,
    style: Style,
    rows: Sequence[Sequence[str]],
    *,
    x: float,
    y: float,
    width: float,
    bottom: float,
    ruling: Ruling,
    face: Face,
    head: Face,
    aligns: Sequence[Align],
    bold: Face | None = None,
    stretch: bool = True,
    heads: int = 1,
) -> tuple[float, int]:
    """Draw rows, the first `heads` of them as the head, until the bottom; the lower edge and how many rows were drawn.

    Columns are as wide as their widest cell; with `stretch` the free width is shared out, and where there is too little, wide columns
    are narrowed and their cells broken into lines. `bold` is the face of the first column.
    """
    pad = ruling.padding
    pitch = style.pitch(face)
    faces = [[head if r < heads else bold if bold and c == 0 else face for c in range(len(row))] for r, row in enumerate(rows)]
    fills = [ruling.head_ink if r < heads else style.ink for r in range(len(rows))]
    cells = [[bits(cell, f, fill) for cell, f in zip(row, fs, strict=True)] for row, fs, fill in zip(rows, faces, fills, strict=True)]
    natural = [max(_width(row[c]) for row in cells) for c in range(len(rows[0]))]
    columns = shared(natural, width - 2 * pad * len(natural), stretch=stretch)
    edges = [x]
    for one in columns:
        edges.append(edges[-1] + one + 2 * pad)

    top, drawn = y, 0
    for r, row in enumerate(cells):
        lines = [broken(cell, one + 0.5) for cell, one in zip(row, columns, strict=True)]
        deep = max(1, *(len(cell) for cell in lines)) * pitch + pad
        if y + deep > bottom:
            break
        if r < heads and ruling.head_fill:
            canvas.rectangle(edges[0], y, edges[-1], y + deep, fill=ruling.head_fill)
        elif ruling.striped and (r - heads) % 2:
            canvas.rectangle(edges[0], y, edges[-1], y + deep, fill=style.shade)
        if ruling.across and (r > heads or (r == heads and not ruling.head_fill)):
            canvas.rule(edges[0], y, edges[-1], y, fill=style.line)
        canvas.block(flowing=True)
        for c, cell in enumerate(lines):
            for i, part in enumerate(cell):
                at = y + pad / 2 + i * pitch + baseline(pitch, face)
                canvas.line(part, edges[c] + pad, at, face=face, fill=style.ink, align=aligns[c], width=columns[c], wraps=i > 0)
        y += deep
        drawn += 1
    if drawn:
        if ruling.down:
            for edge in edges[1:-1]:
                canvas.rule(edge, top, edge, y, fill=style.line)
        if ruling.frame:
            canvas.rectangle(edges[0], top, edges[-1] + 1, y + 1, outline=style.line)
        elif ruling.across:
            canvas.rule(edges[0], y, edges[-1], y, fill=style.line)
    return y, drawn


def _width(cell: Sequence[Bit]) -> float:
    return sum(bit.face.width(bit.text) + (bit.face.space if bit.spaced and i else 0.0) for i, bit in enumerate(cell))


def shared(natural: Sequence[float], room: float, *, stretch: bool) -> list[float]:
    """Widths of columns that together take no more than `room`: the widest give way first; with `stretch` exactly all of it.

    >>> shared([10, 20, 90], 60, stretch=False)
    [10.0, 20.0, 30.0]
    >>> shared([10, 20], 60, stretch=True)
    [25.0, 35.0]
    """
    room = max(room, 1.0)
    if sum(natural) <= room:
        more = (room - sum(natural)) / len(natural) if stretch else 0.0
        return [float(one) + more for one in natural]
    left, columns = room, len(natural)
    for one in sorted(natural):
        if one * columns > left:
            break
        left -= one
        columns -= 1
    limit = left / max(columns, 1)
    return [float(min(one, limit)) for one in natural]
