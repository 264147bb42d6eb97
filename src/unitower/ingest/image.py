"""Pictures: PNG, JPEG, WebP, GIF, BMP, and TIFF with its pages. What counts is what a file is, not which of these it is called.

The number of pixels is read from the header and judged before anything is decoded. Orientation from EXIF is applied,
transparency laid on white, 16-bit, palette and CMYK pictures turned to RGB, large ones scaled down (`picture`).
Decoding is done in a process of its own (`image_worker`), one for all files.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from unitower.errors import UnreadableFile
from unitower.ingest.confined import Confined, Died
from unitower.ingest.paged import PageLost, readable_pages
from unitower.ingest.signature import first_bytes, refuse_unless
from unitower.types import Item, Source

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".tif", ".tiff", ".webp", ".gif", ".bmp"})
KINDS = {"a PNG image", "a JPEG image", "a TIFF image", "a WebP image", "a GIF image", "a BMP image"}

CPU_SECONDS = 5
"""For one picture; 80 million pixels take two, but a JPEG of 300 kB that is drawn over a thousand times takes minutes."""
MEMORY_BYTES = 2 * 2**30

_WORKER = Confined("unitower.ingest.image_worker", cpu_seconds=CPU_SECONDS, memory_bytes=MEMORY_BYTES)


def read(path: Path, *, key: str, start: int = 0, passed_over: Callable[[str], None] | None = None) -> Iterator[Item]:
    """One picture, or the pages of a TIFF; of a moving picture, the first frame. A page of a TIFF that is damaged is passed over.

    Raises UnreadableFile if the file is no picture of these kinds, is damaged or cut off, or would decode to more than 80 million pixels.
    """
    pages = count(path)
    if pages == 1:
        if start == 0:
            yield Item(id=key, modality="image", content=_only_picture(path), source=Source(path=key))
        return
    # A process for this document, which keeps its place in it from page to page.
    with Confined("unitower.ingest.image_worker", cpu_seconds=CPU_SECONDS, memory_bytes=MEMORY_BYTES) as worker:
        page = partial(_page, path, worker)
        for part, content in readable_pages(path, num_pages=pages, start=start, page=page, passed_over=passed_over):
            source = Source(path=key, page=part + 1)
            yield Item(id=f"{key}#page={part + 1}", modality="image", content=content, source=source, part=part)


def count(path: Path) -> int:
    """1, or the number of pages of a TIFF."""
    refuse_unless(path, first_bytes(path), KINDS, wanted="a picture of a kind that is read")
    try:
        answer, _ = _WORKER.ask({"path": os.path.abspath(path)})
    except Died as error:
        raise UnreadableFile(path, f"damaged image: opening it {error}") from error
    if "failed" in answer:
        raise UnreadableFile(path, answer["failed"])
    return int(answer["pages"])


def _only_picture(path: Path) -> Image:
    try:
        return _page(path, _WORKER, 0)
    except Died as error:
        raise UnreadableFile(path, f"damaged image: decoding it {error}") from error
    except PageLost as error:
        raise UnreadableFile(path, str(error)) from error


def _page(path: Path, worker: Confined, index: int) -> Image:
    from PIL import Image as Images

    answer, pixels = worker.ask({"path": os.path.abspath(path), "page": index})
    if "failed" in answer:
        raise PageLost(answer["failed"])
    return Images.frombytes("RGB", (answer["width"], answer["height"]), bytes(pixels))
