"""The stores of one index: one per task, opened when they are needed, created by the first entry."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from unitower.index.ledger import Ledger, Recorded
from unitower.stores import Entry, Store, open_store
from unitower.types import Embeddings, Modality

ENGINE = "lance"

TASKS: Mapping[Modality, tuple[str, ...]] = {"text": ("retrieval",), "image": ("retrieval",), "code": ("retrieval", "code")}
"""Tasks an item is encoded for, by its modality."""

DELETED_AT_ONCE = 1000
FORGOTTEN_AT_ONCE = 500


class Shelves:
    """The stores in a folder, by task. `tasks` are those that the encoder has; items are kept for no others."""

    def __init__(self, folder: Path, tasks: Collection[str]) -> None:
        self.folder = folder
        self.tasks = tuple(tasks)
        self._open: dict[str, Store] = {}

    def place(self, task: str) -> Path:
        """Where the store of a task lies; it is there once something was stored."""
        return self.folder / f"{task}.{ENGINE}"

    def get(self, task: str) -> Store | None:
        """The store of a task; None where nothing was ever stored."""
        if task not in self._open and not self.place(task).exists():
            return None
        return self._opened(task)

    def tasks_of(self, modality: Modality) -> tuple[str, ...]:
        """Tasks that items of a modality are kept for here."""
        return tuple(task for task in TASKS[modality] if task in self.tasks)

    def add(self, entries: Sequence[Entry], vectors: Mapping[str, Embeddings]) -> None:
        """Keep entries, each in the stores of its modality: one commit per store.

        `vectors[task]` are those of the entries that are kept for the task, in their order.
        """
        for task, embeddings in vectors.items():
            self._opened(task).add([entry for entry in entries if task in self.tasks_of(entry.modality)], embeddings)

    def delete(self, items: Iterable[Recorded]) -> int:
        """Forget items in every store. Returns how many went."""
        items = list(items)
        gone = 0
        for task in self.tasks:
            store = self.get(task)
            if store is None:
                continue
            ids = [item.id for item in items if task in self.tasks_of(item.modality)]
            for first in range(0, len(ids), DELETED_AT_ONCE):
                deleted = store.delete(ids[first : first + DELETED_AT_ONCE])
                gone += deleted if task == self.tasks[0] else 0  # what is kept for two tasks is still one item
        return gone

    def lost(self, ledger: Ledger, task: str) -> list[str]:
        """Keys of files of which the store of a task lacks items that were stored.

        Only a power cut, which may spare the ledger and not the last of a store, or somebody's hand can bring that about.
        """
        store = self.get(task)
        _, items = ledger.totals()
        expected = sum(number for modality, number in items.items() if task in self.tasks_of(modality))
        if (0 if store is None else len(store)) >= expected:
            return []
        there = set() if store is None else {entry.id for entry in store.entries()}
        return [
            file.key
            for file in ledger.files()
            for item in ledger.items(file.key)
            if item.part < file.parts and task in self.tasks_of(item.modality) and item.id not in there
        ]

    def clear(self, keys: Iterable[str], ledger: Ledger) -> tuple[int, int]:
        """Delete all entries of files, which are in doubt from then on. Returns how many files had any, and how many entries went."""
        former = {key: items for key in keys if (items := ledger.items(key))}
        if not former:
            return 0, 0
        ledger.doubt(former)
        return len(former), self.delete(item for items in former.values() for item in items)

    def forget(self, keys: Sequence[str], ledger: Ledger) -> tuple[int, int]:
        """Delete all entries of files, and what is known of them. Returns as `clear`."""
        num_files = num_items = 0
        for first in range(0, len(keys), FORGOTTEN_AT_ONCE):
            chunk = keys[first : first + FORGOTTEN_AT_ONCE]
            files, items = self.clear(chunk, ledger)
            ledger.drop(chunk)
            num_files, num_items = num_files + files, num_items + items
        return num_files, num_items

    def optimize(self) -> None:
        """Bring every store in order after a run."""
        for task in self.tasks:
            if (store := self.get(task)) is not None:
                store.optimize()

    def _opened(self, task: str) -> Store:
        if task not in self._open:
            self._open[task] = open_store(f"{ENGINE}:{self.place(task)}")
        return self._open[task]
