"""An invoice: who asks whom for how much and by when, with a table of what was delivered."""

from __future__ import annotations

from collections.abc import Sequence

from unitower.render.canvas import Align, Canvas
from unitower.render.content import Content
from unitower.render.layout import Column, table
from unitower.render.pages.table import ruling_by_chance
from unitower.render.pictures import bars, code_square, logo
from unitower.render.style import Style

FACTS = (
    "number",
    "date",
    "due",
    "seller",
    "buyer",
    "seller_city",
    "buyer_city",
    "item",
    "quantity",
    "price",
    "amount",
    "subtotal",
    "tax",
    "total",
    "customer",
    "bank",
)
STYLE = {"sizes": (5.0, 8.5)}
TAXES = (5.0, 7.0, 10.0, 19.0, 20.0, 21.0, 22.0, 25.5)


def draw(canvas: Canvas, content: Content, style: Style) -> None:
    rng = content.rng
    margin = style.margin
    width = canvas.width - 2 * margin
    bottom = canvas.height * 0.96
    top = canvas.height * rng.uniform(0.03, 0.08)
    label = content.label
    seller = content.state("seller", content.company())
    buyer = content.state("buyer", content.company() if rng.random() < 0.6 else content.person())
    seller_city = content.state("seller_city", str(content.pick("cities")))
    buyer_city = content.state("buyer_city", str(content.pick("cities")))
    small = style.face(0.85)

    # head: the seller, and the word "invoice"
    banner = rng.random() < 0.25
    if banner:
        canvas.rectangle(0, 0, canvas.width, top + style.x_height * 7, fill=style.accent)
    ink = style.paper if banner else style.accent
    half = width * 0.52
    left = Column(canvas=canvas, style=style, x=margin, y=top, width=half, bottom=bottom)
    right = Column(canvas=canvas, style=style, x=margin + half, y=top, width=width - half, bottom=bottom)
    if rng.random() < 0.5:
        side = style.x_height * 5
        canvas.paste(logo(rng, side, style.paper if banner else style.accent, style.accent if banner else style.paper), margin, top)
        left.x += side + style.x_height * 2
        left.width -= side + style.x_height * 2
    left.text(seller, face=style.face(rng.uniform(1.1, 1.8), voice="heading", bold=True), fill=ink, align="left")
    title = label("invoice").upper() if rng.random() < 0.3 and content.language.script in ("Latn", "Cyrl") else label("invoice")
    right.text(title, face=style.face(rng.uniform(1.5, 2.6), voice="heading", bold=rng.random() < 0.6), fill=ink, align="right")
    left.y = right.y = max(left.y, right.y, top + style.x_height * 7) + style.x_height * 2
    left.x, left.width = margin, half

    # addresses on one side, numbers and dates on the other
    street, place = content.address(seller_city)
    for text in (street, place, f"{label('phone')}: {content.phone()}", content.mailbox()):
        left.text(text, face=small, fill=style.muted, align="left", whole=True)
    left.space(style.x_height * rng.uniform(2, 5))
    street, place = content.address(buyer_city)
    for text in (label("customer") + ":", buyer, street, place):
        left.text(text, face=style.face(bold=text == buyer), align="left", whole=True)
    pairs = [
        (label("number"), content.state("number", content.reference())),
        (label("date"), content.state("date", content.date(2008))),
        (label("due"), content.state("due", content.date_after(rng.choice((7, 10, 14, 30, 60))))),
    ]
    if content.wants("customer", 0.5):
        pairs.insert(1, (label("reference"), content.state("customer", content.reference())))
    labelled(right, pairs, style, align=rng.choice(("left", "right")))

    # goods
    column = Column(
        canvas=canvas, style=style, x=margin, y=max(left.y, right.y) + style.x_height * rng.uniform(3, 7), width=width, bottom=bottom
    )
    foot_px = style.pitch(style.face()) * 6.5
    rows, total = goods(content, most=max(1, int((column.left - foot_px) / (style.pitch(style.face()) * 1.6)) - 1))
    aligns: list[Align] = ["left", "right", "right", "right"]
    column.y, drawn = table(
        canvas,
        style,
        rows,
        x=margin,
        y=column.y,
        width=width,
        bottom=column.bottom - foot_px,
        ruling=ruling_by_chance(content, style),
        face=style.face(),
        head=style.face(bold=True),
        aligns=aligns,
    )

    # sums, which are of all rows, so they stand only under all rows
    column.space(style.x_height * 1.5)
    sums = Column(canvas=canvas, style=style, x=margin + width * 0.45, y=column.y, width=width * 0.55, bottom=bottom)
    if drawn == len(rows):
        rate = rng.choice(TAXES)
        amounts = [
            (label("subtotal"), content.state("subtotal", content.money(total))),
            (
                f"{label('tax')} {content.percent(rate, decimals=0 if rate == int(rate) else 1)}",
                content.state("tax", content.money(total * rate / 100)),
            ),
            (label("total"), content.state("total", content.money(total + total * rate / 100))),
        ]
        labelled(sums, amounts, style, align="right", strong_last=True)
    column.y = max(column.y, sums.y) + style.x_height * rng.uniform(2, 6)
    closing(content, style, column)


