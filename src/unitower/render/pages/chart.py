"""A chart: bars upright or lying, lines, areas, a pie or a cloud of points.

matplotlib draws bars, lines, wedges and grid; every word is written by the canvas, so that all scripts come out right and each label
has its box.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from math import ceil, cos, floor, log10, pi, radians, sin
from typing import TYPE_CHECKING, Any

from PIL import Image

from unitower.errors import UnitowerError
from unitower.render.canvas import Canvas, Colour, bits, widths
from unitower.render.content import Content
from unitower.render.face import Face
from unitower.render.layout import Column
from unitower.render.pages.table import row_names
from unitower.render.style import Style, mixed, vivid

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FACTS = ("heading", "measure", "measure2", "highest", "highest_value", "lowest", "lowest_value", "row", "value", "series", "company")
STYLE = {"sizes": (5.0, 10.0), "dark": 0.06}
KINDS = ("bar", "bar", "lying", "lying", "line", "area", "pie", "scatter")
TAB10: tuple[Colour, ...] = (
    (31, 119, 180),
    (255, 127, 14),
    (44, 160, 44),
    (214, 39, 40),
    (148, 103, 189),
    (140, 86, 75),
    (227, 119, 194),
    (127, 127, 127),
)


@dataclass(frozen=True, kw_only=True)
class Data:
    """What a chart shows: a value for each name and series."""

    names: list[str]
    series: list[str]
    values: list[list[float]]
    decimals: int


@dataclass(frozen=True, kw_only=True)
class Frame:
    """Where the plot lies, in pixels of the canvas."""

    x0: float
    y0: float
    x1: float
    y1: float


def draw(canvas: Canvas, content: Content, style: Style) -> None:
    rng = content.rng
    margin = style.margin * rng.uniform(0.4, 1)
    column = Column(
        canvas=canvas,
        style=style,
        x=margin,
        y=canvas.height * rng.uniform(0.03, 0.1),
        width=canvas.width - 2 * margin,
        bottom=canvas.height * 0.96,
    )
    heading = content.state("heading", content.heading())
    big = style.face(rng.uniform(1.2, 2.2), voice="heading", bold=rng.random() < 0.6)
    column.text(heading, face=big, fill=style.accent if rng.random() < 0.5 else style.ink, align=rng.choice(("left", "centre")))
    if rng.random() < 0.3:
        column.text(content.paragraph(rng.randint(1, 2)), face=style.face(0.95), align="left")
    column.space(style.x_height * 2)

    share = 1.0 if canvas.width > canvas.height else rng.uniform(0.45, 1)
    foot = style.pitch(style.face()) * (2.5 if share == 1.0 else 1.5)
    kind = rng.choice(KINDS)
    data = _data(content, kind, style, column)
    high = min((column.left - foot) * share, column.width * rng.uniform(0.6, 1.6))
    with canvas.unmirrored():
        frame = Frame(x0=margin, y0=column.y, x1=margin + column.width, y1=column.y + high)
        if kind == "pie":
            _pie(canvas, content, style, frame, data)
        elif kind == "scatter":
            _scatter(canvas, content, style, frame)
        else:
            _plot(canvas, content, style, frame, data, kind)
    column.space(high + style.x_height * 1.5)
    if rng.random() < 0.6:
        source = f"{content.label('source')}: {content.state('company', content.company())}"
        column.text(source, face=style.face(0.85, italic=rng.random() < 0.4), fill=style.muted, align="left", whole=True)
        column.space(style.x_height)
    if rng.random() < 0.7:
        column.text(content.paragraph(rng.randint(1, 8)))


def _data(content: Content, kind: str, style: Style, column: Column) -> Data:
    """Names and numbers by chance; the extremes are stated where one series has them to itself."""
    rng = content.rng
    over_time = kind in ("line", "area") or rng.random() < 0.3
    room = int(column.width / (style.x_height * 6))
    count = rng.randint(3, 7) if kind == "pie" else rng.randint(3, max(4, min(16, room)))
    names = row_names(content, rng.choice(("year", "month")) if over_time else rng.choice(("cities", "things", "topics", "cities")), count)
    several = kind != "pie" and rng.random() < 0.4
    series = [str(content.pick("cities" if over_time else "measures")) for _ in range(rng.randint(2, 4) if several else 1)]
    scale = 10 ** rng.uniform(0.7, 5.5)
    decimals = rng.choice((0, 0, 1)) if scale < 1000 else 0
    values = []
    for _ in series:
        value, row = rng.uniform(0.3, 0.9), []
        for _ in names:
            value = min(1.0, max(0.08, value + rng.gauss(0, 0.12))) if over_time else rng.uniform(0.08, 1)
            row.append(round(scale * value, decimals))
        values.append(row)
    content.state("measure", str(content.pick("measures")))
    if len(series) == 1:
        for name, end in (("highest", max(values[0])), ("lowest", min(values[0]))):
            if values[0].count(end) == 1:
                at = values[0].index(end)
                names[at] = content.state(name, names[at])
                content.state(f"{name}_value", content.written(end, decimals=decimals), seen=False)
    else:
        series[0] = content.state("series", series[0])
    return Data(names=names, series=series, values=values, decimals=decimals)


def _palette(content: Content, style: Style, count: int) -> list[Colour]:
    rng = content.rng
    kind = rng.random()
    if kind < 0.35:
        return [TAB10[i % len(TAB10)] for i in range(count)]
    if kind < 0.6:
        return [mixed(style.accent, style.paper, 0.75 * i / max(count, 1)) for i in range(count)]
    turn = rng.random()
    return [_hue(turn + i / count, rng.uniform(0.35, 0.8), rng.uniform(0.55, 0.9)) for i in range(count)]


def _hue(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = (round(255 * channel) for channel in colorsys.hsv_to_rgb(hue % 1, saturation, value))
    return red, green, blue


def _axes(width: float, height: float, paper: Colour) -> tuple[Any, Axes]:
    """A figure of so many pixels whose axes fill it, without any text."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UnitowerError("pages of kind 'chart' need matplotlib: pip install 'unitower[render]'.") from error

    figure = Figure(figsize=(round(width) / 100, round(height) / 100), dpi=100, facecolor=_unit(paper))
    sheet = FigureCanvasAgg(figure)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    return sheet, axes


