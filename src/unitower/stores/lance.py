"""The default store: one Lance dataset in a folder. Durable, one commit per call.

What is special:

- Ids and word statistics of the version that is read are held in memory (about 300 bytes an entry); token vectors and texts are
  read for the entries that need them.
- Scan codes (`_segment.py`) lie in `_scan/` beside the data, one file for each data file, mapped into memory. They are made from the
  stored token vectors by whoever needs them first, a reader too; they go by the name of the data file, which never changes once it is
  written, and are checked when they are opened. Without leave to write them they are held in memory.
- Lance's inverted index over the analysed words (`stores/words.py`; whitespace only, no stemming) says which entries contain a
  query's words; rows it does not cover yet are found as well. The scores are ours: Lance computes BM25 per index partition,
  so that its scores, and with them the order, depend on how the rows were added. Here a killed and resumed index answers
  like an unbroken one.
- Readers follow the writer: each search looks whether there is a new seal (0.01 ms). If files went away while it read, because another
  process compacted, it reads again from the new version. `optimize` may therefore delete old versions at once.
- A commit counts once it is sealed (`stores/_seal.py`): flushed to the disk, with the hash of each of its files. Readers read the
  sealed version; what a killed writer left beyond it is taken away by the next.
- One writer at a time (the index holds a lock). Not fork-safe: Lance runs threads, so open a store after forking, or spawn.

On disk, `FORMAT` 2: the columns of `_schema`; the dataset's metadata holds the format, the width of the token vectors and the rules of
their codes.
"""

from __future__ import annotations

import json
import mmap
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property, lru_cache, partial
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

import lance
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from lance.query import MatchQuery

from unitower import codes as codes_module
from unitower.codes import Int64s
from unitower.errors import StoreError
from unitower.kernels import chosen as chosen_kernel
from unitower.stores import Entry, Found, Query
from unitower.stores._batch import Kept, digest, kept
from unitower.stores._seal import NAME as SEAL
from unitower.stores._seal import Seal, damaged, flush
from unitower.stores._segment import Making, Segment, read, write
from unitower.stores.ranking import SCANNED, Matches, Pages, Positions, Scan, cosines, search
from unitower.stores.where import arrays
from unitower.types import Embeddings, Floats, Grid, Modality, Source

FORMAT = "2"
"""Version of the columns and of how words are analysed. A store of another one is refused."""

WORD_INDEX = "words"
DENSE_INDEX = "dense"

SCAN_CODES = "_scan"
"""Folder of the scan codes, inside that of the dataset."""

FRAGMENT_ROWS = 16_384
"""Rows to which `optimize` merges fragments; those that have as many are left alone, so that each row is rewritten a few times at most."""

READ_ROWS = 256
"""Rows in memory at once while fragments are rewritten or coded: 33 MB of token vectors for pages of 1,000."""

LISTED_ROWS = 2_048
"""Entries in memory at once while they are listed."""

LAST_VERSION = 2**64 - 1
"""Lance calls the manifest of a version by its distance from this, so that the latest stands first in a listing."""

ATTEMPTS = 5
"""Versions that are tried before a reader gives up. Each has to be replaced and deleted within the milliseconds of one search."""

Answer = TypeVar("Answer")


def open(address: str) -> LanceStore:
    """The store in the folder `address`, which is created with the first entries."""
    if not address:
        raise ValueError("a Lance store needs a folder: lance:FOLDER.")
    folder = Path(address).absolute()
    if re.search("[\x00-\x1f\x7f\ud800-\udfff]", str(folder)):
        raise StoreError(
            f"{str(folder)!r}: Lance keeps no data in a folder with control characters or bytes that are not UTF-8. Use another."
        )
    return LanceStore(folder)


