"""Hard negatives: what an index takes for an answer and is none. Candidates by dense vectors and by words, texts and pages alike.

A candidate that scores nearly as high as the positive may well be an answer that nobody marked, so those above 95 % of the positive's
score are left out (Nemotron ColEmbed V2), as is everything that is the positive again. What is found is written as JSON lines that
`data.jsonl` reads; a run that was stopped goes on where it was.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from unitower.data import BadPair, Pairs
from unitower.errors import UnitowerError, UnreadableFile
from unitower.index import Index
from unitower.scoring import maxsim
from unitower.stores import Entry, Query, Store, open_store
from unitower.training.sampler import Unusable, content_key
from unitower.types import Embeddings, Encodes, Floats, Item, Pair, Role

if TYPE_CHECKING:
    from PIL.Image import Image

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff"})


@dataclass(frozen=True, kw_only=True)
class Mining:
    """How negatives are chosen.

    k           negatives of a pair, the hardest first; fewer where there are no more
    depth       candidates that dense vectors and words put forward each
    keep_below  a candidate stays if it scores at most this share of what the positive scores
    by          what scores: "dense" vectors, or "late", MaxSim of token vectors
    task        whose adapter encodes
    batch       pairs that are encoded together; after each batch the state is saved
    """

    k: int = 4
    depth: int = 100
    keep_below: float = 0.95
    by: Literal["dense", "late"] = "dense"
    task: str = "retrieval"
    batch: int = 32

    def __post_init__(self) -> None:
        if min(self.k, self.depth, self.batch) < 1:
            raise ValueError(f"k, depth and batch are 1 or more; got {self.k}, {self.depth} and {self.batch}.")
        if not 0 < self.keep_below <= 1:
            raise ValueError(f"keep_below is {self.keep_below}; it is a share of the positive's score, above 0 and up to 1.")
        if self.by not in ("dense", "late"):
            raise ValueError(f"by is {self.by!r}; it is 'dense' or 'late'.")


@dataclass(frozen=True, kw_only=True)
class Mined:
    """What a run found.

    pairs      written, each with up to k negatives
    negatives  of all of them
    left_out   candidates passed over, by the reason
    unusable   rows of the source that could not be read, with the first reasons
    """

    pairs: int
    negatives: int
    left_out: Mapping[str, int]
    unusable: int
    reasons: tuple[str, ...] = ()


def mine(
    pairs: Pairs,
    *,
    encoder: Encodes,
    among: Store | Index,
    out: str | Path,
    settings: Mining | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Mined:
    """Write the pairs with hard negatives to a JSONL file: query, pos, neg, pos_scores, neg_scores.

    among     where negatives are looked for. A store gets all documents of the pairs first, those it lacks; an index of files is searched
              as it is
    progress  is told "documents" or "negatives", how many rows are done, and of how many

    A page that is no image file is written as PNG into a folder beside `out`. `out` takes its name when it is whole; until then a stopped
    run goes on from its state. A pair for which nothing is found is written with an empty `neg`.

    UnitowerError if `out` holds, or a stopped run was writing, something else. IndexMismatch if the index was made by another encoder.
    """
    settings = settings or Mining()
    tell = progress or (lambda stage, done, total: None)
    library = Files(among, encoder, task=settings.task) if isinstance(among, Index) else Documents(among, pairs)
    writer = Writer(Path(out), identity=identity(pairs, encoder, settings, library))
    if writer.finished is not None:
        return writer.finished
    known = survey(pairs, library, encoder, settings, tell)
    vectors = Vectors(encoder, library.store, settings.task)
    with writer:
        for start in range(writer.row, len(pairs), settings.batch):
            rows = range(start, min(start + settings.batch, len(pairs)))
            batch = [(row, pair) for row in rows if (pair := readable(pairs, row)) is not None]
            for (row, pair), vector in zip(batch, vectors.of([pair for _, pair in batch]), strict=True):
                negatives = chosen(pair, vector, library, known.positives(content_key(pair.query)), settings, writer.left_out)
                writer.write(row, pair, vector.score(settings.by, [vector.positive])[0], negatives)
            writer.save(rows.stop)
            tell("negatives", rows.stop, len(pairs))
        return writer.finish(known.unusable)


def readable(pairs: Pairs, row: int) -> Pair | None:
    """A row's pair; None where it is unusable, which the survey has counted."""
    try:
        return pairs[row]
    except BadPair:
        return None


