"""What a stage writes of its steps."""

import json
from pathlib import Path

import torch

from unitower.training.lesson import Measured, Schedule, teach


class Halving:
    """One number that learns; its loss has one part, of the same name as the share that came out right."""

    def __init__(self) -> None:
        self.parameters = {"number": torch.ones(1, requires_grad=True)}

    def make(self, rng, index):
        return index

    def measure(self, item, *, progress):
        loss = (self.parameters["number"] ** 2).sum()
        right = {"late": torch.tensor(1.0)} if item % 2 else {"late": torch.tensor(0.5), "even": torch.tensor(0.25)}
        return Measured(loss=loss, size=1, parts={"late": loss}, right=right)


def test_means_are_over_the_steps_that_had_the_part(tmp_path: Path) -> None:
    teach(Halving(), Schedule(steps=4, lr=1e-3, log_every=2), tmp_path / "out", name="halving", seed=1, said={})
    lines = [json.loads(line) for line in (tmp_path / "out" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["step"] for line in lines] == [2, 4]
    for line in lines:
        assert abs(line["parts"]["late"] - line["loss"]) < 1e-4  # the only part is the loss
        assert line["accuracy"] == {"late": 0.75, "even": 0.25}
