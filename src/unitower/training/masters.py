"""AdamW, and Muon for the matrices of blocks, on float32 copies of bfloat16 weights.

bfloat16 has 8 bits of fraction: a step smaller than 1/256 of a weight would be rounded away. So the step is taken on a copy in float32,
and the weights that the passes use are that copy, rounded. The same on CPU and GPU; no autocast, so no weight is cast twice.

Muon makes every direction of a matrix's step about as long as the others, where Adam's steps are led by a few. Its steps are scaled to be
as long as AdamW's, so that one learning rate serves both. Source: Jordan et al. 2024; Liu et al. 2025 (the scale).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import torch
from torch import Tensor

MOMENTS = ("exp_avg", "exp_avg_sq", "step", "momentum_buffer")
"""What the optimisers keep of a weight: the first three AdamW, the last Muon."""


class Masters:
    """The optimiser of `parameters`; weight decay on matrices alone.

    slow  beginning of a name -> share of the learning rate that parameters with it get, without weight decay
    muon  whether the matrices of blocks that are not slow take Muon's steps
    """

    def __init__(
        self, parameters: Mapping[str, Tensor], *, weight_decay: float, slow: Mapping[str, float] | None = None,
        muon: bool = False, betas: tuple[float, float] = (0.9, 0.98),
    ) -> None:  # fmt: skip
        self.parameters = dict(parameters)
        self.masters = {name: p.detach().float().clone().requires_grad_() for name, p in self.parameters.items()}
        groups: dict[tuple[float, float], list[Tensor]] = {}
        turned: list[Tensor] = []
        for name, master in self.masters.items():
            share = next((share for start, share in (slow or {}).items() if name.startswith(start)), None)
            if muon and share is None and master.dim() == 2 and ".blocks." in name:
                turned.append(master)
                continue
            decay = weight_decay if share is None and master.dim() > 1 else 0.0
            groups.setdefault((1.0 if share is None else share, decay), []).append(master)
        settings = [{"params": masters, "weight_decay": decay, "share": share} for (share, decay), masters in groups.items()]
        self._optimizers: list[torch.optim.Optimizer] = [torch.optim.AdamW(settings, betas=betas, fused=True)] if settings else []
        if turned:
            plan = {"params": turned, "share": 1.0}
            self._optimizers.append(torch.optim.Muon([plan], weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw"))

    def step(self, lr: float, *, clip: float) -> float:
        """One step from the gradients of the parameters, which are forgotten; the norm they had before clipping."""
        for name, parameter in self.parameters.items():
            self.masters[name].grad = None if parameter.grad is None else parameter.grad.float()
            parameter.grad = None
        norm = torch.nn.utils.clip_grad_norm_([m for m in self.masters.values() if m.grad is not None], clip)
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = lr * group["share"]
            optimizer.step()
        self._round()
        return float(norm)

    @cached_property
    def _of(self) -> dict[str, torch.optim.Optimizer]:
        """The optimiser of each parameter."""
        owner = {id(p): each for each in self._optimizers for group in each.param_groups for p in group["params"]}
        return {name: owner[id(master)] for name, master in self.masters.items()}

    @torch.no_grad()
    def _round(self) -> None:
        for name, parameter in self.parameters.items():
            parameter.copy_(self.masters[name])

    @property
    def weights(self) -> dict[str, Tensor]:
        """The weights in float32, on the CPU."""
        return {name: master.detach().cpu().contiguous() for name, master in self.masters.items()}

    @property
    def state(self) -> dict[str, Tensor]:
        """All that the next step depends on, by name; `restore` takes it."""
        held = {f"weights.{name}": weight for name, weight in self.weights.items()}
        for name, master in self.masters.items():
            for key, value in self._of[name].state.get(master, {}).items():  # nothing for what never had a gradient
                held[f"{key}.{name}"] = value.detach().cpu().contiguous()
        return held

    def restore(self, state: Mapping[str, Tensor]) -> None:
        for name, master in self.masters.items():
            with torch.no_grad():
                master.copy_(state[f"weights.{name}"])
            if kept := {key: state[f"{key}.{name}"].to(master.device) for key in MOMENTS if f"{key}.{name}" in state}:
                self._of[name].state[master] = kept
        self._round()
