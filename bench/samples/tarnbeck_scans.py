"""Tarnbeck: what came through the scanner (a form filled in by hand, an old lease), and a chart somebody made for a meeting."""

from __future__ import annotations

from io import BytesIO

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib import font_manager
from PIL import Image
from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas

from . import fonts, paper, scan

PEN = HexColor("#1b2a6b")


def written(canvas: Canvas, words: str, x: float, y: float, *, size: float = 17, slant: float = 1.2, hand: str = "Hand") -> None:
    """Handwriting: each word rises or falls a little from the line, always in the same way for the same words."""
    canvas.setFillColor(PEN)
    canvas.setFont(fonts.single(hand), size)
    for i, word in enumerate(words.split(" ")):
        canvas.saveState()
        canvas.translate(x, y + ((len(word) * 7 + i * 5) % 5 - 2) * 0.35)
        canvas.rotate(slant)
        canvas.drawString(0, 0, word)
        canvas.restoreState()
        x += canvas.stringWidth(word + " ", hand, size) + 1.5


def membership_form() -> bytes:
    look = paper.Look(family=fonts.family("Carlito"), size_pt=11)
    left, width = 22 * mm, A4[0]

    def field(canvas: Canvas, label: str, value: str, y: float, *, x: float = left, wide: float = 166 * mm, size: float = 17) -> None:
        canvas.setFillColor(HexColor("#222222"))
        canvas.setFont("Carlito", 10)
        canvas.drawString(x, y + 11 * mm, label)
        canvas.setStrokeColor(HexColor("#777777"))
        canvas.setLineWidth(0.7)
        canvas.rect(x, y, wide, 9.5 * mm)
        written(canvas, value, x + 3 * mm, y + 2.8 * mm, size=size)

    def box(canvas: Canvas, label: str, y: float, *, x: float, ticked: bool) -> None:
        canvas.setStrokeColor(HexColor("#333333"))
        canvas.rect(x, y, 4.5 * mm, 4.5 * mm)
        canvas.setFillColor(HexColor("#222222"))
        canvas.setFont("Carlito", 11)
        canvas.drawString(x + 7 * mm, y + 1 * mm, label)
        if ticked:
            canvas.setStrokeColor(PEN)
            canvas.setLineWidth(1.6)
            canvas.lines([(x + 1 * mm, y + 2.5 * mm, x + 2.2 * mm, y + 0.6 * mm), (x + 2.2 * mm, y + 0.6 * mm, x + 6 * mm, y + 6.5 * mm)])
            canvas.setLineWidth(0.7)

    def page(canvas: Canvas) -> None:
        top = A4[1]
        canvas.setFillColor(HexColor("#222222"))
        canvas.setFont("Carlito-Bold", 22)
        canvas.drawString(left, top - 28 * mm, "Application for membership")
        canvas.setFont("Carlito", 11)
        canvas.drawString(left, top - 35 * mm, "Tarnbeck Community Energy Ltd · 4 Wharf Lane · Tarnbeck")
        canvas.setFont("Carlito-Italic", 10)
        canvas.drawRightString(width - left, top - 28 * mm, "Form M1, please use block letters")
        canvas.setLineWidth(1.2)
        canvas.line(left, top - 39 * mm, width - left, top - 39 * mm)

        y = top - 64 * mm
        field(canvas, "Full name", "Ruth Pemberton", y, wide=110 * mm)
        field(canvas, "Date of birth", "9 / 6 / 1957", y, x=left + 116 * mm, wide=50 * mm)
        field(canvas, "Address", "The Old Signal Box, 14 Fell Road, Tarnbeck", y - 20 * mm)
        field(canvas, "Telephone", "01632 960 172", y - 40 * mm, wide=70 * mm)
        field(canvas, "E-mail", "none, please write", y - 40 * mm, x=left + 76 * mm, wide=90 * mm)
        field(canvas, "I apply for shares to the value of (minimum £100)", "£ 250", y - 60 * mm, wide=70 * mm, size=20)
        field(canvas, "in words", "two hundred and fifty pounds", y - 60 * mm, x=left + 76 * mm, wide=90 * mm)

        canvas.setFillColor(HexColor("#222222"))
        canvas.setFont("Carlito-Bold", 11)
        canvas.drawString(left, y - 74 * mm, "I pay by")
        box(canvas, "bank transfer", y - 82 * mm, x=left, ticked=False)
        box(canvas, "cheque", y - 82 * mm, x=left + 45 * mm, ticked=True)
        box(canvas, "cash, at the office", y - 82 * mm, x=left + 82 * mm, ticked=False)
        canvas.setFillColor(HexColor("#222222"))
        canvas.setFont("Carlito-Bold", 11)
        canvas.drawString(left, y - 94 * mm, "I can help with")
        for i, (label, ticked) in enumerate(
            (("cleaning panels", False), ("reading meters", True), ("making soup", True), ("accounts", False))
        ):
            box(canvas, label, y - 102 * mm, x=left + i * 42 * mm, ticked=ticked)
        paper.paragraph(
            canvas,
            look.text(
                "I have read the rules of the society. I understand that shares cannot be sold, only withdrawn with the consent of the "
                "board, and that every member has one vote whatever the number of shares.",
                scale=0.95,
            ),
            left,
            y - 110 * mm,
            166 * mm,
        )
        canvas.setStrokeColor(HexColor("#777777"))
        canvas.line(left, y - 142 * mm, left + 60 * mm, y - 142 * mm)
        canvas.line(left + 76 * mm, y - 142 * mm, left + 166 * mm, y - 142 * mm)
        canvas.setFont("Carlito", 9)
        canvas.setFillColor(HexColor("#222222"))
        canvas.drawString(left, y - 147 * mm, "Date")
        canvas.drawString(left + 76 * mm, y - 147 * mm, "Signature")
        written(canvas, "2 March 2024", left + 4 * mm, y - 140 * mm)
        written(canvas, "R. Pemberton", left + 90 * mm, y - 140 * mm, size=26, slant=3, hand="Signature")

        canvas.setStrokeColor(HexColor("#777777"))
        canvas.setDash(2, 2)
        canvas.rect(left, 18 * mm, 166 * mm, 22 * mm)
        canvas.setDash()
        canvas.setFont("Carlito-Bold", 9)
        canvas.setFillColor(HexColor("#222222"))
        canvas.drawString(left + 3 * mm, 34 * mm, "For the office")
        canvas.setFont("Carlito", 10)
        canvas.drawString(left + 3 * mm, 24 * mm, "Member no.")
        canvas.drawString(left + 62 * mm, 24 * mm, "Received")
        canvas.drawString(left + 118 * mm, 24 * mm, "Initials")
        written(canvas, "0399", left + 24 * mm, 23.5 * mm, size=19)
        written(canvas, "5/3/24", left + 80 * mm, 23.5 * mm)
        written(canvas, "FA", left + 133 * mm, 23.5 * mm, size=21, hand="Signature")

    pdf = paper.drawn([page], title="Application for membership", author="", language="en-GB")
    sheet = scan.rendered(pdf, dpi=120)[0]
    return scan.jpeg(scan.scanned(sheet, seed=1, angle=0.7, noise=3.5, fold=0.5), quality=50, dpi=120)


