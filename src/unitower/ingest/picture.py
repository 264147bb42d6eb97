"""A picture as the tower gets it: RGB, upright, on white paper, of bounded size and not too slim to be looked at."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_PIXELS = 4_000_000
"""Pixels of a picture that is handed on: several times what the tower looks at, and 12 MB of memory."""
MAX_SIDE = 20_000
"""Pixels of its longer side; the shorter one is then at least MAX_SIDE / MAX_RATIO."""
MAX_RATIO = 100
"""Longer side over shorter side; the tower refuses 200, so a slimmer picture gets a white margin."""


def scale_within(width: float, height: float) -> float:
    """The factor, at most 1, that brings a picture of this size within MAX_PIXELS and MAX_SIDE, margins included."""
    slim = max(width, height) / MAX_RATIO
    area = max(width, slim) * max(height, slim)
    return min(1.0, math.sqrt(MAX_PIXELS / area), MAX_SIDE / max(width, height))


def bounded_size(size: tuple[int, int]) -> tuple[int, int]:
    """Width and height within the limits; as they are where they are within them already."""
    scale = scale_within(*size)
    return (max(1, math.floor(size[0] * scale)), max(1, math.floor(size[1] * scale))) if scale < 1 else size


def bounded(image: Image) -> Image:
    """The picture scaled down to the limits; the mode stays."""
    from PIL.Image import Resampling

    size = bounded_size(image.size)
    return image if size == image.size else image.resize(size, Resampling.LANCZOS, reducing_gap=3.0)


def on_paper(image: Image) -> Image:
    """An RGB copy on white, with a margin on its right or lower side where it is too slim."""
    from PIL import Image as Images

    rgb = image
    if image.mode == "RGBA":
        rgb = Images.new("RGB", image.size, "white")
        rgb.paste(image, mask=image.getchannel("A"))
    elif image.mode != "RGB":
        rgb = image.convert("RGB")
    width, height = (max(side, math.ceil(max(image.size) / MAX_RATIO)) for side in image.size)
    if (width, height) == rgb.size:
        return rgb
    page = Images.new("RGB", (width, height), "white")
    page.paste(rgb)
    return page
