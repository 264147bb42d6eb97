"""Pages, taught to the whole tower: a word of a query finds the cells it stands in, a passage on a page means what it means as text.

Five things are asked of every batch of drawn pages: the characters and tokens of the cells (as in reading.py); that the vector of a
query's token is nearest to those of the cells where the token stands, among the cells of all pages; that a query scores its own page
highest by tokens and by the dense vector; and that a page's dense vector is that of its text, which the text side gives.

Where couples of texts are given, they and the pages are one pool: every query has to find its own among the pages and the texts. Taught
apart, pages drown texts: one of 900 cells is always near. Pages and texts of earlier steps may stand in that pool, too (earlier.py).
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F

from unitower.model.adapters import Route
from unitower.model.embedder import Embedder
from unitower.model.tower import BARE
from unitower.training.earlier import Earlier, Seen
from unitower.training.lesson import Lesson, Measured, Remembers
from unitower.training.letters import LetterCodes, Run, Standing, gathered, page_losses, runs_of
from unitower.training.packed import Packed, TextVectors, late_scores, pack, text_vectors
from unitower.training.reading import Pens, Reader, Sheets, Spelled, bag_of, character_loss, patches, pixels, spelled, token_loss
from unitower.training.texts import TextBatch, Texts

QUERY_TOKENS, PASSAGE_TOKENS = 48, 96
QUERY_WORDS = (1, 2, 3, 3, 4, 5, 6, 8, 10, 12)
"""Numbers of words of a query, drawn evenly: key words and phrases."""

COVERED, MOST_QUERIES, LARGE_CELLS = 0.6, 14, 500
"""Queries go on until they hold this share of a page's words, or there are so many of them; four times as many on a large page."""

FEWEST_WORDS = 3
"""A page with fewer says nothing; another is drawn."""

LATE_SCALE, DENSE_SCALE = 40.0, 20.0
CELL_SCALE = (20.0, 35.0)
"""One over the temperature of token-to-cell alignment, at the beginning and from the middle of the stage on."""


@dataclass(frozen=True)
class PageBatch:
    """Pages of one size, queries on them, and their passages.

    texts    the queries, then the passage of each page
    owner    int64 [queries]: the page of each
    placed   int64 [n, 3]: query, place in it, token id, of the tokens that stand in a cell
    at       int64 [m, 2]: row of `placed`, and a cell that the token stands in, counted over all pages
    runs     where words stand, for the codes of letters
    couples  queries and documents that are texts, in one pool with the pages
    """

    sheets: Sheets
    texts: Packed
    owner: npt.NDArray[np.int64]
    placed: npt.NDArray[np.int64]
    at: npt.NDArray[np.int64]
    runs: Standing | None = None
    couples: TextBatch | None = None


