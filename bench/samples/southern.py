"""Robledal (Spanish), Colmirto (Italian) and the island of Astraia (Greek): walks, a budget, a recipe, a receipt, a ferry."""

from __future__ import annotations

from io import BytesIO

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib import font_manager
from PIL import Image
from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4, A5
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, PageBreak, Spacer

from . import fonts, paper, scan

OLIVE, SEA, TOMATO = "#5b6b2f", "#15527a", "#a63a2b"

WALKS = [  # date, walk, km, metres up, grade, guide, meeting place and hour
    ("19 ene", "Senda del Molino y la Fuente Helada", "9,2", "210", "Fácil", "Nuria Escalante", "Plaza, 9:30"),
    ("2 feb", "Cuerda de los Neveros (con raquetas)", "11,5", "540", "Media", "Íñigo Salcedo", "Plaza, 8:30"),
    ("16 feb", "Cañada Real hasta la Venta Quemada", "17,8", "330", "Media", "Pilar Bustos", "Estación, 8:00"),
    ("9 mar", "Robledal de Arriba, árboles monumentales", "7,4", "160", "Fácil", "Nuria Escalante", "Ermita, 10:00"),
    ("23 mar", "Barranco del Gavilán", "13,1", "620", "Difícil", "Íñigo Salcedo", "Plaza, 8:00"),
    ("6 abr", "Vuelta a la Laguna Cárdena", "15,6", "480", "Media", "Teo Marquina", "Refugio, 9:00"),
    ("27 abr", "Los almendros de Villaseca", "10,3", "190", "Fácil", "Pilar Bustos", "Estación, 9:30"),
    ("11 may", "Pico de la Cabra Tuerta (2.084 m)", "18,9", "1.120", "Difícil", "Teo Marquina", "Refugio, 7:00"),
    ("25 may", "Noche de luciérnagas en el río Tejo", "5,0", "60", "Fácil", "Adela Quirós", "Puente, 21:30"),
    ("8 jun", "Travesía Robledal – Puerto Hondo", "22,4", "940", "Difícil", "Íñigo Salcedo", "Plaza, 6:30"),
    ("22 jun", "Pozas del Tejo, baño y merienda", "8,1", "140", "Fácil", "Adela Quirós", "Puente, 10:00"),
]

FERRIES = {  # weekday: sailings from Astraia, then sailings to Astraia
    "Δευτέρα": ("06:40 · 14:15", "10:20 · 18:05"),
    "Τρίτη": ("06:40 · 14:15", "10:20 · 18:05"),
    "Τετάρτη": ("06:40", "18:05"),
    "Πέμπτη": ("06:40 · 14:15", "10:20 · 18:05"),
    "Παρασκευή": ("06:40 · 14:15 · 19:30", "10:20 · 17:10 · 22:45"),
    "Σάββατο": ("08:10 · 16:00", "11:30 · 19:40"),
    "Κυριακή και αργίες": ("09:25 · 20:50", "12:35 · 23:15"),
}


def walks_table() -> bytes:
    look = paper.Look(family=fonts.family("NotoSans"), colour=OLIVE, size_pt=11)

    def story() -> list[Flowable]:
        head = ["Fecha", "Ruta", "km", "Desnivel (m)", "Nivel", "Guía", "Salida"]
        return [
            look.text("Club de Senderismo La Cabra Tuerta · Robledal de la Sierra", textColor=HexColor("#666666"), scale=0.95),
            look.title("Calendario de rutas, enero a junio de 2025", scale=2.0),
            look.text(
                "Once salidas, de la más tranquila a la que hace temblar las piernas. Las rutas se hacen con lluvia; con tormenta, no. "
                "La decisión se publica a las siete de la tarde del día anterior en la puerta de la panadería."
            ),
            look.table([head, *map(list, WALKS)], widths_mm=[17, 57, 12, 19, 17, 28, 26], numeric=[2, 3], scale=0.8),
            Spacer(1, 8),
            look.heading("Niveles"),
            look.text("<b>Fácil:</b> menos de 300 metros de subida, caminos anchos, apta para niñas y niños desde seis años."),
            look.text("<b>Media:</b> hasta 600 metros de subida o más de quince kilómetros; hacen falta botas."),
            look.text("<b>Difícil:</b> más de 600 metros de subida, tramos sin sendero; se pide haber hecho antes dos rutas medias."),
            look.heading("Inscripción"),
            look.text(
                "Hasta el jueves anterior, en la biblioteca o por teléfono con Adela Quirós. Quince plazas por ruta; veinticinco en la "
                "noche de luciérnagas. Socios, gratis; los demás, 4 euros, que incluyen el seguro. Los perros vienen con correa, salvo "
                "al Barranco del Gavilán, donde anida el buitre."
            ),
        ]

    return paper.document(
        story,
        title="Calendario de rutas 2025",
        author="Club de Senderismo La Cabra Tuerta",
        language="es",
        margins_mm=(20, 17, 22, 17),
        decorate=paper.footer(
            look, "La Cabra Tuerta · calendario del primer semestre de 2025", lambda n, total: f"{n} / {total}", margin_mm=17
        ),
    )


