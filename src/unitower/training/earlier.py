"""Pages and texts of earlier steps, which stand beside those of a step as further wrong answers.

A step sees a few pages, a search hundreds. What the tower said of earlier ones costs no second pass: it is a little out of date, which a
small rate forgives. Source: the memory of Wang et al. 2020 ("Cross-Batch Memory for Embedding Learning"), here for token vectors too.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from unitower.training.letters import Standing
from unitower.training.packed import TextVectors


@dataclass(frozen=True)
class Seen:
    """What was said of the pages of a step, and of the texts beside them; no gradients.

    tokens  [pages, tokens, m], of which `cells` (a range) are those of the picture
    dense   [pages, hidden]
    bag     int64 [n, 2]: token id and cell, counted over the pages
    runs    where words stand; None where no codes of letters are taught
    texts   the documents beside the pages; None where there are none
    """

    tokens: Tensor
    dense: Tensor
    cells: range
    bag: npt.NDArray[np.int64]
    runs: Standing | None = None
    texts: TextVectors | None = None

    @property
    def on_cells(self) -> Tensor:
        """[all cells, m]"""
        return self.tokens[:, self.cells.start : self.cells.stop].flatten(0, 1)


class Earlier:
    """The last `most` steps' pages; 0 keeps none."""

    def __init__(self, most: int) -> None:
        self._seen: deque[Seen] = deque(maxlen=most)

    def __iter__(self) -> Iterator[Seen]:
        return iter(self._seen)

    def __len__(self) -> int:
        return len(self._seen)

    def add(self, seen: Seen) -> None:
        """Keep what a step has seen; token vectors in bfloat16."""
        if not self._seen.maxlen:
            return
        texts = seen.texts and TextVectors(seen.texts.dense.detach(), seen.texts.tokens.detach().bfloat16(), seen.texts.real)
        tokens, dense = seen.tokens.detach().bfloat16(), seen.dense.detach()
        self._seen.append(Seen(tokens, dense, seen.cells, seen.bag, seen.runs, texts))

    @property
    def state(self) -> dict[str, Tensor]:
        """All that is kept, by name, on the CPU; `restore` takes it."""
        return {f"{k}.{name}": tensor.cpu().contiguous() for k, seen in enumerate(self._seen) for name, tensor in _tensors(seen).items()}

    def restore(self, state: Mapping[str, Tensor], device: torch.device) -> None:
        self._seen.clear()
        for k in range(len({name.partition(".")[0] for name in state})):
            self._seen.append(_seen({name.partition(".")[2]: t for name, t in state.items() if name.startswith(f"{k}.")}, device))


def _tensors(seen: Seen) -> dict[str, Tensor]:
    held = {
        "tokens": seen.tokens, "dense": seen.dense, "bag": torch.from_numpy(seen.bag),
        "cells": torch.tensor([seen.cells.start, seen.cells.stop]),
    }  # fmt: skip
    if seen.runs is not None:
        held |= {f"runs.{name}": torch.from_numpy(getattr(seen.runs, name)) for name in ("of", "at", "touched")}
        held["runs.keys"] = torch.from_numpy(np.frombuffer(json.dumps(seen.runs.keys).encode("ascii"), np.uint8).copy())
    if seen.texts is not None:
        held |= {f"texts.{name}": getattr(seen.texts, name) for name in ("dense", "tokens", "real")}
    return held


def _seen(held: Mapping[str, Tensor], device: torch.device) -> Seen:
    runs: Any = None
    texts: Any = None
    if "runs.keys" in held:
        keys = tuple(json.loads(held["runs.keys"].numpy().tobytes()))
        runs = Standing(keys, *(held[f"runs.{name}"].numpy() for name in ("of", "at", "touched")))
    if "texts.dense" in held:
        texts = TextVectors(*(held[f"texts.{name}"].to(device) for name in ("dense", "tokens", "real")))
    start, stop = held["cells"].tolist()
    return Seen(held["tokens"].to(device), held["dense"].to(device), range(start, stop), held["bag"].numpy(), runs, texts)
