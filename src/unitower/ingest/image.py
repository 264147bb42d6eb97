"""Pictures: PNG, JPEG, WebP, GIF, BMP, and TIFF with its pages. What counts is what a file is, not which of these it is called.

The number of pixels is read from the header and judged before anything is decoded. Orientation from EXIF is applied,
transparency laid on white, 16-bit, palette and CMYK pictures turned to RGB, large ones scaled down (`picture`).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from unitower.errors import UnreadableFile
from unitower.ingest.picture import bounded, bounded_size, on_paper
from unitower.ingest.signature import first_bytes, refuse_unless
from unitower.types import Item, Source

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".tif", ".tiff", ".webp", ".gif", ".bmp"})

MAX_DECODED_PIXELS = 80_000_000
"""An A0 sheet at 200 dpi has 62 million; decoding 80 million takes up to 400 MB."""
MAX_SCANNED_PIXELS = 5_000_000_000
"""Pixels times passes of a progressive JPEG; ten passes are usual, and thousands in a small file keep a decoder busy for minutes."""

FORMATS = ("PNG", "JPEG", "MPO", "TIFF", "WEBP", "GIF", "BMP")
KINDS = {"a PNG image", "a JPEG image", "a TIFF image", "a WebP image", "a GIF image", "a BMP image"}
ORIENTATION = 0x0112


def read(path: Path, *, key: str, start: int = 0, passed_over: Callable[[str], None] | None = None) -> Iterator[Item]:
    """One picture, or the pages of a TIFF; of a moving picture, the first frame. A page of a TIFF that is damaged is passed over.

    Raises UnreadableFile if the file is no picture of these kinds, is damaged or cut off, or would decode to more than 80 million pixels.
    """
    image = _opened(path)
    lost = []
    with image:
        pages = _num_pages(path, image)
        for part in range(start, pages):
            try:
                content = _decoded(path, image, part)
            except UnreadableFile as error:
                if pages == 1:
                    raise
                lost.append(f"page {part + 1}: {error.reason}")
                continue
            page = part + 1 if pages > 1 else None
            yield Item(
                id=f"{key}#page={page}" if page else key,
                modality="image",
                content=content,
                source=Source(path=key, page=page),
                part=part,
            )
    if len(lost) == pages:
        raise UnreadableFile(path, f"none of its {pages} pages can be read; {lost[0]}")
    if passed_over:
        for line in lost:
            passed_over(line)


def count(path: Path) -> int:
    """1, or the number of pages of a TIFF."""
    with _opened(path) as image:
        return _num_pages(path, image)


def _opened(path: Path) -> Image:
    from PIL import Image as Images

    refuse_unless(path, first_bytes(path), KINDS, wanted="an image of a kind that is read")
    try:
        with warnings.catch_warnings(action="ignore"):
            return Images.open(path, formats=FORMATS)
    except Images.DecompressionBombError as error:
        raise UnreadableFile(path, f"more than {2 * (Images.MAX_IMAGE_PIXELS or 0):,} pixels: {_LIMIT}") from error
    except Exception as error:  # Pillow's plugins raise a dozen kinds on damaged files
        raise UnreadableFile(path, f"damaged image: {_reason(error)}") from error


def _num_pages(path: Path, image: Image) -> int:
    if image.format != "TIFF":
        return 1
    try:
        with warnings.catch_warnings(action="ignore"):
            return int(getattr(image, "n_frames", 1))
    except Exception as error:
        raise UnreadableFile(path, f"damaged image: {_reason(error)}") from error


def _decoded(path: Path, image: Image, part: int) -> Image:
    """The part-th frame, ready to be looked at."""
    try:
        with warnings.catch_warnings(action="ignore"):
            if image.format == "TIFF":
                image.seek(part)
            _refuse_bomb(path, image)
            image.draft(image.mode, bounded_size(image.size))
            image.load()
            return on_paper(_upright(bounded(_eight_bit(image)), _orientation(image)))
    except UnreadableFile:
        raise
    except Exception as error:
        raise UnreadableFile(path, f"damaged image: {_reason(error)}") from error


_LIMIT = f"images of more than {MAX_DECODED_PIXELS // 10**6} million are not decoded"


def _refuse_bomb(path: Path, image: Image) -> None:
    width, height = image.size
    if width * height > MAX_DECODED_PIXELS:
        raise UnreadableFile(path, f"{width:,} x {height:,} pixels: {_LIMIT}")
    if image.info.get("progressive") and width * height * path.read_bytes().count(b"\xff\xda") > MAX_SCANNED_PIXELS:
        raise UnreadableFile(path, f"a JPEG of {width:,} x {height:,} pixels drawn so many times over that it would take minutes to decode")


def _eight_bit(image: Image) -> Image:
    """The picture in mode L, RGB or RGBA."""
    if image.mode in {"L", "RGB"} and "transparency" not in image.info:
        return image
    if image.mode[0] in "IF":
        return _gray(image)
    transparent = "transparency" in image.info or image.mode in {"RGBA", "LA", "PA"}
    return image.convert("RGBA" if transparent else "L" if image.mode == "1" else "RGB")


def _gray(image: Image) -> Image:
    """Gray of 16 or 32 bits, or of floating point, with black at the least and white at the greatest value its kind has."""
    import numpy as np
    from PIL import Image as Images

    values = np.nan_to_num(np.asarray(image, dtype=np.float32), posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    black, white = next(((0.0, top) for top in (1.0, 255.0, 65535.0) if low >= 0 and high <= top), (low, high))
    if image.mode.startswith("I;16"):
        white = 65535.0
    return Images.fromarray(np.rint((values - black) * (255 / ((white - black) or 1.0))).astype(np.uint8))


def _orientation(image: Image) -> int:
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except Exception:  # damaged EXIF leaves the picture as it lies
        return 1


def _upright(image: Image, orientation: int) -> Image:
    from PIL.Image import Transpose

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    return image.transpose(turns[orientation]) if orientation in turns else image


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    if "truncated" in str(error).lower() or isinstance(error, EOFError):
        return "the file ends before the picture does"
    return lines[0][:200] if lines else type(error).__name__
