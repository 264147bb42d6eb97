"""Pieces of a text that are long enough to mean something and short enough to be about one thing: 200 to 300 words.

A reader gives blocks (paragraphs, tables, fences) in reading order; blocks are joined up to the size, long ones are cut where it
hurts least. Nothing is lost, and no line is counted twice but where one line is cut.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import TypeAlias

from unitower.types import Item, Modality, Source

FULL = 250
"""Words at which a passage is full: the next block begins a new one."""
MOST = 300
"""Words a passage has at the most; between FULL and MOST only to keep a table whole or to take in a tiny neighbour."""
TINY = 50
"""Words below which a block is not left alone if a neighbour has room."""
ATOM = 40
"""Words to which a long line is cut, at the ends of its sentences, before it is put together to passages."""

STRETCH = 5_000
"""Words of one block that are looked at together."""
SEGMENT = 50_000
"""Characters of one line that are."""
LONGEST_PARAGRAPH = 10_000
"""Lines; what goes on longer without a blank line is a table of data."""

WIDE = re.compile("[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff]")
SENTENCE = re.compile(r".*?(?:[.!?…]['\")\]»”’]*\s+|[。！？；]|$)", re.DOTALL)
RUN = re.compile(r"\A\s+|\S+\s*")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text and the lines of the file it comes from; `follows`: it goes on in the line before, which was cut."""

    text: str
    first: int
    last: int
    follows: bool = False


