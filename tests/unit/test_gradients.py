"""The written-out gradients against autograd on the plain formulas, and against finite differences."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from unitower.model.gradients import attend, rms_norm, silu_gate, turn, window_attention


def plain_norm(x: Tensor, weight: Tensor) -> Tensor:
    return x / torch.sqrt(x.square().mean(-1, keepdim=True) + 1e-6) * weight


def plain_turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)


def plain_gate(gate_up: Tensor) -> Tensor:
    gate, up = gate_up.chunk(2, dim=-1)
    return F.silu(gate) * up


def plain_attention(q: Tensor, k: Tensor, v: Tensor, *, causal: bool) -> Tensor:
    k, v = (t.repeat_interleave(q.shape[1] // k.shape[1], dim=1) for t in (k, v))
    scores = q @ k.transpose(2, 3) / q.shape[-1] ** 0.5
    later = torch.ones(q.shape[2], q.shape[2], dtype=torch.bool).triu(1)
    return torch.softmax(scores.masked_fill(later, -torch.inf) if causal else scores, dim=-1) @ v


def attended(sequences: int, heads: int, kv_heads: int, length: int) -> tuple[torch.Size, ...]:
    return tuple(torch.Size([sequences, each, length, 8]) for each in (heads, kv_heads, kv_heads))


WINDOWS = ((3, 2), (2, 1))


def plain_windows(qkv: Tensor) -> Tensor:
    """Two heads of width 4, window by window, head by head."""
    q, k, v = qkv.view(*qkv.shape[:2], 3, 2, 4).unbind(2)
    q, k = (plain_turn(t, *PATCH_ANGLES) for t in (q, k))
    mixed, first = torch.zeros_like(q), 0
    for size in (3, 3, 2):
        rows = slice(first, first + size)
        for head in range(2):
            for image in range(len(qkv)):
                scores = q[image, rows, head] @ k[image, rows, head].T / 4**0.5
                mixed[image, rows, head] = scores.softmax(-1) @ v[image, rows, head]
        first += size
    return mixed.flatten(2)


PATCH_ANGLES = (torch.linspace(0, 3, 8 * 2).view(8, 1, 2).cos(), torch.linspace(0, 3, 8 * 2).view(8, 1, 2).sin())
ANGLES = torch.linspace(0, 3, 5 * 4).view(5, 1, 4)
CASES = {
    "norm": (lambda x, w: rms_norm(x, w, 1e-6), plain_norm, (torch.Size([5, 8]), torch.Size([8]))),
    "norm of images": (lambda x, w: rms_norm(x, w, 1e-6), plain_norm, (torch.Size([2, 5, 8]), torch.Size([8]))),
    "turn": (lambda x: turn(x, ANGLES.cos(), ANGLES.sin()), lambda x: plain_turn(x, ANGLES.cos(), ANGLES.sin()), (torch.Size([5, 3, 8]),)),
    "windows": (lambda x: window_attention(x, *PATCH_ANGLES, WINDOWS, 2), plain_windows, (torch.Size([2, 8, 24]),)),
    "gate": (silu_gate, plain_gate, (torch.Size([5, 8]),)),
    "attention to what came before": (partial(attend, causal=True), partial(plain_attention, causal=True), attended(2, 4, 2, 150)),
    "attention to all": (partial(attend, causal=False), partial(plain_attention, causal=False), attended(3, 2, 2, 70)),
    "attention in many short sequences": (partial(attend, causal=True), partial(plain_attention, causal=True), attended(700, 6, 2, 9)),
    "attention of one row": (partial(attend, causal=True), partial(plain_attention, causal=True), attended(1, 2, 1, 1)),
}


@pytest.mark.parametrize("name", CASES)
def test_the_written_out_gradient_is_that_of_autograd(name: str) -> None:
    ours, plain, shapes = CASES[name]
    torch.manual_seed(0)
    arguments = [torch.randn(shape) for shape in shapes]
    results = []
    for function in (ours, plain):
        leaves = [argument.clone().requires_grad_() for argument in arguments]
        y = function(*leaves)
        y.backward(torch.linspace(-1, 1, y.numel()).view_as(y))
        results.append([y.detach(), *(leaf.grad for leaf in leaves)])
    for got, wanted in zip(*results, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-5, atol=1e-6)


def test_gradients_of_attention_in_bfloat16_err_no_more_than_torchs_own() -> None:
    torch.manual_seed(2)
    exact = [torch.randn(shape) for shape in attended(1, 4, 2, 100)]
    wanted, ours, own = ([], [], [])
    for results, dtype, function in (
        (wanted, torch.float32, partial(plain_attention, causal=True)),
        (ours, torch.bfloat16, partial(attend, causal=True)),
        (own, torch.bfloat16, lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)),
    ):
        leaves = [argument.detach().to(dtype, copy=True).requires_grad_() for argument in exact]
        function(*leaves).float().sin().sum().backward()
        results += [leaf.grad.float() for leaf in leaves if leaf.grad is not None]
    for got, theirs, right in zip(ours, own, wanted, strict=True):
        assert (got - right).norm() < 1.2 * (theirs - right).norm()


@pytest.mark.parametrize("function", [silu_gate, lambda x: turn(x, ANGLES.double().cos(), ANGLES.double().sin())])
def test_the_written_out_gradient_is_that_of_finite_differences(function: Callable[[Tensor], Tensor]) -> None:
    torch.manual_seed(1)
    assert torch.autograd.gradcheck(function, torch.randn(5, 3, 8, dtype=torch.float64, requires_grad=True))
