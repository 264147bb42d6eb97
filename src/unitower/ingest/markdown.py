"""Markdown: one passage per section, more where it is long; fences and tables stay whole where they fit.

Every passage carries the path of headings above it ("Guide > Install"), in its metadata and in front of its text. The front matter stands
in the first passage; its title is metadata of all, and heads the path where the document has no heading of level 1.

Source: CommonMark 0.31, sections 4.2 to 4.5 (headings and fences); tables with bars as GitHub writes them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from unitower.errors import UnreadableFile
from unitower.ingest.decode import lines_of, text_of
from unitower.ingest.passages import Block, Line, Outline, Passage, Section, by_section, items
from unitower.types import Item

SUFFIXES = frozenset({".md", ".markdown", ".mdown", ".mkd", ".mdx", ".qmd", ".rmd"})

LONGEST_HEADING = 200
"""Characters; what is longer is a paragraph, whatever stands before or under it."""
LONGEST_FRONT_MATTER = 200
"""Lines; a document that begins with a rule is not taken for one with front matter."""

ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*))?$")
SETEXT = re.compile(r" {0,3}(=+|-+)[ \t]*$")
FENCE = re.compile(r"(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)?(`{3,}(?=[^`]*$)|~{3,})")
LIST_ITEM = re.compile(r" {0,3}(?:[-*+]|\d{1,9}[.)])[ \t]")
NO_PARAGRAPH = re.compile(r" {0,3}(?:>|[-*+][ \t]|\d{1,9}[.)][ \t])| {4}|\t")
DELIMITERS = re.compile(r"[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")
TITLE = re.compile(r"""title[ \t]*[:=][ \t]*(["']?)(.+?)\1[ \t]*$""", re.IGNORECASE)
MARKUP = [
    (re.compile(r"(?:^|[ \t]+)#+[ \t]*$"), ""),  # the closing sequence of a heading
    (re.compile(r"[ \t]*\{[#.:][^}]*\}$"), ""),  # its anchor
    (re.compile(r"!?\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])"), r"\1"),
    (re.compile(r"</?[A-Za-z][^>]*>|[`*]"), ""),
]


def read(path: Path, *, key: str, start: int = 0, passed_over: Callable[[str], None] | None = None) -> Iterator[Item]:
    """Passages with their line ranges; metadata: heading, and title from the front matter or the first heading of level 1.

    Raises UnreadableFile, see `decode.text_of`.
    """
    found, title = _passages(path)
    yield from items(found, key=key, modality="text", start=start, metadata={"title": title} if title else {})


def count(path: Path) -> int:
    """Number of passages."""
    return len(_passages(path)[0])


def _passages(path: Path) -> tuple[list[Passage], str]:
    lines = lines_of(text_of(path))
    front = _front_matter(lines)
    sections = _sections(lines, behind=len(front) + 2 if front else 0)
    if front:
        block = Block(lines=[Line(line.rstrip(), number, number) for number, line in enumerate(front, start=2) if line.strip()])
        holder = sections[1] if not sections[0].blocks and len(sections) > 1 else sections[0]
        holder.blocks.insert(0, block)
        holder.first = 1
    titles = [match[2].strip() for line in front if len(line) <= LONGEST_HEADING and (match := TITLE.match(line))]
    titles += [section.titles[-1] for section in sections if section.level == 1]
    title = next(filter(None, titles), "")
    found = by_section(sections, title=title)
    if not found:
        raise UnreadableFile(path, "no text in it")
    return found, title


def _front_matter(lines: Sequence[str]) -> Sequence[str]:
    """The lines between the marks of YAML or TOML front matter; none where there is no front matter, or nothing in it."""
    mark = lines[0].rstrip()
    ends = {"---": ("---", "..."), "+++": ("+++",)}.get(mark, ())
    for number, line in enumerate(lines[1:LONGEST_FRONT_MATTER], start=1):
        if line.rstrip() in ends:
            inside = lines[1:number]
            return inside if any(line.strip() for line in inside) else ()
    return ()


def _sections(lines: Sequence[str], *, behind: int) -> list[Section]:
    """The sections of a document from line `behind` + 1 on; the first has level 0 and is often empty."""
    outline = Outline(first=behind + 1)
    paragraph: list[Line] = []

    def close_paragraph(*, whole: bool = False) -> None:
        if paragraph:
            outline.add(Block(lines=tuple(paragraph), whole=whole))
            paragraph.clear()

    at = behind
    while at < len(lines):
        line = lines[at].rstrip()
        number = at + 1
        atx = ATX.match(line)
        if not line.strip():
            close_paragraph()
        elif atx and len(line) <= LONGEST_HEADING:
            close_paragraph()
            outline.begin(len(atx[1]), _plain(atx[2] or ""), first=number, last=number)
        elif (setext := SETEXT.match(line)) and (title := _setext_title(paragraph)):
            first = paragraph[0].first
            paragraph.clear()
            outline.begin(1 if setext[1][0] == "=" else 2, title, first=first, last=number)
        elif end := _end_of_fence(lines, at) or _end_of_table(lines, at):
            close_paragraph()
            paragraph += [Line(lines[row].rstrip(), row + 1, row + 1) for row in range(at, end)]
            close_paragraph(whole=True)
            at = end - 1
        else:
            if LIST_ITEM.match(line):
                close_paragraph()
            paragraph.append(Line(line, number, number))
        at += 1
    close_paragraph()
    return outline.sections


def _setext_title(paragraph: Sequence[Line]) -> str:
    """What a paragraph says as a heading; "" where it is none: a list, a quotation, or too long."""
    text = " ".join(line.text.strip() for line in paragraph)
    return "" if not paragraph or len(text) > LONGEST_HEADING or NO_PARAGRAPH.match(paragraph[0].text) else _plain(text)


def _end_of_fence(lines: Sequence[str], start: int) -> int:
    """The index behind a fence that begins at `start`; 0 where none does. One that is never closed goes on to the end."""
    opening = FENCE.match(lines[start].lstrip(" \t>"))
    if not opening:
        return 0
    mark = opening[1]
    for at in range(start + 1, len(lines)):
        closing = lines[at].strip(" \t>")
        if len(closing) >= len(mark) and closing == mark[0] * len(closing):
            return at + 1
    return len(lines)


def _end_of_table(lines: Sequence[str], start: int) -> int:
    """The index behind a table that begins at `start`; 0 where none does."""
    if start + 1 == len(lines) or "|" not in lines[start] or "|" not in lines[start + 1] or not DELIMITERS.match(lines[start + 1]):
        return 0
    end = start + 2
    while end < len(lines) and "|" in lines[end]:
        end += 1
    return end


def _plain(heading: str) -> str:
    """A heading without its markup.

    >>> _plain("Install `unitower` on [Linux](https://kernel.org) ##")
    'Install unitower on Linux'
    """
    for pattern, instead in MARKUP:
        heading = pattern.sub(instead, heading)
    return heading.strip()
