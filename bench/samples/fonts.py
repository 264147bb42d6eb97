"""The faces the samples are drawn with, all from Debian packages.

fonts-lato, fonts-crosextra-carlito, fonts-liberation2, fonts-ebgaramond(-extra), fonts-open-sans, fonts-noto-core, fonts-noto-cjk,
fonts-breip, fonts-dkg-handwriting, fonts-gnutypewriter. What ends up embedded in a PDF is under the Open Font Licence or Apache-2.0;
the handwriting and the typewriter are only ever seen in pictures.
"""

from __future__ import annotations

from functools import cache
from io import BytesIO
from pathlib import Path

from fontTools.pens.cu2quPen import Cu2QuPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTCollection, TTFont, newTable
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont as PdfFont

TRUETYPE = Path("/usr/share/fonts/truetype")
OPENTYPE = Path("/usr/share/fonts/opentype")

FAMILIES = {
    "Lato": "lato/Lato-{}.ttf",
    "Carlito": "crosextra/Carlito-{}.ttf",
    "LiberationSans": "liberation2/LiberationSans-{}.ttf",
    "LiberationSerif": "liberation2/LiberationSerif-{}.ttf",
    "OpenSans": "open-sans/OpenSans-{}.ttf",
    "NotoSans": "noto/NotoSans-{}.ttf",
    "NotoSerif": "noto/NotoSerif-{}.ttf",
}
SINGLES = {
    "Hand": "breip/Breip.ttf",
    "Signature": "fifthhorseman/dkg.ttf",
    "Typewriter": "gnutypewriter/GNUTypewriter.ttf",
    "Mono": "liberation2/LiberationMono-Regular.ttf",
    "Mono-Bold": "liberation2/LiberationMono-Bold.ttf",
    "LatoLight": "lato/Lato-Light.ttf",
    "LatoBlack": "lato/Lato-Black.ttf",
}
GARAMOND = {"Regular": "12-Regular", "Bold": "12-Bold", "Italic": "12-Italic", "BoldItalic": "12-Italic"}
CJK_FACES = {"ja": 0, "zh": 2}
"""Which face of the Noto CJK collections draws a language."""


@cache
def family(name: str) -> str:
    """Register the four styles of a family for PDFs; gives the name back, so that `<b>` and `<i>` work in paragraphs."""
    for style in ("Regular", "Bold", "Italic", "BoldItalic"):
        pdfmetrics.registerFont(PdfFont(face(name, style), str(file(name, style))))
    pdfmetrics.registerFontFamily(
        name, normal=name, bold=face(name, "Bold"), italic=face(name, "Italic"), boldItalic=face(name, "BoldItalic")
    )
    return name


def face(name: str, style: str) -> str:
    """Name a style of a family has in a PDF."""
    return name if style == "Regular" else f"{name}-{style}"


def file(name: str, style: str = "Regular") -> Path:
    """File a face comes from, for Pillow and matplotlib too."""
    if name == "Garamond":  # has no bold italic: the italic stands in
        return TRUETYPE / f"ebgaramond/EBGaramond{GARAMOND[style]}.ttf"
    return TRUETYPE / (FAMILIES[name].format(style) if name in FAMILIES else SINGLES[name])


@cache
def single(name: str) -> str:
    """Register one face that has no family."""
    pdfmetrics.registerFont(PdfFont(name, str(file(name))))
    return name


@cache
def cjk(language: str, characters: str, *, serif: bool = False) -> str:
    """Register a Chinese or Japanese family that holds these characters, regular and bold; gives its name.

    reportlab embeds TrueType outlines only and Noto CJK has PostScript ones, so the few glyphs needed are cut out and converted.
    """
    name = f"Noto{'Serif' if serif else 'Sans'}CJK-{language}"
    for style, suffix in (("Regular", ""), ("Bold", "-Bold")):
        source = OPENTYPE / f"noto/Noto{'Serif' if serif else 'Sans'}CJK-{style}.ttc"
        font = TTCollection(source, lazy=True).fonts[CJK_FACES[language]]
        pdfmetrics.registerFont(PdfFont(name + suffix, BytesIO(_truetype(font, characters))))
    pdfmetrics.registerFontFamily(name, normal=name, bold=f"{name}-Bold", italic=name, boldItalic=f"{name}-Bold")
    return name


def _truetype(font: TTFont, characters: str) -> bytes:
    """A TrueType font of only these characters, from one with PostScript outlines."""
    options = Options(layout_features=[], name_IDs=["*"], notdef_outline=True, recalc_timestamp=False)
    subsetter = Subsetter(options)
    subsetter.populate(text=characters)
    subsetter.subset(font)
    font.recalcTimestamp = False

    outlines, glyphs = font.getGlyphSet(), {}
    for glyph in font.getGlyphOrder():
        pen = TTGlyphPen(None)
        outlines[glyph].draw(Cu2QuPen(pen, max_err=1.0, reverse_direction=True))
        glyphs[glyph] = pen.glyph()
    font["loca"], font["glyf"] = newTable("loca"), newTable("glyf")
    font["glyf"].glyphOrder, font["glyf"].glyphs = font.getGlyphOrder(), glyphs

    limits = font["maxp"]
    limits.tableVersion = 0x00010000
    # reckoned anew when the font is saved, or of interest to hinted fonts only; the table must have them all the same
    for field in ("Points", "Contours", "CompositePoints", "CompositeContours", "ComponentElements", "ComponentDepth"):
        setattr(limits, f"max{field}", 0)
    for field in ("TwilightPoints", "Storage", "FunctionDefs", "InstructionDefs", "StackElements", "SizeOfInstructions"):
        setattr(limits, f"max{field}", 0)
    limits.maxZones = 1
    for table in ("CFF ", "VORG", "vhea", "vmtx", "BASE", "GPOS", "GSUB", "GDEF"):
        if table in font:
            del font[table]
    font["post"].formatType = 3.0
    font.sfntVersion = "\x00\x01\x00\x00"
    out = BytesIO()
    font.save(out)
    return out.getvalue()