def _unit(colour: Colour) -> tuple[float, float, float]:
    red, green, blue = (channel / 255 for channel in colour)
    return red, green, blue


def _picture(sheet: Any) -> Image.Image:
    sheet.draw()
    return Image.frombuffer("RGBA", sheet.get_width_height(), bytes(sheet.buffer_rgba()), "raw", "RGBA", 0, 1).convert("RGB")


def ticks(highest: float, most: int) -> list[float]:
    """Round numbers from 0 to beyond the highest, no more than `most` steps.

    >>> ticks(47, 5)
    [0.0, 10.0, 20.0, 30.0, 40.0, 50.0]
    """
    raw = highest / max(most, 1)
    power = 10.0 ** floor(log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw - 1e-9)
    return [i * step for i in range(ceil(highest / step - 1e-9) + 1)]


def _text_width(text: str, face: Face) -> float:
    return sum(widths(bits(text, face, (0, 0, 0))))


def _plot(canvas: Canvas, content: Content, style: Style, frame: Frame, data: Data, kind: str) -> None:
    """Bars, lines or areas over named places, with both axes, and a legend for several series."""
    rng = content.rng
    face = style.face(0.9)
    pitch = style.pitch(face)
    gap = style.x_height
    stacked = kind == "area" or (kind in ("bar", "lying") and rng.random() < 0.35)
    colours = _palette(content, style, len(data.series))
    tops = [sum(column) if stacked else max(column) for column in zip(*data.values, strict=True)]
    marks = ticks(max(tops), rng.randint(3, 7))
    tick_decimals = 0 if all(mark == int(mark) for mark in marks) else 2 if marks[1] < 0.1 else 1
    shown = [content.written(mark, decimals=tick_decimals) for mark in marks]

    # how much the labels need
    y0 = frame.y0 + pitch * 0.7
    if len(data.series) > 1:
        y0 = _legend(canvas, style, frame, data.series, colours, face) + pitch * 0.7
    measure = content.facts["measure"]
    names_px = max(_text_width(name, face) for name in data.names)
    if kind == "lying":
        left = min(names_px, (frame.x1 - frame.x0) * 0.45) + 2 * gap
        under = pitch * (2.4 if measure else 1.2)
        angle = 0.0
    else:
        left = max(_text_width(text, face) for text in shown) + 2 * gap + pitch * 1.2
        slot = (frame.x1 - frame.x0 - left) / len(data.names)
        # turned as far as it takes for no name to come over the next
        free = [a for a in (30.0, 45.0, 60.0) if names_px * cos(radians(a)) + face.size * sin(radians(a)) < slot]
        angle = 0.0 if names_px < slot * 0.92 else rng.choice((*free, 90.0))
        under = pitch * 1.3 if not angle else names_px * sin(radians(angle)) + pitch * cos(radians(angle)) + gap
    x0, x1, y1 = frame.x0 + left, frame.x1 - gap * 2, frame.y1 - under
    if y1 - y0 < 24 or x1 - x0 < 24:
        return

    # the picture
    sheet, axes = _axes(x1 - x0, y1 - y0, style.paper)
    grid: dict[str, Any] = {
        "color": _unit(mixed(style.paper, style.ink, 0.18)),
        "linewidth": 0.8,
        "linestyle": rng.choice(("-", "-", "--", ":")),
    }
    level = axes.axvline if kind == "lying" else axes.axhline
    if rng.random() < 0.7:
        for mark in marks[1:]:
            level(mark, zorder=0, **grid)
    _marks(axes, rng, data, colours, kind, stacked=stacked, edge=_unit(style.ink))
    (axes.set_xlim if kind == "lying" else axes.set_ylim)(0, marks[-1] * 1.04)
    count = len(data.names)
    (axes.set_ylim if kind == "lying" else axes.set_xlim)(-0.5, count - 0.5)
    canvas.paste(_picture(sheet), x0, y0)
    canvas.rule(x0, y1, x1, y1, fill=style.ink)
    if rng.random() < 0.7 or kind == "lying":
        canvas.rule(x0, y0, x0, y1, fill=style.ink)

    # the words
    canvas.block(flowing=True)
    if kind == "lying":
        if measure:
            canvas.line(measure, x0, frame.y1 - pitch * 0.3, face=face, fill=style.muted, align="centre", width=x1 - x0)
    elif measure:
        deep = _text_width(measure, face)
        canvas.line(measure, frame.x0 + face.size, (y0 + y1) / 2 + min(deep, y1 - y0) / 2, face=face, fill=style.muted, angle=90)
    canvas.block(flowing=True)
    for mark, text in zip(marks, shown, strict=True):
        part = mark / (marks[-1] * 1.04)
        if kind == "lying":
            canvas.line(text, x0 + part * (x1 - x0), y1 + pitch * 0.95, face=face, fill=style.muted, align="centre")
        else:
            canvas.line(text, x0 - gap * 0.8, y1 - part * (y1 - y0) + face.size * 0.33, face=face, fill=style.muted, align="right")
    # not over an area: numbers would stand on its edge
    labelled = len(data.series) == 1 and kind != "area" and rng.random() < 0.6
    for i, name in enumerate(data.names):
        canvas.block(flowing=True)
        if kind == "lying":
            at = y1 - (i + 0.5) / count * (y1 - y0)
            column = Column(canvas=canvas, style=style, x=frame.x0, y=at - pitch / 2, width=left - gap, bottom=at + pitch)
            column.text(name, face=face, align="right")
        else:
            _under(canvas, name, x0 + (i + 0.5) / count * (x1 - x0), y1, face=face, style=style, angle=angle)
        if labelled:
            _value(canvas, content, style, data, i, kind, (x0, y0, x1, y1), marks[-1] * 1.04, face)


