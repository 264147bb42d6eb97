"""nano on one pool: late scores, dense scores, dense scores of half the width, and CPU seconds a page."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nano.ranking import Scores
from nano.sets import Pool
from unitower.evaluation.models import all_maxsims
from unitower.types import Ragged

if TYPE_CHECKING:
    from unitower.encode.encoder import Encoder


@dataclass(frozen=True)
class Measured:
    """Scores [queries, documents] by signal; seconds of CPU a page, None where there are no pages."""

    late: Scores
    dense: Scores
    half: Scores
    page_seconds: float | None


def measured(encoder: Encoder, pool: Pool) -> Measured:
    pages = [i for i, document in enumerate(pool.documents) if document.page is not None]
    others = [i for i, document in enumerate(pool.documents) if document.page is None]
    dense: dict[int, np.ndarray] = {}
    tokens: dict[int, np.ndarray] = {}
    seconds = 0.0
    for some in (pages, others):
        # pictures are read before the clock starts, some at a time: a page costs what the tower costs
        for start in range(0, len(some), 16):
            batch = some[start : start + 16]
            inputs = [page.image() if (page := pool.documents[i].page) is not None else pool.documents[i].text for i in batch]
            before = time.process_time()
            found = encoder.encode(inputs, task=pool.task, role="passage")
            seconds += (time.process_time() - before) if some is pages else 0.0
            for position, i in enumerate(batch):
                dense[i], tokens[i] = found.dense[position], found.multi[position]
    asked = encoder.encode([query.text for query in pool.queries], task=pool.task, role="query")
    documents = np.stack([dense[i] for i in range(len(pool.documents))])
    half = documents.shape[1] // 2
    return Measured(
        late=all_maxsims(asked.multi, Ragged.of([tokens[i] for i in range(len(pool.documents))])),
        dense=asked.dense @ documents.T,
        half=_unit(asked.dense[:, :half]) @ _unit(documents[:, :half]).T,
        page_seconds=seconds / len(pages) if pages else None,
    )


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
