"""What each piece of the training recipe buys, at toy size: the joint recipe against itself with one piece left out.

    OMP_NUM_THREADS=1 python bench/ablation.py            # runs what is not in bench/results/ablation.jsonl yet, then prints the table
    python bench/ablation.py --write                      # the same table into docs/ablation.md; with --table nothing is trained

A small tower is trained from nothing once, both heads by plain InfoNCE, and then plays the part of the pretrained backbone: its projector
is thrown away and it stays frozen. Every run after that is the recipe of jina-embeddings-v4 through the project's own loop: one adapter and
the projector on text pairs and picture pairs, copied three times, then retrieval with hard negatives, text-matching with grades, and code.
All runs have the same budget, the same batches of pairs per task, and are judged on pairs that no run has seen. The seed decides adapters,
projector, dropout and the order of the data; the backbone is the same for all, as Qwen2.5-VL is.

The data: docstrings and functions of the standard library (whole files held out); drawn pictures of two coloured shapes with a sentence
about them, and pairs of such sentences graded by what they share (combinations held out). A stopped bench goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import sysconfig
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np

from unitower.losses.joint import Weights
from unitower.model.config import LoraConfig
from unitower.recipes import smoke
from unitower.training.recipe import Mix, Objective, Phase, Recipe, Source

RESULTS = Path(__file__).parent / "results" / "ablation.jsonl"
PAGE = Path(__file__).parents[1] / "docs" / "ablation.md"
FENCE = "<!-- written by bench/ablation.py -->"
LIBRARY = {"roots": [sysconfig.get_paths()["stdlib"]]}
HELD_OUT = 200
"""Pairs of each task that a run is judged on: a query's own document among so many."""

TOWER = replace(smoke.TOWER, matryoshka_dims=(16, 32, 64, 128), multi_vector_projector_dim=32)
"""Decoder 128 x 2 layers, vision 64 x 2 blocks: a run takes ten seconds of one core."""

SHORT = 16
"""The truncated dense vector that is measured: an eighth of its width, as 256 columns are of 2,048."""

# ---------------------------------------------------------------- data

SHAPES = ("circle", "square", "triangle", "cross")
COLOURS = {
    "red": (214, 40, 40), "green": (40, 150, 60), "blue": (40, 80, 210), "yellow": (235, 200, 40), "black": (30, 30, 30),
    "pink": (240, 130, 180),
}  # fmt: skip
RELATIONS = ("left of", "above")
SENTENCES = (
    "A {first} is {relation} a {second}.",
    "Which picture has a {first} {relation} a {second}?",
    "{first}, {relation} {second}",
    "The picture shows a {first}; a {second} lies {other} it.",
)


def scenes(split: str) -> list[tuple[str, str, str, str, str]]:
    """Colour and shape, relation, colour and shape: all combinations of one side of the split."""
    things = [(colour, shape) for colour in COLOURS for shape in SHAPES]
    every = [(*a, relation, *b) for a in things for b in things if a != b for relation in RELATIONS]
    random.Random(0).shuffle(every)
    return every[:HELD_OUT] if split == "test" else every[HELD_OUT:]


def sentence(scene: Sequence[str], dice: random.Random) -> str:
    colour, shape, relation, colour2, shape2 = scene
    other = {"left of": "right of", "above": "below"}[relation]
    return dice.choice(SENTENCES).format(first=f"{colour} {shape}", second=f"{colour2} {shape2}", relation=relation, other=other)


