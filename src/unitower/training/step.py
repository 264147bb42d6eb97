"""One training step's gradients: vectors of all sides, the loss of their scores, and the way back, in one pass or many.

The way back always goes in two halves. The loss is differentiated down to the vectors; then the vectors' gradients are handed to the
tower. So the tower may see a batch in chunks and forget them (gradients are cached: Gao et al. 2021), and the vectors of other processes
may stand beside one's own, and neither changes what comes out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import torch
from torch import Tensor

from unitower.losses import cosent, dense, joint, late, matryoshka
from unitower.losses.joint import Scored
from unitower.model.embedder import Embedder, TokenSequence, Vectors
from unitower.training.recipe import Objective

Precision: TypeAlias = Callable[[], AbstractContextManager[object]]


@dataclass(frozen=True, kw_only=True)
class Side:
    """Sequences that get vectors together: the queries, the documents or the hard negatives of a batch, with the adapter they go to."""

    sequences: tuple[TokenSequence, ...]
    adapter: str | None


@dataclass(frozen=True, kw_only=True)
class Sides:
    """A batch ready for the tower.

    queries, documents  one of each per pair
    negatives           of all pairs; None where the batch has none, empty where other processes have them all
    grades              float32 [B]; None where pairs simply belong together
    """

    queries: Side
    documents: Side
    negatives: Side | None = None
    grades: Tensor | None = None

    def parts(self) -> list[Side]:
        return [side for side in (self.queries, self.documents, self.negatives) if side is not None]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a step tells: the loss, its parts by name, and the share of queries whose own document scored highest, by batch and head."""

    loss: Tensor
    parts: Mapping[str, Tensor]
    accuracy: Mapping[str, Tensor]


Gather: TypeAlias = Callable[[Vectors], Vectors]
"""Vectors of all processes, in the order of the processes; those of this one keep their gradients."""


def backward(
    embedder: Embedder,
    batches: Mapping[str, Sides],
    objective: Objective,
    *,
    chunk_tokens: int | None = None,
    precision: Precision = nullcontext,
    gather: Gather = lambda vectors: vectors,
    gather_grades: Callable[[Tensor], Tensor] = lambda grades: grades,
) -> Measured:
    """Add the gradients of the loss of `batches` ("text", "pages") to the embedder's parameters.

    chunk_tokens  tokens the tower sees at once; None: all that one adapter serves. It changes memory and time, not the gradients
    gather        brings in the other processes' vectors; each process then differentiates the loss of the whole batch down to its own
                  vectors, so that the sum of the processes' gradients is that of one process with the whole batch
    """
    passes = [Pass(embedder, sides, chunk_tokens=chunk_tokens, precision=precision) for sides in by_adapter(batches)]
    leaf_of = {id(side): leaf for each in passes for side, leaf in zip(each.sides, each.leaves, strict=True)}
    vectors = {name: [gather(leaf_of[id(side)]) for side in sides.parts()] for name, sides in batches.items()}
    grades = {name: None if sides.grades is None else gather_grades(sides.grades) for name, sides in batches.items()}
    measured = loss_of(vectors, grades, objective)
    measured.loss.backward()  # type: ignore[no-untyped-call]
    for each in passes:
        each.backward()
    return measured


def by_adapter(batches: Mapping[str, Sides]) -> list[list[Side]]:
    """The sides of all batches, those of one adapter together: they share a pass, whose products are the larger for it."""
    together: dict[str | None, list[Side]] = {}
    for sides in batches.values():
        for side in sides.parts():
            together.setdefault(side.adapter, []).append(side)
    return list(together.values())


class Pass:
    """Vectors of sides that one adapter serves, and the way back from their gradients to the tower's parameters.

    leaves  vectors of each side, where the loss begins its way back
    """

    def __init__(self, embedder: Embedder, sides: Sequence[Side], *, chunk_tokens: int | None, precision: Precision) -> None:
        self.embedder, self.sides, self.precision = embedder, sides, precision
        self.chunks = list(chunked([sequence for side in sides for sequence in side.sequences], chunk_tokens))
        self.cached = len(self.chunks) > 1
        self.dice: list[Dice] = []
        with torch.no_grad() if self.cached else nullcontext():
            self.vectors = [self._embed(chunk) for chunk in self.chunks]
        dense, tokens = (torch.cat([getattr(v, head) for v in self.vectors]).detach() for head in ("dense", "tokens"))
        lengths = [length for v in self.vectors for length in v.lengths]
        self.leaves: list[Vectors] = []
        first = row = 0
        for side in sides:
            of_side = lengths[first : first + len(side.sequences)]
            rows = slice(row, row + sum(of_side))
            leaf = Vectors(dense[first : first + len(of_side)].requires_grad_(), tokens[rows].requires_grad_(), of_side)
            self.leaves.append(leaf)
            first, row = first + len(of_side), rows.stop

    def _embed(self, chunk: Sequence[TokenSequence]) -> Vectors:
        self.dice.append(Dice(self.embedder.device))
        with self.precision():
            return self.embedder(chunk, adapters=self.sides[0].adapter)  # type: ignore[no-any-return]

    def backward(self) -> None:
        dense_grads = split([leaf.dense for leaf in self.leaves], [len(v.lengths) for v in self.vectors])
        token_grads = split([leaf.tokens for leaf in self.leaves], [sum(v.lengths) for v in self.vectors])
        for i, chunk in enumerate(self.chunks):
            if self.cached:
                with self.dice[i].again():
                    vectors = self._embed(chunk)
            else:
                vectors = self.vectors[i]
            ends = ((vectors.dense, dense_grads[i]), (vectors.tokens, token_grads[i]))
            moved = [(end, gradient) for end, gradient in ends if gradient is not None and end.requires_grad]
            if moved:
                torch.autograd.backward([end for end, _ in moved], [gradient for _, gradient in moved])


