"""The whole recipe at toy size: a tower from nothing, pairs, then the three adapters. Two minutes of one core, offline.

It shows that everything works and learns, not that the result is good: docstrings of the standard library teach a little English and
Python, pages are there so that their way through the tower is walked.
"""

from __future__ import annotations

import sysconfig

from unitower.model.config import LoraConfig, ModelConfig, TextConfig, VisionConfig
from unitower.training.recipe import Mix, Objective, Phase, Recipe, Source

TOWER = ModelConfig(
    text=TextConfig(
        hidden_size=128, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, intermediate_size=256, vocab_size=16384,
        mrope_section=(4, 6, 6), rope_theta=10_000.0, max_position_embeddings=4096,
    ),
    vision=VisionConfig(depth=2, hidden_size=64, num_heads=4, intermediate_size=128, out_hidden_size=128, fullatt_block_indexes=(1,)),
    image_token_id=2, vision_start_token_id=1, vision_end_token_id=3,  # of nano's tokenizer
    matryoshka_dims=(64, 128), multi_vector_projector_dim=64,
)  # fmt: skip


def recipe() -> Recipe:
    library = {"roots": [sysconfig.get_paths()["stdlib"]]}  # the standard library alone: it is everywhere, and scanned in seconds
    summaries = Mix(sources=(Source(kind="python_docs", options={"sides": "summary", **library}),), batch=48)
    functions = Mix(sources=(Source(kind="python_docs", options={"sides": "code", **library}),), batch=24)
    width, height = 280, 392
    pages = Mix(
        # short pages of large print: what a tower this small could learn to read at all
        sources=(Source(kind="rendered", options={"kinds": ["letter"], "languages": ["en"], "size": 2000, "px": (width, height)}),),
        batch=8,
    )
    pairs = Objective(temperature=0.05, both_ways=True)  # 0.05 and both directions: jina-embeddings-v3's pair phase; v4 names neither
    return Recipe(
        name="smoke",
        start="nano",  # its tokenizer and preprocessing; the weights are drawn
        config=TOWER,
        lora=LoraConfig(r=8, lora_alpha=8, lora_dropout=0.1),
        precision="float32",  # towers this small gain nothing from bfloat16
        phases=(
            Phase(
                name="pairs", steps=100, objective=pairs, adapters={"pairs": None}, train=("tower",), text=summaries, pages=pages,
                lr=2e-3, warmup=10, average=0.9, max_length=128, max_pixels=width * height,  # as drawn: nano's rules would magnify them
            ),
            Phase(
                name="retrieval", steps=10, adapters={"retrieval": "pairs"}, text=summaries, pages=pages, lr=5e-4, max_length=128,
                max_pixels=width * height,
            ),
            Phase(
                name="text-matching", steps=10, task="text-matching", adapters={"text-matching": "pairs"}, text=summaries, lr=5e-4,
                objective=pairs, max_length=128,
            ),
            Phase(name="code", steps=20, task="code", adapters={"code": "pairs"}, text=functions, lr=5e-4, max_length=128),
        ),
        save_every=25,
        log_every=5,
    )  # fmt: skip
