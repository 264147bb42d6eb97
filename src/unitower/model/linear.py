"""Products of rows with weights, and what is done with them before they are rounded.

On a CPU without gradients products run in oneDNN, for two reasons. In float32 its row results do not depend on how many rows share the
call (one row excepted, which is why a single row is doubled), so an item gets the same vector alone and in any batch; torch's own product
differs by up to 3e-6. And it can multiply, add or apply SiLU before rounding, which saves a pass over memory for each.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x @ weight.T + bias; rows of x are its last dimension."""
    return _onednn(x, weight, bias, "none") if runs_in_onednn(x) else F.linear(x, weight, bias)


def linear_silu(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """silu(x @ weight.T + bias), rounded once where the hardware allows."""
    return _onednn(x, weight, bias, "swish") if runs_in_onednn(x) else F.silu(F.linear(x, weight, bias))


def linear_times(x: Tensor, weight: Tensor, bias: Tensor | None, factor: Tensor) -> Tensor:
    """(x @ weight.T + bias) * factor, rounded once where the hardware allows."""
    return _onednn(x, weight, bias, "mul", factor) if runs_in_onednn(x) else F.linear(x, weight, bias) * factor


def linear_plus(x: Tensor, weight: Tensor, bias: Tensor | None, term: Tensor) -> Tensor:
    """x @ weight.T + bias + term, rounded once where the hardware allows."""
    return _onednn(x, weight, bias, "add", term) if runs_in_onednn(x) else F.linear(x, weight, bias) + term


def runs_in_onednn(x: Tensor) -> bool:
    """Whether products with x take the oneDNN path: on a CPU, without gradients or autocast, where build and processor have it."""
    plain = not torch.is_grad_enabled() and not torch.is_autocast_enabled("cpu")
    return x.device.type == "cpu" and plain and bool(torch.backends.mkldnn.enabled) and onednn_has(x.dtype)


@cache
def onednn_has(dtype: torch.dtype) -> bool:
    """Whether oneDNN multiplies numbers of this kind here. bfloat16, for one, needs AVX-512; without it F.linear still works."""
    two = torch.ones(2, 2, dtype=dtype, device="cpu")
    try:
        for then in ("none", "swish", "mul", "add"):
            _onednn(two, two, None, then, two if then in ("mul", "add") else None)
    except (AttributeError, RuntimeError):  # a build without the operator; a processor without the instructions
        return False
    return True


def _onednn(x: Tensor, weight: Tensor, bias: Tensor | None, then: str, other: Tensor | None = None) -> Tensor:
    """The product, and `then`, in oneDNN's words: nothing, SiLU, times or plus the other. (An operator of torch's own compiler.)"""
    if x.numel() == x.shape[-1]:
        twice = _onednn(_twice(x), weight, bias, then, None if other is None else _twice(other))
        return twice[:1].view(*x.shape[:-1], -1)
    product = torch.ops.mkldnn._linear_pointwise
    y: Tensor = product(x, weight, bias, then, [], "") if other is None else product.binary(x, other, weight, bias, then)
    return y


def _twice(row: Tensor) -> Tensor:
    return row.reshape(1, -1).expand(2, -1).contiguous()
