"""The confined process that draws the pages of a PDF; `pdf` asks.

{"path": path} is answered by {"pages": 3, "title": "..."}; {"path": path, "page": 0} by {"width", "height", "stride", "text_bytes"} and
a payload of the text layer in UTF-8 and stride x height bytes of BGR. {"path": path, "words_of": 0} is answered by {"words": [[word,
left, top, right, bottom], ...]} in pixels of that picture. The document stays open. A failure has PDFium's number as "code".
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from typing import Any, TypeAlias

from unitower.ingest.confined import Payload, serve
from unitower.ingest.picture import bounded_size

DPI = 110
LEAST_SIDE = 800
"""Pixels of the longer side of a page, at the least: what is smaller than a postcard is drawn larger, to be readable."""
REOPENED_EVERY = 25
"""Pages after which the document is opened anew: PDFium keeps what it has read of it, a whole 2 GB of scans if one lets it."""


class Pages:
    """The open document."""

    def __init__(self) -> None:
        self.drawn = 0
        self.pdf: Any = None

    def answer(self, question: dict[str, Any], _: memoryview) -> tuple[dict[str, Any], Sequence[Payload]]:
        if self.pdf is None or self.drawn == REOPENED_EVERY:
            self.open(question["path"])
        if "words_of" in question:
            return {"words": _words(self.pdf, question["words_of"])}, []
        if "page" not in question:
            return {"pages": len(self.pdf), "title": self.pdf.get_metadata_value("Title")}, []
        self.drawn += 1
        return _drawn(self.pdf, question["page"])

    def open(self, path: str) -> None:
        import pypdfium2

        if self.pdf is not None:
            self.pdf.close()
        self.pdf, self.drawn = pypdfium2.PdfDocument(path), 0
        self.pdf.init_forms()  # without this, fields that bring no picture of their own are not drawn


def scale_of(width: float, height: float) -> float:
    """Pixels per point for a page of this size in points: DPI, more for a tiny page, less for a huge one."""
    scale = max(DPI / 72, LEAST_SIDE / max(width, height))
    across, down = math.ceil(width * scale), math.ceil(height * scale)
    most_across, most_down = bounded_size((across, down))
    if (most_across, most_down) == (across, down):
        return scale
    # PDFium rounds both sides up; a hair less keeps a side that comes out whole from being rounded past the limit.
    return min(most_across / width, most_down / height) * (1 - 1e-9)


def _drawn(pdf: Any, index: int) -> tuple[dict[str, Any], Sequence[Payload]]:
    page = _flat_page(pdf, index)
    try:
        textpage = page.get_textpage()
        try:
            text = textpage.get_text_bounded().encode("utf-8", "replace")
        finally:
            textpage.close()
        bitmap = page.render(scale=scale_of(*page.get_size()), limit_image_cache=True)
    finally:
        page.close()
    return (
        {"width": bitmap.width, "height": bitmap.height, "stride": bitmap.stride, "text_bytes": len(text)},
        [text, memoryview(bitmap.buffer)],
    )


Box: TypeAlias = tuple[float, float, float, float]


def _words(pdf: Any, index: int) -> list[tuple[str, float, float, float, float]]:
    """The words of the text layer, in its order, with their boxes in pixels of the page as it is drawn: left, top, right, bottom. A word
    that goes on in another line is two; what lies beside the page is left out."""
    page = _flat_page(pdf, index)
    try:
        scale = scale_of(*page.get_size())
        size = [math.ceil(side * scale) for side in page.get_size()]
        textpage = page.get_textpage()
        try:
            words: list[tuple[str, Box]] = []  # boxes in points from the lower left: left, bottom, right, top
            ended = True
            for place in range(textpage.count_chars()):
                character = textpage.get_text_range(place, 1)
                if not character.strip() or unicodedata.category(character[0]) in ("Cc", "Cn"):
                    ended = True
                    continue
                left, bottom, right, top = textpage.get_charbox(place, loose=True)
                if not ended:
                    word, box = words.pop()
                    if top < box[1] and left < box[0]:  # the next line begins
                        words.append((word, box))
                        ended = True
                    else:
                        words.append((word + character, (min(left, box[0]), min(bottom, box[1]), max(right, box[2]), max(top, box[3]))))
                if ended:
                    words.append((character, (left, bottom, right, top)))
                    ended = False
        finally:
            textpage.close()
        drawn = [(word, _pixels(page, size, box)) for word, box in words]
        return [(word, *box) for word, box in drawn if box[0] < size[0] and box[1] < size[1] and min(box[2:]) > 0]
    finally:
        page.close()


def _pixels(page: Any, size: Sequence[int], box: Box) -> Box:
    """A box on the page, in points from the lower left, in pixels of its picture: cropped and turned like that."""
    (x0, y0), (x1, y1) = (_pixel(page, size, x, y) for x, y in (box[:2], box[2:]))
    return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)


def _pixel(page: Any, size: Sequence[int], x: float, y: float) -> tuple[float, float]:
    import ctypes

    import pypdfium2.raw as pdfium

    across, down = ctypes.c_int(), ctypes.c_int()
    # PDFium gives whole pixels; asked for a picture sixteen times as large, it gives sixteenths.
    pdfium.FPDF_PageToDevice(page, 0, 0, 16 * size[0], 16 * size[1], 0, x, y, across, down)
    return across.value / 16, down.value / 16


def _flat_page(pdf: Any, index: int) -> Any:
    """A page with its annotations made part of it: only so is what was typed into a form, or beside a text, in its text layer."""
    import pypdfium2.raw as pdfium

    page = pdf[index]
    if pdfium.FPDFPage_Flatten(page, pdfium.FLAT_NORMALDISPLAY) == pdfium.FLATTEN_SUCCESS:  # else there was nothing to do
        page.close()
        page = pdf[index]
    return page


if __name__ == "__main__":
    serve(Pages().answer)
