"""What happens to a page between the printer and the reader: scanning, folding, copying, fading, compressing.

Each effect is a function of a picture, an amount in 0..1 and chance. Where an effect moves the page, the boxes of its words move with
it. An effect that would make words vanish (a threshold between two light colours, say) is taken back.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from math import ceil, cos, floor, radians, sin
from statistics import median
from typing import TypeAlias, cast

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops, ImageFilter

Box: TypeAlias = tuple[int, int, int, int]

VISIBLE = 40
"""Difference of grey levels inside a word's box below which the word counts as vanished."""


@dataclass(kw_only=True)
class Sheet:
    """A picture of a page, RGB or grey, and the boxes of its words."""

    image: Image.Image
    boxes: list[Box]
    rng: random.Random

    @property
    def letter_px(self) -> float:
        """Height of the words on the page, the median."""
        return median([box[3] - box[1] for box in self.boxes] or [8])

    def tone(self, colour: int) -> int | tuple[int, ...]:
        """A grey level as this picture writes it."""
        return (colour,) * 3 if self.image.mode == "RGB" else colour


def degraded(
    image: Image.Image, boxes: Sequence[Box], *, amount: float, seed: int, effects: Sequence[str] | None = None
) -> tuple[Image.Image, list[Box]]:
    """The page after some effects, as RGB of the same size, and the boxes of its words where they now are.

    amount   0..1: how many effects there are and how strong each is
    effects  names of those to apply, out of EFFECTS; None lets chance choose, at least one
    """
    rng = random.Random(seed)
    sheet = Sheet(image=image, boxes=list(boxes), rng=rng)
    if effects is None:
        chosen = {name for name, (chance, _) in EFFECTS.items() if rng.random() < chance * (0.35 + amount)}
        effects = [name for name in EFFECTS if name in chosen] or [rng.choice(list(EFFECTS))]
    for name in effects:
        before = sheet.image
        EFFECTS[name][1](sheet, amount)
        if name in MAY_ERASE and not _words_visible(sheet):
            sheet.image = before
    return sheet.image.convert("RGB"), sheet.boxes


def _words_visible(sheet: Sheet) -> bool:
    pixels = np.asarray(sheet.image.convert("L"))
    faint = sum(1 for x0, y0, x1, y1 in sheet.boxes if np.ptp(pixels[y0:y1, x0:x1]) < VISIBLE)
    return faint <= len(sheet.boxes) * 0.005


# one function per effect


def show_through(sheet: Sheet, amount: float) -> None:
    """The other side of the paper shines through: here the page itself, from behind."""
    behind = sheet.image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).filter(ImageFilter.BoxBlur(1 + sheet.rng.random()))
    faint = 0.05 + 0.13 * amount * sheet.rng.random()
    behind = behind.point([round(255 - (255 - level) * faint) for level in range(256)] * len(behind.getbands()))
    sheet.image = ImageChops.multiply(sheet.image, behind)


def fold(sheet: Sheet, amount: float) -> None:
    """Creases where a letter was folded: a dark line with a lighter one beside it."""
    width, height = sheet.image.size
    rng = sheet.rng
    upright = rng.random() < 0.35
    length = width if upright else height
    shade = np.full(length, 255.0)
    at = np.arange(length)
    for place in rng.choice(((0.5,), (0.33, 0.66), (0.25, 0.5, 0.75))):
        middle = length * (place + rng.uniform(-0.02, 0.02))
        deep = 25 + 70 * amount * rng.random()
        shade -= deep * np.exp(-(((at - middle) / rng.uniform(0.6, 1.6)) ** 2)) + deep * 0.35 * np.exp(
            -np.abs(at - middle) / rng.uniform(6, 30)
        )
    strip = Image.fromarray(shade.clip(0, 255).astype(np.uint8)[None, :] if upright else shade.clip(0, 255).astype(np.uint8)[:, None])
    _multiply(sheet, strip.resize((width, height)))


