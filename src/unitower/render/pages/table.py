"""A table with its title: names down the side, measures or years across, numbers in the cells, at times with a total and a note."""

from __future__ import annotations

from unitower.render.canvas import Align, Canvas
from unitower.render.content import Content
from unitower.render.layout import Column, Ruling, table
from unitower.render.style import Style

FACTS = ("heading", "measure", "highest", "highest_value", "lowest", "lowest_value", "row", "value", "company")
STYLE = {"sizes": (5.0, 10.0)}
NAMES = ("cities", "cities", "things", "topics", "person", "company", "month", "year")


def draw(canvas: Canvas, content: Content, style: Style) -> None:
    rng = content.rng
    margin = style.margin * rng.uniform(0.5, 1)
    column = Column(
        canvas=canvas,
        style=style,
        x=margin,
        y=canvas.height * rng.uniform(0.04, 0.12),
        width=canvas.width - 2 * margin,
        bottom=canvas.height * 0.95,
    )
    if rng.random() < 0.35:
        column.text(content.state("company", content.company()), face=style.face(0.9), fill=style.muted, align="left", whole=True)
        column.space(style.x_height)
    big = style.face(rng.uniform(1.2, 2.2), voice="heading", bold=rng.random() < 0.7)
    column.text(content.state("heading", content.heading()), face=big, fill=style.accent, align=rng.choice(("left", "left", "centre")))
    column.space(style.x_height * rng.uniform(1, 3))
    if rng.random() < 0.4:
        column.text(content.paragraph(rng.randint(1, 3)))
        column.space(style.x_height * 2)

    face = style.face()
    ruling = ruling_by_chance(content, style)
    rows = max(2, min(int((column.left * rng.uniform(0.25, 1)) / (style.pitch(face) + ruling.padding)) - 1, 48))
    most = max(2, min(9, int(column.width / (style.x_height * 12)) - 1))
    grid, numbers = numbers_by_chance(content, rows=rows, columns=rng.randint(2, most))
    _state(content, grid, numbers)
    sided: tuple[Align, ...] = ("right", "right", "right", "centre")
    aligns: list[Align] = ["left", *[rng.choice(sided)] * len(numbers[0])]
    bold = style.face(bold=True) if rng.random() < 0.3 else None
    column.y, drawn = table(
        canvas,
        style,
        grid,
        x=column.x,
        y=column.y,
        width=column.width,
        bottom=column.bottom,
        ruling=ruling,
        face=face,
        head=style.face(bold=rng.random() < 0.75),
        aligns=aligns,
        bold=bold,
        stretch=rng.random() < 0.75,
    )
    if drawn < len(grid):
        _state(content, grid[:drawn], numbers[: max(0, drawn - 1)])
    column.space(style.x_height * 2)
    if rng.random() < 0.5:
        small = style.face(0.85, italic=rng.random() < 0.5)
        column.text(
            f"{content.label('source')}: {content.company()}, {content.year(2000)}", face=small, fill=style.muted, align="left", whole=True
        )
    if rng.random() < 0.5:
        column.space(style.x_height * 2)
        column.text(content.paragraph(rng.randint(1, 6)))


def ruling_by_chance(content: Content, style: Style) -> Ruling:
    """One of the usual ways to draw a table: full grid, lines across, stripes, a dark head, or nothing but space."""
    rng = content.rng
    dark_head = rng.random() < 0.4
    across = rng.random() < 0.6
    down = across and rng.random() < 0.5
    head_fill = style.accent if dark_head else style.shade if rng.random() < 0.4 else None
    return Ruling(
        across=across,
        down=down,
        frame=down or rng.random() < 0.2,
        striped=rng.random() < 0.35,
        head_fill=head_fill,
        head_ink=style.paper if dark_head else style.ink,
        padding=style.x_height * rng.uniform(0.5, 1.6),
    )


def numbers_by_chance(content: Content, *, rows: int, columns: int) -> tuple[list[list[str]], list[list[float]]]:
    """A table as text, its head first, and the numbers in its cells."""
    rng = content.rng
    kind = rng.choice(NAMES)
    names = row_names(content, kind, rows)
    over_years = rng.random() < 0.3 and columns > 2 and kind != "year"
    if over_years:
        first = rng.randint(1990, 2026 - columns)
        heads = [content.digits(str(first + i)) for i in range(columns)]
    else:
        heads = [str(content.pick("measures")) for _ in range(columns)]
    # the numbers of a measure are of one size; over the years, those of a row
    scales = [10 ** rng.uniform(0.8, 5.5) for _ in (names if over_years else heads)]
    decimals = [rng.choice((0, 0, 0, 1, 2)) if scale < 5000 else 0 for scale in scales]
    numbers: list[list[float]] = []
    grid = [[content.label("name") if kind in ("person", "company") else content.label("category"), *heads]]
    for r, name in enumerate(names):
        at = [r if over_years else c for c in range(len(heads))]
        numbers.append([round(scales[i] * rng.uniform(0.1, 1), decimals[i]) for i in at])
        grid.append([name, *(content.written(value, decimals=decimals[i]) for value, i in zip(numbers[-1], at, strict=True))])
    return grid, numbers


def row_names(content: Content, kind: str, count: int) -> list[str]:
    """What stands at the heads of the rows: places, things, people, or months and years in their order; none twice."""
    months = content.language.card["months"]
    if kind == "month":
        return [str(month) for month in months[: max(2, count)]]
    if kind == "year":
        first = content.rng.randint(1950, 2026 - min(count, 60))
        return [content.digits(str(first + i)) for i in range(min(count, 60))]
    made = [str(getattr(content, kind)() if kind in ("person", "company") else content.pick(kind)) for _ in range(count)]
    return list(dict.fromkeys(made))


def _state(content: Content, grid: list[list[str]], numbers: list[list[float]]) -> None:
    """State what can be asked: the ends of one column, and one cell of it. Values that the caller gave take their places in the grid."""
    for name in ("measure", "highest", "highest_value", "lowest", "lowest_value", "row", "value"):
        content.facts.pop(name, None)
    if len(numbers) < 2:
        return
    columns = [[values[c] for values in numbers] for c in range(len(numbers[0]))]
    # a tie has no highest entry
    clear = [c for c, column in enumerate(columns) if column.count(max(column)) == column.count(min(column)) == 1]
    if not clear:
        return
    c = content.rng.choice(clear)
    grid[0][c + 1] = content.state("measure", grid[0][c + 1])
    ends = {"highest": columns[c].index(max(columns[c])), "lowest": columns[c].index(min(columns[c]))}
    for name, at in ends.items():
        grid[at + 1][0] = content.state(name, grid[at + 1][0])
        grid[at + 1][c + 1] = content.state(f"{name}_value", grid[at + 1][c + 1])
    others = [at for at in range(len(numbers)) if at not in ends.values()]
    at = content.rng.choice(others or list(ends.values()))
    grid[at + 1][0] = content.state("row", grid[at + 1][0])
    grid[at + 1][c + 1] = content.state("value", grid[at + 1][c + 1])
