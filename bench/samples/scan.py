"""Pages as a scanner or a telephone sees them: drawn as a PDF, rendered, then turned, tinted, blurred and speckled.

All chance comes from the seed. Scans are grey and small: the samples travel in the wheel.
"""

from __future__ import annotations

import time
from io import BytesIO

import numpy as np
import pypdfium2
from PIL import Image, ImageFilter


def rendered(pdf: bytes, *, dpi: int) -> list[Image.Image]:
    """Pages of a PDF as RGB pictures."""
    with pypdfium2.PdfDocument(pdf) as document:
        return [page.render(scale=dpi / 72).to_pil().convert("RGB") for page in document]


def scanned(
    page: Image.Image,
    *,
    seed: int,
    angle: float,
    paper: int = 244,
    ink: int = 40,
    blur: float = 0.6,
    noise: float = 5.0,
    stains: int = 0,
    fold: float | None = None,
) -> Image.Image:
    """A grey scan of a page.

    angle    degrees by which the sheet lay askew
    paper    grey of the paper, ink of the darkest stroke (0 black, 255 white)
    noise    standard deviation of the sensor, in grey levels
    stains   faint round marks
    fold     height of a crease, 0 top to 1 bottom
    """
    rng = np.random.default_rng(seed)
    grey = page.convert("L").rotate(angle, Image.Resampling.BICUBIC, fillcolor=255).filter(ImageFilter.GaussianBlur(blur))
    light = np.asarray(grey, np.float32) / 255
    height, width = light.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)

    sheet = np.full((height, width), float(paper), np.float32)
    sheet += 5 * np.sin(y / height * 2.6 + 0.4) + 3 * np.cos(x / width * 3.1)  # the lamp is uneven
    sheet -= 26 * np.exp(-x / 9) + 14 * np.exp(-(width - x) / 6)  # shadow where the lid does not close
    if fold is not None:
        sheet -= 20 * np.exp(-(((y - fold * height - 0.006 * x) / 2.0) ** 2))
    for _ in range(stains):
        cx, cy, radius = rng.uniform(0.1, 0.9) * width, rng.uniform(0.1, 0.9) * height, rng.uniform(18, 40)
        distance = np.hypot(x - cx, y - cy)
        sheet -= 12 * np.exp(-(((distance - radius) / 5) ** 2)) + 4 * (distance < radius)
    picture = ink + (sheet - ink) * light + rng.normal(0, noise, (height, width))
    specks = rng.random((height, width)) < 2e-5
    picture[specks] = rng.uniform(60, 140)
    return Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8), "L")


def photographed(page: Image.Image, *, seed: int, size: tuple[int, int], corners: list[tuple[float, float]]) -> Image.Image:
    """A colour photograph of a slip of paper on a wooden table, lit from the upper left.

    corners   where the slip's corners fall in the picture, 0 to 1: upper left, upper right, lower right, lower left
    """
    rng = np.random.default_rng(seed)
    width, height = size
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    grain = np.interp(
        (y + 9 * np.sin(x / 170) + 4 * np.sin(x / 47)).ravel(), np.arange(-20, height + 20), rng.normal(0, 1, height + 40).cumsum()
    ).reshape(height, width)
    grain = (grain - grain.mean()) / grain.std()
    table = np.stack([118 + 9 * grain, 84 + 7 * grain, 56 + 5 * grain], axis=-1)

    spots = [(cx * width, cy * height) for cx, cy in corners]
    flat = [(0, 0), (page.width, 0), (page.width, page.height), (0, page.height)]
    matrix = []
    for (u, v), (px, py) in zip(flat, spots, strict=True):  # the eight numbers of the perspective, from four pairs of corners
        matrix.append([px, py, 1, 0, 0, 0, -u * px, -u * py])
        matrix.append([0, 0, 0, px, py, 1, -v * px, -v * py])
    numbers = np.linalg.solve(np.array(matrix), np.array(flat, np.float64).ravel())
    slip = page.convert("RGB").transform(size, Image.Transform.PERSPECTIVE, numbers.tolist(), Image.Resampling.BICUBIC)
    mask = Image.new("L", page.size, 255).transform(size, Image.Transform.PERSPECTIVE, numbers.tolist(), Image.Resampling.BICUBIC)

    shadow = np.asarray(mask.filter(ImageFilter.GaussianBlur(9)), np.float32)[..., None] / 255
    shadow = np.roll(shadow, (8, 8), (0, 1))
    cover = np.asarray(mask, np.float32)[..., None] / 255
    paper = np.asarray(slip, np.float32) * np.array([0.95, 0.93, 0.88])
    picture = table * (1 - 0.55 * shadow) * (1 - cover) + paper * cover
    picture *= (1.06 - 0.34 * np.hypot(x / width - 0.25, y / height - 0.2))[..., None]
    picture += rng.normal(0, 3, picture.shape)
    return Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.5))


def jpeg(picture: Image.Image, *, quality: int = 38, dpi: int = 100) -> bytes:
    out = BytesIO()
    picture.save(out, "JPEG", quality=quality, optimize=True, dpi=(dpi, dpi))
    return out.getvalue()


def png(picture: Image.Image, *, levels: int = 16) -> bytes:
    """A PNG of few colours or grey levels. A scan to be kept this way is drawn with little noise: noise does not compress."""
    out = BytesIO()
    picture.convert("RGB").quantize(levels, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    return out.getvalue()


def fax(pages: list[Image.Image]) -> bytes:
    """A TIFF of black and white pages, compressed as a fax machine does (group 4)."""
    black_and_white = [page.convert("L").point(lambda v: 255 if v > 150 else 0).convert("1") for page in pages]
    out = BytesIO()
    black_and_white[0].save(out, "TIFF", compression="group4", save_all=True, append_images=black_and_white[1:], dpi=(150, 150))
    return out.getvalue()


def image_pdf(pages: list[Image.Image], *, quality: int = 38, dpi: int = 100) -> bytes:
    """A PDF of scanned pages, with no text layer. Pillow stamps the time of writing; a fixed one keeps the bytes the same."""
    out = BytesIO()
    epoch = time.gmtime(1_700_000_000)
    pages[0].save(out, "PDF", save_all=True, append_images=pages[1:], resolution=dpi, quality=quality, creationDate=epoch, modDate=epoch)
    return out.getvalue()
