"""Tarnbeck: the annual report of the solar cooperative, six pages."""

from __future__ import annotations

from itertools import pairwise

from reportlab.graphics.shapes import Drawing, Line, Rect, String
from reportlab.lib.colors import HexColor, white
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, PageBreak, Spacer

from . import fonts, paper

SOCIETY = "Tarnbeck Community Energy Ltd"

ROOFS = [  # name, on the roof since, kWp, kWh in 2023, kWh in 2024, days out of order in 2024
    ("Wharf Mill", "2014", 62.4, 53_702, 52_915, 3),
    ("St Cuthbert's School", "2015", 41.6, 36_118, 35_240, 0),
    ("Market Hall", "2016", 36.4, 30_245, 29_873, 6),
    ("Ings Farm barn", "2017", 31.2, 27_884, 25_106, 25),
    ("Fell Road Fire Station", "2018", 22.1, 18_930, 18_677, 0),
    ("Town Library", "2018", 18.2, 15_011, 14_836, 1),
    ("Methodist Chapel", "2020", 15.6, 12_467, 12_190, 2),
    ("Bowling Club", "2021", 9.8, 8_302, 8_155, 0),
    ("Swimming Baths", "May 2024", 48.0, 0, 31_420, 4),
]
MONTHS = [("Jan", 5_214), ("Feb", 8_903), ("Mar", 16_480), ("Apr", 24_175), ("May", 33_960), ("Jun", 32_718), ("Jul", 31_845)]
MONTHS += [("Aug", 28_407), ("Sep", 21_336), ("Oct", 13_092), ("Nov", 7_185), ("Dec", 5_097)]
INCOME = [("Electricity sold to the nine buildings", 19_296), ("Electricity sold on the town tariff", 7_949), ("Export to the grid", 1_039)]
INCOME += [("Legacy feed-in payments", 18_204), ("Insurance, barn roof", 9_460), ("Donations", 355)]
COSTS = [("Roof rents", 4_680), ("Insurance premiums", 5_225), ("Repairs and cleaning", 14_930), ("Meters, data and accounts", 3_418)]
COSTS += [("Loan repayment, Swimming Baths", 11_200), ("Office and meetings", 1_976)]


def thousands(number: int) -> str:
    return f"{number:,}"


def cover(canvas: Canvas) -> None:
    width, height = A4
    canvas.setFillColor(HexColor("#f4c95d"))
    canvas.rect(0, 0, width, height, stroke=0, fill=1)
    canvas.setFillColor(HexColor("#fff3cf"))
    canvas.circle(width * 0.68, height * 0.46, 62 * mm, stroke=0, fill=1)
    canvas.setFillColor(HexColor("#f7b32b"))
    canvas.circle(width * 0.68, height * 0.46, 47 * mm, stroke=0, fill=1)
    for colour, peaks in (
        ("#7d9a6c", [(0.0, 0.40), (0.22, 0.50), (0.45, 0.37), (0.72, 0.46), (1.0, 0.36)]),
        ("#4f7159", [(0.0, 0.33), (0.3, 0.30), (0.58, 0.39), (0.86, 0.30), (1.0, 0.34)]),
        ("#24435c", [(0.0, 0.20), (0.18, 0.24), (0.5, 0.17), (0.8, 0.25), (1.0, 0.19)]),
    ):
        path = canvas.beginPath()
        path.moveTo(0, 0)
        path.lineTo(0, peaks[0][1] * height)
        for (x0, y0), (x1, y1) in pairwise(peaks):
            middle = (x0 + x1) / 2 * width
            path.curveTo(middle, y0 * height, middle, y1 * height, x1 * width, y1 * height)
        path.lineTo(width, 0)
        canvas.setFillColor(HexColor(colour))
        canvas.drawPath(path, stroke=0, fill=1)
    for row in range(2):
        for column in range(5):
            canvas.setFillColor(HexColor("#35607f"))
            canvas.rect((22 + 13 * column) * mm, (18 + 9 * row) * mm, 12 * mm, 8 * mm, stroke=0, fill=1)
    canvas.setFillColor(HexColor("#24435c"))
    canvas.setFont("Lato-Bold", 15)
    canvas.drawString(22 * mm, height - 32 * mm, "Tarnbeck Community Energy")
    canvas.setFont(fonts.single("LatoBlack"), 46)
    canvas.drawString(22 * mm, height - 62 * mm, "Annual report")
    canvas.setFont("LatoBlack", 46)
    canvas.drawString(22 * mm, height - 80 * mm, "2024")
    canvas.setFont("Lato", 13)
    canvas.drawString(22 * mm, height - 95 * mm, "Our tenth year: nine roofs, 412 members, one stormy night")
    canvas.setFillColor(white)
    canvas.setFont("Lato", 9)
    canvas.drawRightString(width - 22 * mm, 20 * mm, "Registered society no. 12345R · 4 Wharf Lane, Tarnbeck")


