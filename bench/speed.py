"""Speed of the tower against plain transformers, both sides in one run.

    OMP_NUM_THREADS=1 taskset -c 0 python bench/speed.py

The mid-size tower (decoder 512 x 8 layers, vision 320 x 8 blocks, random weights, adapters of rank 32 merged on both sides, bfloat16)
embeds 64 mixed texts of 5 to 300 tokens in random order, and 8 pages of 588 x 812 pixels (609 cells, 2,436 patches). The other side is
transformers' Qwen2_5_VLModel on the same weights, one item at a time (nothing padded), last hidden state, pooling and projector included.
Figures are CPU seconds of one thread, best of the rounds, the two sides taking turns; the share of the machine's peak is the tower's
arithmetic against a large bfloat16 product timed in the same run. Needs the test extra.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable

import torch
from torch.nn import functional as F

from unitower.model.checkpoint import adapter_layout, base_layout, theirs
from unitower.model.config import LoraConfig, ModelConfig, TextConfig, VisionConfig
from unitower.model.embedder import Embedder, Patches, TokenSequence

IMAGE, START, END, VOCAB = 4, 5, 6, 4400
PACK = 2048
MID = ModelConfig(
    text=TextConfig(
        hidden_size=512, num_hidden_layers=8, num_attention_heads=8, num_key_value_heads=2, intermediate_size=1408,
        vocab_size=VOCAB, mrope_section=(8, 12, 12),
    ),
    vision=VisionConfig(
        depth=8, hidden_size=320, num_heads=4, intermediate_size=864, out_hidden_size=512, fullatt_block_indexes=(3, 7),
    ),
    image_token_id=IMAGE, vision_start_token_id=START, vision_end_token_id=END,
    matryoshka_dims=(128, 256, 512), task_names=("retrieval",),
)  # fmt: skip


def tower(dtype: torch.dtype) -> Embedder:
    torch.manual_seed(0)
    embedder = Embedder(MID)
    for name, parameter in embedder.named_parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5)
        elif name.endswith("bias"):
            torch.nn.init.zeros_(parameter)
    embedder.add_adapter("retrieval", LoraConfig(r=32, lora_alpha=32))
    for _, layer in embedder.adapted():
        torch.nn.init.normal_(layer.lora_B["retrieval"], std=0.02)
    for name, parameter in embedder.named_parameters():
        if "lora" not in name:
            parameter.data = parameter.data.to(dtype)
    return embedder.eval().requires_grad_(False)


def texts() -> list[TokenSequence]:
    draw = random.Random(0)
    lengths = [round(5 + 295 * draw.random() ** 1.35) for _ in range(64)]
    return [TokenSequence(torch.tensor([draw.randrange(10, VOCAB) for _ in range(n)])) for n in lengths]


def pages() -> list[TokenSequence]:
    torch.manual_seed(1)
    rows, columns, before, after = 58, 42, [10, 11, 12, START], [END, *range(13, 19)]
    ids = torch.tensor(before + [IMAGE] * (rows * columns // 4) + after)
    return [
        TokenSequence(
            ids,
            Patches(torch.randn(rows * columns, 3, 1, 196).expand(-1, -1, 2, -1).reshape(rows * columns, -1), (rows, columns), len(before)),
        )
        for _ in range(8)
    ]


def plain_transformers(ours: Embedder, dtype: torch.dtype) -> Callable[[list[TokenSequence]], list[torch.Tensor]]:
    """The same weights in transformers' own class, adapters merged; one item at a time."""
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLModel

    raw = MID.as_json()
    config = Qwen2_5_VLConfig(
        text_config=raw["text_config"], vision_config=raw["vision_config"], image_token_id=IMAGE, video_token_id=VOCAB - 1,
        vision_start_token_id=START, vision_end_token_id=END,
    )  # fmt: skip
    config._attn_implementation = "sdpa"
    base, adapters = theirs(ours, base_layout(MID), torch.float32), theirs(ours, adapter_layout(MID), torch.float32)
    for name, a in adapters.items():
        if ".lora_A." in name:
            target = name.removeprefix("base_model.model.").split(".lora_A")[0].replace("model.language_model.", "model.") + ".weight"
            base[target] += adapters[name.replace("lora_A", "lora_B")] @ a
    weights = {n if n.startswith("visual.") else n.replace("model.", "language_model.", 1): t for n, t in base.items()}
    projector = weights.pop("multi_vector_projector.weight").to(dtype), weights.pop("multi_vector_projector.bias").to(dtype)
    model = Qwen2_5_VLModel(config)
    model.load_state_dict(weights)
    model = model.to(dtype).eval()

    def run(items: list[TokenSequence]) -> list[torch.Tensor]:
        dense = []
        for item in items:
            page, first, last = item.patches, 0, len(item.ids)
            extra = {}
            if page is not None:
                extra = {"pixel_values": page.pixels.to(dtype), "image_grid_thw": torch.tensor([[1, *page.grid]])}
                first, last = page.start - 1, page.start + page.grid[0] * page.grid[1] // 4 + 1
            positions = ours.positions(item)[:, None]
            hidden = model(input_ids=item.ids[None], position_ids=positions, use_cache=False, **extra).last_hidden_state[0]
            F.normalize(F.linear(hidden, *projector).float(), dim=-1)
            dense.append(F.normalize(hidden[first:last].float().mean(0), dim=-1))
        return dense

    return run


