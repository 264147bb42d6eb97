"""Does one tower narrow the modality gap? Towers of one size, trained on the same pairs in the same order, measured on pairs held out.

    OMP_NUM_THREADS=1 python bench/modality_gap.py --work runs/gap      # trains what is not in runs/gap yet, then measures

The data are drawn: one to three shapes of one colour on a ground of another, with two captions in words of their own, as photographs
have captions. Scenes (colour, shape, number, ground) of the test were never trained on, though their colours and shapes were.

Four models, each with several seeds:

    one tower, joint loss     dense and late, text-text and image-text pairs: the first phase of jina-embeddings-v4
    one tower, CLIP loss      the same tower; dense, image-text pairs only
    two towers, all pairs     an image and a text encoder that share nothing; dense, text-text and image-text pairs
    two towers, CLIP loss     the same two; dense, image-text pairs only: what CLIP is

The two encoders are the vision tower and the decoder of the one tower, with the same first weights; only that pictures do not go through
the decoder, and that either has a projection of its own, as in CLIP. So the four tell apart what the shared tower does and what the loss
does. Temperature, steps, batches, optimiser and learning rate are the same for all. Writes bench/results/modality_gap.json and the
pictures of docs/analysis.md.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache, partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image, ImageDraw
from torch import nn
from torch.nn import functional as F

from unitower.analysis import figures, page
from unitower.analysis.material import of_tasks
from unitower.analysis.study import study
from unitower.encode.processor import Processor
from unitower.evaluation.task import Listed, Task
from unitower.losses.joint import Weights
from unitower.model.config import ModelConfig, TextConfig, VisionConfig
from unitower.model.embedder import Embedder, TokenSequence, Vectors
from unitower.model.hub import folder_of
from unitower.training.recipe import Objective
from unitower.training.start import from_nothing
from unitower.training.step import Side, Sides, backward
from unitower.types import Embeddings, Encodable, Fingerprint, Item, Ragged, Role, Source

RESULTS = Path(__file__).parent / "results"
DOCS = Path(__file__).parents[1] / "docs"

SIDE = 56  # pixels of a picture: 4 cells of the tower
BATCH = 32
LR = 2e-3
WARMUP = 20
TEMPERATURE = 0.05  # jina-embeddings-v3's pair phase; v4 names 0.02, for its triplets; that which CLIP learns ends at 0.01

TOWER = ModelConfig(
    text=TextConfig(
        hidden_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, intermediate_size=128, vocab_size=16384,
        mrope_section=(2, 3, 3), rope_theta=10_000.0, max_position_embeddings=512,
    ),
    vision=VisionConfig(depth=2, hidden_size=64, num_heads=4, intermediate_size=128, out_hidden_size=64, fullatt_block_indexes=(0, 1)),
    image_token_id=2, vision_start_token_id=1, vision_end_token_id=3,  # of nano's tokenizer
    matryoshka_dims=(32, 64), multi_vector_projector_dim=32,
)  # fmt: skip

JOINT = Objective(temperature=TEMPERATURE, both_ways=True, dense_widths=(64,))
PAIRS = replace(JOINT, weights=Weights(text_late=0, text_distill=0, pages_late=0, pages_distill=0))
CLIP = replace(JOINT, weights=Weights(text_dense=0, text_late=0, text_distill=0, pages_late=0, pages_distill=0))

MODELS = {
    "one tower, joint loss": (False, JOINT),
    "one tower, CLIP loss": (False, CLIP),
    "two towers, all pairs": (True, PAIRS),
    "two towers, CLIP loss": (True, CLIP),
}
"""Name -> whether it has two towers, and what it makes small."""

# ---------------------------------------------------------------- data

COLOURS = {
    "red": ("red", "crimson"), "green": ("green", "emerald"), "blue": ("blue", "azure"), "orange": ("orange", "amber"),
    "purple": ("purple", "violet"), "brown": ("brown", "chestnut"), "deeppink": ("pink", "magenta"), "teal": ("teal", "turquoise"),
}  # fmt: skip
SHAPES = {
    "circle": ("circle", "disc"), "square": ("square", "box"), "triangle": ("triangle", "wedge"), "cross": ("cross", "plus"),
    "ring": ("ring", "hoop"),
}  # fmt: skip
NUMBERS = {1: ("one", "a single"), 2: ("two", "a pair of"), 3: ("three", "a trio of")}
GROUNDS = {
    "white": ("white", "a blank sheet"), "black": ("black", "the night"), "silver": ("grey", "ash"), "khaki": ("yellow", "sand"),
    "lightblue": ("light blue", "the sky"), "palegreen": ("light green", "a lawn"),
}  # fmt: skip

Scene = tuple[str, str, int, str]


def scenes(*, held_out: bool) -> list[Scene]:
    """A fifth of all is held out."""
    every = list(product(COLOURS, SHAPES, NUMBERS, GROUNDS))
    random.Random("scenes").shuffle(every)
    return every[: len(every) // 5] if held_out else every[len(every) // 5 :]


def captions(scene: Scene, draw: random.Random) -> tuple[str, str]:
    """Two captions of a scene: where one takes the plain word, the other takes the second."""
    words = [table[part] for table, part in zip((COLOURS, SHAPES, NUMBERS, GROUNDS), scene, strict=True)]  # type: ignore[index]
    sides = [draw.randrange(2) for _ in words]
    first, second = ([word[side ^ flip] for word, side in zip(words, sides, strict=True)] for flip in (0, 1))
    more = "es" if scene[2] > 1 else ""
    patterns = ["{2} {0} {1}{more} on {3}", "{3} behind {2} {1}{more} in {0}"]
    draw.shuffle(patterns)
    return patterns[0].format(*first, more=more), patterns[1].format(*second, more=more)


def picture(scene: Scene, draw: random.Random) -> Image.Image:
    colour, shape, number, ground = scene
    image = Image.new("RGB", (SIDE, SIDE), ground)
    pen = ImageDraw.Draw(image)
    half = SIDE // 2
    for column, row in draw.sample([(0, 0), (0, 1), (1, 0), (1, 1)], number):
        size = draw.randint(14, 22)
        x, y = column * half + draw.randint(2, half - size - 2), row * half + draw.randint(2, half - size - 2)
        box, third = (x, y, x + size, y + size), size // 3
        if shape == "circle":
            pen.ellipse(box, fill=colour)
        elif shape == "square":
            pen.rectangle(box, fill=colour)
        elif shape == "triangle":
            pen.polygon([(x, y + size), (x + size, y + size), (x + size // 2, y)], fill=colour)
        elif shape == "ring":
            pen.ellipse(box, outline=colour, width=third)
        else:
            pen.rectangle((x + third, y, x + size - third, y + size), fill=colour)
            pen.rectangle((x, y + third, x + size, y + size - third), fill=colour)
    return image


def held_out() -> Task:
    """The scenes never trained on: one picture each, found by either of two captions."""
    queries, pages, qrels = {}, [], {}
    for number, scene in enumerate(scenes(held_out=True)):
        draw = random.Random(f"test {number}")
        page = f"scene {number}"
        pages.append(Item(id=page, modality="image", content=picture(scene, draw), source=Source(path=page)))
        for which, caption in enumerate(captions(scene, draw)):
            queries[f"{page}, caption {which}"] = caption
            qrels[f"{page}, caption {which}"] = {page: 1}
    return Task(name="scenes", queries=queries, corpus=Listed(pages), qrels=qrels, identity={"languages": ["en"]})


# ---------------------------------------------------------------- models


class TwoTowers(nn.Module):
    """CLIP's plan with our parts: pictures see the vision tower, texts the decoder, each ends in a projection of its own."""

    def __init__(self, embedder: Embedder) -> None:
        super().__init__()
        self.vision, self.decoder = embedder.vision, embedder.decoder
        width = embedder.config.text.hidden_size
        self.heads = nn.ModuleDict({side: nn.Linear(width, width, bias=False) for side in ("image", "text")})

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    def forward(self, sequences: Sequence[TokenSequence], *, adapters: None = None) -> Vectors:
        if sequences[0].patches is not None:
            pixels = torch.stack([one.patches.pixels for one in sequences if one.patches is not None])
            means, head = self.vision(pixels, sequences[0].patches.grid, None).mean(dim=1), self.heads["image"]
        else:
            lengths = [len(one.ids) for one in sequences]
            positions = torch.cat([torch.arange(length).expand(3, length) for length in lengths], dim=1)
            hidden = self.decoder(self.decoder.embed_tokens(torch.cat([one.ids for one in sequences])), positions, lengths, None)
            means, head = torch.stack([each.mean(dim=0) for each in torch.split(hidden, lengths)]), self.heads["text"]
        dense = F.normalize(head(means).float(), dim=-1)
        return Vectors(dense, dense, [1] * len(dense))