def bars(values: list[tuple[str, int]], *, width: float, height: float) -> Drawing:
    """Bars of monthly generation with a grid and the figure above each bar."""
    picture = Drawing(width, height)
    left, bottom, ceiling = 42, 22, 40_000
    plot_w, plot_h = width - left, height - bottom - 10
    for mark in range(0, ceiling + 1, 10_000):
        y = bottom + plot_h * mark / ceiling
        picture.add(Line(left, y, width, y, strokeColor=HexColor("#d6d6d6"), strokeWidth=0.5))
        picture.add(String(left - 6, y - 3, f"{mark:,}", fontName="Lato", fontSize=8, textAnchor="end", fillColor=HexColor("#555555")))
    step = plot_w / len(values)
    for i, (month, value) in enumerate(values):
        x, tall = left + step * i, plot_h * value / ceiling
        colour = "#f0a202" if value == max(v for _, v in values) else "#35607f"
        picture.add(Rect(x + step * 0.16, bottom, step * 0.68, tall, fillColor=HexColor(colour), strokeColor=None))
        picture.add(String(x + step / 2, bottom - 12, month, fontName="Lato", fontSize=9, textAnchor="middle"))
        picture.add(String(x + step / 2, bottom + tall + 3, f"{value / 1000:.1f}", fontName="Lato", fontSize=7.5, textAnchor="middle"))
    return picture


