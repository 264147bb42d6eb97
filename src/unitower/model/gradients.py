"""Attention and the elementwise steps of a block with gradients written out: what training would else spend half of its time on.

Autograd keeps and walks every small operation in the elementwise steps; here each keeps its input only, and goes back in as few passes
over memory as it takes (passes.py). Where bfloat16 and float32 meet, the former is widened first: torch does not vectorise operations on
two kinds of number on a CPU. Torch's own way back through attention takes up to twice as long there as the five products it consists of.
Tested against autograd on the plain formulas. They can be differentiated once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from unitower.model import passes
from unitower.model.passes import turned


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """x / sqrt(mean(x^2) + eps) in float32, rounded, times weight."""
    return _RMSNorm.apply(x, weight, eps)  # type: ignore[no-untyped-call,no-any-return]


def turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Each pair (i, i + D/2) of the last dimension turned by its angle; cos and sin are [..., 1, D/2] and get no gradient."""
    return _Turn.apply(x, cos, sin)  # type: ignore[no-untyped-call,no-any-return]


def silu_gate(gate_up: Tensor) -> Tensor:
    """silu of the first half of the columns, times the second half."""
    return _SiluGate.apply(gate_up)  # type: ignore[no-untyped-call,no-any-return]


def attend(q: Tensor, k: Tensor, v: Tensor, *, causal: bool) -> Tensor:
    """softmax(q k / sqrt(D)) v, each row over all rows, or over those up to itself.

    q [B, A, L, D], k and v [B, K, L, D] with A a multiple of K: so many neighbouring heads share keys and values.
    """
    if q.device.type == "cpu" and torch.is_grad_enabled() and (q.requires_grad or k.requires_grad or v.requires_grad):
        return _Attend.apply(q, k, v, causal)  # type: ignore[no-untyped-call,no-any-return]
    return F.scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=q.shape[1] != k.shape[1])


ROWS = 64
"""Query rows whose scores are held at once on the way back through attention: they stay in the cache, and a causal row meets few keys
that it must not see."""

SCORES = 1 << 18
"""Scores held at once; short sequences go back together up to that many."""