class Sight:
    """Items to what a tower takes, with nano's tokenizer."""

    def __init__(self) -> None:
        self.processor = Processor.read(folder_of("nano")[0], TOWER)
        self.text = lru_cache(maxsize=20_000)(self._text)

    def _text(self, text: str, role: Role) -> TokenSequence:
        return TokenSequence(torch.tensor(self.processor.text_ids(text, prompt="Query: " if role == "query" else "Passage: ")))

    def image(self, image: Image.Image) -> TokenSequence:
        return self.processor.image_sequence(self.processor.resized(image, (SIDE, SIDE)))


class Encodes:
    """A tower as `types.Encodes`."""

    tasks, fusion = ("retrieval",), {}

    def __init__(self, name: str, model: nn.Module, sight: Sight) -> None:
        self.name, self.model, self.sight = name, model.eval(), sight

    def fingerprint(self, *, task: str) -> Fingerprint:
        widths = {"dense_width": 64, "multi_width": 64 if isinstance(self.model, TwoTowers) else 32}
        return Fingerprint(model=self.name, revision="bench", adapter=task, prompts={}, max_pixels=SIDE**2, max_length=512, **widths)

    @torch.no_grad()
    def encode(self, inputs: Sequence[Encodable], *, task: str = "retrieval", role: Role | None = None) -> Embeddings:
        contents = [one.content if isinstance(one, Item) else one for one in inputs]
        seen = [self.sight.text(one, role or "query") if isinstance(one, str) else self.sight.image(one) for one in contents]
        vectors = self.model(seen, adapters=None)
        multi = [each.numpy() for each in torch.split(vectors.tokens, vectors.lengths)]
        return Embeddings(dense=vectors.dense.numpy(), multi=Ragged.of(multi), fingerprint=self.fingerprint(task=task))


