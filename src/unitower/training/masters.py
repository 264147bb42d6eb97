"""AdamW on float32 copies of bfloat16 weights.

bfloat16 has 8 bits of fraction: a step smaller than 1/256 of a weight would be rounded away. So the step is taken on a copy in float32,
and the weights that the passes use are that copy, rounded. The same on CPU and GPU; no autocast, so no weight is cast twice.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

MOMENTS = ("exp_avg", "exp_avg_sq", "step")


class Masters:
    """The optimiser of `parameters`; weight decay on matrices alone.

    slow  beginning of a name -> share of the learning rate that parameters with it get, without weight decay
    """

    def __init__(
        self, parameters: Mapping[str, Tensor], *, weight_decay: float, slow: Mapping[str, float] | None = None,
        betas: tuple[float, float] = (0.9, 0.98),
    ) -> None:  # fmt: skip
        self.parameters = dict(parameters)
        self.masters = {name: p.detach().float().clone().requires_grad_() for name, p in self.parameters.items()}
        groups: dict[tuple[float, float], list[Tensor]] = {}
        for name, master in self.masters.items():
            share = next((share for start, share in (slow or {}).items() if name.startswith(start)), None)
            decay = weight_decay if share is None and master.dim() > 1 else 0.0
            groups.setdefault((1.0 if share is None else share, decay), []).append(master)
        self._shares = [share for share, _ in groups]
        settings = [{"params": masters, "weight_decay": decay} for (_, decay), masters in groups.items()]
        self._optimizer = torch.optim.AdamW(settings, betas=betas, fused=True)

    def step(self, lr: float, *, clip: float) -> float:
        """One step from the gradients of the parameters, which are forgotten; the norm they had before clipping."""
        for name, parameter in self.parameters.items():
            self.masters[name].grad = None if parameter.grad is None else parameter.grad.float()
            parameter.grad = None
        norm = torch.nn.utils.clip_grad_norm_([m for m in self.masters.values() if m.grad is not None], clip)
        for group, share in zip(self._optimizer.param_groups, self._shares, strict=True):
            group["lr"] = lr * share
        self._optimizer.step()
        self._round()
        return float(norm)

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
            for key, value in self._optimizer.state.get(master, {}).items():  # nothing for what never had a gradient
                held[f"{key}.{name}"] = value.detach().cpu().contiguous()
        return held

    def restore(self, state: Mapping[str, Tensor]) -> None:
        for name, master in self.masters.items():
            with torch.no_grad():
                master.copy_(state[f"weights.{name}"])
            if f"step.{name}" in state:
                self._optimizer.state[master] = {key: state[f"{key}.{name}"].to(master.device) for key in MOMENTS}
        self._round()
