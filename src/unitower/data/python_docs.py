"""Docstrings of the Python packages installed here: what a function says it does <-> its code, or the first sentence <-> what follows.

Files are parsed once, which takes seconds for the standard library and about a minute for a machine with everything on it; only where
the docstrings stand is kept, in the cache folder, until a file changes. The code side never has its docstring. Tests, vendored copies
and functions that are nearly the same as another one are left out. Whole packages are kept to test with, so that no project is on both
sides.
"""

from __future__ import annotations

import ast
import importlib.metadata
import os
import re
import sysconfig
import tokenize
import warnings
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from inspect import cleandoc
from io import BytesIO
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import numpy as np

from unitower.data import BadPair, Pairs, _cache
from unitower.data._lines import stamp
from unitower.data._near import Seen
from unitower.data._split import Split, checked, in_test
from unitower.types import Item, Modality, Pair, Source

Sides: TypeAlias = Literal["code", "summary"]

TEST_SHARE = 0.1
"""Share of the packages that are kept to test with."""

LARGEST_FILE = 1_000_000
"""Bytes. Longer ones are tables that a program wrote."""

CODE_LINES = (3, 80)
CODE_CHARACTERS = 4000
SUMMARY_CHARACTERS = (20, 400)
SUMMARY_WORDS = 4
BODY_CHARACTERS = (60, 2000)

LEFT_OUT = re.compile(
    r"(?:^|/)(?:tests?|testing|idle_test|_?vendor(?:ed)?|third_party|extern(?:als?)?|__pycache__|site-packages|dist-packages)/|(?:^|/)(?:test_[^/]*|conftest)\.py$"
)
"""Paths beneath a root that are not read."""

NOTHING = (ast.Pass, ast.Raise, ast.Expr)
"""A function with nothing else in its body does nothing: it is a declaration for others to fill in, or passes a call on."""

HEADING = re.compile(
    r"\s*(?:(?:args?|arguments|parameters|params|returns?|yields?|raises|examples?|notes?|see also|references|attributes|keyword args|"
    r"keyword arguments|warns|todo|usage|example usage)\s*:?\s*$"
    r"|[:@](?:param|arg|type|returns?|rtype|raises?|keyword|ivar|cvar|var)\b|>>>|\.\. )",
    re.IGNORECASE,
)
"""Where the prose of a docstring ends."""

SPDX = {
    "MIT License": "MIT",
    "BSD License": "BSD",  # which of them it does not say
    "Apache Software License": "Apache-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "ISC License (ISCL)": "ISC",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "GNU General Public License v3 (GPLv3)": "GPL-3.0-only",
    "GNU General Public License v3 or later (GPLv3+)": "GPL-3.0-or-later",
    "GNU General Public License v2 (GPLv2)": "GPL-2.0-only",
    "GNU General Public License v2 or later (GPLv2+)": "GPL-2.0-or-later",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    "GNU Lesser General Public License v3 or later (LGPLv3+)": "LGPL-3.0-or-later",
    "GNU Lesser General Public License v2 or later (LGPLv2+)": "LGPL-2.1-or-later",
    "The Unlicense (Unlicense)": "Unlicense",
    "Apache 2.0 License": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "ISC License": "ISC",
    "Historical Permission Notice and Disclaimer (HPND)": "HPND",
}
"""Classifiers and usual words of packages that do not give an SPDX expression."""

UNKNOWN = "unknown"


