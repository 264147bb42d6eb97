"""One version of a Lance dataset, as `ranking` asks it: what is held in memory, scan codes, and rows read where they are needed."""

from __future__ import annotations

import json
import mmap
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from lance.query import MatchQuery

from unitower import codes as codes_module
from unitower.codes import Int64s
from unitower.errors import StoreError
from unitower.kernels import chosen as chosen_kernel
from unitower.stores import Entry
from unitower.stores._batch import digest
from unitower.stores._rows import FORMAT, NOTHING, STORED_AS, as_entry, decoded, word_counts
from unitower.stores._seal import damaged
from unitower.stores._segment import Making, Segment, read, write
from unitower.stores.ranking import Matches, Pages, Positions, Scan, cosines
from unitower.stores.where import arrays
from unitower.types import Floats

DENSE_INDEX = "dense"

SCAN_CODES = "_scan"
"""Folder of the scan codes, inside that of the dataset."""

READ_ROWS = 256
"""Rows in memory at once while fragments are rewritten or coded: 33 MB of token vectors for pages of 1,000."""


class Opened:
    """What a store has open, by the name of the data file."""

    def __init__(self) -> None:
        self.codes: dict[str, Segment] = {}
        self.files: dict[str, BinaryIO] = {}


class Snapshot:
    """One version of the dataset, or the store before its first entry. Tells `ranking` what it asks for.

    opened  scan codes and data files that are open already, shared by the versions of one store
    """

    def __init__(self, folder: Path, dataset: Any, opened: Opened) -> None:
        self.folder = folder
        self.codes, self.files = opened.codes, opened.files
        self.dataset = dataset
        self.version: int = 0 if dataset is None else dataset.version
        self.widths: tuple[int, int] | None = None
        if dataset is not None:
            told = {key.decode(): value.decode() for key, value in (dataset.schema.metadata or {}).items()}
            if told.get("unitower.format") != FORMAT:
                raise StoreError(
                    f"{folder}: the store has format {told.get('unitower.format')!r}, this version of unitower reads {FORMAT!r}. "
                    "Delete the index's folder and index again."
                )
            if (rules := json.loads(told.get("unitower.codes", "null"))) != codes_module.parameters():
                raise StoreError(f"{folder}: its vectors are coded by other rules ({rules}). Delete the index's folder and index again.")
            self.widths = (dataset.schema.field("dense").type.list_size, int(told["unitower.token_width"]))

    def copy(self) -> Any:
        """The dataset to write to: Lance moves it to the version it writes, while this one may be read at the same time."""
        return self.dataset.checkout_version(self.version)

    @cached_property
    def _facts(self) -> _Facts:
        if self.dataset is None:
            none = np.empty(0, np.int64)
            return _Facts.of([], rows=none, parts=none, tokens=none)
        with border(self.folder, "read"):
            columns = ["id", "n_parts", "n_tokens"]
            table = self.dataset.scanner(columns=columns, with_row_id=True, scan_in_order=True).to_table()
        return _Facts.of(
            [decoded(id) for id in table["id"].to_pylist()],
            rows=table["_rowid"].to_numpy(),
            parts=table["n_parts"].to_numpy(),
            tokens=table["n_tokens"].to_numpy(),
        )

    @cached_property
    def _dense(self) -> Floats:
        """Dense vectors in the order of the dataset."""
        assert self.widths is not None
        matrix = np.empty((len(self.ids), self.widths[0]), np.float32)
        start = 0
        with border(self.folder, "read"):
            for batch in self.dataset.to_batches(columns=["dense"], scan_in_order=True):
                rows = batch["dense"].flatten().to_numpy().reshape(-1, self.widths[0])
                matrix[start : start + len(rows)] = rows
                start += len(rows)
        return matrix

    @property
    def ids(self) -> list[str]:
        return self._facts.ids

    def cosines(self, dense: Floats) -> Floats:
        return cosines(self._dense, dense)[self._facts.offsets]

    def matches(self, words: Sequence[str], *, phrase: str) -> Matches:
        facts = self._facts
        with border(self.folder, "read"):
            table = self.dataset.scanner(
                columns=["terms"],
                full_text_query=MatchQuery(" ".join(words), "words"),
                with_row_id=True,
                disable_scoring_autoprojection=True,
            ).to_table()
        positions = facts.at_rows(table["_rowid"].to_numpy())
        order = np.argsort(positions)
        positions = positions[order]
        chunks = [word_counts(chunk, words) for chunk in table["terms"].chunks]
        counts = np.concatenate([np.zeros((0, len(words)), np.int64), *chunks])[order]
        has_phrase = np.zeros(len(positions), bool)
        if phrase:
            in_phrase = set(phrase.split())
            complete = np.flatnonzero(counts[:, [word in in_phrase for word in words]].all(axis=1))
            if len(complete):
                stored, places = self._take(positions[complete], ["words"])
                has_phrase[complete[places]] = [phrase in text for text in stored["words"].to_pylist()]
        return Matches(
            positions=positions,
            counts=counts,
            lengths=facts.parts[positions],
            has_phrase=has_phrase,
            entries=int(np.count_nonzero(facts.parts)),
            parts=int(facts.parts.sum()),
        )

    @property
    def token_counts(self) -> Int64s:
        return self._facts.tokens

    def columns(self, names: frozenset[str]) -> Mapping[str, Any]:
        missing = names - self._columns.keys()
        if missing:
            stored = {column for name in missing for column in STORED_AS[name]}
            with border(self.folder, "read"):
                table = self.dataset.scanner(columns=sorted(stored), scan_in_order=True).to_table()
            rows = table.take(pa.array(self._facts.offsets)).to_pylist()
            self._columns |= arrays([as_entry(row) for row in rows], missing)
        return self._columns

    @cached_property
    def _columns(self) -> dict[str, Any]:
        return {}

    def scan(self) -> Scan:
        return self._scan

    @cached_property
    def _scan(self) -> Scan:
        with border(self.folder, "read"):
            fragments = self.dataset.get_fragments()
            self._names = [_data_name(fragment) for fragment in fragments]
            segments = [self._segment(fragment, name) for fragment, name in zip(fragments, self._names, strict=True)]
        number = np.zeros(1 + max(fragment.fragment_id for fragment in fragments), np.int64)
        number[[fragment.fragment_id for fragment in fragments]] = np.arange(len(fragments))
        rows = self._facts.rows
        scan = Scan(segments=segments, segment=number[rows >> 32], row=rows & 0xFFFF_FFFF)
        lengths = np.concatenate([segment.tokens for segment in segments])
        begins = np.cumsum([0, *(len(segment.offsets) for segment in segments)])
        if not np.array_equal(lengths[begins[scan.segment] + scan.row], self._facts.tokens):
            raise StoreError(f"{self.folder}: its scan codes do not fit its rows. Delete {self.folder / SCAN_CODES}: it is made anew.")
        return scan

    def _segment(self, fragment: Any, name: str) -> Segment:
        """Scan codes of a fragment: those that are open, those of the file, or new ones."""
        assert self.widths is not None
        if name in self.codes:
            return self.codes[name]
        path = self.folder / SCAN_CODES / f"{name}.codes"
        made_from = {"data": name, "rows": fragment.physical_rows, "widths": list(self.widths), "codes": codes_module.parameters()}
        made_from["order"] = f"heads first, one in {codes_module.HEADS}"
        segment = read(path, made_from=made_from)
        if segment is None:
            segment = self._coded(fragment, name)
            with suppress(OSError):  # a folder that may not be written, a full disk: they stay in memory
                write(segment, path, made_from=made_from)
                segment = read(path, made_from=made_from) or segment
        self.codes[name] = segment
        return segment

    def _coded(self, fragment: Any, name: str) -> Segment:
        assert self.widths is not None
        lengths = np.zeros(fragment.physical_rows, np.int64)
        for batch in fragment.to_batches(columns=["n_tokens"], with_row_address=True):
            lengths[batch["_rowaddr"].to_numpy() & np.uint64(0xFFFF_FFFF)] = batch["n_tokens"].to_numpy()
        making = Making(lengths=lengths, token_width=self.widths[1], dense_width=self.widths[0])
        data = self._data(name)
        file = mmap.mmap(data.fileno(), 0, access=mmap.ACCESS_READ) if data else None
        for batch in fragment.to_batches(columns=["tokens", "dense"], with_row_address=True, batch_size=READ_ROWS):
            rows = (batch["_rowaddr"].to_numpy() & np.uint64(0xFFFF_FFFF)).astype(np.int64)
            dense = batch["dense"].flatten().to_numpy().reshape(-1, self.widths[0])
            making.put(rows, [value.as_buffer() for value in batch["tokens"]], dense, file=file)
        return making.segment

    def _data(self, name: str) -> BinaryIO | None:
        """A data file to read token vectors from; None where a fragment has several."""
        if name not in self.files and "+" not in name:
            with suppress(OSError):
                self.files[name] = (self.folder / "data" / f"{name}.lance").open("rb")
        return self.files.get(name)

    def drop_old_codes(self) -> None:
        """Delete scan codes of data files that are gone. Who has them mapped keeps them."""
        there = {_data_name(fragment) for fragment in self.dataset.get_fragments()}
        for known in (self.codes, self.files):
            for name in known.keys() - there:
                del known[name]
        with suppress(OSError):
            for path in (self.folder / SCAN_CODES).iterdir():
                if path.name.removesuffix(".codes") not in there:
                    path.unlink(missing_ok=True)

    def nearest(self, dense: Floats, *, number: int) -> Positions | None:
        with border(self.folder, "read"):
            if all(index.name != DENSE_INDEX for index in self.dataset.describe_indices()):
                return None
            asked = {"column": "dense", "q": dense, "k": number, "metric": "cosine", "minimum_nprobes": 4, "maximum_nprobes": 16}
            table = self.dataset.scanner(columns=[], nearest=asked, with_row_id=True, disable_scoring_autoprojection=True).to_table()
        return np.sort(self._facts.at_rows(table["_rowid"].to_numpy()))

    def pages(self, positions: Positions) -> Pages:
        """Token vectors, each as many bytes as the facts say; StoreError where they are not."""
        return self._read_pages(positions) or self._asked_pages(positions)

    def _read_pages(self, positions: Positions) -> Pages | None:
        """Token vectors from where they stand in the data files: a tenth of the time that Lance takes for the same (80 us a page)."""
        assert self.widths is not None
        scan = self._scan
        of, rows = scan.segment[positions], scan.row[positions]
        lengths = self._facts.tokens[positions]
        sizes = lengths * (codes_module.padded(self.widths[1]) + 4)
        starts = np.cumsum(sizes) - sizes
        data = np.empty(int(sizes.sum()), np.uint8)
        room = data.data
        for number in np.unique(of).tolist():
            file, offsets = self._data(self._names[number]), scan.segments[number].offsets
            own = np.flatnonzero(of == number)
            if file is None or (offsets[rows[own]] < 0).any():
                return None
            whole = (offsets[rows[own]].tolist(), starts[own].tolist(), sizes[own].tolist())
            for offset, start, size in zip(*whole, strict=True):
                if os.preadv(file.fileno(), [room[start : start + size]], offset) != size:
                    return None
            if not np.array_equal(chosen_kernel().crcs(data, starts[own], sizes[own]), scan.segments[number].crcs[rows[own]]):
                raise StoreError(damaged(self.folder, [f"data/{self._names[number]}.lance has changed since it was written"]))
        return Pages(data=data, starts=starts, lengths=lengths)

    def _asked_pages(self, positions: Positions) -> Pages:
        assert self.widths is not None
        table, places = self._take(positions, ["tokens"])
        column = table["tokens"].combine_chunks()
        if isinstance(column, pa.ChunkedArray):
            column = pa.concat_arrays(column.chunks)
        _, bounds, data = column.buffers()
        begins = np.frombuffer(bounds, np.int64)[column.offset : column.offset + len(column) + 1]
        lengths = self._facts.tokens[positions]
        starts = np.empty(len(positions), np.int64)
        starts[places] = begins[:-1]
        sizes = np.empty(len(positions), np.int64)
        sizes[places] = np.diff(begins)
        if not np.array_equal(sizes, lengths * (codes_module.padded(self.widths[1]) + 4)):
            raise StoreError(
                f"{self.folder}: stored token vectors have not the length they should have. Delete the folder and index again."
            )
        return Pages(data=np.frombuffer(data, np.uint8), starts=starts, lengths=lengths)

    def texts(self, positions: Positions) -> list[str]:
        table, places = self._take(np.asarray(positions, np.int64), ["text"])
        texts = [""] * len(positions)
        for text, place in zip(table["text"].to_pylist(), places.tolist(), strict=True):
            texts[place] = text
        return texts

    def damaged(self) -> list[str]:
        if self.dataset is None:
            return []
        wrong = []
        with border(self.folder, "read"):
            for batch in self.dataset.to_batches(columns=["id", "tokens", "digest"], batch_size=READ_ROWS):
                for id, tokens, known in zip(batch["id"].to_pylist(), batch["tokens"], batch["digest"].to_pylist(), strict=True):
                    if digest(memoryview(tokens.as_buffer())) != known:
                        wrong.append(decoded(id))
        return sorted(wrong)

    def held(self, ids: Collection[str]) -> list[str]:
        """Those of the ids that are there, ascending."""
        return sorted(set(ids) & self._facts.position.keys())

    def entries(self, ids: Sequence[str]) -> list[Entry]:
        """The entries of those ids that are there, in the order of the ids."""
        chosen = [self._facts.position[id] for id in ids if id in self._facts.position]
        columns = [name for name in self.dataset.schema.names if name in NOTHING]
        if not chosen:
            return []
        table, places = self._take(np.array(chosen, np.int64), columns)
        return [as_entry(row) for row in table.take(pa.array(np.argsort(places))).to_pylist()]

    def vectors(self, ids: Sequence[str]) -> tuple[Floats, list[Floats]]:
        positions = np.array([self._facts.position[id] for id in ids], np.int64)
        if not len(positions):
            return np.empty((0, self.widths[0] if self.widths else 0), np.float32), []
        assert self.widths is not None
        once, places = np.unique(positions, return_inverse=True)
        pages, width = self.pages(once), self.widths[1]
        ends = pages.starts + pages.lengths * (codes_module.padded(width) + 4)
        tokens = [codes_module.unpack(pages.data[start:end], width) for start, end in zip(pages.starts, ends, strict=True)]
        return self._dense_of(once)[places], [tokens[int(place)] for place in places]

    def _dense_of(self, positions: Positions) -> Floats:
        assert self.widths is not None
        table, places = self._take(positions, ["dense"])
        matrix = np.empty((len(positions), self.widths[0]), np.float32)
        matrix[places] = table["dense"].combine_chunks().flatten().to_numpy().reshape(-1, self.widths[0])
        return matrix

    def _take(self, positions: Positions, columns: list[str]) -> tuple[pa.Table, Positions]:
        """Rows at the positions (each once) in any order, and for each row its place among the positions."""
        rows = self._facts.rows[positions]
        order = np.argsort(rows)
        with border(self.folder, "read"):
            # Not `take`: it looks for the row behind each offset, 34 us each, as soon as a row is deleted.
            wanted = ",".join(map(str, rows[order].tolist()))
            table = self.dataset.scanner(columns=columns, filter=f"_rowid IN ({wanted})", with_row_id=True).to_table()
        if len(table) != len(positions):
            raise StoreError(
                f"{self.folder}: {len(positions)} rows were asked for, {len(table)} are there. Delete the folder and index again."
            )
        return table, order[np.searchsorted(rows[order], table["_rowid"].to_numpy().astype(np.int64))]


