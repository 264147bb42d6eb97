"""Charts and tables of a CSV file, drawn by matplotlib: a page for every group of its rows, with facts for all that it shows.

    page,row,values     station and year make a page, months lie along its axis, cyclists and walkers are its values

As in the synthetic sets of Jina-VDR (student-enrollment, tweet-stock, airbnb), pages of a sheet look alike and differ in their numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from unitower import render
from unitower.builder import languages as languages_of
from unitower.builder.sources._rows import Row, rows_of
from unitower.builder.types import Dropped, Fact, Page
from unitower.errors import UnitowerError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from PIL.Image import Image

SHAPES = ("bars", "lying", "line", "table")

DPI = 100

WRITTEN_BY_DEJAVU = {"Latn", "Cyrl", "Grek", "Arab"}

MOST_LABELLED = 26
"""Values that are written beside their bars and points; more would run into each other."""

PALETTES = (
    ("#2f6690", "#e07a5f", "#81b29a"),
    ("#3d405b", "#f2a541", "#7fb069"),
    ("#7b4b94", "#d1495b", "#66a182"),
    ("#00798c", "#edae49", "#8d6a9f"),
)


def pages(
    *,
    folder: Path,
    notes: Callable[[Dropped], None],
    path: str,
    page: Sequence[str],
    row: str,
    values: Sequence[str],
    title: Mapping[str, str],
    draw: Sequence[str] = SHAPES,
    languages: Sequence[str] = ("en",),
    words: str | Mapping[str, Mapping[str, str]] = "",
    px: tuple[int, int] = (760, 480),
    group_digits: bool = True,
) -> Iterator[Page]:
    """A page for every combination of values in the columns `page`, in the order of the file.

    row        the column that names what lies along the axis, or the lines of a table
    values     columns of numbers: series of the chart, columns of the table
    title      language -> title of a page, with the columns of `page` as {slots}
    draw       shapes in turn: bars, lying, line, table
    languages  of the pages in turn; titles are there in all of them
    words      language -> word of the file -> that word in the language (names of columns and rows), or a TOML file of them

    Facts: "cell" (slots: title, row, column, value and the columns of `page`), and, where one has it to itself, "highest" and "lowest".
    ValueError names a column that is not there, a number that is none, a shape or title that is missing.
    """
    spoken = languages_of.dictionary(words, folder)
    rows = rows_of(folder / path, needed=[*page, row, *values], numbers=values)
    for name, given in (("draw", draw), ("languages", languages)):
        if not given:
            raise ValueError(f"{name} is empty: name at least one, or leave it out.")
    for shape in draw:
        if shape not in SHAPES:
            raise ValueError(f"draw: there is no shape {shape!r}; there are {', '.join(SHAPES)}.")
    _check_titles(title, languages=languages, page=page)
    groups: dict[tuple[str, ...], list[Row]] = {}
    for one in rows:
        groups.setdefault(tuple(one[column] for column in page), []).append(one)
    for number, (key, group) in enumerate(groups.items()):
        language = languages[number % len(languages)]
        known = spoken.get(language, {})
        slots = dict(zip(page, key, strict=True))
        named = title[language].format(**{name: known.get(value, value) for name, value in slots.items()})
        sheet = Sheet(
            title=named,
            row=known.get(row, row),
            rows=[known.get(one[row], one[row]) for one in group],
            columns=[known.get(column, column) for column in values],
            numbers=[[float(one[column]) for column in values] for one in group],
            grouped=group_digits,
        )
        yield Page(
            id=f"{Path(path).stem}-{number:04}",
            image=drawn(sheet, draw[number // len(languages) % len(draw)], px=(px[0], px[1]), colours=PALETTES[number % len(PALETTES)]),
            text=sheet.text,
            language=language,
            facts=tuple(_facts(slots, group, row=row, values=values, written=sheet.written, title=named)),
        )


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """What a page shows, in its language.

    row, rows, columns  name of what lies along the axis, its entries, the series
    numbers             [rows][columns]
    grouped             thousands with a comma
    """

    title: str
    row: str
    rows: Sequence[str]
    columns: Sequence[str]
    numbers: Sequence[Sequence[float]]
    grouped: bool

    @property
    def cells(self) -> int:
        return len(self.rows) * len(self.columns)

    def written(self, number: float) -> str:
        """A number as the page has it, with the fewest digits that say it."""
        return f"{number:,.10g}" if self.grouped else f"{number:.10g}"

    @property
    def text(self) -> str:
        """Everything that stands on the page."""
        lines = [self.title, " ".join([self.row, *self.columns])]
        lines += [" ".join([name, *map(self.written, numbers)]) for name, numbers in zip(self.rows, self.numbers, strict=True)]
        return "\n".join(lines)


def _check_titles(titles: Mapping[str, str], *, languages: Sequence[str], page: Sequence[str]) -> None:
    """ValueError for a language without a title, or a title that cannot be filled in."""
    for language in languages:
        if language not in titles:
            raise ValueError(f"title: there is none in {language!r}, which is among the languages.")
        try:
            titles[language].format(**{name: name for name in page})
        except (LookupError, AttributeError, ValueError) as error:
            slots = ", ".join(f"{{{name}}}" for name in page)
            raise ValueError(f"title.{language} is {titles[language]!r}; it is filled with the columns of page: {slots}.") from error


def _facts(
    slots: Mapping[str, str], group: Sequence[Row], *, row: str, values: Sequence[str], written: Callable[[float], str], title: str
) -> Iterator[Fact]:
    # a page answers where its title stands, whatever its language: the numbers along the axis are on no other page of that title
    for column in values:
        numbers = [float(one[column]) for one in group]
        for one, number in zip(group, numbers, strict=True):
            yield Fact(
                kind="cell",
                slots={**slots, row: one[row], "title": title, "row": one[row], "column": column, "value": written(number)},
                answer=written(number),
                needs=("title",),
            )
        for kind, end in (("highest", max(numbers)), ("lowest", min(numbers))):
            if numbers.count(end) == 1:
                at = group[numbers.index(end)][row]
                yield Fact(kind=kind, slots={**slots, "title": title, "column": column}, answer=at, needs=("title",))


def drawn(sheet: Sheet, shape: str, *, px: tuple[int, int], colours: Sequence[str]) -> Image:
    """A picture of a sheet."""
    from PIL import Image

    try:
        import matplotlib
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UnitowerError("charts are drawn by matplotlib: pip install 'unitower[bench]'.") from error

    with matplotlib.rc_context({"font.family": _families(), "font.size": 11, "axes.unicode_minus": False}):
        figure = Figure(figsize=(px[0] / DPI, px[1] / DPI), dpi=DPI, facecolor="white", layout="constrained")
        canvas = FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        figure.suptitle(sheet.title, fontsize=15, color="#222222")
        {"bars": _bars, "lying": _lying, "line": _line, "table": _table}[shape](axes, sheet, colours)
        pixels, size = canvas.print_to_buffer()  # type: ignore[no-untyped-call]
    return Image.frombytes("RGBA", size, pixels).convert("RGB")


def _families() -> list[str]:
    """DejaVu Sans, which comes with matplotlib, and a font for every script that it does not write."""
    from matplotlib import font_manager

    known = set(font_manager.get_font_names())
    others = [families for script, families in sorted(render.fonts().items()) if script not in WRITTEN_BY_DEJAVU]
    chosen = ["DejaVu Sans", *(next((family for family in families if family in known), "DejaVu Sans") for families in others)]
    return list(dict.fromkeys(chosen))


def _bars(axes: Axes, sheet: Sheet, colours: Sequence[str]) -> None:
    _sides(axes)
    for place, column in enumerate(sheet.columns):
        numbers = [numbers[place] for numbers in sheet.numbers]
        bars = axes.bar(*_placed(sheet, place), color=colours[place % len(colours)], label=column)
        if sheet.cells <= MOST_LABELLED:
            axes.bar_label(bars, labels=list(map(sheet.written, numbers)), padding=2, fontsize=8.5 if sheet.cells <= 12 else 7.5)
    axes.set_xticks(range(len(sheet.rows)), sheet.rows, rotation=_turned(sheet), ha="right" if _turned(sheet) else "center")
    _named(axes, sheet)


def _lying(axes: Axes, sheet: Sheet, colours: Sequence[str]) -> None:
    _sides(axes, flat=True)
    for place, column in enumerate(sheet.columns):
        at, lengths, width = _placed(sheet, place)
        bars = axes.barh(at, lengths, width, color=colours[place % len(colours)], label=column)
        if sheet.cells <= MOST_LABELLED:
            axes.bar_label(bars, labels=list(map(sheet.written, lengths)), padding=3, fontsize=8.5)
    axes.set_yticks(range(len(sheet.rows)), sheet.rows)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    _named(axes, sheet, flat=True)


def _line(axes: Axes, sheet: Sheet, colours: Sequence[str]) -> None:
    _sides(axes)
    for place, column in enumerate(sheet.columns):
        numbers = [numbers[place] for numbers in sheet.numbers]
        colour = colours[place % len(colours)]
        axes.plot(range(len(sheet.rows)), numbers, color=colour, marker="o", markersize=4, linewidth=1.8, label=column)
        if sheet.cells <= MOST_LABELLED:
            for x, number in enumerate(numbers):
                above = x in (0, len(numbers) - 1) or number >= (numbers[x - 1] + numbers[x + 1]) / 2  # a label in a dent stands below
                axes.annotate(
                    sheet.written(number), (x, number), textcoords="offset points", xytext=(0, 8 if above else -14), ha="center", fontsize=8
                )
    axes.set_xticks(range(len(sheet.rows)), sheet.rows, rotation=_turned(sheet), ha="right" if _turned(sheet) else "center")
    axes.margins(y=0.18)
    _named(axes, sheet)


def _placed(sheet: Sheet, place: int) -> tuple[list[float], list[float], float]:
    """Where the bars of a series stand, how long they are, and their width."""
    each = 0.8 / len(sheet.columns)
    at = [i - 0.4 + each * (place + 0.5) for i in range(len(sheet.rows))]
    return at, [numbers[place] for numbers in sheet.numbers], each * 0.92


def _table(axes: Axes, sheet: Sheet, colours: Sequence[str]) -> None:
    from matplotlib.transforms import Bbox

    axes.set_axis_off()
    cells = [[name, *map(sheet.written, numbers)] for name, numbers in zip(sheet.rows, sheet.numbers, strict=True)]
    heads = [sheet.row, *sheet.columns]
    box = Bbox.from_extents(0.04, 0.02, 0.96, 0.97)
    drawn = axes.table(cells, colLabels=heads, cellLoc="right", colLoc="right", edges="horizontal", bbox=box)
    drawn.auto_set_font_size(False)
    drawn.set_fontsize(11)
    for (line, column), cell in drawn.get_celld().items():
        cell.set_edgecolor("#c8ccd0")
        if column == 0:
            cell.get_text().set_horizontalalignment("left")
        if line == 0:
            cell.set_text_props(color=colours[0])


def _sides(axes: Axes, *, flat: bool = False) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x" if flat else "y", color="#e3e6e8", linewidth=0.8)
    axes.set_axisbelow(True)


def _named(axes: Axes, sheet: Sheet, *, flat: bool = False) -> None:
    """Names of the axes, and of the series where there are several."""
    from matplotlib.ticker import FuncFormatter

    numbers, names = (axes.xaxis, axes.yaxis) if flat else (axes.yaxis, axes.xaxis)
    numbers.set_major_formatter(FuncFormatter(lambda value, _: sheet.written(value)))
    names.set_label_text(sheet.row)
    if len(sheet.columns) == 1:
        numbers.set_label_text(sheet.columns[0])
    else:
        axes.legend(frameon=False, fontsize=9, loc="lower left", bbox_to_anchor=(0, 1), ncols=len(sheet.columns))


def _turned(sheet: Sheet) -> int:
    return 35 if max(map(len, sheet.rows)) > 60 / len(sheet.rows) else 0
