"""`Index`: open a folder, add files, search them, forget them, tell what is there."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, TypeAlias

from unitower.errors import CheckpointError, IndexLocked, IndexMismatch, StoreError, UnreadableFile
from unitower.index.adding import Adding
from unitower.index.explaining import Explanation, explain
from unitower.index.keys import Keys
from unitower.index.ledger import Ledger
from unitower.index.manifest import FILE, Manifest, Model
from unitower.index.reports import Progress, Status, Summary, told
from unitower.index.searching import Mode, Question, by_file, single, weights_of
from unitower.index.shelves import Shelves
from unitower.ingest import read
from unitower.stores import Query
from unitower.stores.where import parse
from unitower.types import Encodable, Encodes, Hit, Item

if TYPE_CHECKING:
    from PIL.Image import Image

FOLDER = ".unitower"

LEDGER, LEDGER_CHECK = "files.sqlite3", "files.check"
LOCK = "lock"
HOLDER = "lock.holder"

LOCK_WAIT_S = 3.0
"""How long a second writer waits for the first before it gives up."""

Paths: TypeAlias = "str | Path | Iterable[str | Path]"


class Index:
    """A searchable folder of files. `Index.open` gives one; it may be used as a context manager.

    One process writes at a time, any number search; a search sees every batch that was stored when it began.
    """

    def __init__(self, folder: Path, *, manifest: Manifest, encoder: Encodes | None = None) -> None:
        self.folder = folder
        self.manifest = manifest
        self._encoder = encoder
        self._keys = Keys(folder)
        self._shelves = Shelves(folder, tuple(manifest.fingerprints))

    @classmethod
    def open(cls, path: str | Path = FOLDER, *, encoder: Encodes | None = None, create: bool = True, pooling: int | None = None) -> Index:
        """The index in a folder; a new one where there is none and `create` allows it.

        encoder  what encodes files and queries; None: the model the index was made by, for a new index the shipped one. It is
                 loaded when it is first needed.
        pooling  of a new index: token vectors that are merged into one, on average (1 to 4; docs/search.md has what it saves and costs);
                 of one that is there: what it must have been made with

        StoreError if there is none (and none may be made), or it is damaged. IndexMismatch if it was made by another encoder or in
        another format. ValueError if a new one would lie among other things.
        """
        folder = Path(os.path.abspath(path))
        if not cls.exists(folder):
            if not create:
                into = "" if Path(path) == Path(FOLDER) else f" --into {path}"
                raise StoreError(f"there is no index in {path}. Make one with `unitower index PATH{into}`.")
            encoder = encoder or loaded("nano")
            make(folder, encoder, pooling=pooling or 1)
        manifest = Manifest.read(folder)
        if pooling not in (None, manifest.pooling):
            raise IndexMismatch(
                f"{folder} was made with pooling {manifest.pooling}, not {pooling}. Leave it out, or use another folder: --into DIR."
            )
        if encoder:
            manifest.check(encoder, folder=folder)
        return cls(folder, manifest=manifest, encoder=encoder)

    @staticmethod
    def exists(path: str | Path = FOLDER) -> bool:
        """Whether there is an index in a folder."""
        return (Path(path) / FILE).is_file()

    def __enter__(self) -> Index:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the stores. The index opens them again when it is used again."""
        self._shelves = Shelves(self.folder, self._shelves.tasks)

    def __repr__(self) -> str:
        return f"Index({str(self.folder)!r}, model={self.model.name!r})"

    @property
    def model(self) -> Model:
        """Name and revision of the model the index was made by: what to load."""
        return self.manifest.model

    @property
    def encoder(self) -> Encodes:
        """The encoder. If none was given, the model of the index is loaded now."""
        if self._encoder is None:
            try:
                encoder = loaded(self.model.name, self.model.revision)
            except CheckpointError as error:
                raise IndexMismatch(
                    f"{self.folder} was made by {self.model.name} (revision {self.model.revision}), which cannot be loaded: {error} "
                    "Give the same model, or index again into another folder: --into DIR."
                ) from error
            self.manifest.check(encoder, folder=self.folder)
            self._encoder = encoder
        return self._encoder

    def add(self, paths: Paths, *, progress: Callable[[Progress], None] | None = None) -> Summary:
        """Read what is new or changed beneath the paths, forget what is gone from there. Unchanged files are not opened.

        Every few seconds what was read so far is stored: a run that is stopped or killed goes on there the next time. Files that
        cannot be read never stop it: the summary tells which, and why.

        IndexLocked if another process is adding files.
        """
        encoder = self.encoder
        with writing(self.folder), self._ledger() as ledger:
            adding = Adding(
                encoder=encoder,
                shelves=self._shelves,
                ledger=ledger,
                keys=self._keys,
                pooling=self.manifest.pooling,
                progress=progress,
            )
            try:
                return adding.run(listed(paths), exclude=[self.folder])
            except KeyboardInterrupt:
                raise KeyboardInterrupt(f"stopped; {adding.items_added} items are kept, and a new run goes on from there.") from None

    def search(
        self,
        query: str | Path | Image,
        *,
        k: int = 10,
        task: str = "retrieval",
        mode: Mode = "auto",
        where: str | None = None,
        group: Literal["file"] | None = None,
        fold: bool = True,
        weights: Mapping[str, float] | None = None,
    ) -> list[Hit]:
        """The k best places for a query, best first.

        query    text; or an example: a PIL image, or the path of a file, of which the first page or passage is taken
        task     "retrieval" looks in everything, "code" in source code
        mode     "auto" fuses token vectors and words; "multi", "dense" and "text" (words; no model is loaded) are one of them alone;
                 "exact" compares the token vectors of every entry, not only of candidates
        where    only entries that meet a condition are searched: "lang = 'de' and path like 'reports/%'". Its columns are path (as the
                 index keeps it: relative to the folder the index lies in), kind (suffix), page, modality, lang, size, modified
        group    "file": one hit for each file, its best place, with how many of its places match and what stands beside it
        fold     near duplicates are told with the best of them (`Hit.copies`), not by themselves
        weights  of the signals "multi", "dense" and "text" (words) when their rankings are fused; those left out weigh 1; None: as
                 suits the encoder. Only with mode "auto"

        ValueError for an empty query, an unknown task, mode or signal, a condition that makes no sense, or k below 1. UnreadableFile for
        an example that cannot be read.
        """
        if k < 1:
            raise ValueError(f"k is {k}: ask for 1 result or more.")
        if task not in self.manifest.fingerprints:
            raise ValueError(f"there is no task {task!r} in {self.folder}, there is: {', '.join(self.manifest.fingerprints)}.")
        if isinstance(query, str) and not query.strip():
            raise ValueError("the query is empty: say what you look for.")
        if group not in (None, "file"):
            raise ValueError(f"hits cannot be grouped by {group!r}: by 'file', or not at all.")
        weights = weights_of(mode, weights)
        if where is not None:
            parse(where)  # a mistake in it is told before a model is loaded
        words = query if isinstance(query, str) else ""
        if mode == "text" and not words:
            raise ValueError("mode 'text' looks for words: give the query as text.")
        store = self._shelves.get(task)
        if store is None:
            with self._ledger() as ledger:
                if self._shelves.lost(ledger, task):
                    raise StoreError(f"{self._shelves.place(task)} is missing. Index your files again: what is lost is read anew.")
            return []

        asked = Query(text=words)
        if mode != "text":
            given: Encodable = example(query) if isinstance(query, Path) else query
            vectors = self.encoder.encode([given], task=task, role="query")
            asked = Query(dense=vectors.dense[0], tokens=vectors.multi[0], text=words)
            if weights is None:
                weights = self.encoder.fusion
        question = Question(query=asked, k=k, weights=weights, exact=mode == "exact", where=where, fold=fold)
        if group is None:
            hits = single(store, question, words=words, shown=self._keys.shown)
        else:
            with self._ledger() as ledger:
                hits = by_file(store, question, words=words, shown=self._keys.shown, items=ledger.items)
        return [replace(hit, explainer=partial(self._explain, hit, asked, task)) for hit in hits]

    def _explain(self, hit: Hit, asked: Query, task: str) -> Explanation:
        """Why a hit was found for a query."""
        store = self._shelves.get(task)
        entry = None if store is None else next(store.entries([hit.id]), None)
        if store is None or entry is None:
            raise StoreError(f"{hit.source.place} is no longer in the index.")
        tokens = asked.tokens
        if tokens is None:  # the search looked for words alone
            tokens = self.encoder.encode([asked.text], task=task, role="query").multi[0]
        path = self._keys.path(entry.source.path)
        return explain(
            entry, hit.source.place, path=path, store=store, encoder=self.encoder, task=task, query=replace(asked, tokens=tokens)
        )

    def forget(self, paths: Paths) -> int:
        """Take files, or all files beneath folders, out of the index, whether they are still on disk or not. Returns how many.

        They come back when they are added again. IndexLocked if another process is adding files.
        """
        with writing(self.folder), self._ledger() as ledger:
            keys = sorted({key for path in listed(paths) for key in self._keys.beneath(path, ledger)})
            self._shelves.forget(keys, ledger)
            self._shelves.optimize()  # or what was forgotten would still lie on the disk
        return len(keys)

    def status(self) -> Status:
        """What is in the index. Needs no encoder."""
        with self._ledger() as ledger:
            files, items = ledger.totals()
            run = ledger.last_run()
            return Status(
                folder=self._keys.shown(self._keys.of(self.folder)),
                model=self.model,
                fingerprints=self.manifest.fingerprints,
                files=files,
                items=items,
                size_bytes=size_bytes(self.folder),
                skipped=tuple((self._keys.shown(key), told(reason)) for key, reason in ledger.skipped()),
                unfinished=tuple(self._keys.shown(key) for key in ledger.unfinished()),
                last_run=run.started if run else None,
                last_run_s=run.seconds if run else None,
            )

    def _ledger(self) -> Ledger:
        return Ledger(self.folder / LEDGER)