def skew(sheet: Sheet, amount: float) -> None:
    """The page lies a little turned, slanted, shrunk and shifted on the glass; all words stay on the picture."""
    rng = sheet.rng
    width, height = sheet.image.size
    angle, slant = rng.uniform(-3, 3) * amount, rng.uniform(-0.8, 0.8) * amount
    shrink = 1 - 0.05 * amount * rng.random()
    shift_x, shift_y = (rng.uniform(-0.015, 0.015) * side * amount for side in (width, height))
    for _ in range(6):
        forward = _affine(angle, slant, shrink, shift_x, shift_y, width, height)
        moved = [_moved(box, forward) for box in sheet.boxes]
        if all(x0 >= 0 and y0 >= 0 and x1 <= width and y1 <= height for x0, y0, x1, y1 in moved):
            break
        angle, slant, shift_x, shift_y = angle * 0.6, slant * 0.6, shift_x * 0.5, shift_y * 0.5
    else:
        return
    back = np.linalg.inv(forward)
    fill = rng.choice((_paper(sheet), _paper(sheet), sheet.tone(rng.randint(0, 90)), sheet.tone(255)))
    sheet.image = sheet.image.transform(
        (width, height), Image.Transform.AFFINE, tuple(back[:2].ravel()), Image.Resampling.BICUBIC, fillcolor=cast("tuple[int, ...]", fill)
    )
    sheet.boxes = moved


def _affine(angle: float, slant: float, shrink: float, dx: float, dy: float, width: int, height: int) -> npt.NDArray[np.float64]:
    """Where a place of the page comes to lie, 3 by 3: turned by `angle` degrees about the middle of the page."""
    turn, lean = radians(angle), radians(slant)
    about = np.array([[1, 0, -width / 2], [0, 1, -height / 2], [0, 0, 1]])
    turned = np.array([[cos(turn) * shrink, sin(turn + lean) * shrink, 0], [-sin(turn) * shrink, cos(turn) * shrink, 0], [0, 0, 1]])
    onto = np.array([[1, 0, width / 2 + dx], [0, 1, height / 2 + dy], [0, 0, 1]])
    return cast("npt.NDArray[np.float64]", onto @ turned @ about)


def _moved(box: Box, forward: npt.NDArray[np.float64]) -> Box:
    x0, y0, x1, y1 = box
    corners = forward @ np.array([[x0, x1, x0, x1], [y0, y0, y1, y1], [1, 1, 1, 1]])
    return floor(corners[0].min()), floor(corners[1].min()), ceil(corners[0].max()), ceil(corners[1].max())


def grey(sheet: Sheet, amount: float) -> None:
    """No colours."""
    sheet.image = sheet.image.convert("L")


def low_contrast(sheet: Sheet, amount: float) -> None:
    """Black is not black and white is not white."""
    dark, light = round(110 * amount * sheet.rng.random()), 255 - round(70 * amount * sheet.rng.random())
    levels = [round(dark + (light - dark) * level / 255) for level in range(256)]
    sheet.image = sheet.image.point(levels * len(sheet.image.getbands()))


def shadow(sheet: Sheet, amount: float) -> None:
    """Light falls unevenly: from a corner, or dark towards the binding or the edges of the lid."""
    width, height = sheet.image.size
    rng = sheet.rng
    deep = 150 * amount * rng.uniform(0.2, 1)
    y, x = np.mgrid[0:1:24j, 0:1:24j]
    kind = rng.randrange(3)
    if kind == 0:
        turn = rng.uniform(0, 6.3)
        dark = (((x - 0.5) * cos(turn) + (y - 0.5) * sin(turn)) + 0.7) / 1.4
    elif kind == 1:
        dark = np.exp(-(x if rng.random() < 0.5 else 1 - x) / rng.uniform(0.03, 0.15))
    else:
        dark = (2 * np.maximum(np.abs(x - 0.5), np.abs(y - 0.5))) ** rng.uniform(4, 14)
    soft = Image.fromarray((255 - deep * dark).clip(0, 255).astype(np.uint8)).resize((width, height), Image.Resampling.BILINEAR)
    _multiply(sheet, soft)


