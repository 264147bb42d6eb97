"""Pictures from files, addresses, Pillow and numpy to RGB, as a person sees them or as the released code takes them.

The two differ: `as_seen` turns a photograph upright by its EXIF tag, lays transparency on white and keeps the range of 16-bit greys;
`as_released` is Pillow's bare conversion, which drops alpha and ignores orientation.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from unitower.errors import UnreadableFile

Picture: TypeAlias = Image.Image
Conversion: TypeAlias = Callable[[Picture], Picture]

FETCH_TIMEOUT_S = 30.0
FETCH_LIMIT_BYTES = 64 << 20
ORIENTATION = 0x0112
"""EXIF tag: how the camera was held."""


def as_seen(image: Picture) -> Picture:
    """RGB as a viewer shows it: upright, transparency on white, 16-bit greys scaled to 8."""
    image = _upright(image)
    if image.mode.startswith("I;16"):  # Pillow would cut every value above 255 to white
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        white.alpha_composite(image)
        image = white
    return image.convert("RGB")


def _upright(image: Picture) -> Picture:
    image.load()
    try:
        return ImageOps.exif_transpose(image) if image.getexif().get(ORIENTATION, 1) != 1 else image
    except Exception:  # a good picture beside a broken tag, which fails in many ways, is still a good picture
        return image


def as_released(image: Picture) -> Picture:
    """RGB as the released code converts it: alpha dropped, EXIF orientation ignored."""
    return image.convert("RGB")


def from_array(array: np.ndarray[Any, Any]) -> Picture:
    """A picture from uint8 [height, width, 3]; [h, w] and [h, w, 1] are grey, [h, w, 4] has alpha. ValueError for anything else."""
    if array.dtype != np.uint8:
        raise ValueError(f"an image array holds uint8, 0 to 255; this one holds {array.dtype}.")
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))) or 0 in array.shape:
        raise ValueError(f"an image array is [height, width, 3]; this one is {list(array.shape)}.")
    return Image.fromarray(np.ascontiguousarray(array))


def converted(image: Picture, convert: Conversion, *, name: str) -> Picture:
    """A picture in memory, converted. UnreadableFile where its file turns out to be broken: Pillow reads pixels late."""
    with _read_errors(name):
        return convert(image)


def size_of(path: str | Path) -> tuple[int, int]:
    """(width, height) from a file's header; the pixels are not read. Errors as of `read_image`."""
    with _read_errors(path), Image.open(path) as image:
        return image.size


def read_image(path: str | Path, convert: Conversion) -> Picture:
    """The first frame of an image file, converted.

    FileNotFoundError where there is none; UnreadableFile where it is no image, broken, or so large that it may be meant to harm.
    """
    with _read_errors(path), Image.open(path) as image:
        return convert(image)


def fetch_image(url: str, convert: Conversion) -> Picture:
    """The image an http or https address answers with, converted. UnreadableFile says why there is none."""
    try:
        with urlopen(Request(url, headers={"User-Agent": "unitower"}), timeout=FETCH_TIMEOUT_S) as answer:
            body = answer.read(FETCH_LIMIT_BYTES + 1)
    except HTTPError as error:
        raise UnreadableFile(url, f"the server answers {error.code} {error.reason}") from error
    except (OSError, ValueError) as error:
        raise UnreadableFile(url, f"cannot be fetched: {getattr(error, 'reason', error)}") from error
    if len(body) > FETCH_LIMIT_BYTES:
        raise UnreadableFile(url, f"larger than {FETCH_LIMIT_BYTES >> 20} MB")
    with _read_errors(url), Image.open(io.BytesIO(body)) as image:
        return convert(image)


@contextmanager
def _read_errors(name: object) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise FileNotFoundError(f"there is no file {name}.") from error
    except MemoryError:
        raise
    except IsADirectoryError as error:
        raise UnreadableFile(name, "a folder, not an image") from error
    except UnidentifiedImageError as error:
        raise UnreadableFile(name, "not an image that can be read") from error
    except Image.DecompressionBombError as error:
        raise UnreadableFile(name, "too many pixels: scale it down first") from error
    except Exception as error:  # broken files make Pillow raise almost anything: OSError, SyntaxError, ValueError, zlib.error, ...
        raise UnreadableFile(name, f"broken image: {error}") from error
