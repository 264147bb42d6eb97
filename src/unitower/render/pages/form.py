"""A form filled in by hand or machine: printed labels, lines, boxes and cells, and in them the answers."""

from __future__ import annotations

from unitower.render.canvas import Canvas, Colour
from unitower.render.content import Content
from unitower.render.layout import Column, baseline
from unitower.render.pictures import signature
from unitower.render.style import Style, Voice

FACTS = ("heading", "company", "name", "born", "street", "city", "phone", "email", "reference", "date")
STYLE = {"sizes": (5.0, 9.0), "dark": 0.0}
PENS: tuple[Colour, ...] = ((20, 35, 140), (10, 10, 10), (30, 60, 170), (60, 60, 70))


def draw(canvas: Canvas, content: Content, style: Style) -> None:
    rng, label = content.rng, content.label
    margin = style.margin * rng.uniform(0.6, 1)
    width = canvas.width - 2 * margin
    column = Column(
        canvas=canvas, style=style, x=margin, y=canvas.height * rng.uniform(0.03, 0.07), width=width, bottom=canvas.height * 0.96
    )
    pen = rng.choice(PENS)
    if rng.random() < 0.6:
        column.text(content.state("company", content.company()), face=style.face(0.9), fill=style.muted, align="left", whole=True)
    heading = content.state("heading", str(content.pick("forms")))
    big = style.face(rng.uniform(1.3, 2), voice="heading", bold=True)
    if rng.random() < 0.3:
        canvas.rectangle(margin, column.y, margin + width, column.y + style.pitch(big) * 1.3, fill=style.accent)
        column.text(heading, face=big, fill=style.paper, align="left", indent=style.x_height)
        column.space(style.pitch(big) * 0.3)
    else:
        column.text(heading, face=big, fill=style.accent, align=rng.choice(("left", "centre")))
    if content.wants("reference", 0.6):
        column.text(
            f"{label('reference')}: {content.state('reference', content.reference())}", face=style.face(0.9), align="right", whole=True
        )
    if rng.random() < 0.6:
        column.text(label("capitals"), face=style.face(0.85, italic=True), fill=style.muted, align="left", whole=True)
    column.space(style.x_height * 2)

    street, place = content.address(content.state("city", str(content.pick("cities"))))
    fields = [
        (label("name"), content.state("name", content.person())),
        (label("born"), content.state("born", content.date(1936, 2006))),
        (label("address"), content.state("street", street)),
        (label("city"), place),
    ]
    optional = [
        (label("phone"), content.state("phone", content.phone())),
        (label("email"), content.state("email", content.mailbox())),
        (label("company"), content.company()),
        (label("subject"), str(content.pick("topics"))),
        (label("item"), str(content.pick("things"))),
        (label("total"), content.money(rng.uniform(5, 900))),
    ]
    rng.shuffle(optional)
    fields += optional[: rng.randint(1, len(optional))]
    kind = rng.choice(("line", "box", "cells", "grid"))
    _fields(canvas, content, style, column, fields, kind=kind, pen=pen)
    column.space(style.x_height * 2)
    _boxes(canvas, content, style, column, pen)
    lowest = column.y + (column.left - style.x_height * 12) * rng.uniform(0, 0.8)
    while column.y < lowest:
        column.space(style.x_height * 2)
        if column.text(content.paragraph(rng.randint(1, 6)), face=style.face(0.85), whole=True):
            break
    _signed(canvas, content, style, column, pen)


