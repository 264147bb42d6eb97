"""One run over files: what is new or changed is read, encoded and stored batch by batch; what is gone is forgotten.

Items stream from the readers into batches that may span many files, so neither a long file nor a long folder is ever in
memory. The order of the steps of a batch (`_commit`) is what makes a kill harmless; the package's docstring tells why.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np

from unitower import __version__
from unitower.encode.compress import pooled
from unitower.errors import UnreadableFile
from unitower.index.keys import Keys
from unitower.index.ledger import File, Ledger, Recorded, Stamp
from unitower.index.reading import Group, Reading, entry, kind_of_name, pixels, place_in_file, renamed, sha256, stamp, tokens
from unitower.index.reports import Progress, Summary, one_line, told
from unitower.index.shelves import Shelves
from unitower.ingest import count, read, reader_for
from unitower.ingest.walk import Candidate, Skipped, walk
from unitower.stores import Entry
from unitower.types import Embeddings, Encodes, Item, Ragged

BATCH_S = 4.0
"""A batch grows while it takes less, and shrinks when it takes twice as long: so much work at most is lost to a kill."""

FIRST_BATCH_TOKENS = 2_000
MAX_BATCH_ITEMS = 128
MAX_BATCH_PIXELS = 64_000_000
"""Pictures of a batch in memory: 192 MB."""

COUNTING_S = 10.0
"""Time to count items before the first is read. Of a thousand PDFs, each takes a tenth of a second to open."""

MAX_BATCH_FILES = 1000
"""Files that add no items (skipped, touched) and wait to be written down."""


class Adding:
    """One run. Make one, call `run` once."""

    def __init__(
        self,
        *,
        encoder: Encodes,
        shelves: Shelves,
        ledger: Ledger,
        keys: Keys,
        pooling: int = 1,
        progress: Callable[[Progress], None] | None = None,
    ) -> None:
        self.encoder = encoder
        self.shelves = shelves
        self.ledger = ledger
        self.keys = keys
        self.pooling = pooling
        self.progress = progress
        # The batch: files met since the last commit, items that wait for their vectors, and entries copied with theirs.
        self.files: list[Reading] = []
        self.items: list[tuple[Reading, Item]] = []
        self.copies: list[Group] = []
        self.pixels = 0
        self.tokens = 0
        self.batch_tokens = FIRST_BATCH_TOKENS
        # What the summary and the progress tell.
        self.skipped: dict[str, str] = {}
        self.files_read = self.files_unchanged = self.files_removed = 0
        self.items_added = self.items_removed = 0
        self.files_done = 0
        self.files_total: int | None = None
        self.items_total: int | None = None

    def run(self, paths: Sequence[Path], *, exclude: Sequence[Path]) -> Summary:
        """Bring the index up to date with everything beneath the paths. `exclude` are folders never looked into."""
        started = time.monotonic()
        # What is recorded beneath a path that is no longer there is gone like any deleted file; a path nobody knows is a mistake.
        vanished = [path for path in paths if not os.path.lexists(path) and self.keys.beneath(path, self.ledger)]
        found = walk([path for path in paths if path not in vanished], exclude=exclude)
        self.ledger.start_run()
        for task in self.shelves.tasks:
            self.ledger.doubt(set(self.shelves.lost(self.ledger, task)))

        waiting, gone = self._look(found, beneath=paths)
        expected = self._expected(waiting) if self.progress else {}
        self.files_done, self.files_total = 0, len(waiting)
        for key, path in waiting:
            self._tell("reading", key)
            if not self._take(key, path, expected=expected.get(key, 0)):
                gone.append(key)
            self.files_done += 1
        self._commit()

        self._tell("finishing")
        self.files_removed, num_items = self.shelves.forget(gone, self.ledger)
        self.items_removed += num_items
        self.shelves.optimize()
        seconds = time.monotonic() - started
        self.ledger.end_run(seconds)
        return Summary(
            files_read=self.files_read,
            files_unchanged=self.files_unchanged,
            files_removed=self.files_removed,
            items_added=self.items_added,
            items_removed=self.items_removed,
            skipped=tuple((self.keys.shown(key), told(reason)) for key, reason in sorted(self.skipped.items())),
            seconds=seconds,
        )

    # Looking

    def _look(self, walked: Iterable[Candidate | Skipped], *, beneath: Sequence[Path]) -> tuple[list[tuple[str, Path]], list[str]]:
        """Files that must be opened, as (key, path); and keys beneath the paths that are recorded but were not walked over."""
        seen: set[str] = set()
        closed: set[str] = set()  # files and folders that could not be looked into: nobody knows what is gone from there
        waiting = []
        for found in walked:
            key = self.keys.of(found.path)
            if key in seen:
                continue
            seen.add(key)
            if isinstance(found, Skipped):
                closed.add(key)
                self._skip(key, found.reason)
            elif self._unchanged(key, Stamp(size=found.size_bytes, mtime_ns=found.mtime_ns)):
                self.files_unchanged += 1
            elif key not in self.skipped:
                try:
                    reader_for(found.path)
                except UnreadableFile as error:  # of a kind that is not read: no need to open it
                    self._skip(key, error.reason)
                else:
                    waiting.append((key, found.path))
            self.files_done += 1
            self._tell("looking", key)
        recorded = {key for path in beneath for key in self.keys.beneath(path, self.ledger)}
        gone = [key for key in sorted(recorded - seen) if closed.isdisjoint(str(parent) for parent in PurePosixPath(key).parents)]
        return waiting, gone

    def _unchanged(self, key: str, now: Stamp) -> bool:
        """Whether a file is in the index as it is. One that was skipped and has not changed since is skipped again."""
        known = self.ledger.file(key)
        return known is not None and known.whole and known.stamp == now and self._kept(known)

    def _kept(self, known: File) -> bool:
        """What a file with known content is counted as: unchanged (True), or skipped as before."""
        if not known.skipped:
            return True
        if known.version == __version__:  # another unitower may be able to read it
            self.skipped[known.key] = known.skipped
        return False

    def _expected(self, waiting: Sequence[tuple[str, Path]]) -> dict[str, int]:
        """How many items each file holds, for the progress alone; a guess for those that there is no time to count."""
        expected: dict[str, int] = {}
        began = time.monotonic()
        for key, path in waiting:
            if time.monotonic() - began > COUNTING_S:
                break
            self._tell("looking", key)
            try:
                expected[key] = count(path)
            except Exception:  # whatever is wrong with the file, reading it tells
                expected[key] = 0
        average = round(sum(expected.values()) / max(1, len(expected)))
        expected |= {key: average for key, _ in waiting[len(expected) :]}
        self.items_total = sum(expected.values())
        return expected

    def _skip(self, key: str, reason: str) -> None:
        """Note that nothing of a file is in the index, and why; it is tried again in every run."""
        reason = one_line(reason)
        self.skipped[key] = reason
        known = self.ledger.file(key)
        if known is None or known.skipped != reason or known.parts or not known.whole:
            self._put_file(Reading(key=key, stamp=None, sha="", anew=True, ended=True, reasons=[reason]))

    # Reading

    def _take(self, key: str, path: Path, *, expected: int) -> bool:
        """Read one file into the batch. False if it is no longer there."""
        try:
            seen, sha = stamp(path), sha256(path)
        except FileNotFoundError:
            return False
        except OSError as error:
            self._skip(key, f"cannot be opened: {error.strerror}")
            return True
        known = self.ledger.file(key)
        same = known is not None and known.sha == sha
        if known and same and known.whole and (not known.skipped or known.version == __version__):
            self.files_unchanged += self._kept(known)
            reading = Reading(key=key, stamp=seen, seen=seen, sha=sha, anew=False, parts=known.parts, ended=True)
            reading.reasons += known.skipped.splitlines()
            self._put_file(reading)
            self._correct_total(-expected)
            return True

        reading = Reading(key=key, stamp=seen, seen=seen, sha=sha, anew=True)
        if known and same and not known.whole:  # an interrupted run read it up to here
            done = [item for item in self.ledger.items(key) if item.part < known.parts]
            reasons = known.skipped.splitlines()
            # Readers may tell of pieces they pass over only at the end of a file. If any are missing that nobody told of, the
            # file is read from its beginning, or they would never be told.
            if known.parts - len(done) <= len(reasons):
                reading.anew, reading.parts, reading.stored, reading.reasons = False, known.parts, len(done), reasons
                reading.ids |= {item.id for item in done}
        before = reading.parts
        if not (reading.anew and self._copy(reading)):
            self._put_file(reading)
            for item in self._items(reading, path):
                self._put_item(reading, item)
            reading.ended = True
        self._correct_total(reading.parts - before - expected)
        return True

    def _items(self, reading: Reading, path: Path) -> Iterator[Item]:
        """The items of a file that are still to be read. What stops the reader is noted; what came before it is kept."""
        place = ""
        try:
            for item in read(path, key=reading.key, start=reading.parts, passed_over=reading.leave_out):
                yield item
                place = place_in_file(item.source)
            return
        except UnreadableFile as error:
            reason = error.reason
        except OSError as error:  # a disk or network that fails now may be well in the next run
            reason = f"cannot be read: {error.strerror or error}"
            reading.stamp = None
        except Exception as error:
            reason = f"its reader failed, which is a bug of unitower: {type(error).__name__}: {error}"
        if not place and reading.parts:
            place = self._last_place(reading)
        reading.leave_out(reason, place=place and f"broken after {place}")

    def _last_place(self, reading: Reading) -> str:
        """Where the last stored item of a file stands in it."""
        store = self.shelves.get("retrieval")
        last = [item.id for item in self.ledger.items(reading.key) if item.part < reading.parts][-1:]
        return "" if store is None else "".join(place_in_file(entry.source) for entry in store.entries(last))

    def _put_file(self, reading: Reading) -> None:
        self.files.append(reading)
        if len(self.files) >= MAX_BATCH_FILES:
            self._commit()

    def _put_item(self, reading: Reading, item: Item) -> None:
        if item.id in reading.ids:
            item = replace(item, id=f"{item.id};part={item.part}")
        reading.ids.add(item.id)
        reading.parts = item.part + 1
        self.items.append((reading, item))
        self.pixels += pixels(item)
        self.tokens += tokens(item)
        if len(self.items) >= MAX_BATCH_ITEMS or self.pixels >= MAX_BATCH_PIXELS or self.tokens >= self.batch_tokens:
            self._commit()

    # Encoding and storing

    def _commit(self) -> None:
        """Encode and store the batch."""
        began = time.monotonic()
        self._store([*self.copies, *self._encoded(self.items)])
        took = time.monotonic() - began
        if took > 2 * BATCH_S:
            self.batch_tokens = max(1, self.batch_tokens // 2)
        elif took < BATCH_S / 2 and self.tokens >= self.batch_tokens:
            self.batch_tokens *= 2
        self.items, self.copies, self.pixels, self.tokens = [], [], 0, 0

    def _encoded(self, items: Sequence[tuple[Reading, Item]]) -> list[Group]:
        """Items with their vectors, in as few groups as may be. An item that the encoder refuses is left out, with its reason."""
        if not items:
            return []
        try:
            vectors = self._vectors([item for _, item in items])
            grids = vectors[self.shelves.tasks[0]].grids or (None,) * len(items)
            return [([(reading, entry(item, reading, grid)) for (reading, item), grid in zip(items, grids, strict=True)], vectors)]
        except Exception as error:
            if len(items) > 1:  # the culprit is found by halving
                half = len(items) // 2
                return self._encoded(items[:half]) + self._encoded(items[half:])
            if not self._encoder_works():
                raise
            ((reading, item),) = items
            reading.leave_out(str(error) or type(error).__name__, place=place_in_file(item.source))
            self._correct_total(-1)
            return []

    def _vectors(self, items: Sequence[Item]) -> dict[str, Embeddings]:
        """Vectors of the items for each task they are kept for."""
        vectors = {}
        for task in self.shelves.tasks:
            chosen = [item for item in items if task in self.shelves.tasks_of(item.modality)]
            if chosen:
                embeddings = self.encoder.encode(chosen, task=task, role="passage")
                if not (np.isfinite(embeddings.dense).all() and np.isfinite(embeddings.multi.data).all()):
                    raise ValueError("the encoder gave it a vector that is not finite")
                vectors[task] = self._pooled(embeddings)
        return vectors

    def _pooled(self, embeddings: Embeddings) -> Embeddings:
        if self.pooling == 1:
            return embeddings
        return replace(embeddings, multi=pooled(embeddings.multi, factor=self.pooling), grids=())  # merged tokens have no place on a page

    def _encoder_works(self) -> bool:
        """Tells an item that cannot be encoded from an encoder that cannot encode anything."""
        try:
            self.encoder.encode(["a plain text"], task=self.shelves.tasks[0], role="passage")
        except Exception:
            return False
        return True

    def _copy(self, reading: Reading) -> bool:
        """Take the vectors of a file with the same content from the stores: what was moved or copied is not encoded again."""
        pending = {other.key for other in self.files}  # their former entries are about to go
        for twin in self.ledger.twins(reading.sha):
            if twin.key in pending or kind_of_name(twin.key) != kind_of_name(reading.key):
                continue
            items = self.ledger.items(twin.key)
            self._put_file(reading)
            for first in range(0, len(items), MAX_BATCH_ITEMS):
                if first:
                    self._commit()
                chunk = items[first : first + MAX_BATCH_ITEMS]
                self.copies.append(self._copies(chunk, reading))
                reading.parts = chunk[-1].part + 1
            reading.ended = True
            if sum(len(group) for group, _ in self.copies) >= MAX_BATCH_ITEMS:
                self._commit()
            return True
        return False

    def _copies(self, items: Sequence[Recorded], reading: Reading) -> Group:
        """Stored items as entries of another file with the same content."""
        entries: dict[str, Entry] = {}
        vectors: dict[str, Embeddings] = {}
        for task in self.shelves.tasks:
            ids = [item.id for item in items if task in self.shelves.tasks_of(item.modality)]
            if ids and (store := self.shelves.get(task)) is not None:
                entries |= {entry.id: entry for entry in store.entries(ids)}
                dense, multi = store.vectors(ids)
                vectors[task] = Embeddings(dense=dense, multi=Ragged.of(multi), fingerprint=self.encoder.fingerprint(task=task))
        return [(reading, renamed(entries[item.id], item.key, reading)) for item in items], vectors

    def _store(self, groups: Sequence[Group]) -> None:
        """Bring the stores and the ledger to where the files of the batch are. The order of the steps is what a kill relies on."""
        if not self.files:
            return
        anew = [reading for reading in self.files if reading.anew]
        _, gone = self.shelves.clear([reading.key for reading in anew], self.ledger)
        self.items_removed += gone
        stored = [(reading, entry) for group, _ in groups for reading, entry in group]
        self.ledger.begin(
            [reading.file() for reading in anew],
            [Recorded(key=reading.key, part=entry.part, id=entry.id, modality=entry.modality) for reading, entry in stored],
        )
        for group, vectors in groups:
            self.shelves.add([entry for _, entry in group], vectors)
        self.ledger.advance([reading.file() for reading in self.files])

        for reading, _ in stored:
            reading.stored += 1
        self.items_added += len(stored)
        for reading in self.files:
            reading.anew = False
            if reading.reasons:
                self.skipped[reading.key] = reading.file().skipped
            self.files_read += reading.ended and reading.stored > 0
        self.files = [reading for reading in self.files if not reading.ended]
        self._tell("reading", self.files[-1].key if self.files else "")

    # Telling

    def _correct_total(self, items: int) -> None:
        if self.items_total is not None:
            self.items_total += items

    def _tell(self, stage: Literal["looking", "reading", "finishing"], path: str = "") -> None:
        if self.progress:
            shown = self.keys.shown(path) if path else ""
            self.progress(
                Progress(
                    stage=stage,
                    files_done=self.files_done,
                    files_total=self.files_total,
                    items_done=self.items_added,
                    items_total=self.items_total,
                    path=shown,
                )
            )
