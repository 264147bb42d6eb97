"""Pages as a copier and a cheap scanner leave them; another program than the one that spoils pages for training."""

from __future__ import annotations

import io
import random

import numpy as np
from PIL import Image as Images
from PIL import ImageFilter
from PIL.Image import Image


def scanned(image: Image, rng: random.Random) -> Image:
    """As a copier and a cheap scanner leave a page: turned, shaded, specked, blurred, gray or black and white, compressed."""
    noise = np.random.default_rng(rng.getrandbits(32))
    gray = image.convert("L").rotate(rng.uniform(-1.6, 1.6), resample=Images.Resampling.BICUBIC, fillcolor=255)
    gray = gray.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 0.8)))
    values = np.asarray(gray, np.float32)
    down, across = np.mgrid[0 : values.shape[0], 0 : values.shape[1]].astype(np.float32)
    slope = rng.uniform(-35, 35) * across / values.shape[1] + rng.uniform(-35, 35) * down / values.shape[0]
    contrast = rng.uniform(0.65, 0.95)
    values = 245 - (255 - values) * contrast - np.abs(slope) + noise.normal(0, rng.uniform(3, 14), values.shape)
    specks = noise.random(values.shape) < rng.uniform(0, 0.0015)
    values[specks] = noise.integers(0, 120, int(specks.sum()))
    if rng.random() < 0.25:
        values = np.where(values > values.mean() - 45, 255.0, 0.0)
    done = Images.fromarray(np.clip(values, 0, 255).astype(np.uint8))
    packed = io.BytesIO()
    done.save(packed, "JPEG", quality=rng.randint(30, 70))
    return Images.open(packed).convert("RGB")