class LanceStore:
    """A `Store` in a folder. Foreign errors come out as StoreError."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._opened = _Opened()
        self._held = _Snapshot(folder, None, self._opened)
        self._seal = Seal()
        self._stamp: tuple[int, int, int] | None = (0, 0, 0)  # of the seal that is held; None: there is no store
        self._known: tuple[int, set[str]] = (0, set())  # version, its ids: kept up while writing, so that no commit reads them anew
        self._read(lambda snapshot: snapshot.version)  # a folder that cannot be read is told now, not at the first search

    def add(self, entries: Sequence[Entry], embeddings: Embeddings) -> None:
        batch = kept(entries, embeddings, widths=self._latest().widths)
        if not batch:
            return
        with _border(self.folder, "written"):
            self._take_back()
            self._prepare(dense_width=len(batch[0].dense), token_width=batch[0].token_width)
            known = self._known_ids()
            dataset = self._latest().copy()
            before = dataset.version
            table = _table(batch, dataset.schema)
            replaced = sum(one.entry.id in known for one in batch)
            if replaced:
                merge = dataset.merge_insert("id").when_matched_update_all().when_not_matched_insert_all()
                self._merge(dataset, merge, table, {"num_updated_rows": replaced, "num_inserted_rows": len(batch) - replaced})
            else:
                dataset = lance.write_dataset(table, dataset, mode="append")
            self._commit(dataset)
        known |= {one.entry.id for one in batch}
        self._remember(known, before=before, now=dataset.version)

    def delete(self, ids: Collection[str]) -> int:
        known = self._known_ids()
        gone = known & set(ids)
        if not gone:
            return 0
        with _border(self.folder, "written"):
            self._take_back()
            dataset = self._latest().copy()
            before = dataset.version
            table = pa.table({"id": pa.array([_encoded(id) for id in sorted(gone)], pa.string())})
            self._merge(dataset, dataset.merge_insert("id").when_matched_delete(), table, {"num_deleted_rows": len(gone)})
            self._commit(dataset)
        known -= gone
        self._remember(known, before=before, now=dataset.version)
        return len(gone)

    def search(
        self,
        query: Query,
        *,
        k: int,
        weights: Mapping[str, float] | None = None,
        where: str | None = None,
        exact: bool = False,
        fold: bool = False,
    ) -> list[Found]:
        return self._read(lambda snapshot: search(snapshot, query, k=k, weights=weights, where=where, exact=exact, fold=fold))

    def entries(self, ids: Collection[str] | None = None) -> Iterator[Entry]:
        chosen = self._read(lambda snapshot: snapshot.ids if ids is None else snapshot.held(ids))
        for start in range(0, len(chosen), LISTED_ROWS):
            chunk = chosen[start : start + LISTED_ROWS]
            yield from self._read(partial(_Snapshot.entries, ids=chunk))

    def vectors(self, ids: Sequence[str]) -> tuple[Floats, list[Floats]]:
        return self._read(lambda snapshot: snapshot.vectors(ids))

    def damaged(self) -> list[str]:
        return self._read(lambda snapshot: snapshot.damaged())

    def optimize(self) -> None:
        if self._latest().dataset is None:
            return
        known = self._known_ids()
        with _border(self.folder, "written"):
            self._take_back()
            dataset = self._latest().copy()
            # The indexes first: compaction merges fragments only where all of them are indexed or none is.
            names = [index.name for index in dataset.describe_indices()]
            dataset.optimize.optimize_indices(index_names=[name for name in (WORD_INDEX, DENSE_INDEX) if name in names])
            if len(known) > SCANNED and DENSE_INDEX not in names:
                dataset.create_index(
                    "dense", "IVF_HNSW_SQ", name=DENSE_INDEX, metric="cosine", num_partitions=max(1, len(known) // 100_000)
                )
            dataset.optimize.compact_files(target_rows_per_fragment=FRAGMENT_ROWS, batch_size=READ_ROWS)
            self._commit(dataset)  # the old goes once the new is on the disk
            dataset.cleanup_old_versions(older_than=timedelta(0))
        self._known = (dataset.version, known)
        snapshot = self._latest()
        if known:
            snapshot.scan()  # now, not at the first search
        snapshot.drop_old_codes()

    def __len__(self) -> int:
        return self._read(lambda snapshot: len(snapshot.ids))

    def faults(self) -> list[str]:
        try:
            self._latest(anew=True)
            return self._seal.faults(self.folder, full=True)
        except StoreError as error:
            return [str(error)]

    def _read(self, question: Callable[[_Snapshot], Answer]) -> Answer:
        """The answer of the latest version; if that went away while it was read, of the one that took its place."""
        for attempt in range(ATTEMPTS - 1):
            before = _stamp(self.folder)
            try:
                return question(self._latest(anew=attempt > 0))
            except StoreError:
                if _stamp(self.folder) == before:  # nobody wrote meanwhile: it is damaged
                    raise
        return question(self._latest(anew=True))

    def _latest(self, *, anew: bool = False) -> _Snapshot:
        """The sealed version: the one held, if it still is. StoreError if any of its files is not as it was sealed."""
        with _border(self.folder, "read"):
            stamp = _stamp(self.folder)
            if stamp == self._stamp and not anew:
                return self._held
            seal = Seal.read(self.folder)
            if seal is None and _versions(self.folder):
                _Snapshot(self.folder, lance.dataset(str(self.folder)), self._opened)  # tells of another format
                raise StoreError(damaged(self.folder, [f"{SEAL} is missing"]))
            self._seal = seal or Seal()
            if faults := self._seal.faults(self.folder):
                raise StoreError(damaged(self.folder, faults))
            dataset = lance.dataset(str(self.folder), version=self._seal.version) if self._seal.version else None
            self._held, self._stamp = _Snapshot(self.folder, dataset, self._opened), stamp
        return self._held

    def _commit(self, dataset: Any) -> None:
        """Seal the version that was just written: from now on it has happened."""
        for version, path in _versions(self.folder).items():
            if self._seal.version < version < dataset.version:  # steps on the way, whose manifests Lance reads to clean up
                flush(path)
        self._seal = self._seal.next(self.folder, version=dataset.version, names=_files(self.folder, dataset))
        self._seal.write(self.folder)
        self._held, self._stamp = _Snapshot(self.folder, dataset, self._opened), _stamp(self.folder)

    def _take_back(self) -> None:
        """Remove the versions beyond the seal: their writer was stopped before they had happened."""
        sealed = self._latest().version
        for version, path in sorted(_versions(self.folder).items(), reverse=True):
            if version > sealed:
                path.unlink()

    def _known_ids(self) -> set[str]:
        latest = self._latest()
        return self._known[1] if self._known[0] == latest.version else set(latest.ids)

    def _remember(self, ids: set[str], *, before: int, now: int) -> None:
        self._known = (now, ids) if now == before + 1 else (0, set())  # a version in between is someone else's: read the ids anew

    def _prepare(self, *, dense_width: int, token_width: int) -> None:
        """Make the columns and the word index, empty, so that each `add` after it is one commit.

        A process killed here leaves a seal of nothing, or an empty dataset without the index; both are completed by the next.
        """
        if self._latest().dataset is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            if self._stamp is None:
                Seal().write(self.folder)  # first, so that a store without a seal is always a damaged one
            self._commit(lance.write_dataset(_schema(dense_width, token_width).empty_table(), str(self.folder), mode="create"))
        dataset = self._latest().copy()
        if all(index.name != WORD_INDEX for index in dataset.describe_indices()):
            dataset.create_scalar_index(
                "words",
                "INVERTED",
                name=WORD_INDEX,
                with_position=False,  # phrases are looked up in the column itself, where positions and further forms are told apart
                base_tokenizer="whitespace",
                max_token_length=None,
                lower_case=False,
                stem=False,
                remove_stop_words=False,
                ascii_folding=False,
            )
            self._commit(dataset)

    def _merge(self, dataset: Any, merge: Any, table: pa.Table, expected: Mapping[str, int]) -> None:
        """Change exactly as many rows as expected, or StoreError; what is not sealed after it has not happened."""
        counts = merge.execute(table)
        if wrong := {name: counts[name] for name, number in expected.items() if counts[name] != number}:
            # Upserts have passed over rows without an error (lancedb #3177, #3515), if with an index on the key, which is not made here.
            self._known = (0, set())
            raise StoreError(f"{self.folder}: the change was taken back, because {wrong} rows were changed instead of {dict(expected)}.")


class _Opened:
    """What a store has open, by the name of the data file."""

    def __init__(self) -> None:
        self.codes: dict[str, Segment] = {}
        self.files: dict[str, BinaryIO] = {}


class _Snapshot:
    """One version of the dataset, or the store before its first entry. Tells `ranking` what it asks for.

    opened  scan codes and data files that are open already, shared by the versions of one store
    """

    def __init__(self, folder: Path, dataset: Any, opened: _Opened) -> None:
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
        with _border(self.folder, "read"):
            columns = ["id", "n_parts", "n_tokens"]
            table = self.dataset.scanner(columns=columns, with_row_id=True, scan_in_order=True).to_table()
        return _Facts.of(
            [_decoded(id) for id in table["id"].to_pylist()],
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
        with _border(self.folder, "read"):
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
        with _border(self.folder, "read"):
            table = self.dataset.scanner(
                columns=["terms"],
                full_text_query=MatchQuery(" ".join(words), "words"),
                with_row_id=True,
                disable_scoring_autoprojection=True,
            ).to_table()
        positions = facts.at_rows(table["_rowid"].to_numpy())
        order = np.argsort(positions)
        positions = positions[order]
        counts = np.concatenate([np.zeros((0, len(words)), np.int64), *(_counts(chunk, words) for chunk in table["terms"].chunks)])[order]
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
            with _border(self.folder, "read"):
                table = self.dataset.scanner(columns=sorted(stored), scan_in_order=True).to_table()
            rows = table.take(pa.array(self._facts.offsets)).to_pylist()
            self._columns |= arrays([_entry(row) for row in rows], missing)
        return self._columns

    @cached_property
    def _columns(self) -> dict[str, Any]:
        return {}

    def scan(self) -> Scan:
        return self._scan

    @cached_property
    def _scan(self) -> Scan:
        with _border(self.folder, "read"):
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
        with _border(self.folder, "read"):
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
        with _border(self.folder, "read"):
            for batch in self.dataset.to_batches(columns=["id", "tokens", "digest"], batch_size=READ_ROWS):
                for id, tokens, known in zip(batch["id"].to_pylist(), batch["tokens"], batch["digest"].to_pylist(), strict=True):
                    if digest(memoryview(tokens.as_buffer())) != known:
                        wrong.append(_decoded(id))
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
        return [_entry(row) for row in table.take(pa.array(np.argsort(places))).to_pylist()]

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
        with _border(self.folder, "read"):
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


def _schema(dense_width: int, token_width: int) -> pa.Schema:
    required = [
        ("id", pa.string()),  # first: an upsert on a key further behind has gone wrong (lance #8282)
        ("path", pa.string()),
        ("modality", pa.string()),
        ("part", pa.int64()),
        ("file_sha", pa.string()),
        ("text", pa.large_string()),
        ("metadata", pa.large_string()),  # JSON
        ("words", pa.large_string()),  # Words.stored, for the word index and for phrases
        ("terms", pa.large_binary()),  # Words.counts: one uint64 for each word, 48 bits of its hash above 16 bits of its count
        ("n_parts", pa.int32()),
        ("dense", pa.list_(pa.float32(), dense_width)),
        ("n_tokens", pa.int32()),
        ("digest", pa.int64()),  # of the packed token vectors
    ]
    return pa.schema(
        [pa.field(name, kind, nullable=False) for name, kind in required]
        + [pa.field(name, pa.int64()) for name in ("page", "first_line", "last_line", "size_bytes", "modified_ns")]
        + [pa.field(name, pa.int32()) for name in ("grid_rows", "grid_columns", "grid_first")]
        # codes.pack. Not compressed: int8 codes of unit vectors have nothing to give.
        + [pa.field("tokens", pa.large_binary(), nullable=False, metadata={"lance-encoding:compression": "none"})],
        metadata={
            "unitower.format": FORMAT,
            "unitower.token_width": str(token_width),
            "unitower.codes": json.dumps(codes_module.parameters()),
        },
    )


def _table(batch: Sequence[Kept], schema: pa.Schema) -> pa.Table:
    dense = pa.array(np.concatenate([one.dense for one in batch]))
    columns: dict[str, Any] = {
        "id": [_encoded(one.entry.id) for one in batch],
        "path": [_encoded(one.entry.source.path) for one in batch],
        "modality": [one.entry.modality for one in batch],
        "part": [one.entry.part for one in batch],
        "file_sha": [one.entry.file_sha for one in batch],
        "text": [one.entry.text for one in batch],
        "metadata": [json.dumps(dict(one.entry.metadata)) for one in batch],
        "words": [one.words.stored for one in batch],
        "terms": [_terms(one.words.counts) for one in batch],
        "n_parts": [len(one.words.parts) for one in batch],
        "dense": pa.FixedSizeListArray.from_arrays(dense, len(batch[0].dense)),
        "n_tokens": [one.token_count for one in batch],
        "digest": [one.digest for one in batch],
        "page": [one.entry.source.page for one in batch],
        "first_line": [one.entry.source.lines[0] if one.entry.source.lines else None for one in batch],
        "last_line": [one.entry.source.lines[1] if one.entry.source.lines else None for one in batch],
        "size_bytes": [one.entry.size_bytes for one in batch],
        "modified_ns": [one.entry.modified_ns for one in batch],
        "grid_rows": [one.entry.grid and one.entry.grid.rows for one in batch],
        "grid_columns": [one.entry.grid and one.entry.grid.columns for one in batch],
        "grid_first": [one.entry.grid and one.entry.grid.first for one in batch],
        "tokens": [one.packed for one in batch],
    }
    return pa.table({name: columns[name] for name in schema.names}, schema=schema)


NOTHING: Mapping[str, Any] = {
    "id": "", "path": "", "page": None, "first_line": None, "last_line": None, "modality": "text", "part": 0, "file_sha": "", "text": "",
    "metadata": "{}", "size_bytes": None, "modified_ns": None, "grid_rows": None, "grid_columns": None, "grid_first": None,
}  # fmt: skip
"""The columns that an entry is made of, and what stands for one that was not read."""

STORED_AS: Mapping[str, tuple[str, ...]] = {
    "path": ("path",),
    "kind": ("path",),
    "page": ("page",),
    "modality": ("modality",),
    "lang": ("metadata",),
    "size": ("size_bytes",),
    "modified": ("modified_ns",),
}
"""Columns that those of `where.COLUMNS` are made from."""


def _entry(given: Mapping[str, Any]) -> Entry:
    row = {**NOTHING, **given}
    grid = None
    if row["grid_rows"] is not None:
        grid = Grid(rows=row["grid_rows"], columns=row["grid_columns"], first=row["grid_first"])
    lines = None if row["first_line"] is None else (row["first_line"], row["last_line"])
    return Entry(
        id=_decoded(row["id"]),
        source=Source(path=_decoded(row["path"]), page=row["page"], lines=lines),
        modality=cast("Modality", row["modality"]),
        part=row["part"],
        file_sha=row["file_sha"],
        text=row["text"],
        metadata=json.loads(row["metadata"]),
        size_bytes=row["size_bytes"],
        modified_ns=row["modified_ns"],
        grid=grid,
    )


def _data_name(fragment: Any) -> str:
    """What the rows of a fragment lie in: the name of its data file, which no other ever has."""
    return "+".join(Path(file.path).stem for file in fragment.data_files())


@lru_cache(maxsize=65_536)
def _word_hash(word: str) -> int:
    """48 bits: among a million different words, one in 300 million queries would meet two with the same."""
    return int.from_bytes(blake2b(word.encode(), digest_size=6).digest(), "little")


def _terms(counts: Mapping[str, int]) -> bytes:
    return np.array([_word_hash(word) << 16 | count for word, count in counts.items()], "<u8").tobytes()


def _counts(terms: pa.LargeBinaryArray, words: Sequence[str]) -> npt.NDArray[np.int64]:
    """How often each word occurs in each row of a column of `_terms`, int64 [rows, words]."""
    counts = np.zeros((len(terms), len(words)), np.int64)
    _, ends, data = terms.buffers()
    bounds = np.frombuffer(ends, np.int64)[terms.offset : terms.offset + len(terms) + 1] // 8
    flat = np.frombuffer(data, "<u8", count=int(bounds[-1])) if data is not None else np.empty(0, np.uint64)
    hashes = flat >> np.uint64(16)
    for column, word in enumerate(words):
        hits = np.flatnonzero(hashes == _word_hash(word))
        counts[np.searchsorted(bounds, hits, side="right") - 1, column] = flat[hits] & np.uint64(0xFFFF)
    return counts


_ESCAPE = "\ufdd0"  # a code point that is no character, before the four hexadecimal digits of one that UTF-8 cannot hold


def _encoded(name: str) -> str:
    """An id or path as Arrow can hold it. File names that are not UTF-8 come with lone surrogates, and must go out as they came in."""
    return re.sub(f"[\ud800-\udfff{_ESCAPE}]", lambda c: f"{_ESCAPE}{ord(c[0]):04x}", name)


def _decoded(name: str) -> str:
    return re.sub(f"{_ESCAPE}([0-9a-f]{{4}})", lambda code: chr(int(code[1], 16)), name) if _ESCAPE in name else name


def _versions(folder: Path) -> dict[int, Path]:
    """The versions that were ever committed there and not removed since, with their manifests."""
    try:
        with os.scandir(folder / "_versions") as files:
            paths = [Path(file.path) for file in files if file.name.endswith(".manifest")]
    except FileNotFoundError:
        return {}
    return {LAST_VERSION - int(path.stem): path for path in paths}


def _files(folder: Path, dataset: Any) -> list[str]:
    """Names of the files that the version of a dataset is made of."""
    names = [_versions(folder)[dataset.version].relative_to(folder).as_posix()]
    for fragment in dataset.get_fragments():
        names += [f"data/{file.path}" for file in fragment.data_files()]
        names += [deletions] if (deletions := fragment.deletion_file()) else []
    for segment in (segment for index in dataset.describe_indices() for segment in index.segments):
        names += [path.relative_to(folder).as_posix() for path in (folder / "_indices" / str(segment.uuid)).rglob("*") if path.is_file()]
    return names


def _stamp(folder: Path) -> tuple[int, int, int] | None:
    """Tells one seal from the next without reading it; None where there is none."""
    try:
        status = (folder / SEAL).stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


@contextmanager
def _border(folder: Path, done: str) -> Iterator[None]:
    """Turns what Lance and Arrow raise into StoreError."""
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