def split(leaves: Sequence[Tensor], sizes: Sequence[int]) -> Sequence[Tensor | None]:
    """The gradients of leaves, end to end, in pieces; None where the loss touched no leaf."""
    if all(leaf.grad is None for leaf in leaves):
        return [None] * len(sizes)
    return torch.split(torch.cat([torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for leaf in leaves]), list(sizes))


class Dice:
    """The random state at a moment, to throw the same dropout again."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.state = torch.get_rng_state()
        self.device_state = torch.cuda.get_rng_state(device) if device.type == "cuda" else None

    @contextmanager
    def again(self) -> Iterator[None]:
        """Inside, random numbers are those of that moment; outside they go on undisturbed."""
        with torch.random.fork_rng(devices=[self.device] if self.device_state is not None else []):
            torch.set_rng_state(self.state)
            if self.device_state is not None:
                torch.cuda.set_rng_state(self.device_state, self.device)
            yield


def chunked(sequences: Sequence[TokenSequence], tokens: int | None) -> Iterator[Sequence[TokenSequence]]:
    """Neighbouring sequences, as many as `tokens` hold; a longer one goes alone. All at once where None."""
    if tokens is None:
        yield sequences
        return
    chunk: list[TokenSequence] = []
    held = 0
    for sequence in sequences:
        if chunk and held + len(sequence.ids) > tokens:
            yield chunk
            chunk, held = [], 0
        chunk.append(sequence)
        held += len(sequence.ids)
    yield chunk


# ---------------------------------------------------------------- scores and loss


def loss_of(vectors: Mapping[str, Sequence[Vectors]], grades: Mapping[str, Tensor | None], objective: Objective) -> Measured:
    """The objective on vectors: per batch queries, documents and, as further columns, hard negatives."""
    scored: dict[str, Scored] = {}
    parts: dict[str, Tensor] = {}
    accuracy: dict[str, Tensor] = {}
    for name, (queries, *documents) in vectors.items():
        grade = grades[name]
        if grade is not None and objective.kind == "graded":
            parts |= graded(name, queries, documents[0], grade, objective)
            continue
        one = together(documents)
        widths = dense_widths(objective, queries.dense.shape[1])
        dense_scores = matryoshka.scores(dense.scores, queries.dense, one.dense, widths=widths)
        late_scores = matryoshka.scores(
            partial(late.scores, query_lengths=queries.lengths, document_lengths=one.lengths, normalised=objective.normalised),
            queries.tokens,
            one.tokens,
            widths=objective.late_widths or (queries.tokens.shape[1],),
        )
        scored[name] = Scored(dense=dense_scores, late=late_scores)
        own = torch.arange(len(queries.lengths), device=queries.dense.device)
        for head, scores in (("dense", dense_scores), ("late", late_scores)):
            accuracy[f"{name}_{head}"] = (scores[max(scores)].detach().argmax(1) == own).float().mean()
    total = list(parts.values())
    if scored:
        result = joint.loss(
            text=scored.get("text"),
            pages=scored.get("pages"),
            weights=objective.weights,
            temperature=objective.temperature,
            both_ways=objective.both_ways,
            stop_gradient=objective.stop_gradient,
        )
        total.append(result.total)
        parts |= result.parts
    return Measured(loss=torch.stack(total).sum(), parts={name: part.detach() for name, part in parts.items()}, accuracy=accuracy)


def graded(name: str, queries: Vectors, documents: Vectors, grades: Tensor, objective: Objective) -> dict[str, Tensor]:
    """CoSENT of both heads, the dense one over its widths."""
    cosent_of = partial(cosent.loss, grades_B=grades, temperature=objective.cosent_temperature)
    widths = dense_widths(objective, queries.dense.shape[1])
    dense_loss = matryoshka.loss(cosent_of, matryoshka.scores(dense.paired, queries.dense, documents.dense, widths=widths))
    lengths = {"query_lengths": queries.lengths, "document_lengths": documents.lengths}
    late_scores = late.paired(queries.tokens, documents.tokens, **lengths, normalised=objective.normalised)
    return {f"{name}_dense_cosent": dense_loss, f"{name}_late_cosent": cosent_of(late_scores)}


def dense_widths(objective: Objective, full: int) -> tuple[int, ...]:
    return objective.dense_widths or (full,)


def together(parts: Sequence[Vectors]) -> Vectors:
    """Several sides as one."""
    if len(parts) == 1:
        return parts[0]
    lengths = [length for part in parts for length in part.lengths]
    return Vectors(torch.cat([part.dense for part in parts]), torch.cat([part.tokens for part in parts]), lengths)