# ---------------------------------------------------------------- what is looked through


class Library(Protocol):
    """A store, and the way from its entries back to what they are of."""

    store: Store
    name: str

    def item(self, entry: Entry) -> Item | None:
        """What an entry is of; None where it cannot be had any more."""
        ...


class Documents:
    """The documents and hard negatives of a source, in a store, by the digests of their contents."""

    name = "documents"

    def __init__(self, store: Store, pairs: Pairs) -> None:
        self.store, self.pairs = store, pairs

    def add(self, items: Mapping[str, tuple[Item, str]], encoder: Encodes, *, task: str) -> None:
        """Encode and store the items that are not there yet. items: id -> item, and where in the source it is."""
        there = {entry.id for entry in self.store.entries(list(items))}
        new = {id: found for id, found in items.items() if id not in there}
        if not new:
            return
        entries = [
            Entry(id=id, source=item.source, modality=item.modality, text=words_of(item), metadata={"place": place})
            for id, (item, place) in new.items()
        ]
        self.store.add(entries, encoder.encode([item for item, _ in new.values()], task=task, role="passage"))

    def item(self, entry: Entry) -> Item | None:
        row, _, which = entry.metadata.get("place", "").partition(".")
        if not row.isdigit() or int(row) >= len(self.pairs) or (pair := readable(self.pairs, int(row))) is None:
            return None
        item = next(iter([pair.document, *pair.negatives][int(which) :]), None)
        return item if item is not None and content_key(item).hex() == entry.id else None


class Files:
    """An index of files."""

    name = "files"

    def __init__(self, index: Index, encoder: Encodes, *, task: str) -> None:
        index.manifest.check(encoder, folder=index.folder)
        if task not in index.manifest.fingerprints:
            raise ValueError(
                f"{index.folder} has no vectors for the task {task!r}, it has them for {', '.join(index.manifest.fingerprints)}."
            )
        self.index = index
        self.store = open_store(f"lance:{index.folder / f'{task}.lance'}")

    def item(self, entry: Entry) -> Item | None:
        from unitower.index.keys import Keys
        from unitower.ingest import read

        path = Keys(self.index.folder).path(entry.source.path)
        try:
            return next(read(path, key=entry.source.path, start=entry.part), None)
        except UnreadableFile:
            return None


@dataclass(frozen=True, kw_only=True)
class Known:
    """Which documents answer which queries, by the first 64 bits of their digests: rows sorted by query, uint64 [n] each."""

    queries: npt.NDArray[np.uint64]
    documents: npt.NDArray[np.uint64]
    unusable: Unusable

    def positives(self, query: bytes) -> set[int]:
        """All documents that answer a query, in whatever row."""
        first, last = (int(np.searchsorted(self.queries, np.uint64(short(query)), side=side)) for side in ("left", "right"))
        return set(self.documents[first:last].tolist())


def words_of(item: Item) -> str:
    """What an item is found by in a search for words."""
    return item.content if isinstance(item.content, str) else item.text


def short(digest: bytes) -> int:
    return int.from_bytes(digest[:8], "big")


