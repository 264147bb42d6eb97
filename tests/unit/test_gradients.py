"""The written-out gradients against autograd on the plain formulas, and against finite differences."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from unitower.model import passes
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


def in_bfloat16(name: str) -> tuple[list[Tensor], list[Tensor]]:
    """Result and gradients of a case in bfloat16, and those of the plain formula in float32 on the same numbers."""
    ours, plain, shapes = CASES[name]
    torch.manual_seed(3)
    arguments = [torch.randn(shape).bfloat16() for shape in shapes]
    results = []
    for function, dtype in ((ours, torch.bfloat16), (plain, torch.float32)):
        leaves = [argument.to(dtype, copy=True).requires_grad_() for argument in arguments]
        y = function(*leaves)
        y.backward(torch.linspace(-1, 1, y.numel()).bfloat16().to(dtype).view_as(y))
        results.append([y.detach().float(), *(leaf.grad.float() for leaf in leaves if leaf.grad is not None)])
    return results[0], results[1]


COMPILED = ("norm", "norm of images", "gate", "windows")


@pytest.fixture(scope="module", params=[0, 1, 2], ids=["portable", "AVX2", "AVX-512"])
def library(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = Path(__file__).parents[2]
    spec = importlib.util.spec_from_file_location("hatch_build", root / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    build: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    if not (command := build.compiler()):
        pytest.skip("no C compiler here")
    made = tmp_path_factory.mktemp("passes") / "_passes.so"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CC", f"{command[0]} -DHIGHEST={request.param}")
        assert build.compiled(made, source=root / "src/unitower/model/passes.c")
    return made


@pytest.fixture
def path(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passes, "library", partial(passes.library.__wrapped__, library))
    monkeypatch.setattr(passes, "MOST_THREADS", 1000)


@pytest.mark.usefixtures("path")
def test_each_compiled_path_errs_no_more_than_torch() -> None:
    for name in COMPILED:
        called = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                passes, "_call", lambda *arguments, call=passes._call, called=called: (called.append(arguments[0]), call(*arguments))
            )
            fast, wanted = in_bfloat16(name)
        assert called
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(passes, "library", lambda: None)
            slow, _ = in_bfloat16(name)
        for ours, torchs, right in zip(fast, slow, wanted, strict=True):
            assert (ours - right).norm() <= 1.3 * (torchs - right).norm() + 1e-3 * right.norm()


@pytest.mark.usefixtures("path")
def test_compiled_passes_keep_far_out_values_finite() -> None:
    far = torch.tensor([[-300.0, -90.0, 0.0, 90.0, 300.0, 1.0, 1.0, 1.0, 2.0, 2.0]], dtype=torch.bfloat16)
    torch.testing.assert_close(passes.gate(far), (F.silu(far[:, :5].float()) * far[:, 5:].float()).bfloat16(), rtol=1e-2, atol=1e-30)
    assert torch.isfinite(passes.gate_back(far, torch.ones(1, 5, dtype=torch.bfloat16))).all()
    rows = torch.tensor([[-300.0, 300.0, 0.0, 299.0], [-1e30, -1e30, -1e30, -1e30]], dtype=torch.bfloat16)
    torch.testing.assert_close(passes.softmax(rows.clone()).float(), rows.float().softmax(-1), rtol=1e-2, atol=1e-30)


def test_a_checkout_that_was_not_compiled_trains_by_torch(tmp_path: Path) -> None:
    assert passes.library.__wrapped__(tmp_path / "none.so") is None
