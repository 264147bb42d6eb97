"""HTML: what a reader of the page reads, by section, with the lines of the file it stands in; scripts, styles and navigation are left out.

The tags are taken one after the other, in time proportional to the length of the page, and no tree is built: trees of hostile
pages grow without bounds (40 kB of unclosed <font> made 1.4 GB of one), and they do not know in which line a text stood.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import unescape
from pathlib import Path

from unitower.errors import UnreadableFile
from unitower.ingest.decode import text_of
from unitower.ingest.passages import Block, Line, Outline, Passage, by_section, items, words
from unitower.types import Item

SUFFIXES = frozenset({".html", ".htm", ".xhtml"})

LONG_CELL = 40
"""Words; a row with a longer cell is layout rather than a table, and its cells are read as paragraphs."""
DEEPEST = 50
"""Lists and tables within each other; deeper ones are read as if they stood side by side."""
LONGEST_HEADING = 200
"""Characters; what is longer is read as a paragraph. A title, which every passage carries, is cut there."""

TAG = re.compile(r"""</?([A-Za-z][^\s/>]*+)((?:[^>"']|"[^"]*"|'[^']*')*+)>""")
TAG_BEGINS = re.compile(r"</?([A-Za-z][^\s/>]*)")
ALT = re.compile(r"""\salt\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.IGNORECASE)
BIG_REFERENCE = re.compile(r"&#[xX]?[0-9A-Fa-f]{9,};?")
BLANKS = re.compile(r"[ \t\n\f\xa0]+")

RAW = {"script", "style", "iframe", "textarea", "xmp", "title"}
"""Elements whose content holds no tags; nothing of it is read but the title."""
UNREAD = {"noscript", "template", "nav", "svg", "select", "object"}
"""Elements left out with all they hold."""
UNREAD_ENDS = re.compile(rf"</({'|'.join(sorted(UNREAD))})", re.IGNORECASE)
BLOCKS = {
    *("address", "article", "aside", "blockquote", "body", "br", "caption", "center", "dd", "details", "dialog", "div", "dl", "dt"),
    *("fieldset", "figcaption", "figure", "footer", "form", "header", "hr", "html", "legend", "li", "main", "ol", "option", "p", "pre"),
    *("section", "summary", "table", "tbody", "tfoot", "thead", "tr", "ul"),
}
"""Elements that begin and end a line of text."""
TOGETHER = {"ul", "ol", "dl", "table", "pre"}
"""Elements whose lines make one block."""
HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}

DECLARED = re.compile(
    rb"""<meta[^>]{0,300}?charset\s*=\s*["']?\s*([\w.:-]+)|<\?xml[^>]{0,300}?encoding\s*=\s*["']([\w.:-]+)""", re.IGNORECASE
)
ENCODINGS = {
    **{f"windows-{number}": f"cp{number}" for number in range(1250, 1259)},
    **{f"iso-8859-{part}": f"iso8859-{part}" for part in (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16)},
    **dict.fromkeys(["iso-8859-1", "latin1", "latin-1", "us-ascii", "ascii"], "cp1252"),
    **dict.fromkeys(["iso-8859-9", "latin5"], "cp1254"),
    **dict.fromkeys(["iso-8859-11", "tis-620", "windows-874"], "cp874"),
    **dict.fromkeys(["gb2312", "gbk", "gb18030", "x-gbk"], "gb18030"),
    **dict.fromkeys(["shift_jis", "shift-jis", "sjis", "x-sjis", "windows-31j", "ms932"], "cp932"),
    **dict.fromkeys(["euc-kr", "ks_c_5601-1987", "windows-949"], "cp949"),
    **dict.fromkeys(["big5", "big5-hkscs"], "big5hkscs"),
    **{"euc-jp": "euc_jp", "iso-2022-jp": "iso2022_jp", "koi8-r": "koi8-r", "koi8-u": "koi8-u", "ibm866": "cp866", "cp866": "cp866"},
    "macintosh": "mac-roman",
}
"""Names of encodings as pages write them -> what browsers take them for."""


def read(path: Path, *, key: str, start: int = 0, passed_over: Callable[[str], None] | None = None) -> Iterator[Item]:
    """Passages with their line ranges; metadata: heading (path of headings), and title.

    Raises UnreadableFile, see `decode.text_of`, and for a page of scripts without any text.
    """
    found, title = _passages(path)
    yield from items(found, key=key, modality="text", start=start, metadata={"title": title} if title else {})


def count(path: Path) -> int:
    """Number of passages."""
    return len(_passages(path)[0])


def _passages(path: Path) -> tuple[list[Passage], str]:
    page = _Page(text_of(path, declared=declared_encoding))
    found = by_section(page.outline.sections, title=page.title)
    if not found:
        raise UnreadableFile(path, "no text in it")
    return found, page.title


def declared_encoding(head: bytes) -> str | None:
    """The encoding that a page names in its first bytes, as Python calls it; None for UTF-8 and for names that are unknown.

    >>> declared_encoding(b'<meta charset="Shift_JIS">'), declared_encoding(b"<p>")
    ('cp932', None)
    """
    match = DECLARED.search(head)
    return ENCODINGS.get((match[1] or match[2]).decode("ascii").lower()) if match else None


@dataclass(frozen=True, slots=True)
class _Token:
    """A tag, or text if it has no name.

    name    in lower case; with a slash in front for an end tag
    text    the text, the attributes of a tag, or the content of a title
    at      its place in the page
    number  the number of the line it begins in
    """

    name: str
    text: str
    at: int
    number: int


def _tokens(page: str) -> Iterator[_Token]:
    """Tags and texts of a page in order. What is never closed (a quote, a comment) is searched for once and then taken as it comes."""
    at, number = 0, 1
    never: set[str] = set()

    def end_of(mark: str, start: int) -> int:
        place = -1 if mark in never else page.find(mark, start)
        if place < 0:
            never.add(mark)
        return place

    while at < len(page):
        start = page.find("<", at)
        start = len(page) if start < 0 else start
        if start > at:
            yield _Token("", page[at:start], at, number)
            number += page.count("\n", at, start)
        if start == len(page):
            return
        begins = TAG_BEGINS.match(page, start)
        if page.startswith("<!--", start) and (end := end_of("-->", start + 2)) >= 0:
            end += 3
        elif begins:
            careful = None if "quote" in never else TAG.match(page, start)
            if not careful:
                never.add("quote")
            end = careful.end() if careful else (end_of(">", begins.end()) + 1 or len(page))
            name = begins[1].lower()
            closing = page[start + 1] == "/"
            attributes = page[begins.end() : end - 1]
            if not closing and name in RAW and not attributes.endswith("/"):
                close = _find_end_tag(page, name, end, never)
                yield _Token(name, page[end:close], start, number)
                end = close
            else:
                yield _Token(f"/{name}" if closing else name, attributes, start, number)
        elif page[start + 1 : start + 2] in {"!", "?", "/"}:
            end = end_of(">", start) + 1 or len(page)
        else:
            end = start + 1
            yield _Token("", "<", start, number)
        number += page.count("\n", start, end)
        at = end


def _find_end_tag(page: str, name: str, start: int, never: set[str]) -> int:
    """Where the end tag of an element begins; `start` for a title that is never closed, else the end of the page."""
    close = None if name in never else re.compile(f"</{name}", re.IGNORECASE).search(page, start)
    if close:
        return close.start()
    never.add(name)
    return start if name == "title" else len(page)


class _Page:
    """A page read from its first tag to its last: its title, and its sections with their blocks."""

    def __init__(self, text: str) -> None:
        self.title = ""
        self.outline = Outline(first=1)
        self._heading = 0  # level of the heading that is open
        self._open: list[str] = []  # elements of TOGETHER that are open
        self._in_cell = False
        self._pieces: list[tuple[str, int, int]] = []  # of the line that is open: text, and the lines of the file it stands in
        self._cells: list[Line] = []  # of the row that is open
        self._lines: list[Line] = []  # of the block that is open
        for token in _without_unread(text):
            if token.name == "title":
                self.title = self.title or BLANKS.sub(" ", _unescaped(token.text)).strip()[:LONGEST_HEADING]
            elif token.name:
                self._tag(token)
            elif "pre" in self._open:
                for at, line in enumerate(token.text.split("\n")):
                    if at:
                        self._end_line()
                    self._add(line, token.number + at)
            else:
                self._add(token.text, token.number)
        self._end_heading()
        self._end_block()

    def _tag(self, token: _Token) -> None:
        closing = token.name.startswith("/")
        name = token.name.removeprefix("/")
        if name in HEADINGS:
            self._end_heading()
            self._end_block()
            self._open.clear()
            self._heading = 0 if closing else int(name[1])
        elif name in TOGETHER:
            self._end_row()
            if closing and name in self._open:
                while self._open.pop() != name:
                    pass
            if not self._open:
                self._end_block()
            if not closing and len(self._open) < DEEPEST:
                self._open.append(name)
        elif name == "tr":
            self._end_row()
        elif name in {"td", "th"}:
            self._end_cell()
            self._in_cell = not closing
        elif name == "img":
            alt = ALT.search(token.text)
            self._add(f" {alt[1] or alt[2] or alt[3] or ''} " if alt else " ", token.number)
        elif self._in_cell and name in BLOCKS:
            self._add(" ", token.number)
        elif name == "br" or (name in BLOCKS and (self._open or self._heading)):
            self._end_line()
            if name == "li" and not closing:
                self._add("- ", token.number)
        elif name in BLOCKS:
            self._end_block()

    def _add(self, text: str, number: int) -> None:
        bare = text.strip()
        if bare:
            first = number + text[: text.index(bare[0])].count("\n")
            self._pieces.append((_unescaped(text), first, first + bare.count("\n")))
        elif self._pieces:
            self._pieces.append((" ", self._pieces[-1][2], self._pieces[-1][2]))

    def _taken(self) -> Line | None:
        """The line that is open, and none is after that."""
        text = "".join(piece for piece, _, _ in self._pieces)
        text = text.rstrip() if "pre" in self._open else BLANKS.sub(" ", text).strip()
        line = Line(text, self._pieces[0][1], self._pieces[-1][2]) if text.strip(" -") else None
        self._pieces.clear()
        return line

    def _end_line(self) -> None:
        if self._heading:  # a heading of several lines is one
            self._add(" ", 0)
        elif line := self._taken():
            self._lines.append(line)

    def _end_cell(self) -> None:
        if line := self._taken():
            self._cells.append(line)

    def _end_row(self) -> None:
        if self._in_cell:
            self._end_cell()
        self._in_cell = False
        self._end_line()
        if any(words(cell.text) > LONG_CELL for cell in self._cells):
            self._lines += self._cells
        elif self._cells:
            self._lines.append(Line(" | ".join(cell.text for cell in self._cells), self._cells[0].first, self._cells[-1].last))
        self._cells = []

    def _end_block(self) -> None:
        self._end_row()
        if self._lines:
            self.outline.add(Block(lines=tuple(self._lines), whole=bool({"table", "pre"}.intersection(self._open))))
        self._lines = []

    def _end_heading(self) -> None:
        level, self._heading = self._heading, 0
        line = self._taken() if level else None
        if line and len(line.text) <= LONGEST_HEADING:
            self._end_block()
            self.outline.begin(level, line.text, first=line.first, last=line.last)
        elif line:
            self._lines.append(line)


def _without_unread(page: str) -> Iterator[_Token]:
    """The tokens outside of navigation and the like. An element that is never closed is read."""
    last = {match[1].lower(): match.start() for match in UNREAD_ENDS.finditer(page)}
    left_out, depth = "", 0
    for token in _tokens(page):
        if left_out and token.at > last[left_out]:
            left_out = ""
        if left_out:
            if token.name == left_out and not token.text.endswith("/"):
                depth += 1
            elif token.name == f"/{left_out}":
                depth -= 1
                left_out = left_out if depth else ""
        elif token.name in UNREAD and token.at < last.get(token.name, 0) and not token.text.endswith("/"):
            left_out, depth = token.name, 1
        else:
            yield token


def _unescaped(text: str) -> str:
    """Text with its character references resolved; a number beyond all characters would otherwise be counted out digit by digit."""
    return unescape(BIG_REFERENCE.sub("\ufffd", text)) if "&" in text else text