def picture(scene: Sequence[str], dice: random.Random, path: Path) -> None:
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (112, 112), tuple(dice.randint(225, 255) for _ in range(3)))
    draw = ImageDraw.Draw(image)
    colour, shape, relation, colour2, shape2 = scene
    centres = ((30, 56), (82, 56)) if relation == "left of" else ((56, 30), (56, 82))
    for (x, y), tone, form in zip(centres, (colour, colour2), (shape, shape2), strict=True):
        x, y, r = x + dice.randint(-8, 8), y + dice.randint(-8, 8), dice.randint(13, 20)
        fill = COLOURS[tone]
        if form == "circle":
            draw.ellipse((x - r, y - r, x + r, y + r), fill=fill)
        elif form == "square":
            draw.rectangle((x - r, y - r, x + r, y + r), fill=fill)
        elif form == "triangle":
            draw.polygon([(x, y - r), (x - r, y + r), (x + r, y + r)], fill=fill)
        else:
            draw.rectangle((x - r, y - r // 3, x + r, y + r // 3), fill=fill)
            draw.rectangle((x - r // 3, y - r, x + r // 3, y + r), fill=fill)
    image.save(path)


def write_data(folder: Path) -> None:
    """All four kinds of pairs, of both sides."""
    from unitower.data import open_source
    from unitower.data._split import in_test

    part = folder.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    (part / "pictures").mkdir(parents=True)
    for split in ("train", "test"):
        dice = random.Random(split)
        rows = []
        for i, scene in enumerate(scenes(split)):
            picture(scene, dice, part / "pictures" / f"{split}-{i}.png")
            rows.append({"query": sentence(scene, dice), "image": f"pictures/{split}-{i}.png"})
        write_jsonl(part / f"pictures-{split}.jsonl", rows)
        graded = []
        for _ in range(2000 if split == "train" else HELD_OUT):
            one = list(dice.choice(scenes(split)))
            two = [b if dice.random() < 0.5 else a for a, b in zip(one, dice.choice(scenes(split)), strict=True)]
            shared = sum(a == b for a, b in zip(one, two, strict=True))
            graded.append({"sentence1": sentence(one, dice), "sentence2": sentence(two, dice), "score": shared})
        write_jsonl(part / f"graded-{split}.jsonl", graded)
    for sides in ("summary", "code"):
        found = [open_source("python_docs", sides=sides, split=split, **LIBRARY) for split in ("train", "test")]
        pairs = [each[i] for each in found for i in range(len(each))]
        random.Random(0).shuffle(pairs)
        held = [in_test(Path(pair.document.source.path).name, 0.15) for pair in pairs]
        for split, wanted in (("train", False), ("test", True)):
            chosen = [pair for pair, is_held in zip(pairs, held, strict=True) if is_held is wanted]
            rows = [{"query": pair.query.content, "pos": [pair.document.content]} for pair in chosen]
            write_jsonl(part / f"{sides}-{split}.jsonl", rows[: 2000 if split == "train" else HELD_OUT])
            if (sides, split) == ("summary", "train"):
                write_jsonl(part / "to-mine.jsonl", rows[:400])  # as many as the few steps of the second phase read
    part.rename(folder)


def write_jsonl(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


# ---------------------------------------------------------------- recipes

STEPS = {"pairs": 42, "task": 16}
"""Of the first phase, and of each of the three tasks."""

OBJECTIVE = Objective(temperature=0.05, both_ways=True)  # as in recipes/smoke.py; one temperature throughout
LORA = LoraConfig(r=8, lora_alpha=8, lora_dropout=0.1)


def backbone(data: Path) -> Recipe:
    """The tower that all runs start from: both heads, plain InfoNCE, no divergence, full width only."""
    plain = replace(OBJECTIVE, weights=Weights(text_distill=0, pages_distill=0), dense_widths=())
    text, pages = mixes(data)
    text = replace(text, sources=(*text.sources, jsonl(data / "code-train.jsonl")))
    phase = Phase(
        name="backbone", steps=150, objective=plain, train=("tower",), text=text, pages=pages, lr=2e-3, warmup=15, max_length=48,
    )  # fmt: skip
    return Recipe(name="backbone", start="nano", config=TOWER, precision="float32", phases=(phase,), save_every=50)


def mixes(data: Path) -> tuple[Mix, Mix]:
    return Mix(sources=(jsonl(data / "summary-train.jsonl"),), batch=24), Mix(sources=(jsonl(data / "pictures-train.jsonl"),), batch=24)


def jsonl(path: Path, **options: Any) -> Source:
    return Source(kind="jsonl", options={"path": str(path), "test_share": 0, **options})


def joint(data: Path, start: Path, seed: int, *, objective: Objective = OBJECTIVE, negatives: int = 2) -> Recipe:
    """The whole recipe."""
    text, pages = mixes(data)
    mined = Mix(sources=(jsonl(data / "mined.jsonl", negatives=negatives),), batch=16)
    code = Mix(sources=(jsonl(data / "code-train.jsonl"),), batch=24)
    graded = Mix(sources=(jsonl(data / "graded-train.jsonl"),), batch=32)
    shared: dict[str, Any] = {"max_length": 48, "warmup": 5, "objective": objective}
    task: dict[str, Any] = {"steps": STEPS["task"], "lr": 1e-3, **shared}
    return Recipe(
        name="joint", start=str(start), lora=LORA, precision="float32", seed=seed, log_every=20, save_every=1000,
        phases=(
            Phase(
                name="pairs", steps=STEPS["pairs"], lr=2e-3, adapters={"pairs": None}, train=("projector",), text=text, pages=pages,
                **shared,
            ),
            Phase(name="retrieval", adapters={"retrieval": "pairs"}, text=mined, pages=pages, **task),
            Phase(
                name="text-matching", task="text-matching", adapters={"text-matching": "pairs"}, text=graded,
                **{**task, "objective": replace(objective, kind="graded")},
            ),
            Phase(name="code", task="code", adapters={"code": "pairs"}, text=code, **task),
        ),
    )  # fmt: skip


def one_adapter(recipe: Recipe) -> Recipe:
    """The same batches of the second phase, all through one adapter: as many of each task, one a step, in an order that is drawn."""
    pairs, retrieval, matching, code = recipe.phases
    sources = [mix.sources[0] for mix in (retrieval.text, retrieval.pages, matching.text, code.text) if mix]
    every = Mix(sources=tuple(sources), batch=24)
    together = replace(retrieval, steps=4 * STEPS["task"], text=every, pages=None, objective=matching.objective)
    return replace(recipe, phases=(pairs, together))


def no_warm_up(recipe: Recipe) -> Recipe:
    """The first phase's steps go to the tasks, whose adapters start fresh; the projector is trained with the first of them."""
    extra = STEPS["pairs"] // 3
    phases = [replace(p, steps=p.steps + extra, adapters=dict.fromkeys(p.adapters), lr=2e-3) for p in recipe.phases[1:]]
    return replace(recipe, phases=(replace(phases[0], train=("projector",)), *phases[1:]))


def without(*terms: str) -> Objective:
    return replace(OBJECTIVE, weights=Weights(**{f"{batch}_{term}": 0.0 for batch in ("text", "pages") for term in terms}))


def variants(data: Path, start: Path, seed: int) -> dict[str, Recipe]:
    def whole(objective: Objective = OBJECTIVE, **options: Any) -> Recipe:
        return joint(data, start, seed, objective=objective, **options)

    return {
        "joint": whole(),
        "no divergence": whole(without("distill")),
        "no late head": whole(without("late", "distill")),
        "no Matryoshka": whole(replace(OBJECTIVE, dense_widths=())),
        "one adapter for all tasks": one_adapter(whole()),
        "no warm-up phase": no_warm_up(whole()),
        "no length normalisation": whole(replace(OBJECTIVE, normalised=False)),
        "no dense head": whole(without("dense", "distill")),
        "no hard negatives": whole(negatives=0),
        "late head as teacher": whole(replace(OBJECTIVE, stop_gradient="late")),
        "first phase only": replace(whole(), phases=(replace(whole().phases[0], steps=STEPS["pairs"] + 3 * STEPS["task"]),)),
    }


# ---------------------------------------------------------------- what comes out


def judge(folder: Path, data: Path) -> dict[str, float]:
    """Held-out figures of a checkpoint: task and head -> MRR@10, for text-matching Spearman's correlation with the grades."""
    import unitower
    from unitower.data import open_source

    encoder = unitower.load(folder, dtype="float32")
    sets = {"text": ("retrieval", "summary"), "pictures": ("retrieval", "pictures"), "code": ("code", "code")}
    found: dict[str, float] = {}
    for name, (task, file) in sets.items():
        pairs = open_source("jsonl", path=data / f"{file}-test.jsonl", test_share=0)
        rows = [pairs[i] for i in range(len(pairs))]
        queries = encoder.encode([row.query for row in rows], task=task, role="query", max_length=48)
        documents = encoder.encode([row.document for row in rows], task=task, role="passage", max_length=48)
        for head, scores in scored(queries, documents).items():
            found[f"{name} {head}"] = reciprocal_rank(scores)
    graded = [json.loads(line) for line in (data / "graded-test.jsonl").read_text(encoding="utf-8").splitlines()]
    first, second = (encoder.encode([row[f"sentence{i}"] for row in graded], task="text-matching", role="query") for i in (1, 2))
    for head, scores in scored(first, second).items():
        found[f"grades {head}"] = spearman(np.diag(scores), [row["score"] for row in graded])
    return found


def scored(queries: Any, documents: Any) -> dict[str, Any]:
    """Scores [queries, documents] by head."""
    from unitower import maxsim

    def cut(dense: Any) -> Any:
        return dense[:, :SHORT] / np.linalg.norm(dense[:, :SHORT], axis=1, keepdims=True)

    late = [maxsim(each, documents.multi) / len(each) for each in queries.multi]
    return {"dense": queries.dense @ documents.dense.T, "short": cut(queries.dense) @ cut(documents.dense).T, "late": np.array(late)}


def reciprocal_rank(scores: Any) -> float:
    """MRR@10 of own documents, which stand on the diagonal; ties count against."""
    ranks = (scores >= np.diag(scores)[:, None]).sum(axis=1)
    return float(np.where(ranks <= 10, 1 / ranks, 0).mean())


def spearman(scores: Any, grades: Sequence[float]) -> float:
    from scipy.stats import spearmanr

    return float(spearmanr(scores, grades).statistic)


# ---------------------------------------------------------------- the bench


def prepared(work: Path) -> tuple[Path, Path]:
    """Data, and the backbone without projector and adapters, made once."""
    from safetensors.torch import load_file, save_file

    import unitower
    from unitower.data import open_source
    from unitower.stores import open_store
    from unitower.training.loop import on_stderr, train
    from unitower.training.mining import Mining, mine

    data, start, trained = work / "data", work / "backbone", work / "backbone-trained"
    work.mkdir(parents=True, exist_ok=True)
    if not data.is_dir():
        write_data(data)
    if not (trained / "model.safetensors").is_file():
        train(backbone(data), trained, resume=trained.is_dir(), progress=on_stderr)
    if not (data / "mined.jsonl").is_file():
        pairs = open_source("jsonl", path=data / "to-mine.jsonl", test_share=0)
        encoder = unitower.load(trained, dtype="float32")
        mine(pairs, encoder=encoder, among=open_store("memory:"), out=data / "mined.jsonl", settings=Mining(k=2, depth=30))
    if not start.is_dir():
        part = work / "backbone.part"
        shutil.rmtree(part, ignore_errors=True)
        left_out = shutil.ignore_patterns("adapters", "*.safetensors", "metrics.jsonl", "curve.html", "recipe.json")
        shutil.copytree(trained, part, ignore=left_out)
        tensors = load_file(trained / "model.safetensors")
        save_file({k: v for k, v in tensors.items() if not k.startswith("multi_vector_projector.")}, part / "model.safetensors")
        part.rename(start)
    return data, start


def run(name: str, recipe: Recipe, data: Path, out: Path) -> dict[str, Any]:
    from unitower.training.loop import train

    shutil.rmtree(out, ignore_errors=True)
    clock = time.process_time()
    train(recipe, out)
    took = time.process_time() - clock
    figures = {key: round(value, 4) for key, value in judge(out, data).items()}
    shutil.rmtree(out, ignore_errors=True)
    return {"variant": name, "seed": recipe.seed, "training_cpu_s": round(took, 1), "steps": sum(p.steps for p in recipe.phases), **figures}


def results() -> list[dict[str, Any]]:
    return [json.loads(line) for line in RESULTS.read_text(encoding="utf-8").splitlines()] if RESULTS.is_file() else []


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: a line per variant, for each task and head the mean and its deviation over the seeds."""
    columns = [(task, head) for task in ("text", "pictures", "code", "grades") for head in ("dense", "short", "late")]
    lines = [
        "| variant | seeds | " + " | ".join(f"{task}, {head}" for task, head in columns) + " |",
        "|---" * (len(columns) + 2) + "|",
    ]
    for name in dict.fromkeys(row["variant"] for row in rows):
        of_name = [row for row in rows if row["variant"] == name]
        cells = [spread([row[f"{task} {head}"] for row in of_name]) for task, head in columns]
        lines.append(f"| {name} | {len(of_name)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def spread(values: Sequence[float]) -> str:
    """Mean and sample deviation, without the zero before the point; the mean alone of one value."""
    deviation = f" ± {stdev(values):.3f}" if len(values) > 1 else ""
    return f"{mean(values):.3f}{deviation}".replace("0.", ".")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", action="append", metavar="VARIANT", help="leave out the others; repeatable")
    parser.add_argument("--work", type=Path, default=Path("runs/ablation"), help="for the data and the backbone")
    parser.add_argument("--table", action="store_true", help="train nothing, only print the table")
    parser.add_argument("--write", action="store_true", help="put the table into docs/ablation.md")
    options = parser.parse_args()
    if not options.table:
        data, start = prepared(options.work)
        for seed in range(options.seeds):
            for name, recipe in variants(data, start, seed).items():
                if options.only and name not in options.only:
                    continue
                if any(row["variant"] == name and row["seed"] == seed for row in results()):
                    continue
                done = run(name, recipe, data, options.work / "run")
                RESULTS.parent.mkdir(exist_ok=True)
                with RESULTS.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(done) + "\n")
                print(json.dumps(done), file=sys.stderr, flush=True)
    rows = results()
    print(table(rows))
    if options.write:
        before, _, after = PAGE.read_text(encoding="utf-8").split(FENCE)
        PAGE.write_text(f"{before}{FENCE}\n\n{table(rows)}\n\n{FENCE}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
