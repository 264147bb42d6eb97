"""What a screen shows: a shop, a news site, a mailbox, settings, a board of figures, a chat; in a browser window or bare."""

from __future__ import annotations

from dataclasses import replace

from unitower.render.canvas import Canvas, Colour
from unitower.render.content import Content
from unitower.render.layout import Column
from unitower.render.pictures import logo, photo
from unitower.render.style import Style, mixed

FACTS = ("site", "url", "heading", "product", "price", "person", "date", "measure", "value", "email")
STYLE = {"sizes": (5.0, 8.0), "dark": 0.2, "screen": 0.75}
MENU = ("home", "news", "search", "messages", "basket", "account", "help", "contact", "about", "settings")
STAR: Colour = (240, 170, 40)


def draw(canvas: Canvas, content: Content, style: Style) -> None:
    rng = content.rng
    style = replace(style, align="left", leading=max(1.25, min(style.leading, 1.5 if not style.shaped_script else 2.0)))
    site = content.state("site", content.brand())
    top = 0.0
    if rng.random() < 0.6:
        top = _browser(canvas, content, style)
    top = _bar(canvas, content, style, top, site)
    screen = rng.choice((_shop, _news, _mail, _settings, _board, _chat))
    screen(canvas, content, style, top)


def _browser(canvas: Canvas, content: Content, style: Style) -> float:
    """Tabs and the address line of a browser; their lower edge."""
    rng = content.rng
    face = style.face(0.85)
    high = style.pitch(face) * 1.7
    dark = style.dark
    back: Colour = (52, 54, 60) if dark else rng.choice(((222, 225, 230), (240, 240, 244), (205, 215, 225)))
    ink: Colour = (230, 230, 235) if dark else (40, 40, 45)
    canvas.rectangle(0, 0, canvas.width, high * 2, fill=back)
    canvas.rectangle(style.x_height * 2, style.x_height, canvas.width * 0.35, high, fill=mixed(back, style.paper, 0.8), radius=style.radius)
    canvas.block()
    canvas.line(content.facts["site"], style.x_height * 3.5, high * 0.72, face=face, fill=ink)
    canvas.rectangle(
        style.x_height * 8, high * 1.1, canvas.width - style.x_height * 8, high * 1.9, fill=mixed(back, style.paper, 0.9), radius=high / 2
    )
    url = content.state("url", f"{content.latin_brand()}.example/{content.latin_brand()}/{rng.randint(1, 9999)}")
    with canvas.unmirrored():
        canvas.block()
        canvas.line(url, style.x_height * 10, high * 1.5 + face.size * 0.33, face=face, fill=ink)
    return high * 2


def _bar(canvas: Canvas, content: Content, style: Style, top: float, site: str) -> float:
    """The head of a site: its name and its menu; the lower edge."""
    rng = content.rng
    face = style.face()
    high = style.pitch(face) * rng.uniform(1.7, 2.6)
    filled = rng.random() < 0.6
    if filled:
        canvas.rectangle(0, top, canvas.width, top + high, fill=style.accent)
    else:
        canvas.rule(0, top + high, canvas.width, top + high, fill=style.line)
    ink = style.paper if filled else style.ink
    at = top + high / 2 + face.size * 0.33
    x = style.x_height * 3
    if rng.random() < 0.6:
        mark = logo(rng, high * 0.6, ink, style.accent if filled else style.paper)
        canvas.paste(mark, x, top + high * 0.2)
        x += mark.width + style.x_height * 1.5
    name = style.face(1.25, voice="heading", bold=True)
    canvas.block()
    canvas.line(site, x, at, face=name, fill=ink)
    x += name.width(site) + style.x_height * 5
    canvas.block(flowing=True)
    for entry in rng.sample(MENU, rng.randint(3, 7)):
        label = content.label(entry)
        if x + face.width(label) > canvas.width - style.x_height * 16:
            break
        canvas.line(label, x, at, face=face, fill=ink)
        x += face.width(label) + style.x_height * 3
    if rng.random() < 0.5:
        person = content.state("person", content.person())
        canvas.block()
        if x + face.width(person) < canvas.width - style.x_height * 5:
            canvas.line(person, style.x_height * 3, at, face=face, fill=ink, align="right", width=canvas.width - style.x_height * 6)
    return top + high


