"""Manual pages (man, troff): their sections and paragraphs as plain text.

What the macros of `man(7)` mean is enough: where a paragraph begins and what is running text. Pages in `mdoc` and pages that only
point to another have no paragraphs here.
"""

from __future__ import annotations

import gzip
import re
import unicodedata
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

LARGEST_PAGE = 4 << 20
"""Bytes unpacked: the longest pages there are have half of it."""


@dataclass(frozen=True)
class Paragraph:
    """kind: "text", "item" (what a term or bullet explains), "term", or "verbatim" (examples, tables), which has no text."""

    kind: str
    text: str


@dataclass(frozen=True)
class Section:
    title: str
    paragraphs: tuple[Paragraph, ...]


@lru_cache(maxsize=256)
def sections(path: Path) -> tuple[Section, ...]:
    """The sections of a page; none where it is in another form, or in another encoding than UTF-8. OSError if it cannot be read."""
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = zlib.decompressobj(wbits=31).decompress(data, LARGEST_PAGE)
        source = data.decode("utf-8")
    except (zlib.error, gzip.BadGzipFile, EOFError, UnicodeDecodeError):
        return ()
    return parsed(source)


class _Page:
    """Sections while they grow."""

    def __init__(self) -> None:
        self.done: list[tuple[str, list[Paragraph]]] = []
        self.words: list[str] = []
        self.kind = "text"

    def section(self, title: str) -> None:
        self.end()
        self.done.append((title, []))
        self.kind = "text"

    def end(self, then: str = "text") -> None:
        """The paragraph ends, if there is one, and one of kind `then` begins."""
        text = " ".join(" ".join(self.words).split())
        if text and self.done:
            self.done[-1][1].append(Paragraph(self.kind, text))
        self.words, self.kind = [], then

    def verbatim(self) -> None:
        kind = self.kind
        self.end()
        if self.done:
            self.done[-1][1].append(Paragraph("verbatim", ""))
        self.kind = kind


PARAGRAPH = {"PP", "P", "LP", "sp", "HP", "RS", "RE", "Sp", "sP"}
FONTS = {"B", "I", "R", "SM", "SB", "BI", "BR", "IB", "IR", "RB", "RI", "UR", "UE", "MT", "ME", "CW"}
VERBATIM = {"nf": "fi", "EX": "EE", "TS": "TE", "PS": "PE", "Vb": "Ve", "EQ": "EN"}


def parsed(source: str) -> tuple[Section, ...]:
    """Sections of the text of a page."""
    page = _Page()
    term_follows = False
    link, before = "", 0
    for line in _lines(source):
        macro = re.match(r"[.'][ \t]*(\w+|\\\")?[ \t]*(.*)", line)
        if macro is None:
            text = plain(line)
            if not line.strip():
                page.end(page.kind if page.kind != "term" else "item")
            elif text:
                page.words.append(text)
            if term_follows and text.strip():
                term_follows = False
                page.end("item")
            continue
        name, rest = macro[1] or "", macro[2]
        if name in ("Dd", "Sh", "so"):
            return ()
        if name in ("SH", "SS"):
            page.section(" ".join(arguments(rest)) if rest else "")
            term_follows = False
        elif name in ("TP", "TQ"):
            page.end("term")
            term_follows = True
        elif name == "IP":
            given = arguments(rest)
            page.end("term")
            if given and given[0].strip():
                page.words.append(given[0])
            page.end("item")
            term_follows = False
        elif name in PARAGRAPH:
            page.end("item" if name in ("RS", "sp", "Sp") and page.kind == "item" else "text")
            term_follows = False
        elif name == "verbatim":
            page.verbatim()
        elif name in FONTS:
            words = arguments(rest)
            joined = " ".join(words) if name in ("B", "I", "R", "SM", "SB", "CW") else "".join(words)
            if name in ("UR", "MT"):
                link, before, joined = joined, len(page.words), ""
            elif name in ("UE", "ME") and len(page.words) == before:
                joined = link + joined  # nothing stands between: the address itself is what is read
            if joined:
                page.words.append(joined)
            if term_follows and joined:
                term_follows = False
                page.end("item")
    page.end()
    return tuple(Section(title, tuple(paragraphs)) for title, paragraphs in page.done)


