"""Words over the text layer: what a page tells without being looked at."""

from __future__ import annotations

from unitower.evaluation.models import Layer, Words

ABOUT = "BM25 over the text layer"


def open() -> Words:
    return Words(Layer(), name="bm25")
