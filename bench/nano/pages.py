"""Pages drawn in a way the training never sees: HTML of our own, set in fonts that are held out, printed by Chromium, drawn by PDFium.

The text of a page is what the PDF says stands on it. Lengths are those of paper: 10 to 14 pt on A4, which is 1,000 px high.
"""

from __future__ import annotations

import html
import json
import math
import random
import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from nano import material
from nano.material import Section

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
.page { position: relative; overflow: hidden; break-after: page; display: flex; flex-direction: column }
.body { flex: 1; overflow: hidden; min-height: 0 }
p, ul, h2, h3 { margin: 0 0 .55em 0 }
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


# ---------------------------------------------------------------- fonts


@cache
def families(letters: str) -> dict[str, list[tuple[str, bool, bool, Path]]]:
    """Held-out families that can write some letters: weight and slope of their files."""
    from unitower.render import typefaces

    searched = tuple(material.folder(package) for package in material.named()["fonts"])
    wanted = set(material.named()["families"])
    return {
        family.name: [(face.style, face.bold, face.italic, face.path) for face in family.typefaces]
        for family in typefaces.families_in(searched)
        if family.name in wanted and family.typeface().characters.covers(frozenset(letters))
    }


@cache
def font_css() -> str:
    rules = []
    for name, faces in families("a").items():
        for bold in (False, True):
            for italic in (False, True):
                able = [face for face in faces if face[1:3] == (bold, italic)]
                if able:
                    plain = [face for face in able if face[0] in ("Regular", "Italic", "Bold", "Bold Italic", "Bold-Italic")]
                    url = (plain or able)[0][3].resolve().as_uri()
                    rules.append(
                        f"@font-face {{ font-family: '{name}'; src: url('{url}'); font-weight: {700 if bold else 400}; "
                        f"font-style: {'italic' if italic else 'normal'} }}"
                    )
    return "\n".join(rules)


LETTERS = {"ru": "абвгдежзийклмнопрстуфхцчшщъыьэюяА"}


def chosen(rng: random.Random, language: str, *, mono: bool = False) -> str:
    """A family for running text."""
    fixed = ("Hack", "JetBrains Mono")
    able = [name for name in families(LETTERS.get(language, "aäöüßéèêçñ«»")) if (name in fixed) == mono]
    return rng.choice(able)


# ---------------------------------------------------------------- printing


def printed(sheets: Sequence[Sheet], to: Path, name: str) -> list[Drawn]:
    """The sheets as pictures `name-0001.png` in a folder, drawn once."""
    to.mkdir(parents=True, exist_ok=True)
    key = json.dumps([VERSION, CSS, FIT, *[[s.inside, s.style, s.size] for s in sheets]])
    stamp = to / f"{name}.json"
    if stamp.is_file() and (kept := json.loads(stamp.read_text(encoding="utf-8")))["key"] == _digest(key):
        return [Drawn(to / file, text) for file, text in kept["pages"]]
    pages = []
    for size in sorted({sheet.size for sheet in sheets}):
        numbers = [i for i, sheet in enumerate(sheets) if sheet.size == size]
        pages += list(zip(numbers, _print([sheets[i] for i in numbers], size), strict=True))
    drawn = []
    for number, (image, text) in sorted(pages, key=lambda page: page[0]):
        file = f"{name}-{number:04}.png"
        image.save(to / file)
        drawn.append((file, text))
    part = stamp.with_suffix(".part")
    part.write_text(json.dumps({"key": _digest(key), "pages": drawn}, ensure_ascii=False), encoding="utf-8")
    part.replace(stamp)
    return [Drawn(to / file, text) for file, text in drawn]


def _digest(text: str) -> str:
    import hashlib

    return hashlib.sha256(text.encode()).hexdigest()


def _print(sheets: Sequence[Sheet], size: tuple[float, float]) -> Iterator[tuple[Image, str]]:
    """Picture and text of each sheet; all have one size."""
    import pypdfium2

    wide, high = size
    inside = "".join(f"<div class='page' style=\"width:{wide}mm;height:{high - 0.3}mm;{sheet.style}\">{sheet.inside}</div>" for sheet in sheets)
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


