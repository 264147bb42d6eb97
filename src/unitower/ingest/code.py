"""Source code: every function and class an item, with the comments and decorators in front of it; the rest of the file in chunks.

A long class is told as its head (what it says of itself, and the first lines of its methods) and one item per method. Every line
that is not blank stands in some item. Parsing is done by tree-sitter in a process of its own (`code_worker`), one for all files;
a language without a grammar, and a file that cannot be parsed, is read in blocks of lines between blank ones.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from unitower.ingest.confined import Confined, Died
from unitower.ingest.decode import lines_of, text_of
from unitower.ingest.grammars import GRAMMARS, LANGUAGES
from unitower.ingest.passages import Block, Line, Passage, items, paragraphs, passages, words
from unitower.types import Item

SUFFIXES = frozenset(LANGUAGES)

LONG = 400
"""Words (about eighty lines) above which a class is told by its methods and a function is cut."""
MOST_PARSED_CHARACTERS = 2_000_000
"""Larger files are generated; they are read in blocks."""
CPU_SECONDS = 5
"""For parsing one file; 2 MB take half a second."""
MEMORY_BYTES = 2**30
HEAD_ROWS = 8
HEAD_CHARACTERS = 200

_WORKER = Confined("unitower.ingest.code_worker", cpu_seconds=CPU_SECONDS, memory_bytes=MEMORY_BYTES)

CLOSING = re.compile(r"\s*(?:[)\]}>;,]+|end|#\s*endif)[\s)\]}>;,]*(?://.*|/\*.*|#.*)?")
"""A line that only ends what began before the definitions above it."""


@dataclass(frozen=True, kw_only=True)
class Definition:
    """A function or class; rows are 0-based and both included.

    first, last  the rows it takes up, with the comments in front of it
    head         the rows from its first word to where its body begins
    """

    first: int
    last: int
    head: tuple[int, int]
    name: str
    members: tuple[Definition, ...] = ()


def read(path: Path, *, key: str, start: int = 0, passed_over: Callable[[str], None] | None = None) -> Iterator[Item]:
    """Functions, classes and chunks of the rest, with their line ranges.

    metadata  language, name (`Class.method`), heading (the first line of the class around it)
    Raises UnreadableFile, see `decode.text_of`.
    """
    language = LANGUAGES[path.suffix.lower()]
    yield from items(_passages(path), key=key, modality="code", start=start, metadata={"language": language})


def count(path: Path) -> int:
    """Number of items."""
    return len(_passages(path))


def _passages(path: Path) -> list[Passage]:
    text = text_of(path)
    lines = lines_of(text)
    definitions = _parsed(text, LANGUAGES[path.suffix.lower()])
    found = [*_rest(lines, definitions), *(piece for each in definitions for piece in _pieces(lines, each))]
    return sorted(found, key=lambda passage: (passage.first, -passage.last))


def _parsed(text: str, language: str) -> list[Definition]:
    """The functions and classes of a file, none overlapping; none where it cannot be parsed."""
    if language not in GRAMMARS or len(text) > MOST_PARSED_CHARACTERS:
        return []
    try:
        answer, _ = _WORKER.ask({"language": language}, text.encode("utf-8", "replace"))
    except Died:
        return []
    return _apart(answer.get("definitions", ()))


def _apart(answers: Iterable[Mapping[str, Any]]) -> list[Definition]:
    """Definitions in order; those that share a line are put together as one."""
    apart: list[Definition] = []
    for each in sorted(answers, key=lambda answer: (answer["first"], -answer["last"])):
        first, last, head = each["first"], each["last"], (each["head"][0], each["head"][1])
        if apart and first <= apart[-1].last:
            before = apart.pop()
            name = ", ".join(filter(None, (before.name, each["name"])))[:HEAD_CHARACTERS]
            apart.append(Definition(first=before.first, last=max(last, before.last), head=before.head, name=name))
        else:
            members = tuple(member for member in _apart(each["members"]) if member.first > head[1])
            apart.append(Definition(first=first, last=last, head=head, name=each["name"], members=members))
    return apart


def _rest(lines: Sequence[str], definitions: Sequence[Definition]) -> Iterator[Passage]:
    """What stands between definitions, each stretch by itself; a stretch of closing brackets goes with the one before."""
    stretches: list[list[Block]] = []
    start = 0
    for end, after in [*((each.first, each.last + 1) for each in definitions), (len(lines), len(lines))]:
        blocks = list(paragraphs(lines[start:end], first=start + 1))
        start = after
        closing = [line for block in blocks for line in block.lines]
        if stretches and blocks and all(CLOSING.fullmatch(line.text) for line in closing):
            last = stretches[-1][-1]
            stretches[-1][-1] = replace(last, lines=(*last.lines, *closing))
        elif blocks:
            stretches.append(blocks)
    for stretch in stretches:
        yield from passages(stretch)


def _pieces(lines: Sequence[str], each: Definition, *, heading: str = "", owner: str = "") -> Iterator[Passage]:
    """A definition as one passage, or as several where it is long. `heading`, `owner`: heads and name of the classes around it."""
    name = f"{owner}.{each.name}" if owner and each.name else each.name or owner
    metadata = {"name": name} if name else {}
    blocks = list(paragraphs(lines[each.first : each.last + 1], first=each.first + 1))
    inside = "\n".join(filter(None, (heading, _head(lines, each))))
    if sum(words(line.text) for block in blocks for line in block.lines) <= LONG:
        text = "\n".join(line.rstrip() for line in lines[each.first : each.last + 1])
        yield Passage(text=text, first=each.first + 1, last=each.last + 1, heading=heading, metadata=metadata)
    elif each.members:
        rows = set(range(each.first, each.last + 1))
        for member in each.members:
            rows -= set(range(member.first, member.last + 1))
            rows |= set(range(member.head[0], min(member.head[1], member.head[0] + HEAD_ROWS - 1) + 1))
        own = Block(lines=[Line(lines[row].rstrip(), row + 1, row + 1) for row in sorted(rows) if lines[row].strip()], whole=True)
        for passage in passages([own], heading=heading):
            yield replace(passage, metadata=metadata)
        for member in each.members:
            yield from _pieces(lines, member, heading=inside, owner=name)
    else:
        for number, passage in enumerate(passages(blocks, heading=heading)):
            yield replace(passage, heading=inside if number else heading, metadata=metadata)


def _head(lines: Sequence[str], each: Definition) -> str:
    first, last = each.head
    return " ".join(line.strip() for line in lines[first : min(last + 1, first + HEAD_ROWS)])[:HEAD_CHARACTERS]
