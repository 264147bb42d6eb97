"""A set on disk, in the shapes of the hub sets, with its data card.

    harbour.toml                   the card that `unitower eval harbour.toml` reads
    harbour/README.md              what it is, how it was made, figures, what was dropped
    harbour/corpus/test-….parquet    corpus-id, image, text_description, text, image_filename, language
    harbour/queries/test-….parquet   query-id, query, language, kind, answer, made-by
    harbour/qrels/test-….parquet     query-id, corpus-id, score
    harbour/qa/test-….parquet        query, image, image_filename, text_description, id, answer, language: a row per query and answer,
                                   pages without a query with an empty one
    harbour/dropped.jsonl          everything that did not come into the set, and why

    harbour/annotations.jsonl      what people judged, see `annotation`; kept when the set is built again

A table's name ends with a digest of its content: `datasets` keeps what it read under the names of files, and would go on to read an
older build, or another set of the same name. With a sub-set per language, `en/queries/` and `en/qrels/` take the place of `queries/` and
`qrels/`; the corpus is one for all.
The front matter of the README names the tables, so that `datasets.load_dataset("harbour", "queries", split="test")` reads them
(`"en-queries"` with sub-sets).
Rows are written a few at a time: a set may be larger than memory.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import mean
from typing import Any

from unitower.builder.types import Draft, Dropped, Page
from unitower.builder.words import counted
from unitower.evaluation import toml

ROWS_AT_ONCE = 64

DROPPED = "dropped.jsonl"
JOURNAL = "annotations.jsonl"

UNKNOWN = "und"
"""ISO 639 for a language that is not known."""

IMAGE, TEXT, NUMBER = "image", "text", "number"

CORPUS = {
    "corpus-id": TEXT,
    "image": IMAGE,
    "text_description": TEXT,
    "text": TEXT,
    "image_filename": TEXT,
    "language": TEXT,
}
QUERIES = {"query-id": TEXT, "query": TEXT, "language": TEXT, "kind": TEXT, "answer": TEXT, "made-by": TEXT}
QRELS = {"query-id": TEXT, "corpus-id": TEXT, "score": NUMBER}
QA = {
    "query": TEXT,
    "image": IMAGE,
    "image_filename": TEXT,
    "text_description": TEXT,
    "id": TEXT,
    "answer": TEXT,
    "language": TEXT,
}


def write(
    place: Path,
    *,
    pages: Sequence[Page],
    drafts: Sequence[Draft],
    dropped: Sequence[Dropped],
    about: Mapping[str, str],
    shapes: Sequence[str],
    subsets: str,
) -> None:
    """Write a set: beside the place first, then in one move; a set that is there already is replaced when the new one is whole.

    place    folder of the set; its card lies beside it
    about    of the card: name, about, licence, citation, domain, how
    subsets  "one", or "languages" for one per language of the queries (in the BEIR shape)
    """
    parts = _parts(drafts) if subsets == "languages" else {"": drafts}
    place.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
    beside.chmod(0o755)
    try:
        if "beir" in shapes:
            _table(beside / "corpus", CORPUS, (_corpus_row(page) for page in pages))
            for part, some in parts.items():
                _table(beside / part / "queries", QUERIES, (_query_row(draft) for draft in some))
                _table(beside / part / "qrels", QRELS, _qrels_rows(some))
        if "qa" in shapes:
            _table(beside / "qa", QA, _qa_rows(pages, drafts))
        with (beside / DROPPED).open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in dropped)
        (beside / "README.md").write_text(
            _readme(beside, pages=pages, drafts=drafts, dropped=dropped, about=about, shapes=shapes, parts=parts), encoding="utf-8"
        )
        if (place / JOURNAL).exists():
            shutil.copy2(place / JOURNAL, beside / JOURNAL)
        old = place.with_name(f".{place.name}.old")
        shutil.rmtree(old, ignore_errors=True)
        if place.exists():
            os.replace(place, old)
        os.replace(beside, place)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    card = place.with_name(f"{place.name}.toml")
    new = card.with_name(f".{card.name}.new")
    new.write_text(_card(place.name, pages=pages, drafts=drafts, about=about, shapes=shapes, parts=parts), encoding="utf-8")
    os.replace(new, card)


def checked(place: Path) -> None:
    """ValueError where writing a set would replace something else than a set: a folder of other things, a config."""
    card = place.with_name(f"{place.name}.toml")
    if place.exists() and any(place.iterdir() if place.is_dir() else [place]) and not (place / DROPPED).is_file():
        raise ValueError(f"{place} is there and is no set made by unitower: name another place with `out`, or move it away.")
    if card.exists() and "shape" not in toml.read(card):
        raise ValueError(
            f"{card} would be replaced by the card of the set, and is none: call a config {place.name}.build.toml, "
            "or give `out` another name."
        )


def _parts(drafts: Sequence[Draft]) -> dict[str, Sequence[Draft]]:
    """Drafts by language, the one with most first."""
    languages = counted([draft.language or UNKNOWN for draft in drafts])
    return {language: [draft for draft in drafts if (draft.language or UNKNOWN) == language] for language in languages}


def _corpus_row(page: Page) -> dict[str, Any]:
    return {
        "corpus-id": page.id,
        "image": _picture(page),
        "text_description": page.text,
        "text": page.text if page.image is None else "",
        "image_filename": _file_name(page),
        "language": page.language,
    }


def _query_row(draft: Draft) -> dict[str, Any]:
    return {
        "query-id": draft.id,
        "query": draft.text,
        "language": draft.language or UNKNOWN,
        "kind": draft.kind,
        "answer": draft.answer,
        "made-by": draft.made_by,
    }


def _qrels_rows(drafts: Sequence[Draft]) -> Iterator[dict[str, Any]]:
    for draft in drafts:
        for page, grade in draft.pages.items():
            yield {"query-id": draft.id, "corpus-id": page, "score": grade}


def _qa_rows(pages: Sequence[Page], drafts: Sequence[Draft]) -> Iterator[dict[str, Any]]:
    asked: dict[str, list[Draft]] = {page.id: [] for page in pages}
    for draft in drafts:
        for id in draft.pages:
            asked[id].append(draft)
    for page in pages:
        row = {"image": _picture(page), "image_filename": _file_name(page), "text_description": page.text, "id": page.id}
        for draft in asked[page.id]:
            yield {**row, "query": draft.text, "answer": draft.answer, "language": draft.language or UNKNOWN}
        if not asked[page.id]:
            yield {**row, "query": "", "answer": "", "language": ""}


def _picture(page: Page) -> dict[str, Any] | None:
    if page.image is None:
        return None
    assert isinstance(page.image, Path)
    return {"bytes": page.image.read_bytes(), "path": _file_name(page)}


def _file_name(page: Page) -> str:
    """A name for the picture of a page, the same for no two pages: that of its file with the page."""
    if not isinstance(page.image, Path):
        return page.id
    return re.sub(r"[^\w.-]+", "-", page.id).strip("-") + page.image.suffix


def _table(folder: Path, columns: Mapping[str, str], rows: Iterable[dict[str, Any]]) -> None:
    """A parquet file in a folder of its own, with the columns' kinds written as `datasets` reads them: pictures are decoded there."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {TEXT: pa.string(), NUMBER: pa.int64(), IMAGE: pa.struct({"bytes": pa.binary(), "path": pa.string()})}
    features = {
        name: {"_type": "Image"} if kind == IMAGE else {"dtype": "int64" if kind == NUMBER else "string", "_type": "Value"}
        for name, kind in columns.items()
    }
    schema = pa.schema(
        [(name, types[kind]) for name, kind in columns.items()],
        metadata={"huggingface": json.dumps({"info": {"features": features}})},
    )
    folder.mkdir(parents=True)
    file = folder / "test.parquet"
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for some in _some(rows):
            writer.write_table(pa.Table.from_pylist(some, schema=schema))
    with file.open("rb") as written:
        digest = hashlib.file_digest(written, "sha256").hexdigest()[:12]
    file.rename(folder / f"test-{digest}.parquet")


