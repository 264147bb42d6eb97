"""From ink to a picture: scaled down, coloured, and on some pages with the faults of a scan."""

from __future__ import annotations

import io
import random
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

FILTERS = (Image.Resampling.BOX, Image.Resampling.BOX, Image.Resampling.BICUBIC, Image.Resampling.BILINEAR, Image.Resampling.LANCZOS)
"""Ways of scaling down; BOX, which is what most programs that draw pages come to, twice."""

SCANNED = 0.35
"""Share of the pages that get the faults of a scan."""


def picture(rng: random.Random, ink: Image.Image, size: tuple[int, int], shaded: Sequence[tuple[float, ...]], *, ease: float) -> Pixels:
    """The page, uint8 [height, width] or [height, width, 3].

    shaded  boxes behind table heads and rows
    ease    1: no scans; 0: as many as there are
    """
    cover: Floats = np.asarray(ink.resize(size, rng.choice(FILTERS)), np.float32) / np.float32(255)
    if rng.random() < 0.3:  # thin print, or print that has run
        cover = np.clip(cover * np.float32(rng.uniform(0.8, 1.5)), 0, 1)
    page = _coloured(rng, cover, shaded)
    if rng.random() < SCANNED * (1 - ease):
        page = _scanned(rng, page)
    return _bytes(page)


def _coloured(rng: random.Random, cover: Floats, shaded: Sequence[tuple[float, ...]]) -> Floats:
    """Ink on paper: most pages black on white, some in colour, a few light on dark."""
    inverted, channels = rng.random() < 0.05, 3 if rng.random() < 0.3 else 1

    def colour(low: float, high: float) -> Floats:
        grey = rng.uniform(low, high)
        tint = [rng.uniform(-40, 40) if channels == 3 else 0.0 for _ in range(channels)]
        return np.clip(np.array([grey + each for each in tint], np.float32), 0, 255)

    paper = np.full(channels, 255, np.float32) if rng.random() < 0.55 else colour(205, 255)
    ink = np.zeros(channels, np.float32) if rng.random() < 0.5 else colour(0, 100)
    if inverted:
        paper, ink = ink, paper
    behind = np.broadcast_to(paper, (*cover.shape, channels))
    before = np.broadcast_to(ink, (*cover.shape, channels))
    if shaded:
        behind, before = behind.copy(), before.copy()
        dark = rng.random() < 0.4 and not inverted
        fill, on_fill = (colour(20, 110), colour(225, 255)) if dark else (colour(180, 240), ink if not inverted else paper)
        for x0, y0, x1, y1 in shaded:
            box = np.s_[int(y0) : int(y1), int(x0) : int(x1)]
            behind[box], before[box] = fill, on_fill
    page: Floats = behind + (before - behind) * cover[..., None]
    return page[..., 0] if channels == 1 else page


def _scanned(rng: random.Random, page: Floats) -> Floats:
    """Shadows, grain, blur and compression, each on some of the pages."""
    noise = np.random.default_rng(rng.getrandbits(32))
    height, width = page.shape[:2]

    def spread(field: Floats) -> Floats:
        return field if page.ndim == 2 else field[..., None]

    if rng.random() < 0.5:
        shadow = Image.fromarray(noise.uniform(-18, 18, (3, 3)).astype(np.float32))
        page = page + spread(np.asarray(shadow.resize((width, height), Image.Resampling.BICUBIC)))
    if rng.random() < 0.6:
        page = page + spread(noise.normal(0, rng.uniform(1, 14), (height, width)).astype(np.float32))
    if rng.random() < 0.5:
        page = np.asarray(Image.fromarray(_bytes(page)).filter(ImageFilter.GaussianBlur(rng.uniform(0.25, 0.85))), np.float32)
    if rng.random() < 0.35:
        file = io.BytesIO()
        Image.fromarray(_bytes(page)).save(file, "JPEG", quality=rng.randint(25, 85))
        page = np.asarray(Image.open(file), np.float32)
    return page


def _bytes(page: Floats) -> Pixels:
    return page.clip(0, 255).astype(np.uint8)
