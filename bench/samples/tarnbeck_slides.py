"""Tarnbeck: slides of a talk about shared batteries, seven of them, wide format."""

from __future__ import annotations

from collections.abc import Callable

from reportlab.lib.colors import HexColor, white
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas

from . import fonts, paper

SIZE = (254 * mm, 142.875 * mm)
INK, GREEN, SUN, PALE = "#1d2d35", "#2f6b5e", "#f2a541", "#eef4f1"


def shared_battery() -> bytes:
    width, height = SIZE
    left = 18 * mm
    look = paper.Look(family=fonts.family("OpenSans"), colour=INK, size_pt=20)

    def frame(number: int, heading: str) -> Callable[[Canvas], None]:
        def draw(canvas: Canvas) -> None:
            canvas.setFillColor(HexColor(GREEN))
            canvas.rect(0, height - 5 * mm, width, 5 * mm, stroke=0, fill=1)
            canvas.setFillColor(HexColor(INK))
            canvas.setFont("OpenSans-Bold", 27)
            canvas.drawString(left, height - 24 * mm, heading)
            canvas.setFont("OpenSans", 9)
            canvas.setFillColor(HexColor("#6b7a80"))
            canvas.drawString(left, 8 * mm, "Fern Atkinson · Small Suns meeting, Colmirto, 12 October 2024")
            canvas.drawRightString(width - left, 8 * mm, f"{number} / 7")

        return draw

    def points(canvas: Canvas, lines: list[str], *, top: float, x: float = left, wide: float = 218 * mm, size: float = 1.0) -> None:
        for line in lines:
            canvas.setFillColor(HexColor(SUN))
            canvas.circle(x + 2 * mm, top - 5.2 * mm * size, 1.5 * mm, stroke=0, fill=1)
            words = look.text(line, textColor=HexColor(INK), scale=size)
            top = paper.paragraph(canvas, words, x + 8 * mm, top, wide - 8 * mm) - 5 * mm

    def title(canvas: Canvas) -> None:
        canvas.setFillColor(HexColor(GREEN))
        canvas.rect(0, 0, width, height, stroke=0, fill=1)
        canvas.setFillColor(HexColor("#3c8072"))
        for i in range(4):
            canvas.roundRect(width - 92 * mm, (22 + 24 * i) * mm, 68 * mm, 19 * mm, 4 * mm, stroke=0, fill=1)
        canvas.setFillColor(HexColor(SUN))
        for i, share in enumerate((1.0, 0.85, 0.55, 0.2)):
            canvas.roundRect(width - 90 * mm, (24 + 24 * i) * mm, 64 * mm * share, 15 * mm, 3 * mm, stroke=0, fill=1)
        canvas.setFillColor(white)
        canvas.setFont("OpenSans-Bold", 36)
        canvas.drawString(left, height - 52 * mm, "A battery in")
        canvas.drawString(left, height - 67 * mm, "the basement")
        canvas.setFont("OpenSans", 19)
        canvas.drawString(left, height - 82 * mm, "One each, or one for the street?")
        canvas.setFont("OpenSans", 12)
        canvas.drawString(left, 22 * mm, "Fern Atkinson, Tarnbeck Community Energy")
        canvas.drawString(left, 15 * mm, "Small Suns meeting, Colmirto, 12 October 2024")

    def trial(canvas: Canvas) -> None:
        frame(2, "What we tried")(canvas)
        points(
            canvas,
            [
                "Weir Street, Tarnbeck: 23 households, 14 of them with panels",
                "March to August 2023: a battery of 5 kWh in every house",
                "March to August 2024: one battery of 60 kWh in the chapel",
                "Same meters, same people, two rather different summers",
            ],
            top=height - 38 * mm,
        )

    def result(canvas: Canvas) -> None:
        frame(3, "The shared one works harder")(canvas)
        chart_left, base, tall = 74 * mm, 30 * mm, 62 * mm
        rows = [("Own solar power used", 61, 78), ("Full cycles a month", 13, 24), ("Nights without the grid", 40, 67)]
        for i, (name, each, shared) in enumerate(rows):
            y = base + tall - i * 25 * mm
            canvas.setFillColor(HexColor(INK))
            canvas.setFont("OpenSans", 13)
            canvas.drawRightString(chart_left - 4 * mm, y - 1 * mm, name)
            for j, (value, colour) in enumerate(((each, "#a9bdb6"), (shared, GREEN))):
                canvas.setFillColor(HexColor(colour))
                canvas.rect(chart_left, y + 1.5 * mm - j * 9 * mm, value * 1.55 * mm, 7.5 * mm, stroke=0, fill=1)
                canvas.setFillColor(HexColor(INK))
                canvas.setFont("OpenSans-Bold", 12)
                unit = "" if i == 1 else " %"
                canvas.drawString(chart_left + value * 1.55 * mm + 2 * mm, y + 3.6 * mm - j * 9 * mm, f"{value}{unit}")
        canvas.setFont("OpenSans", 11)
        for i, (name, colour) in enumerate((("one each, 2023", "#a9bdb6"), ("shared, 2024", GREEN))):
            canvas.setFillColor(HexColor(colour))
            canvas.rect(width - 60 * mm, (36 + 8 * (1 - i)) * mm, 5 * mm, 5 * mm, stroke=0, fill=1)
            canvas.setFillColor(HexColor(INK))
            canvas.drawString(width - 52 * mm, (37 + 8 * (1 - i)) * mm, name)

    def why(canvas: Canvas) -> None:
        frame(4, "Why? Nobody cooks at the same time")(canvas)
        points(
            canvas,
            [
                "A house draws 7 kW at supper and 0.2 kW an hour later",
                "Twenty-three houses together never drew more than 31 kW",
                "The night nurse sleeps while the baker bakes",
                "A small battery is full by eleven in May. The big one never was",
            ],
            top=height - 38 * mm,
        )

    def money(canvas: Canvas) -> None:
        frame(5, "What it costs")(canvas)
        table = look.table(
            [
                ["", "23 small batteries", "One shared battery"],
                ["Battery and inverter", "£82,800", "£27,400"],
                ["Cellar, cables, meters", "£4,600", "£11,900"],
                ["Fire doors and detector", "none required", "£3,150"],
                ["Per household", "£3,800", "£1,846"],
            ],
            widths_mm=[78, 70, 70],
            numeric=[1, 2],
            total=True,
            scale=0.8,
        )
        table.wrapOn(canvas, width, height)
        table.drawOn(canvas, left, 54 * mm)
        paper.paragraph(
            canvas,
            look.text(
                "The shared battery pays for itself in nine years, the small ones in seventeen.", textColor=HexColor(GREEN), scale=0.85
            ),
            left,
            44 * mm,
            218 * mm,
        )

    def trouble(canvas: Canvas) -> None:
        frame(6, "What went wrong")(canvas)
        points(
            canvas,
            [
                "The insurer wanted a fire door; the chapel's is oak, of 1871",
                "Two households did not trust the meter. We read it aloud at the pub every Friday until they did",
                "The fan hummed through the hymns: now it stops from ten to noon on Sundays",
                "The grid operator needed seven months to answer one letter",
            ],
            top=height - 38 * mm,
        )

    def end(canvas: Canvas) -> None:
        frame(7, "If your street wants one")(canvas)
        canvas.setFillColor(HexColor(PALE))
        canvas.roundRect(left - 4 * mm, 24 * mm, width - 2 * left + 8 * mm, 84 * mm, 4 * mm, stroke=0, fill=1)
        points(
            canvas,
            [
                "Count 2.5 kWh per household, not 5",
                "Find a dry cellar first and a battery second",
                "Ask the grid operator before you ask the neighbours",
                "Write down who pays when somebody moves away",
                "Borrow our contract: it has survived two solicitors",
            ],
            top=height - 40 * mm,
        )

    return paper.drawn(
        [title, trial, result, why, money, trouble, end],
        title="A battery in the basement: one each, or one for the street?",
        author="Fern Atkinson",
        language="en-GB",
        size=SIZE,
    )


DOCUMENTS = {"tarnbeck/shared-battery-slides.pdf": shared_battery}