def _file(place: Path, folder: str) -> str:
    """The table in a folder of the set, as the front matter names it."""
    (file,) = (place / folder).glob("*.parquet")
    return file.relative_to(place).as_posix()


def _some(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    some: list[dict[str, Any]] = []
    for row in rows:
        some.append(row)
        if len(some) == ROWS_AT_ONCE:
            yield some
            some = []
    if some:
        yield some


def _card(
    name: str,
    *,
    pages: Sequence[Page],
    drafts: Sequence[Draft],
    about: Mapping[str, str],
    shapes: Sequence[str],
    parts: Mapping[str, Sequence[Draft]],
) -> str:
    """The card of the set, as evaluation/cards.py describes it."""
    beir = "beir" in shapes
    languages = list(counted([draft.language or UNKNOWN for draft in drafts]))
    subsets = {"default": languages} if not beir or "" in parts else {language: [language] for language in parts}
    sizes = {"default": len(drafts)} if not beir or "" in parts else {language: len(some) for language, some in parts.items()}
    lines = [
        f"about = {_toml(about['about'])}",
        f"shape = {_toml('beir' if beir else 'qa')}",
        f"path = {_toml(name)}",
        f"licence = {_toml(about['licence'])}",
        f"citation = {_toml(about['citation'] or 'made with unitower bench')}",
        f"parts = {_toml('qa' if not beir else '{part}' if '' in parts else '{subset}-{part}')}",
        'by = "name"',
        *([f"domain = {_toml(about['domain'])}"] if about.get("domain") else []),
        "",
        "[subsets]",
        *(f"{subset} = {json.dumps(codes)}" for subset, codes in subsets.items()),
    ]
    for subset, count in sizes.items():
        lines += ["", f"[sizes.{subset}]", f"queries = {count}", f"documents = {len(pages)}"]
    return "\n".join(lines) + "\n"


def _toml(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _readme(
    place: Path,
    *,
    pages: Sequence[Page],
    drafts: Sequence[Draft],
    dropped: Sequence[Dropped],
    about: Mapping[str, str],
    shapes: Sequence[str],
    parts: Mapping[str, Sequence[Draft]],
) -> str:
    """The data card: front matter for `datasets` and the Hub, then what a person should know before using the set."""
    languages = counted([draft.language or UNKNOWN for draft in drafts])
    tables: dict[str, str] = {}  # name of the configuration -> its file
    for part in parts if "beir" in shapes else ():
        for table in ("corpus", "queries", "qrels"):
            tables[f"{part}-{table}" if part else table] = _file(place, table if table == "corpus" or not part else f"{part}/{table}")
    if "qa" in shapes:
        tables["qa"] = _file(place, "qa")
    answers = [len(draft.pages) for draft in drafts]
    pictures = sum(page.image is not None for page in pages)
    front = [
        "---",
        f"pretty_name: {_toml(about['name'])}",
        f"license: {'other' if ' ' in about['licence'] else about['licence'].lower()}",
        "language:",
        *(f"  - {language}" for language in languages),
        "task_categories:",
        "  - visual-document-retrieval",
        "configs:",
    ]
    for table, file in tables.items():
        front += [f"  - config_name: {table}", "    data_files:", "      - split: test", f"        path: {file}"]
    body = [
        "---",
        "",
        f"# {about['name']}",
        "",
        about["about"],
        "",
        "| | |",
        "|---|---|",
        f"| documents | {len(pages)}" + (f", {pictures} of them pictures |" if pictures < len(pages) else " pages |"),
        f"| queries | {len(drafts)} |",
        f"| answers a query | {mean(answers or [0]):.2f} on average, {max(answers, default=0)} at the most |",
        f"| characters a query | {mean([len(draft.text) for draft in drafts] or [0]):.0f} on average |",
        f"| languages of the queries | {_listed(languages)} |",
        f"| kinds of query | {_listed(counted([draft.kind for draft in drafts]))} |",
        f"| made by | {_listed(counted([draft.made_by for draft in drafts]))} |",
        f"| licence | {about['licence']} |",
        "",
        "## How it was made",
        "",
        about["how"] or "With `unitower bench`.",
        "",
        "## What was dropped",
        "",
    ]
    reasons = counted([f"{one.what}|{one.reason}" for one in dropped])
    if reasons:
        body += ["| what | why | how many |", "|---|---|---|"]
        body += [f"| {reason.split('|')[0]} | {reason.split('|')[1]} | {count} |" for reason, count in reasons.items()]
        body += ["", "Each is named in `dropped.jsonl`."]
    else:
        body += ["Nothing."]
    body += ["", "## How to read it", "", "```python", "from datasets import load_dataset", ""]
    shown = list(tables)[:3] if "beir" in shapes else list(tables)
    body += [f'{table.rpartition("-")[2]} = load_dataset("{about["name"]}", "{table}", split="test")' for table in shown]
    body += ["```", "", f"`unitower eval {about['name']}.toml` evaluates a model on it.", ""]
    return "\n".join([*front, *body])


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "none"
