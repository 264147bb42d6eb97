"""Words over what Tesseract reads on the picture of a page."""

from __future__ import annotations

from unitower.evaluation.baselines._tesseract import Tesseract
from unitower.evaluation.models import Words

ABOUT = "BM25 over what Tesseract reads"


def open() -> Words:
    return Words(Tesseract.found(), name="tesseract_bm25")
