"""The written-out gradients against autograd on the plain formulas, and against finite differences."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from unitower.model.gradients import rms_norm, silu_gate, turn


def plain_norm(x: Tensor, weight: Tensor) -> Tensor:
    return x / torch.sqrt(x.square().mean(-1, keepdim=True) + 1e-6) * weight


def plain_turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)


def plain_gate(gate_up: Tensor) -> Tensor:
    gate, up = gate_up.chunk(2, dim=-1)
    return F.silu(gate) * up


ANGLES = torch.linspace(0, 3, 5 * 4).view(5, 1, 4)
CASES = {
    "norm": (lambda x, w: rms_norm(x, w, 1e-6), plain_norm, (torch.Size([5, 8]), torch.Size([8]))),
    "norm of images": (lambda x, w: rms_norm(x, w, 1e-6), plain_norm, (torch.Size([2, 5, 8]), torch.Size([8]))),
    "turn": (lambda x: turn(x, ANGLES.cos(), ANGLES.sin()), lambda x: plain_turn(x, ANGLES.cos(), ANGLES.sin()), (torch.Size([5, 3, 8]),)),
    "gate": (silu_gate, plain_gate, (torch.Size([5, 8]),)),
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


@pytest.mark.parametrize("function", [silu_gate, lambda x: turn(x, ANGLES.double().cos(), ANGLES.double().sin())])
def test_the_written_out_gradient_is_that_of_finite_differences(function: Callable[[Tensor], Tensor]) -> None:
    torch.manual_seed(1)
    assert torch.autograd.gradcheck(function, torch.randn(5, 3, 8, dtype=torch.float64, requires_grad=True))