Sized: TypeAlias = tuple[Sequence[Line], float]
"""Lines that belong together, and their length in words."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """Lines that belong together: a paragraph, a table, a fence. `whole`: it is kept in one piece up to MOST words."""

    lines: Sequence[Line]
    whole: bool = False


@dataclass(frozen=True, kw_only=True)
class Passage:
    """A piece of a file.

    text      the piece itself
    first     number of its first line, last of its last, 1-based
    heading   what it stands under, put in front of the text for the reader: chapter names, the head of a class
    metadata  what else is known of it
    """

    text: str
    first: int
    last: int
    heading: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Section:
    """A heading with what stands under it up to the next one.

    level   1 to 6; 0 before the first heading
    titles  the headings above it and its own
    first   number of the first line, the heading's
    last    number of the heading's last line
    """

    level: int
    titles: tuple[str, ...]
    first: int
    last: int
    blocks: list[Block] = field(default_factory=list)


class Outline:
    """The sections of a document as they are read; the first has level 0 and holds what stands before any heading, often nothing."""

    def __init__(self, *, first: int) -> None:
        self.sections = [Section(level=0, titles=(), first=first, last=first)]
        self._above: list[tuple[int, str]] = []

    def begin(self, level: int, title: str, *, first: int, last: int) -> None:
        """A heading, in lines `first` to `last`."""
        self._above = [*((upper, name) for upper, name in self._above if upper < level), (level, title)]
        self.sections.append(Section(level=level, titles=tuple(name for _, name in self._above), first=first, last=last))

    def add(self, block: Block) -> None:
        """What stands under the last heading."""
        self.sections[-1].blocks.append(block)


def words(text: str) -> float:
    """Length of a text in words; scripts without spaces count two characters, and runs without a space eight, as a word.

    >>> words("three small words"), words("东京都庁舎"), words("x" * 80)
    (3, 2.5, 10.0)
    """
    runs = text.split()
    by_length = sum(map(len, runs)) / 8
    wide = 0 if text.isascii() else len(WIDE.findall(text))
    return max(len(runs), by_length, wide / 2)


def paragraphs(lines: Sequence[str], *, first: int = 1) -> Iterator[Block]:
    """Runs of lines that are not blank; `first` is the number of the first line."""
    run: list[Line] = []
    for number, line in enumerate(lines, start=first):
        if line.strip():
            run.append(Line(line.rstrip(), number, number))
        if run and (len(run) == LONGEST_PARAGRAPH or not line.strip()):
            yield Block(lines=run)
            run = []
    if run:
        yield Block(lines=run)


def passages(blocks: Iterable[Block], *, heading: str = "") -> list[Passage]:
    """Passages of the blocks, all under one heading."""
    return [_passage(group, heading) for group in _groups(_fitting(blocks))]


def by_section(sections: Sequence[Section], *, title: str = "") -> list[Passage]:
    """Passages of the sections, each under its path of headings.

    A heading with nothing under it but deeper ones goes with the first of these.
    title  heads the paths where no heading of level 1 does
    """
    untitled = (title,) if title and not any(section.level == 1 for section in sections) else ()
    found: list[Passage] = []
    first = 0
    for at, section in enumerate(sections):
        if not section.level and not section.blocks:
            continue
        first = first or section.first
        if not section.blocks:
            if at + 1 < len(sections) and sections[at + 1].level > section.level:
                continue
            above = [*untitled, *section.titles[:-1]]
            if section.titles and section.titles[-1]:
                found.append(Passage(text=section.titles[-1], first=first, last=section.last, heading=_path(above)))
        else:
            pieces = passages(section.blocks, heading=_path([*untitled, *section.titles]))
            found += [replace(pieces[0], first=min(first, pieces[0].first)), *pieces[1:]]
        first = 0
    return found


def _path(titles: Sequence[str]) -> str:
    return " > ".join(title for title in titles if title)


def items(
    found: Iterable[Passage], *, key: str, modality: Modality, start: int = 0, metadata: Mapping[str, str] | None = None
) -> Iterator[Item]:
    """Items of a file's passages from part `start` on. `metadata` is what holds for the whole file.

    An id is the key and the lines; a later passage of the same lines has its part appended.
    """
    seen: set[tuple[int, int]] = set()
    for part, passage in enumerate(found):
        lines = (passage.first, passage.last)
        repeated = lines in seen
        seen.add(lines)
        if part < start:
            continue
        text = f"{passage.heading}\n\n{passage.text}" if passage.heading else passage.text
        heading = {"heading": passage.heading} if passage.heading else {}
        yield Item(
            id=f"{key}#L{passage.first}-L{passage.last}" + (f";part={part}" if repeated else ""),
            modality=modality,
            content=text,
            source=Source(path=key, lines=lines),
            part=part,
            text=text,
            metadata={**(metadata or {}), **heading, **passage.metadata},
        )


def _groups(blocks: Iterable[Sized]) -> Iterator[list[Sequence[Line]]]:
    """Blocks put together to passages; the last two are looked at once more, so that no tiny one is left at the end."""
    before: list[Sized] = []
    group: list[Sized] = []
    size = 0.0
    for lines, length in blocks:
        together = size + length
        if group and together > FULL and not (together <= MOST and min(size, length) < TINY):
            if before:
                yield [each for each, _ in before]
            before, group, size = group, [], 0.0
        group.append((lines, length))
        size += length
    for last in _evened(before, group) if size < TINY else (before, group):
        if last:
            yield [each for each, _ in last]


def _evened(before: list[Sized], tiny: list[Sized]) -> tuple[list[Sized], list[Sized]]:
    """A tiny last passage that has no room in the one before takes over half of it, if there are blocks to take."""
    if len(before) < 2:
        return before, tiny
    both = before + tiny
    so_far = list(accumulate(length for _, length in both))
    cut = min(range(1, len(both)), key=lambda at: abs(so_far[at - 1] - so_far[-1] / 2))
    return both[:cut], both[cut:]


def _fitting(blocks: Iterable[Block]) -> Iterator[Sized]:
    """Lines of blocks with their length; blocks that are too long are cut into pieces of even length."""
    for block in blocks:
        for stretch in _stretches(block):
            total = sum(length for _, length in stretch)
            if total <= (MOST if block.whole else FULL):
                yield [line for line, _ in stretch], total
            else:
                yield from _even_pieces([piece for line, length in stretch for piece in _cut(line, length)])


def _stretches(block: Block) -> Iterator[list[tuple[Line, float]]]:
    """The lines of a block with their lengths. Usually all of them; a block as long as a book comes in chapters, to save memory."""
    stretch: list[tuple[Line, float]] = []
    size = 0.0
    for whole in block.lines:
        for line in _segments(whole):
            length = words(line.text)
            if stretch and size + length > STRETCH:
                yield stretch
                stretch, size = [], 0.0
            stretch.append((line, length))
            size += length
    yield stretch


def _segments(line: Line) -> Iterator[Line]:
    """A line as it is, or a very long one in pieces that can be worked on one at a time."""
    start = 0
    while len(line.text) - start > SEGMENT:
        blank = line.text.rfind(" ", start + SEGMENT // 2, start + SEGMENT)
        end = blank + 1 or start + SEGMENT
        yield replace(line, text=line.text[start:end], follows=line.follows or start > 0)
        start = end
    yield replace(line, text=line.text[start:], follows=True) if start else line


def _even_pieces(lines: Sequence[tuple[Line, float]]) -> Iterator[Sized]:
    total = sum(length for _, length in lines)
    goal = total / -int(-total // FULL)
    piece: list[Line] = []
    size = so_far = 0.0
    bound = goal
    for line, length in lines:
        if piece and so_far + length / 2 >= bound:
            yield piece, size
            piece, size = [], 0.0
            bound += goal
        piece.append(line)
        size += length
        so_far += length
    yield piece, size


def _cut(line: Line, length: float) -> Iterator[tuple[Line, float]]:
    """A line as pieces of about ATOM words with their lengths: whole sentences where they are short, else words, else characters."""
    if length <= ATOM:
        yield line, length
        return
    gathered = ""
    size = 0.0
    follows = line.follows
    for piece in _sentences(line.text):
        more = words(piece)
        if gathered and size + more > ATOM:
            yield replace(line, text=gathered, follows=follows), size
            gathered, size, follows = "", 0.0, True
        gathered += piece
        size += more
    if gathered:
        yield replace(line, text=gathered, follows=follows), size


def _sentences(text: str) -> Iterator[str]:
    """Pieces that give the text again when put end to end, none longer than ATOM."""
    for match in SENTENCE.finditer(text):
        if words(match[0]) <= ATOM:
            yield match[0]
            continue
        for run in RUN.findall(match[0]):
            step = max(1, int(len(run) * ATOM / max(words(run), ATOM)))
            yield from (run[at : at + step] for at in range(0, len(run), step))


def _passage(blocks: Sequence[Sequence[Line]], heading: str) -> Passage:
    parts: list[str] = []
    end = 0
    for lines in blocks:
        for at, line in enumerate(lines):
            if parts and not line.follows:  # a blank line where the file has one
                parts.append("\n" if at or line.first == end + 1 else "\n\n")
            parts.append(line.text if parts or not line.follows else line.text.lstrip())
            end = line.last
    first = min(line.first for lines in blocks for line in lines)
    last = max(line.last for lines in blocks for line in lines)
    return Passage(text="".join(parts).rstrip(), first=first, last=last, heading=heading)
