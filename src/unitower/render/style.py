"""How a page looks: its fonts, sizes, colours and margins, drawn by chance from wide ranges, once per page."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from PIL import features

from unitower.render.canvas import Align, Colour
from unitower.render.face import Face, Look, face, x_height
from unitower.render.language import Language
from unitower.render.typefaces import HAND, Family, Split, drawn, families_for

Voice: TypeAlias = Literal["body", "heading", "mono", "hand"]

LEAST_X_HEIGHT_PX = 5.0
"""Smaller letters cannot be told apart."""
EM_PER_X_HEIGHT = 2.15
"""Size of fonts without a lower-case x, so that their signs are as easy to read beside Latin."""
SHAPED_SHARE = 0.1
"""Share of pages whose Latin, Cyrillic and Greek text has kerning and ligatures; they cost several times the time of the others."""
LONG_STROKES = "bdfhklgjpqyBJQ"
"""Letters that reach as far up and down as any."""


@dataclass(frozen=True, kw_only=True)
class Style:
    """The look of one page. Lengths in pixels.

    x_height  of running text, at least LEAST_X_HEIGHT_PX
    leading   distance of baselines, in font sizes
    unit      1 for a page of 700 by 1000, else in proportion to the side of the page
    ink       colour of running text; `muted` of what is of less weight, `accent` of headings and bars, `shade` of boxes, `line` of rules
    """

    families: dict[Voice, Family]
    look: Look
    shaped: bool
    x_height: float
    leading: float
    unit: float
    margin: float
    paper: Colour
    ink: Colour
    muted: Colour
    accent: Colour
    shade: Colour
    line: Colour
    align: Align
    radius: float
    spaced_paragraphs: bool

    def face(self, scale: float = 1.0, *, voice: Voice = "body", bold: bool = False, italic: bool = False) -> Face:
        """A face whose x-height is `scale` times that of running text, never below the least that can be read."""
        typeface = self.families[voice].typeface(bold=bold, italic=italic)
        ratio = x_height(typeface) or 1 / EM_PER_X_HEIGHT
        if self.shaped_script:
            ratio = min(ratio, 1 / EM_PER_X_HEIGHT)
        size = max(LEAST_X_HEIGHT_PX, self.x_height * scale) / ratio
        return face(typeface, size, look=self.look, shaped=self.shaped)

    shaped_script: bool = False

    def pitch(self, of: Face) -> float:
        """Distance of baselines of lines in that face: never so little that long strokes of one line run into the next."""
        ink = of.extent(LONG_STROKES)
        return max(of.size * self.leading, of.size * 1.1, ink.bottom - ink.top)

    @property
    def dark(self) -> bool:
        """Whether the text is lighter than the page."""
        return sum(self.paper) < sum(self.ink)


def mixed(a: Colour, b: Colour, share: float) -> Colour:
    """`share` of b in a."""
    red, green, blue = (round(x + (y - x) * share) for x, y in zip(a, b, strict=True))
    return red, green, blue


def colour(rng: random.Random, *, low: int, high: int) -> Colour:
    """A colour of any hue whose channels lie between the two."""
    return rng.randint(low, high), rng.randint(low, high), rng.randint(low, high)


def vivid(rng: random.Random) -> Colour:
    """A colour dark enough for white text on it and for itself on white."""
    channels = [rng.randint(0, 60), rng.randint(30, 110), rng.randint(90, 190)]
    rng.shuffle(channels)
    red, green, blue = channels
    return red, green, blue


def style(
    rng: random.Random,
    language: Language,
    px: tuple[int, int],
    *,
    split: Split | None = None,
    names: Sequence[str] | None = None,
    screen: float = 0.25,
    dark: float = 0.04,
    sizes: tuple[float, float] = (5.0, 10.5),
) -> Style:
    """A look by chance.

    screen  share of pages drawn as screens draw
    dark    share of pages with light text on dark
    sizes   x-height of running text on a page of unit 1, from the least to the largest
    """
    able = families_for(language.sample, region=language.region, split=split, names=names)
    if not able:
        raise ValueError(f"none of the font families {', '.join(names or ())} has the letters of {language.name}: choose others.")
    proportional = [family for family in able if not family.mono] or list(able)
    body = drawn(able if rng.random() < 0.06 else proportional, rng)
    heading = body if rng.random() < 0.6 else drawn(proportional, rng)
    hand = drawn([family for family in able if HAND.search(family.name)] or able, rng) if rng.random() < 0.7 else drawn(able, rng)
    code_able = families_for("".join(map(chr, range(33, 127))), split=split, names=names, mono=True) or able
    mono = drawn(code_able, rng)
    unit = (px[0] * px[1] / 700_000) ** 0.5
    height = max(LEAST_X_HEIGHT_PX, sizes[0] * (sizes[1] / sizes[0]) ** (rng.random() ** 1.4) * unit)

    if rng.random() < dark:
        paper, ink, accent = colour(rng, low=8, high=48), colour(rng, low=205, high=250), colour(rng, low=140, high=255)
    else:
        white = (255, 255, 255)
        paper = white if rng.random() < 0.7 else mixed(white, colour(rng, low=180, high=255), rng.uniform(0.1, 0.7))
        grey = rng.randint(0, 75)
        ink = rng.choice(((0, 0, 0), (0, 0, 0), (grey, grey, grey), colour(rng, low=0, high=75)))
        accent = vivid(rng) if rng.random() < 0.7 else ink
    tall = language.script in ("Deva", "Arab")
    return Style(
        families={"body": body, "heading": heading, "mono": mono, "hand": hand},
        look=Look.SCREEN if rng.random() < screen else Look.PRINT,
        shaped=language.shaped or bool(features.check("raqm") and rng.random() < SHAPED_SHARE),
        shaped_script=language.script in ("Deva", "Arab", "Hans", "Jpan"),
        x_height=height,
        leading=rng.uniform(1.12, 1.65) + (0.3 if tall else 0.0),
        unit=unit,
        margin=px[0] * rng.uniform(0.035, 0.15),
        paper=paper,
        ink=ink,
        muted=mixed(ink, paper, rng.uniform(0.15, 0.45)),
        accent=accent,
        shade=mixed(paper, accent, rng.uniform(0.05, 0.16)),
        line=mixed(ink, paper, rng.uniform(0.2, 0.8)),
        align="justify" if rng.random() < 0.35 and not tall else "left",
        radius=rng.choice((0.0, 0.0, 3.0, 6.0, 10.0)) * unit,
        spaced_paragraphs=rng.random() < 0.6,
    )