def _marks(axes: Axes, rng: Any, data: Data, colours: list[Colour], kind: str, *, stacked: bool, edge: tuple[float, float, float]) -> None:
    """The bars, lines or areas."""
    places = range(len(data.names))
    count = len(data.series)
    thick = rng.uniform(0.5, 0.92)
    base = [0.0] * len(data.names)
    outline: dict[str, Any] = {"edgecolor": edge, "linewidth": 0.8} if rng.random() < 0.3 else {}
    marker, width, style = rng.choice(("o", "s", "^", "", "")), rng.uniform(1, 2.8), rng.choice(("-", "-", "-", "--"))
    for i, (values, colour) in enumerate(zip(data.values, colours, strict=True)):
        if kind in ("bar", "lying"):
            each = thick if stacked else thick / count
            at = [p if stacked else p - thick / 2 + (i + 0.5) * each for p in places]
            if kind == "bar":
                axes.bar(at, values, each, bottom=base if stacked else None, color=_unit(colour), **outline)
            else:
                axes.barh(at, values, each, left=base if stacked else None, color=_unit(colour), **outline)
        elif kind == "area":
            axes.fill_between(places, base, [a + b for a, b in zip(base, values, strict=True)], color=_unit(colour), alpha=0.85)
        else:
            axes.plot(places, values, color=_unit(colour), linewidth=width, marker=marker, markersize=width * 2.6, linestyle=style)
        base = [a + b for a, b in zip(base, values, strict=True)]


