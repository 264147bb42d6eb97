"""All that can be asked of an index, so that two of them can be compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fake import FakeEncoder

from unitower.index import Index, shelves
from unitower.index.ledger import Ledger

QUERIES = ["word number 7", "changed", "code f3", "moved"]


def state(folder: str) -> dict[str, Any]:
    """Entries, vectors, answers, and what is recorded."""
    kept: dict[str, Any] = {}
    for task in ("retrieval", "code"):
        store = shelves.open_store(f"lance:{folder}/{task}.lance")
        entries = list(store.entries())
        dense, tokens = store.vectors([entry.id for entry in entries])
        kept[task] = (entries, dense.tolist(), [rows.tolist() for rows in tokens])
    index = Index.open(folder, encoder=FakeEncoder(), create=False)
    kept["answers"] = [index.search(query, k=100, task=task) for query in QUERIES for task in ("retrieval", "code")]
    status = index.status()
    kept["status"] = (status.files, status.items, status.skipped, status.unfinished)
    with Ledger(Path(folder, "files.sqlite3")) as ledger:
        kept["ledger"] = [(file, ledger.items(file.key)) for file in ledger.files()]
    return kept
