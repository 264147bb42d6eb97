"""Manual pages: their paragraphs, and their name lines with what the pages say first."""

from __future__ import annotations

import re
from pathlib import Path

from unitower.data._corpus import Corpus
from unitower.data._manuals import sections
from unitower.data._split import kept_to_test

LICENCE = "various free licences, each page its own"
SHORTEST_PARAGRAPH, SHORTEST_NAME, LONGEST_NAME, LONGEST_BODY = 60, 15, 300, 1200
LANGUAGE = re.compile(r"([a-z]{2})(?:_[A-Z]{2})?(?:\.[\w-]+)?")


def read(corpus: Corpus, root: Path) -> None:
    """Take the pages of `root` (English) and of the folders of languages in it."""
    folders = {"en": [root]} if root.is_dir() else {}
    for folder in sorted(root.glob("*")):
        if (match := LANGUAGE.fullmatch(folder.name)) and folder.is_dir():
            folders.setdefault(match[1], []).append(folder)
    taken = 0
    for language, places in folders.items():
        for path in sorted(path for place in places for path in place.glob("man*/*.gz")):
            if not kept_to_test(path.name):
                taken += _page(corpus, language, path)
    if taken:
        corpus.note("manual pages", licence=LICENCE, texts=taken)


def _page(corpus: Corpus, language: str, path: Path) -> int:
    try:
        parts = sections(path)
    except OSError:  # a link that leads nowhere
        return 0
    running = [paragraph.text for part in parts for paragraph in part.paragraphs if paragraph.kind in ("text", "item")]
    name = next((paragraph.text for part in parts[:1] for paragraph in part.paragraphs if paragraph.text), "")
    body = " ".join(paragraph.text for part in parts[1:4] for paragraph in part.paragraphs if paragraph.kind == "text")
    if len(name) > SHORTEST_NAME and body:
        corpus.titled.append((language, name[:LONGEST_NAME], body[:LONGEST_BODY]))
    return corpus.add(language, (text for text in running if len(text) > SHORTEST_PARAGRAPH))