# ---------------------------------------------------------------- layouts

INKS = ("#000", "#000", "#111", "#222", "#1b2430", "#2b2b2b")
ACCENTS = ("#000", "#7a1f1f", "#1f3f7a", "#14532d", "#444", "#5b2a86", "#9a3412")


def escaped(text: str) -> str:
    return html.escape(text, quote=False)


def _base(rng: random.Random, language: str, *, points: tuple[float, float] = (10, 14)) -> tuple[str, str]:
    """Style of a page, and of its headings."""
    body = chosen(rng, language, mono=rng.random() < 0.06)
    heading = body if rng.random() < 0.6 else chosen(rng, language)
    margin = [rng.uniform(12, 26) for _ in range(4)]
    style = (
        f"font-family:'{body}';font-size:{rng.uniform(*points):.1f}pt;line-height:{rng.uniform(1.15, 1.5):.2f};color:{rng.choice(INKS)};"
        f"padding:{' '.join(f'{m:.0f}mm' for m in margin)};text-align:{rng.choice(('left', 'left', 'justify'))};"
        f"background:{rng.choice(('#fff', '#fff', '#fff', '#fdfcf7', '#f7f7f9'))}"
    )
    return style, f"font-family:'{heading}';color:{rng.choice(ACCENTS)};text-align:left"


def article(rng: random.Random, sections: Sequence[Section], *, language: str, running: str = "") -> Sheet:
    """Running text: a report, a book, a letter, a newsletter in columns, notes in a list."""
    kind = rng.choice(("report", "book", "columns", "columns", "letter", "notes"))
    style, head = _base(rng, language, points=(10, 12) if kind == "columns" else (10, 14))
    parts = []
    for number, section in enumerate(sections):
        if kind != "letter" or number == 0:
            size = rng.uniform(1.4, 2.2) if number == 0 else rng.uniform(1.05, 1.3)
            parts.append(f"<h2 style=\"{head};font-size:{size:.2f}em;line-height:1.15\">{escaped(section.title)}</h2>")
        if kind == "notes" and len(section.paragraphs) > 1:
            parts += [f"<p style='padding-left:1.4em;text-indent:-1em'>• {escaped(text)}</p>" for text in section.paragraphs]
        else:
            indent = "text-indent:1.3em;margin-bottom:0" if kind == "book" else ""
            parts += [f"<p style='{indent}'>{escaped(text)}</p>" for text in section.paragraphs]
    columns = f"columns:{rng.choice((2, 2, 3))};column-gap:6mm;column-fill:auto;height:100%" if kind == "columns" else ""
    body = f"<div class=body style='{columns}'>{''.join(parts)}</div>"
    number = rng.randint(2, 412)
    if kind == "book":
        body = f"<div style='display:flex;justify-content:space-between;font-size:.8em;margin-bottom:1em'><i>{escaped(running)}</i><span>{number}</span></div>" + body
    elif kind in ("report", "columns") and rng.random() < 0.6:
        body += f"<div style='border-top:.5pt solid #888;font-size:.75em;padding-top:.4em;margin-top:.6em'>{escaped(running)} · {number}</div>"
    return Sheet(body, style)


def table(rng: random.Random, title: str, rows: Sequence[Sequence[str]], head: Sequence[str], note: str) -> Sheet:
    """A heading, a table of some twenty rows, and a note."""
    style, heading = _base(rng, "en", points=(9.5, 11.5))
    line = rng.choice(("border-bottom:.5pt solid #999", "border:.5pt solid #777", "border-bottom:.4pt dotted #aaa"))
    shade = rng.choice(("", "background:#eee", "background:#e3ebf5"))
    cells = "".join(f"<th style='{line};{shade}'>{escaped(cell)}</th>" for cell in head)
    lines = "".join(
        f"<tr style='{shade if shade and i % 2 else ''}'>" + "".join(f"<td style='{line}'>{escaped(cell)}</td>" for cell in row) + "</tr>"
        for i, row in enumerate(rows)
    )
    return Sheet(
        f"<h2 style=\"{heading};font-size:{rng.uniform(1.3, 1.8):.2f}em\">{escaped(title)}</h2>"
        f"<div class=body><table><tr>{cells}</tr>{lines}</table></div><p style='margin-top:1em'>{escaped(note)}</p>",
        style,
    )


