"""A stand-in for the tower: vectors that depend on an input's own tokens and pixels alone, a log of its passes, and a wall."""

from __future__ import annotations

from pathlib import Path

import torch
from torch.nn import functional as F

from unitower.encode.encoder import Encoder
from unitower.encode.processor import Processor
from unitower.encode.tasks import tasks_of
from unitower.model.config import ModelConfig
from unitower.model.embedder import TokenSequence, Vectors

TINY = Path(__file__).parents[1] / "fixtures" / "jina-v4-tiny"


class StandIn:
    """Takes the place of an Embedder.

    room    tokens that fit in a pass; beyond it `error` is raised
    passes  for every pass that was tried, the ids of its sequences
    """

    device, dtype = torch.device("cpu"), torch.float32

    def __init__(self, config: ModelConfig, *, room: int | None = None, error: BaseException | None = None) -> None:
        self.config, self.room, self.error = config, room, error or MemoryError()
        self.passes: list[list[list[int]]] = []
        self.adapters: list[str] = []
        made = torch.Generator().manual_seed(0)
        self.dense = torch.randn(config.text.vocab_size, config.text.hidden_size, generator=made)
        self.tokens = torch.randn(config.text.vocab_size, config.multi_vector_projector_dim, generator=made)

    def adapter_for(self, task: str, role: str) -> str:
        return self.config.role_adapters.get(task, {}).get(role, task)

    def __call__(self, sequences: list[TokenSequence], *, adapters: str, as_released: bool = False) -> Vectors:
        assert not torch.is_grad_enabled()
        lengths = [len(sequence.ids) for sequence in sequences]
        self.passes.append([sequence.ids.tolist() for sequence in sequences])
        self.adapters.append(adapters)
        if self.room is not None and sum(lengths) > self.room:
            raise self.error
        dense, tokens = [], []
        for sequence in sequences:
            seen = 0.0 if sequence.patches is None else float(sequence.patches.pixels.double().abs().mean())
            dense.append(self.dense[sequence.ids].mean(0) + seen)
            tokens.append(self.tokens[sequence.ids] + seen)
        return Vectors(F.normalize(torch.stack(dense), dim=-1), F.normalize(torch.cat(tokens), dim=-1), lengths)

    @property
    def sizes(self) -> list[list[int]]:
        """Token counts of the inputs of every pass that was tried."""
        return [[len(ids) for ids in each] for each in self.passes]


def encoder_of(config: ModelConfig | None = None, **options: object) -> tuple[Encoder, StandIn]:
    """An encoder whose tower is a stand-in, with the tokenizer and limits of the tiny checkpoint."""
    config = config or ModelConfig.read(TINY)
    tower = StandIn(config, **options)  # type: ignore[arg-type]
    encoder = Encoder(tower, Processor.read(TINY, config), tasks=tasks_of(config.task_names), name="stand-in", revision="0")  # type: ignore[arg-type]
    return encoder, tower
