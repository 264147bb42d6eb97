"""The typefaces the pages of the table are set in: families held out from training, from files that are not installed."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path

from nano import material


@cache
def families(letters: str) -> dict[str, list[tuple[str, bool, bool, Path]]]:
    """Held-out families that can write some letters: weight and slope of their files."""
    from unitower.render import typefaces

    searched = tuple(material.folder(package) for package in material.named()["fonts"])
    wanted = set(material.named()["families"])
    return {
        family.name: [(face.style, face.bold, face.italic, face.path) for face in family.typefaces]
        for family in typefaces.families_in(searched)
        if family.name in wanted and family.typeface().characters.covers(frozenset(letters))
    }


@cache
def font_css() -> str:
    rules = []
    for name, faces in families("a").items():
        for bold in (False, True):
            for italic in (False, True):
                able = [face for face in faces if face[1:3] == (bold, italic)]
                if able:
                    plain = [face for face in able if face[0] in ("Regular", "Italic", "Bold", "Bold Italic", "Bold-Italic")]
                    url = (plain or able)[0][3].resolve().as_uri()
                    rules.append(
                        f"@font-face {{ font-family: '{name}'; src: url('{url}'); font-weight: {700 if bold else 400}; "
                        f"font-style: {'italic' if italic else 'normal'} }}"
                    )
    return "\n".join(rules)


LETTERS = {"ru": "абвгдежзийклмнопрстуфхцчшщъыьэюяА"}


def chosen(rng: random.Random, language: str, *, mono: bool = False) -> str:
    """A family for running text."""
    fixed = ("Hack", "JetBrains Mono")
    able = [name for name in families(LETTERS.get(language, "aäöüßéèêçñ«»")) if (name in fixed) == mono]
    return rng.choice(able)
