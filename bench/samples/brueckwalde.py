"""Brückwalde (German): a bakery's invoice, its price and allergen list, a fax to the mill, and the library's loans as bars."""

from __future__ import annotations

from io import BytesIO

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib import font_manager
from PIL import Image
from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4, landscape
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, Spacer

from . import fonts, paper, scan

BROWN = "#6b3e1d"

LINES = [  # article, number, unit price in cents, VAT in per cent
    ("Brezeln, frisch", 120, 85, 7),
    ("Butterhörnchen", 60, 145, 7),
    ("Roggenmischbrot 1 kg, geschnitten", 14, 480, 7),
    ("Streuselkuchen, Blech (24 Stück)", 3, 3_900, 7),
    ("Leihgebühr Kaffeemaschine, zwei Tage", 1, 3_500, 19),
]

LOAVES = [  # name, price, weight, contains (letters of the key)
    ("Roggenmischbrot", "4,80 €", "1.000 g", "a b"),
    ("Mühlgrabenlaib (Sauerteig, 24 Stunden)", "6,20 €", "1.500 g", "a b"),
    ("Dinkel-Walnuss-Brot", "5,60 €", "750 g", "c h"),
    ("Kartoffelbrot", "4,40 €", "750 g", "a g"),
    ("Weißbrot im Kasten", "3,10 €", "500 g", "a g"),
    ("Haferkruste", "5,20 €", "750 g", "a d"),
    ("Buchweizenbrot (eigener Ofen, mittwochs)", "6,90 €", "600 g", "keine"),
    ("Sonnendach-Brötchen mit Kernen", "0,75 €", "80 g", "a k"),
    ("Brezel", "0,90 €", "95 g", "a"),
    ("Butterhörnchen", "1,50 €", "65 g", "a e g"),
    ("Mohnschnecke", "2,20 €", "110 g", "a e g"),
    ("Streuselkuchen, das Stück", "1,90 €", "120 g", "a e g"),
    ("Bienenstich", "2,80 €", "140 g", "a e g h"),
    ("Zimtstern-Taler (Oktober bis Januar)", "1,20 €", "30 g", "e h"),
]
KEY = "a Weizen · b Roggen · c Dinkel · d Hafer · e Ei · g Milch · h Schalenfrüchte · k Sesam"


def euros(cents: int) -> str:
    whole, rest = divmod(cents, 100)
    return f"{whole:,}".replace(",", ".") + f",{rest:02d} €"


def bakery_head(canvas: Canvas, *, width: float, top: float) -> None:
    canvas.setFillColor(HexColor(BROWN))
    canvas.setFont("Carlito-Bold", 22)
    canvas.drawString(25 * mm, top - 25 * mm, "Bäckerei Ohlendorf")
    canvas.setFont("Carlito-Italic", 11)
    canvas.drawString(25 * mm, top - 31 * mm, "Brot aus Brückwalde, seit 1926")
    x, y = width - 42 * mm, top - 26 * mm
    canvas.ellipse(x, y, x + 20 * mm, y + 11 * mm, stroke=0, fill=1)
    canvas.setStrokeColor(HexColor("#f3e3c7"))
    canvas.setLineWidth(1.6)
    for i in range(3):
        canvas.line(x + (5 + 4 * i) * mm, y + 3.5 * mm, x + (7 + 4 * i) * mm, y + 8 * mm)