@dataclass(frozen=True, kw_only=True)
class _Facts:
    """What is held of every entry, by position among the ids in ascending order.

    offsets   int64 [n], place in the dataset
    parts     int64 [n], words of the text that have a position
    tokens    int64 [n], number of token vectors
    rows      int64 [n], Lance's row ids
    """

    ids: list[str]
    offsets: Positions
    parts: Positions
    tokens: Positions
    rows: Positions

    @classmethod
    def of(cls, ids: list[str], *, rows: Positions, parts: Positions, tokens: Positions) -> _Facts:
        """From columns in the order of the dataset."""
        offsets = np.array(sorted(range(len(ids)), key=ids.__getitem__), np.int64)
        return cls(
            ids=[ids[i] for i in offsets],
            offsets=offsets,
            parts=parts[offsets].astype(np.int64),
            tokens=tokens[offsets].astype(np.int64),
            rows=rows[offsets].astype(np.int64),
        )

    def at_rows(self, rows: npt.NDArray[np.uint64]) -> Positions:
        """Positions of the entries with these row ids."""
        order = self._by_row
        return order[np.searchsorted(self.rows[order], rows.astype(np.int64))]

    @cached_property
    def _by_row(self) -> Positions:
        return np.argsort(self.rows)

    @cached_property
    def position(self) -> dict[str, int]:
        return {id: position for position, id in enumerate(self.ids)}


def _data_name(fragment: Any) -> str:
    """What the rows of a fragment lie in: the name of its data file, which no other ever has."""
    return "+".join(Path(file.path).stem for file in fragment.data_files())


@contextmanager
def border(folder: Path, done: str) -> Iterator[None]:
    """Turns what Lance and Arrow raise into StoreError; `done` is "read" or "written"."""
    try:
        yield
    except BaseException as error:
        # A Rust panic arrives as PanicException, which is no Exception.
        if not isinstance(error, OSError | ValueError | RuntimeError | NotImplementedError) and type(error).__name__ != "PanicException":
            raise
        reason = re.split(r", /\S+\.rs:\d+", str(error))[0].strip() or type(error).__name__
        remedy = (
            "Make room on the disk and check that the folder may be written" if done == "written" else "Check that the folder may be read"
        )
        raise StoreError(
            f"{folder}: the store cannot be {done}: {reason}. {remedy}; if its files are damaged, delete the folder and index again."
        ) from error
