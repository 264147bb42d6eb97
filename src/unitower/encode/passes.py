"""Waiting inputs through the tower: batches by budget, in order, and smaller ones when memory runs out."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor

from unitower.encode.batching import Budget, Size, batches, windows
from unitower.encode.devices import memory_is_full, release_memory
from unitower.encode.inputs import Waiting
from unitower.errors import UnitowerError
from unitower.model.embedder import Embedder, Vectors
from unitower.types import Grid


@dataclass(frozen=True, kw_only=True)
class Passed:
    """Vectors of k neighbouring inputs, in their order.

    dense   float32 [k, hidden], full width
    tokens  k matrices float32 [tokens_i, m]
    grids   of those that are pictures
    """

    dense: Tensor
    tokens: list[Tensor]
    grids: tuple[Grid | None, ...]


class Passes:
    """Runs one tower. Threads may share it: the tower itself serves one pass at a time.

    budget  what a pass may hold. It falls to half of what has just not fitted whenever memory runs out, and stays there: the next
            call would meet the same wall. It changes how inputs are grouped, never what comes out.
    """

    def __init__(self, embedder: Embedder, budget: Budget) -> None:
        self.embedder = embedder
        self.budget = budget
        self._lock = threading.Lock()

    def run(
        self,
        waiting: Iterable[Waiting],
        *,
        adapter: str,
        budget: Budget | None = None,
        most: int | None = None,
        to_host: bool = True,
        as_released: bool = False,
        done: Callable[[int], None] = lambda count: None,
    ) -> Iterator[Passed]:
        """Vectors of the inputs in their order, a window at a time.

        budget       a smaller one for this call
        most         inputs in one pass at the most
        to_host      move the vectors to the CPU as each pass ends
        as_released  compute with the released code's steps and roundings; see `Embedder.forward`
        done         told after each pass how many inputs it held

        UnitowerError where one input does not fit in memory by itself.
        """
        asked = budget or self.budget

        def forward(group: list[Waiting]) -> Vectors | str:
            return self._attempt(group, adapter=adapter, as_released=as_released)

        for window in windows(waiting, size=lambda each: each.size, budget=asked):
            yield self._window(window, forward, asked=asked, most=most, to_host=to_host, done=done)
            window.clear()  # else it would live on while the next one is read

    def _window(
        self,
        window: list[Waiting],
        forward: Callable[[list[Waiting]], Vectors | str],
        *,
        asked: Budget,
        most: int | None,
        to_host: bool,
        done: Callable[[int], None],
    ) -> Passed:
        def grouped(positions: list[int]) -> deque[list[int]]:
            groups = batches([window[i].size for i in positions], budget=asked.least(self.budget), most=most)
            return deque([positions[i] for i in group] for group in groups)

        dense: dict[int, Tensor] = {}
        tokens: dict[int, Tensor] = {}
        left = grouped(list(range(len(window))))
        while left:
            group = left.popleft()
            vectors = forward([window[i] for i in group])
            if isinstance(vectors, str) and len(group) == 1:
                (only,) = group
                raise UnitowerError(
                    f"{window[only].what} does not fit in memory ({self.embedder.device}) even by itself: "
                    f"lower {window[only].remedy}, or use a device with more memory. ({vectors})"
                )
            if isinstance(vectors, str):
                size = reduce(Size.__add__, (window[i].size for i in group))
                self.budget = asked.least(self.budget).half_of(size)
                left = grouped(sorted([*group, *(i for other in left for i in other)]))
                continue
            device = "cpu" if to_host else self.embedder.device
            dense.update(zip(group, vectors.dense.to(device), strict=True))
            tokens.update(zip(group, torch.split(vectors.tokens.to(device), vectors.lengths), strict=True))
            done(len(group))
        order = range(len(window))
        return Passed(
            dense=torch.stack([dense[i] for i in order]),
            tokens=[tokens[i] for i in order],
            grids=tuple(each.grid for each in window),
        )

    def _attempt(self, waiting: list[Waiting], *, adapter: str, as_released: bool) -> Vectors | str:
        """One pass, or what the machine said when its memory ran out. What that pass held is free again on return, unlike in `except`."""
        try:
            sequences = [each.sequence() for each in waiting]
            with self._lock, torch.no_grad():
                vectors: Vectors = self.embedder(sequences, adapters=adapter, as_released=as_released)
                return vectors
        except (MemoryError, RuntimeError) as error:
            if not memory_is_full(error):
                raise
            said, *_ = str(error).strip().splitlines() or [type(error).__name__]
        release_memory(self.embedder.device)
        return said
