"""LibreOffice's help: HTML pages whose paragraphs bear the same id in every language, which makes them parallel text."""

from __future__ import annotations

import html
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from unitower.data._corpus import Corpus
from unitower.data._split import kept_to_test

LICENCE = "MPL-2.0"
ENGLISH = "en-US"
PARAGRAPH = re.compile(r'<(p|h\d) id="([^"]+)"[^>]*>(.*?)</\1>', re.DOTALL)
TAG = re.compile(r"<[^>]+>")
TITLE = re.compile(r"<title>(.*?)</title>", re.DOTALL)
SHORTEST_PAIR, LONGEST_SIDE, LONGEST_BODY = 8, 400, 1500
"""Characters: a shorter paragraph says the same in too many places; what is longer than a side is cut to it."""


def read(corpus: Corpus, root: Path) -> None:
    """Take passages, titles and parallel paragraphs of every language beneath `root`."""
    by_id: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    folders = sorted(folder for folder in root.glob("*") if (folder / "text").is_dir())
    taken = 0
    for folder in folders:
        language = folder.name.partition("-")[0]
        for path in sorted((folder / "text").rglob("*.html")):
            if kept_to_test(path.name):
                continue
            page = path.read_text(encoding="utf-8", errors="replace")
            paragraphs = dict(_paragraphs(page))
            taken += corpus.add(language, paragraphs.values())
            for mark, text in paragraphs.items():
                by_id[path.relative_to(folder).as_posix(), mark].setdefault(folder.name, text)
            title = TITLE.search(page)
            if title and paragraphs:
                corpus.titled.append((language, _plain(title[1]), " ".join(paragraphs.values())[:LONGEST_BODY]))
    corpus.parallel.extend(_parallel(by_id.values()))
    if taken:
        corpus.note("LibreOffice help", licence=LICENCE, texts=taken)


def _paragraphs(page: str) -> Iterator[tuple[str, str]]:
    for _, mark, markup in PARAGRAPH.findall(page, max(0, page.find('id="DisplayArea"'))):
        if len(text := _plain(markup)) >= 3:
            yield mark, text


def _plain(markup: str) -> str:
    return " ".join(html.unescape(TAG.sub("", markup)).split())


def _parallel(versions: Iterable[Mapping[str, str]]) -> Iterator[tuple[str, str, str]]:
    for by_folder in versions:
        english = by_folder.get(ENGLISH)
        for name, text in by_folder.items():
            if english and name != ENGLISH and text != english and len(text) > SHORTEST_PAIR:
                yield name.partition("-")[0], english[:LONGEST_SIDE], text[:LONGEST_SIDE]