def started(two_towers: bool, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    embedder = from_nothing(TOWER)
    return TwoTowers(embedder) if two_towers else embedder


def fitted(name: str, seed: int, *, steps: int, temperature: float, sight: Sight) -> tuple[nn.Module, float]:
    """A trained model, and the loss of its last steps."""
    two_towers, objective = MODELS[name]
    objective = replace(objective, temperature=temperature)
    model = started(two_towers, seed).train().requires_grad_()
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR, weight_decay=0.0, betas=(0.9, 0.98))
    draw, train, losses = random.Random(seed), scenes(held_out=False), []
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = LR * min(1.0, (step + 1) / WARMUP) * (1 + np.cos(np.pi * step / steps)) / 2
        batch = [(captions(scene, draw), picture(scene, draw)) for scene in draw.sample(train, BATCH)]

        def texts(which: int, role: Role, batch: list[tuple[tuple[str, str], Image.Image]] = batch) -> Side:
            return Side(sequences=tuple(sight.text(pair[which], role) for pair, _ in batch), adapter=None)

        pages = Side(sequences=tuple(sight.image(image) for _, image in batch), adapter=None)
        batches = {"pages": Sides(queries=texts(0, "query"), documents=pages)}
        if objective.weights.text_dense:
            batches["text"] = Sides(queries=texts(0, "query"), documents=texts(1, "passage"))
        measured = backward(model, batches, objective)  # type: ignore[arg-type]
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(float(measured.loss.detach()))
        if (step + 1) % 50 == 0:
            first = ", ".join(f"{head} {float(share):.0%}" for head, share in measured.accuracy.items())
            print(f"{name}, seed {seed}, step {step + 1}: loss {losses[-1]:.3f}; right first {first}", file=sys.stderr, flush=True)
    return model, float(np.mean(losses[-20:]))


def trained(name: str, seed: int, *, steps: int, temperature: float, work: Path, sight: Sight) -> Encodes:
    """A model from the work folder, trained first where it is not there; steps 0 is the model before training."""
    path = work / f"{name.replace(', ', '-').replace(' ', '-')}-{seed}-{steps}-{temperature}.pt"
    model = started(MODELS[name][0], seed)
    if steps and not path.exists():
        began = time.process_time()
        model, loss = fitted(name, seed, steps=steps, temperature=temperature, sight=sight)
        torch.save(model.state_dict(), path)
        print(f"{name}, seed {seed}: loss {loss:.3f}, {time.process_time() - began:.0f} s", file=sys.stderr, flush=True)
    elif steps:
        model.load_state_dict(torch.load(path, weights_only=True))
    return Encodes(name if steps else f"{name.partition(',')[0]}, untrained", model, sight)


READ = {
    "image-text": ("pairs", "query-picture", "dense", "positive", "mean"),
    "text-text": ("pairs", "query-query", "dense", "positive", "mean"),
    "other image-text": ("pairs", "query-picture", "dense", "negative", "mean"),
    "AUC": ("pairs", "query-picture", "dense", "auc"),
    "d'": ("pairs", "query-picture", "dense", "d_prime"),
    "centroid distance": ("between", "queries and pictures", "centroid_distance"),
    "linear probe": ("between", "queries and pictures", "separability", "mean"),
    "random pictures": ("sets", "pictures", "random_cosine"),
    "random queries": ("sets", "queries", "random_cosine"),
    "rank of pictures": ("sets", "pictures", "effective_rank"),
    "rank of queries": ("sets", "queries", "effective_rank"),
    "hubness": ("retrieval", "dense", "hubness"),
    "nDCG@10 dense": ("retrieval", "dense", "ndcg@10", "mean"),
    "nDCG@10 late": ("retrieval", "late", "ndcg@10", "mean"),
}
"""What is told of a model: where it stands in a study."""


