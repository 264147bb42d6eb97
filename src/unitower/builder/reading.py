"""A written set, to be judged and written again: its queries and answers in memory, its pictures read when they are looked at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from unitower.builder.types import Draft, Page
from unitower.builder.writing import DROPPED
from unitower.errors import UnitowerError


@dataclass(frozen=True, kw_only=True)
class Row:
    """Where a page stands: its table, row group, and place in that."""

    file: Path
    group: int
    place: int


class WrittenSet:
    """A set in a folder. `drafts` are its queries, `ids` its pages."""

    def __init__(self, place: Path) -> None:
        """UnitowerError if there is no set."""
        self.place = place
        if not (place / DROPPED).is_file():
            raise UnitowerError(f"{place} is no set: make one with `unitower bench build CONFIG`, or `unitower bench from-index DIR`.")
        beir = (place / "corpus").is_dir()
        tables = sorted(place.glob("corpus/*.parquet")) if beir else sorted(place.glob("qa/*.parquet"))
        self._id = "corpus-id" if beir else "id"
        self._rows: dict[str, Row] = {}
        self._text: dict[str, str] = {}
        self._language: dict[str, str] = {}
        for file in tables:
            for group, place_in, row in _rows(file, [self._id, "text_description", "language"]):
                if row[self._id] not in self._rows:
                    self._rows[row[self._id]] = Row(file=file, group=group, place=place_in)
                    self._text[row[self._id]] = row["text_description"] or ""
                    self._language[row[self._id]] = row["language"] or ""
        self.ids = list(self._rows)
        self.drafts = list(_of_beir(place) if beir else _of_qa(tables))

    def text(self, id: str) -> str:
        """The text of a page, as far as it is known."""
        return self._text[id]

    def picture(self, id: str) -> bytes | None:
        """The bytes of a page's picture; None for a passage of text. KeyError if there is no such page."""
        row = self._rows[id]
        found = _pictures(row.file, row.group)[row.place]
        return None if found is None else bytes(found["bytes"])

    def pages(self, scratch: Path) -> list[Page]:
        """All pages, their pictures in files of a folder, as `writing.write` takes them."""
        pages = []
        for number, id in enumerate(self.ids):
            data = self.picture(id)
            file = None
            if data is not None:
                file = scratch / f"{number}.{'webp' if data[:4] == b'RIFF' else 'png'}"
                file.write_bytes(data)
            pages.append(Page(id=id, image=file, text=self._text[id], language=self._language[id]))
        return pages


def _rows(file: Path, columns: Sequence[str]) -> Iterator[tuple[int, int, dict[str, Any]]]:
    import pyarrow.parquet as pq

    table = pq.ParquetFile(file)
    for group in range(table.num_row_groups):
        for place, row in enumerate(table.read_row_group(group, columns=list(columns)).to_pylist()):
            yield group, place, row


@lru_cache(maxsize=4)
def _pictures(file: Path, group: int) -> list[Any]:
    import pyarrow.parquet as pq

    return list(pq.ParquetFile(file).read_row_group(group, columns=["image"])["image"].to_pylist())


def _of_beir(place: Path) -> Iterator[Draft]:
    columns = ["query-id", "query", "language", "kind", "answer", "made-by"]
    for file in sorted([*place.glob("queries/*.parquet"), *place.glob("*/queries/*.parquet")]):
        answers: dict[str, dict[str, int]] = {}
        for judged in (file.parents[1] / "qrels").glob("*.parquet"):
            for _, _, row in _rows(judged, ["query-id", "corpus-id", "score"]):
                answers.setdefault(row["query-id"], {})[row["corpus-id"]] = row["score"]
        for _, _, row in _rows(file, columns):
            yield Draft(
                text=row["query"],
                language=row["language"],
                kind=row["kind"],
                pages=answers[row["query-id"]],
                answer=row["answer"] or "",
                made_by=row["made-by"],
            )


def _of_qa(files: Sequence[Path]) -> Iterator[Draft]:
    for file in files:
        for _, _, row in _rows(file, ["query", "id", "answer", "language"]):
            if row["query"]:
                yield Draft(
                    text=row["query"],
                    language=row["language"],
                    kind="question",
                    pages={row["id"]: 1},
                    answer=row["answer"] or "",
                    made_by="set",
                )
