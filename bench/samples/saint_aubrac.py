"""Saint-Aubrac-sur-Lenne (French): a typewritten letter of 1998, a joiner's invoice from the scanner, a report on compost."""

from __future__ import annotations

from reportlab.graphics.shapes import Drawing, PolyLine, Rect, String
from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, PageBreak, Spacer

from . import fonts, paper, scan

GREEN = "#3d5a2a"


def letter_1998() -> bytes:
    typed = fonts.single("Typewriter")
    look = paper.Look(family=typed, size_pt=11)

    def page(canvas: Canvas) -> None:
        left, wide, top = 28 * mm, 154 * mm, A4[1]
        canvas.setFont(typed, 12)
        for i, line in enumerate(("MAIRIE DE SAINT-AUBRAC-SUR-LENNE", "Place du Lavoir", "Le Maire")):
            canvas.drawString(left, top - (26 + 6 * i) * mm, line)
        y = top - 62 * mm
        for line in ("Madame Lucienne Barthès", "Institutrice", "École communale"):
            canvas.drawString(110 * mm, y, line)
            y -= 6 * mm
        canvas.drawString(110 * mm, top - 92 * mm, "Le 16 novembre 1998")
        y = top - 108 * mm
        for block in (
            "Objet : le poêle de la grande classe",
            "Madame,",
            "Votre lettre du 9 novembre a été lue devant le conseil, qui l'a écoutée debout, le chauffage de la salle étant lui aussi "
            "en panne.",
            "Le conseil a décidé, par neuf voix contre deux, de remplacer le poêle à mazout de la grande classe pendant les vacances de "
            "Noël. Les établissements Puech ont remis un devis de 14 300 francs, pose et ramonage compris. Les travaux commenceront le "
            "lundi 21 décembre.",
            "D'ici là, les enfants feront classe dans la salle des mariages, qui est exposée au midi. Monsieur Delmas y portera les "
            "pupitres samedi avec son tracteur. Je vous demande seulement de ne pas laisser la tortue près des registres.",
            "Je vous prie d'agréer, Madame, l'expression de ma considération très dévouée.",
        ):
            y = paper.paragraph(canvas, look.text(block, leading=17), left, y, wide) - 4.5 * mm
        canvas.setFillColor(HexColor("#20306b"))
        canvas.setFont(fonts.single("Signature"), 30)
        canvas.drawString(118 * mm, y - 12 * mm, "R. Delpuech")
        canvas.setFillColor(HexColor("#000000"))
        canvas.setFont(typed, 11)
        canvas.drawString(118 * mm, y - 22 * mm, "Raymond Delpuech")
        canvas.setStrokeColor(HexColor("#7b4a8a"))
        canvas.setLineWidth(1.4)
        canvas.circle(52 * mm, y - 12 * mm, 15 * mm)
        canvas.circle(52 * mm, y - 12 * mm, 12 * mm)
        canvas.setFillColor(HexColor("#7b4a8a"))
        canvas.setFont("Carlito-Bold", 9)
        canvas.drawCentredString(52 * mm, y - 11 * mm, "MAIRIE")
        canvas.drawCentredString(52 * mm, y - 15 * mm, "ST-AUBRAC")

    fonts.family("Carlito")
    pdf = paper.drawn([page], title="", author="", language="fr")
    return scan.jpeg(
        scan.scanned(scan.rendered(pdf, dpi=120)[0], seed=98, angle=-1.1, paper=236, ink=52, noise=4, stains=2, fold=0.34),
        quality=46,
        dpi=120,
    )


