"""How the pages of the table are laid out: running text, tables, forms, slides, charts. Nothing here is shared with `unitower.render`."""

from __future__ import annotations

import html
import math
import random
import re
from collections.abc import Sequence

from nano.lettering import chosen
from nano.material import Section
from nano.printing import Sheet

INKS = ("#000", "#000", "#111", "#222", "#1b2430", "#2b2b2b")
BOXES = ("border:.6pt solid #555", "border-bottom:.8pt solid #333", "background:#eef1f5", "border:.6pt solid #999;border-radius:2mm")
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
            size = rng.uniform(1.3, 1.5 if kind == "columns" else 2.2) if number == 0 else rng.uniform(1.05, 1.25)
            parts.append(f'<h2 style="{head};font-size:{size:.2f}em;line-height:1.15">{escaped(section.title)}</h2>')
        if kind == "notes" and len(section.paragraphs) > 1:
            parts += [f"<p style='padding-left:1.4em;text-indent:-1em'>• {escaped(text)}</p>" for text in section.paragraphs]
        else:
            indent = "text-indent:1.3em;margin-bottom:0" if kind == "book" else ""
            parts += [f"<p style='{indent}'>{escaped(text)}</p>" for text in section.paragraphs]
    columns = f"columns:{rng.choice((2, 2, 3))};column-gap:6mm;column-fill:auto;height:100%" if kind == "columns" else ""
    body = f"<div class=body style='{columns}'>{''.join(parts)}</div>"
    number = rng.randint(2, 412)
    if kind == "book":
        spread = "display:flex;justify-content:space-between;font-size:.8em;margin-bottom:1em"
        body = f"<div style='{spread}'><i>{escaped(running)}</i><span>{number}</span></div>{body}"
    elif kind in ("report", "columns") and rng.random() < 0.6:
        foot = "border-top:.5pt solid #888;font-size:.75em;padding-top:.4em;margin-top:.6em"
        body += f"<div style='{foot}'>{escaped(running)} · {number}</div>"
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
        f'<h2 style="{heading};font-size:{rng.uniform(1.3, 1.8):.2f}em">{escaped(title)}</h2>'
        f"<div class=body><table><tr>{cells}</tr>{lines}</table></div><p style='margin-top:1em'>{escaped(note)}</p>",
        style,
    )


def form(rng: random.Random, title: str, fields: Sequence[tuple[str, str]], note: str) -> Sheet:
    """Labels and what was filled in beside or beneath them."""
    style, heading = _base(rng, "en", points=(10, 12))
    filled = chosen(rng, "en", mono=rng.random() < 0.4)
    beside = rng.random() < 0.5
    box = rng.choice(BOXES)
    parts = []
    for label, value in fields:
        shown = f"<div style=\"{box};padding:.25em .5em;min-height:1.9em;flex:1;font-family:'{filled}'\">{escaped(value)}</div>"
        name = f"<div style='font-size:.85em;{'width:38mm' if beside else ''}'>{escaped(label)}</div>"
        parts.append(f"<div style='margin-bottom:.7em;{'display:flex;gap:3mm' if beside else ''}'>{name}{shown}</div>")
    ticks = " ".join(f"{'☒' if rng.random() < 0.5 else '☐'} {escaped(text)}" for text in ("new", "change", "removal"))
    return Sheet(
        f'<h2 style="{heading};font-size:1.5em">{escaped(title)}</h2><p>{ticks}</p><div class=body>{"".join(parts)}</div>'
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
    spread = "font-size:.55em;display:flex;justify-content:space-between"
    return Sheet(
        f"<h2 style=\"font-family:'{heading}';font-size:1.6em;line-height:1.15;{head}\">{escaped(title)}</h2><div class=body>{items}</div>"
        f"<div style='{spread}'><span>{escaped(foot)}</span><span>{rng.randint(2, 60)}</span></div>",
        f"font-family:'{family}';font-size:{rng.uniform(17, 23):.1f}pt;line-height:1.25;color:{ink};background:{paper};"
        "padding:12mm 16mm 7mm",
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
        colour, label, figure = hues[i % 10 if many else 0], escaped(name), f"{value:,.0f}"
        if kind in ("bars", "dots"):
            y, end = 14 + i * 30, 155 + round(300 * value / most)
            parts.append(f"<text x=148 y={y + 4} text-anchor=end>{label}</text><text x={end + 7} y={y + 4}>{figure}</text>")
            if kind == "bars":
                parts.append(f"<rect x=155 y={y - 9} width={end - 155} height=18 fill='{colour}'/>")
            else:
                parts.append(f"<line x1=155 x2={end} y1={y} y2={y} stroke='#bbb'/><circle cx={end} cy={y} r=6 fill='{colour}'/>")
        elif kind == "columns":
            step = 480 / len(values)
            x, top = round(25 + i * step), 250 - round(230 * value / most)
            middle = round(x + step * 0.35)
            parts.append(f"<rect x={x} y={top} width={step * 0.7:.0f} height={250 - top} fill='{colour}'/>")
            parts.append(f"<text x={middle} y={top - 6} text-anchor=middle font-size=10>{figure}</text>")
            parts.append(f"<text x={middle} y=264 text-anchor=end transform='rotate(-35 {middle} 264)'>{label}</text>")
        else:
            before, total = sum(v for _, v in values[:i]), sum(v for _, v in values)
            a, b = (2 * math.pi * share / total for share in (before, before + value))
            ends = [f"{150 + 120 * math.sin(angle):.1f} {140 - 120 * math.cos(angle):.1f}" for angle in (a, b)]
            arc = f"M150 140 L{ends[0]} A120 120 0 {int(b - a > math.pi)} 1 {ends[1]} Z"
            y, share = 20 + i * 24, 100 * value / total
            parts.append(f"<path d='{arc}' fill='{hues[i % 10]}' stroke='#fff'/>")
            parts.append(f"<rect x=300 y={y} width=12 height=12 fill='{hues[i % 10]}'/>")
            parts.append(f"<text x=318 y={y + 11}>{label} ({share:.0f} %)</text>")
    high = 14 + 30 * len(values) if kind in ("bars", "dots") else 350 if kind == "columns" else 290
    drawing = f"<svg viewBox='0 0 520 {high}' style='width:100%;font-size:12px' fill='currentColor'>{''.join(parts)}</svg>"
    return Sheet(
        f'<h2 style="{heading};font-size:1.5em">{escaped(title)}</h2>'
        f"<div style='font-size:.85em;margin-bottom:1em'>{escaped(unit)}</div>{drawing}"
        f"<div class=body style='margin-top:1.2em'><p>{escaped(caption)}</p></div>",
        style,
    )


SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-ZÄÖÜ])")


def sentences(text: str) -> list[str]:
    return SENTENCE.split(text)