def invoice() -> bytes:
    look = paper.Look(family=fonts.family("Carlito"), colour=BROWN, size_pt=11)
    net = {rate: sum(n * price for _, n, price, vat in LINES if vat == rate) for rate in (7, 19)}
    tax = {rate: round(amount * rate / 100) for rate, amount in net.items()}
    total = sum(net.values()) + sum(tax.values())

    def story() -> list[Flowable]:
        rows = [["Pos.", "Artikel", "Menge", "Einzelpreis", "USt.", "Betrag netto"]]
        for i, (name, number, price, vat) in enumerate(LINES, start=1):
            rows.append([str(i), name, str(number), euros(price), f"{vat} %", euros(number * price)])
        sums = [
            ["Summe netto", euros(sum(net.values()))],
            ["Umsatzsteuer 7 % auf " + euros(net[7]), euros(tax[7])],
            ["Umsatzsteuer 19 % auf " + euros(net[19]), euros(tax[19])],
            ["Rechnungsbetrag", euros(total)],
        ]
        return [
            look.text("<font size='7.5'>Bäckerei Ohlendorf · Mühlgraben 7 · Brückwalde</font>", spaceAfter=2),
            look.text("Sonnendach Brückwalde eG<br/>z. Hd. Frau Silke Hanno<br/>Bahnhofstraße 22<br/>Brückwalde"),
            look.right(
                "Rechnung Nr. <b>2024-0187</b><br/>Kundennummer 1044<br/>Brückwalde, 18. Juni 2024<br/>Lieferdatum: 15. und 16. Juni 2024"
            ),
            Spacer(1, 10),
            look.title("Rechnung", scale=1.7),
            look.text("Sehr geehrte Frau Hanno,"),
            look.text("für die Bewirtung beim Sommerfest auf dem Mühlendach berechnen wir Ihnen wie besprochen:"),
            look.table(rows, widths_mm=[11, 70, 17, 24, 15, 28], numeric=[2, 3, 4, 5]),
            Spacer(1, 6),
            look.table(
                [["", ""], *sums],
                widths_mm=[137, 28],
                numeric=[0, 1],
                total=True,
                stripes=False,
                extra=[("BACKGROUND", (0, 0), (-1, 0), HexColor("#ffffff"))],
            ),
            Spacer(1, 14),
            look.text(
                "Bitte überweisen Sie den Betrag bis zum <b>2. Juli 2024</b> ohne Abzug auf unser Konto bei der Volksbank Mühlental, "
                "Verwendungszweck 2024-0187. Die zwölf geliehenen Körbe holen wir am Freitag wieder ab; einer davon ist der gute mit "
                "dem blauen Band."
            ),
            look.text("Mit freundlichen Grüßen und Dank für die Sonne im Ofen"),
            Spacer(1, 12),
            look.text("<i>Karin Ohlendorf</i>"),
        ]

    def decorate(canvas: Canvas, number: int, total_pages: int) -> None:
        bakery_head(canvas, width=A4[0], top=A4[1])
        canvas.setStrokeColor(HexColor("#c9a983"))
        canvas.line(25 * mm, 22 * mm, A4[0] - 20 * mm, 22 * mm)
        canvas.setFont("Carlito", 8.5)
        canvas.setFillColor(HexColor("#555555"))
        canvas.drawString(25 * mm, 17 * mm, "Inhaberin Karin Ohlendorf, Bäckermeisterin · Steuernummer 012/345/67890")
        canvas.drawString(25 * mm, 13 * mm, "Geöffnet Dienstag bis Samstag 6 bis 13 Uhr, Mittwoch bis 17 Uhr")
        canvas.drawRightString(A4[0] - 20 * mm, 13 * mm, f"Seite {number} von {total_pages}")

    return paper.document(
        story,
        title="Rechnung 2024-0187",
        author="Bäckerei Ohlendorf",
        language="de",
        margins_mm=(48, 20, 30, 25),
        decorate=decorate,
    )


def price_list() -> bytes:
    look = paper.Look(family=fonts.family("Carlito"), colour=BROWN, size_pt=12.5)
    size = landscape(A4)

    def story() -> list[Flowable]:
        letters = ["a", "b", "c", "d", "e", "g", "h", "k"]
        rows = [["Ware", "Gewicht", "Preis", *letters]]
        for name, price, weight, contains in LOAVES:
            rows.append([name, weight, price, *("×" if letter in contains.split() else "" for letter in letters)])
        return [
            look.title("Preise und Allergene, gültig ab 1. September 2024", scale=1.7),
            look.table(
                rows,
                widths_mm=[96, 26, 24, *([13] * 8)],
                numeric=[1, 2],
                centred=range(3, 11),
                extra=[("LINEBEFORE", (3, 1), (-1, -1), 0.4, HexColor("#dddddd"))],
            ),
            Spacer(1, 8),
            look.text(f"<b>Zeichen:</b> {KEY}", scale=0.95),
            look.text(
                "In unserer Backstube wird mit Weizenmehl und Nüssen gearbeitet; Spuren lassen sich nirgends ganz vermeiden. Das "
                "Buchweizenbrot backen wir mittwochs als Erstes, im kleinen Ofen, auf eigenen Blechen. Wer es ganz genau wissen muss, "
                "fragt bitte Herrn Yıldız in der Backstube.",
                scale=0.95,
            ),
        ]

    def decorate(canvas: Canvas, number: int, total: int) -> None:
        bakery_head(canvas, width=size[0], top=size[1])

    return paper.document(
        story,
        title="Preise und Allergene",
        author="Bäckerei Ohlendorf",
        language="de",
        size=size,
        margins_mm=(40, 20, 12, 25),
        decorate=decorate,
    )


