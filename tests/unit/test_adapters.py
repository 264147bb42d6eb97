"""Layers that carry adapters: the same answer merged, routed and by hand."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from unitower.model import linear as linear_module
from unitower.model.adapters import AdaptedLinear, route_of
from unitower.model.config import LoraConfig
from unitower.model.linear import linear, linear_plus, linear_silu, linear_times, runs_in_onednn

NAMES = ("a", "b")


def layer(in_features: int, out_features: list[int], *, bias: bool = True, ranks: tuple[int, int] = (2, 3)) -> AdaptedLinear:
    made = AdaptedLinear(in_features, out_features, bias=bias)
    for name, r in zip(NAMES, ranks, strict=True):
        made.add_adapter(name, LoraConfig(r=r, lora_alpha=r + 1.5))
    for weight in made.parameters():
        torch.nn.init.normal_(weight)
    return made.eval()


def by_hand(made: AdaptedLinear, x: Tensor, name: str | None) -> Tensor:
    """W x + b + alpha / r * B A x in float64, projection by projection."""
    first, parts = 0, []
    for i, rows in enumerate(made.out_features):
        own = slice(first, first + rows)
        weight = made.weight[own].double()
        if name is not None:
            lora = made.lora[name]
            a = made.lora_A[name][i * lora.r : (i + 1) * lora.r].double()
            weight = weight + lora.lora_alpha / lora.r * made.lora_B[name][own].double() @ a
        y = x.double() @ weight.T
        parts.append(y if made.bias is None else y + made.bias[own].double())
        first += rows
    return torch.cat(parts, dim=-1).float()


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.integers(1, 20),
    st.lists(st.integers(1, 9), min_size=1, max_size=3),
    st.booleans(),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.lists(st.tuples(st.sampled_from([None, *NAMES]), st.integers(1, 5)), min_size=1, max_size=6),
    st.booleans(),
    st.booleans(),
)
def test_each_row_goes_through_the_adapter_it_is_routed_to(
    in_features: int,
    out_features: list[int],
    bias: bool,
    ranks: tuple[int, int],
    stretches: list[tuple[str | None, int]],
    residual: bool,
    grad: bool,
) -> None:
    torch.manual_seed(0)
    made = layer(in_features, out_features, bias=bias, ranks=ranks)
    names, lengths = [name for name, _ in stretches], [length for _, length in stretches]
    x = torch.randn(sum(lengths), in_features)
    plus = torch.randn(sum(lengths), sum(out_features)) if residual else None
    expected = torch.cat([by_hand(made, rows, name) for rows, name in zip(torch.split(x, lengths), names, strict=True)])
    expected = expected if plus is None else expected + plus
    with torch.set_grad_enabled(grad):
        torch.testing.assert_close(made(x, route_of(names, lengths), plus=plus), expected, atol=1e-4, rtol=1e-5)
        if len(set(names)) == 1:
            made.merge(names[0])
            torch.testing.assert_close(made(x, None, plus=plus), expected, atol=1e-4, rtol=1e-5)


def test_a_route_names_neighbours_of_one_adapter_once_and_covers_every_row() -> None:
    assert route_of(["a", "a", "b", None, None, "a"], [1, 2, 3, 4, 5, 6]) == [("a", 0, 3), ("b", 3, 6), (None, 6, 15), ("a", 15, 21)]
    with pytest.raises(ValueError, match="argument 2 is longer"):
        route_of(["a"], [1, 2])


def test_a_fresh_adapter_changes_no_bit_and_its_a_has_deviation_one_over_r() -> None:
    torch.manual_seed(0)
    made = layer(400, [30, 20])
    made.add_adapter("fresh", LoraConfig(r=16, lora_alpha=32))
    x = torch.randn(7, 400)
    assert torch.equal(made(x, [("fresh", 0, 7)]), made(x, [(None, 0, 7)]))
    made.merge("fresh")
    assert made.merged is not None
    assert torch.equal(made.merged, made.weight)
    assert made.lora_A["fresh"].std().item() == pytest.approx(1 / 16, rel=0.03)  # of 12,800 draws


def test_dropout_is_each_adapters_own_and_only_for_training() -> None:
    torch.manual_seed(0)
    made = AdaptedLinear(50, [40], bias=False)
    torch.nn.init.normal_(made.weight)
    made.add_adapter("dropped", LoraConfig(r=4, lora_alpha=4, lora_dropout=0.5))
    made.add_adapter("kept", LoraConfig(r=4, lora_alpha=4))
    torch.nn.init.normal_(made.lora_B["dropped"])
    torch.nn.init.normal_(made.lora_B["kept"])
    x = torch.randn(3, 50)

    def changes(name: str) -> bool:
        return not torch.equal(made(x, [(name, 0, 3)]), made(x, [(name, 0, 3)]))

    made.train()
    assert changes("dropped")
    assert not changes("kept")
    made.eval()
    assert not changes("dropped")


def test_adapters_stay_float32_beside_weights_of_bfloat16() -> None:
    torch.manual_seed(0)
    made = layer(64, [48])
    made.weight.data = made.weight.data.bfloat16()
    made.add_adapter("new", LoraConfig(r=2, lora_alpha=2))
    assert {weight.dtype for name, weight in made.named_parameters() if "lora" in name} == {torch.float32}
    made.merge("a")
    assert made.merged is not None
    assert made.merged.dtype == torch.bfloat16
    exact = made.weight.double() + made.lora["a"].scale * made.lora_B["a"].double() @ made.lora_A["a"].double()
    assert ((made.merged.double() - exact).abs() <= exact.abs() * 2**-8).all()  # rounded once, to 8 bits


# ---- products


def products(x: Tensor, weight: Tensor, bias: Tensor | None, other: Tensor) -> list[Tensor]:
    return [
        linear(x, weight, bias),
        linear_silu(x, weight, bias),
        linear_times(x, weight, bias, other),
        linear_plus(x, weight, bias, other),
    ]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.sampled_from([(1,), (2,), (9,), (1, 1), (3, 1), (1, 4), (2, 5)]),
    st.integers(1, 40),
    st.integers(1, 40),
    st.booleans(),
    st.booleans(),
)
def test_products_are_those_of_plain_torch(rows: tuple[int, ...], inner: int, outer: int, bias: bool, strided: bool) -> None:
    torch.manual_seed(0)
    x = torch.randn(*rows, 2 * inner)[..., ::2] if strided else torch.randn(*rows, inner)
    weight, b, other = torch.randn(outer, inner), torch.randn(outer) if bias else None, torch.randn(*rows, outer)
    y = (x.double() @ weight.double().T + (b.double() if b is not None else 0.0)).float()
    expected = [y, F.silu(y), y * other, y + other]
    for grad in (False, True):
        with torch.set_grad_enabled(grad):
            for found, right in zip(products(x, weight, b, other), expected, strict=True):
                assert found.shape == right.shape
                torch.testing.assert_close(found, right, atol=2e-5, rtol=1e-5)


@pytest.mark.skipif(not linear_module.onednn_has(torch.float32), reason="this build of torch has no oneDNN")
def test_a_row_is_multiplied_the_same_however_many_rows_share_the_call() -> None:
    if torch.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512"):
        pytest.skip("known of AVX2 and AVX-512 only")
    torch.manual_seed(0)
    for inner, outer in ((64, 64), (176, 96), (1408, 128)):
        x, weight, bias, other = torch.randn(300, inner), torch.randn(outer, inner), torch.randn(outer), torch.randn(300, outer)
        with torch.no_grad():
            whole = products(x, weight, bias, other)
            for rows in (1, 2, 3, 8, 17, 64, 129, 299):
                for part, all_rows in zip(products(x[:rows], weight, bias, other[:rows]), whole, strict=True):
                    assert torch.equal(part, all_rows[:rows])


def test_without_onednn_products_are_those_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear_module, "onednn_has", lambda dtype: False)
    x, weight, bias, other = torch.randn(3, 8), torch.randn(5, 8), torch.randn(5), torch.randn(3, 5)
    with torch.no_grad():
        assert not runs_in_onednn(x)
        y = F.linear(x, weight, bias)
        for found, right in zip(products(x, weight, bias, other), (y, F.silu(y), y * other, y + other), strict=True):
            assert torch.equal(found, right)


def test_float64_is_not_sent_where_it_cannot_be_multiplied() -> None:
    x, weight = torch.randn(3, 8, dtype=torch.float64), torch.randn(5, 8, dtype=torch.float64)
    with torch.no_grad():
        assert torch.equal(linear(x, weight), F.linear(x, weight))


@pytest.mark.parametrize("rank", [1, 3, 9])
def test_an_adapter_begins_as_near_to_other_weights_as_its_rank_allows(rank: int) -> None:
    torch.manual_seed(rank)
    made = layer(6, [5, 8], ranks=(rank, 2))
    wanted = made.weight.detach() + torch.randn(13, 6)
    other = made.delta("b").detach().clone()
    made.begin_adapter("a", wanted)
    left = (made.weight + made.delta("a") - wanted).detach()
    for rows in (slice(0, 5), slice(5, 13)):  # what no matrix of that rank comes nearer than (Eckart and Young 1936)
        beyond = torch.linalg.svdvals(wanted[rows] - made.weight[rows].detach())[rank:]
        assert float(left[rows].norm()) == pytest.approx(float(beyond.norm()), abs=1e-4)
    assert torch.equal(made.delta("b"), other)
