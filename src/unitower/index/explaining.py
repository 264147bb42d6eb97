"""What made the score of a hit: the share of each word of the query, and the patches of a page or the words of a text that answer it.

MaxSim is a sum over the tokens of the query, so every token has its share, and the token of the entry that gave it. Tokens are pieces of
words: here they are put together again. `picturing` draws it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from unitower.errors import UnreadableFile
from unitower.index.reading import sha256
from unitower.ingest import read
from unitower.ingest.pdf import words as words_of_page
from unitower.stores import Entry, Query, Store
from unitower.stores.words import analysed, asked
from unitower.types import Encodes, Floats, Grid, Places

if TYPE_CHECKING:
    from PIL.Image import Image

Span: TypeAlias = tuple[int, int]
Box: TypeAlias = tuple[float, float, float, float]

UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
"""Thai, Lao, Burmese, Khmer, Han and kana: written without spaces, so that a token is the best there is for a word."""

SHARPNESS = 2.0
"""Power of the heat: patches half as warm as the warmest fade to a quarter, so that a page shows places and not a fog."""


@dataclass(frozen=True, kw_only=True)
class Answered:
    """One word of the query, and what answers it best.

    word      as typed
    score     its share of the MaxSim score: the sum over its tokens of their best dot product
    strength  the mean of these, between -1 and 1: words of one and of many tokens compared
    cell      of a page the patch that answers best: (row, column) of its grid, from 0. None for a text
    there     what stands there: the words of a text, or of the text layer beneath the cell; "" where nothing is known
    """

    word: str
    score: float
    strength: float
    cell: tuple[int, int] | None = None
    there: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Explanation:
    """Why an entry was found.

    query    as typed; "" if it was a picture
    place    of the hit, as a person writes it
    score    MaxSim of the query's tokens with the entry's
    prompt   the part of it that the words of the prompt have, which stand before every query
    words    of the query, in its order
    matched  words of the query that stand in the text, in whatever form
    heat     float32 [rows, columns], 0 to 1: how warm each patch of a page is; None for a text
    page     its picture, None for a text and where the file is no longer there as it was indexed
    boxes    of words of the text layer that are words of the query: left, top, right, bottom in pixels of the page
    missing  why there is no picture; "" if there is one, or none is wanted
    """

    query: str
    place: str
    score: float
    prompt: float
    words: tuple[Answered, ...]
    matched: tuple[str, ...] = ()
    heat: Floats | None = None
    page: Image | None = None
    boxes: tuple[Box, ...] = ()
    missing: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The key "explanation" of `unitower search --explain --json`: score, prompt, words, matched, grid, missing."""
        return {
            "score": self.score,
            "prompt": self.prompt,
            "words": [
                {
                    "word": one.word,
                    "score": one.score,
                    "strength": one.strength,
                    "cell": None if one.cell is None else list(one.cell),
                    "there": one.there,
                }
                for one in self.words
            ],
            "matched": list(self.matched),
            "grid": None if self.heat is None else list(self.heat.shape),
            "missing": self.missing,
        }

    def patch(self, cell: tuple[int, int], size: tuple[int, int]) -> Box:
        """Where a patch lies on the page drawn in so many pixels: left, top, right, bottom."""
        assert self.heat is not None
        return cell_box(cell, self.heat.shape, size)

    def picture(self) -> Image:
        """The page under its heat, with the best patch of each word. ValueError where there is no page to draw."""
        if self.page is None:
            raise ValueError(f"{self.place}: no picture of it can be drawn: {self.missing or 'it is a text'}.")
        from unitower.index.picturing import drawn

        return drawn(self)

    def save(self, path: str | Path) -> None:
        """Write `picture` as a PNG."""
        picture = self.picture()
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        picture.save(path, "PNG")


@dataclass(frozen=True, kw_only=True)
class QueryWord:
    """A word of a text, and the rows of the multi-vector that are its tokens."""

    word: str
    rows: tuple[int, ...]