def form(rng: random.Random, title: str, fields: Sequence[tuple[str, str]], note: str) -> Sheet:
    """Labels and what was filled in beside or beneath them."""
    style, heading = _base(rng, "en", points=(10, 12))
    filled = chosen(rng, "en", mono=rng.random() < 0.4)
    beside = rng.random() < 0.5
    box = rng.choice(("border:.6pt solid #555", "border-bottom:.8pt solid #333", "background:#eef1f5", "border:.6pt solid #999;border-radius:2mm"))
    parts = []
    for label, value in fields:
        shown = f"<div style=\"{box};padding:.25em .5em;min-height:1.9em;flex:1;font-family:'{filled}'\">{escaped(value)}</div>"
        name = f"<div style='font-size:.85em;{'width:38mm' if beside else ''}'>{escaped(label)}</div>"
        parts.append(f"<div style='margin-bottom:.7em;{'display:flex;gap:3mm' if beside else ''}'>{name}{shown}</div>")
    ticks = " ".join(f"{'☒' if rng.random() < 0.5 else '☐'} {escaped(text)}" for text in ("new", "change", "removal"))
    return Sheet(
        f"<h2 style=\"{heading};font-size:1.5em\">{escaped(title)}</h2><p>{ticks}</p><div class=body>{''.join(parts)}</div>"
        f"<p style='font-size:.85em'>{escaped(note)}</p>",
        style,
    )


def slide(rng: random.Random, title: str, points: Sequence[str], foot: str) -> Sheet:
    """A heading and some points in large type."""
    family, heading = chosen(rng, "en"), chosen(rng, "en")
    dark = rng.random() < 0.3
    accent = rng.choice(ACCENTS[1:])
    ink, paper = ("#f4f4f4", rng.choice(("#1d2733", "#222", "#123"))) if dark else ("#1a1a1a", "#fff")
    band = rng.random() < 0.4 and not dark
    head = f"background:{accent};color:#fff;padding:.35em .6em" if band else f"color:{'#ffd479' if dark else accent}"
    items = "".join(f"<p style='padding-left:1.1em;text-indent:-.9em'>{rng.choice('•–▪')} {escaped(point)}</p>" for point in points)
    return Sheet(
        f"<h2 style=\"font-family:'{heading}';font-size:1.6em;line-height:1.15;{head}\">{escaped(title)}</h2><div class=body>{items}</div>"
        f"<div style='font-size:.55em;display:flex;justify-content:space-between'><span>{escaped(foot)}</span><span>{rng.randint(2, 60)}</span></div>",
        f"font-family:'{family}';font-size:{rng.uniform(17, 23):.1f}pt;line-height:1.25;color:{ink};background:{paper};padding:12mm 16mm 7mm",
        size=(254, 190.5) if rng.random() < 0.5 else (254, 142.9),
    )