def _fields(
    canvas: Canvas, content: Content, style: Style, column: Column, fields: list[tuple[str, str]], *, kind: str, pen: Colour
) -> None:
    rng = content.rng
    voices: tuple[Voice, ...] = ("hand", "hand", "mono", "body")
    voice = rng.choice(voices)
    written = style.face(rng.uniform(1.0, 1.25), voice=voice)
    printed = style.face(rng.uniform(0.8, 1))
    deep = max(style.pitch(written) * 1.25, style.pitch(printed) + style.x_height)
    above = kind in ("box", "grid") and rng.random() < 0.7
    columns = 2 if rng.random() < 0.4 and column.width > style.x_height * 70 else 1
    gap = style.x_height * 2.5
    each = (column.width - gap * (columns - 1)) / columns
    number = 1
    prefixed = rng.random() < 0.3
    for start in range(0, len(fields), columns):
        lower = column.y
        for c, (name, value) in enumerate(fields[start : start + columns]):
            x = column.x + c * (each + gap)
            shown = f"{number}. {name}" if prefixed else name if kind == "grid" else name + ":"
            number += 1
            high = deep + (style.pitch(printed) if above else 0.0)
            if column.y + high > column.bottom:
                return
            field_x, field_y = (x, column.y + style.pitch(printed)) if above else (x + each * 0.36, column.y)
            key = Column(
                canvas=canvas,
                style=style,
                x=x,
                y=column.y if above else column.y + (deep - style.pitch(printed)) / 2,
                width=each * (1 if above else 0.34),
                bottom=column.y + high,
            )
            if kind in ("box", "grid"):
                canvas.rectangle(
                    x if kind == "grid" else field_x, column.y if kind == "grid" else field_y, x + each, field_y + deep, outline=style.line
                )
            elif kind == "line":
                canvas.rule(field_x, field_y + deep * 0.86, x + each, field_y + deep * 0.86, fill=style.line, dash=rng.choice((0, 0, 2)))
            key.text(
                name if kind == "grid" and not prefixed else shown,
                face=printed,
                align="left",
                indent=2 if kind == "grid" else 0,
                whole=True,
            )
            canvas.block()
            at = field_y + baseline(deep, written)
            room = x + each - field_x - style.x_height * 0.8
            if kind == "cells" and voice != "hand" and len(value) <= 40:
                _cells(canvas, style, field_x, field_y, room, deep)
            if written.width(value) <= room:
                canvas.line(value, field_x + style.x_height * 0.8, at, face=written, fill=pen)
            lower = max(lower, column.y + high)
        column.y = lower + style.x_height * (0.0 if kind == "grid" else 0.6)


def _cells(canvas: Canvas, style: Style, x: float, y: float, width: float, height: float) -> None:
    """A frame with short strokes from below, as forms for machines have."""
    canvas.rectangle(x, y, x + width, y + height, outline=style.line)
    step = height * 0.75
    for i in range(1, int(width / step)):
        canvas.rule(x + i * step, y + height * 0.82, x + i * step, y + height, fill=style.line)


def _boxes(canvas: Canvas, content: Content, style: Style, column: Column, pen: Colour) -> None:
    """Boxes to tick."""
    rng = content.rng
    face = style.face()
    pitch = style.pitch(face) * 1.15
    side = style.x_height * 1.5
    options = [
        content.label("consent"),
        content.label("yes"),
        content.label("no"),
        *(str(content.pick("things")) for _ in range(rng.randint(1, 4))),
    ]
    for option in options[rng.randint(0, 1) :]:
        if column.left < pitch:
            return
        y = column.y + (pitch - side) / 2
        canvas.rectangle(column.x, y, column.x + side, y + side, outline=style.ink)
        if rng.random() < 0.45:
            left, right = canvas.span(column.x, column.x + side)
            canvas.pen.line((left, y, right, y + side), pen, max(1, round(side / 7)))
            canvas.pen.line((left, y + side, right, y), pen, max(1, round(side / 7)))
        column.text(option, face=face, align="left", indent=side + style.x_height, pitch=pitch, whole=True)


def _signed(canvas: Canvas, content: Content, style: Style, column: Column, pen: Colour) -> None:
    face = style.face(0.9)
    high = style.x_height * 5
    if column.left < high + 2 * style.pitch(face):
        return
    column.space(style.x_height * 2)
    half = column.width / 2 - style.x_height
    scrawl = signature(content.rng, min(high * 3, half), high, pen, style.paper)
    date = content.state("date", content.date(2000))
    left = Column(
        canvas=canvas, style=style, x=column.x, y=column.y + high - style.pitch(style.face(voice="hand")), width=half, bottom=column.bottom
    )
    left.text(date, face=style.face(voice="hand"), fill=pen, align="left", whole=True)
    canvas.paste(scrawl, column.x + half + 2 * style.x_height, column.y)
    y = column.y + high
    for name, x in ((content.label("date"), column.x), (content.label("signature"), column.x + half + 2 * style.x_height)):
        canvas.rule(x, y, x + half, y, fill=style.ink)
        below = Column(canvas=canvas, style=style, x=x, y=y + 1, width=half, bottom=column.bottom)
        below.text(name, face=face, fill=style.muted, align="left", whole=True)
