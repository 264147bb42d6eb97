"""A letter: letterhead, address, date, subject, salutation, body, closing and signature."""

from __future__ import annotations

from unitower.render.canvas import Align, Canvas
from unitower.render.content import Content
from unitower.render.layout import Column
from unitower.render.pictures import logo, signature
from unitower.render.style import Style

FACTS = ("sender", "recipient", "company", "date", "subject", "city", "reference")
STYLE = {"sizes": (5.0, 9.5), "dark": 0.0}


def draw(canvas: Canvas, content: Content, style: Style) -> None:
    rng = content.rng
    margin = max(style.margin, canvas.width * 0.07)
    width = canvas.width - 2 * margin
    small = style.face(0.85)
    column = Column(
        canvas=canvas, style=style, x=margin, y=canvas.height * rng.uniform(0.03, 0.08), width=width, bottom=canvas.height * 0.95
    )
    gap = style.x_height * rng.uniform(1.5, 3.5)
    city = content.state("city", str(content.pick("cities")))
    sender = content.state("sender", content.person())

    # letterhead
    head_align: Align = rng.choice(("left", "centre", "right"))
    street, place = content.address(city)
    if rng.random() < 0.6:
        if rng.random() < 0.5:
            side = style.x_height * 5
            at = {"left": column.x, "centre": column.x + (width - side) / 2, "right": column.x + width - side}.get(head_align, column.x)
            canvas.paste(logo(rng, side, style.accent, style.paper), at, column.y)
            column.space(side + style.x_height)
        company = content.state("company", content.company())
        column.text(company, face=style.face(rng.uniform(1.2, 2), voice="heading", bold=True), fill=style.accent, align=head_align)
        column.text(f"{street} · {place} · {content.phone()}", face=small, fill=style.muted, align=head_align)
        if rng.random() < 0.5:
            canvas.rule(margin, column.y + 2, margin + width, column.y + 2, fill=style.accent)
    else:
        for text in (sender, street, place):
            column.text(text, align=head_align, whole=True)
    column.space(gap * 1.5)

    # to whom, when, about what
    recipient = content.state("recipient", content.person())
    for text in (recipient, *content.address()):
        column.text(text, align="left", whole=True)
    column.space(gap)
    date = content.state("date", content.date(1985))
    column.text(f"{city}, {date}" if rng.random() < 0.6 else date, align=rng.choice(("left", "right")), whole=True)
    if content.wants("reference", 0.4):
        column.text(f"{content.label('reference')}: {content.state('reference', content.reference())}", align="left", whole=True)
    column.space(gap)
    subject = content.state("subject", str(content.pick("topics")))
    named = f"{content.label('subject')}: {subject}" if rng.random() < 0.5 else subject
    column.text(named, face=style.face(bold=rng.random() < 0.7), align="left")
    column.space(gap)

    # body
    column.text(content.filled(content.pick("salutation"), person=recipient)[0], align="left", whole=True)
    column.space(gap)
    foot = style.pitch(style.face()) * 4
    column.bottom -= foot
    first = 0.0 if style.spaced_paragraphs else style.x_height * 3
    lowest = column.y + column.left * rng.uniform(0.2, 1)
    while column.y < lowest:
        if column.left < 2 * style.pitch(style.face()) or column.text(content.paragraph(rng.randint(2, 6)), first=first):
            break
        column.space(gap * 0.8 if style.spaced_paragraphs else 0.0)
    column.bottom += foot

    # closing
    column.space(gap)
    inset = width * rng.choice((0.0, 0.0, 0.5))
    column.text(content.pick("closing"), align="left", indent=inset, whole=True)
    high = min(style.x_height * rng.uniform(4, 7), column.left - style.pitch(style.face()))
    if rng.random() < 0.75 and high > 8:
        scrawl = signature(rng, high * 3.2, high, rng.choice(((20, 30, 120), style.ink)), style.paper)
        if inset + scrawl.width < width:
            canvas.paste(scrawl, margin + inset, column.y)
            column.space(high)
    column.text(sender, align="left", indent=inset, whole=True)