def goods(content: Content, *, most: int) -> tuple[list[list[str]], float]:
    """Rows of a bill with their head, one of them stated as facts, and the sum."""
    rng, label = content.rng, content.label
    rows, total = [[label("item"), label("quantity"), label("price"), label("amount")]], 0.0
    for _ in range(rng.randint(1, max(1, min(most, rng.choice((3, 6, 10, 24)))))):
        count = rng.choice((1, 1, 2, 3, 4, 5, 6, 8, 10, 12, 24, 50, 100))
        price = round(0.4 * 900 ** rng.random(), 2)
        item = str(content.pick("things")) + (f" {content.reference()}" if rng.random() < 0.25 else "")
        rows.append([item, content.written(count), content.money(price), content.money(round(count * price, 2))])
        total += round(count * price, 2)
    asked = rng.randrange(1, len(rows))
    rows[asked] = [content.state(name, cell) for name, cell in zip(("item", "quantity", "price", "amount"), rows[asked], strict=True)]
    return rows, total


def labelled(column: Column, pairs: Sequence[tuple[str, str]], style: Style, *, align: Align, strong_last: bool = False) -> None:
    """Lines of a label and its value, the labels below each other and the values below each other."""
    face, bold = style.face(), style.face(bold=True)
    for i, (name, value) in enumerate(pairs):
        strong = strong_last and i == len(pairs) - 1
        at = column.y
        if strong:
            at = column.y = column.y + style.x_height * 0.4
            column.canvas.rule(column.x, at, column.x + column.width, at, fill=style.ink)
        one = bold if strong else face
        key = Column(canvas=column.canvas, style=style, x=column.x, y=at, width=column.width * 0.46, bottom=column.bottom)
        text = Column(
            canvas=column.canvas, style=style, x=column.x + column.width * 0.48, y=at, width=column.width * 0.52, bottom=column.bottom
        )
        key.text(name, face=one, fill=style.muted if not strong else style.ink, align="left")
        text.text(value, face=one, align=align)
        column.y = max(key.y, text.y)


def closing(content: Content, style: Style, column: Column) -> None:
    """What stands below a bill: how to pay, thanks, a stamp of bars or squares."""
    rng = content.rng
    small = style.face(0.85)
    if content.wants("bank", 0.6):
        account = content.state("bank", content.digits("AA## #### #### #### ####"))
        column.text(f"{content.label('bank')}: {account}", face=small, align="left", whole=True)
    if rng.random() < 0.6:
        column.space(style.x_height)
        column.text(content.label("thanks"), face=style.face(italic=rng.random() < 0.5), align="left", whole=True)
    side = style.x_height * 9
    if rng.random() < 0.3 and column.left > side * 1.6:
        stamp = (
            code_square(rng, side, style.ink, style.paper)
            if rng.random() < 0.5
            else bars(rng, side * 2.2, side * 0.5, style.ink, style.paper)
        )
        if stamp.height < column.left and stamp.width < column.width:
            column.canvas.paste(stamp, column.x, column.y + style.x_height)