class Pages:
    """The lesson.

    frame       token ids before and after the cells of a page
    prompts     of queries and passages
    characters  weight of what reading.py asks, characters and tokens; 0 leaves it out
    letters     codes that the token vectors of cells are to be near (letters.py); None leaves that out
    couples     gives the texts that stand in one pool with the pages; None: pages are alone
    earlier     steps whose pages and texts stand in the pool of a later one
    """

    def __init__(
        self, embedder: Embedder, reader: Reader, learns: Mapping[str, Tensor], pens: Pens, tokenizer: Tokenizer, *,
        frame: str, prompts: tuple[str, str], characters: float = 1.0, letters: LetterCodes | None = None,
        couples: Texts | None = None, earlier: int = 0, route: Route = BARE,
    ) -> None:  # fmt: skip
        self.embedder, self.reader, self.parameters, self.pens, self.route = embedder, reader, dict(learns), pens, route
        self._tokenizer, self._characters, self._letters, self._couples = tokenizer, characters, letters, couples
        self._earlier = Earlier(earlier)
        self._prompts = [tokenizer.encode(prompt).ids for prompt in prompts]
        ids = tokenizer.encode(frame).ids
        image = ids.index(embedder.config.image_token_id)
        self._before, self._after = ids[:image], ids[image + 1 :]

    # ---- material

    def make(self, rng: random.Random, index: int) -> PageBatch:
        shape = self.pens.shape(rng)
        grid, area = (shape.rows, shape.columns), shape.rows * shape.columns
        images: list[npt.NDArray[np.uint8]] = []
        labels: list[npt.NDArray[np.int16]] = []
        passages: list[list[int]] = []
        queries: list[list[int]] = []
        owner: list[int] = []
        places: list[list[list[int]]] = []  # of each query, of each of its tokens: cells
        bag: list[tuple[int, int]] = []
        runs: list[list[Run]] = []
        while len(images) < shape.pages:
            page = self.pens.page(rng, shape, index)
            if len(page.words) < FEWEST_WORDS:
                continue
            number, words = len(images), spelled(page.words, self._tokenizer, grid)
            for query in self._queries(rng, words, large=area > LARGE_CELLS):
                ids = [*self._prompts[0], *(id for word in query for id in word.ids)][:QUERY_TOKENS]
                cells = [*[[]] * len(self._prompts[0]), *(at for word in query for at in word.cells)][:QUERY_TOKENS]
                queries.append(ids)
                places.append([[number * area + cell for cell in at] for at in cells])
                owner.append(number)
            passages.append([*self._prompts[1], *(id for word in words for id in word.ids)][:PASSAGE_TOKENS])
            bag += bag_of(words, number * area)
            if self._letters is not None:
                runs.append(runs_of(page.words, grid))
            images.append(page.image)
            labels.append(page.labels())
        placed = [(q, k, queries[q][k]) for q, query in enumerate(places) for k, at in enumerate(query) if at]
        at_cells = [(row, cell) for row, (q, k, _) in enumerate(placed) for cell in places[q][k]]
        return PageBatch(
            Sheets(
                (2 * shape.rows, 2 * shape.columns), patches(images), np.stack(labels), np.array(bag, np.int64).reshape(-1, 2)
            ),
            pack([*queries, *passages]), np.array(owner), np.array(placed, np.int64).reshape(-1, 3),
            np.array(at_cells, np.int64).reshape(-1, 2), gathered(runs, area) if self._letters is not None else None,
            self._couples.make(rng, index) if self._couples is not None else None,
        )  # fmt: skip

    @staticmethod
    def _queries(rng: random.Random, words: Sequence[Spelled], *, large: bool) -> list[Sequence[Spelled]]:
        """Words that follow each other, or a few from anywhere, until most of the page has been asked for."""
        queries: list[Sequence[Spelled]] = []
        asked = 0
        while asked < COVERED * len(words) and len(queries) < (4 * MOST_QUERIES if large else MOST_QUERIES):
            count = min(len(words), rng.choice(QUERY_WORDS))
            if rng.random() < 0.75:
                start = rng.randrange(len(words) - count + 1)
                queries.append(words[start : start + count])
            else:
                queries.append(rng.sample(list(words), count if count < 7 else 4))
            asked += count
        return queries

    # ---- losses

    def measure(self, item: PageBatch, *, progress: float) -> Measured:
        count, queries = len(item.sheets.patches), len(item.owner)
        cells, page_dense, page_tokens = self._seen(item.sheets)
        area = cells.shape[1]
        texts = text_vectors(self.embedder, item.texts, self.route)
        device, own = cells.device, torch.from_numpy(item.owner).to(cells.device)
        asked = texts.tokens[:queries]

        before = len(self._before)
        on_cells = page_tokens[:, before : before + area].reshape(count * area, -1)
        scale = CELL_SCALE[0] + (CELL_SCALE[1] - CELL_SCALE[0]) * min(1.0, 2 * progress)
        aligned, at_its_cell = alignment(asked, on_cells, item, scale, self._earlier)
        beside = None if item.couples is None else text_vectors(self.embedder, item.couples.packed, self.route)
        pairs = item.couples.size if item.couples else 0
        pool = Pool(page_tokens, page_dense, None if beside is None else beside[pairs:], self._earlier)
        late, dense = pool.scores(texts[:queries])
        text_dense = texts.dense[queries:].detach()  # the page learns from the text, not the text from the page
        alike = page_dense @ text_dense.T

        parts = {
            "tokens at cells": aligned, "late": F.cross_entropy(late * LATE_SCALE, own), "dense": F.cross_entropy(dense * DENSE_SCALE, own),
            "imitation": (1 - alike.diagonal()).mean(),
            "passages": F.cross_entropy(alike * DENSE_SCALE, torch.arange(count, device=device)),
        }  # fmt: skip
        loss = parts["tokens at cells"] + parts["late"] + 0.3 * parts["dense"] + 2 * parts["imitation"] + 0.3 * parts["passages"]
        right = {"tokens at cells": at_its_cell, "late": _first(late, own), "dense": _first(dense, own)}
        if beside is not None:
            late, dense = pool.scores(beside[:pairs])
            own = count + torch.arange(len(late), device=device)
            parts["texts late"], parts["texts dense"] = F.cross_entropy(late * LATE_SCALE, own), F.cross_entropy(dense * DENSE_SCALE, own)
            right["texts late"], right["texts dense"] = _first(late, own), _first(dense, own)
            loss = loss + parts["texts late"] + 0.5 * parts["texts dense"]
        if self._letters is not None and item.runs is not None:
            earlier = [(seen.runs, seen.on_cells) for seen in self._earlier if seen.runs is not None]
            spelt, met = page_losses(self._letters, item.runs, on_cells, earlier)
            frame = torch.cat([page_tokens[:, :before], page_tokens[:, before + area :]], 1)
            spelt["frame"] = (1 - frame @ self._letters([""])[0].detach()).mean()  # what stands around the cells says nothing
            parts, right = parts | spelt, right | met
            loss = loss + spelt["words"] + spelt["cells"] + 0.3 * spelt["blanks"] + 0.5 * spelt["frame"]
        if self._characters:
            # half of the characters are enough: a page has thousands
            parts["characters"], right["characters"], _ = character_loss(self.reader, cells, item.sheets.labels, written=0.5, blanks=0.03)
            words = self.embedder.decoder.embed_tokens.weight
            parts["tokens"], right["tokens"] = token_loss(cells.flatten(0, 1), item.sheets.bag, words, scale)
            loss = loss + self._characters * (parts["characters"] + parts["tokens"])
        self._earlier.add(Seen(page_tokens, page_dense, range(before, before + area), item.sheets.bag, item.runs, pool.texts))
        return Measured(loss, count * area, parts=parts, right=right)

    @property
    def memory(self) -> dict[str, Tensor]:
        """What a later step finds of those before it."""
        return self._earlier.state

    def recall(self, memory: Mapping[str, Tensor]) -> None:
        """Go on from what `memory` was."""
        self._earlier.restore(memory, self.embedder.device)

    def _seen(self, sheets: Sheets) -> tuple[Tensor, Tensor, Tensor]:
        """Cells of the vision tower [B, cells, hidden], dense vectors [B, hidden], token vectors of all tokens of a page [B, tokens, m]."""
        embedder, (before, after) = self.embedder, (self._before, self._after)
        rows, columns = sheets.grid[0] // 2, sheets.grid[1] // 2
        count, start, area = len(sheets.patches), len(before), rows * columns
        cells = embedder.vision(pixels(sheets.patches, like=embedder.projector.weight), sheets.grid, BARE)
        words = embedder.decoder.embed_tokens(torch.tensor([*before, *after], device=cells.device))
        x = torch.cat([words[:start].expand(count, -1, -1), cells, words[start:].expand(count, -1, -1)], dim=1)
        length = x.shape[1]
        positions = page_positions(start, rows, columns, len(after)).repeat(1, count).to(cells.device)
        hidden = embedder.decoder(x.flatten(0, 1), positions, [length] * count, self.route)
        unit = F.normalize(embedder.projector(hidden, self.route).float(), dim=-1).view(count, length, -1)
        pooled = hidden.view(count, length, -1)[:, start - 1 : start + area + 1].float().mean(1)
        return cells, F.normalize(pooled, dim=-1), unit


