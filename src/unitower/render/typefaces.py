"""The typefaces of this machine: found, told apart by what they can write, and parted into those to train and those to test with.

Searched are the usual font folders of Linux, macOS and Windows, `fonts/` beneath $XDG_DATA_HOME and $XDG_DATA_DIRS, and the DejaVu
fonts inside matplotlib, which are the sure fallback. A typeface counts for a language only if it has every character of the
language's own words, so that no page shows empty boxes.
"""

from __future__ import annotations

import importlib.util
import os
import random
import re
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Literal, TypeAlias
from zlib import crc32

from unitower.render import sfnt

Split: TypeAlias = Literal["train", "test"]

SUFFIXES = {".ttf", ".otf", ".ttc"}
NOT_FOR_TEXT = re.compile(
    r"Initials|AllSC|All SC|Emoji|Music|Symbol|Math|Ornament|Icon|Dingbat|Barcode|Braille|Nastaliq|Uralic"
    r"|Hairline|Thin|Ultra|ExtraLight|DejaVu\w+Display",
    re.I,
)
"""Signs and ornaments instead of letters, the thinnest strokes, Nastaliq, whose words slope over several lines, and Debian's Uralic fonts,
which draw Cyrillic letters for some accented Latin ones."""
REGIONS = {"JP", "KR", "SC", "TC", "HK"}
"""Last word of families that draw the same Han characters in the way of one region."""
HAND = re.compile(r"hand|script|cursive|brush|comic|breip|write|klee", re.I)
HAND_WEIGHT = 0.12
"""Few documents are set in handwriting, and it is hard to read."""
PLAIN_STYLES = {"Regular", "Book", "Roman", "Normal", "Standard", "Bold", "Italic", "Oblique", "Bold Italic", "Bold Oblique"}
TEST_SHARE = 4
"""One in so many groups of families is kept for tests."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Typeface:
    """One font of a file: `family` in the weight and slope of `style`."""

    path: Path
    index: int
    family: str
    style: str
    mono: bool
    characters: sfnt.CharacterMap = field(repr=False)

    @property
    def described(self) -> str:
        """Style and file name: some fonts call every style by one name."""
        return f"{self.style} {self.path.stem}"

    @property
    def bold(self) -> bool:
        return re.search(r"Bold|Black|Heavy", self.described, re.I) is not None

    @property
    def italic(self) -> bool:
        return re.search(r"Italic|Oblique", self.described, re.I) is not None


@dataclass(frozen=True, kw_only=True, eq=False)
class Family:
    """Typefaces of one name. `mono` where all letters are equally wide."""

    name: str
    typefaces: tuple[Typeface, ...]

    @property
    def mono(self) -> bool:
        return self.typefaces[0].mono

    @property
    def group(self) -> str:
        """What families of one design have in common: the first two words of the name (`Noto Sans CJK JP` is of `Noto Sans`)."""
        return " ".join(self.name.split()[:2])

    @property
    def split(self) -> Split:
        """Whether pages to train or to test with are drawn in it: by a hash of the group's name, the same on every machine."""
        return "test" if crc32(self.group.encode()) % TEST_SHARE == 0 else "train"

    def typeface(self, *, bold: bool = False, italic: bool = False) -> Typeface:
        """The typeface nearest to that weight and slope; of several the one called regular or plainly bold."""
        return min(
            self.typefaces, key=lambda face: ((face.bold != bold) + (face.italic != italic), face.style not in PLAIN_STYLES, face.style)
        )