def annual_report() -> bytes:
    look = paper.Look(family=fonts.family("Lato"), size_pt=10.5)
    all_2024 = sum(roof[4] for roof in ROOFS)
    all_2023 = sum(roof[3] for roof in ROOFS)
    income, costs = sum(v for _, v in INCOME), sum(v for _, v in COSTS)
    assert all_2024 == sum(v for _, v in MONTHS), (all_2024, sum(v for _, v in MONTHS))
    surplus = income - costs

    def story() -> list[Flowable]:
        parts: list[Flowable] = [Spacer(1, 1), PageBreak()]
        parts += [
            look.title("A letter from the chair"),
            look.text("Dear members,"),
            look.text(
                "Ten years ago thirty-one of us stood in the rain on the quay and watched the first panel go up on Wharf Mill. Somebody "
                "had brought a flask of soup, somebody else a very small brass band. On 31 December 2024 we were 412 members, fourteen "
                "more than a year before, and we look after nine roofs with a peak power of 285.3 kilowatts."
            ),
            look.text(
                f"Together they made {thousands(all_2024)} kilowatt-hours in 2024. That is enough for about 85 households in the valley. "
                "The old eight roofs gave a little less than in 2023, because March was grey and because of what happened in December; "
                "the new one on the Swimming Baths, switched on by the under-elevens' relay team on 4 May, more than made up for it."
            ),
            look.heading("The night of 7 December"),
            look.text(
                "Storm Harriet reached the valley shortly before midnight. By the morning fourteen modules of the barn at Ings Farm lay "
                "in the beck, some of them a quarter of a mile downstream. Nobody was hurt. The Hodgson family fenced off the yard "
                "before it was light, and by noon eleven volunteers had fished the pieces out of the water. The clamps that failed were "
                "of a type we have on no other roof. Our insurer paid £9,460 in full; the barn was making electricity again on 1 "
                "January 2025, after twenty-five days."
            ),
            look.heading("Thank you"),
            look.text(
                "Two people step down this spring. Arthur Nield has read the meters by bicycle on the last Sunday of every month since "
                "2014, 118 Sundays in all, until the loggers made him redundant. Priya Menon kept our books through three changes of "
                "software and one flood of the office cellar. Neither of them ever sent us a bill for anything."
            ),
            look.text(
                "I hope to see you at the members' meeting on Saturday 15 March at two o'clock, in the Market Hall. There will be soup."
            ),
            Spacer(1, 8),
            look.text("<i>Margaret Oyelaran</i><br/>Chair"),
            PageBreak(),
        ]
        rows = [["Roof", "Since", "Peak power (kWp)", "2023 (kWh)", "2024 (kWh)", "kWh per kWp", "Days out of order"]]
        for name, since, peak, before, now, out in ROOFS:
            per_peak = "–" if since.startswith("May") else f"{now / peak:.0f}"
            rows.append([name, since, f"{peak:.1f}", thousands(before) if before else "–", thousands(now), per_peak, str(out)])
        rows.append(
            [
                "All roofs",
                "",
                f"{sum(r[2] for r in ROOFS):.1f}",
                thousands(all_2023),
                thousands(all_2024),
                "",
                str(sum(r[5] for r in ROOFS)),
            ]
        )
        parts += [
            look.title("The year, roof by roof"),
            look.text(
                "Every roof has its own meter and its own logger. The figures below are meter readings, not estimates; where a logger was "
                "silent, the meter went on counting."
            ),
            look.table(rows, widths_mm=[43, 19, 22, 22, 22, 18, 20], numeric=[2, 3, 4, 5, 6], total=True, scale=0.84),
            Spacer(1, 8),
            look.heading("What stood still, and why"),
            look.text(
                "<b>Market Hall, six days.</b> A fan of the inverter seized in the July heat. The spare came from the Bowling Club's "
                "cupboard, where it had been waiting since 2021."
            ),
            look.text(
                "<b>Ings Farm barn, twenty-five days.</b> Storm damage; see the chair's letter. The new clamps are rated for gusts of "
                "55 metres per second."
            ),
            look.text(
                "<b>Swimming Baths, four days.</b> The breaker tripped when the sauna and the pool pumps started in the same minute. "
                "The sauna now waits ninety seconds."
            ),
            look.text(
                "<b>Wharf Mill, three days.</b> Jackdaws. The nest was left where it was until the young had flown on 19 June, and the "
                "two strings beneath it were disconnected for its last three days. A wire guard closes the gap under the rails now."
            ),
            look.heading("How we compare"),
            look.text(
                "A well-placed roof in our part of the country gives about 850 kilowatt-hours a year for each kilowatt of peak power. "
                "Wharf Mill leads the eight older roofs with 848, the school is one behind; the Methodist Chapel, shaded by the copper "
                "beech until eleven in the morning, comes last with 781 and is forgiven."
            ),
            PageBreak(),
            look.title("The year, month by month"),
            look.text(
                f"May was the best month, with {thousands(dict(MONTHS)['May'])} kWh: the Swimming Baths had just joined and it hardly "
                f"rained after the ninth. December was the weakest, with {thousands(dict(MONTHS)['Dec'])} kWh, most of it before the "
                "storm."
            ),
            Spacer(1, 6),
            bars(MONTHS, width=166 * mm, height=86 * mm),
            look.text("<i>Figure 1. Electricity made by all roofs in 2024. Scale in kWh, figures above the bars in MWh.</i>", scale=0.85),
            look.heading("Used where it was made"),
            look.text(
                "Of every hundred kilowatt-hours, sixty-four were used in the building beneath the panels, twenty-nine elsewhere in "
                "town and seven left the valley. The Fire Station uses least of its own (31 per cent), because its busiest hours are at "
                "night. The Swimming Baths use nearly all (97 per cent): water is a patient battery."
            ),
            look.text(
                "We had hoped that the school would use more in June than it does. It does not, for the good reason that the kitchen cooks "
                "on gas. The governors have asked us for a quotation for two induction hobs and a tilting kettle."
            ),
            look.heading("Carbon"),
            look.text(
                "Counted with the grid's average of the year, our roofs avoided about 31 tonnes of carbon dioxide. We give the figure "
                "because people ask. We would rather be asked about the bills: the nine buildings paid 13.2 pence for each "
                "kilowatt-hour from their own roof, and 26.8 pence for each from the grid."
            ),
            PageBreak(),
            look.title("Money"),
            look.text(
                f"Income was £{thousands(income)} and costs were £{thousands(costs)}. Of the surplus of £{thousands(surplus)}, £5,600 "
                "went to members as interest of 3.5 per cent on their shares, £6,200 to the community fund, and the rest to the repair "
                "reserve."
            ),
            look.table(
                [["Income", "£"], *[[n, thousands(v)] for n, v in INCOME], ["Total income", thousands(income)]],
                widths_mm=[110, 30],
                numeric=[1],
                total=True,
            ),
            Spacer(1, 10),
            look.table(
                [["Costs", "£"], *[[n, thousands(v)] for n, v in COSTS], ["Total costs", thousands(costs)]],
                widths_mm=[110, 30],
                numeric=[1],
                total=True,
            ),
            look.heading("What the community fund paid for"),
            look.text(
                "Four applications came in and all four were granted: £1,850 for a heat curtain at the door of the Town Library; £2,400 "
                "towards the insulation of the scout hut; £1,100 for the Neighbours' Kitchen, which cooks for newcomers every Thursday; "
                "and £850 for forty energy meters that anyone may borrow from the library like a book."
            ),
            look.heading("The repair reserve"),
            look.text(
                "The reserve stands at £41,300. The oldest inverters at Wharf Mill are ten years old and will not see fifteen. "
                "Replacing all six would cost about £19,000 at today's prices, so that the reserve would bear it and a second storm "
                "besides."
            ),
            PageBreak(),
            look.title("What comes next"),
            look.heading("A battery for the baths"),
            look.text(
                "The board proposes a battery of 120 kilowatt-hours in the old boiler room of the Swimming Baths. It would carry the "
                "midday surplus into the evening swim and cost £46,500, of which a grant covers £15,000. The remainder would be raised "
                "by a share offer open from 1 May to 30 June 2025, minimum holding £100."
            ),
            look.heading("Resolutions for the members' meeting, 15 March 2025"),
            look.text("<b>Resolution 1.</b> To receive the accounts for 2024."),
            look.text("<b>Resolution 2.</b> To pay interest of 3.5 per cent on members' shares."),
            look.text("<b>Resolution 3.</b> To elect two directors, Fern Atkinson (again) and Joseph Adeyemi (new)."),
            look.text("<b>Resolution 4.</b> To install the battery described above and to open a share offer for it."),
            look.text("<b>Resolution 5.</b> To keep advertising off our roofs for another ten years, whatever is offered for it."),
            look.text("<b>Resolution 6.</b> To rename the smallest inverter at the Bowling Club after Arthur Nield."),
            look.heading("How to vote"),
            look.text(
                "One member, one vote, whether you hold ten shares or ten thousand. Come in person, or send the yellow slip to the "
                "secretary so that it arrives by 12 March. Slips without a signature cannot be counted; last year there were nine of "
                "them."
            ),
            look.heading("People"),
            look.table(
                [
                    ["Office", "Name", "Since"],
                    ["Chair", "Margaret Oyelaran", "2019"],
                    ["Treasurer", "Dilip Sandhu", "2022"],
                    ["Secretary", "Fern Atkinson", "2018"],
                    ["Engineer", "Tomasz Brodka", "2016"],
                    ["Director without portfolio, and soup", "Winifred Hale", "2014"],
                ],
                widths_mm=[80, 60, 22],
                numeric=[2],
            ),
        ]
        return parts

    later = paper.footer(look, f"{SOCIETY} · Annual report 2024", lambda n, total: f"Page {n} of {total}", from_page=2)

    def decorate(canvas: Canvas, number: int, total: int) -> None:
        if number == 1:
            cover(canvas)
        later(canvas, number, total)

    return paper.document(
        story, title="Annual report 2024", author=SOCIETY, language="en-GB", margins_mm=(24, 22, 24, 22), decorate=decorate
    )


DOCUMENTS = {"tarnbeck/annual-report-2024.pdf": annual_report}
