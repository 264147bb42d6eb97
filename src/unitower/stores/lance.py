"""The default store: one Lance dataset in a folder. Durable, one commit per call.

The columns are in `_rows.py`, what is read of one version in `_snapshot.py`; here is what changes a store, and how a reader follows
the writer. What is special:

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

On disk, `FORMAT` 2: the columns of `_rows.schema`; the dataset's metadata holds the format, the width of the token vectors and the rules of
their codes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import lance
import pyarrow as pa

from unitower.errors import StoreError
from unitower.stores import Entry, Found, Query
from unitower.stores._batch import kept
from unitower.stores._rows import as_table, encoded, schema
from unitower.stores._seal import NAME as SEAL
from unitower.stores._seal import Seal, damaged, flush
from unitower.stores._snapshot import DENSE_INDEX, READ_ROWS, Opened, Snapshot, border
from unitower.stores.ranking import SCANNED, search
from unitower.types import Embeddings, Floats

WORD_INDEX = "words"

FRAGMENT_ROWS = 16_384
"""Rows to which `optimize` merges fragments; those that have as many are left alone, so that each row is rewritten a few times at most."""

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
        self._opened = Opened()
        self._held = Snapshot(folder, None, self._opened)
        self._seal = Seal()
        self._stamp: tuple[int, int, int] | None = (0, 0, 0)  # of the seal that is held; None: there is no store
        self._known: tuple[int, set[str]] = (0, set())  # version, its ids: kept up while writing, so that no commit reads them anew
        self._read(lambda snapshot: snapshot.version)  # a folder that cannot be read is told now, not at the first search

    def add(self, entries: Sequence[Entry], embeddings: Embeddings) -> None:
        batch = kept(entries, embeddings, widths=self._latest().widths)
        if not batch:
            return
        with border(self.folder, "written"):
            self._take_back()
            self._prepare(dense_width=len(batch[0].dense), token_width=batch[0].token_width)
            known = self._known_ids()
            dataset = self._latest().copy()
            before = dataset.version
            table = as_table(batch, dataset.schema)
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
        with border(self.folder, "written"):
            self._take_back()
            dataset = self._latest().copy()
            before = dataset.version
            table = pa.table({"id": pa.array([encoded(id) for id in sorted(gone)], pa.string())})
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
            yield from self._read(partial(Snapshot.entries, ids=chunk))

    def vectors(self, ids: Sequence[str]) -> tuple[Floats, list[Floats]]:
        return self._read(lambda snapshot: snapshot.vectors(ids))

    def damaged(self) -> list[str]:
        return self._read(lambda snapshot: snapshot.damaged())

    def optimize(self) -> None:
        if self._latest().dataset is None:
            return
        known = self._known_ids()
        with border(self.folder, "written"):
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

    def _read(self, question: Callable[[Snapshot], Answer]) -> Answer:
        """The answer of the latest version; if that went away while it was read, of the one that took its place."""
        for attempt in range(ATTEMPTS - 1):
            before = _stamp(self.folder)
            try:
                return question(self._latest(anew=attempt > 0))
            except StoreError:
                if _stamp(self.folder) == before:  # nobody wrote meanwhile: it is damaged
                    raise
        return question(self._latest(anew=True))

    def _latest(self, *, anew: bool = False) -> Snapshot:
        """The sealed version: the one held, if it still is. StoreError if any of its files is not as it was sealed."""
        with border(self.folder, "read"):
            stamp = _stamp(self.folder)
            if stamp == self._stamp and not anew:
                return self._held
            seal = Seal.read(self.folder)
            if seal is None and _versions(self.folder):
                Snapshot(self.folder, lance.dataset(str(self.folder)), self._opened)  # tells of another format
                raise StoreError(damaged(self.folder, [f"{SEAL} is missing"]))
            self._seal = seal or Seal()
            if faults := self._seal.faults(self.folder):
                raise StoreError(damaged(self.folder, faults))
            dataset = lance.dataset(str(self.folder), version=self._seal.version) if self._seal.version else None
            self._held, self._stamp = Snapshot(self.folder, dataset, self._opened), stamp
        return self._held

    def _commit(self, dataset: Any) -> None:
        """Seal the version that was just written: from now on it has happened."""
        for version, path in _versions(self.folder).items():
            if self._seal.version < version < dataset.version:  # steps on the way, whose manifests Lance reads to clean up
                flush(path)
        self._seal = self._seal.next(self.folder, version=dataset.version, names=_files(self.folder, dataset))
        self._seal.write(self.folder)
        self._held, self._stamp = Snapshot(self.folder, dataset, self._opened), _stamp(self.folder)

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
            self._commit(lance.write_dataset(schema(dense_width, token_width).empty_table(), str(self.folder), mode="create"))
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
