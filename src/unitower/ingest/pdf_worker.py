"""The confined process that has one PDF open and draws its pages; `pdf` asks.

{"open": path} is answered by {"pages": 3, "title": "..."}; {"page": 0} by {"width", "height", "stride", "text_bytes"} with a payload of
the text layer in UTF-8 and stride x height bytes of BGR. A failure carries PDFium's number as "code".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from unitower.ingest.confined import Payload, serve
from unitower.ingest.picture import bounded_size

DPI = 100
LEAST_SIDE = 800
"""Pixels of the longer side of a page, at the least: what is smaller than a postcard is drawn larger, to be readable."""
REOPENED_EVERY = 25
"""Pages after which the document is opened anew: PDFium keeps what it has read of it, a whole 2 GB of scans if one lets it."""


class Pages:
    """The open document."""

    def __init__(self) -> None:
        self.path = ""
        self.drawn = 0
        self.pdf: Any = None

    def answer(self, question: dict[str, Any], _: memoryview) -> tuple[dict[str, Any], Sequence[Payload]]:
        if "open" in question:
            self.path = question["open"]
            self.open()
            return {"pages": len(self.pdf), "title": self.pdf.get_metadata_value("Title")}, []
        if self.drawn == REOPENED_EVERY:
            self.pdf.close()
            self.open()
        self.drawn += 1
        return _drawn(self.pdf, question["page"])

    def open(self) -> None:
        import pypdfium2

        self.drawn = 0
        self.pdf = pypdfium2.PdfDocument(self.path)
        self.pdf.init_forms()  # without this, what was typed into a form is not drawn


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
    page = pdf[index]
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


if __name__ == "__main__":
    serve(Pages().answer)