def survey(pairs: Pairs, library: Library, encoder: Encodes, settings: Mining, tell: Callable[[str, int, int], None]) -> Known:
    """Read all pairs once: what answers what, which rows are unusable, and, into a store of documents, what it lacks of them."""
    queries, documents, unusable = np.zeros(len(pairs), np.uint64), np.zeros(len(pairs), np.uint64), Unusable()
    usable = np.zeros(len(pairs), bool)
    waiting: dict[str, tuple[Item, str]] = {}
    for row in range(len(pairs)):
        try:
            pair = pairs[row]
        except BadPair as error:
            unusable.add(pairs.name, str(error))
            continue
        usable[row] = True
        queries[row] = short(content_key(pair.query))
        digests = [content_key(item) for item in (pair.document, *pair.negatives)]
        documents[row] = short(digests[0])
        if isinstance(library, Documents):
            for which, (item, digest) in enumerate(zip((pair.document, *pair.negatives), digests, strict=True)):
                waiting.setdefault(digest.hex(), (item, f"{row}.{which}"))
            if len(waiting) >= settings.batch:
                library.add(waiting, encoder, task=settings.task)
                waiting.clear()
                tell("documents", row + 1, len(pairs))
    if isinstance(library, Documents):
        library.add(waiting, encoder, task=settings.task)
        library.store.optimize()
        tell("documents", len(pairs), len(pairs))
    order = np.argsort(queries[usable], kind="stable")
    return Known(queries=queries[usable][order], documents=documents[usable][order], unusable=unusable)


# ---------------------------------------------------------------- scores


@dataclass(frozen=True, kw_only=True)
class Vector:
    """Query and positive of a pair: dense [d] and tokens [n, m] of each."""

    query: tuple[Floats, Floats]
    positive: tuple[Floats, Floats]

    def score(self, by: Literal["dense", "late"], documents: Sequence[tuple[Floats, Floats]]) -> Floats:
        """Scores of documents for the query, float32 [n], between -1 and 1; late ones are means over the query's tokens."""
        if by == "dense":
            return np.array([np.dot(dense, self.query[0]) for dense, _ in documents], np.float32)
        return maxsim(self.query[1], [tokens for _, tokens in documents]) / np.float32(len(self.query[1]))


class Vectors:
    """Vectors of pairs; those of positives that are in the store are taken from there, in the precision it keeps of them."""

    def __init__(self, encoder: Encodes, store: Store, task: str) -> None:
        self.encoder, self.store, self.task = encoder, store, task

    def of(self, pairs: Sequence[Pair]) -> list[Vector]:
        queries = self._encoded([pair.query for pair in pairs], "query")
        ids = [content_key(pair.document).hex() for pair in pairs]
        there = sorted({entry.id for entry in self.store.entries(ids)})
        stored = dict(zip(there, rows_of(*self.store.vectors(there)), strict=True)) if there else {}
        missing = {id: pair.document for id, pair in zip(ids, pairs, strict=True) if id not in stored}
        stored |= dict(zip(missing, self._encoded(list(missing.values()), "passage"), strict=True))
        return [Vector(query=query, positive=stored[id]) for query, id in zip(queries, ids, strict=True)]

    def _encoded(self, items: Sequence[Item], role: Role) -> list[tuple[Floats, Floats]]:
        if not items:
            return []
        made: Embeddings = self.encoder.encode(items, task=self.task, role=role)
        return rows_of(made.dense, list(made.multi))


def rows_of(dense: Floats, tokens: Sequence[Floats]) -> list[tuple[Floats, Floats]]:
    return list(zip(dense, tokens, strict=True))


# ---------------------------------------------------------------- choosing


def chosen(
    pair: Pair, vector: Vector, library: Library, positives: set[int], settings: Mining, left_out: Counter[str]
) -> list[tuple[Item, float]]:
    """The hard negatives of a pair with their scores, the hardest first; `left_out` counts the candidates passed over."""
    entries = candidates(pair, vector, library.store, depth=settings.depth)
    if not entries:
        return []
    scores = vector.score(settings.by, rows_of(*library.store.vectors([entry.id for entry in entries])))
    best = float(vector.score(settings.by, [vector.positive])[0])
    limit = best - (1 - settings.keep_below) * abs(best)  # of a positive score its share; and below the positive in any case
    right = Look(pair.document)
    found: list[tuple[Item, float]] = []
    looks: list[Look] = []
    for place in sorted(range(len(entries)), key=lambda i: (-float(scores[i]), entries[i].id)):
        if len(found) == settings.k:
            break
        entry, score = entries[place], float(scores[place])
        if entry.id == content_key(pair.document).hex() or is_among(entry.id, positives):
            continue
        if score > limit:
            left_out["too near to the positive's score"] += 1
            continue
        item = library.item(entry)
        if item is None:
            left_out["not there any more"] += 1
            continue
        look = Look(item)
        if look.same_as(right) or look.same_as(Look(pair.query)) or short(content_key(item)) in positives:
            left_out["the positive again"] += 1
        elif any(look.same_as(other) for other in looks):
            left_out["the same as another negative"] += 1
        else:
            found.append((item, score))
            looks.append(look)
    return found


