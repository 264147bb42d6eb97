"""Pages drawn in a way the training never sees: HTML of our own, set in fonts that are held out, printed by Chromium, drawn by PDFium.

The text of a page is what the PDF says stands on it. Lengths are those of paper: 10 to 14 pt on A4, which is 1,000 px high.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nano.keeping import got_json, put_json
from nano.lettering import font_css

if TYPE_CHECKING:
    from PIL.Image import Image

VERSION = 1
"""To be raised when pages are drawn in another way, so that drawn ones are drawn anew."""

HEIGHT_PX = 1000
FIT = """
for (const page of document.querySelectorAll('.page')) {
  const body = page.querySelector('.body');
  const over = () => body.scrollHeight > body.clientHeight + 1 || body.scrollWidth > body.clientWidth + 1;
  while (over() && body.children.length > 1) {
    const last = body.lastElementChild;
    const words = last.textContent.split(' ');
    if (last.tagName !== 'P' || words.length < 30) { last.remove(); continue; }
    last.textContent = words.slice(0, words.length - 12).join(' ');
  }
}
"""
"""What finds no room on a page is taken off it, from the end."""

CSS = """
@page { margin: 0 }
* { box-sizing: border-box }
body { margin: 0 }
.page { position: relative; overflow: hidden; contain: strict; break-after: page; display: flex; flex-direction: column }
.body { flex: 1; overflow: hidden; min-height: 0 }
p, h2 { margin: 0 0 .55em 0 }
h2 { overflow-wrap: anywhere }
table { border-collapse: collapse; width: 100% }
td, th { padding: .18em .45em; text-align: left; vertical-align: top }
"""


@dataclass(frozen=True)
class Drawn:
    """A page: where its picture is, and the text on it."""

    path: Path
    text: str

    def image(self) -> Image:
        from PIL import Image as Images

        with Images.open(self.path) as picture:
            return picture.convert("RGB")


@dataclass(frozen=True)
class Sheet:
    """HTML of a page, and the size of its paper in millimetres."""

    inside: str
    style: str
    size: tuple[float, float] = (210, 297)


def printed(sheets: Sequence[Sheet], to: Path, name: str) -> list[Drawn]:
    """The sheets as pictures `name-0001.png` in a folder, drawn once."""
    to.mkdir(parents=True, exist_ok=True)
    key = json.dumps([VERSION, CSS, FIT, *[[s.inside, s.style, s.size] for s in sheets]])
    stamp = to / f"{name}.json"
    if stamp.is_file() and (kept := got_json(stamp))["key"] == _digest(key):
        return [Drawn(to / file, text) for file, text in kept["pages"]]
    pages = []
    for size in sorted({sheet.size for sheet in sheets}):
        numbers = [i for i, sheet in enumerate(sheets) if sheet.size == size]
        pages += list(zip(numbers, _print([sheets[i] for i in numbers], size), strict=True))
    drawn = []
    for number, (image, text) in sorted(pages, key=lambda page: page[0]):
        file = f"{name}-{number:04}.png"
        image.save(to / file, compress_level=2)
        drawn.append((file, text))
    put_json(stamp, {"key": _digest(key), "pages": drawn})
    return [Drawn(to / file, text) for file, text in drawn]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _print(sheets: Sequence[Sheet], size: tuple[float, float]) -> Iterator[tuple[Image, str]]:
    """Picture and text of each sheet; all have one size."""
    import pypdfium2

    wide, high = size
    frame = f"width:{wide}mm;height:{high - 0.3}mm"  # a hair lower than the paper, or every second page stays empty
    inside = "".join(f"<div class='page' style=\"{frame};{sheet.style}\">{sheet.inside}</div>" for sheet in sheets)
    css = f"{font_css()}\n@page {{ size: {wide}mm {high}mm }}\n{CSS}"
    with tempfile.TemporaryDirectory() as work:
        page, pdf = Path(work, "pages.html"), Path(work, "pages.pdf")
        page.write_text(
            f"<!doctype html><meta charset=utf-8><style>{css}</style><body>{inside}"
            f"<script>document.fonts.ready.then(() => {{ {FIT} }})</script>",
            encoding="utf-8",
        )
        subprocess.run(
            [
                "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
                "--disable-background-networking", "--disable-component-update", f"--user-data-dir={work}/profile",
                "--virtual-time-budget=60000", "--run-all-compositor-stages-before-draw", "--no-pdf-header-footer",
                f"--print-to-pdf={pdf}", page.as_uri(),
            ],
            check=True, capture_output=True, timeout=500,
        )  # fmt: skip
        document = pypdfium2.PdfDocument(pdf)
        if len(document) != len(sheets):
            raise RuntimeError(f"Chromium printed {len(document)} pages of {len(sheets)}")
        for one in document:
            text = one.get_textpage()
            image = one.render(scale=HEIGHT_PX / max(one.get_size())).to_pil().convert("RGB")
            yield image, text.get_text_bounded().replace("\r\n", "\n").replace("\ufffe", "").replace("\x02", "")
            text.close()
        document.close()