def chart(rng: random.Random, title: str, values: Sequence[tuple[str, float]], *, unit: str, caption: str) -> Sheet:
    """A chart of bars, columns, dots or shares with its names and numbers, and a caption."""
    style, heading = _base(rng, "en", points=(10, 12))
    kind = rng.choice(("bars", "bars", "columns", "dots", "pie"))
    hues = rng.sample(("#4e79a7", "#f28e2b", "#59a14f", "#b07aa1", "#e15759", "#76b7b2", "#9c755f", "#edc948", "#8cd17d", "#499894"), 10)
    many, most = rng.random() < 0.4, max(value for _, value in values)
    parts = []
    for i, (name, value) in enumerate(values):
        colour, label = hues[i % 10 if many else 0], escaped(name)
        figure = f"{value:,.0f}"
        if kind in ("bars", "dots"):
            y = 14 + i * 30
            long = 300 * value / most
            parts.append(f"<text x=148 y={y + 4} text-anchor=end>{label}</text>")
            parts.append(
                f"<rect x=155 y={y - 9} width={long:.0f} height=18 fill='{colour}'/>" if kind == "bars"
                else f"<line x1=155 x2={155 + long:.0f} y1={y} y2={y} stroke='#bbb'/><circle cx={155 + long:.0f} cy={y} r=6 fill='{colour}'/>"
            )  # fmt: skip
            parts.append(f"<text x={162 + long:.0f} y={y + 4}>{figure}</text>")
        elif kind == "columns":
            step = 480 / len(values)
            x, high = 25 + i * step, 230 * value / most
            parts.append(f"<rect x={x:.0f} y={250 - high:.0f} width={step * 0.7:.0f} height={high:.0f} fill='{colour}'/>")
            parts.append(f"<text x={x + step * 0.35:.0f} y={244 - high:.0f} text-anchor=middle font-size=10>{figure}</text>")
            parts.append(f"<text x={x + step * 0.35:.0f} y=264 text-anchor=end transform='rotate(-35 {x + step * 0.35:.0f} 264)'>{label}</text>")
        else:
            before, total = sum(v for _, v in values[:i]), sum(v for _, v in values)
            a, b = (2 * math.pi * share / total for share in (before, before + value))
            large = int(b - a > math.pi)
            ends = [f"{150 + 120 * math.sin(angle):.1f} {140 - 120 * math.cos(angle):.1f}" for angle in (a, b)]
            parts.append(f"<path d='M150 140 L{ends[0]} A120 120 0 {large} 1 {ends[1]} Z' fill='{hues[i % 10]}' stroke='#fff'/>")
            parts.append(f"<rect x=300 y={20 + i * 24} width=12 height=12 fill='{hues[i % 10]}'/><text x=318 y={31 + i * 24}>{label} ({100 * value / total:.0f} %)</text>")
    high = 14 + 30 * len(values) if kind in ("bars", "dots") else 350 if kind == "columns" else 290
    drawing = f"<svg viewBox='0 0 520 {high}' style='width:100%;font-size:12px' fill='currentColor'>{''.join(parts)}</svg>"
    return Sheet(
        f"<h2 style=\"{heading};font-size:1.5em\">{escaped(title)}</h2><div style='font-size:.85em;margin-bottom:1em'>{escaped(unit)}</div>{drawing}"
        f"<div class=body style='margin-top:1.2em'><p>{escaped(caption)}</p></div>",
        style,
    )


# ---------------------------------------------------------------- scanning


def scanned(image: Image, rng: random.Random) -> Image:
    """As a copier and a cheap scanner leave a page: turned, shaded, specked, blurred, gray or black and white, compressed."""
    import io

    import numpy as np
    from PIL import Image as Images
    from PIL import ImageFilter

    noise = np.random.default_rng(rng.getrandbits(32))
    gray = image.convert("L").rotate(rng.uniform(-1.6, 1.6), resample=Images.Resampling.BICUBIC, fillcolor=255)
    gray = gray.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 0.8)))
    values = np.asarray(gray, np.float32)
    down, across = np.mgrid[0 : values.shape[0], 0 : values.shape[1]].astype(np.float32)
    slope = rng.uniform(-35, 35) * across / values.shape[1] + rng.uniform(-35, 35) * down / values.shape[0]
    contrast = rng.uniform(0.65, 0.95)
    values = 245 - (255 - values) * contrast - np.abs(slope) + noise.normal(0, rng.uniform(3, 14), values.shape)
    specks = noise.random(values.shape) < rng.uniform(0, 0.0015)
    values[specks] = noise.integers(0, 120, int(specks.sum()))
    if rng.random() < 0.25:
        values = np.where(values > values.mean() - 45, 255.0, 0.0)
    done = Images.fromarray(np.clip(values, 0, 255).astype(np.uint8))
    packed = io.BytesIO()
    done.save(packed, "JPEG", quality=rng.randint(30, 70))
    return Images.open(packed).convert("RGB")


SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-ZÄÖÜ])")


def sentences(text: str) -> list[str]:
    return SENTENCE.split(text)


