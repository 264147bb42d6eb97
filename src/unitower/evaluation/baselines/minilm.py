"""all-MiniLM-L6-v2 (22 million parameters, English) over the text layer."""

from __future__ import annotations

from unitower.evaluation.baselines._minilm import MiniLM
from unitower.evaluation.models import Encoded, Layer

ABOUT = "all-MiniLM-L6-v2 over the text layer"


def open() -> Encoded:
    return Encoded(MiniLM.found(), name="minilm", modes=("dense",), texts=Layer())
