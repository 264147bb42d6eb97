"""Pieces of a text that are long enough to mean something and short enough to be about one thing: 200 to 300 words.

A reader gives blocks (paragraphs, tables, fences) in reading order; blocks are joined up to the size, long ones are cut where it
hurts least. Nothing is lost, and no line is counted twice but where one line is cut.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from unitower.types import Item, Modality, Source

FULL = 250
"""Words at which a passage is full: the next block begins a new one."""
MOST = 300
"""Words a passage has at the most; between FULL and MOST only to keep a table whole or to take in a tiny neighbour."""
TINY = 50
"""Words below which a block is not left alone if a neighbour has room."""
ATOM = 40
"""Words to which a long line is cut, at the ends of its sentences, before it is put together to passages."""

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
        elif run:
            yield Block(lines=run)
            run = []
    if run:
        yield Block(lines=run)


def passages(blocks: Iterable[Block], *, heading: str = "") -> list[Passage]:
    """Passages of the blocks, all under one heading."""
    groups: list[list[tuple[Block, float]]] = []
    size = 0.0
    for block, length in _fitting(blocks):
        together = size + length
        if groups and (together <= FULL or (together <= MOST and min(size, length) < TINY)):
            groups[-1].append((block, length))
            size = together
        else:
            groups.append([(block, length)])
            size = length
    _mend_tail(groups, size)
    return [_passage([block for block, _ in group], heading) for group in groups]


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


def _fitting(blocks: Iterable[Block]) -> Iterator[tuple[Block, float]]:
    """Blocks with their length, those that are too long cut into pieces of even length."""
    for block in blocks:
        lengths = [words(line.text) for line in block.lines]
        total = sum(lengths)
        if total <= (MOST if block.whole else FULL):
            yield block, total
            continue
        lines = [piece for line, length in zip(block.lines, lengths, strict=True) for piece in _cut(line, length)]
        lengths = [words(line.text) for line in lines]
        total = sum(lengths)
        pieces = -int(-total // FULL)
        piece: list[Line] = []
        so_far = size = 0.0
        bound = 1
        for line, length in zip(lines, lengths, strict=True):
            if piece and so_far + length / 2 >= bound * total / pieces:
                yield Block(lines=piece), size
                piece, size = [], 0.0
                bound += 1
            piece.append(line)
            size += length
            so_far += length
        yield Block(lines=piece), size


def _cut(line: Line, length: float) -> Iterator[Line]:
    """A line as pieces of about ATOM words: whole sentences where they are short, else words, else characters."""
    if length <= ATOM:
        yield line
        return
    gathered = ""
    size = 0.0
    follows = line.follows
    for piece in _sentences(line.text):
        more = words(piece)
        if gathered and size + more > ATOM:
            yield Line(gathered, line.first, line.last, follows)
            gathered, size, follows = "", 0.0, True
        gathered += piece
        size += more
    if gathered:
        yield Line(gathered, line.first, line.last, follows)


def _sentences(text: str) -> Iterator[str]:
    """Pieces that give the text again when put end to end, none longer than ATOM."""
    for match in SENTENCE.finditer(text):
        if words(match[0]) <= ATOM:
            yield match[0]
            continue
        for run in RUN.findall(match[0]):
            step = max(1, int(len(run) * ATOM / max(words(run), ATOM)))
            yield from (run[at : at + step] for at in range(0, len(run), step))


def _mend_tail(groups: list[list[tuple[Block, float]]], size: float) -> None:
    """A tiny last passage that does not fit into the one before gets half of it."""
    if len(groups) < 2 or size >= TINY or len(groups[-2]) < 2:
        return
    both = groups[-2] + groups[-1]
    half = sum(length for _, length in both) / 2
    so_far, best = 0.0, 1
    for at, (_, length) in enumerate(both[:-1], start=1):
        so_far += length
        if abs(so_far - half) < abs(sum(length for _, length in both[:best]) - half):
            best = at
    groups[-2:] = [both[:best], both[best:]]


def _passage(blocks: Sequence[Block], heading: str) -> Passage:
    parts: list[str] = []
    end = 0
    for block in blocks:
        for at, line in enumerate(block.lines):
            if parts and not line.follows:  # a blank line where the file has one
                parts.append("\n" if at or line.first == end + 1 else "\n\n")
            parts.append(line.text if parts or not line.follows else line.text.lstrip())
            end = line.last
    lines = [line for block in blocks for line in block.lines]
    return Passage(
        text="".join(parts).rstrip(), first=min(line.first for line in lines), last=max(line.last for line in lines), heading=heading
    )