def folders() -> tuple[Path, ...]:
    """Folders that may hold fonts, those that exist, in the order searched."""
    home = Path.home()
    data = [os.environ.get("XDG_DATA_HOME") or str(home / ".local/share")]
    data += (os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share").split(os.pathsep)
    usual = [Path(folder) / "fonts" for folder in data]
    usual += [Path("/usr/share/fonts"), Path("/usr/local/share/fonts"), home / ".fonts"]
    usual += [Path("/System/Library/Fonts"), Path("/Library/Fonts"), home / "Library/Fonts"]
    if windows := os.environ.get("WINDIR"):
        usual += [Path(windows) / "Fonts", home / "AppData/Local/Microsoft/Windows/Fonts"]
    matplotlib = importlib.util.find_spec("matplotlib")
    if matplotlib is not None and matplotlib.origin:
        usual.append(Path(matplotlib.origin).parent / "mpl-data/fonts/ttf")
    return tuple(dict.fromkeys(folder for folder in usual if folder.is_dir()))


@lru_cache(maxsize=4)
def families_in(searched: tuple[Path, ...]) -> tuple[Family, ...]:
    """Families of the fonts beneath the folders, sorted by name. Files that are no fonts are passed over."""
    found: dict[tuple[str, str, bool, bool], Typeface] = {}
    for folder in searched:
        inside_matplotlib = folder.parts[-3:] == ("mpl-data", "fonts", "ttf")
        for path in sorted(folder.rglob("*")):
            # the other fonts in matplotlib are pieces of formulas
            if path.suffix.lower() in SUFFIXES and not (inside_matplotlib and not path.name.startswith("DejaVu")):
                for face in _typefaces(path):
                    found.setdefault((face.family, face.style, face.bold, face.italic), face)
    by_name: dict[str, list[Typeface]] = {}
    for face in found.values():
        by_name.setdefault(face.family, []).append(face)
    return tuple(
        Family(name=name, typefaces=tuple(sorted(faces, key=lambda face: (face.bold, face.italic, face.style))))
        for name, faces in sorted(by_name.items())
    )


def _typefaces(path: Path) -> list[Typeface]:
    from PIL import ImageFont

    faces = []
    try:
        for index, (characters, mono) in enumerate(sfnt.read(path)):
            opened = ImageFont.truetype(str(path), 10, index=index, layout_engine=ImageFont.Layout.BASIC)
            family, style = (name or "" for name in opened.getname())
            if family and not NOT_FOR_TEXT.search(f"{path.stem} {family} {style}"):
                faces.append(Typeface(path=path, index=index, family=family, style=style, mono=mono, characters=characters))
    except (OSError, ValueError, struct.error):
        return []  # a broken font is no font
    return faces


@lru_cache(maxsize=256)
def _families_for(searched: tuple[Path, ...], sample: frozenset[str], region: str | None) -> tuple[Family, ...]:
    able = []
    for family in families_in(searched):
        last = family.name.split()[-1]
        if last in REGIONS and region is not None and last != region:
            continue
        faces = tuple(face for face in family.typefaces if face.characters.covers(sample))
        if any(not face.bold and not face.italic for face in faces):
            able.append(Family(name=family.name, typefaces=faces))
    return tuple(able)


def families_for(
    sample: Iterable[str], *, region: str = "", split: Split | None = None, names: Sequence[str] | None = None, mono: bool | None = None
) -> tuple[Family, ...]:
    """Families that have every character of `sample`, sorted by name; empty if there are none.

    region  of Han characters (JP, SC, ...): families made for another region are left out; "" leaves out all that are made for one
    split   only those to train or to test with; all, where the split has none, so that a machine with few fonts still draws
    names   only these families. ValueError if one is not on this machine.
    mono    only those whose letters are all equally wide, or only the others; all, where there are none
    """
    searched = folders()
    if names is not None:
        known = {family.name for family in families_in(searched)}
        if missing := [name for name in names if name not in known]:
            raise ValueError(f"there is no font family {missing[0]!r} on this machine; render.fonts() lists those there are.")
    able = _families_for(searched, frozenset(sample), region)
    if names is not None:
        able = tuple(family for family in able if family.name in names)
    elif split is not None:
        able = tuple(family for family in able if family.split == split) or able
    if mono is not None:
        able = tuple(family for family in able if family.mono == mono) or able
    return able


def drawn(families: Sequence[Family], rng: random.Random) -> Family:
    """One of the families by chance, every group equally likely, however many cuts it has, and handwriting less."""
    groups: dict[str, list[Family]] = {}
    for family in families:
        groups.setdefault(family.group, []).append(family)
    weights = [HAND_WEIGHT if HAND.search(group) else 1.0 for group in groups]
    return rng.choice(groups[rng.choices(list(groups), weights)[0]])


@lru_cache(maxsize=4096)
def stand_in(word: str, *, like: Typeface) -> Typeface | None:
    """A typeface that has every character of a word that `like` lacks, None if none has: in its weight and slope where there is one, and
    of the widest-spread family first."""

    def of_other_regions(face: Typeface) -> bool:  # they set Chinese and Japanese full stops in the middle of the line
        return face.family.split()[-1] in REGIONS - {"JP", "SC"}

    able = _families_for(folders(), frozenset(word), None)
    faces = (family.typeface(bold=like.bold, italic=like.italic) for family in able)
    return min(
        faces,
        key=lambda face: (
            HAND.search(face.family) is not None,
            face.mono != like.mono,
            not face.family.startswith("DejaVu"),
            of_other_regions(face),
            face.family,
        ),
        default=None,
    )


def by_script(samples: Mapping[str, tuple[frozenset[str], str]], *, split: Split | None = None) -> dict[str, list[str]]:
    """Names of the families that can write each script; `samples` gives its characters and the region of Han characters."""
    return {script: [f.name for f in families_for(sample, region=region, split=split)] for script, (sample, region) in samples.items()}
