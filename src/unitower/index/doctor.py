"""Whether an index is sound, and what runs here: every file against its hash, the stores against the ledger, stored vectors against the
encoder. Nothing is changed.
"""

from __future__ import annotations

import platform
import random
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from unitower import __version__, codes
from unitower.errors import IndexLocked, UnitowerError, UnreadableFile
from unitower.index.folder import FOLDER, LEDGER, Index, size_bytes, writing
from unitower.index.keys import Keys
from unitower.index.ledger import Ledger
from unitower.index.reading import sha256
from unitower.index.shelves import Shelves
from unitower.ingest import read
from unitower.kernels import chosen
from unitower.stores import Entry, Store

LIBRARIES = ("torch", "numpy", "pylance", "pyarrow", "pypdfium2", "tokenizers", "Pillow")

SAMPLE = 8
"""Items that are encoded again. Each takes the time that it took to index."""

ALIKE = 0.98
"""Cosine that a vector encoded anew has with the stored one, at the least. Batches of other sizes and int8 codes move it by 0.002, in
bfloat16 by 0.01; another model, prompt or picture by far more."""

ROOM_BYTES = 200_000_000

PAGES, PAGE_TOKENS, QUERY_TOKENS, WIDTH = 1000, 256, 24, 128
"""What the kernels are timed on: a scan of a thousand pages, and a fifth of it scored exactly."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that was looked at.

    name    of one or two words
    ok      False where something is wrong; None where it could not be looked at, which is not wrong
    told    what was found, in one line
    remedy  what to do; "" where nothing is to be done
    """

    name: str
    ok: bool | None
    told: str
    remedy: str = ""


