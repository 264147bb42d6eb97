"""What pages are made of: headings, paragraphs, lists, tables, forms, code and figures, one beneath the other.

A block is drawn from x, y downwards in a width; it returns the y where it ends.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from math import inf

import numpy as np
from PIL import Image

from unitower.render.quick.alphabet import WRITES
from unitower.render.quick.fonts import Font, Pen
from unitower.render.quick.sheet import Sheet

SIZES = (((8.6, 11.0), 25), ((10.5, 14.5), 50), ((14.0, 19.0), 18), ((19.0, 26.0), 7))
"""Font sizes in pixels and their shares. Small letters of real pages are about 6 px high at 1000 px, which is a size of 12."""

EASY_SIZES = (11.5, 17.0)


class Author:
    """Fills a sheet: the fonts and sizes of one page, and text that goes on from block to block."""

    def __init__(
        self, rng: random.Random, sheet: Sheet, texts: Mapping[str, Sequence[str]], fonts: Sequence[Font], *, language: str, ease: float,
        larger: float = 1.0,
    ) -> None:  # fmt: skip
        self.rng, self.sheet, self.language = rng, sheet, language
        self._texts = texts
        able = [font for font in fonts if WRITES[language] in font.scripts]
        common = [font for font in able if font.common] or able

        def pick(*, mono: bool) -> Font:
            pool = common if rng.random() < max(0.55, 1.3 * ease) else able
            return rng.choice([font for font in pool if font.mono == mono] or able)

        self.body = pick(mono=False)
        self.title = self.body if rng.random() < 0.4 else pick(mono=False)
        self.fixed = pick(mono=True)
        self.filled_in = rng.choice([font for font in able if font.family == self.body.family])
        self.size = rng.uniform(*rng.choices([size for size, _ in SIZES], [share for _, share in SIZES])[0])
        if rng.random() < 1.2 * ease:
            self.size = rng.uniform(*EASY_SIZES)
        if sheet.width < 400:
            self.size = min(self.size, 20.0)
        self.size *= larger
        self.leading = rng.uniform(1.12, 1.6)
        self._words: list[str] = []
        self._pens: dict[tuple[Font, int], Pen] = {}

    def pen(self, font: Font, size: float) -> Pen:
        drawn = max(6, round(size * self.sheet.scale))
        if (font, drawn) not in self._pens:
            self._pens[font, drawn] = Pen(font, drawn)
        return self._pens[font, drawn]

    def words(self, count: int) -> list[str]:
        """The next words of the running text."""
        while len(self._words) < count:
            self._words += self.rng.choice(self._texts[self.language]).split()
        taken, self._words = self._words[:count], self._words[count:]
        return taken

    def code_lines(self) -> list[str]:
        """A piece of code, where the texts have some; else running text."""
        code = self._texts.get("code")
        return self.rng.choice(code).split("\n") if code else [" ".join(self.words(6)) for _ in range(8)]

    def number(self) -> str:
        rng = self.rng
        made: Callable[[], str] = rng.choices(
            [
                lambda: f"{rng.randint(0, 99_999)}",
                lambda: f"{rng.uniform(0, 9_999):,.2f}",
                lambda: f"{rng.uniform(0, 100):.1f}%",
                lambda: f"{rng.randint(1, 28)}.{rng.randint(1, 12)}.{rng.randint(1950, 2030)}",
                lambda: f"{rng.randint(1950, 2030)}",
                lambda: f"{rng.choice('€$£')}{rng.randint(1, 9_999)}",
            ],
            [30, 20, 15, 15, 10, 10],
        )[0]
        return made()

    def full(self, y: float, size: float | None = None) -> bool:
        """Whether a line at y would leave the page."""
        return y + (size or self.size) > self.sheet.height


def paragraph(
    author: Author, x: float, y: float, width: float, *, font: Font | None = None, size: float | None = None, count: int | None = None,
    justified: bool | None = None,
) -> float:  # fmt: skip
    """Running text broken into lines, on a third of the paragraphs to even ends."""
    rng, sheet = author.rng, author.sheet
    size = size or author.size
    pen = author.pen(font or author.body, size)
    space = sheet.space_of(pen)
    words = author.words(count or int(rng.lognormvariate(3.6, 0.7)) + 2)  # a median of 38 words, seldom more than 130
    justified = rng.random() < 0.35 if justified is None else justified
    for line, is_last in _lines(sheet, pen, words, width):
        if author.full(y, size):
            break
        free = width - sum(sheet.width_of(pen, word) for word in line)
        even = justified and not is_last and len(line) > 1
        sheet.row(pen, line, x, y, until=inf, gap=min(free / (len(line) - 1), 3 * space) if even else space)
        y += size * author.leading
    return y


def _lines(sheet: Sheet, pen: Pen, words: Sequence[str], width: float) -> list[tuple[list[str], bool]]:
    """Words broken into lines, and which is the last; a word that is wider than a line is left out."""
    lines: list[list[str]] = [[]]
    used, space = 0.0, sheet.space_of(pen)
    for word in words:
        wide = sheet.width_of(pen, word)
        if wide > width:
            continue
        if lines[-1] and used + wide > width:
            lines.append([])
            used = 0.0
        lines[-1].append(word)
        used += wide + space
    return [(line, number == len(lines)) for number, line in enumerate(lines, start=1) if line]


def heading(author: Author, x: float, y: float, width: float) -> float:
    size = author.size * author.rng.uniform(1.1, 2.3)
    y = paragraph(author, x, y, width, font=author.title, size=size, count=author.rng.randint(1, 8), justified=False)
    return y + 0.4 * author.size


def bullets(author: Author, x: float, y: float, width: float) -> float:
    mark, indent = author.rng.choice(("•", "-", "–", "1.", "*")), 1.4 * author.size
    for number in range(author.rng.randint(2, 6)):
        if author.full(y):
            break
        author.sheet.write(author.pen(author.body, author.size), f"{number + 1}." if mark == "1." else mark, x, y)
        y = paragraph(author, x + indent, y, width - indent, count=author.rng.randint(2, 25))
    return y


def table(author: Author, x: float, y: float, width: float) -> float:
    rng, sheet, top = author.rng, author.sheet, y
    rows, columns = rng.randint(2, 10), rng.randint(2, max(2, min(6, int(width / (6 * author.size)))))
    column, size = width / columns, author.size * rng.uniform(0.8, 1.0)
    height, pad = size * rng.uniform(1.4, 2.1), 0.3 * size
    pens = author.pen(author.title, size), author.pen(author.body, size)
    numeric = [rng.random() < 0.4 for _ in range(columns)]
    drawn = 0
    for row in range(rows):
        if y + height > sheet.height:
            break
        for k in range(columns):
            words = [author.number()] if numeric[k] and row else author.words(rng.randint(1, 3))
            sheet.row(pens[row > 0], words, x + k * column + pad, y + (height - size) / 2, until=x + (k + 1) * column)
        drawn += 1
        y += height
    _lattice(author, (x, top, x + width, y), rows=drawn, columns=columns)
    return y + 0.5 * author.size


def _lattice(author: Author, box: tuple[float, float, float, float], *, rows: int, columns: int) -> None:
    """The rules of a table, and shades behind its head or every second row."""
    rng, sheet = author.rng, author.sheet
    x0, y0, x1, y1 = box
    style, thickness = rng.choice(("grid", "rows", "none", "head")), rng.choice((0.5, 1.0, 1.5))
    height = (y1 - y0) / max(1, rows)
    if style in ("grid", "rows"):
        ink = rng.randint(90, 255)
        for row in range(rows + 1):
            sheet.rule(x0, y0 + row * height, x1, y0 + row * height, width=thickness, ink=ink)
    if style == "grid":
        for k in range(columns + 1):
            x = x0 + (x1 - x0) * k / columns
            sheet.rule(x, y0, x, y1, width=thickness, ink=200)
    if style == "head" or rng.random() < 0.3:
        sheet.shaded.append((x0, y0, x1, y0 + height))
    if rng.random() < 0.15:
        sheet.shaded += [(x0, y0 + row * height, x1, y0 + (row + 1) * height) for row in range(2, rows, 2)]


def form(author: Author, x: float, y: float, width: float) -> float:
    """Labels, and what was filled in behind them."""
    rng, sheet, size = author.rng, author.sheet, author.size
    label, entry = author.pen(author.body, size), author.pen(author.filled_in, size)
    for _ in range(rng.randint(2, 8)):
        if author.full(y):
            break
        sheet.row(label, author.words(rng.randint(1, 3)), x, y, until=inf)
        filled = [author.number()] if rng.random() < 0.4 else author.words(rng.randint(1, 4))
        sheet.row(entry, filled, x + 0.4 * width, y, until=inf)
        if rng.random() < 0.4:
            sheet.rule(x + 0.4 * width, y + 1.15 * size, x + width, y + 1.15 * size, width=1, ink=160)
        y += size * rng.uniform(1.4, 1.9)
    return y


def code(author: Author, x: float, y: float, width: float) -> float:
    pen, sheet = author.pen(author.fixed, 0.9 * author.size), author.sheet
    for line in author.code_lines()[: author.rng.randint(3, 25)]:
        if author.full(y):
            break
        indent = min(12, len(line) - len(line.lstrip()))
        sheet.row(pen, line.split(), x + indent * sheet.space_of(pen), y, until=x + width)
        y += 1.25 * author.size
    return y


def figure(author: Author, x: float, y: float, width: float) -> float:
    """Something that is no text: bars, a curve, a picture, ellipses; beneath it on most a caption."""
    rng, sheet = author.rng, author.sheet
    height = min(rng.uniform(40, 220), sheet.height - y - 2)
    if height < 20 or width < 20:
        return y + author.size
    rng.choices((_bars, _curve, _blots, _ellipses), (35, 25, 20, 20))[0](rng, sheet, x, y, width, height)
    y += height + 4
    return paragraph(author, x, y, width, size=0.85 * author.size, count=rng.randint(3, 15)) if rng.random() < 0.7 else y


def _bars(rng: random.Random, sheet: Sheet, x: float, y: float, width: float, height: float) -> None:
    count = rng.randint(3, 12)
    for i in range(count):
        box = (x + width * i / count, y + height * rng.random(), x + width * (i + 0.7) / count, y + height)
        sheet.draw.rectangle([value * sheet.scale for value in box], fill=rng.randint(60, 230))


def _curve(rng: random.Random, sheet: Sheet, x: float, y: float, width: float, height: float) -> None:
    points = [((x + width * i / 15) * sheet.scale, (y + height * rng.random()) * sheet.scale) for i in range(16)]
    sheet.draw.line(points, fill=220, width=2 * sheet.scale)
    sheet.draw.rectangle([value * sheet.scale for value in (x, y, x + width, y + height)], outline=180)


def _blots(rng: random.Random, sheet: Sheet, x: float, y: float, width: float, height: float) -> None:
    noise = np.random.default_rng(rng.getrandbits(30))
    greys = noise.integers(0, 200, (max(1, int(height // 20)), max(1, int(width // 20)))).astype(np.uint8)
    size = (int(width * sheet.scale), int(height * sheet.scale))
    sheet.ink.paste(Image.fromarray(greys).resize(size, Image.Resampling.BICUBIC), (int(x * sheet.scale), int(y * sheet.scale)))


def _ellipses(rng: random.Random, sheet: Sheet, x: float, y: float, width: float, height: float) -> None:
    for _ in range(rng.randint(2, 6)):
        box = (
            x + 0.5 * width * rng.random(), y + 0.4 * height * rng.random(),
            x + width * rng.uniform(0.6, 1.0), y + height * rng.uniform(0.5, 1.0),
        )  # fmt: skip
        sheet.draw.ellipse([int(value * sheet.scale) for value in box], outline=rng.randint(80, 255), width=sheet.scale)
