"""nano at toy size: every stage for a few steps, on the docstrings of the standard library, without the teacher. Two minutes of one core.

It shows that every stage works and learns, not that the result is good.
"""

from __future__ import annotations

import sysconfig
from dataclasses import replace
from typing import Any

from unitower.data._corpus import Places
from unitower.recipes.nano import TOWER
from unitower.recipes.nano import recipe as whole
from unitower.training.course import (
    AdapterStage,
    Course,
    GatherStage,
    PagesStage,
    ReadingStage,
    Stage,
    TeacherStage,
    TextStage,
    VocabularyStage,
)  # fmt: skip
from unitower.training.reading import Shape

SMALL = replace(
    TOWER,
    text=replace(
        TOWER.text, hidden_size=64, num_hidden_layers=2, intermediate_size=128, vocab_size=1024, mrope_section=(2, 3, 3),
    ),
    vision=replace(TOWER.vision, depth=2, hidden_size=48, intermediate_size=96, out_hidden_size=64),
    matryoshka_dims=(32, 64), multi_vector_projector_dim=32,
)  # fmt: skip

SHAPES = (Shape(rows=4, columns=8, pages=4, weight=1.0),)  # 224 x 112 px: a few lines
STEPS = {"reading": 30, "spelling": 10, "text": 30, "meeting": 10, "pages": 20, "retrieval": 4, "text-matching": 4, "code": 4}


def small(stage: Stage, places: Places) -> Stage:
    """The stage with few steps and small batches."""
    if isinstance(stage, GatherStage):
        return replace(stage, places=places)
    if isinstance(stage, VocabularyStage):
        return replace(stage, characters=400_000)
    if stage.name not in STEPS:
        return stage
    schedule = replace(stage.schedule, steps=STEPS[stage.name], lr=3e-3, warmup=3, save_every=10, log_every=2)  # type: ignore[attr-defined]
    settings: dict[str, Any] = {"schedule": schedule}
    if isinstance(stage, ReadingStage | PagesStage | AdapterStage):
        settings["shapes"] = SHAPES
    if isinstance(stage, TextStage | PagesStage | AdapterStage):
        settings["batch"] = 12
    return replace(stage, **settings)


def recipe(places: Places | None = None) -> Course:
    nowhere = "/nonexistent"
    places = places or Places(
        help=nowhere, manuals=nowhere, dictionaries=nowhere, fortunes=nowhere, python=(sysconfig.get_paths()["stdlib"],)
    )
    stages = [small(stage, places) for stage in whole().stages if not isinstance(stage, TeacherStage)]
    return replace(whole(), name="nano_smoke", tower=SMALL, lora=replace(whole().lora, r=4, lora_alpha=4), stages=tuple(stages), workers=0)