@dataclass(frozen=True)
class Pool:
    """What a query is to find its own in: pages, then texts, then those of earlier steps, which no query is for."""

    page_tokens: Tensor
    page_dense: Tensor
    texts: TextVectors | None = None
    earlier: Iterable[Seen] = ()

    def scores(self, queries: TextVectors) -> tuple[Tensor, Tensor]:
        """By tokens and by dense vectors: [queries, all that is in the pool]."""
        late, dense = [late_scores(queries.tokens, queries.real, self.page_tokens)], [queries.dense @ self.page_dense.T]
        for texts in (self.texts, *(seen.texts for seen in self.earlier)):
            if texts is not None:
                late.append(late_scores(queries.tokens, queries.real, texts.tokens, texts.real))
                dense.append(queries.dense @ texts.dense.T)
        for seen in self.earlier:
            late.append(late_scores(queries.tokens, queries.real, seen.tokens))
            dense.append(queries.dense @ seen.dense.T)
        return torch.cat(late, 1), torch.cat(dense, 1)


def page_positions(start: int, rows: int, columns: int, after: int) -> Tensor:
    """Time, row and column of the tokens of a page, int64 [3, n], as `Embedder.positions` has them."""
    y, x = torch.arange(rows).repeat_interleave(columns), torch.arange(columns).repeat(rows)
    cells = torch.stack([torch.zeros_like(y), y, x]) + start
    behind = start + max(rows, columns) + torch.arange(after)
    return torch.cat([torch.arange(start).expand(3, -1), cells, behind.expand(3, -1)], dim=1)