def joiner_invoice() -> bytes:
    look = paper.Look(family=fonts.family("LiberationSans"), size_pt=10.5, colour="#333333")

    def page(canvas: Canvas) -> None:
        left, top, width = 22 * mm, A4[1], A4[0]
        canvas.setFont("LiberationSans-Bold", 20)
        canvas.drawString(left, top - 26 * mm, "Menuiserie Fabre & Filles")
        canvas.setFont("LiberationSans", 10)
        canvas.drawString(left, top - 33 * mm, "Portes, fenêtres, escaliers · 3, chemin de la Scierie · Saint-Aubrac-sur-Lenne")
        canvas.setLineWidth(1.5)
        canvas.line(left, top - 36 * mm, width - left, top - 36 * mm)
        canvas.setFont("LiberationSans-Bold", 14)
        canvas.drawString(left, top - 50 * mm, "FACTURE F-23/118")
        canvas.setFont("LiberationSans", 10.5)
        canvas.drawString(left, top - 57 * mm, "du 4 octobre 2023")
        for i, line in enumerate(("Commune de Saint-Aubrac-sur-Lenne", "Bibliothèque municipale", "Rue du Four")):
            canvas.drawString(118 * mm, top - (48 + 5.5 * i) * mm, line)
        rows = [
            ["Désignation", "Qté", "Prix unitaire", "Total HT"],
            ["Fenêtre chêne, double vitrage, 110 × 145 cm", "4", "742,00 €", "2 968,00 €"],
            ["Dépose et évacuation des anciennes fenêtres", "4", "65,00 €", "260,00 €"],
            ["Appui de fenêtre en frêne, huilé", "4", "88,50 €", "354,00 €"],
            ["Réparation de la porte du grenier, gond forgé", "1", "120,00 €", "120,00 €"],
        ]
        table = look.table(rows, widths_mm=[90, 16, 30, 30], numeric=[1, 2, 3])
        _, tall = table.wrapOn(canvas, width, top)
        table.drawOn(canvas, left, top - 84 * mm - tall)
        y = top - 84 * mm - tall - 10 * mm
        for name, amount, strong in (
            ("Total HT", "3 702,00 €", False),
            ("TVA 5,5 %", "203,61 €", False),
            ("Total TTC", "3 905,61 €", True),
        ):
            canvas.setFont("LiberationSans-Bold" if strong else "LiberationSans", 11)
            canvas.drawString(125 * mm, y, name)
            canvas.drawRightString(width - left, y, amount)
            y -= 6.5 * mm
        paper.paragraph(
            canvas,
            look.text(
                "Acompte de 1 000,00 € reçu le 11 septembre. Reste à payer : <b>2 905,61 €</b>, à trente jours, par virement. Garantie "
                "décennale. Le bois vient de la forêt de Combelle, à sept kilomètres de l'atelier."
            ),
            left,
            y - 8 * mm,
            166 * mm,
        )
        canvas.saveState()
        canvas.translate(118 * mm, 74 * mm)
        canvas.rotate(12)
        canvas.setStrokeColor(HexColor("#9c2a2a"))
        canvas.setFillColor(HexColor("#9c2a2a"))
        canvas.setLineWidth(2)
        canvas.roundRect(0, 0, 62 * mm, 20 * mm, 3 * mm)
        canvas.setFont("LiberationSans-Bold", 19)
        canvas.drawCentredString(31 * mm, 10.5 * mm, "PAYÉ")
        canvas.setFont("LiberationSans", 11)
        canvas.drawCentredString(31 * mm, 4 * mm, "le 30 octobre 2023")
        canvas.restoreState()
        canvas.setFillColor(HexColor("#1b2a6b"))
        canvas.setFont(fonts.single("Hand"), 18)
        canvas.drawString(24 * mm, 66 * mm, "vu, les 4 ferment bien. I.L.")

    pdf = paper.drawn([page], title="", author="", language="fr")
    sheet = scan.scanned(scan.rendered(pdf, dpi=110)[0], seed=23, angle=0.6, paper=250, ink=35, noise=0, blur=0.5)
    return scan.png(sheet, levels=12)


