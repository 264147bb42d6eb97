"""PDF pages: a look (family, colour, size), its paragraph styles, tables, and a document with a footer on every page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from reportlab.lib.colors import HexColor, white
from reportlab.lib.enums import TA_CENTER, TA_JUSTIFY, TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import BaseDocTemplate, Flowable, Frame, PageTemplate, Paragraph, Table

Decoration = Callable[[Canvas, int, int], None]
"""Draws what stands on every page: canvas, page number from 1, number of pages."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """How the text of one sender looks.

    family   a registered family
    colour   of headings and rules
    size_pt  of running text
    wrap     "CJK" where a line may break between any two characters
    """

    family: str
    colour: str = "#24435c"
    size_pt: float = 10.0
    wrap: str | None = None

    @property
    def bold(self) -> str:
        return f"{self.family}-Bold"

    def style(self, *, scale: float = 1.0, **options: Any) -> ParagraphStyle:
        """Running text of this look, with what the caller changes about it."""
        size = self.size_pt * scale
        settings = {"fontName": self.family, "fontSize": size, "leading": size * 1.38, "spaceAfter": size * 0.6, "wordWrap": self.wrap}
        return ParagraphStyle("look", **(settings | options))

    def text(self, words: str, **options: Any) -> Paragraph:
        return Paragraph(words, self.style(**options))

    def justified(self, words: str, **options: Any) -> Paragraph:
        return Paragraph(words, self.style(alignment=TA_JUSTIFY, **options))

    def right(self, words: str, **options: Any) -> Paragraph:
        return Paragraph(words, self.style(alignment=TA_RIGHT, **options))

    def centred(self, words: str, **options: Any) -> Paragraph:
        return Paragraph(words, self.style(alignment=TA_CENTER, **options))

    def title(self, words: str, *, scale: float = 2.2, **options: Any) -> Paragraph:
        size = self.size_pt * scale
        settings = {"fontName": self.bold, "textColor": HexColor(self.colour), "leading": size * 1.2, "spaceAfter": size * 0.5}
        return Paragraph(words, self.style(scale=scale, **(settings | options)))

    def heading(self, words: str, *, scale: float = 1.35, **options: Any) -> Paragraph:
        size = self.size_pt * scale
        settings = {
            "fontName": self.bold,
            "textColor": HexColor(self.colour),
            "leading": size * 1.25,
            "spaceBefore": size * 0.7,
            "spaceAfter": size * 0.4,
            "keepWithNext": 1,
        }
        return Paragraph(words, self.style(scale=scale, **(settings | options)))

    def table(
        self,
        rows: Sequence[Sequence[str]],
        *,
        widths_mm: Sequence[float],
        numeric: Sequence[int] = (),
        centred: Sequence[int] = (),
        total: bool = False,
        scale: float = 0.92,
        stripes: bool = True,
        extra: Sequence[tuple[Any, ...]] = (),
    ) -> Table:
        """A table with a dark head row; cells wrap.

        numeric  columns that stand on the right, centred those in the middle
        total    the last row is a sum and set off
        """
        last = len(rows) - 1
        cells = []
        for r, row in enumerate(rows):
            strong = r == 0 or (total and r == last)
            cells.append(
                [
                    Paragraph(
                        words,
                        self.style(
                            scale=scale,
                            fontName=self.bold if strong else self.family,
                            textColor=white if r == 0 else HexColor("#222222"),
                            alignment=TA_RIGHT if c in numeric else TA_CENTER if c in centred else 0,
                            leading=self.size_pt * scale * 1.2,
                            spaceAfter=0,
                        ),
                    )
                    for c, words in enumerate(row)
                ]
            )
        commands: list[tuple[Any, ...]] = [
            ("BACKGROUND", (0, 0), (-1, 0), HexColor(self.colour)),
            ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
            ("TOPPADDING", (0, 0), (-1, -1), 3),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 4),
            ("LINEBELOW", (0, 0), (-1, -1), 0.4, HexColor("#c9c9c9")),
        ]
        if stripes:
            commands.append(("ROWBACKGROUNDS", (0, 1), (-1, -1), [white, HexColor("#f3f5f7")]))
        if total:
            commands.append(("LINEABOVE", (0, last), (-1, last), 1.0, HexColor(self.colour)))
        return Table(cells, colWidths=[w * mm for w in widths_mm], style=[*commands, *extra], hAlign="LEFT", repeatRows=1)


def document(
    story: Callable[[], list[Flowable]],
    *,
    title: str,
    author: str,
    language: str,
    size: tuple[float, float] = A4,
    margins_mm: tuple[float, float, float, float] = (20, 22, 22, 22),
    decorate: Decoration | None = None,
    frames: Callable[[int], list[Frame]] | None = None,
) -> bytes:
    """The bytes of a PDF, the same in every run.

    story       gives the content anew: it is set twice, because the footer names the number of pages
    margins_mm  top, right, bottom, left
    frames      where the text of page 1 and of the later pages runs; one frame within the margins if left out
    """
    top, right, bottom, left = (m * mm for m in margins_mm)
    total = 0
    for _ in range(2):
        out = BytesIO()
        template = BaseDocTemplate(out, pagesize=size, title=title, author=author, lang=language, invariant=1, creator="", producer="")

        def draw(canvas: Canvas, document: BaseDocTemplate) -> None:
            if decorate is not None:
                canvas.saveState()
                decorate(canvas, document.page, total)  # noqa: B023 (called within this turn of the loop)
                canvas.restoreState()

        plain = Frame(left, bottom, size[0] - left - right, size[1] - top - bottom, 0, 0, 0, 0)
        template.addPageTemplates(
            [
                PageTemplate(id="first", frames=frames(1) if frames else [plain], onPage=draw, autoNextPageTemplate="later"),
                PageTemplate(id="later", frames=frames(2) if frames else [plain], onPage=draw),
            ]
        )
        template.build(story())
        total = template.page
    return out.getvalue()


def footer(look: Look, left: str, page: Callable[[int, int], str], *, margin_mm: float = 22, from_page: int = 1) -> Decoration:
    """A rule with a name on the left and the page number on the right."""

    def draw(canvas: Canvas, number: int, total: int) -> None:
        if number < from_page:
            return
        width, edge = canvas._pagesize[0], margin_mm * mm
        canvas.setStrokeColor(HexColor("#b5b5b5"))
        canvas.setLineWidth(0.5)
        canvas.line(edge, 14 * mm, width - edge, 14 * mm)
        canvas.setFont(look.family, 8)
        canvas.setFillColor(HexColor("#555555"))
        canvas.drawString(edge, 10 * mm, left)
        canvas.drawRightString(width - edge, 10 * mm, page(number, total))

    return draw


def drawn(pages: Sequence[Callable[[Canvas], None]], *, title: str, author: str, language: str, size: tuple[float, float] = A4) -> bytes:
    """The bytes of a PDF whose pages are drawn by hand, one function per page."""
    out = BytesIO()
    canvas = Canvas(out, pagesize=size, invariant=1, lang=language)
    canvas.setTitle(title)
    canvas.setAuthor(author)
    for page in pages:
        page(canvas)
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def paragraph(canvas: Canvas, words: Paragraph, x: float, top: float, width: float) -> float:
    """Set a paragraph with its upper edge at `top`; gives the y of its lower edge."""
    _, height = words.wrap(width, 10_000)
    lower: float = top - height
    words.drawOn(canvas, x, lower)
    return lower
