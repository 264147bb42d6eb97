"""The nouns that cross borders: Source, Item, Ragged, Fingerprint, Embeddings, Hit, Pair, and the Encodes protocol.

Everything here is plain data over numpy. A tower, a store, a reader and the command line share these and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, cast, overload, runtime_checkable

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from PIL.Image import Image

Modality: TypeAlias = Literal["text", "code", "image"]
Role: TypeAlias = Literal["query", "passage"]
Floats: TypeAlias = npt.NDArray[np.float32]
Dense: TypeAlias = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where an item comes from.

    path    the file; inside an index relative to the folder that holds the index, where it lies beneath that, else absolute
    page    1-based page of a PDF, frame of a TIFF; None where pages mean nothing
    lines   first and last line, 1-based, both included; None where lines mean nothing
    """

    path: str
    page: int | None = None
    lines: tuple[int, int] | None = None

    @property
    def place(self) -> str:
        """The source as a person writes it: `report.pdf, page 3` or `tower.py, lines 10-42`."""
        if self.page is not None:
            return f"{self.path}, page {self.page}"
        if self.lines is not None:
            first, last = self.lines
            return f"{self.path}, line {first}" if first == last else f"{self.path}, lines {first}-{last}"
        return self.path


@dataclass(frozen=True, kw_only=True)
class Item:
    """One thing that gets a vector: a page, a passage of text, a function.

    id        unique in an index and the same in every run over the same file: path, page or lines, and part where those repeat
    modality  what the tower sees: "image" is a picture of a page, "text" and "code" are read as text
    content   the text, or a PIL image (RGB) of the page
    source    where it comes from
    part      0-based position among the items of its file, in reading order
    text      what full-text search reads: the text itself, a PDF page's text layer, or "" where nothing is known
    metadata  what the reader found out besides (title, language, heading); values are strings
    """

    id: str
    modality: Modality
    content: str | Image
    source: Source
    part: int = 0
    text: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Where the cells of a page's picture stand among its token vectors.

    rows, columns  merge cells of the picture
    first          token row of the upper left cell; row by row they are tokens[first : first + rows * columns]
    """

    rows: int
    columns: int
    first: int


class Ragged(Sequence[Floats]):
    """Many token matrices end to end with their offsets: no padding, none empty.

    data     float32 [total, m], the rows of all matrices in order
    offsets  int64 [n + 1], offsets[0] = 0 and offsets[n] = total; matrix i is data[offsets[i] : offsets[i + 1]]

    >>> r = Ragged.of([np.eye(2), np.ones((1, 2))])
    >>> len(r), r[1].tolist(), r.lengths.tolist()
    (2, [[1.0, 1.0]], [2, 1])
    """

    __slots__ = ("data", "offsets")

    def __init__(self, data: npt.ArrayLike, offsets: npt.ArrayLike) -> None:
        self.data: Floats = np.asarray(data, dtype=np.float32)
        self.offsets: npt.NDArray[np.int64] = np.asarray(offsets, dtype=np.int64)
        if self.data.ndim != 2:
            raise ValueError(f"data of a Ragged is [total, width], got shape {self.data.shape}.")
        if self.offsets.ndim != 1 or not len(self.offsets) or self.offsets[0] != 0 or self.offsets[-1] != len(self.data):
            raise ValueError(f"offsets must run from 0 to {len(self.data)}, the number of rows; got {self.offsets!r}.")
        empty = np.diff(self.offsets) <= 0
        if empty.any():
            raise ValueError(f"matrix {int(np.argmax(empty))} of the Ragged is empty: every item has at least one token.")

    @classmethod
    def of(cls, matrices: Iterable[npt.ArrayLike], *, width: int | None = None) -> Ragged:
        """Put matrices [n_i, m] end to end. `width` is needed only where there may be none of them."""
        parts = [np.asarray(matrix, dtype=np.float32) for matrix in matrices]
        if not parts:
            if width is None:
                raise ValueError("a Ragged of no matrices needs width=, the number of columns.")
            return cls(np.empty((0, width), np.float32), [0])
        return cls(np.concatenate(parts), np.cumsum([0, *map(len, parts)]))

    @property
    def width(self) -> int:
        """Columns of every matrix."""
        return int(self.data.shape[1])

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Rows of each matrix, int64 [n]."""
        return cast("npt.NDArray[np.int64]", np.diff(self.offsets))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @overload
    def __getitem__(self, index: int) -> Floats: ...
    @overload
    def __getitem__(self, index: slice) -> Ragged: ...
    def __getitem__(self, index: int | slice) -> Floats | Ragged:
        if isinstance(index, slice):
            return self.take(range(*index.indices(len(self))))
        position = index + len(self) if index < 0 else index
        if not 0 <= position < len(self):
            raise IndexError(f"index {index} is outside a Ragged of {len(self)}.")
        return self.data[self.offsets[position] : self.offsets[position + 1]]

    def __iter__(self) -> Iterator[Floats]:
        return (self[i] for i in range(len(self)))

    def take(self, indices: Iterable[int]) -> Ragged:
        """A Ragged of the chosen matrices, in the order given."""
        return Ragged.of([self[int(i)] for i in indices], width=self.width)

    def __repr__(self) -> str:
        return f"Ragged({len(self)} matrices, {len(self.data)} rows of {self.width})"


@dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """What made a vector. Two vectors may be compared only if their fingerprints agree.

    model        name or folder the weights came from, for people; not compared
    revision     commit of a Hub model, or a hash of the folder's weights
    adapter      task whose adapter was active
    prompts      the words put before queries and passages, and the page prompt
    max_pixels   pixel limit of page images
    max_length   token limit of texts
    dense_width  columns of the dense vector after truncation
    multi_width  columns of the multi-vector
    """

    model: str
    revision: str
    adapter: str
    prompts: Mapping[str, str]
    max_pixels: int
    max_length: int
    dense_width: int
    multi_width: int

    def difference(self, other: Fingerprint) -> list[str]:
        """One line for every field that keeps the vectors of the two apart; empty if they may be compared."""
        return [
            f"{f.name}: {getattr(self, f.name)!r} against {getattr(other, f.name)!r}"
            for f in fields(self)
            if f.name != "model" and getattr(self, f.name) != getattr(other, f.name)
        ]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Fingerprint:
        return cls(**{f.name: values[f.name] for f in fields(cls)})


@dataclass(frozen=True, kw_only=True, eq=False)
class Embeddings:
    """Vectors of n items from one pass of the tower.

    dense        float32 [n, d], unit rows; of another type where `precision` asked for it (see `Encoder.encode`)
    multi        Ragged of n matrices float32 [tokens_i, m], unit rows
    fingerprint  what made them
    grids        the cells of each input that is a picture, None for one that is not; () where nobody asked
    scales       float32 [n] where dense is int8: a row stands for scale * codes; else None
    """

    dense: Dense
    multi: Ragged
    fingerprint: Fingerprint
    grids: tuple[Grid | None, ...] = ()
    scales: Floats | None = None

    def __post_init__(self) -> None:
        if self.dense.ndim != 2 or len(self.dense) != len(self.multi):
            raise ValueError(f"dense is {self.dense.shape} but there are {len(self.multi)} multi-vectors.")

    def __len__(self) -> int:
        return len(self.dense)


@dataclass(frozen=True, kw_only=True)
class Hit:
    """One answer of a search. `explain` tells what made its score.

    rank      1 is the best
    score     fused score; the higher the better, comparable within one search only
    found_by  the signals that brought it, best first: "multi" (MaxSim of token vectors), "dense", "text" (words)
    snippet   a piece of the item's text around the query's words; "" where the item has no text
    copies    near duplicates of it that were found too and are not told by themselves, best first
    matches   entries of its file that were found, itself included, where hits are grouped by file; else 1
    others    those besides itself, best first, at most five
    neighbours  the entries right before and after it in its file, where hits are grouped by file
    """

    rank: int
    score: float
    id: str
    source: Source
    modality: Modality
    snippet: str = ""
    found_by: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    copies: tuple[Source, ...] = ()
    matches: int = 1
    others: tuple[Source, ...] = ()
    neighbours: tuple[Source, ...] = ()
    explainer: Callable[[], Explains] | None = field(default=None, repr=False, compare=False)

    def explain(self) -> Explains:
        """Which words of the query and which patches of the page, or words of the text, made the score.

        `explain().save("why.png")` draws it over the page; `.words`, `.heat` and `.as_dict()` have the numbers. The file is read again
        for the picture. ValueError for a hit that no index gave, or that was sent to another process.
        """
        if self.explainer is None:
            raise ValueError(f"{self.id!r} cannot be explained: it does not come from a search of this process.")
        return self.explainer()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "explainer": None}  # which holds an open index

    def as_dict(self) -> dict[str, Any]:
        """The keys of `unitower search --json`: rank, score, id, path, page, lines, modality, snippet, copies, matches, others, neighbours.

        The last four are lists of places as a person writes them, and matches a number.
        """
        return {
            "rank": self.rank,
            "score": self.score,
            "id": self.id,
            "path": self.source.path,
            "page": self.source.page,
            "lines": list(self.source.lines) if self.source.lines else None,
            "modality": self.modality,
            "snippet": self.snippet,
            "copies": [source.place for source in self.copies],
            "matches": self.matches,
            "others": [source.place for source in self.others],
            "neighbours": [source.place for source in self.neighbours],
        }


class Explains(Protocol):
    """What `Hit.explain` gives; `index.explaining.Explanation` is it."""

    def as_dict(self) -> dict[str, Any]:
        """All of it, as JSON can hold it."""
        ...

    def picture(self) -> Image:
        """The page under its heat. ValueError where there is no page."""
        ...

    def save(self, path: str | Path) -> None:
        """Write `picture` as a PNG."""
        ...


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One example to train on.

    query      what is searched with; either side may be text, code or a page
    document   what answers it
    negatives  what looks like an answer and is not
    grade      how alike the two are, on the source's own scale; None where they simply belong together
    source     name of the data source it came from; a batch holds pairs of one source
    task       the adapter it trains
    """

    query: Item
    document: Item
    negatives: tuple[Item, ...] = ()
    grade: float | None = None
    source: str
    task: str = "retrieval"


Encodable: TypeAlias = "str | Path | Image | Item"


class Encodes(Protocol):
    """What an index asks of an encoder. `unitower.load` gives one; a fake or a remote one fits the same place."""

    def fingerprint(self, *, task: str) -> Fingerprint:
        """What vectors of `encode(..., task=task)` will carry; cheap, nothing is encoded."""
        ...

    def encode(self, inputs: Sequence[Encodable], *, task: str = "retrieval", role: Role | None = None) -> Embeddings:
        """Vectors of the inputs, in their order."""
        ...

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks it has adapters for."""
        ...

    @property
    def fusion(self) -> Mapping[str, float]:
        """Weight of each search signal ("multi", "dense", "text") when rankings are fused; signals left out weigh 1."""
        ...


@runtime_checkable
class Places(Protocol):
    """An encoder that tells where in a text its vectors stand, as `unitower.load` gives it."""

    def spans(self, text: str, *, task: str = "retrieval", role: Role) -> list[tuple[int, int]]:
        """Where in a text the rows of its multi-vector stand: (first character, character after the last); (0, 0) for the prompt's."""
        ...
