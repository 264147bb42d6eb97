"""The steps of a block between its products, forward and back, as gradients.py puts them together.

Each has two forms: one pass over memory in C for bfloat16 on a CPU (passes.c, as hatch_build.py compiled it beside this file), and torch
for all other numbers and where nothing was compiled. They round in different places, so a run gives the same weights again only with the
same form.

Letters: B images, P patches, A heads, D head width; M windows of all images times heads, S patches of a window.
"""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

LIBRARY = Path(__file__).with_name("_passes.so")

LARGEST_ROW = 1024
"""Columns that the softmax of passes.c has room for."""


MOST_THREADS = 2
"""passes.c runs on one thread; where torch may use more than these, it is as fast."""


@cache
def library(path: Path = LIBRARY) -> Any:
    """The compiled passes; None where they were not compiled or cannot be loaded."""
    try:
        return ctypes.CDLL(str(path))
    except OSError:
        return None


def compiled(*tensors: Tensor) -> bool:
    """Whether these can go through passes.c."""
    here = library() is not None and torch.get_num_threads() <= MOST_THREADS
    return here and all(t.device.type == "cpu" and t.dtype == torch.bfloat16 and t.is_contiguous() for t in tensors)


def _call(name: str, *arguments: Tensor | int | float) -> None:
    getattr(library(), f"unitower_{name}")(*map(_as_c, arguments))


def _as_c(value: Tensor | int | float) -> ctypes.c_void_p | ctypes.c_float | ctypes.c_int64:
    if isinstance(value, Tensor):
        return ctypes.c_void_p(value.data_ptr())
    return ctypes.c_float(value) if isinstance(value, float) else ctypes.c_int64(value)