def budget_pie() -> bytes:
    """What the walking club spent its money on, as a pie."""
    for style in ("Regular", "Bold"):
        font_manager.fontManager.addfont(fonts.file("Carlito", style))
    shares = [
        ("Refugio: tejado y estufa", 3_420),
        ("Seguros", 1_960),
        ("Autobuses", 1_540),
        ("Señales y pintura", 780),
        ("Botiquines", 410),
    ]
    shares += [("Merienda de junio", 290)]
    total = sum(v for _, v in shares)
    with plt.rc_context({"font.family": "Carlito", "font.size": 13}):
        figure, axes = plt.subplots(figsize=(8, 5.4), dpi=100)
        wedges, _, numbers = axes.pie(
            [v for _, v in shares],
            colors=["#5b6b2f", "#a3ad6c", "#d9b95b", "#c77d3a", "#8c4a2f", "#5a3a31"],
            startangle=90,
            counterclock=False,
            autopct=lambda percent: f"{percent:.0f} %",
            pctdistance=0.78,
            wedgeprops={"edgecolor": "white", "linewidth": 2, "width": 0.55},
        )
        for number in numbers:
            number.set_color("white")
            number.set_fontweight("bold")
        axes.text(0, 0, f"{total:,} €".replace(",", "."), ha="center", va="center", fontsize=22, fontweight="bold")
        axes.legend(
            wedges, [f"{n}: {v:,} €".replace(",", ".") for n, v in shares], loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False
        )
        axes.set_title("La Cabra Tuerta: gastos del año 2024", fontweight="bold", fontsize=17, loc="left", pad=10)
        out = BytesIO()
        figure.savefig(out, format="png", bbox_inches="tight", pad_inches=0.25, metadata={"Software": None})
        plt.close(figure)
    return scan.png(Image.open(out), levels=40)


def focaccia_card() -> bytes:
    look = paper.Look(family=fonts.family("Garamond"), colour=TOMATO, size_pt=13.8)
    width, height = A5

    def front(canvas: Canvas) -> None:
        canvas.setFillColor(HexColor("#fbf4e6"))
        canvas.rect(0, 0, width, height, stroke=0, fill=1)
        canvas.setStrokeColor(HexColor(TOMATO))
        canvas.setLineWidth(1.4)
        canvas.rect(8 * mm, 8 * mm, width - 16 * mm, height - 16 * mm)
        left, wide = 16 * mm, width - 32 * mm
        y = paper.paragraph(canvas, look.centred("<i>Forno Zanetti, Colmirto</i>"), left, height - 15 * mm, wide)
        y = paper.paragraph(canvas, look.title("Focaccia di Colmirto con le patate", scale=1.7, alignment=1), left, y - 2 * mm, wide)
        y = paper.paragraph(canvas, look.centred("per una teglia di 30 × 40 cm · otto persone · tre ore e mezza"), left, y - 2 * mm, wide)
        columns = (
            ["500 g di farina 0", "200 g di patate lesse", "320 g d’acqua tiepida", "12 g di lievito di birra"],
            ["60 g d’olio d’oliva", "11 g di sale fino", "sale grosso, rosmarino", "una cipolla rossa (facoltativa)"],
        )
        lowest = y
        for i, column in enumerate(columns):
            bottom = y - 4 * mm
            for line in column:
                bottom = paper.paragraph(canvas, look.text(f"– {line}", spaceAfter=0), left + i * 58 * mm, bottom, 58 * mm)
            lowest = min(lowest, bottom)
        y = lowest - 3 * mm
        for i, step in enumerate(
            (
                "Schiacciate le patate ancora calde e lasciatele raffreddare fino a quando potete tenerci dentro un dito e contare fino "
                "a venti.",
                "Sciogliete il lievito nell’acqua, unite farina, patate e metà dell’olio; impastate dieci minuti, il sale per ultimo.",
                "Coprite e fate lievitare due ore. Il forno di Colmirto la mette accanto alla finestra; va bene anche accanto al gatto.",
                "Stendete nella teglia unta, fate i buchi con le dita, versate il resto dell’olio battuto con due cucchiai d’acqua. "
                "Ancora quaranta minuti.",
                "Sale grosso, rosmarino, e in forno a 230 gradi per 22 minuti, nella parte bassa.",
            ),
            start=1,
        ):
            y = paper.paragraph(canvas, look.text(f"<b>{i}.</b> {step}"), left, y, wide) - 1.5 * mm
        paper.paragraph(canvas, look.centred("<i>Ricetta di Ornella Zanetti, 1961. Senza patate è un’altra cosa.</i>"), left, 19 * mm, wide)

    return paper.drawn([front], title="Focaccia di Colmirto con le patate", author="Forno Zanetti", language="it", size=A5)