def temperature() -> Drawing:
    """Temperature in the middle of the heap, week by week."""
    weeks = [18, 46, 63, 67, 61, 52, 58, 64, 57, 46, 38, 31, 27, 24, 22, 20]
    picture = Drawing(166 * mm, 62 * mm)
    left, bottom, plot_w, plot_h = 30, 24, 166 * mm - 40, 62 * mm - 34

    def at(week: float, degrees: float) -> tuple[float, float]:
        return left + plot_w * (week - 1) / 15, bottom + plot_h * degrees / 80

    low, high = at(1, 55), at(16, 70)
    picture.add(Rect(low[0], low[1], high[0] - low[0], high[1] - low[1], fillColor=HexColor("#eef2e6"), strokeColor=None))
    picture.add(String(high[0] - 4, high[1] - 11, "zone d'hygiénisation, 55 à 70 °C", fontName="NotoSans", fontSize=8, textAnchor="end"))
    for degrees in range(0, 81, 20):
        x, y = at(1, degrees)
        picture.add(PolyLine([x, y, left + plot_w, y], strokeColor=HexColor("#d5d5d5"), strokeWidth=0.5))
        picture.add(String(x - 5, y - 3, f"{degrees}", fontName="NotoSans", fontSize=8, textAnchor="end"))
    for week in range(1, 17):
        x, _ = at(week, 0)
        picture.add(String(x, bottom - 12, str(week), fontName="NotoSans", fontSize=8, textAnchor="middle"))
    picture.add(PolyLine([c for i, d in enumerate(weeks) for c in at(i + 1, d)], strokeColor=HexColor("#b3541e"), strokeWidth=1.8))
    x, y = at(6, 52)
    picture.add(String(x, y - 13, "retournement", fontName="NotoSans", fontSize=8, textAnchor="middle", fillColor=HexColor("#b3541e")))
    picture.add(String(left + plot_w / 2, 0, "semaines", fontName="NotoSans", fontSize=8, textAnchor="middle"))
    return picture


