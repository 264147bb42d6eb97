"""The three elementwise steps of a block with gradients written out: what training would else spend a third of its time on.

Autograd keeps and walks every small operation in them; here each keeps its input only, and goes back in as few passes over memory as it
takes. Tested against autograd on the plain formulas. They can be differentiated once.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """x / sqrt(mean(x^2) + eps) in float32, rounded, times weight."""
    return _RMSNorm.apply(x, weight, eps)  # type: ignore[no-untyped-call,no-any-return]


def turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Each pair (i, i + D/2) of the last dimension turned by its angle; cos and sin are [..., 1, D/2] and get no gradient."""
    return _Turn.apply(x, cos, sin)  # type: ignore[no-untyped-call,no-any-return]


def silu_gate(gate_up: Tensor) -> Tensor:
    """silu of the first half of the columns, times the second half."""
    return _SiluGate.apply(gate_up)  # type: ignore[no-untyped-call,no-any-return]


class _RMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        wide = x.float()
        scale = torch.rsqrt(torch.linalg.vector_norm(wide, dim=-1, keepdim=True).square() / x.shape[-1] + eps)
        ctx.save_for_backward(x, weight, scale)
        return (wide * scale).to(x.dtype) * weight

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, weight, scale = ctx.saved_tensors
        normed = x * scale
        for_weight = (gradient * normed).flatten(0, -2).sum(0).to(weight.dtype) if ctx.needs_input_grad[1] else None
        wide = (gradient * weight).float()
        along = torch.linalg.vecdot(wide, normed)[..., None] / x.shape[-1]
        for_x = torch.addcmul(wide, normed, along, value=-1).mul_(scale).to(x.dtype) if ctx.needs_input_grad[0] else None
        return for_x, for_weight, None


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
        gate, up = gate_up.chunk(2, dim=-1)
        return F.silu(gate).mul_(up)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (gate_up,) = ctx.saved_tensors
        gate, up = gate_up.chunk(2, dim=-1)
        back = torch.empty_like(gate_up)
        for_gate, for_up = back.chunk(2, dim=-1)
        torch.mul(F.silu(gate), gradient, out=for_up)
        for_gate.copy_(torch.ops.aten.silu_backward(gradient * up, gate))
        return back


def turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """The turn itself, in the precision of x: two products, into each of which a second one is added."""
    cos, sin = cos.to(x.dtype), sin.to(x.dtype)
    a, b = x.chunk(2, dim=-1)
    y = x * torch.cat([cos, cos], dim=-1)
    left, right = y.chunk(2, dim=-1)
    left.addcmul_(b, sin, value=-1)
    right.addcmul_(a, sin)
    return y