def _under(canvas: Canvas, name: str, x: float, y: float, *, face: Face, style: Style, angle: float) -> None:
    """A name below the axis, level or rising towards its place."""
    if not angle:
        canvas.line(name, x, y + style.pitch(face) * 0.95, face=face, fill=style.ink, align="centre")
        return
    long, turn = _text_width(name, face), radians(angle)
    start = x - long * cos(turn) + face.size * 0.35 * sin(turn), y + style.x_height + long * sin(turn) + face.size * 0.35 * cos(turn)
    canvas.line(name, *start, face=face, fill=style.ink, angle=angle)


def _value(
    canvas: Canvas,
    content: Content,
    style: Style,
    data: Data,
    i: int,
    kind: str,
    plot: tuple[float, float, float, float],
    top: float,
    face: Face,
) -> None:
    """The number at the end of a bar or above a point; one of them is stated."""
    x0, y0, x1, y1 = plot
    value = data.values[0][i]
    text = content.written(value, decimals=data.decimals)
    for end in ("highest", "lowest"):
        if content.facts.get(end) == data.names[i]:
            text = content.state(f"{end}_value", text)
            content.unseen.discard(f"{end}_value")
    if i == len(data.names) // 2:
        data.names[i] = content.state("row", data.names[i])
        text = content.state("value", text)
    small = style.face(0.85)
    if kind == "lying":
        canvas.line(
            text,
            x0 + value / top * (x1 - x0) + style.x_height * 0.6,
            y1 - (i + 0.5) / len(data.names) * (y1 - y0) + small.size * 0.33,
            face=small,
            fill=style.ink,
        )
    elif _text_width(text, small) < (x1 - x0) / len(data.names):
        canvas.line(
            text,
            x0 + (i + 0.5) / len(data.names) * (x1 - x0),
            y1 - value / top * (y1 - y0) - style.x_height * 0.8,
            face=small,
            fill=style.ink,
            align="centre",
        )


def _legend(canvas: Canvas, style: Style, frame: Frame, series: list[str], colours: list[Colour], face: Face) -> float:
    """Names of the series beside their colours, in a row that wraps; its lower edge."""
    x, y = frame.x0 + style.x_height * 4, frame.y0
    side = style.x_height * 1.4
    pitch = style.pitch(face)
    canvas.block(flowing=True)
    for name, colour in zip(series, colours, strict=True):
        need = side * 1.6 + _text_width(name, face)
        if x + need > frame.x1 and x > frame.x0 + style.x_height * 4:
            x, y = frame.x0 + style.x_height * 4, y + pitch
        canvas.rectangle(x, y + pitch / 2 - side / 2, x + side, y + pitch / 2 + side / 2, fill=colour)
        canvas.line(name, x + side * 1.6, y + pitch / 2 + face.size * 0.33, face=face, fill=style.ink)
        x += need + style.x_height * 3
    return y + pitch