def alignment(asked: Tensor, cells: Tensor, batch: PageBatch, scale: float, earlier: Iterable[Seen] = ()) -> tuple[Tensor, Tensor]:
    """Cross-entropy of a token's own cells among all cells of the batch and of earlier ones, and the share whose nearest cell is its own.

    asked  [queries, tokens, m]; cells [all cells of the batch, m]

    Other cells where the same token stands are neither right nor wrong. A token that is asked for often counts less: one over the root of
    how often, so that "the" does not rule the batch.
    """
    if not len(batch.placed):
        return cells.sum() * 0, cells.new_ones(())
    device, count = cells.device, len(cells)
    query, place, ids = batch.placed.T
    tokens = asked[torch.from_numpy(query).to(device), torch.from_numpy(place).to(device)].bfloat16()
    kinds, kind, often = np.unique(ids, return_inverse=True, return_counts=True)
    weight = torch.from_numpy((1 / np.sqrt(often))[kind]).float().to(device)
    weight = weight / weight.sum()

    def stands(bag: npt.NDArray[np.int64], count: int) -> Tensor:
        """Where the tokens stand among so many cells: bool [placed, cells]."""
        there = np.zeros((len(kinds), count), bool)
        found = np.searchsorted(kinds, bag[:, 0]).clip(max=len(kinds) - 1)
        known = kinds[found] == bag[:, 0]
        there[found[known], bag[known, 1]] = True
        return torch.from_numpy(there[kind])

    here = torch.zeros(len(ids), count, dtype=torch.bool)
    here[torch.from_numpy(batch.at[:, 0]), torch.from_numpy(batch.at[:, 1])] = True
    elsewhere, here = (stands(batch.sheets.bag, count) & ~here).to(device), here.to(device)
    logits = ((tokens @ cells.bfloat16().T).float() * scale).masked_fill(elsewhere, -1e4)
    mine = logits.masked_fill(~here, -1e4)
    all_, nearest = torch.logsumexp(logits, -1), logits.detach().amax(-1)
    for seen in earlier:
        others = seen.on_cells
        beside = ((tokens @ others.bfloat16().T).float() * scale).masked_fill(stands(seen.bag, len(others)).to(device), -1e4)
        all_ = torch.logaddexp(all_, torch.logsumexp(beside, -1))
        nearest = torch.maximum(nearest, beside.detach().amax(-1))
    right = (mine.detach().amax(-1) >= nearest).float()
    return ((all_ - torch.logsumexp(mine, -1)) * weight).sum(), (right * weight).sum()


def _first(scores: Tensor, own: Tensor) -> Tensor:
    return (scores.argmax(1) == own).float().mean()


@dataclass(frozen=True)
class Part:
    """A lesson among others: taught in every `every`th step, with a weight."""

    lesson: Lesson
    every: int = 1
    weight: float = 1.0


class Together:
    """Several lessons at once: the loss of a step is the weighted sum of those whose turn it is."""

    def __init__(self, **parts: Part) -> None:
        self.parts = parts
        self.parameters: dict[str, Tensor] = {}
        for part in parts.values():
            self.parameters |= part.lesson.parameters

    def make(self, rng: random.Random, index: int) -> dict[str, object]:
        return {name: part.lesson.make(rng, index) for name, part in self.parts.items() if index % part.every == 0}

    @property
    def memory(self) -> dict[str, Tensor]:
        """Of the parts that have one, by their names."""
        remembering = {name: part.lesson for name, part in self.parts.items() if isinstance(part.lesson, Remembers)}
        return {f"{name}.{key}": value for name, lesson in remembering.items() for key, value in lesson.memory.items()}

    def recall(self, memory: Mapping[str, Tensor]) -> None:
        for name, part in self.parts.items():
            if isinstance(part.lesson, Remembers):
                part.lesson.recall({key.removeprefix(f"{name}."): value for key, value in memory.items() if key.startswith(f"{name}.")})

    def measure(self, item: Mapping[str, object], *, progress: float) -> Measured:
        measured = {name: self.parts[name].lesson.measure(each, progress=progress) for name, each in item.items()}
        loss = torch.stack([self.parts[name].weight * each.loss for name, each in measured.items()]).sum()
        return Measured(
            loss, next(iter(measured.values())).size,
            parts={f"{name} {key}": value for name, each in measured.items() for key, value in each.parts.items()},
            right={f"{name} {key}": value for name, each in measured.items() for key, value in each.right.items()},
        )  # fmt: skip