@dataclass(frozen=True, kw_only=True)
class Report:
    """What `examine` found.

    folder    the index
    checks    in the order they were made
    versions  library -> version
    kernel    name, and milliseconds of processor time to scan 1,000 pages of 256 tokens and to score 200 of them
    sizes     bytes on disk by part of the index; {} without one
    """

    folder: str
    checks: tuple[Check, ...]
    versions: dict[str, str]
    kernel: dict[str, Any]
    sizes: dict[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return all(check.ok is not False for check in self.checks)

    def as_dict(self) -> dict[str, Any]:
        """The keys of `unitower doctor --json`."""
        return {
            "ok": self.ok,
            "folder": self.folder,
            "checks": [{"name": c.name, "ok": c.ok, "told": c.told, "remedy": c.remedy} for c in self.checks],
            "versions": self.versions,
            "kernel": self.kernel,
            "sizes": self.sizes,
        }


def examine(folder: str | Path = FOLDER, *, sample: int = SAMPLE) -> Report:
    """Look at an index and at what it runs on. What is wrong is told, never raised.

    sample  items that are read and encoded again and compared with what is stored; 0: none, and no model is loaded
    """
    place = Path(folder)
    return Report(
        folder=str(folder),
        checks=tuple(_checks(place, sample=sample)),
        versions=versions(),
        kernel=kernel(),
        sizes={path.name: size_bytes(path) if path.is_dir() else path.stat().st_size for path in sorted(place.iterdir())}
        if Index.exists(place)
        else {},
    )


def _checks(folder: Path, *, sample: int) -> Iterator[Check]:
    if not Index.exists(folder):
        needed = folder != Path(FOLDER)  # whoever names a folder expects an index in it; without one, only the machine is looked at
        yield Check(
            name="index", ok=False if needed else None, told=f"there is none in {folder}", remedy="Make one: unitower index PATH" * needed
        )
        return
    try:
        index = Index.open(folder, create=False)
        yield Check(name="index.json", ok=True, told=f"made by {index.model.name}, revision {index.model.revision}")
    except UnitowerError as error:
        yield Check(name="index.json", ok=False, told=str(error), remedy=_rebuild(folder))
        return
    shelves = Shelves(index.folder, tuple(index.manifest.fingerprints))
    with ExitStack() as stack:
        try:
            stack.enter_context(writing(folder))
            alone = True
        except UnitowerError as error:
            alone = False
            reason = "another process is writing" if isinstance(error, IndexLocked) else str(error)
            yield Check(name="writing", ok=None, told=f"{reason}: stores and ledger are not compared")
        try:
            ledger = stack.enter_context(Ledger(index.folder / LEDGER))
            faults = ledger.faults()
            files, items = ledger.totals()
            yield Check(
                name="ledger",
                ok=not faults,
                told="; ".join(faults[:3]) or f"{files:,} files, {sum(items.values()):,} items, {len(ledger.skipped()):,} files skipped",
                remedy=_rebuild(folder) if faults else "",
            )
        except UnitowerError as error:
            yield Check(name="ledger", ok=False, told=str(error), remedy=_rebuild(folder))
            return
        sound: dict[str, Store] = {}
        for task in shelves.tasks:
            yield from _store(shelves, task, ledger if alone else None, sound)
    room = shutil.disk_usage(folder).free
    yield Check(
        name="disk",
        ok=room > ROOM_BYTES,
        told=f"{room / 1e9:,.1f} GB free",
        remedy="" if room > ROOM_BYTES else "Make room: a run that finds none stops, without harm to what is stored.",
    )
    if sample:
        yield _encoded_again(index, sound, sample)


def _store(shelves: Shelves, task: str, ledger: Ledger | None, sound: dict[str, Store]) -> Iterator[Check]:
    """One store: its files, its rows, and against the ledger, unless that is being written."""
    place = shelves.place(task)
    repair = f"Delete {place} and index your files again: only what was in it is read anew."
    try:
        store = shelves.get(task)
        if store is None:
            lost = shelves.lost(ledger, task) if ledger else []
            told = f"is missing, with items of {len(lost)} files" if lost else "nothing stored yet"
            yield Check(name=place.name, ok=not lost, told=told, remedy="Index your files again." if lost else "")
            return
        faults = store.faults()
        if not faults:
            faults = [f"the vectors of {id} have changed since they were written" for id in store.damaged()]
        if faults:
            more = f"; and {len(faults) - 3} more" if len(faults) > 3 else ""
            yield Check(name=place.name, ok=False, told="; ".join(faults[:3]) + more, remedy=repair)
            return
        told = f"{len(store):,} items, every byte as it was written"
        if ledger is not None:
            known = {item.id for file in ledger.files() for item in ledger.items(file.key)}
            unknown = [entry.id for entry in store.entries() if entry.id not in known]
            lost = shelves.lost(ledger, task)
            if unknown or lost:
                what = [f"{len(unknown):,} items that the ledger does not know"] * bool(unknown)
                what += [f"lacks items of {len(lost):,} files"] * bool(lost)
                remedy = repair if unknown else "Index your files again: what is lost is read anew."
                yield Check(name=place.name, ok=False, told="; ".join(what), remedy=remedy)
                return
            told += ", as the ledger has it"
        sound[task] = store
        yield Check(name=place.name, ok=True, told=told)
    except UnitowerError as error:
        yield Check(name=place.name, ok=False, told=str(error), remedy=repair)


def _encoded_again(index: Index, stores: dict[str, Store], sample: int) -> Check:
    """Read and encode a sample of items again; compare with what is stored."""
    name = "encoding"
    try:
        encoder = index.encoder
    except UnitowerError as error:
        return Check(name=name, ok=False, told=str(error), remedy="Make the model available again, or index into another folder.")
    compared, left_out, worst = 0, 0, (2.0, "")
    for task, store in stores.items():
        ids = sorted(entry.id for entry in store.entries())
        for entry in store.entries(random.Random(0).sample(ids, min(sample, len(ids)))):
            item = _read_again(index, entry)
            if item is None:
                left_out += 1
                continue
            fresh = encoder.encode([item], task=task, role="passage")
            dense, (tokens,) = store.vectors([entry.id])
            likeness = float(fresh.dense[0] @ dense[0])
            if len(tokens) == len(fresh.multi[0]):
                likeness = min(likeness, float(np.einsum("nd,nd->n", tokens, fresh.multi[0]).mean()))
            worst = min(worst, (likeness, entry.id))
            compared += 1
    gone = f"; {left_out} could not be, because their files have changed or gone" if left_out else ""
    if not compared:
        return Check(name=name, ok=None, told=f"nothing could be compared{gone}")
    ok = worst[0] >= ALIKE
    return Check(
        name=name,
        ok=ok,
        told=f"{compared} items encoded again, likeness {worst[0]:.3f} at the least{f' ({worst[1]})' if not ok else ''}{gone}",
        remedy="" if ok else f"The vectors are not those of this model. {_rebuild(index.folder)}",
    )


def _read_again(index: Index, entry: Entry) -> Any:
    """The item of an entry; None where its file is not as it was indexed."""
    path = Keys(index.folder).path(entry.source.path)
    try:
        return next(read(path, key=entry.source.path, start=entry.part)) if sha256(path) == entry.file_sha else None
    except (OSError, UnreadableFile, StopIteration):
        return None


def _rebuild(folder: Path) -> str:
    return f"Delete {folder} and index your files again."


def versions() -> dict[str, str]:
    """Of unitower, Python, the system, and the libraries that matter."""
    found = {"unitower": __version__, "python": platform.python_version(), "system": f"{platform.system()} {platform.machine()}"}
    for library in LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            found[library] = "not installed"
    return found


def kernel() -> dict[str, Any]:
    """The kernels that run here, and how fast they are: milliseconds of processor time, best of five."""
    kernel = chosen()
    rng = np.random.default_rng(0)
    tokens = rng.standard_normal((PAGE_TOKENS, WIDTH)).astype(np.float32)
    query = codes.query(rng.standard_normal((QUERY_TOKENS, WIDTH)) / WIDTH**0.5)
    rows, _ = codes.quantised(np.tile(tokens, (20, 1)))
    planes = codes.planes(rows)
    starts, lengths = np.arange(PAGES) % 20 * PAGE_TOKENS, np.full(PAGES, PAGE_TOKENS)
    packed = np.frombuffer(codes.pack(tokens), np.uint8)
    pages = np.tile(packed, PAGES // 5)
    places = np.arange(PAGES // 5) * len(packed)
    return {
        "name": kernel.name,
        "scan_ms": _best_ms(lambda: kernel.hamming(query.signs, planes.signs, starts, lengths)),
        "score_ms": _best_ms(lambda: kernel.best(query, pages, places, lengths[: len(places)])),
    }


def _best_ms(work: Any) -> float:
    took = []
    for _ in range(5):
        began = time.process_time()
        work()
        took.append(time.process_time() - began)
        if sum(took) > 1:
            break
    return round(1000 * min(took), 2)


def advice(report: Report) -> Sequence[str]:
    """What to do, a line each."""
    lines = [f"{check.name}: {check.remedy}" for check in report.checks if check.ok is False and check.remedy]
    if report.kernel["name"] == "numpy":
        lines.append("kernels: with a C compiler at hand when it is installed, unitower searches many times faster.")
    return lines
