"""Sayings, jokes and quotations of the program fortune: the only everyday speech that a machine has."""

from __future__ import annotations

from pathlib import Path

from unitower.data._corpus import Corpus
from unitower.data._split import kept_to_test

LICENCE = "public domain and various, as Debian's fortune packages say"
NOT_TEXT = {".dat", ".u8"}
FOLDERS = {"cz": "cs"}
"""Names of folders that are no codes of their language. Files beneath none of the known ones are English, unless they bear a code."""

LANGUAGES = {"cs", "de", "es", "it", "pl", "ru"}
DRAWN = {"ascii-art", "asciiart", "banner"}
"""Pictures made of characters."""


def read(corpus: Corpus, root: Path) -> None:
    taken = 0
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        if path.suffix in NOT_TEXT or path.name in DRAWN or kept_to_test(path.name):
            continue
        folder = path.relative_to(root).parts[0]
        named = FOLDERS.get(folder, folder)
        language = next((name for name in (path.name, named) if name in LANGUAGES), "en")
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        taken += corpus.add(language, text.split("\n%\n"))
    if taken:
        corpus.note("fortunes", licence=LICENCE, texts=taken)