def fax_to_the_mill() -> bytes:
    typed = fonts.single("Mono")
    fonts.single("Mono-Bold")

    def header(canvas: Canvas, number: int) -> None:
        canvas.setFont("Mono", 9)
        canvas.drawString(
            15 * mm, A4[1] - 10 * mm, "07-11-2024 04:52   VON: BAECKEREI OHLENDORF   AN: HEIDEMUEHLE   S. " + f"{number:02d}/02"
        )

    def first(canvas: Canvas) -> None:
        header(canvas, 1)
        canvas.setFont("Mono-Bold", 30)
        canvas.drawString(25 * mm, A4[1] - 40 * mm, "FAX")
        canvas.setFont(typed, 12)
        lines = [
            "An:      Heidemühle, Frau Wiebke Thorn",
            "Von:     Karin Ohlendorf, Bäckerei Ohlendorf",
            "Datum:   7. November 2024",
            "Seiten:  2",
            "Betreff: Mehl für die Weihnachtszeit",
            "",
            "Liebe Wiebke,",
            "",
            "wie jedes Jahr bin ich zu spät und wie jedes Jahr hilfst du",
            "mir hoffentlich trotzdem. Bitte liefere bis Donnerstag, den",
            "21. November, was auf der nächsten Seite steht. Der Hof ist",
            "wegen der Kanalarbeiten gesperrt, der Wagen kommt nur von der",
            "Gerbergasse her durch.",
            "",
            "Das Roggenmehl vom letzten Mal war ein wenig feucht. Es ist",
            "kein Schaden entstanden, aber sieh doch einmal nach dem Silo.",
            "",
            "Die leeren Säcke (43 Stück) nimmt dein Fahrer gleich mit.",
            "",
            "Herzlich",
        ]
        for i, line in enumerate(lines):
            canvas.drawString(25 * mm, A4[1] - (62 + 7.2 * i) * mm, line)
        canvas.setFont(fonts.single("Signature"), 30)
        canvas.drawString(25 * mm, A4[1] - 222 * mm, "Karin O.")

    def second(canvas: Canvas) -> None:
        header(canvas, 2)
        canvas.setFont("Mono-Bold", 16)
        canvas.drawString(25 * mm, A4[1] - 40 * mm, "Bestellung zur Lieferung am 21. November 2024")
        rows = [
            ("Ware", "Sack zu", "Säcke"),
            ("Weizenmehl Type 550", "25 kg", "36"),
            ("Roggenmehl Type 1150", "25 kg", "22"),
            ("Dinkelmehl Type 630", "25 kg", "8"),
            ("Buchweizenmehl", "10 kg", "5"),
            ("Haferflocken, grob", "20 kg", "3"),
            ("Roggenschrot", "25 kg", "4"),
        ]
        for i, (ware, sack, number) in enumerate(rows):
            y = A4[1] - (60 + 12 * i) * mm
            canvas.setFont("Mono-Bold" if i == 0 else "Mono", 13)
            canvas.drawString(28 * mm, y, ware)
            canvas.drawString(112 * mm, y, sack)
            canvas.drawRightString(170 * mm, y, number)
            canvas.line(25 * mm, y - 4 * mm, 175 * mm, y - 4 * mm)
        canvas.setFont(typed, 12)
        canvas.drawString(25 * mm, A4[1] - 160 * mm, "Zusammen 78 Säcke. Preis wie vereinbart, 3 % Skonto.")
        canvas.setFont(fonts.single("Hand"), 24)
        canvas.drawString(30 * mm, A4[1] - 182 * mm, "bitte NICHT vor 5 Uhr, die Nachbarn!")

    pdf = paper.drawn([first, second], title="", author="", language="de")
    sheets = scan.rendered(pdf, dpi=130)
    return scan.fax([sheet.rotate((0.4, -0.3)[i], Image.Resampling.BICUBIC, fillcolor=(255, 255, 255)) for i, sheet in enumerate(sheets)])


def loans_chart() -> bytes:
    """Loans of the town library by year, paper and electronic side by side."""
    font_manager.fontManager.addfont(fonts.file("OpenSans"))
    font_manager.fontManager.addfont(fonts.file("OpenSans", "Bold"))
    years = [2019, 2020, 2021, 2022, 2023, 2024]
    books = [48.2, 29.7, 31.4, 40.9, 43.6, 45.1]
    electronic = [6.3, 14.8, 16.2, 13.5, 13.9, 15.7]
    with plt.rc_context({"font.family": "Open Sans", "axes.spines.top": False, "axes.spines.right": False, "font.size": 11}):
        figure, axes = plt.subplots(figsize=(8, 5), dpi=100)
        for shift, values, colour, label in (
            (-0.2, books, "#8c2f39", "Bücher und Zeitschriften"),
            (0.2, electronic, "#d9a05b", "E-Medien"),
        ):
            bars = axes.bar([i + shift for i in range(6)], values, 0.38, color=colour, label=label)
            axes.bar_label(bars, [f"{v:.1f}".replace(".", ",") for v in values], padding=2, fontsize=9.5)
        axes.set_xticks(range(6), [str(year) for year in years])
        axes.set_ylabel("Ausleihen in Tausend")
        axes.set_ylim(0, 58)
        axes.set_title("Stadtbücherei Brückwalde: Ausleihen 2019 bis 2024", loc="left", fontweight="bold", fontsize=14, pad=26)
        axes.text(0, 1.03, "2020 war das Haus elf Wochen geschlossen", transform=axes.transAxes, color="#555555")
        axes.legend(frameon=False, ncols=2, loc="upper right")
        out = BytesIO()
        figure.savefig(out, format="png", bbox_inches="tight", pad_inches=0.25, metadata={"Software": None})
        plt.close(figure)
    return scan.png(Image.open(out), levels=32)


DOCUMENTS = {
    "brueckwalde/rechnung-2024-0187.pdf": invoice,
    "brueckwalde/preise-und-allergene.pdf": price_list,
    "brueckwalde/fax-heidemuehle.tiff": fax_to_the_mill,
    "brueckwalde/ausleihen-2019-2024.png": loans_chart,
}