def _page(canvas: Canvas, style: Style, top: float, *, left: float = 0.0, right: float = 1.0) -> Column:
    """A column between two shares of the width, below the head."""
    pad = style.x_height * 3
    x0, x1 = canvas.width * left, canvas.width * right
    return Column(canvas=canvas, style=style, x=x0 + pad, y=top + pad, width=x1 - x0 - 2 * pad, bottom=canvas.height - pad)


def _heading(content: Content, style: Style, column: Column, text: str) -> None:
    big = style.face(content.rng.uniform(1.4, 2), voice="heading", bold=True)
    column.text(content.state("heading", text), face=big, align="left")
    column.space(style.x_height * 1.5)


def _button(canvas: Canvas, style: Style, text: str, x: float, y: float, *, filled: bool) -> float:
    """A button with its upper corner at (x, y); its width."""
    face = style.face(bold=True)
    wide, high = face.width(text) + style.x_height * 4, style.pitch(face) * 1.4
    canvas.rectangle(x, y, x + wide, y + high, fill=style.accent if filled else None, outline=style.accent, radius=style.radius)
    canvas.block()
    canvas.line(text, x + style.x_height * 2, y + high / 2 + face.size * 0.33, face=face, fill=style.paper if filled else style.accent)
    return wide


def _shop(canvas: Canvas, content: Content, style: Style, top: float) -> None:
    """Goods in cards, one of them stated with its price."""
    rng = content.rng
    page = _page(canvas, style, top)
    _heading(
        content, style, page, str(content.pick("topics")) if rng.random() < 0.3 else f"{content.label('news')}: {content.pick('things')}"
    )
    columns = max(1, min(rng.randint(2, 4), int(page.width / (style.x_height * 22))))
    gap = style.x_height * 2
    each = (page.width - gap * (columns - 1)) / columns
    high = each * rng.uniform(0.6, 0.9)
    deep = high + style.pitch(style.face()) * 5.2
    rows = max(1, int(page.left / (deep + gap)))
    asked = rng.randrange(min(columns * rows, 4))
    for i in range(columns * rows):
        x, y = page.x + (i % columns) * (each + gap), page.y + (i // columns) * (deep + gap)
        if y + deep > page.bottom + gap * 2:
            return
        if rng.random() < 0.8:
            canvas.rectangle(x, y, x + each, y + deep, outline=style.line, radius=style.radius)
        canvas.paste(photo(rng, each * 0.9, high * 0.9), x + each * 0.05, y + each * 0.05)
        card = Column(canvas=canvas, style=style, x=x + each * 0.05, y=y + high, width=each * 0.9, bottom=y + deep)
        thing, price = str(content.pick("things")), content.money(round(0.9 + 400 * rng.random() ** 2, 2))
        if i == asked:
            thing, price = content.state("product", thing), content.state("price", price)
        card.text(thing, align="left", whole=True)
        card.text(price, face=style.face(1.15, bold=True), fill=style.accent, align="left", whole=True)
        card.text(
            f"{content.label('reviews')}: {content.written(rng.randint(0, 900))}",
            face=style.face(0.85),
            fill=style.muted,
            align="left",
            whole=True,
        )
        if (
            card.left > style.pitch(style.face()) * 1.4
            and style.face(bold=True).width(content.label("buy")) < each * 0.9 - style.x_height * 4
        ):
            _button(canvas, style, content.label("buy"), card.x, card.y, filled=rng.random() < 0.7)


def _news(canvas: Canvas, content: Content, style: Style, top: float) -> None:
    """An article with a column of other headings beside it."""
    rng = content.rng
    aside = rng.random() < 0.6 and canvas.width > style.x_height * 80
    page = _page(canvas, style, top, right=0.68 if aside else 1.0)
    _heading(content, style, page, content.heading())
    by = content.state("person", content.facts.get("person") or content.person())
    page.text(f"{by} · {content.state('date', content.date(2008))}", face=style.face(0.85), fill=style.muted, align="left", whole=True)
    page.space(style.x_height)
    high = page.width * rng.uniform(0.35, 0.6)
    if rng.random() < 0.7 and page.left > high + style.x_height * 20:
        canvas.paste(photo(rng, page.width, high), page.x, page.y)
        page.space(high + style.x_height * 2)
    while page.left > style.pitch(style.face()) and not page.text(content.paragraph(rng.randint(2, 5))):
        page.space(style.x_height * 1.5)
    if aside:
        side = _page(canvas, style, top, left=0.68)
        canvas.rule(side.x - style.x_height * 1.5, side.y, side.x - style.x_height * 1.5, side.bottom, fill=style.line)
        side.text(content.label("news"), face=style.face(1.2, bold=True), align="left", whole=True)
        for _ in range(rng.randint(3, 9)):
            side.space(style.x_height)
            if side.text(content.heading(), fill=style.accent, align="left", whole=True):
                return
            side.text(content.date(2015), face=style.face(0.85), fill=style.muted, align="left", whole=True)


def _mail(canvas: Canvas, content: Content, style: Style, top: float) -> None:
    """A list of messages: from whom, about what, when."""
    rng = content.rng
    page = _page(canvas, style, top)
    _heading(content, style, page, content.label("messages"))
    face, bold = style.face(), style.face(bold=True)
    deep = style.pitch(face) * rng.uniform(1.3, 2)
    rows = int(page.left / deep)
    for i in range(min(rows, rng.randint(6, 30))):
        y = page.y + i * deep
        unread = rng.random() < 0.3
        if unread:
            canvas.rectangle(page.x, y, page.x + page.width, y + deep, fill=style.shade)
        canvas.rule(page.x, y + deep, page.x + page.width, y + deep, fill=style.line)
        at = y + deep / 2 + face.size * 0.33
        who, what, when = content.person(), str(content.pick("topics")), content.date(2019)
        if i == 1:
            who, when = content.state("person", who), content.state("date", when)
            what = content.state("heading", what)
        one = bold if unread else face
        canvas.block(flowing=True)
        canvas.line(who, page.x + style.x_height, at, face=one, fill=style.ink)
        room = page.width * 0.72 - style.x_height * 2
        if one.width(what) < room - page.width * 0.27:
            canvas.line(what, page.x + page.width * 0.28, at, face=one, fill=style.ink)
        small = style.face(0.85)
        canvas.line(when, page.x, at, face=small, fill=style.muted, align="right", width=page.width - style.x_height)


def _settings(canvas: Canvas, content: Content, style: Style, top: float) -> None:
    """Settings with switches and fields."""
    rng = content.rng
    side = _page(canvas, style, top, right=0.3)
    for name in rng.sample(MENU, 6):
        side.text(content.label(name), align="left", whole=True)
        side.space(style.x_height * 1.2)
    page = _page(canvas, style, top, left=0.3)
    canvas.rule(page.x - style.x_height * 2, top, page.x - style.x_height * 2, canvas.height, fill=style.line)
    _heading(content, style, page, content.label("settings"))
    face = style.face()
    deep = style.pitch(face) * 1.9
    shown = [
        (content.label("name"), content.state("person", content.facts.get("person") or content.person())),
        (content.label("email"), content.state("email", content.mailbox())),
        (content.label("language"), content.language.name),
        (content.label("phone"), content.phone()),
        (content.label("city"), str(content.pick("cities"))),
    ]
    for name, value in shown[: rng.randint(2, 5)]:
        if page.left < deep * 1.6:
            return
        page.text(name, face=style.face(0.9), fill=style.muted, align="left", whole=True)
        canvas.rectangle(
            page.x, page.y, page.x + min(page.width, style.x_height * 60), page.y + deep * 0.85, outline=style.line, radius=style.radius
        )
        canvas.block()
        if face.width(value) < page.width - style.x_height * 3:
            canvas.line(value, page.x + style.x_height * 1.5, page.y + deep * 0.42 + face.size * 0.33, face=face, fill=style.ink)
        page.space(deep * 1.1)
    for name in ("notifications", "news", "messages", "consent"):
        if page.left < deep:
            return
        on = rng.random() < 0.5
        page.text(content.label(name), align="left", pitch=deep, whole=True)
        x, y = page.x + page.width - style.x_height * 6, page.y - deep / 2 - style.x_height
        canvas.rectangle(
            x, y, x + style.x_height * 4, y + style.x_height * 2, fill=style.accent if on else style.line, radius=style.x_height
        )
        knob = x + (style.x_height * 2 if on else 0)
        canvas.ellipse(knob + 1, y + 1, knob + style.x_height * 2 - 2, y + style.x_height * 2 - 2, fill=style.paper)
    if page.left > deep * 1.5:
        page.space(style.x_height * 2)
        wide = _button(canvas, style, content.label("save"), page.x, page.y, filled=True)
        _button(canvas, style, content.label("cancel"), page.x + wide + style.x_height * 2, page.y, filled=False)


def _board(canvas: Canvas, content: Content, style: Style, top: float) -> None:
    """Figures in tiles, with small bars below."""
    rng = content.rng
    page = _page(canvas, style, top)
    _heading(content, style, page, content.heading())
    columns = max(1, min(rng.randint(2, 4), int(page.width / (style.x_height * 24))))
    gap = style.x_height * 2
    each = (page.width - gap * (columns - 1)) / columns
    big = style.face(2.2, bold=True)
    deep = style.pitch(big) + style.pitch(style.face()) * 2 + gap * 2
    bars = style.x_height * rng.uniform(6, 16)
    for i in range(columns * max(1, int(page.left / (deep + bars + gap)))):
        x, y = page.x + (i % columns) * (each + gap), page.y + (i // columns) * (deep + bars + gap)
        canvas.rectangle(x, y, x + each, y + deep + bars, fill=style.shade, radius=style.radius)
        tile = Column(canvas=canvas, style=style, x=x + gap, y=y + gap * 0.6, width=each - 2 * gap, bottom=y + deep)
        measure, value = str(content.pick("measures")), content.number(12, 980_000)
        if i == 0:
            measure, value = content.state("measure", measure), content.state("value", value)
        tile.text(measure, fill=style.muted, align="left", whole=True)
        tile.text(value, face=big, align="left", whole=True)
        tile.text(
            f"{rng.choice('▲▼')} {content.percent(rng.uniform(0.1, 40), decimals=1)}",
            face=style.face(0.9),
            fill=style.accent,
            align="left",
            whole=True,
        )
        count = rng.randint(6, 24)
        step = (each - 2 * gap) / count
        for b in range(count):
            tall = bars * rng.uniform(0.1, 0.85)
            canvas.rectangle(
                x + gap + b * step,
                y + deep + bars - tall - gap * 0.4,
                x + gap + (b + 0.7) * step,
                y + deep + bars - gap * 0.4,
                fill=style.accent,
            )


def _chat(canvas: Canvas, content: Content, style: Style, top: float) -> None:
    """A talk of two in bubbles."""
    rng = content.rng
    page = _page(canvas, style, top)
    other = content.state("heading", content.person())
    page.text(other, face=style.face(1.3, bold=True), align="left")
    page.text(content.state("date", content.date(2018)), face=style.face(0.85), fill=style.muted, align="centre", whole=True)
    page.space(style.x_height)
    pad = style.x_height * 1.5
    while page.left > style.pitch(style.face()) * 3:
        mine = rng.random() < 0.5
        wide = page.width * rng.uniform(0.45, 0.7)
        text = content.claim() if rng.random() < 0.5 else content.sentence()
        x = page.x + page.width - wide if mine else page.x
        # measured first, since the bubble lies below its text
        trial = Column(
            canvas=Canvas((canvas.width, canvas.height), paper=style.paper),
            style=style,
            x=x + pad,
            y=page.y + pad / 2,
            width=wide - 2 * pad,
            bottom=page.bottom,
        )
        if trial.text(text, whole=True):
            return
        canvas.rectangle(x, page.y, x + wide, trial.y + pad / 2, fill=style.accent if mine else style.shade, radius=style.x_height * 2)
        bubble = Column(canvas=canvas, style=style, x=x + pad, y=page.y + pad / 2, width=wide - 2 * pad, bottom=page.bottom)
        bubble.text(text, fill=style.paper if mine else style.ink, align="left")
        page.y = trial.y + pad * 1.2
