"""The confined process that decodes pictures; `image` asks.

{"path": path, "page": 0} is answered by {"pages": 1, "width": 850, "height": 1100} and a payload of RGB, {"path": path} by the number
of pages alone. A TIFF stays open from its first page to its last, nothing else does. "failed" says what is wrong, in plain words.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from unitower.ingest.confined import Payload, serve
from unitower.ingest.picture import bounded, bounded_size, on_paper

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_DECODED_PIXELS = 80_000_000
"""An A0 sheet at 200 dpi has 62 million; decoding 80 million takes up to 400 MB."""
TOO_LARGE = f"pictures of more than {MAX_DECODED_PIXELS // 10**6} million pixels are not decoded"

FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "GIF", "BMP")
ORIENTATION = 0x0112


class Pictures:
    """The picture that is open, if one is."""

    def __init__(self) -> None:
        self.path = ""
        self.image: Image | None = None

    def answer(self, question: dict[str, Any], _: memoryview) -> tuple[dict[str, Any], Sequence[Payload]]:
        page, pages = question.get("page", 0), 0
        try:
            image = self.open(question["path"])
            pages = int(getattr(image, "n_frames", 1)) if image.format == "TIFF" else 1
            if "page" in question:
                picture = _decoded(image, page)
                return {"pages": pages, "width": picture.width, "height": picture.height}, [picture.tobytes()]
            return {"pages": pages}, []
        except Exception as error:  # Pillow's plugins raise a dozen kinds on damaged files
            return {"failed": _reason(error)}, []
        finally:
            if "page" not in question or page + 1 >= pages:
                self.close()

    def open(self, path: str) -> Image:
        from PIL import Image as Images

        if self.image is None or self.path != path:
            self.close()
            self.path, self.image = path, Images.open(path, formats=FORMATS)
        return self.image

    def close(self) -> None:
        if self.image is not None:
            self.image.close()
        self.path, self.image = "", None


class TooLarge(Exception):
    """A picture that is not decoded."""


def _decoded(image: Image, page: int) -> Image:
    """A frame, ready to be looked at."""
    if image.format == "TIFF":
        image.seek(page)
    width, height = image.size
    if width * height > MAX_DECODED_PIXELS:
        raise TooLarge(f"{width:,} x {height:,} pixels: {TOO_LARGE}")
    image.draft(image.mode, bounded_size(image.size))  # a JPEG is decoded at a half or a quarter of its size if that is enough
    image.load()
    return on_paper(_upright(bounded(_eight_bit(image)), _orientation(image)))


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
    from PIL import Image as Images
    from PIL import UnidentifiedImageError

    if isinstance(error, TooLarge):
        return str(error)
    if isinstance(error, Images.DecompressionBombError):
        return f"more than {2 * (Images.MAX_IMAGE_PIXELS or 0):,} pixels: {TOO_LARGE}"
    if isinstance(error, UnidentifiedImageError):
        return "damaged image: its header makes no sense"
    if isinstance(error, EOFError) or "truncated" in str(error).lower():
        return "cut-off image: the file ends before the picture does"
    lines = str(error).strip().splitlines()
    return f"damaged image: {lines[0][:200] if lines else type(error).__name__}"


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    serve(Pictures().answer)
