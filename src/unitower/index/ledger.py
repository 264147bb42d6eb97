"""What an index knows about files: what was read, how far, or why not. One sqlite file beside the stores.

The ledger is written around every change of the stores, so that after a kill it is never ahead of them:

- ids are written down (`begin`) before their entries are stored, and crossed out only after those are deleted: nothing in a
  store is ever unknown here. Ids known here that no store holds are harmless.
- `parts` and `whole` (`advance`) follow the stores: what counts as done is stored.

A rollback journal with full sync, not WAL: one writer, one short transaction before and after each batch, readers wait for
milliseconds at most, and the folder can be copied, or lie on a network disk, as plain files.

sqlite keeps no checksums. When a writer closes the ledger it writes down the hash of its content (`files.check`), and with it sqlite's
count of transactions; whoever opens the ledger at that count compares. After a kill the counts differ, and only the structure of the
file can be checked.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from unitower.errors import StoreError
from unitower.types import Modality

SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    number   INTEGER PRIMARY KEY,
    key      TEXT NOT NULL UNIQUE,
    size     INTEGER,
    mtime_ns INTEGER,
    sha      TEXT NOT NULL,
    parts    INTEGER NOT NULL,
    whole    INTEGER NOT NULL,
    skipped  TEXT NOT NULL,
    version  TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS files_by_sha ON files (sha);
CREATE TABLE IF NOT EXISTS items (
    file     INTEGER NOT NULL REFERENCES files (number) ON DELETE CASCADE,
    part     INTEGER NOT NULL,
    id       TEXT NOT NULL,
    modality TEXT NOT NULL,
    PRIMARY KEY (file, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS runs (
    started  TEXT NOT NULL,
    seconds  REAL
);
"""

WAIT_S = 30.0
"""How long a reader waits for a transaction of the writer, which takes milliseconds."""


@dataclass(frozen=True, kw_only=True)
class Stamp:
    """What the file system tells without reading the file; two equal stamps are taken for the same content."""

    size: int
    mtime_ns: int


@dataclass(frozen=True, kw_only=True)
class File:
    """What is known of one file.

    key      its name in the index
    stamp    as it was when the file was last read; None if it could not be opened, so that it is tried again
    sha      sha256 of its content; "" where its entries are being replaced or it could not be opened
    parts    items from its beginning that are in every store, or were left out for a reason
    whole    nothing of it is left to read
    skipped  why it, or some of it, is not in the index; "" if all of it is
    version  of unitower that read it
    """

    key: str
    stamp: Stamp | None
    sha: str
    parts: int = 0
    whole: bool = False
    skipped: str = ""
    version: str = ""


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """One item of a file that may be in the stores."""

    key: str
    part: int
    id: str
    modality: Modality


@dataclass(frozen=True, kw_only=True)
class Run:
    """When files were last added, and for how many seconds; seconds is None if that run was stopped before its end."""

    started: datetime
    seconds: float | None