def compost_report() -> bytes:
    look = paper.Look(family=fonts.family("NotoSans"), colour=GREEN, size_pt=11.2)

    def story() -> list[Flowable]:
        return [
            look.text("Commune de Saint-Aubrac-sur-Lenne · Commission du cadre de vie", scale=0.95, textColor=HexColor("#666666")),
            look.title("Le compost de la place du Lavoir : bilan de la première année", scale=1.8),
            look.text("<i>Rapport présenté au conseil municipal le 27 janvier 2025 par Inès Leclercq</i>"),
            look.heading("En deux mots"),
            look.text(
                "Depuis le 15 janvier 2024, soixante-deux foyers apportent leurs épluchures dans les quatre bacs de la place du Lavoir. "
                "En un an, ils ont déposé 9,4 tonnes de déchets de cuisine et repris 2,1 tonnes de compost. La commune a économisé 1 "
                "316 euros de traitement. Personne ne s'est plaint de l'odeur ; deux personnes se sont plaintes du bruit des "
                "couvercles."
            ),
            look.heading("Comment cela marche"),
            look.text(
                "Le premier bac reçoit les apports, le deuxième et le troisième mûrissent, le quatrième garde le broyat. Chaque seau de "
                "cuisine est recouvert d'un seau de broyat : c'est la seule règle, et elle suffit. Le broyat vient de la menuiserie "
                "Fabre et des tailles de haies du service technique."
            ),
            look.text(
                "Treize bénévoles se relaient, un par semaine. Ils remuent, arrosent, tiennent le cahier et répondent aux questions. La "
                "plus fréquente reste : « Et les coquilles d'œufs ? » La réponse est oui, écrasées."
            ),
            look.heading("Ce qui est entré et ce qui est sorti"),
            look.table(
                [
                    ["Trimestre", "Foyers inscrits", "Apports (kg)", "Broyat (kg)", "Compost repris (kg)"],
                    ["Janvier à mars", "38", "1 640", "610", "0"],
                    ["Avril à juin", "51", "2 480", "905", "420"],
                    ["Juillet à septembre", "57", "2 730", "960", "730"],
                    ["Octobre à décembre", "62", "2 550", "925", "950"],
                    ["Année 2024", "62", "9 400", "3 400", "2 100"],
                ],
                widths_mm=[44, 31, 30, 28, 33],
                numeric=[1, 2, 3, 4],
                total=True,
            ),
            PageBreak(),
            look.heading("La chaleur du tas"),
            look.text(
                "Un thermomètre d'un mètre a été planté au milieu du bac de mars. La température a dépassé 55 degrés pendant six des "
                "seize semaines, avec un maximum de 67 degrés à la quatrième. Le retournement de la sixième semaine a relancé la "
                "fermentation. Les graines de tomate n'y ont pas résisté ; celles de potiron, si."
            ),
            Spacer(1, 4),
            temperature(),
            Spacer(1, 5),
            look.text("<i>Figure 1. Température au cœur du bac, de mars à juin 2024.</i>", scale=0.88),
            look.heading("Ce qui n'a pas marché"),
            look.text(
                "<b>Les sacs dits compostables.</b> Ils ne le sont pas chez nous : au bout de seize semaines, on les retrouve presque "
                "entiers. Ils sont interdits depuis le 1er juin."
            ),
            look.text(
                "<b>Les rats.</b> Deux ont été vus en août, après l'apport d'un gigot presque complet. Une grille à mailles de treize "
                "millimètres a été posée sous les bacs par Monsieur Delmas, et l'auteur du gigot s'est fait connaître."
            ),
            look.text(
                "<b>La sécheresse de juillet.</b> Le tas était sec à quarante centimètres. Un récupérateur de mille litres sur le toit "
                "du lavoir a réglé la question."
            ),
            look.heading("Ce que cela coûte"),
            look.table(
                [
                    ["Dépense", "2024"],
                    ["Quatre bacs en mélèze, fabriqués au village", "1 480 €"],
                    ["Thermomètre, fourches, seaux", "236 €"],
                    ["Récupérateur d'eau", "190 €"],
                    ["Grille contre les rongeurs", "74 €"],
                    ["Total", "1 980 €"],
                ],
                widths_mm=[120, 30],
                numeric=[1],
                total=True,
            ),
            PageBreak(),
            look.heading("Ce que nous proposons pour 2025"),
            look.text(
                "<b>Un second site</b>, derrière l'école, avec trois bacs. Dix-neuf familles l'ont demandé par écrit. Les élèves de la "
                "grande classe tiendront le cahier de température ; la maîtresse, Madame Sabatier, est d'accord."
            ),
            look.text(
                "<b>Une journée du compost</b>, le dimanche 6 avril, de dix heures à midi : distribution de trois cents kilos, échange "
                "de plants, café. On apporte son seau."
            ),
            look.text(
                "<b>Un composteur pour la cantine.</b> Elle jette 74 grammes par repas, soit environ une tonne par an. Le cuisinier "
                "préférerait d'abord servir moins ; la commission pense comme lui et propose de peser les restes jusqu'à Pâques avant "
                "d'acheter quoi que ce soit."
            ),
            look.heading("Délibération soumise au vote"),
            look.text(
                "Le conseil municipal, après avoir entendu le rapport, approuve l'ouverture du second site, y affecte un crédit de 1 "
                "650 euros et remercie les treize bénévoles, nommés ci-dessous dans l'ordre de leur semaine de tour :"
            ),
            look.text(
                "Paulette Delmas, Hugo Sabatier, Amina Cherif, Jean-Luc Fabre, Odile Puech, Thierry Vidal, Rosa Almeida, Benoît Castan, "
                "Lucienne Barthès, Yannick Le Goff, Mireille Roques, Karim Bensaïd, Inès Leclercq."
            ),
            Spacer(1, 14),
            look.text("Vu, le maire : <i>Hélène Castaing</i>"),
        ]

    return paper.document(
        story,
        title="Le compost de la place du Lavoir : bilan de la première année",
        author="Inès Leclercq",
        language="fr",
        decorate=paper.footer(look, "Compost de la place du Lavoir · bilan 2024", lambda n, total: f"page {n} sur {total}"),
    )


DOCUMENTS = {
    "saint-aubrac/lettre-1998-11-16.jpg": letter_1998,
    "saint-aubrac/facture-fabre-scan.png": joiner_invoice,
    "saint-aubrac/bilan-compost-2024.pdf": compost_report,
}
