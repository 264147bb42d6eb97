"""A stand-in for an encoder: vectors made of words, so that the right answer of a search can be told by reading the texts.

A word always has the same random vector; a text has a row per word, and their sum as its dense vector. A picture has a row
per cell of its 4 x 4 reduction. Both are different for every task. No torch.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from unitower.errors import UnreadableFile
from unitower.types import Embeddings, Encodable, Fingerprint, Floats, Grid, Item, Ragged, Role, Source

WIDTH = 32


@lru_cache(maxsize=100_000)
def vector(word: str) -> Floats:
    """The unit vector [32] of a word."""
    seed = int.from_bytes(hashlib.sha256(word.encode("utf-8", "surrogatepass")).digest()[:8], "big")
    row = np.random.default_rng(seed).standard_normal(WIDTH)
    return (row / np.linalg.norm(row)).astype(np.float32)


class FakeEncoder:
    """Implements `types.Encodes`.

    name, revision  of its fingerprint; other settings by `settings`, e.g. max_pixels=1
    tasks           it has
    delay_s         what an item takes
    refuses         items for which this is true raise ValueError
    calls           (task, role, contents) of every call, for tests that ask what was encoded
    """

    def __init__(
        self,
        *,
        name: str = "fake",
        revision: str = "1",
        tasks: Sequence[str] = ("retrieval", "text-matching", "code"),
        fusion: Mapping[str, float] | None = None,
        delay_s: float = 0.0,
        refuses: Callable[[str | Image.Image], bool] = lambda content: False,
        **settings: int,
    ) -> None:
        self.name, self.revision = name, revision
        self.tasks = tuple(tasks)
        self.fusion = dict(fusion or {})
        self.delay_s = delay_s
        self.refuses = refuses
        self.settings = settings
        self.calls: list[tuple[str, Role | None, list[str | Image.Image]]] = []

    def fingerprint(self, *, task: str) -> Fingerprint:
        assert task in self.tasks
        values = {"max_pixels": 602_112, "max_length": 8192, "dense_width": WIDTH, "multi_width": WIDTH, **self.settings}
        return Fingerprint(
            model=self.name, revision=self.revision, adapter=task, prompts={"query": "Query: ", "passage": "Passage: "}, **values
        )

    def encode(self, inputs: Sequence[Encodable], *, task: str = "retrieval", role: Role | None = None) -> Embeddings:
        contents = [content_of(one) for one in inputs]
        self.calls.append((task, role, contents))
        for content in contents:
            if self.refuses(content):
                raise ValueError("the fake encoder refuses this")
            if isinstance(content, str) and role is None:
                raise ValueError("a text needs a role")
        time.sleep(self.delay_s * len(contents))
        multi = [tokens_of(content, task=task) for content in contents]
        sums = [rows.sum(axis=0) for rows in multi]
        dense = np.array([row / np.linalg.norm(row) for row in sums], np.float32).reshape(-1, WIDTH)
        grids = tuple(None if isinstance(content, str) else Grid(rows=4, columns=4, first=0) for content in contents)
        return Embeddings(dense=dense, multi=Ragged.of(multi, width=WIDTH), fingerprint=self.fingerprint(task=task), grids=grids)

    def spans(self, text: str, *, task: str = "retrieval", role: Role) -> list[tuple[int, int]]:
        return [match.span() for match in re.finditer(r"\w+", text)] or [(0, 0)]

    @property
    def encoded(self) -> list[str | Image.Image]:
        """Contents of all passages encoded for retrieval so far."""
        return [content for task, role, contents in self.calls if task == "retrieval" and role == "passage" for content in contents]


def content_of(one: Encodable) -> str | Image.Image:
    if isinstance(one, Item):
        return one.content
    return Image.open(one) if isinstance(one, Path) else one


def tokens_of(content: str | Image.Image, *, task: str) -> Floats:
    """A row per word of a text, or per cell of a picture: [n, 32], n >= 1."""
    if isinstance(content, str):
        words = re.findall(r"\w+", content.lower()) or [""]
    else:
        cells = content.convert("L").resize((4, 4), Image.Resampling.BOX).tobytes()
        words = [f"cell {place} {value // 16}" for place, value in enumerate(cells)]
    return np.stack([vector(f"{task} {word}") for word in words])


def lines_of(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def read_lines(path: Path, *, key: str, start: int = 0, passed_over: Callable[[str], None] | None = None) -> Iterator[Item]:
    """A reader for tests: every line of a file is a page with an item.

    `code: ...` is code, `image 128` a grey picture, `same id` repeats the first page's id. `!lost` is a page that is passed
    over, which is told at the end of the file. `!broken ...` ends the file with that reason, `!bug` with an error the reader
    does not foresee, `!disk` as a failing disk does.
    """
    lines = lines_of(path)
    if not lines:
        raise UnreadableFile(path, "an empty file")
    lost: list[int] = []
    for part, line in enumerate(lines):
        if line.startswith("!broken "):
            raise UnreadableFile(path, line.removeprefix("!broken "))
        if line == "!bug":
            raise RuntimeError("something\nunforeseen")
        if line == "!disk":
            raise OSError(5, "Input/output error")
        if part < start:
            continue
        if line == "!lost":
            lost.append(part + 1)
            continue
        picture = Image.new("RGB", (32, 32), (int(line.split()[1]),) * 3) if line.startswith("image ") else None
        yield Item(
            id=f"{key}#page={1 if line == 'same id' else part + 1}",
            modality="image" if picture else "code" if line.startswith("code: ") else "text",
            content=picture or line,
            source=Source(path=key, page=part + 1),
            part=part,
            text="" if picture else line,
            metadata={"reader": "lines"},
        )
    if lost and passed_over:
        passed_over(f"pages {lost}: damaged")


def count_lines(path: Path) -> int:
    return len(lines_of(path))