def words_of(text: str, spans: Sequence[Span]) -> list[QueryWord]:
    """The words of a text with their tokens, given where the tokens stand; tokens of the prompt, at (0, 0), are in none.

    A word is what stands between spaces, without the punctuation around it; in scripts without spaces, what stands in one token.

    >>> [(one.word, one.rows) for one in words_of("Rent, rents?", [(0, 0), (0, 4), (4, 5), (5, 9), (9, 11), (11, 12)])]
    [('Rent', (1, 2)), ('rents', (3, 4, 5))]
    """
    rows: dict[Span, list[int]] = {}
    runs = [match.span() for match in re.finditer(r"\S+", text)]
    for row, (start, end) in enumerate(spans):
        overlaps = [(min(end, last) - max(start, first), (first, last)) for first, last in runs if start < last and first < end]
        if not overlaps:
            continue
        _, run = max(overlaps, key=lambda one: one[0])
        rows.setdefault(run, []).append(row)
    found: list[QueryWord] = []
    for (first, last), members in sorted(rows.items()):
        if not UNSPACED.search(text[first:last]):
            found.append(QueryWord(word=bare(text[first:last]), rows=tuple(members)))
            continue
        end = first
        for row in members:
            if spans[row][0] < end:  # a further piece of the same character
                found[-1] = replace(found[-1], rows=(*found[-1].rows, row))
            else:
                found.append(QueryWord(word=text[max(first, spans[row][0]) : spans[row][1]], rows=(row,)))
            end = max(end, spans[row][1])
    return found


def bare(run: str) -> str:
    """A word without the punctuation around it, unless it is nothing else."""
    return re.sub(r"^[^\w]+|[^\w+#]+$", "", run) or run


def shares(query: Floats, entry: Floats) -> tuple[Floats, Floats]:
    """Dot products [T, n] of the query's tokens with the entry's, and the best of each of the query's, [T]: their sum is the MaxSim."""
    similarity = query @ entry.T
    return similarity, similarity.max(axis=1)


def heat_of(similarity: Floats, grid: Grid) -> Floats:
    """How warm each patch is, float32 [rows, columns] from 0 to 1, from the dot products [T, n] of some tokens of a query.

    Every token warms the patches that are more like it than most of the page, between the median patch (0) and the best (1), and the
    more the further the best stands out: what is alike everywhere tells nothing. All zero where nothing stands out.
    """
    on_page = similarity[:, grid.first : grid.first + grid.rows * grid.columns]
    if not len(on_page):
        return np.zeros((grid.rows, grid.columns), np.float32)
    usual = np.median(on_page, axis=1, keepdims=True)
    out = np.maximum(on_page - usual, 0).sum(axis=0)
    heat: Floats = ((out / max(float(out.max()), 1e-9)) ** SHARPNESS).reshape(grid.rows, grid.columns).astype(np.float32)
    return heat


def cell_box(cell: tuple[int, int], shape: tuple[int, ...], size: tuple[int, int]) -> Box:
    """A patch in pixels of the page: left, top, right, bottom."""
    (row, column), (rows, columns), (width, height) = cell, shape, size
    return column * width / columns, row * height / rows, (column + 1) * width / columns, (row + 1) * height / rows


def beneath(box: Box, words: Iterable[tuple[str, Box]]) -> list[str]:
    """The words that lie beneath a patch with a third of themselves, or that cover a third of it. Bare punctuation is no word."""
    found = []
    for word, other in words:
        width, height = min(box[2], other[2]) - max(box[0], other[0]), min(box[3], other[3]) - max(box[1], other[1])
        smaller = min(_area(box), _area(other))
        if width > 0 and height > 0 and width * height > smaller / 3 and re.search(r"\w", word):
            found.append(word)
    return found


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