def _lines(source: str) -> Iterator[str]:
    """Lines that make up the page: definitions and conditionals left out, verbatim stretches as one line `.verbatim`."""
    until: str | None = None
    depth = 0
    for line in source.replace("\\\n", "").split("\n"):
        if depth:
            depth += line.count("\\{") - line.count("\\}")
            continue
        match = re.match(r"[.'][ \t]*(\w+|\.)?", line)
        name = match[1] if match else None
        if until is not None:
            if name == until:
                until = None
            continue
        if name in ("de", "de1", "am", "ig"):
            until = "."
        elif name in VERBATIM:
            until = VERBATIM[name]
            yield ".verbatim"
        elif name in ("if", "ie", "el", "while"):
            depth = max(0, line.count("\\{") - line.count("\\}"))
        else:
            yield line


def arguments(rest: str) -> list[str]:
    """Arguments of a macro as plain text: words, or what stands between quotes."""
    found = re.findall(r'"((?:[^"]|"")*)"?|((?:\\ |\\.|[^\s"\\])(?:\\ |\\.|[^\s\\])*)', re.sub(r'\\".*', "", rest))
    return [plain(quoted.replace('""', '"') if quoted else word) for quoted, word in found]


SPECIAL = {
    "aq": "'", "cq": "’", "oq": "‘", "dq": '"', "lq": "“", "rq": "”", "Bq": "„", "bq": "‚", "Fo": "«", "Fc": "»", "fo": "‹", "fc": "›",
    "em": "—", "en": "–", "hy": "-", "mi": "−", "pl": "+", "+-": "±", "mu": "×", "eq": "=", ">=": "≥", "<=": "≤", "!=": "≠", "->": "→",
    "<-": "←", "bu": "•", "..": "…", "de": "°", "sc": "§", "co": "©", "rg": "®", "tm": "™", "Do": "$", "Eu": "€", "Po": "£", "mc": "µ",
    "rs": "\\", "sl": "/", "ti": "~", "ha": "^", "ga": "`", "at": "@", "sh": "#", "ul": "_", "ba": "|", "br": "|", "lB": "[", "rB": "]",
    "la": "⟨", "ra": "⟩", "*": "*", "ss": "ß", "oe": "œ", "OE": "Œ", "ae": "æ", "AE": "Æ", "oA": "Å", "oa": "å", "/o": "ø", "/O": "Ø",
    "/l": "ł", "/L": "Ł", "-D": "Ð", "Tp": "þ", "r!": "¡", "r?": "¿",
}  # fmt: skip
"""Special characters by their names in groff_char(7)."""

ACCENTS = {":": "\u0308", "'": "\u0301", "`": "\u0300", "^": "\u0302", "~": "\u0303", ",": "\u0327", "v": "\u030c"}

STRINGS = {"Aq": "'", "lq": "“", "rq": "”", 'L"': "“", 'R"': "”", "--": "—", "R": "®", "Tm": "™", "T": "™"}
"""Strings that macro packages define, above all those of pages made from DocBook and from POD."""


def plain(line: str) -> str:
    """Running text of a line: escapes of fonts, sizes and motions taken out, special characters put in.

    >>> plain(r"the \\fB\\-a\\fR option\\&, \\(lqas is\\(rq, na\\(:ive")
    'the -a option, “as is”, naïve'
    """
    line = re.sub(r'\\["#].*', "", line)
    line = re.sub(r"\\\*(?:\((..)|\[([^\]]*)\]|(.))", lambda match: STRINGS.get(match[1] or match[2] or match[3], ""), line)
    line = re.sub(r"\\(?:\((..)|\[([^\]]*)\])", lambda match: special(match[1] or match[2]), line)
    line = re.sub(r"\\f(?:\(..|\[[^\]]*\]|.)|\\s[-+]?(?:\(\d\d|\[[^\]]*\]|'[^']*'|\d)|\\[mMF](?:\(..|\[[^\]]*\]|.)", "", line)
    line = re.sub(r"\\[vhwlLDbXZoRS]'[^']*'|\\[nkgVY](?:\(..|\[[^\]]*\]|.)", "", line)
    meant = {"e": "\\", "~": " ", "0": " ", "'": "´"}
    return re.sub(r"\\(?:([- e'`~0.])|[&|^%/,:)cpzd{}ua]|$)", lambda match: meant.get(match[1], match[1] or ""), line)


def special(name: str) -> str:
    """The character of a name; "" where there is none."""
    if name in SPECIAL:
        return SPECIAL[name]
    if len(name) == 2 and name[0] in ACCENTS and name[1].isalpha():
        return unicodedata.normalize("NFC", name[1] + ACCENTS[name[0]])
    code = re.fullmatch(r"u([0-9A-F]{4,6})", name)
    return chr(int(code[1], 16)) if code and int(code[1], 16) < 0xD800 else ""
