"""Pictures of training pairs: from a file, from bytes, from base64 or a data URL; RGB, upright, on white.

They are read when a pair is asked for, never before. What cannot be used raises BadPair with the reason.
"""

from __future__ import annotations

import base64
import binascii
import io
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unitower.data import BadPair

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "GIF", "BMP")

MAX_PIXELS = 80_000_000
"""An A0 sheet at 200 dpi has 62 million. More is an error in the data, or meant to harm."""

MAX_RATIO = 200
"""Longer side over shorter side: the tower takes no slimmer picture."""

ORIENTATION = 0x0112

DATA_URL = re.compile(r"data:[\w/+.;=-]*?,", re.ASCII)

BASE64 = ("iVBORw0KGgo", "/9j/", "R0lGOD", "UklGR", "SUkq", "TU0A", "Qk")
"""How a PNG, JPEG, GIF, WebP, TIFF or BMP begins when it is written as base64."""

SHORTEST_BASE64 = 80
"""Characters of the smallest picture there is; names of files this long have a dot, which base64 has not."""


def is_path(value: str) -> bool:
    """Whether a string says where a picture is, rather than being one."""
    return not (DATA_URL.match(value) or (value.startswith(BASE64) and len(value) >= SHORTEST_BASE64 and "." not in value))


def path_of(value: str, *, folder: Path) -> Path:
    """The file a value names; relative ones stand beneath `folder`. BadPair for an address on the net."""
    if re.match(r"[A-Za-z][\w+.-]+://", value):
        raise BadPair(f"{shown(value)} is an address: pictures are read from files, download it first")
    return folder / value


def located(value: Any, *, folder: Path) -> Any:
    """A value as `picture` takes it, with the whole path where it is one."""
    if isinstance(value, dict) and not value.get("bytes"):
        value = value.get("path")
    return str(path_of(value, folder=folder)) if isinstance(value, str) and value.strip() and is_path(value) else value


def picture(value: Any, *, folder: Path) -> Image:
    """The picture a value stands for: a path, base64, a data URL, bytes, a PIL image, or {"bytes": ..., "path": ...} of these.

    BadPair where there is none, it is broken, has too many pixels, or is slimmer than the tower takes.
    """
    from PIL import Image as Images

    if isinstance(value, dict):
        value = value["bytes"] if value.get("bytes") else value.get("path")
    if isinstance(value, Images.Image):
        return _decoded(value, "the picture")
    if isinstance(value, bytes):
        return _opened(io.BytesIO(value), "the picture")
    if not isinstance(value, str) or not value.strip():
        raise BadPair(f"there is no picture: {'null' if value is None else shown(value)}")
    if is_path(value):
        path = path_of(value, folder=folder)
        return _opened(path, f"image {shown(path)}")
    try:
        plain = re.sub(r"\s+", "", DATA_URL.sub("", value, count=1)).translate(str.maketrans("-_", "+/"))
        data = base64.b64decode(plain, validate=True)
    except binascii.Error as error:
        raise BadPair(f"the picture is no base64 ({error}): {shown(value)}") from error
    return _opened(io.BytesIO(data), "the picture")


def _opened(file: Path | io.BytesIO, what: str) -> Image:
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings(action="ignore"), Image.open(file, formats=FORMATS) as image:
            return _decoded(image, what)
    except BadPair:
        raise
    except FileNotFoundError as error:
        raise BadPair(f"{what} is missing") from error
    except (UnidentifiedImageError, IsADirectoryError) as error:
        raise BadPair(f"{what} is no image that can be read ({', '.join(FORMATS)})") from error
    except Exception as error:  # Pillow raises almost anything on damaged files, and ValueError or OSError for impossible paths
        raise BadPair(f"{what} cannot be read: {_line(error)}") from error


def _decoded(image: Image, what: str) -> Image:
    """RGB as a viewer shows it: upright, transparency on white, 16-bit greys scaled to 8."""
    import numpy as np
    from PIL import Image as Images
    from PIL import ImageOps

    width, height = image.size
    if width * height > MAX_PIXELS:
        raise BadPair(f"{what} has {width:,} x {height:,} pixels, more than {MAX_PIXELS // 10**6} million: scale it down")
    if max(image.size) > MAX_RATIO * min(image.size):
        raise BadPair(f"{what} is {width} x {height} pixels: too slim to be looked at, at most {MAX_RATIO}:1")
    try:
        image.load()
    except Exception as error:
        raise BadPair(f"{what} is broken: {_line(error)}") from error
    image = _upright(image, ImageOps.exif_transpose)
    if image.mode.startswith("I;16"):  # Pillow would cut every value above 255 to white
        image = Images.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Images.new("RGBA", image.size, "white")
        white.alpha_composite(image)
        image = white
    return image.convert("RGB")


def _upright(image: Image, transpose: Any) -> Image:
    try:
        turned: Image = transpose(image) if image.getexif().get(ORIENTATION, 1) != 1 else image
    except Exception:  # a good picture beside a broken tag, which fails in many ways, is still a good picture
        return image
    return turned


def shown(value: object) -> str:
    """A value as a message names it: short."""
    text = str(value)
    return repr(text if len(text) <= 120 else text[:100] + "…")


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
