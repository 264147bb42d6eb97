"""PDF: every page as a picture at 100 dpi, with the text layer beside it.

Pages are drawn one at a time by a process of their own (`pdf_worker`), so that a page that is endless, insatiable or deadly is
passed over like one that is merely broken, and nothing of the document stays in memory here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from unitower.errors import UnreadableFile
from unitower.ingest.confined import Confined, Died
from unitower.ingest.picture import on_paper
from unitower.ingest.signature import PDF, first_bytes, kind_of
from unitower.ingest.text_layer import readable
from unitower.types import Item, Source

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = frozenset({".pdf"})

MOST_DEATHS = 3
"""Pages of one document that may end the worker before the rest of the document is given up."""
MOST_LOST_IN_A_ROW = 100
"""Pages that may be missing one after the other; a damaged file may claim a million pages that are not there."""
CPU_SECONDS = 5
"""For opening the file, and again for each page. Usual pages take milliseconds, maps of a million lines a few seconds."""
MEMORY_BYTES = 2 * 2**30
"""Address space of the worker; a page with a photograph of 100 megapixels stays below half of it."""

ERRORS = {4: "encrypted PDF: give the password-free version", 5: "PDF encrypted in a way that is not supported"}


def read(path: Path, *, key: str, start: int = 0, passed_over: Callable[[str], None] | None = None) -> Iterator[Item]:
    """The pages, part 0 being page 1. A page that cannot be drawn is passed over: its part is missing.

    metadata  title, where the document has one
    Raises UnreadableFile if the file is no PDF, encrypted, damaged beyond opening, has no pages, or none that can be drawn.
    """
    lost: dict[str, list[int]] = {}
    deaths = lost_in_a_row = 0
    document = _Document(path)
    try:
        pages = document.pages
        metadata = {"title": document.title} if document.title else {}
        for part in range(start, pages):
            try:
                content, text = document.page(part)
            except _PageLost as error:
                lost.setdefault(str(error), []).append(part + 1)
                lost_in_a_row += 1
                deaths += error.deadly
                if deaths == MOST_DEATHS or lost_in_a_row == MOST_LOST_IN_A_ROW:
                    if part + 1 < pages:
                        lost["not tried after so many failures"] = list(range(part + 2, pages + 1))
                    break
                if error.deadly:
                    document.close()
                    document = _Document(path)
                continue
            lost_in_a_row = 0
            yield Item(
                id=f"{key}#page={part + 1}",
                modality="image",
                content=content,
                source=Source(path=key, page=part + 1),
                part=part,
                text=text,
                metadata=metadata,
            )
    finally:
        document.close()
    if sum(map(len, lost.values())) == pages:
        reason = next(iter(lost))
        raise UnreadableFile(path, f"{'its only page cannot' if pages == 1 else f'none of its {pages:,} pages can'} be read: {reason}")
    if passed_over:
        for reason, numbers in lost.items():
            passed_over(f"{'page' if len(numbers) == 1 else 'pages'} {_ranges(numbers)} left out: {reason}")


def count(path: Path) -> int:
    """Number of pages."""
    with _Document(path) as document:
        return document.pages


class _PageLost(Exception):  # noqa: N818
    """A page that cannot be drawn; `deadly` if that ended the worker."""

    def __init__(self, reason: str, *, deadly: bool = False) -> None:
        super().__init__(reason)
        self.deadly = deadly


class _Document:
    """The document, open in a process of its own. Raises UnreadableFile if it cannot be opened."""

    def __init__(self, path: Path) -> None:
        head = first_bytes(path)
        kind = kind_of(head)
        if kind != PDF and (kind is not None or b"%PDF-" not in head[:1024]):  # readers of PDF allow for 1 kB of junk before it begins
            raise UnreadableFile(path, f"not a PDF: it seems to be {kind}" if kind else "not a PDF")
        self._worker = Confined("unitower.ingest.pdf_worker", cpu_seconds=CPU_SECONDS, memory_bytes=MEMORY_BYTES)
        try:
            opened, _ = self._worker.ask({"open": os.path.abspath(path)})
            if "failed" in opened:
                raise UnreadableFile(path, ERRORS.get(opened["code"], "damaged or cut-off PDF: it cannot be opened"))
            if not opened["pages"]:
                raise UnreadableFile(path, "a PDF without pages")
        except BaseException as error:
            self.close()
            if isinstance(error, Died):
                raise UnreadableFile(path, f"damaged PDF: opening it {error}") from error
            raise
        self.pages = int(opened["pages"])
        self.title = readable(opened["title"]).replace("\n", " ")

    def page(self, index: int) -> tuple[Image, str]:
        """The page as a picture, and its text layer."""
        from PIL import Image as Images

        try:
            drawn, payload = self._worker.ask({"page": index})
        except Died as error:
            raise _PageLost(str(error), deadly=True) from error
        if "failed" in drawn:
            raise _PageLost("damaged")
        text, pixels = payload[: drawn["text_bytes"]], bytes(payload[drawn["text_bytes"] :])
        image = Images.frombuffer("RGB", (drawn["width"], drawn["height"]), pixels, "raw", "BGR", drawn["stride"], 1)
        return on_paper(image), readable(bytes(text).decode())

    def close(self) -> None:
        self._worker.close()

    def __enter__(self) -> _Document:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()


def _ranges(numbers: Iterable[int]) -> str:
    """Page numbers as a person writes them: "2-4, 9"."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and spans[-1][1] == number - 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ", ".join(f"{first}" if first == last else f"{first}-{last}" for first, last in spans)
