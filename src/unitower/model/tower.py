"""The tower: a vision transformer with windows, and a Qwen2 decoder with M-RoPE, on packed sequences without padding.

What is special here:
- all sequences of a batch lie end to end in one matrix; every product runs over all rows at once, attention runs per sequence, so
  nothing is padded and no sequence can see another;
- q, k, v and gate, up are one product each; adapters are merged into a copy of the weights when a batch needs only one;
- windows of equal size are neighbours in memory, so that windowed attention is a view, not a gather;
- images are seen a few at a time and never attend across one another, so memory does not grow with their number.

Shapes: N rows of all sequences, C hidden width, A heads, K key-value heads, D head width, P patches, H x W merge cells.
Source: Qwen2.5-VL (Bai et al. 2025); the arithmetic is that of transformers' Qwen2_5_VLModel (tests/property/test_tower.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from unitower.model import passes
from unitower.model.adapters import AdaptedLinear, Route
from unitower.model.config import TextConfig, VisionConfig
from unitower.model.gradients import attend, rms_norm, silu_gate, turn, window_attention
from unitower.model.linear import linear, linear_silu, linear_times
from unitower.model.passes import turned

BARE: Route = ((None, 0, -1),)
"""The released code's arithmetic without adapters, for the vision tower."""


def called(block: nn.Module, *args: Any) -> Tensor:
    return block(*args)  # type: ignore[no-any-return]


def checkpointed(block: nn.Module, *args: Any) -> Tensor:
    """The same, keeping only what went in: the block is computed again when its gradients are asked for. Source: Chen et al. 2016."""
    return checkpoint(block, *args, use_reentrant=False)  # type: ignore[no-any-return]


