"""A documentation page as software hosts show it: headings, lists, code, quotes, a table, links and badges."""

from __future__ import annotations

from dataclasses import replace

from unitower.render.canvas import Canvas, Colour, Run
from unitower.render.content import Content
from unitower.render.layout import Column, Ruling, table
from unitower.render.pages.table import numbers_by_chance
from unitower.render.style import Style, mixed

FACTS = ("heading", "version", "licence", "command", "author", "company", "file")
STYLE = {"sizes": (5.0, 8.5), "dark": 0.12, "screen": 0.6}
LICENCES = ("MIT", "Apache-2.0", "BSD-3-Clause", "GPL-3.0", "MPL-2.0", "ISC", "CC-BY-4.0")
COMMANDS = (
    "pip install {n}",
    "npm install {n}",
    "cargo add {n}",
    "brew install {n}",
    "apt install {n}",
    "go get {n}.example/{n}",
    "make install",
    "docker pull {n}:{v}",
)
LINK: Colour = (9, 105, 218)


def draw(canvas: Canvas, content: Content, style: Style) -> None:
    rng = content.rng
    style = replace(style, spaced_paragraphs=True, align="left", leading=max(style.leading, 1.3))
    margin = style.margin * rng.uniform(0.3, 1)
    column = Column(
        canvas=canvas,
        style=style,
        x=margin,
        y=canvas.height * rng.uniform(0.02, 0.06),
        width=canvas.width - 2 * margin,
        bottom=canvas.height * 0.975,
    )
    project = content.state(
        "heading", rng.choice((content.latin_brand(), f"{content.latin_brand()}-{content.latin_brand()[:4]}", content.brand()))
    )
    version = content.state("version", f"{rng.randint(0, 9)}.{rng.randint(0, 30)}.{rng.randint(0, 12)}")
    licence = content.state("licence", rng.choice(LICENCES))
    _title(canvas, content, style, column, project)
    _badges(canvas, content, style, column, (("v", version), (content.label("licence"), licence)))
    column.text(content.paragraph(rng.randint(1, 3)))
    column.space(style.x_height * 2)

    parts = [_features, _installation, _usage, _table, _quote, _text, _text, _contents]
    rng.shuffle(parts)
    parts.insert(rng.randint(0, 2), parts.pop(parts.index(_installation)))
    for part in parts:
        if column.left < style.x_height * 14:
            return
        part(canvas, content, style, column)
        column.space(style.x_height * 2)
    while column.left > style.x_height * 16:
        _text(canvas, content, style, column)
        column.space(style.x_height * 2)


def _title(canvas: Canvas, content: Content, style: Style, column: Column, text: str) -> None:
    column.text(text, face=style.face(content.rng.uniform(1.7, 2.3), voice="heading", bold=True), align="left")
    if content.rng.random() < 0.6:
        canvas.rule(column.x, column.y + 2, column.x + column.width, column.y + 2, fill=style.line)
    column.space(style.x_height * 1.5)


def _section(canvas: Canvas, content: Content, style: Style, column: Column, text: str) -> None:
    column.text(text, face=style.face(1.4, voice="heading", bold=True), align="left", whole=True)
    if content.rng.random() < 0.4:
        canvas.rule(column.x, column.y + 1, column.x + column.width, column.y + 1, fill=style.line)
    column.space(style.x_height)


def _badges(canvas: Canvas, content: Content, style: Style, column: Column, pairs: tuple[tuple[str, str], ...]) -> None:
    """Small two-part labels in a row."""
    face = style.face(0.85)
    pad, high = style.x_height * 0.8, style.pitch(face) * 1.05
    x = column.x
    canvas.block(flowing=True)
    for name, value in pairs:
        left, right = face.width(name) + 2 * pad, face.width(value) + 2 * pad
        if x + left + right > column.x + column.width:
            break
        canvas.rectangle(x, column.y, x + left, column.y + high, fill=(85, 85, 85), radius=2)
        canvas.rectangle(
            x + left,
            column.y,
            x + left + right,
            column.y + high,
            fill=content.rng.choice(((0, 116, 170), (46, 125, 50), (180, 80, 20))),
            radius=2,
        )
        at = column.y + high / 2 + face.size * 0.33
        canvas.line(name, x + pad, at, face=face, fill=(255, 255, 255))
        canvas.line(value, x + left + pad, at, face=face, fill=(255, 255, 255))
        x += left + right + style.x_height
    column.space(high + style.x_height * 1.5)