def open(
    *,
    sides: Sides = "code",
    roots: Sequence[str | Path] | None = None,
    packages: Collection[str] | None = None,
    licences: Collection[str] | None = None,
    split: Split = "train",
    test_share: float = TEST_SHARE,
) -> Pairs:
    """Pairs from docstrings, in the order of package, file and line.

    sides       "code": first paragraph of a function's docstring -> the function, for the task code; "summary": first paragraph of any
                docstring -> the prose that follows it, for retrieval
    roots       folders that packages lie in; left out, the standard library and the site-packages of this Python
    packages    top-level names to take; left out, all
    licences    licences to take, as they stand in a pair's metadata; left out, all that are known. A package whose licence is not known
                is taken only where "unknown" is named here
    test_share  of the packages; a module of the standard library is a package here

    ValueError for a folder that is not there.
    """
    checked(split, test_share)
    if sides not in get_args(Sides):
        raise ValueError(f"sides is {sides!r}; it is 'code' or 'summary'.")
    folders = [Path(root).expanduser() for root in roots] if roots is not None else _installed()
    for folder in folders:
        if not folder.is_dir():
            raise ValueError(f"there is no folder {folder}.")
    files = sorted((file for folder in folders for file in _files(folder)), key=lambda file: (file.package, file.path.as_posix()))
    wanted = [
        file
        for file in files
        if (packages is None or file.package in packages)
        and (file.licence != UNKNOWN if licences is None else file.licence in licences)
    ]  # fmt: skip
    identity = [[file.package, str(file.path), file.size, file.mtime] for file in wanted]
    places = _cache.arrays("python_docs", identity, lambda: _scanned(wanted))[sides]
    of_split = np.array([in_test(file.package, test_share) == (split == "test") for file in wanted], bool)
    return Docstrings(wanted, places[of_split[places[:, 0]]] if len(places) else places, sides)


@dataclass(frozen=True)
class File:
    """A source file: the package it belongs to, and what tells whether it has changed."""

    package: str
    licence: str
    path: Path
    size: int
    mtime: int


@dataclass(frozen=True)
class Place:
    """Lines of a definition and of its docstring, counted from 1, ends included."""

    first: int
    last: int
    doc_first: int
    doc_last: int


class Docstrings:
    """`Pairs` of docstrings. places: int32 [n, 5], file and the four lines of `Place`."""

    def __init__(self, files: Sequence[File], places: np.ndarray[tuple[int, ...], np.dtype[np.int32]], sides: Sides) -> None:
        self.name = f"python-{sides}"
        self.languages: tuple[str, ...] = ("en", "code") if sides == "code" else ("en",)
        self._files, self._places, self._sides = files, places, sides
        self.licence = together({files[i].licence for i in np.unique(places[:, 0])})

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> Pair:
        number, *lines = (int(value) for value in self._places[index])
        file, place = self._files[number], Place(*lines)
        try:
            text = _unchanged(file)
        except OSError as error:
            raise BadPair(f"{file.path} cannot be read any more: {error.strerror}") from error
        if text is None:
            raise BadPair(f"{file.path} has changed since it was scanned")
        query, document = _sides_of(text.split("\n"), place, self._sides)
        modality: Modality = "code" if self._sides == "code" else "text"
        start = f"{self.name}#{file.package}/{file.path.name}#L{place.first}"
        metadata = {"package": file.package, "licence": file.licence}
        source = Source(path=str(file.path), lines=(place.first, place.last))
        return Pair(
            query=Item(id=f"{start}-query", modality="text", content=query, source=source, text=query, metadata=metadata),
            document=Item(id=start, modality=modality, content=document, source=source, text=document, metadata=metadata),
            source=self.name,
            task="code" if self._sides == "code" else "retrieval",
        )


# ---------------------------------------------------------------- finding files


def _installed() -> list[Path]:
    paths = sysconfig.get_paths()
    return [Path(place) for place in dict.fromkeys(paths[name] for name in ("stdlib", "purelib", "platlib")) if Path(place).is_dir()]


def _files(root: Path) -> Iterator[File]:
    """The source files beneath a folder of packages."""
    licences = _licences(root)
    is_stdlib = root == Path(sysconfig.get_paths()["stdlib"])
    for folder, folders, names in os.walk(root):
        relative = Path(folder).relative_to(root).as_posix()
        folders[:] = sorted(name for name in folders if not LEFT_OUT.search(f"{relative}/{name}/".removeprefix("./")))
        for name in sorted(names):
            if not name.endswith(".py") or LEFT_OUT.search(f"{relative}/{name}".removeprefix("./")):
                continue
            package = name.removesuffix(".py") if relative == "." else relative.partition("/")[0]
            path = Path(folder, name)
            try:
                size, mtime = stamp(path)
            except OSError:  # a link that leads nowhere
                continue
            if 0 < size <= LARGEST_FILE:
                yield File(package, "PSF-2.0" if is_stdlib else licences.get(package, UNKNOWN), path, size, mtime)