def flop(items: list[TokenSequence]) -> float:
    """Multiplications and additions of the tower's products, attention included."""
    t, v, total = MID.text, MID.vision, 0.0
    kv = t.head_dim * t.num_key_value_heads
    for item in items:
        n = len(item.ids)
        linear = t.hidden_size * (2 * t.hidden_size + 2 * kv + 3 * t.intermediate_size)
        total += t.num_hidden_layers * (2 * n * linear + 2 * n * n * t.hidden_size)  # causal: half of 4 n^2 C
        total += 2 * n * t.hidden_size * MID.multi_vector_projector_dim
        if item.patches is not None:
            p = item.patches.grid[0] * item.patches.grid[1]
            linear = v.hidden_size * (4 * v.hidden_size + 3 * v.intermediate_size)
            seen = sum(p if i in v.fullatt_block_indexes else 64 for i in range(v.depth))
            total += 2 * p * linear * v.depth + 4 * p * seen * v.hidden_size + 2 * p * 1176 * v.hidden_size
            total += 2 * (p / 4) * (4 * v.hidden_size) * (4 * v.hidden_size + t.hidden_size)
    return total


def peak(dtype: torch.dtype) -> float:
    """FLOP per CPU second of one large product."""
    a, b = torch.randn(2048, 2048).to(dtype), torch.randn(2048, 2048).to(dtype)
    best = 1e9
    for _ in range(8):
        start = time.process_time()
        a @ b
        best = min(best, time.process_time() - start)
    return 2 * 2048**3 / best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dtype", choices=["bfloat16", "float32"], default="bfloat16")
    options = parser.parse_args()
    dtype = getattr(torch, options.dtype)
    torch.set_num_threads(1)
    ours = tower(dtype)
    other = plain_transformers(ours, dtype)
    ceiling = peak(dtype)
    print(f"{options.dtype}, one thread, torch {torch.__version__}; a 2048^3 product runs at {ceiling / 1e9:.0f} GFLOP/s")
    with torch.inference_mode():
        for name, items in (("64 texts", texts()), ("8 pages", pages())):

            def packed(items: list[TokenSequence] = items) -> torch.Tensor:
                # as the encoder does it: by length, in packs of at most PACK tokens
                order = sorted(range(len(items)), key=lambda i: len(items[i].ids))
                packs: list[list[TokenSequence]] = [[]]
                for i in order:
                    if packs[-1] and sum(len(item.ids) for item in packs[-1]) + len(items[i].ids) > PACK:
                        packs.append([])
                    packs[-1].append(items[i])
                dense = torch.cat([ours(pack, adapters="retrieval").dense for pack in packs])
                return dense[torch.argsort(torch.tensor(order))]

            agreement = F.cosine_similarity(packed(), torch.stack(other(items))).min()
            best = {"unitower": 1e9, "transformers": 1e9}
            ratios = []
            for _ in range(options.rounds):
                took = {}
                for side, run in (("unitower", packed), ("transformers", lambda items=items: other(items))):
                    start = time.process_time()
                    run()
                    took[side] = time.process_time() - start
                    best[side] = min(best[side], took[side])
                ratios.append(took["transformers"] / took["unitower"])
            tokens = sum(len(item.ids) for item in items)
            rate = flop(items) / best["unitower"]
            print(
                f"{name} ({tokens} tokens): unitower {best['unitower']:.3f} s, transformers {best['transformers']:.3f} s, "
                f"ratio {sorted(ratios)[len(ratios) // 2]:.2f} (median of {options.rounds}); "
                f"{rate / 1e9:.0f} GFLOP/s = {rate / ceiling:.0%} of the product's; least cosine {agreement:.5f}"
            )


if __name__ == "__main__":
    main()
