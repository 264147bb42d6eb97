"""Files to items: one reader per kind of file, found by the file's name in this folder.

A reader is a module with

    SUFFIXES: frozenset[str]                 lower-case, with the dot: {".pdf"}
    def read(path: Path, *, key: str, start: int = 0, passed_over: Callable[[str], None] | None = None) -> Iterator[Item]
    def count(path: Path) -> int             # how many items read would yield at the most; cheap, renders nothing

`read` yields the items of one file in reading order, always the same ones in the same order, and holds no more than one page in
memory. `key` is the name the file goes by in ids and sources. `start` leaves out the first items (part < start) without rendering them:
an interrupted run goes on there. A file that cannot be read raises UnreadableFile with a reason in plain words; so does one with
nothing in it. Where only a piece of a file cannot be read, its part is left out, and `passed_over` is called with a line that says so.

To add a kind of file, add one module; tests/conformance/test_readers.py runs on it by itself.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from unitower.errors import UnreadableFile

if TYPE_CHECKING:
    from unitower.types import Item


class Reader(Protocol):
    """What a reader module offers."""

    SUFFIXES: frozenset[str]

    def read(self, path: Path, *, key: str, start: int = 0, passed_over: Callable[[str], None] | None = None) -> Iterator[Item]: ...

    def count(self, path: Path) -> int: ...


@cache
def readers() -> dict[str, Reader]:
    """The readers there are, by name: the modules of this folder that name SUFFIXES."""
    modules = {found.name: importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)}
    return {name: module for name, module in sorted(modules.items()) if hasattr(module, "SUFFIXES")}


def reader_for(path: Path) -> Reader:
    """The reader of a file, by its suffix in upper or lower case; files without a suffix go to the reader of text.

    Raises UnreadableFile if there is no reader for the suffix.
    """
    suffix = path.suffix.lower() or ".txt"
    for reader in readers().values():
        if suffix in reader.SUFFIXES:
            return reader
    raise UnreadableFile(path, f"no reader for {suffix} files")


def read(path: Path, *, key: str, start: int = 0, passed_over: Callable[[str], None] | None = None) -> Iterator[Item]:
    """The items of a file from part `start` on, by the reader for its suffix; with the language of their text as metadata `lang`, where it
    is clear (`language.language_of`).

    Nothing is opened before the first item is asked for; UnreadableFile is raised then, or later where the file is found damaged later.
    """
    from unitower.ingest.language import language_of

    for item in reader_for(path).read(path, key=key, start=start, passed_over=passed_over):
        lang = None if item.modality == "code" else language_of(item.text)
        yield replace(item, metadata={**item.metadata, "lang": lang}) if lang else item


def count(path: Path) -> int:
    """How many items `read` would yield at the most. Raises UnreadableFile as `read` does, where that is found without rendering."""
    return reader_for(path).count(path)


__all__ = ["Reader", "count", "read", "reader_for", "readers"]
