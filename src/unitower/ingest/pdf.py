"""PDF: every page as a picture at 110 dpi, with the text layer beside it.

Pages are drawn one at a time by a process of their own (`pdf_worker`), so that a page that is endless, insatiable or deadly is
passed over like one that is merely broken, and nothing of the document stays in memory here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unitower.errors import UnreadableFile
from unitower.ingest.confined import Confined, Died
from unitower.ingest.paged import PageLost, readable_pages
from unitower.ingest.picture import on_paper
from unitower.ingest.signature import PDF, TEXT, first_bytes, kind_of
from unitower.ingest.text_layer import readable
from unitower.types import Item, Source

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = frozenset({".pdf"})

CPU_SECONDS = 5
"""For opening the file, and again for each page. Usual pages take milliseconds, maps of a million lines a few seconds."""
MEMORY_BYTES = 2 * 2**30
"""Address space of the worker; a page with a photograph of 100 megapixels stays below half of it."""

LONGEST_TITLE = 200
ERRORS = {4: "encrypted PDF: give the password-free version", 5: "PDF encrypted in a way that is not supported"}


def read(path: Path, *, key: str, start: int = 0, passed_over: Callable[[str], None] | None = None) -> Iterator[Item]:
    """The pages, part 0 being page 1. A page that cannot be drawn is passed over: its part is missing.

    metadata  title, where the document has one
    Raises UnreadableFile if the file is no PDF, encrypted, damaged beyond opening, has no pages, or none that can be drawn.
    """
    with _worker(path) as worker:
        opened = _opened(path, worker)
        metadata = {"title": title} if (title := readable(opened["title"]).replace("\n", " ")[:LONGEST_TITLE]) else {}
        pages = readable_pages(path, num_pages=opened["pages"], start=start, page=partial(_page, path, worker), passed_over=passed_over)
        for part, (content, text) in pages:
            yield Item(
                id=f"{key}#page={part + 1}",
                modality="image",
                content=content,
                source=Source(path=key, page=part + 1),
                part=part,
                text=text,
                metadata=metadata,
            )


def words(path: Path, part: int) -> list[tuple[str, tuple[float, float, float, float]]]:
    """The words of a page's text layer with their boxes (left, top, right, bottom), in pixels of its picture; none where that fails.

    Words are as the page has them: with the hyphens of their line ends, and not put in order.
    """
    with _worker(path) as worker:
        try:
            found, _ = worker.ask({"path": os.path.abspath(path), "words_of": part})
        except Died:
            return []
    return [(word, (left, top, right, bottom)) for word, left, top, right, bottom in found.get("words", [])]


def count(path: Path) -> int:
    """Number of pages."""
    with _worker(path) as worker:
        return int(_opened(path, worker)["pages"])


def _worker(path: Path) -> Confined:
    """A process for this document, once it has proved to be a PDF at first sight."""
    head = first_bytes(path)
    kind = kind_of(head)
    if kind != PDF and (kind not in {TEXT, None} or b"%PDF-" not in head[:1024]):  # readers of PDF allow for 1 kB of junk before it begins
        raise UnreadableFile(path, f"not a PDF: it seems to be {kind}" if kind else "not a PDF")
    return Confined("unitower.ingest.pdf_worker", cpu_seconds=CPU_SECONDS, memory_bytes=MEMORY_BYTES)


def _opened(path: Path, worker: Confined) -> dict[str, Any]:
    """Number of pages, and title."""
    try:
        opened, _ = worker.ask({"path": os.path.abspath(path)})
    except Died as error:
        raise UnreadableFile(path, f"damaged PDF: opening it {error}") from error
    if "failed" in opened:
        raise UnreadableFile(path, ERRORS.get(opened["code"], "damaged or cut-off PDF: it cannot be opened"))
    if not opened["pages"]:
        raise UnreadableFile(path, "a PDF without pages")
    return opened


def _page(path: Path, worker: Confined, index: int) -> tuple[Image, str]:
    """The page as a picture, and its text layer."""
    from PIL import Image as Images

    drawn, payload = worker.ask({"path": os.path.abspath(path), "page": index})
    if "failed" in drawn:
        raise PageLost("damaged")
    text, pixels = payload[: drawn["text_bytes"]], bytes(payload[drawn["text_bytes"] :])
    image = Images.frombuffer("RGB", (drawn["width"], drawn["height"]), pixels, "raw", "BGR", drawn["stride"], 1)
    return on_paper(image), readable(bytes(text).decode())