def hardware_receipt() -> bytes:
    """A till receipt, photographed on a table."""
    typed = fonts.single("Mono")
    fonts.single("Mono-Bold")
    lines = [
        ("FERRAMENTA BELLUCCI", "", True),
        ("di Bellucci Sandro & C.", "", False),
        ("Via dei Bottai 12 - Colmirto", "", False),
        ("P.IVA 01234567890", "", False),
        ("", "", False),
        ("DOCUMENTO COMMERCIALE", "", True),
        ("di vendita o prestazione", "", False),
        ("", "", False),
        ("DESCRIZIONE        IVA", "EURO", True),
        ("Secchio zincato    22%", "14,90", False),
        ("Corda canapa 10m   22%", "8,50", False),
        ("Cerniere ott. x4   22%", "11,20", False),
        ("Vernice blu 0,75L  22%", "19,80", False),
        ("Pennello n.5       22%", "3,60", False),
        ("Lucchetto bici     22%", "17,00", False),
        ("", "", False),
        ("TOTALE", "75,00", True),
        ("di cui IVA", "13,52", False),
        ("", "", False),
        ("Contanti", "80,00", False),
        ("Resto", "5,00", False),
        ("", "", False),
        ("13-05-2024  17:42", "", False),
        ("Doc. N. 0318-0046", "", False),
        ("Cassiera: Giada", "", False),
        ("", "", False),
        ("GRAZIE E ARRIVEDERCI", "", True),
        ("Resi entro 15 giorni", "", False),
    ]
    width, height = 74 * mm, 158 * mm

    def slip(canvas: Canvas) -> None:
        for i, (left, right, strong) in enumerate(lines):
            y = height - (12 + 5.1 * i) * mm
            canvas.setFillColor(HexColor("#2b2b33"))
            canvas.setFont("Mono-Bold" if strong else typed, 9.6)
            if right:
                canvas.drawString(6 * mm, y, left)
                canvas.drawRightString(width - 6 * mm, y, right)
            else:
                canvas.drawCentredString(width / 2, y, left)

    pdf = paper.drawn([slip], title="", author="", language="it", size=(width, height))
    slip_picture = scan.rendered(pdf, dpi=170)[0]
    photo = scan.photographed(slip_picture, seed=46, size=(900, 1200), corners=[(0.24, 0.05), (0.79, 0.085), (0.82, 0.95), (0.17, 0.925)])
    return scan.jpeg(photo, quality=58, dpi=72)