class Ledger:
    """The open ledger of one index. A context manager; every method that writes is one transaction.

    StoreError if the file is missing, damaged, or cannot be written.
    """

    def __init__(self, path: Path, *, create: bool = False) -> None:
        if not create and not path.exists():
            raise StoreError(f"{path} is missing, and with it what was read. Delete the folder {path.parent} and index again.")
        self.path = path
        self._written = create
        with self._translated():
            self._db = sqlite3.connect(path, timeout=WAIT_S, isolation_level=None)
            try:
                self._db.execute("PRAGMA foreign_keys = ON")
                self._db.execute("PRAGMA synchronous = FULL")
                if create:
                    self._db.executescript(SCHEMA)
                self._db.execute("SELECT count(*) FROM files WHERE number < 0")  # the first look at the file tells whether it is a ledger
                self._compare()
            except BaseException:
                self._db.close()
                raise

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; after a change, write down the hash of its content."""
        try:
            if self._written and self.path.exists():
                with suppress(OSError, sqlite3.Error):  # on a full disk the former stays, of fewer transactions
                    write_whole(self._check, json.dumps(written_down(fingerprint(self._db.serialize()))))
                self._written = False
        finally:
            self._db.close()

    def faults(self) -> list[str]:
        """What sqlite finds wrong in the structure of the file, a line for each; empty where all is well."""
        with self._translated():
            found = [str(line) for (line,) in self._db.execute("PRAGMA integrity_check")]
        return [] if found == ["ok"] else [f"{self.path.name}: {line}" for line in found]

    @property
    def _check(self) -> Path:
        return self.path.with_suffix(".check")

    def _compare(self) -> None:
        """Compare the content with the hash written down, or at least look at its structure. StoreError if it has changed."""
        try:
            known = json.loads(self._check.read_bytes())
            counted = known["transactions"], known["sha256"]
            if known != written_down({"transactions": counted[0], "sha256": counted[1]}):
                raise ValueError("it is not what was written")
        except FileNotFoundError:
            counted = None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{self._check} is damaged ({error}). Delete it: the ledger is then checked without it.") from error
        now = fingerprint(self._db.serialize())
        if counted == (now["transactions"], now["sha256"]):
            return
        if counted and counted[0] == now["transactions"]:
            raise sqlite3.DatabaseError("its content is not what was written")
        if found := self.faults():
            raise sqlite3.DatabaseError(found[0])

    # What is known

    def file(self, key: str) -> File | None:
        """What is known of a file; None if it was never seen, or forgotten."""
        return next(self._files("WHERE key = ?", key), None)

    def files(self) -> Iterator[File]:
        """All files, by key."""
        return self._files("ORDER BY key")

    def twins(self, sha: str) -> Iterator[File]:
        """Files with this content that are in the index from first to last page, by key."""
        return self._files("WHERE sha = ? AND whole AND skipped = '' AND parts > 0 ORDER BY key", sha)

    def beneath(self, folder: str) -> list[str]:
        """Keys of the file of this name and of all files beneath the folder of this name, sorted."""
        # Everything that begins with "folder/" lies between "folder/" and "folder0", the character after "/". Unlike LIKE,
        # a range has no wildcards to escape, and it uses the index.
        where = "key = ? OR (key > ? AND key < ?)"
        return [str(key) for (key,) in self._rows(f"SELECT key FROM files WHERE {where} ORDER BY key", folder, f"{folder}/", f"{folder}0")]

    def items(self, key: str) -> list[Recorded]:
        """Every item of a file that a store may hold, by part."""
        rows = self._rows("SELECT part, id, modality FROM items JOIN files ON file = number WHERE key = ? ORDER BY part, id", key)
        return [Recorded(key=key, part=part, id=id, modality=modality) for part, id, modality in rows]

    def skipped(self) -> list[tuple[str, str]]:
        """Key and reason of every file that is not, or not wholly, in the index."""
        return list(self._rows("SELECT key, skipped FROM files WHERE skipped != '' ORDER BY key"))

    def unfinished(self) -> list[str]:
        """Keys of the files that an interrupted run left half read."""
        return [key for (key,) in self._rows("SELECT key FROM files WHERE NOT whole ORDER BY key")]

    def totals(self) -> tuple[int, dict[Modality, int]]:
        """Number of files with at least one item in the index, and of items by modality."""
        rows = list(
            self._rows(
                "SELECT modality, count(*) FROM items JOIN files ON file = number WHERE part < parts GROUP BY modality ORDER BY modality"
            )
        )
        ((files,),) = self._rows("SELECT count(DISTINCT file) FROM items JOIN files ON file = number WHERE part < parts")
        return files, dict(rows)

    def last_run(self) -> Run | None:
        """The latest run; None if there was none."""
        for started, seconds in self._rows("SELECT started, seconds FROM runs"):
            return Run(started=datetime.fromisoformat(started), seconds=seconds)
        return None

    # What is written down

    def doubt(self, keys: Iterable[str]) -> None:
        """Before entries are deleted: what is known of these files does not hold until they are begun anew or dropped."""
        with self._transaction() as db:
            db.executemany("UPDATE files SET sha = '', parts = 0, whole = 0 WHERE key = ?", [(key,) for key in keys])

    def begin(self, files: Sequence[File], items: Iterable[Recorded]) -> None:
        """Before entries are stored: these files are read from their beginning, and these items are about to be stored.

        Items known of the files before are crossed out. `items` may belong to other files too, which go on.
        """
        with self._transaction() as db:
            for file in files:
                db.execute("DELETE FROM items WHERE file = (SELECT number FROM files WHERE key = ?)", (file.key,))
                db.execute(
                    "INSERT INTO files (key, size, mtime_ns, sha, parts, whole, skipped, version) VALUES (?, ?, ?, ?, 0, 0, '', ?) "
                    "ON CONFLICT (key) DO UPDATE SET size = excluded.size, mtime_ns = excluded.mtime_ns, sha = excluded.sha, "
                    "parts = 0, whole = 0, skipped = '', version = excluded.version",
                    (file.key, *_stamp(file), file.sha, file.version),
                )
            db.executemany(
                "INSERT OR REPLACE INTO items (file, part, id, modality) SELECT number, ?, ?, ? FROM files WHERE key = ?",
                [(item.part, item.id, item.modality, item.key) for item in items],
            )

    def advance(self, files: Iterable[File]) -> None:
        """After entries are stored: how far these files are in every store."""
        with self._transaction() as db:
            db.executemany(
                "UPDATE files SET size = ?, mtime_ns = ?, sha = ?, parts = ?, whole = ?, skipped = ?, version = ? WHERE key = ?",
                [(*_stamp(file), file.sha, file.parts, file.whole, file.skipped, file.version, file.key) for file in files],
            )

    def drop(self, keys: Iterable[str]) -> None:
        """After their entries are deleted: forget these files."""
        with self._transaction() as db:
            db.executemany("DELETE FROM files WHERE key = ?", [(key,) for key in keys])

    def start_run(self) -> None:
        """Note that a run begins now."""
        with self._transaction() as db:
            db.execute("DELETE FROM runs")
            db.execute("INSERT INTO runs (started) VALUES (?)", (datetime.now(UTC).isoformat(timespec="seconds"),))

    def end_run(self, seconds: float) -> None:
        """Note that the run came to its end."""
        with self._transaction() as db:
            db.execute("UPDATE runs SET seconds = ?", (seconds,))

    # sqlite

    def _rows(self, sql: str, *values: object) -> Iterator[tuple[Any, ...]]:
        with self._translated():
            yield from self._db.execute(sql, values).fetchall()

    def _files(self, where: str, *values: object) -> Iterator[File]:
        for key, size, mtime_ns, sha, parts, whole, skipped, version in self._rows(
            f"SELECT key, size, mtime_ns, sha, parts, whole, skipped, version FROM files {where}", *values
        ):
            stamp = None if size is None else Stamp(size=size, mtime_ns=mtime_ns)
            yield File(key=key, stamp=stamp, sha=sha, parts=parts, whole=bool(whole), skipped=skipped, version=version)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._translated():
            self._db.execute("BEGIN IMMEDIATE")
            self._written = True
            try:
                yield self._db
            except BaseException:
                if self._db.in_transaction:  # sqlite has rolled back by itself where the disk is full
                    self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            # Locked, read-only, disk full: the file itself is sound. A bare SQLITE_ERROR is a missing table or column.
            if isinstance(error, sqlite3.OperationalError) and getattr(error, "sqlite_errorcode", 0) != sqlite3.SQLITE_ERROR:
                raise StoreError(f"{self.path}: {error}. Check that the disk has room and may be written to.") from error
            raise StoreError(f"{self.path} is damaged ({error}). Delete the folder {self.path.parent} and index again.") from error


def fingerprint(content: bytes) -> dict[str, Any]:
    """The number of transactions that an sqlite file counts, and the hash of its content. sqlite3.DatabaseError if its header is damaged.

    Source: sqlite.org/fileformat, 1.3: the count stands at byte 24, and after every transaction of a rollback journal again at byte 92.
    """
    if content[24:28] != content[92:96]:
        raise sqlite3.DatabaseError("its header is not what was written")
    return {"transactions": int.from_bytes(content[24:28], "big"), "sha256": hashlib.sha256(content).hexdigest()}


def written_down(values: dict[str, Any]) -> dict[str, Any]:
    """A fingerprint as it is kept: with a check of its own, so that damage to it is not taken for damage to the ledger."""
    return {**values, "check": hashlib.sha256(json.dumps(values).encode()).hexdigest()}


def write_whole(path: Path, text: str) -> None:
    """Write a small file whole or not at all."""
    temporary = path.with_name(f"{path.name}.new")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _stamp(file: File) -> tuple[int | None, int | None]:
    return (file.stamp.size, file.stamp.mtime_ns) if file.stamp else (None, None)