def make(folder: Path, encoder: Encodes, *, pooling: int = 1) -> None:
    """Make an empty index. index.json comes last: until it is there, there is no index."""
    manifest = Manifest.of(encoder, pooling=pooling)
    others = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    # what a killed start may have left
    ours = {LOCK, HOLDER, LEDGER, f"{LEDGER}-journal", LEDGER_CHECK, f"{LEDGER_CHECK}.new", f"{FILE}.new"}
    if folder.exists() and (not folder.is_dir() or (FILE not in others and others - ours)):
        raise ValueError(f"{folder} is no index and not empty: name a new or an empty folder for the index.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with writing(folder):
            if not Index.exists(folder):  # else another process was quicker
                Ledger(folder / LEDGER, create=True).close()
                manifest.write(folder)
    except IndexLocked:
        if not Index.exists(folder):
            raise
    except OSError as error:
        raise StoreError(f"no index can be made in {folder}: {error.strerror}.") from error


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Be the one that writes to an index. IndexLocked after three seconds if another process is."""
    from filelock import FileLock, Timeout

    lock, holder = FileLock(folder / LOCK), folder / HOLDER
    try:
        lock.acquire(timeout=LOCK_WAIT_S)
    except Timeout as error:
        raise IndexLocked(f"{folder} is being written to by {held_by(holder)}. Run again when that has ended.") from error
    except OSError as error:
        raise StoreError(f"{folder} cannot be written to: {error.strerror}.") from error
    try:
        with suppress(OSError):  # on a full disk the holder goes unnamed
            holder.write_text(f"process {os.getpid()} on {socket.gethostname()}", encoding="utf-8")
        yield
    finally:
        lock.release()


def held_by(holder: Path) -> str:
    """Who has the lock, as it wrote it down."""
    try:
        return holder.read_text(encoding="utf-8", errors="replace") or "another process"
    except OSError:
        return "another process"


def loaded(name: str, revision: str | None = None) -> Encodes:
    """An encoder by name. Loads torch."""
    from unitower.encode.encoder import load

    return load(name, revision=revision)


def listed(paths: Paths) -> list[Path]:
    """One path or several, as a list. ValueError for an empty one, which pathlib takes for the current directory."""
    several = [paths] if isinstance(paths, (str, Path)) else list(paths)
    if "" in several:
        raise ValueError("a path is empty: name a file or a folder, `.` for the current one.")
    return [Path(path) for path in several]


def example(path: Path) -> Item:
    """The first page or passage of a file."""
    for item in read(path, key=str(path)):
        return item
    raise UnreadableFile(path, "there is nothing in it")


def size_bytes(folder: Path) -> int:
    """Size of all files in a folder. What a writer removes meanwhile counts nothing."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                total += os.lstat(os.path.join(parent, name)).st_size
    return total