def norm(x: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """x / sqrt(mean(x^2) + eps), rounded, times weight; and what each row was multiplied with, in float32."""
    if compiled(x, weight):
        y, scale = torch.empty_like(x), torch.empty(*x.shape[:-1], 1)
        _call("norm", x, weight, y, scale, scale.numel(), x.shape[-1], eps)
        return y, scale
    wide = x.float()
    scale = torch.rsqrt(torch.linalg.vector_norm(wide, dim=-1, keepdim=True).square() / x.shape[-1] + eps)
    return (wide * scale).to(x.dtype) * weight, scale


def norm_back(x: Tensor, weight: Tensor, scale: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of x and weight."""
    if compiled(x, weight, gradient):
        for_x, sums = torch.empty_like(x), torch.zeros(x.shape[-1])
        _call("norm_back", x, weight, scale, gradient, for_x, sums, scale.numel(), x.shape[-1])
        return for_x, sums.to(weight.dtype)
    normed, wide, factor = x.float() * scale, gradient.float(), weight.float()
    along = normed * wide
    share = (along @ factor)[..., None] / x.shape[-1]
    for_x = torch.addcmul(wide * factor, normed, share, value=-1).mul_(scale).to(x.dtype)
    return for_x, along.flatten(0, -2).sum(0).to(weight.dtype)


def gate(gate_up: Tensor) -> Tensor:
    """silu of the first half of the columns, times the second half."""
    gates, up = gate_up.chunk(2, dim=-1)
    if compiled(gate_up):
        out = torch.empty(gates.shape, dtype=gate_up.dtype)
        _call("gate", gate_up, out, out.numel() // out.shape[-1], out.shape[-1])
        return out
    return F.silu(gates).mul_(up)


def gate_back(gate_up: Tensor, gradient: Tensor) -> Tensor:
    back = torch.empty_like(gate_up)
    if compiled(gate_up, gradient):
        _call("gate_back", gate_up, gradient, back, gradient.numel() // gradient.shape[-1], gradient.shape[-1])
        return back
    gates, up = gate_up.chunk(2, dim=-1)
    for_gate, for_up = back.chunk(2, dim=-1)
    torch.mul(F.silu(gates), gradient, out=for_up)
    for_gate.copy_(torch.ops.aten.silu_backward(gradient * up, gates))
    return back


def turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Pairs (i, i + D/2) turned, in the precision of x: two products, into each of which a second one is added."""
    cos, sin = cos.to(x.dtype), sin.to(x.dtype)
    a, b = x.chunk(2, dim=-1)
    y = x * torch.cat([cos, cos], dim=-1)
    left, right = y.chunk(2, dim=-1)
    left.addcmul_(b, sin, value=-1)
    right.addcmul_(a, sin)
    return y


def split(qkv: Tensor, cos: Tensor, sin: Tensor, heads: int, *, first: int, count: int, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Queries (turned, over the root of D), keys (turned) and values of `count` windows from patch `first` on: three [M, S, D].

    qkv       [B, P, 3 A D]
    cos, sin  float32 [P, 1, D / 2]
    """
    images, patches, width = qkv.shape
    head = width // 3 // heads
    if compiled(qkv):
        q, k, v = (qkv.new_empty(images * count * heads, size, head) for _ in range(3))
        _call("split", qkv, cos, sin, q, k, v, images, patches, first, count, size, heads, head, head**-0.5)
        return q, k, v
    rows = slice(first, first + count * size)
    parts = qkv.view(images, patches, 3, heads, head)[:, rows]
    q, k = turned(parts[:, :, :2], cos[rows, None], sin[rows, None]).unbind(2)
    q, k, v = (to_windows(t.flatten(2), heads, first=0, count=count, size=size) for t in (q, k, parts[:, :, 2]))
    return q * head**-0.5, k, v


def join_(
    for_qkv: Tensor, for_q: Tensor, for_k: Tensor, for_v: Tensor, cos: Tensor, sin: Tensor, heads: int, *, first: int, count: int
) -> None:
    """The way back of `split`: gradients of its results, written into their rows of that of qkv."""
    images, patches, _ = for_qkv.shape
    _, size, head = for_q.shape
    if compiled(for_qkv, for_q, for_k, for_v):
        _call("join", for_qkv, cos, sin, for_q, for_k, for_v, images, patches, first, count, size, heads, head, head**-0.5)
        return
    rows = slice(first, first + count * size)
    parts = for_qkv.view(images, patches, 3, heads, head)[:, rows]
    for part, value in enumerate((for_q * head**-0.5, for_k, for_v)):
        parts[:, :, part] = _by_patch(value, images, count)
    parts[:, :, :2] = turned(parts[:, :, :2], cos[rows, None], -sin[rows, None])


def to_windows(rows: Tensor, heads: int, *, first: int, count: int, size: int) -> Tensor:
    """[B, P, A D] -> [M, S, D] of `count` windows from patch `first` on."""
    images, patches, width = rows.shape
    if compiled(rows):
        windows = rows.new_empty(images * count * heads, size, width // heads)
        _call("move", rows, windows, images, patches, first, count, size, heads, width // heads, 0)
        return windows
    parts = rows[:, first : first + count * size].reshape(images * count, size, heads, -1)
    return parts.transpose(1, 2).reshape(-1, size, width // heads)


def to_patches_(rows: Tensor, windows: Tensor, heads: int, *, first: int, count: int) -> None:
    """[M, S, D], written to where `to_windows` takes it from."""
    images, patches, width = rows.shape
    size = windows.shape[1]
    if compiled(rows, windows):
        _call("move", rows, windows, images, patches, first, count, size, heads, width // heads, 1)
        return
    rows[:, first : first + count * size] = _by_patch(windows, images, count).flatten(2)


def _by_patch(windows: Tensor, images: int, count: int) -> Tensor:
    """[M, S, D] -> [B, count * S, A, D]."""
    _, size, head = windows.shape
    return windows.view(images * count, -1, size, head).transpose(1, 2).reshape(images, count * size, -1, head)


def softmax(scores: Tensor) -> Tensor:
    """Over the last dimension; the scores themselves are overwritten where that is faster."""
    if compiled(scores) and scores.shape[-1] <= LARGEST_ROW:
        _call("softmax", scores, scores.numel() // scores.shape[-1], scores.shape[-1])
        return scores
    return torch.softmax(scores, dim=-1)