def at(told: Any, path: Sequence[str]) -> float | None:
    for key in path:
        told = told[key]
    return None if told is None else float(told)


def over_seeds(studies: Sequence[dict[str, Any]]) -> Figure:
    """The main figures, a panel each: a dot a seed."""
    names = [model["name"] for model in studies[0]["models"]]
    shown = ["image-text", "text-text", "centroid distance", "linear probe", "random pictures", "rank of pictures", "AUC", "nDCG@10 dense"]
    figure, panels = figures.grid(len(shown), height=1.75, per_row=4, share="x")
    for title, axes in zip(shown, panels, strict=True):
        for place, _ in enumerate(names):
            values = [at(figures.main_task(study["models"][place]), READ[title]) for study in studies]
            paint = figures.BLUE if "one tower" in names[place] else figures.RED
            sign = ("o" if "one tower" in names[place] else "s", "none" if "untrained" in names[place] else paint)
            axes.plot([place] * len(values), values, sign[0], color=paint, markerfacecolor=sign[1], markersize=4.5)
        axes.set_title(title)
        axes.set_xlim(-0.6, len(names) - 0.4)
        axes.set_xticks(range(len(names)), names, rotation=40, ha="right", rotation_mode="anchor", fontsize=6.5)
        axes.grid(axis="y", linewidth=0.4, color="#DDDDDD")
        axes.margins(y=0.15)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path("runs/gap"), help="trained models, kept between runs")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--temperature", type=float, default=TEMPERATURE)
    parser.add_argument("--only", default="", help="models whose name holds this, for example 'CLIP loss'")
    parser.add_argument("--train-only", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.work.mkdir(parents=True, exist_ok=True)
    sight = Sight()
    model = partial(trained, temperature=options.temperature, work=options.work, sight=sight)
    chosen = [name for name in MODELS if options.only in name]
    for seed in range(options.seeds):
        for name in chosen:
            model(name, seed, steps=options.steps)
    if options.train_only:
        return

    pairs = of_tasks([(held_out(), {})], name="scenes never trained on", pairs=1000, seed=0)
    untrained = ["one tower, CLIP loss", "two towers, CLIP loss"]  # before training the loss makes no difference
    studies = []
    for seed in range(options.seeds):
        opened = [partial(model, name, seed, steps=0) for name in untrained]
        opened += [partial(model, name, seed, steps=options.steps) for name in chosen]
        studies.append(study(pairs, opened, seed=0))
        print(f"seed {seed}\n{page.plain(studies[-1])}", flush=True)
    sizes = {name: sum(p.numel() for p in started(two, 0).parameters()) for name, two in (("one tower", False), ("two towers", True))}
    table = {
        model["name"]: {
            title: {"mean": round(float(np.mean(values)), 4), "seeds": values}
            for title, path in READ.items()
            if None not in (values := [at(figures.main_task(one["models"][place]), path) for one in studies])
        }
        for place, model in enumerate(studies[0]["models"])
    }
    RESULTS.mkdir(exist_ok=True)
    told = {
        "steps": options.steps,
        "batch": BATCH,
        "lr": LR,
        "temperature": options.temperature,
        "parameters": sizes,
        "data": studies[0]["data"],
    }
    suffix = "" if options.temperature == TEMPERATURE else f"-{options.temperature}"
    path = RESULTS / f"modality_gap{suffix}.json"
    path.write_text(json.dumps({**told, "models": table}, indent=1) + "\n", encoding="utf-8")
    for name, svg in {
        "gap": figures.drawing(figures.modality_gap, studies[0], "dense"),
        "cone": figures.drawing(figures.cone, studies[0], "dense"),
        "map": figures.drawing(figures.similarity_map, studies[0]),
        "seeds": figures.drawing(over_seeds, studies),
    }.items():
        (DOCS / "analysis").mkdir(exist_ok=True)
        (DOCS / "analysis" / f"{name}{suffix}.svg").write_text(svg + "\n", encoding="utf-8")
    page.write(studies[0], options.work / f"report{suffix}")
    print(f"{path} and docs/analysis/*.svg are written; {options.work}/report{suffix}/report.html has all of seed 0.", file=sys.stderr)


if __name__ == "__main__":
    main()