def is_among(id: str, digests: set[int]) -> bool:
    """Whether an id is the digest of a document that is one of these; ids in an index of files are no digests."""
    try:
        return len(id) == 32 and int(id[:16], 16) in digests
    except ValueError:
        return False


def candidates(pair: Pair, vector: Vector, store: Store, *, depth: int) -> list[Entry]:
    """Entries put forward by dense vectors, and by the words of a query that has some; by id."""
    by_dense = store.search(Query(dense=vector.query[0]), k=depth)
    words = words_of(pair.query)
    by_words = store.search(Query(text=words), k=depth) if words.strip() else []
    return list(store.entries({found.id for found in (*by_dense, *by_words)}))


CELLS = 96
"""Columns and rows a page is reduced to in order to be compared."""

CELL_DIFFERS = 24
"""Grey levels out of 255 by which a cell of two pages differs. Measured on drawn pages of 700 x 1000: scaling by 0.5 to 1.3 with JPEG of
quality 30 to 60 changes no cell by more than 20, three other words somewhere change one by 29 or more."""

MOST_WORDS = 0.9
"""Share of the words of both that two texts have in common from which on they are taken for the same."""


class Look:
    """An item as it is compared with others: by its words, or by what its page looks like from afar."""

    def __init__(self, item: Item) -> None:
        self.item = item

    def same_as(self, other: Look) -> bool:
        """Whether one is the other again: nearly the same words, all of the other within it, or a page that looks the same."""
        ours, theirs = self.item.content, other.item.content
        if isinstance(ours, str) and isinstance(theirs, str):
            if self.words == other.words:
                return True
            if not self.words or not other.words:
                return False
            short, long = sorted((f" {' '.join(self.words)} ", f" {' '.join(other.words)} "), key=len)
            first, second = set(self.words), set(other.words)
            return (short in long and len(short) > len(long) // 4) or len(first & second) >= MOST_WORDS * len(first | second)
        if isinstance(ours, str) or isinstance(theirs, str):
            return False
        ratios = [image.width / image.height for image in (ours, theirs)]
        if not 0.98 < ratios[0] / ratios[1] < 1.02:
            return False
        return int(np.abs(self.cells - other.cells).max()) <= CELL_DIFFERS

    @cached_property
    def words(self) -> list[str]:
        return re.findall(r"\w+", str(self.item.content).casefold())

    @cached_property
    def cells(self) -> npt.NDArray[np.int16]:
        from PIL.Image import Resampling

        image: Image = self.item.content  # type: ignore[assignment]
        return np.asarray(image.convert("L").resize((CELLS, CELLS), Resampling.HAMMING), np.int16)


# ---------------------------------------------------------------- the file


def identity(pairs: Pairs, encoder: Encodes, settings: Mining, library: Library) -> dict[str, Any]:
    """What a run is of: another one does not go on where it was stopped."""
    return {
        "source": pairs.name,
        "rows": len(pairs),
        "among": library.name,
        "encoder": {key: value for key, value in encoder.fingerprint(task=settings.task).as_dict().items() if key != "model"},
        "settings": {key: value for key, value in asdict(settings).items() if key != "batch"},
    }


@dataclass
class Writer:
    """The file that is written, and how far it is: `row` comes next.

    out.part holds the lines so far; out.mining.json the state, which counts of them only what was whole when it was saved. The latter
    stays beside the finished file and says what it was made of.
    """

    out: Path
    identity: dict[str, Any]
    row: int = 0
    size_bytes: int = 0
    pairs: int = 0
    negatives: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    finished: Mined | None = None

    def __post_init__(self) -> None:
        self._part = self.out.with_name(self.out.name + ".part")
        self._state = self.out.with_name(self.out.name + ".mining.json")
        self.pages = self.out.with_name(self.out.name.split(".")[0] + "-pages")
        if not self._state.exists():
            if self.out.exists():
                raise UnitowerError(f"{self.out} is there already, and no run of mining made it. Name another file.")
            return
        state = json.loads(self._state.read_text(encoding="utf-8"))
        if state["identity"] != json.loads(json.dumps(self.identity)):
            different = [key for key, value in json.loads(json.dumps(self.identity)).items() if state["identity"].get(key) != value]
            raise UnitowerError(
                f"{self.out} was mined from, or with, something else ({', '.join(different)} differ). Name another file, or delete "
                f"{self._state.name} and what lies beside it."
            )
        if state["finished"] is not None:
            if self.out.exists():  # else it was taken away, and is made anew
                self.finished = Mined(**{**state["finished"], "reasons": tuple(state["finished"]["reasons"])})
            return
        if self.out.exists() and not self._part.exists():  # stopped just before the state said that it is finished
            self.out.replace(self._part)
        self.row, self.size_bytes, self.pairs, self.negatives = (state[key] for key in ("row", "size_bytes", "pairs", "negatives"))
        self.left_out = Counter(state["left_out"])

    def __enter__(self) -> Writer:
        self.out.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._part.open("r+b" if self.row and self._part.exists() else "wb")
        if self._file.seek(0, os.SEEK_END) < self.size_bytes:
            self._file.close()
            raise UnitowerError(f"{self._part} is shorter than when it was saved. Delete {self._state} to begin again.")
        self._file.truncate(self.size_bytes)
        self._file.seek(self.size_bytes)
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def write(self, row: int, pair: Pair, score: float, negatives: Sequence[tuple[Item, float]]) -> None:
        """One pair; `row` is its place in the source."""
        line = {
            "query": self._written(pair.query),
            "pos": [self._written(pair.document)],
            "neg": [self._written(item) for item, _ in negatives],
            "pos_scores": [round(float(score), 6)],
            "neg_scores": [round(score, 6) for _, score in negatives],
            "row": row,
        }
        self._file.write(json.dumps(line, ensure_ascii=False).encode("utf-8", "replace") + b"\n")
        self.pairs += 1
        self.negatives += len(negatives)

    def save(self, row: int) -> None:
        """All rows before `row` are done."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self.row, self.size_bytes = row, self._file.tell()
        self._save(None)

    def finish(self, unusable: Unusable) -> Mined:
        """The file takes its name."""
        self._file.close()
        self._part.replace(self.out)
        self.finished = Mined(
            pairs=self.pairs,
            negatives=self.negatives,
            left_out=dict(self.left_out),
            unusable=unusable.count.total(),
            reasons=tuple(unusable.reasons),
        )
        self._save(self.finished)
        return self.finished

    def _save(self, finished: Mined | None) -> None:
        state = {key: getattr(self, key) for key in ("identity", "row", "size_bytes", "pairs", "negatives", "left_out")}
        temporary = self._state.with_name(self._state.name + ".new")
        temporary.write_text(json.dumps({**state, "finished": finished and asdict(finished)}, indent=1), encoding="utf-8")
        temporary.replace(self._state)

    def _written(self, item: Item) -> str | dict[str, str]:
        """A text as it is; a page as the image file it is in, or else as a PNG in a folder of ours."""
        if isinstance(item.content, str):
            return item.content
        path = Path(item.source.path)
        if item.source.page is not None or path.suffix.lower() not in IMAGE_SUFFIXES or not path.is_file():
            path = self.pages / f"{content_key(item).hex()}.png"
            if not path.exists():
                self.pages.mkdir(parents=True, exist_ok=True)
                temporary = path.with_suffix(".new")
                item.content.save(temporary, format="PNG")
                temporary.replace(path)
        inside = path.resolve().is_relative_to(self.out.parent.resolve())
        shown = path.resolve().relative_to(self.out.parent.resolve()) if inside else path.resolve()
        return {"image": shown.as_posix(), **({"text": item.text} if item.text.strip() else {})}


__all__ = ["Mined", "Mining", "mine"]