class _Attend(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, causal: bool) -> Tensor:
        out = F.scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=q.shape[1] != k.shape[1])
        ctx.save_for_backward(q, k, v, out)
        ctx.causal = causal
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        # s = q k / sqrt(D), p = softmax(s), out = p v;  dv = p' dout, dp = dout v', ds = p (dp - <dout, out>), dq = ds k, dk = ds' q
        q, k, v, out = ctx.saved_tensors
        (sequences, heads, length, width), kv_heads = q.shape, k.shape[1]
        scale, dtype = width**-0.5, q.dtype
        wide = torch.promote_types(dtype, torch.float32)
        along = torch.linalg.vecdot(gradient.to(wide), out.to(wide))[..., None]
        for_q, for_k, for_v = (torch.empty_like(t) for t in (q, k, v))
        step = max(1, SCORES // (heads * min(ROWS, length) * length))
        for first in range(0, sequences, step):
            some = slice(first, min(sequences, first + step))
            count = (some.stop - first) * kv_heads
            keys, values = (t[some].reshape(count, length, width) for t in (k, v))
            scaled = keys.to(wide) * scale
            back_k, back_v = (torch.zeros(count, length, width, dtype=wide) for _ in range(2))
            for top in range(0, length, ROWS):
                rows = slice(top, min(length, top + ROWS))
                seen = rows.stop if ctx.causal else length
                n = rows.stop - top
                # the heads that share keys stand one under the other
                queries, given, dots = (t[some, :, rows].reshape(count, -1, t.shape[-1]) for t in (q, gradient, along))
                scores = torch.bmm(queries.to(wide), scaled[:, :seen].transpose(1, 2))  # in float32, as torch's own has them
                if ctx.causal:
                    later = torch.ones(n, n, dtype=torch.bool).triu_(1)
                    scores.view(-1, n, seen)[:, :, top:].masked_fill_(later, -torch.inf)
                p = torch.softmax(scores, dim=-1)
                back_v[:, :seen] += torch.bmm(p.to(dtype).transpose(1, 2), given)
                ds = torch.bmm(given, values[:, :seen].transpose(1, 2)).to(wide).sub_(dots).mul_(p).to(dtype)
                for_q[some, :, rows] = (torch.bmm(ds, keys[:, :seen]) * scale).view(-1, heads, n, width)
                back_k[:, :seen] += torch.bmm(ds.transpose(1, 2), queries)
            for_k[some] = (back_k * scale).view(-1, kv_heads, length, width)
            for_v[some] = back_v.view(-1, kv_heads, length, width)
        return for_q, for_k, for_v, None


def window_attention(qkv_BPR: Tensor, cos_P1D: Tensor, sin_P1D: Tensor, windows: Sequence[tuple[int, int]], heads: int) -> Tensor:
    """Attention inside windows with queries and keys turned: [B, P, 3 A D] of q, k and v -> [B, P, A D].

    windows  (patches in a window, windows of that size), in the order of the patches

    For bfloat16: two products and a softmax per window, whose square is kept for the way back. `attend` keeps none and its scores are
    float32; this rounds them, and takes less time where windows are small (`bench/reading.py`). The gradients of q, k and v are written
    into one matrix.
    """
    return _WindowAttention.apply(qkv_BPR, cos_P1D, sin_P1D, windows, heads)  # type: ignore[no-untyped-call,no-any-return]


class _RMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        y, scale = passes.norm(x, weight, eps)
        ctx.save_for_backward(x, weight, scale)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        x, weight, scale = ctx.saved_tensors
        return *passes.norm_back(x, weight, scale, gradient), None


class _Turn(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return turned(x, cos, sin)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        cos, sin = ctx.saved_tensors
        return turned(gradient, cos, -sin), None, None


class _SiluGate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gate_up: Tensor) -> Tensor:
        ctx.save_for_backward(gate_up)
        return passes.gate(gate_up)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (gate_up,) = ctx.saved_tensors
        return passes.gate_back(gate_up, gradient)


class _WindowAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, qkv: Tensor, cos: Tensor, sin: Tensor, windows: Sequence[tuple[int, int]], heads: int) -> Tensor:
        images, patches, width = qkv.shape
        qkv, cos, sin = qkv.contiguous(), cos.float(), sin.float()
        mixed = qkv.new_empty(images, patches, width // 3)
        kept, first = [], 0
        for size, count in windows:
            q_MSD, k_MSD, v_MSD = passes.split(qkv, cos, sin, heads, first=first, count=count, size=size)
            weights_MSS = passes.softmax(torch.bmm(q_MSD, k_MSD.mT))
            passes.to_patches_(mixed, torch.bmm(weights_MSS, v_MSD), heads, first=first, count=count)
            kept += [q_MSD, k_MSD, v_MSD, weights_MSS]
            first += size * count
        ctx.save_for_backward(cos, sin, *kept)
        ctx.windows, ctx.heads = windows, heads
        return mixed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None, None]:
        cos, sin, *kept = ctx.saved_tensors
        gradient = gradient.contiguous()
        back = gradient.new_empty(*gradient.shape[:2], 3 * gradient.shape[2])
        first = 0
        for number, (size, count) in enumerate(ctx.windows):
            q_MSD, k_MSD, v_MSD, weights_MSS = kept[4 * number : 4 * number + 4]
            mixed_MSD = passes.to_windows(gradient, ctx.heads, first=first, count=count, size=size)
            for_weights = torch.bmm(mixed_MSD, v_MSD.mT)
            for_scores = torch.ops.aten._softmax_backward_data(for_weights, weights_MSS, -1, weights_MSS.dtype)
            for_q, for_k = torch.bmm(for_scores, k_MSD), torch.bmm(for_scores.mT, q_MSD)
            for_v = torch.bmm(weights_MSS.mT, mixed_MSD)
            passes.join_(back, for_q, for_k, for_v, cos, sin, ctx.heads, first=first, count=count)
            first += size * count
        return back, None, None, None, None
