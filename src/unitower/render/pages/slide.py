"""A slide: a title and a few points in large letters, at times with a picture, a diagram or a table; on an upright page as a handout."""

from __future__ import annotations

from dataclasses import replace

from unitower.render.canvas import Align, Canvas
from unitower.render.content import Content
from unitower.render.layout import Column, Ruling, table
from unitower.render.pages.table import numbers_by_chance
from unitower.render.pictures import logo, photo
from unitower.render.style import Style, mixed

FACTS = ("heading", "presenter", "company", "date", "page_number")
STYLE = {"sizes": (6.0, 12.0), "dark": 0.18, "screen": 0.4}
MARKS = ("•", "–", "·", "*", "")


def draw(canvas: Canvas, content: Content, style: Style) -> None:
    rng = content.rng
    if canvas.width >= canvas.height:
        x0, y0, x1, y1 = 0.0, 0.0, float(canvas.width), float(canvas.height)
    else:  # a handout: the slide above, notes below
        x0 = canvas.width * rng.uniform(0.02, 0.08)
        x1 = canvas.width - x0
        y0 = canvas.height * rng.uniform(0.02, 0.08)
        y1 = y0 + (x1 - x0) * rng.choice((0.5625, 0.625, 0.75))
    # letters of a slide are large for its size
    large = replace(
        style, x_height=max(style.x_height, (y1 - y0) / 600 * style.x_height * rng.uniform(1.1, 1.7)), leading=max(1.25, style.leading)
    )
    if x0:
        canvas.rectangle(x0, y0, x1, y1, fill=style.paper, outline=style.line)
    _slide(canvas, content, large, x0, y0, x1, y1)
    if x0:
        notes = Column(canvas=canvas, style=style, x=x0, y=y1 + style.x_height * 3, width=x1 - x0, bottom=canvas.height * 0.96)
        lowest = notes.y + notes.left * rng.uniform(0.1, 1)
        while notes.y < lowest and not notes.text(content.paragraph(rng.randint(1, 5))):
            notes.space(style.x_height * 1.5)


def _slide(canvas: Canvas, content: Content, style: Style, x0: float, y0: float, x1: float, y1: float) -> None:
    rng = content.rng
    width, height = x1 - x0, y1 - y0
    edge = width * rng.uniform(0.04, 0.09)
    foot = style.face(0.6)
    bar = rng.choice(("none", "none", "top", "side", "line"))
    title_ink = style.accent
    column = Column(
        canvas=canvas,
        style=style,
        x=x0 + edge,
        y=y0 + height * rng.uniform(0.05, 0.1),
        width=width - 2 * edge,
        bottom=y1 - style.pitch(foot) * 2.2,
    )
    if bar == "side":
        canvas.rectangle(x0, y0, x0 + edge * 0.5, y1, fill=style.accent)
    title = style.face(rng.uniform(1.25, 1.7), voice="heading", bold=rng.random() < 0.7)
    if bar == "top":
        canvas.rectangle(x0, y0, x1, column.y + style.pitch(title) * 1.3, fill=style.accent)
        title_ink = style.paper
    heading = content.state("heading", content.heading())
    align: Align = rng.choice(("left", "left", "centre"))
    column.text(heading, face=title, fill=title_ink, align=align, whole=bar == "top")
    if bar == "line":
        canvas.rule(column.x, column.y + 2, column.x + column.width, column.y + 2, fill=style.accent, line_px=max(1, height / 250))
    column.space(style.pitch(title) * 0.5)

    company = content.state("company", content.company())
    presenter = content.state("presenter", content.person())
    date = content.state("date", content.date(2005))
    if rng.random() < 0.15:  # the first slide of a talk
        column.space(column.left * 0.2)
        for text in (presenter, company, date):
            column.text(text, align=align, whole=True)
    else:
        side = rng.choice(("none", "none", "picture", "table"))
        if side != "none" and width > 400:
            half = column.width * rng.uniform(0.4, 0.5)
            right = Column(canvas=canvas, style=style, x=column.x + column.width - half, y=column.y, width=half, bottom=column.bottom)
            column.width -= half + edge * 0.6
            _points(content, style, column)
            if side == "picture":
                canvas.paste(photo(rng, half, min(right.left, half * 0.8)), right.x, right.y)
            else:
                _table(canvas, content, style, right)
        else:
            _points(content, style, column)

    # footer: who, when, which slide
    y = y1 - style.pitch(foot) * 1.6
    if rng.random() < 0.4:
        mark = logo(rng, style.pitch(foot) * 1.3, style.accent, style.paper)
        canvas.paste(mark, x1 - edge - mark.width, y1 - style.pitch(foot) * 0.4 - mark.height)
    below = Column(canvas=canvas, style=style, x=x0 + edge, y=y, width=width - 2.6 * edge, bottom=y1)
    parts = [presenter, company, date, content.state("page_number", content.written(rng.randint(2, 60)))]
    below.text(" | ".join(parts), face=foot, fill=mixed(style.ink, style.paper, 0.3), align="left", whole=True)


def _points(content: Content, style: Style, column: Column) -> None:
    """Points, some with points below them."""
    rng = content.rng
    mark = rng.choice(MARKS)
    for number in range(1, rng.randint(3, 8)):
        shown = f"{number}." if mark == "*" and rng.random() < 0.9 else mark
        indent = style.x_height * 3.2 if shown else 0.0
        y = column.y
        if column.text(_point(content), align="left", indent=indent, whole=True):
            return
        if shown:
            Column(canvas=column.canvas, style=style, x=column.x + style.x_height * 0.6, y=y, width=indent, bottom=column.bottom).text(
                shown, fill=style.accent, align="left", whole=True
            )
        if rng.random() < 0.25:
            small = style.face(0.82)
            column.text(
                "– " + str(content.pick("things")),
                face=small,
                fill=style.muted,
                align="left",
                indent=indent + style.x_height * 2,
                whole=True,
            )
        column.space(style.x_height * rng.uniform(0.6, 1.6))


def _point(content: Content) -> str:
    chance = content.rng.random()
    if chance < 0.55:
        return content.claim()
    if chance < 0.75:
        return f"{content.pick('measures')}: {content.number()}"
    if chance < 0.9:
        return str(content.pick("topics"))
    return content.paragraph(1)


def _table(canvas: Canvas, content: Content, style: Style, column: Column) -> None:
    face = style.face(0.8)
    grid, _ = numbers_by_chance(content, rows=content.rng.randint(2, 7), columns=2)
    aligns: list[Align] = ["left", "right", "right"]
    ruling = Ruling(
        across=True,
        down=False,
        frame=False,
        striped=content.rng.random() < 0.5,
        head_fill=style.accent,
        head_ink=style.paper,
        padding=style.x_height * 0.7,
    )
    table(
        canvas,
        style,
        grid,
        x=column.x,
        y=column.y,
        width=column.width,
        bottom=column.bottom,
        ruling=ruling,
        face=face,
        head=style.face(0.8, bold=True),
        aligns=aligns,
    )
