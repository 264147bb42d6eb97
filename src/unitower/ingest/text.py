"""Plain text: passages of whole paragraphs. Files without a suffix (README, LICENSE, Makefile) are read as this."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from unitower.ingest.decode import lines_of, text_of
from unitower.ingest.passages import Passage, items, paragraphs, passages
from unitower.types import Item

PROSE = {".txt", ".text", ".log", ".rst", ".adoc", ".asciidoc", ".org", ".tex", ".bib", ".srt", ".vtt", ".po", ".pot", ".eml"}
DATA = {".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".yaml", ".yml", ".toml", ".ini", ".cfg", ".conf", ".properties", ".xml"}
SUFFIXES = frozenset(PROSE | DATA | {".diff", ".patch"})


def read(path: Path, *, key: str, start: int = 0, passed_over: Callable[[str], None] | None = None) -> Iterator[Item]:
    """Passages of 200 to 300 words with their line ranges. Raises UnreadableFile, see `decode.text_of`."""
    yield from items(_passages(path), key=key, modality="text", start=start)


def count(path: Path) -> int:
    """Number of passages."""
    return len(_passages(path))


def _passages(path: Path) -> list[Passage]:
    return passages(paragraphs(lines_of(text_of(path))))
