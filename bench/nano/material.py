"""What the table is measured on: books, package descriptions, settings and PDFs of Debian, fetched by setup.sh and never trained on.

Everything is read in a fixed order and drawn by fixed seeds, so that a machine with the same packages has the same table.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import tomllib
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from nano.keeping import put

HERE = Path(__file__).parent
ROOT = Path(os.environ.get("NANO_TABLE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "unitower" / "nano-table")

LOCALES = {"en": "en-US", "de": "de-DE", "fr": "fr-FR", "es": "es-ES", "ru": "ru-RU", "it": "it-IT", "pt": "pt-BR", "ja": "ja-JP"}
"""Names of the languages in the handbook."""

ENGLISH = frozenset(["the", "of", "and", "to", "is", "are", "this", "that", "with", "for", "can", "be", "which", "it", "as"])
"""Words that make a tenth of English and hardly any of other languages."""

SCRIPTS = {"ru": re.compile("[\u0400-\u04ff]"), "ja": re.compile("[\u3040-\u30ff\u4e00-\u9fff]")}


class Missing(Exception):
    """The material is not there."""


@cache
def named() -> dict[str, Any]:
    """What is held out by name."""
    return tomllib.loads((HERE / "held_out.toml").read_text(encoding="utf-8"))


def held_out(name: str) -> bool:
    """Whether a package, a font family or a file is of the tenth that no training may see."""
    return int(hashlib.sha256(name.lower().encode()).hexdigest()[:2], 16) < 26


def folder(package: str) -> Path:
    """Where a package of Debian was unpacked."""
    path = ROOT / "debian" / package
    if not path.is_dir():
        raise Missing(f"{path} is not there: run bench/nano/setup.sh first.")
    return path


# ---------------------------------------------------------------- books


@dataclass(frozen=True)
class Block:
    """A heading (kind "h") or a paragraph ("p"). anchor: the name a heading goes by in all languages, "" if it has none."""

    kind: str
    text: str
    anchor: str = ""


@dataclass(frozen=True)
class Section:
    """A heading and the paragraphs below it."""

    title: str
    paragraphs: tuple[str, ...]
    anchor: str = ""

    @property
    def size(self) -> int:
        """Words of the paragraphs."""
        return sum(len(text.split()) for text in self.paragraphs)


class _Blocks(HTMLParser):
    """Headings and paragraphs of a page made from DocBook."""

    HEADINGS = frozenset({"h1", "h2", "h3", "h4"})
    NOTHING = frozenset({"script", "style", "head", "pre", "table", "title", "dt", "svg"})
    PARTS = frozenset({"p", "div", "li", "dd", "ul", "ol", "dl", "blockquote", "hr", "br", "body"})

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Block] = []
        self.words: list[str] = []
        self.anchor = ""
        self.kind = "p"
        self.silent = 0

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag in self.NOTHING:
            self.flush()
            self.silent += 1
        elif tag in self.HEADINGS:
            self.flush()
            self.kind, self.anchor = "h", ""
        elif tag in self.PARTS:
            self.flush()
        elif tag == "a" and self.kind == "h" and not self.anchor:
            self.anchor = dict(attributes).get("id") or ""

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag in self.PARTS:
            self.flush()

    def handle_endtag(self, tag: str) -> None:
        if tag in self.NOTHING:
            self.silent = max(0, self.silent - 1)
        elif tag in self.PARTS or tag in self.HEADINGS:
            self.flush()

    def handle_data(self, data: str) -> None:
        if not self.silent:
            self.words.append(data)

    def flush(self) -> None:
        text = " ".join("".join(self.words).split())
        if text:
            self.found.append(Block(self.kind, text, self.anchor if self.kind == "h" else ""))
        self.words, self.kind = [], "p"


def blocks(path: Path) -> list[Block]:
    """Headings and paragraphs of an HTML file, packed or not."""
    data = path.read_bytes()
    parser = _Blocks()
    parser.feed((gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8", "replace"))
    parser.flush()
    return parser.found


NUMBER = re.compile(r"^(?:(?:Chapter|Kapitel|Chapitre|Capítulo|Capitolo|Глава|Appendix|Anhang|Annexe)\s+)?[\dA-Z]+(?:\.\d+)*\.?\s+")


def sections(files: list[Path]) -> list[Section]:
    """The sections of some files that have running text."""
    found = []
    for path in files:
        title, anchor, paragraphs = "", "", list[str]()
        for block in [*blocks(path), Block("h", "")]:
            if block.kind == "p":
                if len(block.text) > 60:
                    paragraphs.append(block.text)
                continue
            if title and paragraphs:
                found.append(Section(title, tuple(paragraphs), anchor))
            title, anchor, paragraphs = NUMBER.sub("", block.text), block.anchor, []
    return found


@cache
def prose(language: str) -> tuple[Section, ...]:
    """Running text of books in a language, what is left in English taken out of the translations."""
    files = sorted((folder("debian-handbook") / "usr/share/doc/debian-handbook/html" / LOCALES[language]).glob("*.html"))
    files += sorted((folder("installation-guide-amd64") / "usr/share/doc/installation-guide-amd64" / language).glob("*.html*"))
    if language == "ru":  # the handbook is only partly translated
        files += sorted((folder("debian-faq-ru") / "usr/share/doc/debian/FAQ/ru").glob("*.html"))
        files += sorted((folder("aptitude-doc-ru") / "usr/share/doc/aptitude/html/ru").glob("*.html"))
    english = set() if language == "en" else {text for section in prose("en") for text in section.paragraphs}
    script = SCRIPTS.get(language)
    seen: set[str] = set()
    kept = []
    for section in sections(files):
        own = [
            text
            for text in section.paragraphs
            if text not in seen and (language == "en" or (text not in english and not is_english(text)))
            if script is None or len(script.findall(text)) > 0.4 * len(text)
        ]
        seen.update(own)
        if own:
            kept.append(Section(section.title, tuple(own), section.anchor))
    return tuple(kept)


def is_english(text: str) -> bool:
    """Whether a paragraph was left untranslated."""
    found = [word.casefold() for word in re.findall(r"[^\W\d_]+", text)]
    return sum(word in ENGLISH for word in found) > 0.1 * len(found)


@cache
def answers(language: str) -> dict[str, Section]:
    """Questions of the Debian FAQ with their answers, by a name that is the same in all languages."""
    package = "debian-faq" if language == "en" else f"debian-faq-{language}"
    place = folder(package) / "usr/share/doc/debian/FAQ"
    files = sorted(place.glob("*.en.html") if language == "en" else (place / language).glob("*.html"))
    return {
        section.anchor: section
        for section in sections([file for file in files if file.is_file()])
        if section.anchor and section.title.rstrip().endswith(("?", "？"))
    }


# ---------------------------------------------------------------- packages of Debian


@dataclass(frozen=True)
class Description:
    """What a package is: in one line, and in paragraphs."""

    synopsis: str
    paragraphs: tuple[str, ...]

    @property
    def size(self) -> int:
        """Words of the paragraphs."""
        return sum(len(text.split()) for text in self.paragraphs)


def _stanzas(pattern: str) -> Iterator[dict[str, str]]:
    """Stanzas of the lists of the stable release, of packages that are held out."""
    files = sorted((ROOT / "lists").glob(f"*_dists_*_{pattern}"), key=lambda path: path.stat().st_size)
    if not files:
        raise Missing(f"there are no package lists in {ROOT / 'lists'}: run bench/nano/setup.sh first.")
    for stanza in files[-1].read_text(encoding="utf-8").split("\n\n"):
        name = re.match(r"Package: (\S+)", stanza)
        if name and held_out(name[1]):
            yield dict(re.findall(r"^([\w-]+): ?(.*(?:\n .*)*)", stanza, re.MULTILINE))


@cache
def descriptions(language: str) -> dict[str, Description]:
    """Descriptions in a language by package; of those that say the same, the first."""
    found: dict[str, Description] = {}
    seen: set[str] = set()
    for fields in _stanzas(f"Translation-{language.replace('_', '%5f')}"):
        whole = next((value for name, value in fields.items() if name.startswith("Description-") and name != "Description-md5"), "")
        synopsis, _, rest = whole.partition("\n")
        paragraphs = tuple(" ".join(part.split()) for part in re.split(r"\n \.(?=\n|$)", rest) if part.strip() and "\n  " not in part)
        key = paragraphs[0] if paragraphs else ""
        if synopsis and key and key not in seen and fields["Package"] not in found:
            seen.add(key)
            found[fields["Package"]] = Description(synopsis.strip(), paragraphs)
    return dict(sorted(found.items()))


@cache
def control() -> dict[str, dict[str, str]]:
    """Fields of the packages that are held out: Section, Version, Installed-Size, Maintainer, Homepage and the like."""
    return {fields["Package"]: fields for fields in _stanzas("main_binary-amd64_Packages")}


# ---------------------------------------------------------------- interface strings


def catalogue_folders() -> list[Path]:
    """Folders of message catalogues."""
    return [folder(package) / "usr/share/locale" for package in named()["catalogues"]]


@cache
def settings() -> tuple[tuple[str, str], ...]:
    """Settings of programs, in English: what each is called, and what it does."""
    found = {}
    for package in named()["catalogues"]:
        for path in sorted((folder(package) / "usr/share/glib-2.0/schemas").glob("*.gschema.xml")):
            for key in ElementTree.parse(path).iter("key"):
                summary, description = ((key.findtext(name) or "") for name in ("summary", "description"))
                told = " ".join(description.split())
                if summary.strip() and len(told) > 30 and " ".join(summary.split()) != told:
                    found.setdefault(told, " ".join(summary.split()))
    return tuple((summary, told) for told, summary in sorted(found.items()))


# ---------------------------------------------------------------- PDFs

TAG = re.compile(r"[.-]([a-z]{2}(?:[_-][A-Za-z]{2})?)[.-]")


@cache
def pdfs(language: str) -> tuple[Path, ...]:
    """Books as PDF in a language, unpacked."""
    unpacked = ROOT / "pdf"
    found = {}
    for package in named()["documents"]:
        spoken = TAG.search(f"{package}.".replace("-doc.", "."))
        for path in sorted([*folder(package).rglob("*.pdf"), *folder(package).rglob("*.pdf.gz")]):
            tag = TAG.search(path.name) or spoken
            if (tag[1].replace("-", "_").lower() if tag else "en") != language.lower():
                continue
            if "images" in path.parts or path.stat().st_size < 50_000:  # links and single drawings
                continue
            name = f"{package}.{path.name.removesuffix('.gz')}"
            if path.suffix == ".gz":
                target = unpacked / name
                if not target.exists():
                    put(target, gzip.decompress(path.read_bytes()))
                path = target
            found[name] = path
    return tuple(path for _, path in sorted(found.items()))
