"""all-MiniLM-L6-v2 (22 million parameters, English) over what Tesseract reads on the picture of a page."""

from __future__ import annotations

from unitower.evaluation.baselines._minilm import MiniLM
from unitower.evaluation.baselines._tesseract import Tesseract
from unitower.evaluation.models import Encoded

ABOUT = "all-MiniLM-L6-v2 over what Tesseract reads"


def open() -> Encoded:
    return Encoded(MiniLM.found(), name="tesseract_minilm", modes=("dense",), texts=Tesseract.found())