@dataclass(frozen=True, kw_only=True, eq=False)
class Evidence:
    """What there is to explain a hit with.

    query, spans   the text of a query and where its tokens stand; "" and () of a picture
    asked          float32 [T, m], its token vectors
    entry          float32 [n, m], those of what was found
    text           of what was found: a passage, or the text layer of a page
    text_spans     where the tokens of a passage stand in its text; () where that is not known
    grid           of a page; None for a text
    layer          words of a page's text layer with their boxes
    """

    query: str
    spans: Sequence[Span]
    asked: Floats
    entry: Floats
    text: str = ""
    text_spans: Sequence[Span] = ()
    grid: Grid | None = None
    page: Image | None = None
    layer: Sequence[tuple[str, Box]] = ()

    @cached_property
    def wanted(self) -> frozenset[str]:
        return frozenset(asked(self.query).counts)

    def explanation(self, *, place: str, missing: str = "") -> Explanation:
        similarity, best = shares(self.asked, self.entry)
        words = words_of(self.query, self.spans)
        rows = [row for word in words for row in word.rows] if words else list(range(len(self.asked)))
        there = frozenset(analysed(self.text).counts)
        return Explanation(
            query=self.query,
            place=place,
            score=float(best.sum()),
            prompt=float(best.sum() - best[rows].sum()),
            words=tuple(self._answered(word, similarity) for word in words),
            matched=tuple(dict.fromkeys(word.word for word in words if there.intersection(asked(word.word).counts))),
            heat=None if self.grid is None else heat_of(similarity[rows], self.grid),
            page=self.page,
            boxes=tuple(box for word, box in self.layer if self.wanted.intersection(analysed(word).counts)),
            missing=missing,
        )

    def _answered(self, word: QueryWord, similarity: Floats) -> Answered:
        mine = similarity[list(word.rows)]
        score = float(mine.max(axis=1).sum())
        together = mine.sum(axis=0)
        cell: tuple[int, int] | None = None
        there = ""
        if self.grid is not None:
            size = self.grid.rows * self.grid.columns
            cell = divmod(int(together[self.grid.first : self.grid.first + size].argmax()), self.grid.columns)
            if self.page is not None:
                there = " ".join(beneath(cell_box(cell, (self.grid.rows, self.grid.columns), self.page.size), self.layer))
        elif self.text_spans:
            start, end = self.text_spans[int(together.argmax())]
            there = bare(run_around(self.text, start, end)) if end else ""
        return Answered(word=word.word, score=score, strength=score / len(word.rows), cell=cell, there=there)


def run_around(text: str, start: int, end: int) -> str:
    """The word that a piece of a text is of: what stands between spaces around it; in scripts without spaces, the piece."""
    piece = text[start:end].strip()
    if UNSPACED.search(piece):
        return piece
    start += len(text[start:end]) - len(text[start:end].lstrip())
    before = re.search(r"\S*$", text[max(0, start - 64) : start])
    after = re.match(r"\S*", text[start : start + 64])
    return (before[0] if before else "") + (after[0] if after else "")


def explain(entry: Entry, place: str, *, path: Path, store: Store, encoder: Encodes, task: str, query: Query) -> Explanation:
    """Why an entry was found for a query.

    place  of the entry, as a person writes it
    path   of its file, which is read again for the picture of a page
    query  with its tokens
    """
    assert query.tokens is not None
    spans = encoder.spans(query.text, task=task, role="query") if query.text and isinstance(encoder, Places) else []
    _, (tokens,) = store.vectors([entry.id])
    if entry.modality != "image":
        text_spans = encoder.spans(entry.text, task=task, role="passage") if isinstance(encoder, Places) else []
        known = text_spans if len(text_spans) == len(tokens) else []  # cut off, or merged
        return Evidence(query=query.text, spans=spans, asked=query.tokens, entry=tokens, text=entry.text, text_spans=known).explanation(
            place=place
        )
    page, missing = read_again(entry, path)
    grid = entry.grid
    if page is not None and grid is None:  # its tokens were merged: only those of the whole page have a place on it
        fresh = encoder.encode([page], task=task, role="passage")
        tokens, grid = fresh.multi[0], next(iter(fresh.grids), None)
    layer = words_of_page(path, entry.part) if page is not None and path.suffix.lower() == ".pdf" else []
    return Evidence(
        query=query.text, spans=spans, asked=query.tokens, entry=tokens, text=entry.text, grid=grid, page=page, layer=layer
    ).explanation(place=place, missing=missing)


def read_again(entry: Entry, path: Path) -> tuple[Image | None, str]:
    """The picture of a page, from its file; or None, and why."""
    try:
        if sha256(path) != entry.file_sha:
            return None, "the file has changed since it was indexed; index it again"
        content = next(read(path, key=entry.source.path, start=entry.part)).content
    except FileNotFoundError:
        return None, "the file is no longer there"
    except OSError as error:
        return None, f"the file cannot be opened: {error.strerror}"
    except (UnreadableFile, StopIteration) as error:
        return None, f"the page cannot be read again: {getattr(error, 'reason', 'it is not there')}"
    return (None, "it is a text") if isinstance(content, str) else (content, "")
