"""Vectors kept on disk: a second run over the same pages, with other queries or another rule, encodes nothing.

A file per item, named by what the item shows and by the encoder's fingerprint, so that a page that changed or another model never meets
old vectors. Token vectors are kept as float16, and are rounded to it before they are scored for the first time too: a figure does not
depend on whether its vectors were just made or found.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from unitower.data import _cache
from unitower.types import Embeddings, Encodable, Encodes, Fingerprint, Floats, Item, Ragged, Role


class Kept:
    """An encoder whose passages are kept in a folder; `types.Encodes`. Queries are encoded every time."""

    def __init__(self, encoder: Encodes, folder: Path) -> None:
        self.encoder, self.folder = encoder, folder
        for key in ("device", "dtype"):  # what computes the vectors is told beside a result
            if hasattr(encoder, key):
                setattr(self, key, getattr(encoder, key))

    def fingerprint(self, *, task: str) -> Fingerprint:
        return self.encoder.fingerprint(task=task)

    @property
    def tasks(self) -> tuple[str, ...]:
        return self.encoder.tasks

    @property
    def fusion(self) -> Mapping[str, float]:
        return self.encoder.fusion

    def encode(self, inputs: Sequence[Encodable], *, task: str = "retrieval", role: Role | None = None) -> Embeddings:
        """Vectors of the inputs; those of passages from the folder, where they are there."""
        if role != "passage":
            return self.encoder.encode(inputs, task=task, role=role)
        print = self.fingerprint(task=task)
        about = {**print.as_dict(), **{key: str(getattr(self, key, "")) for key in ("device", "dtype")}}
        paths = [self.folder / f"{shown(one, about)}.npz" for one in inputs]
        found: list[tuple[Floats, Floats] | None] = [read(path) for path in paths]
        missing = [place for place, one in enumerate(found) if one is None]
        if missing:
            made = self.encoder.encode([inputs[place] for place in missing], task=task, role=role)
            for place, dense, tokens in zip(missing, made.dense, made.multi, strict=True):
                half = tokens.astype(np.float16)
                with _cache.written(paths[place]) as file:
                    np.savez(file, dense=dense, tokens=half)
                found[place] = dense, half.astype(np.float32)
        vectors = [one for one in found if one is not None]
        return Embeddings(
            dense=np.array([dense for dense, _ in vectors], np.float32).reshape(len(vectors), print.dense_width),
            multi=Ragged.of([tokens for _, tokens in vectors], width=print.multi_width),
            fingerprint=print,
        )


def shown(one: Encodable, about: Mapping[str, Any]) -> str:
    """A name for what the encoder sees of an input, and for all that decides what it makes of it."""
    content = one.content if isinstance(one, Item) else one
    if isinstance(content, str):
        seen = b"text " + content.encode("utf-8", "surrogatepass")
    elif isinstance(content, Path):
        seen = b"file " + content.read_bytes()
    else:
        seen = f"{content.mode} {content.size} ".encode() + content.tobytes()
    digest = sha256(json.dumps(dict(about), sort_keys=True, default=str).encode() + b"\0" + seen).hexdigest()
    return f"{digest[:2]}/{digest[2:34]}"


def read(path: Path) -> tuple[Floats, Floats] | None:
    """Dense and token vectors of a file; None where there is none that can be read."""
    with suppress(Exception), np.load(path, allow_pickle=False) as kept:  # zipfile and numpy raise a dozen kinds on damaged files
        return kept["dense"].astype(np.float32), kept["tokens"].astype(np.float32)
    return None