def _code(canvas: Canvas, style: Style, column: Column, lines: list[str]) -> None:
    """Lines of code in a shaded box; from left to right in every language."""
    face = style.face(0.95, voice="mono")
    pitch, pad = style.pitch(face), style.x_height * 1.3
    high = pitch * len(lines) + 2 * pad
    if column.left < high:
        return
    canvas.rectangle(
        column.x, column.y, column.x + column.width, column.y + high, fill=mixed(style.paper, style.ink, 0.06), radius=style.radius
    )
    left, _ = canvas.span(column.x, column.x + column.width)
    with canvas.unmirrored():
        canvas.block()
        for i, line in enumerate(lines):
            if face.width(line) < column.width - 2 * pad:
                canvas.line(line, left + pad, column.y + pad + i * pitch + pitch * 0.7, face=face, fill=style.ink)
    column.space(high + style.x_height)


def _installation(canvas: Canvas, content: Content, style: Style, column: Column) -> None:
    _section(canvas, content, style, column, content.label("installation"))
    pattern = content.rng.choice(COMMANDS)
    command = content.state("command", pattern.format(n=content.facts["heading"].lower(), v=content.facts["version"]))
    _code(canvas, style, column, [command] if content.rng.random() < 0.6 else ["cd " + content.latin_brand(), command])


def _usage(canvas: Canvas, content: Content, style: Style, column: Column) -> None:
    rng = content.rng
    _section(canvas, content, style, column, content.label(rng.choice(("usage", "example"))))
    file = content.state("file", f"{content.latin_brand()}.{rng.choice(('toml', 'json', 'yaml', 'py', 'csv'))}")
    name = content.facts["heading"].lower()
    lines = [
        f"{name} --input {file} --limit {rng.randint(2, 900)}",
        f"{name} {rng.choice(('check', 'build', 'serve', 'export'))} {content.latin_brand()}",
    ]
    _code(canvas, style, column, lines[: rng.randint(1, 2)])
    if rng.random() < 0.5:
        column.text([Run(content.sentence() + " ", style.face(), style.ink), Run(file, style.face(0.95, voice="mono"), style.ink)])


def _features(canvas: Canvas, content: Content, style: Style, column: Column) -> None:
    rng = content.rng
    _section(canvas, content, style, column, content.label(rng.choice(("features", "requirements", "next_steps"))))
    ordered = rng.random() < 0.3
    for number in range(1, rng.randint(3, 8)):
        bold = Run(str(content.pick("things")), style.face(bold=True), style.ink)
        text = (
            [bold, Run(" – " + content.sentence(), style.face(), style.ink)]
            if rng.random() < 0.35
            else [Run(content.sentence(), style.face(), style.ink)]
        )
        y = column.y
        if column.text(text, indent=style.x_height * 3.5, whole=True):
            return
        mark = f"{number}." if ordered else "•"
        Column(canvas=canvas, style=style, x=column.x + style.x_height, y=y, width=style.x_height * 4, bottom=column.bottom).text(
            mark, align="left", whole=True
        )
        column.space(style.x_height * 0.4)


def _contents(canvas: Canvas, content: Content, style: Style, column: Column) -> None:
    """A list of links."""
    _section(canvas, content, style, column, content.label("contents"))
    link = mixed(LINK, style.ink, 0.5) if style.dark else LINK
    for _ in range(content.rng.randint(2, 6)):
        column.text("• " + str(content.pick("topics")), fill=link, align="left", indent=style.x_height, whole=True)


def _quote(canvas: Canvas, content: Content, style: Style, column: Column) -> None:
    y = column.y
    if not column.text(content.paragraph(content.rng.randint(1, 3)), fill=style.muted, indent=style.x_height * 2, whole=True):
        canvas.rectangle(column.x, y, column.x + max(2, style.x_height * 0.5), column.y, fill=style.line)


def _table(canvas: Canvas, content: Content, style: Style, column: Column) -> None:
    rng = content.rng
    grid, _ = numbers_by_chance(content, rows=rng.randint(2, 8), columns=rng.randint(1, 3))
    ruling = Ruling(across=True, down=True, frame=True, striped=True, head_fill=None, head_ink=style.ink, padding=style.x_height * 1.1)
    column.y, _ = table(
        canvas,
        style,
        grid,
        x=column.x,
        y=column.y,
        width=column.width,
        bottom=column.bottom,
        ruling=ruling,
        face=style.face(),
        head=style.face(bold=True),
        aligns=["left"] * len(grid[0]),
        stretch=False,
    )


def _text(canvas: Canvas, content: Content, style: Style, column: Column) -> None:
    if content.rng.random() < 0.6:
        _section(canvas, content, style, column, str(content.pick("topics")))
    if content.wants("author", 0.2) and "author" not in content.facts:
        author = content.state("author", content.person())
        column.text(
            [
                Run(content.label("author") + ": ", style.face(bold=True), style.ink),
                Run(author, style.face(), LINK if not style.dark else style.ink),
            ]
        )
    column.text(content.paragraph(content.rng.randint(2, 5)))
