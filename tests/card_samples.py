"""A set of three rows in the shape that a card describes, written to a folder: what stands in for data that are on the Hub."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from unitower.evaluation.cards import Card

WORDS = ("harbour", "mill", "orchard")
PICTURE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def png(shade: int, *, size: tuple[int, int] = (40, 56)) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", size, (shade, 90, 255 - shade)).save(data, "PNG")
    return data.getvalue()


def sample(card: Card, folder: Path, *, modality: str = "image") -> Card:
    """The card with three documents and three queries of ours in place of its own data; query i is answered by document i."""
    configurations: dict[str, str] = {}
    parts: dict[str, dict[str, list[Any]]] = {}
    for subset in card.subsets:
        for part, columns in tables(subset, shape=card.shape, modality=modality, rows=card.rows).items():
            there = parts.setdefault(card.part(subset, part), {})
            names = {} if part == "qrels" else card.columns
            for ours, values in columns.items():
                if part != "corpus" or len(there.get(names.get(ours, ours), [])) < 3:  # sub-sets may share a corpus
                    there.setdefault(names.get(ours, ours), []).extend(values)
    for place, columns in parts.items():
        path = folder / place / f"{card.split}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        kinds = {name: PICTURE if name == card.columns.get("image", "image") else None for name in columns}
        pq.write_table(pa.table({name: pa.array(values, kinds[name]) for name, values in columns.items()}), path)
        configurations[place] = f"{place}/{card.split}.parquet"
    if card.by == "name":
        lines = [
            f"  - config_name: {n}\n    data_files:\n      - split: {card.split}\n        path: {p}" for n, p in configurations.items()
        ]
        (folder / "README.md").write_text("---\nconfigs:\n" + "\n".join(lines) + "\n---\n", encoding="utf-8")
    return replace(card, path=str(folder), folder=folder.parent, revision="", sizes={})


def tables(subset: str, *, shape: str, modality: str, rows: Mapping[str, str]) -> dict[str, dict[str, Sequence[Any]]]:
    """Part -> our column -> values."""
    texts = [f"the {word} of {subset}" for word in WORDS]
    pictures = [{"bytes": png(80 * i), "path": None} for i in range(3)]
    shown: dict[str, Sequence[Any]] = {"image": pictures} if modality == "image" else {"text": texts}
    queries = [f"where is the {word}" for word in WORDS]
    if shape == "qa":
        return {"qa": {"query": queries, "image_filename": [f"{word}.png" for word in WORDS], "text_description": texts, **shown}}
    asked = [f"{subset}-q{i}" for i in range(3)]
    several = {rows["queries"]: [subset] * 3} if "queries" in rows else {}
    return {
        "queries": {"query-id": asked, "query": queries, **several},
        "corpus": {"corpus-id": ["d0", "d1", "d2"], **shown},
        "qrels": {"query-id": asked, "corpus-id": ["d0", "d1", "d2"], "score": [1, 1, 1]},
    }
