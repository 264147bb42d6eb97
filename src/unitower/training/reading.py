"""Reading, taught to the vision tower alone: which character stands in each slot of each cell of a page.

A tower that starts from nothing and is given only pages and queries learns nothing of pages: the way from a pixel to the right page is too
long. A drawn page knows its characters, so every cell gets an answer of its own. The head is used for this and is no part of a checkpoint.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F

from unitower.model.embedder import Embedder
from unitower.model.tower import BARE
from unitower.render.quick import ALPHABET, CELL_PX, SLOTS, Font, QuickPage, Written, page
from unitower.training.lesson import Measured

MEAN, STD = 0.45, 0.27
"""Of a pixel between 0 and 1: what the preprocessor of the checkpoint says, too."""

TOKEN_SCALE = 20.0
"""One over the temperature of `token_loss`."""

BLANKS = 0.06
"""Share of the empty slots that are asked about: they are ten to one, and learned in no time."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A batch of `pages` pages of rows x columns cells, drawn with a weight."""

    rows: int
    columns: int
    pages: int
    weight: float


SHAPES = (
    Shape(rows=16, columns=16, pages=4, weight=0.42),
    Shape(rows=12, columns=24, pages=4, weight=0.18),
    Shape(rows=8, columns=32, pages=4, weight=0.12),
    Shape(rows=36, columns=25, pages=1, weight=0.18),
    Shape(rows=42, columns=30, pages=1, weight=0.10),
)
"""About 1,000 cells a step: pieces of pages, cheap and varied, and every fourth time whole pages of 1,008 and 1,176 pixels."""


ENLARGED = 0.6
"""Share of the pages that are enlarged, for a tower that magnifies them; the others come from large pictures."""


class Reader(nn.Module):
    """The head: a cell's vector to the characters of its slots."""

    WIDTH = 64

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.inner = nn.Linear(hidden, SLOTS[0] * SLOTS[1] * self.WIDTH)
        self.outer = nn.Linear(self.WIDTH, len(ALPHABET) + 1)

    def forward(self, cells: Tensor, asked: Tensor) -> Tensor:
        """Logits [asked, characters] of the slots `asked`, by their place among all slots of all cells."""
        spread = self.inner(F.rms_norm(cells, cells.shape[-1:])).view(-1, self.WIDTH)
        return self.outer(F.gelu(spread[asked]))  # type: ignore[no-any-return]


