"""Languages that queries are made in: one file of templates each, in builder/templates/, written for this project.

    name      of the language in itself
    common    frequent words, by which a text is told to be in it
    pointing  words that point at what the asker would have to see already: a query with them is not realistic
    [KIND]    templates for facts of a kind: kind of query -> texts with {slots}

A file more is a language more. What is filled in stands between quotation marks or where it needs no ending.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from unitower.builder.types import KINDS
from unitower.evaluation import toml

FOLDER = Path(__file__).parent / "templates"

SLOT = re.compile(r"\{(\w+)\}")

SCRIPTS = {"HANGUL": "ko", "THAI": "th", "HEBREW": "he", "DEVANAGARI": "hi", "ARABIC": "ar", "GREEK": "el", "BENGALI": "bn"}
"""Scripts that one language of the usual collections is written in; others are told by their words."""

LEAST_LETTERS = 12


@dataclass(frozen=True, kw_only=True)
class Language:
    """One language's templates: kind of fact -> kind of query -> texts."""

    code: str
    name: str
    common: Sequence[str]
    pointing: Sequence[str]
    templates: Mapping[str, Mapping[str, Sequence[str]]]


def codes() -> list[str]:
    """ISO 639-1 codes of the languages there are templates for."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


@cache
def find(code: str) -> Language:
    """The language of that code. ValueError names those there are."""
    if code not in codes():
        raise ValueError(f"there are no templates for the language {code!r}; there are some for {', '.join(codes())}.")
    values = toml.read(FOLDER / f"{code}.toml")
    templates = {name: value for name, value in values.items() if isinstance(value, dict)}
    return Language(code=code, name=values["name"], common=values["common"], pointing=values["pointing"], templates=templates)


def checked(templates: Mapping[str, Mapping[str, Sequence[str]]], *, where: str) -> Mapping[str, Mapping[str, Sequence[str]]]:
    """Templates as they are. ValueError for a kind of query that there is none of, or an empty template."""
    for fact, by_kind in templates.items():
        for kind, texts in by_kind.items():
            if kind not in KINDS:
                raise ValueError(f"{where}, [{fact}]: {kind!r} is no kind of query; there are {', '.join(KINDS)}.")
            if not all(text.strip() for text in texts):
                raise ValueError(f"{where}, [{fact}]: {kind} has a template without text.")
    return templates


def dictionary(words: str | Mapping[str, Mapping[str, str]], folder: Path) -> Mapping[str, Mapping[str, str]]:
    """Language -> word of the data -> that word in the language: as given, or from a TOML file beneath the folder.

    ValueError where that cannot be read or holds something else.
    """
    if not isinstance(words, str):
        return words
    values = toml.read(folder / words) if words else {}
    toml.check(values, dict.fromkeys(values, Mapping[str, str]), where=str(folder / words))
    return values


def told(text: str) -> str:
    """The language a text is in, as far as its script or its frequent words tell; "" where they do not.

    >>> told("Die Brücke ist für den Verkehr gesperrt und wird im Mai geprüft."), told("図書館の本は二週間借りられます。"), told("4711")
    ('de', 'ja', '')
    """
    scripts = Counter(unicodedata.name(letter, "").split(" ")[0] for letter in text[:4000] if letter.isalpha())
    if scripts.total() < LEAST_LETTERS:
        return ""
    ((most, _),) = scripts.most_common(1)
    if scripts["HIRAGANA"] + scripts["KATAKANA"] > scripts.total() // 10:
        return "ja"
    if most == "CJK":
        return "zh"
    if most in SCRIPTS:
        return SCRIPTS[most]
    words = Counter(re.findall(r"[^\W\d_]+", text.casefold()))
    shares = {code: sum(words[word] for word in find(code).common) for code in codes() if code not in ("ja", "zh")}
    best = max(shares, key=lambda code: shares[code])
    return best if shares[best] >= max(2, words.total() // 30) else ""
