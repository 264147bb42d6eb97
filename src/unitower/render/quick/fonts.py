"""Fonts to draw quick pages in: those of this machine that can write one of the scripts."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from PIL import ImageFont

from unitower.render import typefaces
from unitower.render.quick.alphabet import ALPHABET, SCRIPTS, WRITES

COMMON = re.compile(
    r"Liberation|DejaVu|Nimbus|LM Roman|Latin Modern Roman|Carlito|Tinos|Arimo|Open Sans|Roboto|Lato|CMU Serif|Termes|Heros|FreeSerif|"
    r"FreeSans|PT Sans|PT Serif|P052|C059|Inter|Linux Libertine",
    re.I,
)
"""Families that documents are set in more often than in the rest; pages are drawn in one of them more than half of the time."""

NOT_FOR_PAGES = re.compile(r"Initial|Drop ?Cap|D050|Z003|STIX(?:Int|Size|Var|Non)|Awesome|Opens___|Script|Dingbat", re.I)
"""Beside those that `typefaces` leaves out: pieces of formulas, and letters that are pictures."""


@dataclass(frozen=True, kw_only=True)
class Font:
    """One font of a file.

    scripts  of `SCRIPTS` that it can write
    lacks    characters of the alphabet that it has no glyph for
    """

    path: Path
    index: int
    family: str
    style: str
    mono: bool
    common: bool
    scripts: frozenset[str]
    lacks: frozenset[str] = field(repr=False)


@lru_cache(maxsize=4)
def fonts(*, left_out: Callable[[str], bool] | None = None) -> tuple[Font, ...]:
    """The fonts of this machine that can write a script, sorted by family; DejaVu inside matplotlib where there is no other.

    left_out  families that are not taken: those kept to test with
    """
    found = []
    for family in typefaces.families_in(typefaces.folders()):
        if left_out is not None and left_out(family.name):
            continue
        for face in family.typefaces:
            scripts = frozenset(name for name, needed in SCRIPTS.items() if face.characters.covers(needed))
            if scripts and not NOT_FOR_PAGES.search(f"{family.name} {face.described}"):
                found.append(
                    Font(
                        path=face.path, index=face.index, family=family.name, style=face.style, mono=face.mono,
                        common=COMMON.search(family.name) is not None, scripts=scripts,
                        lacks=frozenset(character for character in ALPHABET if character not in face.characters),
                    )
                )  # fmt: skip
    return tuple(found)


def languages(fonts: Sequence[Font]) -> tuple[str, ...]:
    """Codes of the languages that the fonts can write."""
    scripts = frozenset().union(*(font.scripts for font in fonts))
    return tuple(language for language, script in WRITES.items() if script in scripts)


class Pen:
    """A font at a size in drawn pixels: how wide characters are, and where their middle lies."""

    def __init__(self, font: Font, size: int) -> None:
        self.face = ImageFont.truetype(str(font.path), size, index=font.index, layout_engine=ImageFont.Layout.BASIC)
        self.size, self.lacks = size, font.lacks
        ascent: int = self.face.getmetrics()[0]
        self.middle = ascent - 0.3 * size  # from the top to half the height of small letters, which are about 0.5 to 0.6 of the size
        self._widths: dict[str, float] = {}
        self.space = self.width(" ")

    def width(self, character: str) -> float:
        known = self._widths.get(character)
        if known is None:
            known = self._widths[character] = self.face.getlength(character)
        return known

    def widths(self, word: str) -> list[float]:
        return [self.width(character) for character in word]
