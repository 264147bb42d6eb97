"""Pictures to stand where photographs, logos and drawings stand on real pages: made up of shapes and colours, with no meaning."""

from __future__ import annotations

import random

import numpy as np
from PIL import Image, ImageDraw

from unitower.render.canvas import Colour
from unitower.render.style import mixed, vivid


def photo(rng: random.Random, width: float, height: float) -> Image.Image:
    """Something like a photograph: soft patches of light and colour, at times with a horizon or things in front."""
    w, h = max(4, round(width)), max(4, round(height))
    chance = np.random.default_rng(rng.getrandbits(32))
    rough = chance.integers(0, 256, (rng.randint(2, 6), rng.randint(2, 7), 3)).astype(np.float32)
    tint = np.array([rng.randint(40, 230) for _ in range(3)], np.float32)
    rough = rough * 0.45 + tint * 0.55
    if rng.random() < 0.5:
        rough[: len(rough) // 2] = rough[: len(rough) // 2] * 0.3 + 160
    image = Image.fromarray(rough.astype(np.uint8)).resize((w, h), Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(image)
    for _ in range(rng.choice((0, 0, 1, 3, 6))):
        fill = tuple(rng.randint(0, 255) for _ in range(3))
        x, y = rng.randint(0, w), rng.randint(h // 3, h)
        size = rng.randint(max(2, h // 12), max(3, h // 2))
        if rng.random() < 0.5:
            pen.ellipse((x - size, y - size, x + size, y + size), fill)
        else:
            pen.polygon([(x - size, y), (x, y - 2 * size), (x + size, y)], fill)
    return image


def logo(rng: random.Random, side: float, ink: Colour, paper: Colour) -> Image.Image:
    """A small mark of a company."""
    s = max(6, round(side)) * 2
    image = Image.new("RGB", (s, s), paper)
    pen = ImageDraw.Draw(image)
    other = vivid(rng)
    kind = rng.randrange(5)
    if kind == 0:
        pen.ellipse((1, 1, s - 2, s - 2), ink)
        pen.ellipse((s * 0.3, s * 0.3, s * 0.9, s * 0.9), paper)
    elif kind == 1:
        for i in range(3):
            pen.rectangle((s * i / 3 + 1, s * (2 - i) / 4, s * (i + 1) / 3 - 3, s - 2), (ink, other, mixed(ink, paper, 0.5))[i])
    elif kind == 2:
        pen.polygon([(s / 2, 1), (s - 2, s - 2), (1, s - 2)], ink)
    elif kind == 3:
        pen.rounded_rectangle((1, 1, s - 2, s - 2), s / 5, ink)
        pen.line((s * 0.2, s * 0.7, s * 0.45, s * 0.3, s * 0.6, s * 0.6, s * 0.8, s * 0.2), paper, max(2, s // 10))
    else:
        pen.pieslice((1, 1, s - 2, s - 2), 40, 320, ink)
        pen.ellipse((s * 0.55, s * 0.38, s * 0.8, s * 0.62), other)
    return image.reduce(2)


def signature(rng: random.Random, width: float, height: float, ink: Colour, paper: Colour) -> Image.Image:
    """A scrawl of the pen."""
    w, h = max(8, round(width)) * 2, max(6, round(height)) * 2
    image = Image.new("RGB", (w, h), paper)
    count = rng.randint(7, 13)
    marks = [(w * (0.04 + 0.9 * i / count), h * rng.uniform(0.1, 0.9)) for i in range(count + 1)]
    marks += [(w * 0.2, h * 0.8), (w * 0.97, h * 0.65)]
    curve: list[tuple[float, float]] = []
    for (x0, y0), (x1, y1), (x2, y2), (x3, y3) in zip(marks, marks[1:], marks[2:], marks[3:], strict=False):
        for step in range(8):  # Catmull-Rom spline through the marks
            t = step / 8
            a, b, c, d = -t + 2 * t * t - t**3, 2 - 5 * t * t + 3 * t**3, t + 4 * t * t - 3 * t**3, t**3 - t * t
            curve.append(((a * x0 + b * x1 + c * x2 + d * x3) / 2, (a * y0 + b * y1 + c * y2 + d * y3) / 2))
    ImageDraw.Draw(image).line(curve, ink, max(2, h // 28), joint="curve")
    return image.reduce(2)


def code_square(rng: random.Random, side: float, ink: Colour, paper: Colour) -> Image.Image:
    """A square of dark and light cells such as machines read."""
    cells = 21 + 4 * rng.randrange(3)
    chance = np.random.default_rng(rng.getrandbits(32))
    grid = chance.random((cells, cells)) < 0.5
    for r, c in ((0, 0), (0, cells - 7), (cells - 7, 0)):
        grid[r : r + 7, c : c + 7] = True
        grid[r + 1 : r + 6, c + 1 : c + 6] = False
        grid[r + 2 : r + 5, c + 2 : c + 5] = True
    pixels = np.where(grid[..., None], np.array(ink, np.uint8), np.array(paper, np.uint8))
    size = max(cells, round(side / cells) * cells)
    return Image.fromarray(pixels).resize((size, size), Image.Resampling.NEAREST)


def bars(rng: random.Random, width: float, height: float, ink: Colour, paper: Colour) -> Image.Image:
    """A bar code."""
    w, h = max(10, round(width)), max(5, round(height))
    image = Image.new("RGB", (w, h), paper)
    pen = ImageDraw.Draw(image)
    x = 0
    while x < w - 3:
        thick = rng.choice((1, 1, 2, 3))
        pen.rectangle((x, 0, x + thick - 1, h), ink)
        x += thick + rng.choice((1, 1, 2, 3))
    return image
