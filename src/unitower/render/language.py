"""How a language writes numbers, dates and addresses, and its own small stock of words, sentences and questions.

One file per language in `languages/`, written for this project; a file more is a language more. Lists of names and sentences can be
parted into those for training pages and those for test pages. Sentences keep inflection out of the way: what is filled in stands
where it needs no ending.
"""

from __future__ import annotations

import re
import string
import tomllib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any
from zlib import crc32

from unitower.render.typefaces import Split, families_for

HELD_SHARE = 5
"""One in so many entries of a list is kept for test pages, at least two."""

IDEOGRAPHS = "\u2e80-\u303f\u3040-\u30ff\u3130-\u318f\u31f0-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uffef"
OPENING = "（「『【〈《〔［｛“‘"
UNIT = re.compile(
    f"[{OPENING}]*(?:[{IDEOGRAPHS}]|[^\\s{IDEOGRAPHS}]+)[ー々ゃゅょっァィゥェォャュョッ、。，．：；！？・…）」』】〉》〕］｝”’％]*"
)
HAS_IDEOGRAPHS = re.compile(f"[{IDEOGRAPHS}]")
RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
SYLLABLES = (
    "ba",
    "cor",
    "dex",
    "el",
    "fin",
    "gra",
    "hol",
    "ka",
    "lum",
    "mar",
    "nor",
    "or",
    "pri",
    "quo",
    "ra",
    "sol",
    "tar",
    "ul",
    "ven",
    "wyn",
    "xa",
    "zel",
)

ALWAYS = "0123456789.,:;!?()-/%&@"
"""What a font must have besides letters; for other scripts than the European ones a second font may write these."""

SHAPED = {"Arab", "Deva"}
"""Scripts whose letters join or reorder: drawn word by word through Raqm."""


def units(text: str) -> list[tuple[str, bool]]:
    """What a line may break between, each with whether white space stands before it.

    Words, where a script parts them by spaces; in Chinese and Japanese every character with the marks that cling to it.

    >>> units("Total: 3,50 €")
    [('Total:', False), ('3,50', True), ('€', True)]
    >>> units("合計（税込）は120円。")
    [('合', False), ('計', False), ('（税', False), ('込）', False), ('は', False), ('120', False), ('円。', False)]
    """
    if not HAS_IDEOGRAPHS.search(text):
        return [(word, i > 0) for i, word in enumerate(text.split())]
    return [(match.group(), match.start() > 0 and text[match.start() - 1].isspace()) for match in UNIT.finditer(text)]


@dataclass(frozen=True, kw_only=True)
class Language:
    """One language's stock. `card` holds its file as read."""

    code: str
    card: Mapping[str, Any]

    @property
    def name(self) -> str:
        return str(self.card["name"])

    @property
    def script(self) -> str:
        """ISO 15924 code."""
        return str(self.card["script"])

    @property
    def right_to_left(self) -> bool:
        return self.script == "Arab"

    @property
    def shaped(self) -> bool:
        """Whether its letters can only be drawn with Raqm."""
        return self.script in SHAPED

    @property
    def region(self) -> str:
        """Region whose way of drawing Han characters it takes; "" where it has none."""
        return str(self.card.get("region", ""))

    @property
    def sample(self) -> frozenset[str]:
        """Every character of its words and sentences: what a font must have to write it."""
        return _characters(self.code)

    def label(self, name: str) -> str:
        """A word that forms and pages are labelled with."""
        return str(self.card["labels"][name])

    def entries(self, name: str, *, split: Split | None = None) -> Sequence[Any]:
        """A list of its file; with a split, the part of it that is for training or for test pages."""
        return _entries(self.code, name, split)

    def number(self, value: float, *, decimals: int = 0) -> str:
        """A number as the language writes it, thousands grouped from 1000 on."""
        plain = f"{value:,.{decimals}f}"
        return plain.translate(str.maketrans({",": self.card["thousands"], ".": self.card["decimal"]}))


@cache
def languages_known() -> tuple[str, ...]:
    """ISO 639-1 codes of the languages with a file, sorted."""
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in _folder().iterdir() if entry.name.endswith(".toml")))


@cache
def find(code: str) -> Language:
    """The language of that code. ValueError names those there are."""
    if code not in languages_known():
        raise ValueError(f"there is no language {code!r} to render; there are {', '.join(languages_known())}.")
    return Language(code=code, card=tomllib.loads((_folder() / f"{code}.toml").read_text(encoding="utf-8")))


def drawable(code: str) -> str:
    """ "" if pages of the language can be drawn on this machine, else what is missing. ValueError if there is no such language."""
    from PIL import features

    language = find(code)
    if language.shaped and not features.check("raqm"):
        return f"{language.name} needs Pillow with Raqm, which joins its letters; this Pillow was built without."
    if not families_for(language.sample, region=language.region):
        return f"no font of this machine has the letters of {language.name} (script {language.script}): install one, Noto for example."
    return ""


def _folder() -> Any:
    return files("unitower.render") / "languages"


@cache
def _entries(code: str, name: str, split: Split | None) -> Sequence[Any]:
    listed: Sequence[Any] = find(code).card[name]
    if split is None:
        return listed
    by_hash = sorted(listed, key=lambda entry: crc32(repr(entry).encode()))
    held = max(2, len(listed) // HELD_SHARE)
    return by_hash[:held] if split == "test" else by_hash[held:]


@cache
def _characters(code: str) -> frozenset[str]:
    def texts(node: Any) -> list[str]:
        if isinstance(node, str):
            return [node]
        children = node.values() if isinstance(node, Mapping) else node
        return [text for child in children for text in texts(child)]

    card = find(code).card
    spoken = {name: value for name, value in card.items() if name not in ("script", "region", "name", "money")}
    letters = {character for text in texts(spoken) for character in re.sub(r"\{\w*\}", "", text)}
    # letters, the marks that join them, digits; Latin letters in a text of another script are drawn in a font that has them
    own = {c for c in letters - set(string.printable) if unicodedata.category(c)[0] in "LMN"}
    if card["script"] == "Latn":
        own |= set(string.ascii_letters)
    return frozenset(own | set(ALWAYS if card["script"] in ("Latn", "Cyrl", "Grek") else ""))
