"""Running text: an article, a page of a book or a report, in one to three columns, with headings, figures and notes."""

from __future__ import annotations

from unitower.render.canvas import Align, Canvas
from unitower.render.content import Content
from unitower.render.layout import Column, poured
from unitower.render.pictures import photo
from unitower.render.style import Style

FACTS = ("heading", "author", "date", "company", "page_number")


def draw(canvas: Canvas, content: Content, style: Style) -> None:
    rng = content.rng
    margin, small = style.margin, style.face(0.82)
    top, bottom = canvas.height * rng.uniform(0.03, 0.1), canvas.height * rng.uniform(0.9, 0.97)
    width = canvas.width - 2 * margin
    heading = content.state("heading", content.heading())

    if rng.random() < 0.5:
        running = Column(canvas=canvas, style=style, x=margin, y=top, width=width, bottom=bottom)
        running.text(
            content.state("company", content.company()),
            face=small,
            fill=style.muted,
            align=rng.choice(("left", "centre", "right")),
            whole=True,
        )
        if rng.random() < 0.5:
            canvas.rule(margin, running.y + 2, margin + width, running.y + 2, fill=style.line)
        top = running.y + style.pitch(small) * rng.uniform(0.5, 1.5)
    if content.wants("page_number", 0.6):
        number = content.state("page_number", content.written(rng.randint(1, 380)))
        mark = rng.choice(("{}", "– {} –", content.label("page") + " {}")).format(number)
        foot = Column(canvas=canvas, style=style, x=margin, y=bottom - style.pitch(small), width=width, bottom=bottom)
        align: Align = rng.choice(("left", "centre", "right"))
        bottom = foot.y - style.pitch(small) * 0.5
    else:
        foot, mark, align = None, "", "left"

    title = Column(canvas=canvas, style=style, x=margin, y=top, width=width, bottom=bottom)
    aligned: Align = rng.choice(("left", "left", "centre"))
    title.text(heading, face=style.face(rng.uniform(1.3, 2.8), voice="heading", bold=rng.random() < 0.7), fill=style.accent, align=aligned)
    if content.wants("author", 0.6):
        author = content.state("author", content.person())
        title.text(author, face=style.face(1.05, italic=rng.random() < 0.4), fill=style.muted, align=aligned)
    if content.wants("date", 0.5):
        title.text(content.state("date", content.date()), face=small, fill=style.muted, align=aligned)
    title.space(style.pitch(small) * rng.uniform(0.4, 2))

    columns = _columns(canvas, content, style, title.y, bottom)
    if len(columns) > 1 and rng.random() < 0.25:
        for column in columns[1:]:
            canvas.rule(column.x - width * 0.02, title.y, column.x - width * 0.02, bottom, fill=style.line)
    _fill(canvas, content, style, columns)
    if foot is not None:
        foot.text(mark, face=small, fill=style.muted, align=align, whole=True)


def _columns(canvas: Canvas, content: Content, style: Style, top: float, bottom: float) -> list[Column]:
    width = canvas.width - 2 * style.margin
    most = max(1, int(width / (style.x_height * 36)))  # at least some twenty letters to a line
    count = min(content.rng.choice((1, 1, 1, 2, 2, 3)), most)
    gap = width * 0.04
    each = (width - gap * (count - 1)) / count
    return [Column(canvas=canvas, style=style, x=style.margin + i * (each + gap), y=top, width=each, bottom=bottom) for i in range(count)]


def _fill(canvas: Canvas, content: Content, style: Style, columns: list[Column]) -> None:
    rng = content.rng
    body = style.face()
    pitch = style.pitch(body)
    first = 0.0 if style.spaced_paragraphs else body.size * rng.uniform(0.8, 2)
    subhead = style.face(rng.uniform(1.05, 1.4), voice="heading", bold=True)
    subheads, pictures, numbered = rng.random() < 0.5, rng.random() < 0.35, rng.random() < 0.15
    blocks = rng.randint(4, 14) if rng.random() < 0.2 else 400
    for number in range(1, blocks):
        if not columns:
            return
        column = columns[0]
        if column.left < 3 * pitch:
            columns.pop(0)
            continue
        if subheads and rng.random() < 0.3 and column.left > 6 * pitch:
            column.space(pitch * 0.5)
            column.text(content.pick("topics"), face=subhead, fill=style.accent, align="left")
        if pictures and rng.random() < 0.18:
            _figure(canvas, content, style, column, number)
        mark = f"{number}. " if numbered else ""
        if not poured(columns, mark + content.paragraph(rng.randint(2, 7)), first=0.0 if numbered else first):
            return
        if columns and style.spaced_paragraphs:
            columns[0].space(pitch * rng.uniform(0.3, 0.8))


def _figure(canvas: Canvas, content: Content, style: Style, column: Column, number: int) -> None:
    high = column.width * content.rng.uniform(0.4, 0.75)
    small = style.face(0.85, italic=True)
    if column.left < high + 3 * style.pitch(small):
        return
    column.space(style.pitch(small) * 0.5)
    canvas.paste(photo(content.rng, column.width, high), column.x, column.y)
    column.space(high + style.pitch(small) * 0.3)
    caption = f"{content.label('figure')} {number}: {content.pick('topics')}"
    column.text(caption, face=small, fill=style.muted, align="left")
    column.space(style.pitch(small) * 0.5)