def _licences(root: Path) -> dict[str, str]:
    """Top-level name -> licence, of the distributions whose metadata lie beneath a folder."""
    found: dict[str, str] = {}
    for distribution in sorted(importlib.metadata.distributions(path=[str(root)]), key=lambda one: str(one.metadata["Name"])):
        tops = set((distribution.read_text("top_level.txt") or "").split())
        tops |= {file.parts[0].removesuffix(".py") for file in distribution.files or [] if file.suffix == ".py"}
        for top in tops:
            found.setdefault(top, licence_of(distribution.metadata))
    return found


def licence_of(metadata: importlib.metadata.PackageMetadata) -> str:
    """Licence of a package: its SPDX expression, else its classifiers, else its licence field if that is a name and no text."""
    if "License-Expression" in metadata:
        return metadata["License-Expression"].strip()
    named = [line.rpartition(" :: ")[2] for line in metadata.get_all("Classifier") or [] if line.startswith("License :: OSI Approved :: ")]
    if named:
        return " OR ".join(sorted(SPDX.get(name, name) for name in named))
    field = metadata["License"].strip() if "License" in metadata else ""
    return SPDX.get(field, field) if field and len(field) <= 60 and "\n" not in field and field.lower() != UNKNOWN else UNKNOWN


def together(licences: Collection[str]) -> str:
    """One expression for several licences.

    >>> together(["MIT AND ISC", "MIT", "Apache-2.0 OR BSD-2-Clause"])
    '(Apache-2.0 OR BSD-2-Clause) AND ISC AND MIT'
    """
    parts = {part for licence in licences for part in licence.split(" AND ")}
    return " AND ".join(sorted(f"({part})" if " OR " in part else part for part in parts)) or UNKNOWN


# ---------------------------------------------------------------- finding docstrings


def _scanned(files: Sequence[File]) -> _cache.Arrays:
    """Places of all usable docstrings for either use, int32 [n, 5]; of those that are nearly the same, the first."""
    seen = {sides: (Seen(), Seen()) for sides in get_args(Sides)}
    found: dict[Sides, list[tuple[int, int, int, int, int]]] = {sides: [] for sides in get_args(Sides)}
    for number, file in enumerate(files):
        try:
            text = _text(file.path.read_bytes())
        except (OSError, SyntaxError, UnicodeDecodeError, LookupError):
            continue
        if text is None or ('"""' not in text and "'''" not in text):
            continue
        lines = text.split("\n")
        for sides, place, doc in _places(text, lines):
            query, document = _sides_of(lines, place, sides, doc)
            if not _is_usable(query, document, sides):
                continue
            queries, documents = seen[sides]
            known = queries.add(query)
            if not documents.add(document) and not known:
                found[sides].append((number, place.first, place.last, place.doc_first, place.doc_last))
    return {sides: np.array(places, np.int32).reshape(len(places), 5) for sides, places in found.items()}


def _text(data: bytes) -> str | None:
    """A file's text as Python reads it, its lines ended by `\\n`; None where it is none."""
    encoding, _ = tokenize.detect_encoding(BytesIO(data).readline)
    text = data.decode(encoding).replace("\r\n", "\n").replace("\r", "\n")
    return None if "\0" in text else text


def _places(text: str, lines: Sequence[str]) -> Iterator[tuple[Sides, Place, str]]:
    """Docstrings that have their lines for themselves, with the lines of their definition where it does something."""
    try:
        with warnings.catch_warnings(action="ignore"):
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    places: list[tuple[Sides, Place, str]] = []
    for node in _definitions(tree):
        doc = node.body[0] if node.body else None
        if not (isinstance(doc, ast.Expr) and isinstance(doc.value, ast.Constant) and isinstance(doc.value.value, str)):
            continue
        assert doc.end_lineno is not None
        value = doc.value.value
        if not _stands_alone(lines, doc.lineno, doc.end_lineno, value):
            continue
        places.append(("summary", Place(doc.lineno, doc.end_lineno, doc.lineno, doc.end_lineno), value))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not all(isinstance(each, NOTHING) for each in node.body[1:]):
            assert node.end_lineno is not None
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            places.append(("code", Place(first, node.end_lineno, doc.lineno, doc.end_lineno), value))
    yield from sorted(places, key=lambda one: (one[1].doc_first, one[0]))


