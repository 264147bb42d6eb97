"""Linear layers that can carry low-rank adapters: merged for speed, routed per row when tasks are mixed, trained unmerged.

A layer may hold several projections of the same input side by side (q, k and v; gate and up): one product instead of three,
while each projection keeps the adapter of its own that the released checkpoint has.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unitower.model.config import LoraConfig
from unitower.model.linear import linear, linear_plus

Route = Sequence[tuple[str | None, int, int]]
"""Which adapter serves which rows: (adapter or None for the bare tower, first row, row after the last), in order, without gaps.

In place of a route, None means the fast arithmetic: merged weights and fused products. A route means the arithmetic of the released code,
adapter beside base and every step rounded where it rounds; in float32 the two agree to about 1e-6, in bfloat16 to about 0.02 of a row."""


class AdaptedLinear(nn.Module):
    """y = W x + b, plus scale * B A x of the adapter that a row is routed to.

    in_features   width of x
    out_features  widths of the projections held side by side

    Adapters are stored as A [projections * r, in] and B [sum(out), r], both float32 whatever the weights are, as the released code
    keeps them. `merge` puts one adapter into a second copy of W, which `route=None` uses.
    """

    merged: Tensor | None

    def __init__(self, in_features: int, out_features: Sequence[int], *, bias: bool) -> None:
        super().__init__()
        self.out_features = tuple(out_features)
        self.weight = nn.Parameter(torch.empty(sum(out_features), in_features))
        self.bias = nn.Parameter(torch.empty(sum(out_features))) if bias else None
        self.lora_A = nn.ParameterDict()
        self.lora_B = nn.ParameterDict()
        self.lora: dict[str, LoraConfig] = {}
        self.register_buffer("merged", None, persistent=False)

    def add_adapter(self, name: str, lora: LoraConfig) -> None:
        """A fresh adapter that changes nothing yet: A gaussian with deviation 1 / r, B zero."""
        rows, columns = self.weight.shape
        device, r = self.weight.device, lora.r
        self.lora_A[name] = nn.Parameter(torch.randn(len(self.out_features) * r, columns, device=device, dtype=torch.float32) / r)
        self.lora_B[name] = nn.Parameter(torch.zeros(rows, r, device=device, dtype=torch.float32))
        self.lora[name] = lora

    @torch.no_grad()
    def begin_adapter(self, name: str, wanted: Tensor) -> None:
        """Let an adapter begin where it takes W nearest to `wanted`, [sum(out), in].

        Of each projection's difference the r strongest singular directions: no other matrix of that rank comes nearer (Eckart and Young
        1936).
        """
        rank, scale = self.lora[name].r, self.lora[name].scale
        differences = torch.split(wanted.to(self.weight.device).float() - self.weight.float(), list(self.out_features))
        shrinking, growing = self.lora_A[name].chunk(len(self.out_features)), self.lora_B[name].split(self.out_features)
        for a, b, difference in zip(shrinking, growing, differences, strict=True):
            left, strength, right = torch.linalg.svd(difference, full_matrices=False)
            root = (strength[:rank] / scale).sqrt()
            a.zero_()[: len(root)] = root[:, None] * right[:rank]
            b.zero_()[:, : len(root)] = left[:, :rank] * root

    def remove_adapter(self, name: str) -> None:
        del self.lora_A[name], self.lora_B[name], self.lora[name]

    def low_rank(self, x: Tensor, name: str) -> Tensor:
        """scale * B A x of one adapter, [rows, sum(out)]."""
        projections, lora = len(self.out_features), self.lora[name]
        shrunk = linear(F.dropout(x, lora.lora_dropout, self.training), self.lora_A[name].to(x.dtype)).chunk(projections, dim=-1)
        grown = [linear(a, b.to(x.dtype)) for a, b in zip(shrunk, self.lora_B[name].split(self.out_features), strict=True)]
        return lora.scale * (grown[0] if projections == 1 else torch.cat(grown, dim=-1))

    def low_rank_onto(self, y: Tensor, x: Tensor, name: str) -> Tensor:
        """y + scale * B A x in two products, whatever the number of projections: what training spends its time on."""
        lora = self.lora[name]
        shrunk = linear(F.dropout(x, lora.lora_dropout, self.training), self.lora_A[name].to(x.dtype))
        shrunk = shrunk if lora.scale == 1 else lora.scale * shrunk
        blocks = torch.block_diag(*self.lora_B[name].split(self.out_features)).to(x.dtype)  # type: ignore[no-untyped-call]
        return torch.addmm(y, shrunk, blocks.T) if y.dtype == shrunk.dtype else y + linear(shrunk, blocks)

    def delta(self, name: str) -> Tensor:
        """scale * B @ A of one adapter in float32, shaped like W."""
        projections = len(self.out_features)
        pairs = zip(self.lora_B[name].split(self.out_features), self.lora_A[name].chunk(projections), strict=True)
        return self.lora[name].scale * torch.cat([b @ a for b, a in pairs])

    @torch.no_grad()
    def merge(self, name: str | None) -> None:
        """Hold W + delta beside W, so that `route=None` serves this adapter at the bare tower's cost; None lets go of it."""
        self.merged = None if name is None else (self.weight.float() + self.delta(name)).to(self.weight.dtype)

    @property
    def fast(self) -> Tensor:
        """The weight that the fast arithmetic uses: the merged one, or W where nothing is merged."""
        return self.weight if self.merged is None else self.merged

    def forward(self, x: Tensor, route: Route | None, *, plus: Tensor | None = None) -> Tensor:
        """W x + b with the adapters of `route`, and `plus` (a residual) added at the end."""
        if route is None:
            return linear(x, self.fast, self.bias) if plus is None else linear_plus(x, self.fast, self.bias, plus)
        y = linear(x, self.weight, self.bias)
        if torch.is_grad_enabled() and len(route) == 1 and route[0][0] is not None:
            y = self.low_rank_onto(y, x, route[0][0])
        elif any(name is not None for name, _, _ in route):
            parts = [y[first:last] if name is None else y[first:last] + self.low_rank(x[first:last], name) for name, first, last in route]
            y = parts[0] if len(parts) == 1 else torch.cat(parts)
        return y if plus is None else plus + y


def route_of(adapters: Sequence[str | None], lengths: Sequence[int]) -> Route:
    """The route of packed rows: sequence i has lengths[i] rows and goes to adapters[i]; neighbours of one adapter become one stretch.

    >>> route_of(["code", "code", None], [2, 3, 1])
    [('code', 0, 5), (None, 5, 6)]
    """
    route: list[tuple[str | None, int, int]] = []
    row = 0
    for adapter, length in zip(adapters, lengths, strict=True):
        first = row
        if route and route[-1][0] == adapter:
            first = route.pop()[1]
        row += length
        route.append((adapter, first, row))
    return route