def ferry_timetable() -> bytes:
    look = paper.Look(family=fonts.family("NotoSans"), colour=SEA, size_pt=12.5)

    def story() -> list[Flowable]:
        return [
            look.title("Δρομολόγια πλοίου «Γαλήνη»", scale=2.0),
            look.text("Αστραία – Λιμένας Κάβου · χειμερινή περίοδος, 1 Νοεμβρίου 2024 έως 31 Μαρτίου 2025"),
            Spacer(1, 4),
            look.table(
                [["Ημέρα", "Από Αστραία", "Από Λιμένα Κάβου"], *[[day, out, back] for day, (out, back) in FERRIES.items()]],
                widths_mm=[52, 57, 57],
            ),
            Spacer(1, 6),
            look.text(
                "Η διαδρομή διαρκεί δύο ώρες και δέκα λεπτά. Την Τετάρτη το μεσημέρι το πλοίο συντηρείται. Με άνεμο άνω των οκτώ μποφόρ τα "
                "δρομολόγια αναστέλλονται· η ανακοίνωση γίνεται στις πέντε το πρωί από τον σταθμό του λιμανιού."
            ),
            look.heading("Τιμές εισιτηρίων"),
            look.table(
                [
                    ["Κατηγορία", "Απλή διαδρομή", "Με επιστροφή"],
                    ["Ενήλικες", "11,50 €", "20,00 €"],
                    ["Παιδιά 5 έως 12 ετών", "5,50 €", "9,50 €"],
                    ["Μόνιμοι κάτοικοι Αστραίας", "4,00 €", "7,00 €"],
                    ["Ποδήλατο", "2,00 €", "3,50 €"],
                    ["Αυτοκίνητο έως 4,25 μέτρα", "34,00 €", "62,00 €"],
                    ["Κατσίκα ή πρόβατο, το κεφάλι", "3,00 €", "–"],
                ],
                widths_mm=[86, 40, 40],
                numeric=[1, 2],
            ),
            PageBreak(),
            look.heading("Καλό είναι να γνωρίζετε"),
            look.text(
                "<b>Εισιτήρια.</b> Στο πρακτορείο της κυρίας Δέσποινας Καλλέργη, δίπλα στον φούρνο, ή πάνω στο πλοίο χωρίς επιβάρυνση."
            ),
            look.text(
                "<b>Αποσκευές.</b> Δύο τεμάχια δωρεάν. Τα ηλιακά πάνελ μεταφέρονται όρθια και μόνο κατόπιν συνεννοήσεως με τον πλοίαρχο."
            ),
            look.text(
                "<b>Επείγοντα περιστατικά.</b> Ο γιατρός του νησιού, κ. Μάρκος Ανδρεάδης, μπορεί να ζητήσει έκτακτο δρομολόγιο κάθε ώρα "
                "της νύχτας."
            ),
            look.text(
                "<b>Αργίες.</b> Στις 25 Δεκεμβρίου και την 1η Ιανουαρίου ισχύει το πρόγραμμα της Κυριακής, χωρίς το τελευταίο δρομολόγιο."
            ),
            look.heading("Χειμερινή προσφορά"),
            look.text(
                "Από 7 Ιανουαρίου έως 28 Φεβρουαρίου οι μαθητές του γυμνασίου ταξιδεύουν δωρεάν κάθε Παρασκευή, αν έχουν μαζί τους "
                "βιβλίο της δανειστικής βιβλιοθήκης."
            ),
        ]

    def decorate(canvas: Canvas, number: int, total: int) -> None:
        width, height = A4
        canvas.setFillColor(HexColor(SEA))
        canvas.rect(0, height - 14 * mm, width, 14 * mm, stroke=0, fill=1)
        canvas.setStrokeColor(HexColor("#9cc4dd"))
        canvas.setLineWidth(1.2)
        for i in range(14):
            x = (6 + 15 * i) * mm
            canvas.bezier(x, height - 9 * mm, x + 4 * mm, height - 5 * mm, x + 8 * mm, height - 13 * mm, x + 13 * mm, height - 8 * mm)
        canvas.setFont("NotoSans", 8)
        canvas.setFillColor(HexColor("#555555"))
        canvas.drawString(22 * mm, 10 * mm, "Ναυτική Εταιρεία Αστραίας")
        canvas.drawRightString(width - 22 * mm, 10 * mm, f"σελίδα {number} από {total}")

    return paper.document(
        story,
        title="Δρομολόγια πλοίου Γαλήνη",
        author="Ναυτική Εταιρεία Αστραίας",
        language="el",
        margins_mm=(26, 22, 22, 22),
        decorate=decorate,
    )


DOCUMENTS = {
    "robledal/calendario-de-rutas-2025.pdf": walks_table,
    "robledal/gastos-2024.png": budget_pie,
    "colmirto/ricetta-focaccia.pdf": focaccia_card,
    "colmirto/scontrino-ferramenta.jpg": hardware_receipt,
    "astraia/dromologia-galini.pdf": ferry_timetable,
}
