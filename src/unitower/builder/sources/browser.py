"""HTML and Markdown as a browser shows them, in pages; Markdown is set in a style of our own.

Without Playwright or a Chromium these files are left out, each with that reason; the other sources go on.
"""

from __future__ import annotations

import html
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from unitower import ingest
from unitower.builder import languages
from unitower.builder.chromium import NoBrowser, Printer, printer
from unitower.builder.types import Dropped, Page
from unitower.errors import UnitowerError
from unitower.evaluation import toml
from unitower.ingest import html as html_reader
from unitower.ingest import markdown as markdown_reader
from unitower.ingest.decode import text_of
from unitower.ingest.walk import Candidate, walk

STYLE = Path(__file__).parents[1] / "styles" / "page.css"

RIGHT_TO_LEFT = {"ar", "he", "fa", "ur"}


def pages(
    *,
    folder: Path,
    notes: Callable[[Dropped], None],
    paths: Sequence[str],
    px: tuple[int, int] = (800, 1130),
    language: str = "",
    most: int = 0,
    style: str = "",
) -> Iterator[Page]:
    """The pages of HTML and Markdown files, also of those beneath folders.

    px        width and height of a page as the browser lays it out
    language  of all of them; left out, told from their text
    most      pages of a file that are taken; 0: all
    style     a CSS file of one's own for Markdown
    """
    suffixes = html_reader.SUFFIXES | markdown_reader.SUFFIXES
    roots = [Path(os.path.abspath(folder / path)) for path in paths]
    files = [
        (root, found.path)
        for root in roots
        for found in walk([root])
        if isinstance(found, Candidate) and found.path.suffix.lower() in suffixes
    ]
    css = toml.text_of(folder / style if style else STYLE)
    try:
        with printer(width_px=px[0], height_px=px[1]) as press:
            for root, path in files:
                key = path.relative_to(root if root.is_dir() else root.parent).as_posix()
                try:
                    for number, page in enumerate(_printed(press, path, key, css=css)):
                        if most and number >= most:
                            break
                        yield replace(page, language=language or page.language)
                except UnitowerError as error:
                    notes(Dropped(what="page", name=key, reason="unreadable", detail=str(error)))
    except NoBrowser as error:
        for _, path in files:
            notes(Dropped(what="page", name=str(path), reason="no browser", detail=str(error)))


def _printed(press: Printer, path: Path, key: str, *, css: str) -> Iterator[Page]:
    """The pages of one file."""
    with tempfile.TemporaryDirectory(prefix="unitower-page-") as scratch:
        printed, source = Path(scratch) / "page.pdf", path
        if path.suffix.lower() in markdown_reader.SUFFIXES:
            source = Path(scratch) / "page.html"
            source.write_text(as_html(text_of(path), css=css, folder=path.parent), encoding="utf-8")
        press.print(source, to=printed, beside=path.parent)
        for item in ingest.read(printed, key=key):
            assert not isinstance(item.content, str)
            yield Page(id=item.id, image=item.content, text=item.text)


def as_html(markdown: str, *, css: str, folder: Path) -> str:
    """A whole HTML page of a Markdown text: CommonMark with tables; front matter is left out. Links are relative to the folder."""
    from markdown_it import MarkdownIt

    if markdown.startswith("---\n") and "\n---\n" in markdown[4:]:
        markdown = markdown[4:].split("\n---\n", 1)[1]
    body = MarkdownIt("commonmark").enable("table").render(markdown)
    language = languages.told(markdown)
    direction = "rtl" if language in RIGHT_TO_LEFT else "ltr"
    heading = next((line.lstrip("# ") for line in markdown.splitlines() if line.startswith("#")), "")
    return (
        f'<!doctype html><html lang="{language or "en"}" dir="{direction}"><head><meta charset="utf-8">'
        f'<base href="{html.escape(folder.resolve().as_uri())}/">'
        f"<title>{html.escape(heading)}</title><style>{css}</style></head><body>{body}</body></html>"
    )