def patches(images: Sequence[npt.NDArray[np.uint8]]) -> npt.NDArray[np.uint8]:
    """Pictures of one size as the tower takes them, but bytes: uint8 [pictures, patches, 3 * 14 * 14], patches in merge-cell order."""
    held = []
    for image in images:
        coloured = np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image
        height, width = coloured.shape[:2]
        cut = coloured.reshape(height // CELL_PX, 2, 14, width // CELL_PX, 2, 14, 3)
        held.append(cut.transpose(0, 3, 1, 4, 6, 2, 5).reshape(-1, 3 * 14 * 14))
    return np.stack(held)


def pixels(patches_BPV: npt.NDArray[np.uint8], *, like: Tensor) -> Tensor:
    """Bytes of `patches` to numbers: [B, P, 588], normalised, one frame."""
    return torch.from_numpy(patches_BPV).to(like.device).float().sub_(255 * MEAN).div_(255 * STD).to(like.dtype)


def character_loss(reader: Reader, cells: Tensor, labels: npt.NDArray[np.int16], *, written: float, blanks: float) -> tuple[Tensor, ...]:
    """Cross-entropy over slots drawn by chance, and the shares of characters and of blanks that came out right.

    written, blanks  share of the slots with and without a character that are asked about
    """
    answers = torch.from_numpy(labels).long().flatten()
    chance = torch.rand(len(answers))
    asked = torch.where(answers > 0, chance < written, chance < blanks).nonzero()[:, 0]
    answers, asked = answers[asked].to(cells.device), asked.to(cells.device)
    logits = reader(cells, asked).float()
    right, has_character = (logits.argmax(-1) == answers).float(), answers > 0
    return F.cross_entropy(logits, answers), _mean(right[has_character]), _mean(right[~has_character])


def _mean(values: Tensor) -> Tensor:
    return values.mean() if len(values) else values.new_ones(())


@dataclass(frozen=True)
class Spelled:
    """A word of a page as the tokenizer has it: its ids, and the cells (numbers on its page) that each stands in."""

    ids: list[int]
    cells: list[list[int]]


def spelled(words: Sequence[Written], tokenizer: Tokenizer, grid: tuple[int, int]) -> list[Spelled]:
    """The words of a page of rows x columns cells in tokens. A token that stands on the edge of two cells has both."""
    rows, columns = grid
    found = []
    for word, encoding in zip(words, tokenizer.encode_batch([f" {word.text}" for word in words]), strict=True):
        row, cells = int(word.middle // CELL_PX), []
        for start, end in encoding.offsets:  # of the word with a space before it
            first = min(max(0, start - 1), len(word.text) - 1)
            last = min(max(first + 1, end - 1), len(word.text))
            left, right = int(word.xs[first] // CELL_PX), int((word.xs[last] - 0.01) // CELL_PX)
            inside = 0 <= row < rows and left < columns
            cells.append([row * columns + column for column in range(left, min(right, columns - 1) + 1)] if inside else [])
        found.append(Spelled(encoding.ids, cells))
    return found


def bag_of(words: Sequence[Spelled], first_cell: int) -> list[tuple[int, int]]:
    """Token id and cell of everything written on a page whose cells are counted from `first_cell`."""
    return [(id, first_cell + cell) for word in words for id, at in zip(word.ids, word.cells, strict=True) for cell in at]


def token_loss(cells: Tensor, bag: npt.NDArray[np.int64], words: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """How far cells are from the tokens that stand in them, and the share whose nearest token is one of those.

    cells  [all cells, hidden]; words [vocabulary, hidden], the tokens' vectors, which get no gradient
    scale  one over the temperature

    Cross-entropy of a cell's tokens among all tokens of the batch, plus three times one minus the cosine to their mean. A token that stands
    in n cells weighs one over the root of n, in its cells and among them.
    """
    if not len(bag):
        return cells.sum() * 0, cells.new_ones(())
    kinds, kind, often = np.unique(bag[:, 0], return_inverse=True, return_counts=True)
    weight = torch.from_numpy((1 / np.sqrt(often))[kind]).float().to(cells.device)
    at = torch.from_numpy(bag[:, 1]).to(cells.device), torch.from_numpy(kind).to(cells.device)
    share = torch.zeros(len(cells), len(kinds), device=cells.device).index_put(at, weight, accumulate=True)
    written = share.sum(1) > 0
    share, total = share[written], share[written].sum(1)
    share, total = share / total[:, None], total / total.sum()
    unit = F.normalize(cells[written].float(), dim=-1)
    names = F.normalize(words.detach()[torch.from_numpy(kinds).to(cells.device)].float(), dim=-1)
    logs = F.log_softmax((unit.bfloat16() @ names.bfloat16().T).float() * scale, dim=-1)
    apart = 1 - (unit * F.normalize(share @ names, dim=-1)).sum(-1)
    right = share.gather(1, logs.argmax(1, keepdim=True))[:, 0] > 0
    return ((3 * apart - (share * logs).sum(1)) * total).sum(), right.float().mean()


class Pens:
    """Draws pages for lessons: texts, fonts, shapes.

    magnify  of the tower that learns (`ImageRules`): more than half of the pages are drawn smaller and enlarged by about that factor, the
             letters of the others are larger by it
    """

    def __init__(
        self, texts: Mapping[str, Sequence[str]], fonts: Sequence[Font], shapes: Sequence[Shape], *, easy: int = 0, magnify: float = 1.0
    ) -> None:
        self.texts, self.fonts, self.shapes, self.easy, self.magnify = texts, fonts, shapes, easy, magnify

    def shape(self, rng: random.Random) -> Shape:
        return rng.choices(self.shapes, [shape.weight for shape in self.shapes])[0]

    def page(self, rng: random.Random, shape: Shape, index: int) -> QuickPage:
        """A page of material `index`: easy at first, from number `easy` on everything."""
        ease = max(0.0, 1 - index / self.easy) if self.easy else 0.0
        size = (shape.columns * CELL_PX, shape.rows * CELL_PX)
        by = self.magnify - 1
        enlarged = 1 + rng.uniform(0.4 * by, 1.4 * by) if by and rng.random() < ENLARGED else 1.0
        larger = self.magnify if enlarged == 1 else 1.0
        return page(rng, size, texts=self.texts, fonts=self.fonts, ease=ease, enlarged=enlarged, larger=larger)


@dataclass(frozen=True)
class Sheets:
    """Pages of one size with the characters of their slots: uint8 [B, P, 588], int16 [B, cells, slots].

    bag  int64 [k, 2]: token id and cell (counted over all pages) of everything written, where it is asked for
    """

    grid: tuple[int, int]
    patches: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int16]
    bag: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 2), np.int64))


class Reading:
    """The lesson: pages in, characters out; with a tokenizer also the tokens of each cell, as the embeddings spell them."""

    def __init__(self, embedder: Embedder, reader: Reader, pens: Pens, tokenizer: Tokenizer | None = None) -> None:
        self.vision, self.reader, self.pens, self._tokenizer = embedder.vision, reader, pens, tokenizer
        self._words = embedder.decoder.embed_tokens.weight
        self.parameters: dict[str, Tensor] = {f"vision.{name}": p for name, p in self.vision.named_parameters()}
        self.parameters |= {f"reader.{name}": p for name, p in reader.named_parameters()}

    def make(self, rng: random.Random, index: int) -> Sheets:
        shape = self.pens.shape(rng)
        pages = [self.pens.page(rng, shape, index) for _ in range(shape.pages)]
        bag: list[tuple[int, int]] = []
        if self._tokenizer is not None:
            for number, each in enumerate(pages):
                words = spelled(each.words, self._tokenizer, (shape.rows, shape.columns))
                bag += bag_of(words, number * shape.rows * shape.columns)
        labels, images = np.stack([each.labels() for each in pages]), patches([each.image for each in pages])
        return Sheets((2 * shape.rows, 2 * shape.columns), images, labels, np.array(bag, np.int64).reshape(-1, 2))

    def measure(self, item: Sheets, *, progress: float) -> Measured:
        cells = self.vision(pixels(item.patches, like=self.reader.outer.weight), item.grid, BARE)
        loss, characters, blanks = character_loss(self.reader, cells, item.labels, written=1.0, blanks=BLANKS)
        parts, right = {"characters": loss}, {"characters": characters, "blanks": blanks}
        if self._tokenizer is not None:
            parts["tokens"], right["tokens"] = token_loss(cells.flatten(0, 1), item.bag, self._words, TOKEN_SCALE)
        return Measured(torch.stack([*parts.values()]).sum(), item.labels.shape[0] * item.labels.shape[1], parts=parts, right=right)
