"""Speed and memory of the training step against the same loss on transformers' padded model.

    OMP_NUM_THREADS=1 taskset -c 0 python bench/training.py

One step = gradients of the joint loss (dense, late, divergence; two Matryoshka widths) of a text batch and a page batch for adapters of
rank 32 on the mid-size tower of bench/speed.py, frozen, bfloat16. The other side is transformers' Qwen2_5_VLModel with peft's LoRA,
batches padded to their longest text, all pages of a batch in one call: the usual way. The loss is the same code on both sides. Each
measurement is a process of its own; figures are CPU seconds of one thread, the best of the rounds, and the peak of the process's memory
above what it held before the first step. Needs the test extra.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from speed import END, IMAGE, MID, START, VOCAB, tower
from torch.nn import functional as F

from unitower.losses.joint import Weights
from unitower.model.checkpoint import base_layout, theirs
from unitower.model.embedder import Patches, TokenSequence, Vectors
from unitower.training.recipe import Objective
from unitower.training.step import Side, Sides, backward, loss_of

OBJECTIVE = Objective(temperature=0.05, dense_widths=(256, 512), weights=Weights())
DTYPE = torch.bfloat16


def text(draw: random.Random, longest: int) -> TokenSequence:
    length = round(5 + (longest - 5) * draw.random() ** 1.5)  # many short, few long: what queries and passages are like
    return TokenSequence(torch.tensor([draw.randrange(10, VOCAB) for _ in range(length)]))


def page(cells: tuple[int, int], seed: int) -> TokenSequence:
    rows, columns = 2 * cells[0], 2 * cells[1]
    ids = torch.tensor([10, 11, 12, START, *[IMAGE] * (cells[0] * cells[1]), END, *range(13, 19)])
    pixels = torch.randn(rows * columns, 1176, generator=torch.Generator().manual_seed(seed))
    return TokenSequence(ids, Patches(pixels, (rows, columns), 4))


def batches(size: int, cells: tuple[int, int]) -> dict[str, Sides]:
    draw = random.Random(0)

    def side(items: list[TokenSequence]) -> Side:
        return Side(sequences=tuple(items), adapter="retrieval")

    words = Sides(queries=side([text(draw, 32) for _ in range(size)]), documents=side([text(draw, 300) for _ in range(size)]))
    seen = Sides(queries=side([text(draw, 32) for _ in range(size)]), documents=side([page(cells, i) for i in range(size)]))
    return {"text": words, "pages": seen}


def ours(data: dict[str, Sides], chunk_tokens: int | None) -> Callable[[], float]:
    embedder = tower(DTYPE).train()
    for _, layer in embedder.adapted():
        torch.nn.init.zeros_(layer.lora_B["retrieval"])  # as peft starts them: the two losses must agree
    for name, parameter in embedder.named_parameters():
        parameter.requires_grad_(".lora_" in name)

    def step() -> float:
        embedder.zero_grad(set_to_none=True)
        return float(backward(embedder, data, OBJECTIVE, chunk_tokens=chunk_tokens).loss)

    return step


def padded(data: dict[str, Sides]) -> Callable[[], float]:
    from peft import LoraConfig, inject_adapter_in_model
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLModel

    embedder, raw = tower(DTYPE), MID.as_json()
    config = Qwen2_5_VLConfig(
        text_config=raw["text_config"], vision_config=raw["vision_config"], image_token_id=IMAGE, video_token_id=VOCAB - 1,
        vision_start_token_id=START, vision_end_token_id=END,
    )  # fmt: skip
    config._attn_implementation = "sdpa"
    weights = {
        n if n.startswith("visual.") else n.replace("model.", "language_model.", 1): t
        for n, t in theirs(embedder, base_layout(MID), DTYPE).items()
    }
    projector = torch.nn.Linear(512, 128).to(DTYPE)
    projector.load_state_dict({k: weights.pop(f"multi_vector_projector.{k}") for k in ("weight", "bias")})
    model = Qwen2_5_VLModel(config)
    model.load_state_dict(weights)
    whole = torch.nn.ModuleDict({"model": model.to(DTYPE), "projector": projector}).train()
    targets = r".*language_model.*(q|k|v|o|gate|up|down)_proj$|projector"
    inject_adapter_in_model(LoraConfig(r=32, lora_alpha=32, target_modules=targets), whole)
    for name, parameter in whole.named_parameters():
        parameter.requires_grad_("lora_" in name)

    def embed(side: Side) -> Vectors:
        items = side.sequences
        longest = max(len(item.ids) for item in items)
        ids = torch.stack([F.pad(item.ids, (0, longest - len(item.ids))) for item in items])
        mask = torch.stack([F.pad(torch.ones(len(item.ids), dtype=torch.long), (0, longest - len(item.ids))) for item in items])
        positions = torch.stack([F.pad(embedder.positions(item), (0, longest - len(item.ids)), value=1) for item in items], dim=1)
        pages = [item.patches for item in items if item.patches is not None]
        extra = {}
        if pages:
            extra = {
                "pixel_values": torch.cat([p.pixels for p in pages]).to(DTYPE),
                "image_grid_thw": torch.tensor([[1, *p.grid] for p in pages]),
            }
        hidden = whole["model"](input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=False, **extra).last_hidden_state
        tokens = F.normalize(whole["projector"](hidden).float(), dim=-1)
        dense = []
        for row, item in zip(hidden, items, strict=True):
            first, last = 0, len(item.ids)
            if item.patches is not None:
                first, last = item.patches.start - 1, item.patches.start + item.patches.grid[0] * item.patches.grid[1] // 4 + 1
            dense.append(F.normalize(row[first:last].float().mean(0), dim=-1))
        return Vectors(torch.stack(dense), tokens[mask.bool()], [len(item.ids) for item in items])

    def step() -> float:
        whole.zero_grad(set_to_none=True)
        measured = loss_of({n: [embed(s) for s in sides.parts()] for n, sides in data.items()}, dict.fromkeys(data), OBJECTIVE)
        measured.loss.backward()
        return float(measured.loss)

    return step


def measure(side: str, size: int, cells: tuple[int, int], rounds: int) -> dict[str, float]:
    torch.set_num_threads(1)
    data = batches(size, cells)
    step = padded(data) if side == "transformers" else ours(data, {"unitower": None, "unitower, cached": 2048}[side])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    best = 1e9
    for _ in range(rounds):
        start = time.process_time()
        loss = step()
        best = min(best, time.process_time() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"loss": loss, "seconds": best, "pairs_per_s": 2 * size / best, "mb": (peak - before) / 1024}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        side, size, cells = json.loads(options.measure)
        print(json.dumps(measure(side, size, tuple(cells), options.rounds)))
        return
    print("pairs (text + pages), page   side                loss   CPU s   pairs/s   peak MB   against transformers")
    for size, cells in ((4, (15, 10)), (8, (15, 10)), (16, (15, 10)), (8, (8, 5)), (4, (29, 21))):
        seconds: dict[str, float] = {}
        for side in ("transformers", "unitower", "unitower, cached"):
            command = [sys.executable, __file__, "--rounds", str(options.rounds), "--measure", json.dumps([side, size, cells])]
            run = subprocess.run(
                command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, cwd=Path(__file__).parent
            )
            if run.returncode:
                print(f"{size} + {size}, {cells[0] * 28} x {cells[1] * 28} px   {side}: failed\n{run.stderr[-500:]}")
                continue
            got = json.loads(run.stdout.splitlines()[-1])
            seconds[side] = got["seconds"]
            ratio = f"{seconds['transformers'] / got['seconds']:.2f} x" if "transformers" in seconds else ""
            print(
                f"{size} + {size}, {cells[0] * 28} x {cells[1] * 28} px".ljust(29)
                + f"{side.ljust(18)}{got['loss']:7.3f}{got['seconds']:8.2f}{got['pairs_per_s']:10.2f}{got['mb']:10.0f}   {ratio}",
                flush=True,
            )


if __name__ == "__main__":
    main()