class RMSNorm(nn.Module):
    """x / sqrt(mean(x^2) + eps) in float32, then times a weight. Source: Zhang & Sennrich 2019."""

    def __init__(self, width: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            return rms_norm(x, self.weight, self.eps)
        wide = x.float()
        scale = torch.rsqrt(torch.linalg.vector_norm(wide, dim=-1, keepdim=True).square() / x.shape[-1] + self.eps)
        scaled = wide.mul_(scale) if wide is not x else wide * scale
        return scaled.to(x.dtype) * self.weight  # rounded before the weight, as the released code does


def rotate(x_NAD: Tensor, cos_N1D: Tensor, sin_N1D: Tensor, *, fast: bool) -> Tensor:
    """Turn each head's pair (i, i + D/2) by its row's angle, in the precision of cos and sin [..., 1, D/2]. Source: Su et al. 2021.

    fast  in place of the released code's four rounded products and two sums, two products into each of which a second one is added
    """
    if torch.is_grad_enabled():
        return turn(x_NAD, cos_N1D, sin_N1D)
    if fast:
        return turned(x_NAD, cos_N1D, sin_N1D)
    a, b = x_NAD.chunk(2, dim=-1)
    return torch.cat([a * cos_N1D - b * sin_N1D, b * cos_N1D + a * sin_N1D], dim=-1).to(x_NAD.dtype)


class GatedMLP(nn.Module):
    """down(silu(gate x) * up x)."""

    def __init__(self, width: int, inner: int, *, bias: bool) -> None:
        super().__init__()
        self.gate_up = AdaptedLinear(width, [inner, inner], bias=bias)
        self.down = AdaptedLinear(inner, [width], bias=bias)

    def forward(self, x: Tensor, route: Route | None, *, plus: Tensor) -> Tensor:
        """The MLP's output added to `plus`, the residual."""
        if route is None:
            gate, up = self.gate_up.fast.chunk(2)
            gate_bias, up_bias = (None, None) if self.gate_up.bias is None else self.gate_up.bias.chunk(2)
            inner = linear_times(x, up, up_bias, linear_silu(x, gate, gate_bias))
        else:
            gate_up = self.gate_up(x, route)
            if torch.is_grad_enabled():
                inner = silu_gate(gate_up)
            else:
                gate, up = gate_up.chunk(2, dim=-1)
                inner = F.silu(gate) * up
        return self.down(inner, route, plus=plus)  # type: ignore[no-any-return]


# ---------------------------------------------------------------- vision


@dataclass(frozen=True)
class Geometry:
    """Where the patches of an image of one size go.

    order    int64 [H * W]: merge cells in the order of the blocks, windows of equal size together
    back     int64 [H * W]: undoes `order`
    windows  (patches in a window, windows of that size) in order
    angles   float32 [4 * H * W, D / 2]: rotary angles of the patches, in order
    """

    order: Tensor
    back: Tensor
    windows: tuple[tuple[int, int], ...]
    angles: Tensor


@lru_cache(maxsize=64)
@torch.inference_mode(False)  # what is kept must serve a later pass with gradients too
def geometry(rows: int, columns: int, *, window: int, merge: int, head_dim: int) -> Geometry:
    """Geometry of an image of rows x columns merge cells; windows of `window` x `window` cells are cut from the top left."""
    cells = torch.arange(rows * columns).view(rows, columns)
    windows = [
        cells[top : top + window, left : left + window].flatten() for top in range(0, rows, window) for left in range(0, columns, window)
    ]
    windows.sort(key=len, reverse=True)  # stable: equal sizes become one run
    order = torch.cat(windows)
    sizes: dict[int, int] = {}
    for each in windows:
        sizes[len(each) * merge * merge] = sizes.get(len(each) * merge * merge, 0) + 1

    shape = (rows, columns, merge, merge)  # patches of a cell are neighbours, row by row
    y = torch.arange(rows * merge).view(rows, 1, merge, 1).expand(shape).reshape(rows * columns, -1)[order].flatten()
    x = torch.arange(columns * merge).view(1, columns, 1, merge).expand(shape).reshape(rows * columns, -1)[order].flatten()
    half = head_dim // 2
    frequency = 1.0 / (10_000.0 ** (torch.arange(0, half, 2).float() / half))
    angles = torch.cat([y[:, None] * frequency, x[:, None] * frequency], dim=-1)
    return Geometry(order, torch.argsort(order), tuple(sizes.items()), angles)


LARGEST_WINDOW = 512
"""Patches of a window whose square of scores is held: 2 MB in four heads. Larger ones go to `attend`, which holds none."""


def in_two_products(qkv: Tensor, windows: Sequence[tuple[int, int]], route: Route | None) -> bool:
    """Whether to take `window_attention`: bfloat16 on a CPU, small windows. It differs from `attend` in where it rounds.

    Training takes it, and the fast arithmetic where its passes are compiled.
    """
    small = qkv.device.type == "cpu" and qkv.dtype == torch.bfloat16 and max(size for size, _ in windows) <= LARGEST_WINDOW
    return small and (torch.is_grad_enabled() or (route is None and passes.compiled(qkv)))


class VisionBlock(nn.Module):
    """Pre-norm attention and gated MLP, with biases; attention inside windows, or over the whole image."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.heads, self.head_dim = config.num_heads, config.head_dim
        self.norm1, self.norm2 = RMSNorm(config.hidden_size), RMSNorm(config.hidden_size)
        self.qkv = AdaptedLinear(config.hidden_size, [config.hidden_size] * 3, bias=True)
        self.proj = AdaptedLinear(config.hidden_size, [config.hidden_size], bias=True)
        self.mlp = GatedMLP(config.hidden_size, config.intermediate_size, bias=True)

    def forward(self, x_BPC: Tensor, cos: Tensor, sin: Tensor, windows: Sequence[tuple[int, int]], route: Route | None) -> Tensor:
        images, patches, _ = x_BPC.shape
        qkv = self.qkv(self.norm1(x_BPC), route)
        if in_two_products(qkv, windows, route):
            x_BPC = self.proj(window_attention(qkv, cos, sin, windows, self.heads), route, plus=x_BPC)
            return self.mlp(self.norm2(x_BPC), route, plus=x_BPC)  # type: ignore[no-any-return]
        q, k, v = qkv.view(images, patches, 3, self.heads, self.head_dim).unbind(2)
        q, k = (rotate(t, cos, sin, fast=route is None) for t in (q, k))
        mixed, first = [], 0
        for size, count in windows:
            stretch = slice(first, first + size * count)
            each = [t[:, stretch].reshape(images * count, size, self.heads, self.head_dim).transpose(1, 2) for t in (q, k, v)]
            seen = attend(each[0], each[1], each[2], causal=False)
            mixed.append(seen.transpose(1, 2).reshape(images, size * count, -1))
            first += size * count
        x_BPC = self.proj(mixed[0] if len(mixed) == 1 else torch.cat(mixed, dim=1), route, plus=x_BPC)
        return self.mlp(self.norm2(x_BPC), route, plus=x_BPC)  # type: ignore[no-any-return]


class Merger(nn.Module):
    """The patches of a merge cell side by side, through a two-layer MLP, to one vector of the decoder's width."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.width = config.hidden_size * config.spatial_merge_size**2
        self.norm = RMSNorm(config.hidden_size)
        self.inner = nn.Linear(self.width, self.width)
        self.outer = nn.Linear(self.width, config.out_hidden_size)

    def forward(self, x_BPC: Tensor) -> Tensor:
        cells = self.norm(x_BPC).view(len(x_BPC), -1, self.width)
        return linear(F.gelu(linear(cells, self.inner.weight, self.inner.bias)), self.outer.weight, self.outer.bias)


class VisionTower(nn.Module):
    """Patches of images to one vector per merge cell."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.config = config
        self.run = called
        size = (config.in_channels, config.temporal_patch_size, config.patch_size, config.patch_size)
        self.patch_embed = nn.Parameter(torch.empty(config.hidden_size, *size))
        self.blocks = nn.ModuleList(VisionBlock(config) for _ in range(config.depth))
        self.merger = Merger(config)

    def forward(self, pixels_BPV: Tensor, grid: tuple[int, int], route: Route | None) -> Tensor:
        """Images of one size to their cells.

        pixels_BPV  [B, P, channels * time * patch * patch], patches in merge-cell order; without the time, [B, P, channels * patch *
                    patch], for pictures whose frames are all alike: half of the products
        grid        (rows, columns) of patches
        route       None for the fast arithmetic, BARE for the released code's (there are no adapters here)
        returns     [B, H * W, out_hidden_size], cells row by row
        """
        config, merge = self.config, self.config.spatial_merge_size
        rows, columns = grid[0] // merge, grid[1] // merge
        where = geometry(rows, columns, window=config.window_cells, merge=merge, head_dim=config.head_dim)
        device, dtype = self.patch_embed.device, self.patch_embed.dtype
        embed = self.patch_embed.flatten(1)
        if pixels_BPV.shape[-1] < embed.shape[1]:
            embed = self.patch_embed.float().sum(2).flatten(1).to(dtype)
        x = linear(pixels_BPV.to(device, dtype), embed)
        images, patches, width = x.shape
        x = x.view(images, rows * columns, merge * merge, width)[:, where.order.to(device)].view(images, patches, width)
        angles = where.angles.to(device)[:, None]
        cos, sin = angles.cos(), angles.sin()
        for i, block in enumerate(self.blocks):
            x = self.run(block, x, cos, sin, ((patches, 1),) if i in config.fullatt_block_indexes else where.windows, route)
        return self.merger(x)[:, where.back.to(device)]  # type: ignore[no-any-return]


# ---------------------------------------------------------------- decoder


class DecoderBlock(nn.Module):
    """Pre-norm causal attention with grouped key-value heads, and a gated MLP."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.head_dim = config.num_attention_heads, config.num_key_value_heads, config.head_dim
        q, kv = self.heads * self.head_dim, self.kv_heads * self.head_dim
        self.norm1 = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.norm2 = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.qkv = AdaptedLinear(config.hidden_size, [q, kv, kv], bias=True)
        self.out = AdaptedLinear(q, [config.hidden_size], bias=False)
        self.mlp = GatedMLP(config.hidden_size, config.intermediate_size, bias=False)

    def forward(self, x_NC: Tensor, cos: Tensor, sin: Tensor, runs: Sequence[tuple[int, int]], route: Route | None) -> Tensor:
        qkv = self.qkv(self.norm1(x_NC), route).view(len(x_NC), self.heads + 2 * self.kv_heads, self.head_dim)
        qk, v = torch.split(qkv, [self.heads + self.kv_heads, self.kv_heads], dim=1)
        q, k = torch.split(rotate(qk, cos, sin, fast=route is None), [self.heads, self.kv_heads], dim=1)
        mixed, first = [], 0
        for length, count in runs:
            read = length if route is not None else -(-length // EVEN_ROWS) * EVEN_ROWS
            each = [stretches(t, first, length=length, count=count, read=read).transpose(1, 2) for t in (q, k, v)]
            seen = attend(each[0], each[1], each[2], causal=True)
            mixed.append(seen.transpose(1, 2)[:, :length].reshape(length * count, -1))
            first += length * count
        if first < len(x_NC):
            mixed.append(q.new_zeros(len(x_NC) - first, self.heads * self.head_dim))
        x_NC = self.out(mixed[0] if len(mixed) == 1 else torch.cat(mixed), route, plus=x_NC)
        return self.mlp(self.norm2(x_NC), route, plus=x_NC)  # type: ignore[no-any-return]


class Decoder(nn.Module):
    """Embedded tokens to hidden states after the final norm."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.config = config
        self.run = called
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.blocks = nn.ModuleList(DecoderBlock(config) for _ in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(self, x_NC: Tensor, positions_3N: Tensor, lengths: Sequence[int], route: Route | None) -> Tensor:
        """Packed sequences through the decoder.

        x_NC          rows of all sequences, end to end
        positions_3N  int64: time, row and column of each token (M-RoPE)
        lengths       rows of each sequence
        route         which adapter serves which rows; None: what is merged, or the bare tower
        """
        rows = len(x_NC)
        if route is None:  # so that the last sequence, too, has rows behind it that attention may read
            behind = rows_held(rows) - rows
            x_NC, positions_3N = F.pad(x_NC, (0, 0, 0, behind)), F.pad(positions_3N, (0, behind))
        cos, sin = (t.to(x_NC.dtype) for t in self.angles(positions_3N))
        runs = equal_runs(lengths)
        for block in self.blocks:
            x_NC = self.run(block, x_NC, cos, sin, runs, route)
        return self.norm(x_NC)[:rows]  # type: ignore[no-any-return]

    def angles(self, positions_3N: Tensor) -> tuple[Tensor, Tensor]:
        """cos and sin [N, 1, D / 2] in float32: the first mrope_section[0] frequencies turn with time, the next with rows, then columns."""
        config = self.config
        step = torch.arange(0, config.head_dim, 2, device=positions_3N.device).float() / config.head_dim
        angles = positions_3N[:, :, None].float() * (1.0 / config.rope_theta**step)
        t, h, w = (part[axis] for axis, part in enumerate(torch.split(angles, list(config.mrope_section), dim=-1)))
        angles_N1D = torch.cat([t, h, w], dim=-1)[:, None]
        return angles_N1D.cos(), angles_N1D.sin()


EVEN_ROWS = 16
"""torch's attention on a CPU takes up to twice as long over 191 rows as over 192. So the fast path reads on into the rows behind a
sequence, up to a multiple of this: attention is causal, and what comes later is seen by none of the sequence's own rows."""


def rows_held(rows: int) -> int:
    """Rows of the matrix that so many rows of sequences are put in: at least EVEN_ROWS - 1 more, at most 7 % more where they are many.

    oneDNN compiles its products for every number of rows and keeps a thousand of them, up to a megabyte each. Passes of any size
    would go on filling that store for thousands of inputs; 16 sizes from each power of two to the next are soon all there.

    >>> rows_held(1), rows_held(50), rows_held(3950), rows_held(4050)
    (16, 80, 3968, 4096)
    """
    step = max(EVEN_ROWS, 1 << max(0, rows.bit_length() - 5))
    return -(-(rows + EVEN_ROWS - 1) // step) * step


def stretches(t_NAD: Tensor, first: int, *, length: int, count: int, read: int) -> Tensor:
    """Sequences of one length from row `first` on, each with the rows behind it up to `read`: a view [count, read, A, D] that overlaps."""
    row, head, one = t_NAD.stride()
    size = (count, read, *t_NAD.shape[1:])
    return t_NAD.as_strided(size, (length * row, row, head, one), t_NAD.storage_offset() + first * row)


def equal_runs(lengths: Sequence[int]) -> list[tuple[int, int]]:
    """Neighbouring sequences of equal length as (length, how many): they attend in one call.

    >>> equal_runs([5, 5, 3])
    [(5, 2), (3, 1)]
    """
    runs: list[tuple[int, int]] = []
    for length in lengths:
        if runs and runs[-1][0] == length:
            runs[-1] = (length, runs[-1][1] + 1)
        else:
            runs.append((length, 1))
    return runs