def _definitions(tree: ast.Module) -> Iterator[ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    """The module, and its classes and functions at any depth. Expressions, which are most of a tree, are not gone through."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
        for field in ("body", "orelse", "finalbody", "handlers", "cases"):
            block = getattr(node, field, None)
            if isinstance(block, list):
                waiting += block


def _stands_alone(lines: Sequence[str], first: int, last: int, value: str) -> bool:
    """Whether the lines hold the docstring and nothing else."""
    try:
        return bool(ast.literal_eval("\n".join(lines[first - 1 : last]).strip()) == value)
    except (SyntaxError, ValueError):
        return False


def _sides_of(lines: Sequence[str], place: Place, sides: Sides, value: str | None = None) -> tuple[str, str]:
    """Query and document: the docstring's first paragraph, and the code without it or the prose that follows.

    value  of the docstring, where it is known already
    """
    if value is None:
        value = ast.literal_eval("\n".join(lines[place.doc_first - 1 : place.doc_last]).strip())
    doc = cleandoc(value)
    summary, body = _prose(doc)
    if sides == "summary":
        return summary, body
    indent = re.match(r"[ \t]*", lines[place.first - 1])
    assert indent is not None
    code = [*lines[place.first - 1 : place.doc_first - 1], *lines[place.doc_last : place.last]]
    kept = [line.removeprefix(indent[0]).rstrip() for line in code]
    return summary, "\n".join(line for i, line in enumerate(kept) if line or (i and kept[i - 1]))


def _prose(doc: str) -> tuple[str, str]:
    """First paragraph of a docstring, and its further paragraphs up to a list of parameters, examples or the like."""
    paragraphs: list[str] = []
    for block in re.split(r"\n[ \t]*\n", doc):
        lines = block.strip("\n").split("\n")
        end = next((i for i, line in enumerate(lines) if HEADING.match(line) or re.fullmatch(r"\s*[-=~^*]{3,}\s*", line)), len(lines))
        under = end < len(lines) and re.fullmatch(r"\s*[-=~^*]{3,}\s*", lines[end])
        text = " ".join(" ".join(lines[: end - 1 if under and end else end]).split())
        if text:
            paragraphs.append(_plain(text))
        if end < len(lines):
            break
    return (paragraphs[0], "\n".join(paragraphs[1:])) if paragraphs else ("", "")


def _plain(text: str) -> str:
    """Without the marks of reStructuredText.

    >>> _plain("Return a :class:`~io.BytesIO`, see ``read`` and `write`_.")
    'Return a io.BytesIO, see read and write.'
    """
    text = re.sub(r":[\w:+-]+:`[~!]?([^`<]*?)(?:\s*<[^`]*>)?`", r"\1", text)
    return re.sub(r"`+([^`]+)`+_{0,2}", r"\1", text)


def _is_usable(query: str, document: str, sides: Sides) -> bool:
    words = sum(re.search(r"[^\W\d_]{2}", word) is not None for word in query.split())
    if not SUMMARY_CHARACTERS[0] <= len(query) <= SUMMARY_CHARACTERS[1] or words < SUMMARY_WORDS:
        return False
    if sides == "summary":
        return BODY_CHARACTERS[0] <= len(document) <= BODY_CHARACTERS[1]
    lines = [line for line in document.split("\n") if line.strip()]
    return CODE_LINES[0] <= len(lines) <= CODE_LINES[1] and len(document) <= CODE_CHARACTERS


@lru_cache(maxsize=16)
def _unchanged(file: File) -> str | None:
    """Text of a file; None if it is another than was scanned."""
    return _text(file.path.read_bytes()) if stamp(file.path) == (file.size, file.mtime) else None