def barn_lease() -> bytes:
    """Two typewritten pages, scanned into a PDF without a text layer."""
    typed = fonts.single("Typewriter")
    look = paper.Look(family=typed, size_pt=10.5, colour="#000000")

    def text(canvas: Canvas, blocks: list[str], top: float) -> float:
        for block in blocks:
            top = paper.paragraph(canvas, look.text(block, leading=16.5), 26 * mm, top, 158 * mm) - 4.2 * mm
        return top

    def first(canvas: Canvas) -> None:
        canvas.setFont(typed, 14)
        canvas.drawCentredString(A4[0] / 2, A4[1] - 34 * mm, "LEASE OF A ROOF")
        text(
            canvas,
            [
                "between Edith and Robert Hodgson of Ings Farm, Tarnbeck, called the Owners, and Tarnbeck Community Energy Ltd, called "
                "the Society.",
                "1. The Owners let to the Society the southern slope of the roof of the great barn, 212 square metres, for the making of "
                "electricity from sunlight, and for nothing else.",
                "2. The lease begins on 1 April 2017 and runs for twenty-five years.",
                "3. The rent is 390 pounds a year, payable on Lady Day. It rises every fifth year with the price of a pint of milk at the "
                "Co-operative shop in Market Street, as found by both parties together.",
                "4. The Owners may use, free of charge, whatever the barn needs while it is being made: light, the milking parlour, and "
                "one kettle.",
                "5. The Society shall not walk upon the roof between 1 March and 31 July without asking, on account of the swallows.",
                "6. Should a storm carry off any part of the works, the Society shall fetch it back at its own cost, from wherever it "
                "lies.",
            ],
            A4[1] - 46 * mm,
        )
        canvas.setFont(typed, 9)
        canvas.drawCentredString(A4[0] / 2, 16 * mm, "- 1 -")

    def second(canvas: Canvas) -> None:
        top = text(
            canvas,
            [
                "7. The Owners shall not plant within thirty metres of the southern wall any tree that grows taller than the eaves. The "
                "damson is exempt.",
                "8. If the barn is sold, this lease goes with it. The Society is to be asked first whether it wishes to buy.",
                "9. At the end of the term the Society takes down its works within ninety days and leaves the roof as dry as it was found. "
                "Photographs of the slates, taken on 14 March 2017, are annexed in an envelope.",
                "10. A quarrel about this lease is first to be brought before the vicar and the postmistress, sitting together; and "
                "only then before the court.",
                "Signed in two copies at Tarnbeck, this 20th day of March 2017.",
            ],
            A4[1] - 34 * mm,
        )
        for i, (name, role) in enumerate((("E. Hodgson", "Owner"), ("R. Hodgson", "Owner"), ("W. Hale", "for the Society"))):
            y = top - (24 + 26 * i) * mm
            canvas.setStrokeColor(HexColor("#000000"))
            canvas.line(26 * mm, y, 106 * mm, y)
            canvas.setFillColor(HexColor("#000000"))
            canvas.setFont(typed, 10)
            canvas.drawString(112 * mm, y, role)
            written(canvas, name, 34 * mm, y + 2 * mm, size=24, slant=2 + i, hand="Signature")
        canvas.setFillColor(HexColor("#000000"))
        canvas.setFont(typed, 9)
        canvas.drawCentredString(A4[0] / 2, 16 * mm, "- 2 -")

    pdf = paper.drawn([first, second], title="", author="", language="en-GB")
    sheets = scan.rendered(pdf, dpi=120)
    grey = [scan.scanned(sheet, seed=20 + i, angle=(-0.5, 0.9)[i], noise=3, stains=2 * i) for i, sheet in enumerate(sheets)]
    return scan.image_pdf(grey, quality=42, dpi=120)


