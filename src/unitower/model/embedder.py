"""Tower and heads together: token sequences in, dense and multi-vectors out, both from one pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import accumulate, pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unitower.errors import CheckpointError
from unitower.model.adapters import AdaptedLinear, Route, route_of
from unitower.model.config import LoraConfig, ModelConfig
from unitower.model.heads import pooled
from unitower.model.tower import BARE, Decoder, VisionTower, called, checkpointed

MERGE_LIMIT_BYTES = 2 << 30
"""Adapters are merged into a second copy of the decoder's weights up to this size; a larger tower runs them unmerged, at about
2 r / C more arithmetic (3 % for the released model) instead of twice the memory."""

VISION_BATCH_PATCHES = {"cpu": 4096}
"""Patches of equal-sized images that the vision tower sees at once. On a CPU more would fall out of the cache; elsewhere 32,768."""


@dataclass(frozen=True)
class Patches:
    """An image as the vision tower takes it.

    pixels  float32 [P, channels * time * patch * patch], normalised, patches in merge-cell order (a cell's patches are neighbours)
    grid    (rows, columns) of patches; P = rows * columns
    start   index of the first image token in the sequence
    """

    pixels: Tensor
    grid: tuple[int, int]
    start: int


@dataclass(frozen=True)
class TokenSequence:
    """One item as token ids, int64 [n]; where it is a page, its image tokens get their vectors from `patches`.

    pooled  first row, and row after the last, that make a text's dense vector; None: all of them
    """

    ids: Tensor
    patches: Patches | None = None
    pooled: tuple[int, int] | None = None


@dataclass(frozen=True)
class Vectors:
    """What a pass gives, on the tower's device.

    dense    float32 [n, hidden], unit rows, full width
    tokens   float32 [sum of lengths, m], unit rows, sequences end to end
    lengths  tokens of each sequence
    """

    dense: Tensor
    tokens: Tensor
    lengths: list[int]


class Embedder(nn.Module):
    """The tower with its projector and adapters.

    Dense: mean of the final hidden states, over all tokens of a text, over <|vision_start|> to <|vision_end|> of a page. Multi: the
    projector (with its adapter) on every token. Source: jina-embeddings-v4, §3.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.vision = VisionTower(config.vision)
        self.decoder = Decoder(config.text)
        self.projector = AdaptedLinear(config.text.hidden_size, [config.multi_vector_projector_dim], bias=True)
        self.lora: dict[str, LoraConfig] = {}
        self.merged: str | None = None
        self._merged_state: list[tuple[int, int]] = []

    @property
    def device(self) -> torch.device:
        return self.projector.weight.device

    @property
    def dtype(self) -> torch.dtype:
        return self.projector.weight.dtype

    def recompute(self, on: bool) -> None:
        """Whether passes with gradients keep no activations inside a block but compute them again on the way back: slower, much smaller."""
        self.vision.run = self.decoder.run = checkpointed if on else called

    # ---- adapters

    def adapted(self) -> Iterator[tuple[str, AdaptedLinear]]:
        """Every layer that carries adapters: the decoder's and the projector."""
        for part in ("decoder", "projector"):
            for name, module in self.get_submodule(part).named_modules(prefix=part):
                if isinstance(module, AdaptedLinear):
                    yield name, module

    def add_adapter(self, name: str, lora: LoraConfig, *, start_from: str | None = None) -> None:
        """A new adapter that gives exactly the output of the bare tower, or of the adapter it starts from (of another scale: to rounding).

        ValueError where the name is taken or cannot be, or the rank is not that of the adapter it starts from.
        """
        if name in self.lora:
            raise ValueError(f"there is an adapter {name!r} already.")
        if not name or "." in name or hasattr(nn.ParameterDict, name):
            raise ValueError(f"an adapter cannot be called {name!r}: torch keeps that name, or the dot in it, for itself.")
        if start_from is not None:
            self._check(start_from)
            if self.lora[start_from].r != lora.r:
                raise ValueError(f"adapter {start_from!r} has rank {self.lora[start_from].r}; a copy of it cannot have rank {lora.r}.")
        self.lora[name] = lora
        for _, layer in self.adapted():
            layer.add_adapter(name, lora)
            if start_from is not None:
                with torch.no_grad():
                    layer.lora_A[name].copy_(layer.lora_A[start_from])
                    layer.lora_B[name].copy_(layer.lora_B[start_from] * (self.lora[start_from].scale / lora.scale))

    def remove_adapter(self, name: str) -> None:
        """Forget an adapter, such as one that others were started from."""
        self._check(name)
        if self.merged == name:
            self.merge(None)
        for _, layer in self.adapted():
            layer.remove_adapter(name)
        del self.lora[name]

    def adapter_for(self, task: str, role: str) -> str:
        """Name of the adapter that serves a task, and a role where the checkpoint keeps its roles apart.

        ValueError names the tasks there are.
        """
        return self.config.adapter_for(task, role)

    def merge(self, name: str | None) -> None:
        """Hold the weights of one adapter ready-merged; None lets go of them. A pass does so by itself, and again after training."""
        self._check(name)
        self.merged = None
        try:
            for _, layer in self.adapted():
                layer.merge(name)
        except BaseException:  # out of memory, or Ctrl-C: half the layers must not go on with another adapter than the rest
            for _, layer in self.adapted():
                layer.merge(None)
            raise
        self.merged, self._merged_state = name, self._state(name)

    def _check(self, *names: str | None) -> None:
        for name in names:
            if name is not None and name not in self.lora:
                raise CheckpointError(f"there is no adapter {name!r}; the checkpoint has {', '.join(self.lora) or 'none'}.")

    def _serves_merged(self, adapters: set[str | None]) -> bool:
        """Whether one adapter serves all and its merged weights are at hand, which they are made to be."""
        if len(adapters) != 1 or torch.is_grad_enabled() or (self.training and any(lora.lora_dropout for lora in self.lora.values())):
            return False
        (name,) = adapters
        if name not in (None, self.merged) and sum(layer.weight.nbytes for _, layer in self.adapted()) > MERGE_LIMIT_BYTES:
            return False
        if name != self.merged or self._state(name) != self._merged_state:
            self.merge(name)
        return True

    def _state(self, name: str | None) -> list[tuple[int, int]]:
        """Which weights `merge(name)` reads, and how often each has been written to; it changes when a merged copy is out of date."""
        if name is None:
            return []
        read = (weight for _, layer in self.adapted() for weight in (layer.weight, layer.lora_A[name], layer.lora_B[name]))
        return [(id(weight), 0 if weight.is_inference() else weight._version) for weight in read]

    # ---- the pass

    def forward(
        self, sequences: Sequence[TokenSequence], *, adapters: str | Sequence[str | None] | None, as_released: bool = False
    ) -> Vectors:
        """Dense and multi-vectors of the sequences.

        adapters     one name for all, or one per sequence; None is the bare tower. Sequences of different adapters share the pass.
        as_released  compute step by step as the released code does, adapters beside the base: the same to 1e-6 in float32, and in
                     bfloat16 rounded in the same places. Otherwise, without gradients, a batch of one adapter runs on merged weights
                     and fused products, which is faster and no less exact.
        """
        names = [adapters] * len(sequences) if adapters is None or isinstance(adapters, str) else list(adapters)
        self._check(*names)
        lengths = [len(sequence.ids) for sequence in sequences]
        starts = list(accumulate(lengths, initial=0))
        route: Route | None = route_of(names, lengths)
        if not as_released and self._serves_merged(set(names)):
            route = None

        x = self.decoder.embed_tokens(torch.cat([sequence.ids for sequence in sequences]).to(self.device))
        pages = [(sequence.patches, start) for sequence, start in zip(sequences, starts, strict=False) if sequence.patches is not None]
        if pages:
            frozen = not any(weight.requires_grad for weight in self.vision.parameters())
            with torch.no_grad() if frozen else nullcontext():
                cells = self.see([patches for patches, _ in pages], as_released=as_released or torch.is_grad_enabled())
            rows = [torch.arange(len(seen)) + start + patches.start for (patches, start), seen in zip(pages, cells, strict=True)]
            x = x.index_copy(0, torch.cat(rows).to(self.device), torch.cat(cells).to(x.dtype))
        positions = torch.cat([self.positions(sequence) for sequence in sequences], dim=1).to(self.device)
        hidden = self.decoder(x, positions, lengths, route)

        tokens = F.normalize(self.projector(hidden, route).float(), dim=-1)
        spans = [self._pooled_span(sequence, *ends) for sequence, ends in zip(sequences, pairwise(starts), strict=True)]
        return Vectors(pooled(hidden, spans), tokens, lengths)

    def see(self, images: Sequence[Patches], *, as_released: bool = False) -> list[Tensor]:
        """Cells [H * W, hidden] of each image. Images of one size are seen together, as many as fit; none attends to another."""
        limit = VISION_BATCH_PATCHES.get(self.device.type, 32_768)
        by_grid: dict[tuple[int, int], list[int]] = {}
        for i, image in enumerate(images):
            by_grid.setdefault(image.grid, []).append(i)
        cells: list[Tensor | None] = [None] * len(images)
        for grid, members in by_grid.items():
            step = max(1, limit // (grid[0] * grid[1]))
            for first in range(0, len(members), step):
                chunk = members[first : first + step]
                seen = self.vision(torch.stack([images[i].pixels for i in chunk]), grid, BARE if as_released else None)
                for i, each in zip(chunk, seen, strict=True):
                    cells[i] = each
        return cells  # type: ignore[return-value]

    def positions(self, sequence: TokenSequence) -> Tensor:
        """Time, row and column of every token, int64 [3, n].

        Words count up in all three. The cells of a page share the time of its first cell and count rows and columns from there; what
        follows goes on after the longer side.
        """
        n, patches = len(sequence.ids), sequence.patches
        if patches is None:
            return torch.arange(n).expand(3, n)
        merge, start = self.config.vision.spatial_merge_size, patches.start
        rows, columns = patches.grid[0] // merge, patches.grid[1] // merge
        y, x = torch.arange(rows).repeat_interleave(columns), torch.arange(columns).repeat(rows)
        page = torch.stack([torch.zeros_like(y), y, x]) + start
        after = start + max(rows, columns) + torch.arange(n - start - rows * columns)
        return torch.cat([torch.arange(start).expand(3, -1), page, after.expand(3, -1)], dim=1)

    def _pooled_span(self, sequence: TokenSequence, first: int, last: int) -> tuple[int, int]:
        if sequence.patches is None:
            return (first, last) if sequence.pooled is None else (first + sequence.pooled[0], first + sequence.pooled[1])
        merge, (rows, columns) = self.config.vision.spatial_merge_size, sequence.patches.grid
        start = first + sequence.patches.start
        return start - 1, start + rows * columns // merge**2 + 1