def _pie(canvas: Canvas, content: Content, style: Style, frame: Frame, data: Data) -> None:
    """A pie or a ring, named around it or in a list beside it, with the shares."""
    rng = content.rng
    face = style.face(0.95)
    pitch = style.pitch(face)
    values = data.values[0]
    colours = _palette(content, style, len(values))
    named = rng.random() < 0.5
    width, height = frame.x1 - frame.x0, frame.y1 - frame.y0
    side = min(height - 2 * pitch, width * (0.5 if named else 0.55))
    if side < 40:
        return
    sheet, axes = _axes(side, side, style.paper)
    axes.set_aspect("equal")
    start = rng.choice((90, 0, rng.randint(0, 359)))
    axes.pie(
        values,
        colors=[_unit(colour) for colour in colours],
        startangle=start,
        counterclock=False,
        radius=1.0,
        wedgeprops={"width": rng.choice((1.0, 1.0, 0.45)), "edgecolor": _unit(style.paper), "linewidth": rng.choice((0, 1.5))},
    )
    axes.set_xlim(-1.02, 1.02)
    axes.set_ylim(-1.02, 1.02)
    x = frame.x0 + (width - side) / 2 if named else frame.x0
    y = frame.y0 + (height - side) / 2
    canvas.paste(_picture(sheet), x, y)
    total = sum(values)
    shares = [content.percent(100 * value / total, decimals=1) for value in values]
    for end in ("highest", "lowest"):
        if end in content.facts:
            place = data.names.index(content.facts[end])
            shares[place] = content.state(f"{end}_value", shares[place])
            content.unseen.discard(f"{end}_value")
    turned = 0.0
    for i, (name, value, share) in enumerate(zip(data.names, values, shares, strict=True)):
        canvas.block(flowing=True)
        if named:
            angle = radians(start) - 2 * pi * (turned + value / total / 2)
            cx, cy = x + side / 2 + cos(angle) * side * 0.56, y + side / 2 - sin(angle) * side * 0.56
            room = (frame.x1 - cx) if cos(angle) >= 0 else cx - frame.x0
            column = Column(
                canvas=canvas, style=style, x=cx if cos(angle) >= 0 else cx - room, y=cy - pitch, width=room, bottom=cy + pitch * 1.2
            )
            column.text(name, face=face, align="left" if cos(angle) >= 0 else "right", whole=True)
            column.text(share, face=style.face(0.85), fill=style.muted, align="left" if cos(angle) >= 0 else "right", whole=True)
        else:
            at = y + (side - len(values) * pitch * 1.3) / 2 + i * pitch * 1.3
            square = style.x_height * 1.5
            left = x + side + style.x_height * 4
            canvas.rectangle(left, at + (pitch - square) / 2, left + square, at + (pitch + square) / 2, fill=colours[i])
            column = Column(
                canvas=canvas, style=style, x=left + square * 1.7, y=at, width=frame.x1 - left - square * 1.7, bottom=at + pitch * 1.3
            )
            column.text(f"{name}  {share}", face=face, align="left", whole=True)
        turned += value / total


def _scatter(canvas: Canvas, content: Content, style: Style, frame: Frame) -> None:
    """A cloud of points over two measures."""
    rng = content.rng
    face = style.face(0.9)
    pitch = style.pitch(face)
    for name in ("highest", "highest_value", "lowest", "lowest_value", "series"):
        content.facts.pop(name, None)  # points have no names
    across, up = content.facts["measure"], content.state("measure2", str(content.pick("measures")))
    scales = [10 ** rng.uniform(0.5, 4.5) for _ in range(2)]
    slope = rng.uniform(-1, 1)
    xs = [rng.random() for _ in range(rng.randint(15, 160))]
    ys = [min(1.0, max(0.0, 0.5 + slope * (x - 0.5) + rng.gauss(0, 0.15))) for x in xs]
    marks = [ticks(scale, rng.randint(3, 6)) for scale in scales]
    shown = [[content.written(m, decimals=0 if mark[1] == int(mark[1]) else 1) for m in mark] for mark in marks]
    x0 = frame.x0 + pitch * 1.4 + max(_text_width(text, face) for text in shown[1]) + style.x_height
    y0, x1, y1 = frame.y0 + pitch * 0.6, frame.x1 - style.x_height * 4, frame.y1 - pitch * 2.6
    if y1 - y0 < 24 or x1 - x0 < 24:
        return
    sheet, axes = _axes(x1 - x0, y1 - y0, style.paper)
    tint = vivid(rng) if not style.dark else style.accent
    axes.scatter(
        [x * scales[0] for x in xs],
        [y * scales[1] for y in ys],
        s=rng.uniform(8, 60),
        color=_unit(tint),
        alpha=rng.uniform(0.4, 1),
        marker=rng.choice(("o", "s", "^", "x", "D")),
    )
    axes.set_xlim(0, marks[0][-1])
    axes.set_ylim(0, marks[1][-1])
    canvas.paste(_picture(sheet), x0, y0)
    canvas.rectangle(x0, y0, x1, y1 + 1, outline=style.ink)
    canvas.block(flowing=True)
    canvas.line(up, frame.x0 + face.size, (y0 + y1) / 2 + _text_width(up, face) / 2, face=face, fill=style.ink, angle=90)
    for mark, text in zip(marks[1], shown[1], strict=True):
        canvas.line(
            text,
            x0 - style.x_height * 0.8,
            y1 - mark / marks[1][-1] * (y1 - y0) + face.size * 0.33,
            face=face,
            fill=style.muted,
            align="right",
        )
    canvas.block(flowing=True)
    for mark, text in zip(marks[0], shown[0], strict=True):
        canvas.line(text, x0 + mark / marks[0][-1] * (x1 - x0), y1 + pitch * 0.95, face=face, fill=style.muted, align="centre")
    canvas.line(across, x0, y1 + pitch * 2.1, face=face, fill=style.ink, align="centre", width=x1 - x0)