def blur(sheet: Sheet, amount: float) -> None:
    """Out of focus, as far as letters of this size can bear."""
    radius = min(0.25 + 0.9 * amount * sheet.rng.random(), 0.085 * sheet.letter_px)
    sheet.image = sheet.image.filter(ImageFilter.GaussianBlur(radius))


def specks(sheet: Sheet, amount: float) -> None:
    """Dust and toner: small dark and light dots."""
    width, height = sheet.image.size
    chance = np.random.default_rng(sheet.rng.getrandbits(63))
    pixels = np.array(sheet.image)
    count = int(width * height * 0.0012 * amount * sheet.rng.random()) + 3
    for size in (1, 2):
        ys, xs = chance.integers(0, height - size, count // size), chance.integers(0, width - size, count // size)
        level = np.uint8(sheet.rng.choice((0, 30, 255)))
        for dy in range(size):
            for dx in range(size):
                pixels[ys + dy, xs + dx] = level
    sheet.image = Image.fromarray(pixels)


def noise(sheet: Sheet, amount: float) -> None:
    """Grain of the sensor."""
    width, height = sheet.image.size
    rng = sheet.rng
    grain = _grain()
    side = len(grain)
    rows = np.arange(height)[:, None] + rng.randrange(side)
    columns = np.arange(width)[None, :] + rng.randrange(side)
    strength = 2 + 22 * amount * rng.random()
    pattern = (grain[rows % side, columns % side] * strength).astype(np.int16)
    pixels = np.asarray(sheet.image).astype(np.int16)
    pixels += pattern[..., None] if pixels.ndim == 3 else pattern
    sheet.image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


@cache
def _grain() -> npt.NDArray[np.float32]:
    """Gaussian noise of unit strength to cut patterns from: drawing it anew would take longer than the page."""
    return np.random.default_rng(20260101).standard_normal((1021, 1021), np.float32)


def threshold(sheet: Sheet, amount: float) -> None:
    """Black and white and nothing between, as faxes are."""
    plain = sheet.image.convert("L")
    dark, light = np.percentile(np.asarray(plain)[::4, ::4], (1, 80))
    level = light - (light - dark) * sheet.rng.uniform(0.35, 0.55)
    sheet.image = plain.point([255 if grey > level else 0 for grey in range(256)])


def jpeg(sheet: Sheet, amount: float) -> None:
    """Compressed until it shows."""
    quality = round(92 - 70 * amount * sheet.rng.uniform(0.3, 1))
    kept = BytesIO()
    sheet.image.save(kept, "JPEG", quality=quality)
    sheet.image = Image.open(kept)
    sheet.image.load()


EFFECTS: dict[str, tuple[float, Callable[[Sheet, float], None]]] = {
    "grey": (0.55, grey),
    "show_through": (0.18, show_through),
    "fold": (0.18, fold),
    "skew": (0.6, skew),
    "low_contrast": (0.35, low_contrast),
    "shadow": (0.4, shadow),
    "blur": (0.4, blur),
    "specks": (0.2, specks),
    "noise": (0.5, noise),
    "threshold": (0.12, threshold),
    "jpeg": (0.5, jpeg),
}
"""Every effect with how often it comes, in the order in which they happen to a page."""
MAY_ERASE = {"low_contrast", "shadow", "threshold", "blur", "show_through"}


def _multiply(sheet: Sheet, shade: Image.Image) -> None:
    """Darken the picture by a grey one of the same size."""
    if sheet.image.mode == "RGB":
        shade = Image.merge("RGB", (shade, shade, shade))
    sheet.image = ImageChops.multiply(sheet.image, shade)


def _paper(sheet: Sheet) -> int | tuple[int, ...]:
    """Colour of the page's edge."""
    width, height = sheet.image.size
    return cast("int | tuple[int, ...]", sheet.image.getpixel((width - 1, height - 1)))
