"""Rows of a Lance dataset: their columns, an entry made into a row and back, and the counts of its words.

`FORMAT` and the width and rules of the token vectors stand in the dataset's metadata.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from unitower import codes as codes_module
from unitower.stores import Entry
from unitower.stores._batch import Kept
from unitower.types import Grid, Modality, Source

FORMAT = "2"
"""Version of the columns and of how words are analysed. A store of another one is refused."""


def schema(dense_width: int, token_width: int) -> pa.Schema:
    """Columns of a store of dense vectors and token vectors of these widths."""
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


def as_table(batch: Sequence[Kept], schema: pa.Schema) -> pa.Table:
    """A row for each, in the order of the batch."""
    dense = pa.array(np.concatenate([one.dense for one in batch]))
    columns: dict[str, Any] = {
        "id": [encoded(one.entry.id) for one in batch],
        "path": [encoded(one.entry.source.path) for one in batch],
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


def as_entry(given: Mapping[str, Any]) -> Entry:
    """The entry of a row, of which some columns may not have been read (`NOTHING`)."""
    row = {**NOTHING, **given}
    grid = None
    if row["grid_rows"] is not None:
        grid = Grid(rows=row["grid_rows"], columns=row["grid_columns"], first=row["grid_first"])
    lines = None if row["first_line"] is None else (row["first_line"], row["last_line"])
    return Entry(
        id=decoded(row["id"]),
        source=Source(path=decoded(row["path"]), page=row["page"], lines=lines),
        modality=cast("Modality", row["modality"]),
        part=row["part"],
        file_sha=row["file_sha"],
        text=row["text"],
        metadata=json.loads(row["metadata"]),
        size_bytes=row["size_bytes"],
        modified_ns=row["modified_ns"],
        grid=grid,
    )


@lru_cache(maxsize=65_536)
def _word_hash(word: str) -> int:
    """48 bits: among a million different words, one in 300 million queries would meet two with the same."""
    return int.from_bytes(blake2b(word.encode(), digest_size=6).digest(), "little")


def _terms(counts: Mapping[str, int]) -> bytes:
    return np.array([_word_hash(word) << 16 | count for word, count in counts.items()], "<u8").tobytes()


def word_counts(terms: pa.LargeBinaryArray, words: Sequence[str]) -> npt.NDArray[np.int64]:
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


def encoded(name: str) -> str:
    """An id or path as Arrow can hold it. File names that are not UTF-8 come with lone surrogates, and must go out as they came in."""
    return re.sub(f"[\ud800-\udfff{_ESCAPE}]", lambda c: f"{_ESCAPE}{ord(c[0]):04x}", name)


def decoded(name: str) -> str:
    return re.sub(f"{_ESCAPE}([0-9a-f]{{4}})", lambda code: chr(int(code[1], 16)), name) if _ESCAPE in name else name
