"""A data set of the Hugging Face Hub, or one that lies in a local folder or file in a form `datasets` reads, described by a small card.

Nothing is fetched but the revision the card pins, by `datasets` itself: its cache, token and offline settings hold (HF_HOME,
HF_DATASETS_CACHE, HF_TOKEN, HF_HUB_OFFLINE, HF_DATASETS_OFFLINE). Rows are mapped from disk, pictures decoded when their pair is read.
Needs `pip install unitower[train]`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from unitower.data import BadPair, Pairs, _cache
from unitower.data._pictures import shown
from unitower.data._rows import (
    SHAPES,
    Content,
    Reading,
    checked_columns,
    checked_shape,
    document_of,
    filled,
    renamed,
    shape_of,
    task_of,
)
from unitower.data._split import TEST_SHARE, Split, checked, hashed, rows_of
from unitower.errors import UnitowerError
from unitower.types import Pair

COMMIT = re.compile(r"[0-9a-f]{40}")
READ_AT_ONCE = 256
"""Rows looked through at once for the index; what is mapped from disk is not copied."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """What is known about a data set, and how its rows are read.

    path       Hub id (`owner/name`), a folder, or a .parquet, .arrow, .jsonl or .csv file; relative to the card's own file if it has one
    name       its configuration, where it has several
    data_dir   folder inside it that is read, where its parts lie in folders; None: all of it
    split      which of its own splits the pairs come from
    revision   commit on the Hub, 40 digits: a branch or a tag may come to mean other data
    columns    our name of a column -> what the data set calls it, where that differs
    shape      as in `jsonl`; left out, told from the columns
    corpus     a card of the documents that ids name ("docid" is the id); what it leaves out is as here
    filled     columns that must have something in them for a row to be a pair; rows without are passed over by design, such as
               pages that are only there as negatives
    licence    SPDX identifier
    languages  ISO 639-1 codes
    """

    path: str
    licence: str
    languages: tuple[str, ...]
    name: str | None = None
    data_dir: str | None = None
    split: str = "train"
    revision: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    shape: str | None = None
    task: str | None = None
    corpus: Mapping[str, Any] | None = None
    filled: tuple[str, ...] = ()

    @classmethod
    def read(cls, card: str | Path | Mapping[str, Any]) -> Card:
        """From a TOML file or a table. ValueError names what is missing, unknown or not pinned, and a file that is no TOML or not UTF-8."""
        folder = None
        if isinstance(card, Mapping):
            values, where = dict(card), "the card"
        else:
            where, folder = str(card), Path(card).expanduser().parent
            try:
                values = tomllib.loads(Path(card).expanduser().read_text(encoding="utf-8-sig"))
            except FileNotFoundError as error:
                raise ValueError(f"there is no card {card}.") from error
            except UnicodeDecodeError as error:
                raise ValueError(f"{card} is not UTF-8 ({error.reason} at byte {error.start + 1}): save it as UTF-8.") from error
            except tomllib.TOMLDecodeError as error:
                raise ValueError(f"{card} is no TOML: {error}") from error
        known = [f.name for f in fields(cls)]
        for key in values:
            if key not in known:
                near = get_close_matches(key, known, 1)
                raise ValueError(
                    f"{where}: there is no field {key!r}" + (f"; did you mean {near[0]!r}?" if near else f" ({', '.join(known)}).")
                )
        if lacking := [key for key in ("path", "licence", "languages") if not values.get(key)]:
            raise ValueError(f"{where}: {lacking[0]} is missing.")
        if isinstance(values["languages"], str):
            values["languages"] = (values["languages"],)
        for key in ("languages", "filled"):
            values[key] = tuple(values.get(key, ()))
        if folder is not None:
            values["path"] = beside(values["path"], folder)
            if path := (values.get("corpus") or {}).get("path"):
                values["corpus"] = {**values["corpus"], "path": beside(path, folder)}
        return cls(**values)

    @property
    def local(self) -> Path | None:
        """Where it lies on this machine; None if it comes from the Hub."""
        place = Path(self.path).expanduser()
        return place if place.exists() else None


def beside(path: str, folder: Path) -> str:
    """A path as a card in a folder means it: beneath that folder where it is there, else as it is."""
    return str(folder / path) if (folder / path).exists() else path


def open(
    *,
    card: str | Path | Mapping[str, Any],
    negatives: int | None = None,
    split: Split = "train",
    test_share: float = TEST_SHARE,
    name: str | None = None,
) -> Pairs:
    """Pairs of a data set; a row with several positives gives a pair for each.

    card        a `Card`, as a table or a TOML file
    negatives   how many of a row's hard negatives are kept, from the first on; left out, all
    test_share  of the documents that are kept to test with, beside whatever splits the data set has of its own; pictures are the same
                where their path, or else their size and first and last bytes are

    ValueError if the card is wrong. UnitowerError if the data set is not there, or cannot be fetched.
    """
    checked(split, test_share)
    read = Card.read(card)
    columns = checked_columns(read.columns)
    table = loaded(read)
    shape = checked_shape(read.shape) if read.shape else shape_of(renamed(dict.fromkeys(table.column_names), columns))
    if shape is None:
        raise ValueError(
            f"{read.path} has the columns {', '.join(table.column_names)}, which is no shape that is known. Map them with columns = "
            f"{{ours = 'theirs'}} to one of these:\n{SHAPES}"
        )
    source = name or Path(read.path).stem
    reading = Reading(
        source=source,
        place=read.path,
        folder=folder_of(read.local),
        shape=shape,
        task=task_of(shape, read.task),
        columns=columns,
        lookup=_corpus(read) if read.corpus is not None else None,
        negatives=negatives,
    )
    identity = [read.path, read.name, read.data_dir, read.split, read.revision, table._fingerprint, shape, columns, list(read.filled)]
    rows = _cache.arrays("hub", identity, lambda: _index(table, reading, read.filled))
    chosen = rows_of(split, rows["documents"], rows["queries"], test_share=test_share)
    return Table(table, reading, {key: rows[key][chosen] for key in ("row", "which")}, read)


class Table:
    """`Pairs` of a data set. rows: which row, and which of its positives, of every pair."""

    def __init__(self, table: Any, reading: Reading, rows: _cache.Arrays, card: Card) -> None:
        self.name, self.licence, self.languages = reading.source, card.licence, card.languages
        self.card = card
        self._table, self._reading, self._rows = table, reading, rows

    def __len__(self) -> int:
        return len(self._rows["row"])

    def __getitem__(self, index: int) -> Pair:
        number, which = int(self._rows["row"][index]), int(self._rows["which"][index])
        try:
            row = self._reading.taken_apart(at(self._table, number))
            return self._reading.pair(row, which, number=number + 1)
        except BadPair as error:
            raise BadPair(f"{self._reading.place}, row {number + 1}: {error}") from error


def loaded(card: Card) -> Any:
    """The data set of a card, mapped from disk, pictures not decoded. Errors as of `open`."""
    try:
        import datasets
    except ImportError as error:
        raise UnitowerError("data sets of the Hub need the package `datasets`: pip install unitower[train]") from error
    here = card.local
    try:
        if here is None:
            if not re.fullmatch(r"[A-Za-z0-9][\w.-]*/[\w.-]+", card.path):
                raise ValueError(f"there is no data set {card.path!r}: it is no folder, no file and no Hub id (owner/name).")
            if not COMMIT.fullmatch(card.revision or ""):
                raise ValueError(
                    f"{card.path}: revision is {card.revision!r}; pin the commit (40 digits, under Files, History): a branch moves."
                )
            found = datasets.load_dataset(card.path, card.name, data_dir=card.data_dir, split=card.split, revision=card.revision)
        elif (here / "state.json").is_file() or (here / "dataset_dict.json").is_file():
            found = datasets.load_from_disk(str(here))
            found = found[card.split] if isinstance(found, datasets.DatasetDict) else found
        elif here.is_dir():
            found = datasets.load_dataset(str(here), card.name, data_dir=card.data_dir, split=card.split)
        else:
            builders = {".parquet": "parquet", ".arrow": "arrow", ".jsonl": "json", ".json": "json", ".csv": "csv"}
            if here.suffix not in builders:
                raise ValueError(f"{here} is none of {', '.join(builders)}.")
            found = datasets.load_dataset(builders[here.suffix], data_files={card.split: str(here)}, split=card.split)
    except ValueError as error:
        raise ValueError(f"{card.path}: {_line(error)}" if card.path not in str(error) else str(error)) from error
    except KeyError as error:
        raise ValueError(f"{card.path} has no split {card.split!r}.") from error
    except Exception as error:  # `datasets`, the Hub's client and the network raise a dozen kinds
        raise UnitowerError(
            f"data set {card.path} cannot be had ({type(error).__name__}: {_line(error)}). Offline, it must have been fetched before."
        ) from error
    return found.with_format("arrow")


def folder_of(local: Path | None) -> Path:
    """What paths of pictures are relative to."""
    return Path() if local is None else local if local.is_dir() else local.parent


def at(table: Any, number: int) -> Mapping[str, Any]:
    """A row as plain values; a picture is {"bytes": ..., "path": ...}."""
    row: Mapping[str, Any] = table[number : number + 1].to_pylist()[0]
    return row


def _corpus(card: Card) -> Any:
    """Finds the documents that ids name."""
    assert card.corpus is not None
    own = {"path": card.path, "licence": card.licence, "languages": card.languages, "revision": card.revision, "columns": card.columns}
    same = card.corpus.get("path", card.path) == card.path
    if same:
        own |= {"name": card.name, "data_dir": card.data_dir, "split": card.split}
    inner = Card.read({key: value for key, value in {**own, **card.corpus}.items() if value is not None})
    table = loaded(replace(inner, corpus=None))
    column = inner.columns.get("docid", "docid")
    if column not in table.column_names:
        raise ValueError(f"the corpus {inner.path} has no column {column!r}; there are {', '.join(table.column_names)}.")

    def make() -> _cache.Arrays:
        ids = [hashed(str(id)) for batch in table.select_columns([column]).iter(READ_AT_ONCE) for id in batch[column].to_pylist()]
        hashes = np.array(ids, np.uint64)
        order = np.argsort(hashes, kind="stable")
        return {"hash": hashes[order], "row": order.astype(np.int64)}

    found = _cache.arrays(
        "hub-corpus", [inner.path, inner.name, inner.data_dir, inner.split, inner.revision, table._fingerprint, column], make
    )

    def lookup(id: str) -> Content:
        key = np.uint64(hashed(id))
        for place in range(*(int(np.searchsorted(found["hash"], key, side=side)) for side in ("left", "right"))):
            row = renamed(at(table, int(found["row"][place])), inner.columns)
            if str(row["docid"]) == id:
                return document_of(row, f"document {shown(id)}")
        raise BadPair(f"document {shown(id)} is not in {inner.path}")

    return lookup


def _index(table: Any, reading: Reading, needed: Sequence[str]) -> _cache.Arrays:
    """Where every pair is, and what its query and its document are known by; a row that cannot be used is one pair."""
    found: list[tuple[int, int, int, int]] = []
    for number, row in enumerate(_light_rows(table)):
        if not all(filled(row.get(column)) for column in needed):
            continue
        try:
            parts = reading.taken_apart(row)
            keys = [(parts.query.key, positive.key) for positive in parts.positives]
        except BadPair:
            key = hashed(f"row {number}")
            keys = [(key, key)]
        found += [(number, which, query, document) for which, (query, document) in enumerate(keys)]
    rows, which, queries, documents = zip(*found, strict=True) if found else ((), (), (), ())
    return {
        "row": np.array(rows, np.int64),
        "which": np.array(which, np.int64),
        "queries": np.array(queries, np.uint64),
        "documents": np.array(documents, np.uint64),
    }


def _light_rows(table: Any) -> Iterator[Mapping[str, Any]]:
    """All rows, with a short stand-in for the bytes of pictures, so that these are not read through."""
    import pyarrow as pa

    for batch in table.iter(READ_AT_ONCE):
        columns = {}
        for name, column in zip(batch.column_names, batch.columns, strict=True):
            kind = column.type
            if pa.types.is_struct(kind) and {"bytes", "path"} <= {kind.field(i).name for i in range(kind.num_fields)}:
                columns[name] = [_stand_in(value) for value in column]
            else:
                columns[name] = column.to_pylist()
        yield from (dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True))


def _stand_in(picture: Any) -> dict[str, Any] | None:
    """Something short that is the same for the same picture, and missing where it is."""
    if not picture.is_valid:
        return None
    data = picture["bytes"]
    held = memoryview(data.as_buffer()) if data.is_valid else memoryview(b"")
    if not len(held):
        return {"path": picture["path"].as_py()}
    return {"bytes": b"%d\0" % len(held) + bytes(held[:4096]) + bytes(held[-4096:])}


def _line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