def pool_load_chart() -> bytes:
    """Line chart of one Saturday at the Swimming Baths: what the building drew and what the roof gave."""
    font_manager.fontManager.addfont(fonts.file("Lato"))
    font_manager.fontManager.addfont(fonts.file("Lato", "Bold"))
    hours = np.arange(0, 24.01, 0.25)
    roof = 37 * np.clip(np.sin((hours - 4.6) / 16.2 * np.pi), 0, None) ** 1.3 * np.where((hours > 4.6) & (hours < 20.8), 1, 0)
    roof *= 1 - 0.45 * np.exp(-(((hours - 14.2) / 0.5) ** 2))
    load = 11 + 9 * (hours > 6) * (hours < 21.5) + 14 * np.exp(-(((hours - 7.3) / 0.9) ** 2)) + 19 * np.exp(-(((hours - 18.6) / 1.6) ** 2))
    with plt.rc_context({"font.family": "Lato", "axes.spines.top": False, "axes.spines.right": False, "font.size": 11}):
        figure, axes = plt.subplots(figsize=(8.4, 4.8), dpi=100)
        axes.fill_between(hours, np.minimum(roof, load), color="#f7d08a", linewidth=0, label="used on the spot")
        axes.plot(hours, load, color="#24435c", linewidth=2.2, label="the building drew")
        axes.plot(hours, roof, color="#e08e0b", linewidth=2.2, label="the roof gave")
        axes.annotate("one cloud", (14.2, roof[57]), (15.2, 6.2), arrowprops={"arrowstyle": "-", "color": "#666666"}, color="#444444")
        axes.annotate("evening swim: 39 kW", (18.6, load.max()), (19.6, 41.5), color="#24435c")
        axes.set_xlim(0, 24)
        axes.set_ylim(0, 45)
        axes.set_xticks(range(0, 25, 3), [f"{h}:00" for h in range(0, 25, 3)])
        axes.set_ylabel("Power (kW)")
        axes.set_title("Swimming Baths, Saturday 22 June 2024", loc="left", fontweight="bold", fontsize=15, color="#24435c", pad=14)
        axes.grid(axis="y", color="#dddddd", linewidth=0.7)
        axes.legend(frameon=False, loc="upper left")
        out = BytesIO()
        figure.savefig(out, format="png", bbox_inches="tight", pad_inches=0.25, metadata={"Software": None})
        plt.close(figure)
    return scan.png(Image.open(out), levels=48)


DOCUMENTS = {
    "tarnbeck/membership-form-pemberton.jpg": membership_form,
    "tarnbeck/lease-ings-farm-scan.pdf": barn_lease,
    "tarnbeck/swimming-baths-22-june.png": pool_load_chart,
}
