"""The loop on a toy recipe: it learns, a stopped run resumes to the same numbers, and bad data are told."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import unitower
from unitower.errors import UnitowerError
from unitower.model.checkpoint import read_checkpoint
from unitower.model.config import LoraConfig
from unitower.recipes.smoke import TOWER
from unitower.training.loop import Told, rate, train
from unitower.training.recipe import Mix, Objective, Phase, Recipe, Source, find, load

COLOURS = {"red": (220, 30, 30), "green": (20, 160, 40), "blue": (30, 60, 220), "grey": (120, 120, 120), "white": (255, 255, 255)}
SMALL = replace(
    TOWER,
    text=replace(TOWER.text, hidden_size=64, intermediate_size=96, num_hidden_layers=1, mrope_section=(2, 3, 3)),
    vision=replace(TOWER.vision, hidden_size=32, intermediate_size=48, depth=1, out_hidden_size=64, fullatt_block_indexes=(0,)),
    matryoshka_dims=(32, 64),
    multi_vector_projector_dim=16,
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Twelve text pairs with hard negatives, two of them unusable, and pictures of plain colours with their names."""
    folder = tmp_path / "data"
    folder.mkdir()
    things = ["rent", "bread", "train", "letter", "goat", "battery", "garden", "invoice", "library", "weather", "bridge", "violin"]
    rows = [{"query": f"about the {t}", "pos": [f"{t} {t} {t}, nothing but {t}"], "neg": [f"no {t} in here"]} for t in things]
    rows.insert(3, {"query": "empty", "pos": [""], "neg": []})
    rows.insert(7, {"query": "   ", "pos": ["a text"], "neg": []})
    (folder / "text.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    for name, colour in COLOURS.items():
        Image.new("RGB", (56, 56), colour).save(folder / f"{name}.png")
    pages = [{"query": f"a {name} page", "image": f"{name}.png"} for name in COLOURS]
    (folder / "pages.jsonl").write_text("\n".join(map(json.dumps, pages)), encoding="utf-8")
    return folder


def recipe(data: Path, **changes: object) -> Recipe:
    text = Mix(sources=(Source(kind="jsonl", options={"path": str(data / "text.jsonl")}),), batch=6)
    pages = Mix(sources=(Source(kind="jsonl", options={"path": str(data / "pages.jsonl")}),), batch=4)
    objective = Objective(temperature=0.1, both_ways=True)
    first = Phase(
        name="pairs",
        steps=12,
        objective=objective,
        adapters={"pairs": None},
        train=("tower",),
        text=text,
        pages=pages,
        lr=3e-3,
        warmup=2,
        average=0.5,
    )
    second = Phase(name="retrieval", steps=4, objective=objective, adapters={"retrieval": "pairs"}, text=text, pages=pages, lr=1e-3)
    third = Phase(name="code", steps=3, objective=objective, task="code", adapters={"code": "pairs"}, text=text, lr=1e-3, chunk_tokens=40)
    toy = Recipe(
        name="toy", start="nano", config=SMALL, lora=LoraConfig(r=4, lora_alpha=4, lora_dropout=0.1), precision="float32",
        phases=(first, second, third), save_every=5, log_every=1,
    )  # fmt: skip
    return replace(toy, **changes)  # type: ignore[arg-type]


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors") | load_file(folder / "adapters" / "adapter_model.safetensors")


def metrics(folder: Path) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{key: value for key, value in line.items() if key != "samples_per_s"} for line in lines]


def test_a_run_learns_and_gives_a_checkpoint_that_loads(data: Path, tmp_path: Path) -> None:
    told: list[Told] = []
    out = train(recipe(data), tmp_path / "run", progress=told.append)
    assert [t.phase for t in told] == ["pairs"] * 12 + ["retrieval"] * 4 + ["code"] * 3
    assert told[11].loss < 0.8 * told[0].loss
    assert told[-1].unusable > 0
    named = json.loads((tmp_path / "run" / "unusable.json").read_text(encoding="utf-8"))["pairs"]
    assert named["rows"] == {"text": 2}
    assert any("line 4" in reason and "empty" in reason for reason in named["first"])
    enc = unitower.load(out, dtype="float32")
    assert enc.tasks == ("retrieval", "text-matching", "code")
    assert enc.encode(["a text", data / "red.png"], role="passage").dense.shape == (2, 64)
    assert "<svg" in (out / "curve.html").read_text(encoding="utf-8")
    assert not (out / "state").exists()


class StoppedError(Exception):
    pass


@pytest.mark.parametrize("at", [3, 7, 12, 14, 18])
def test_a_stopped_run_goes_on_to_the_numbers_of_an_unbroken_one(data: Path, tmp_path: Path, at: int) -> None:
    whole = train(recipe(data), tmp_path / "whole")
    count = 0

    def stop(told: Told) -> None:
        nonlocal count
        count += 1
        if count == at:
            raise StoppedError

    with pytest.raises(StoppedError):
        train(recipe(data), tmp_path / "broken", progress=stop)
    train(recipe(data), tmp_path / "broken", resume=True)
    assert metrics(tmp_path / "broken") == metrics(whole)
    ours, theirs = tensors(tmp_path / "broken"), tensors(whole)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_kill_between_the_two_renames_of_a_save_loses_nothing(data: Path, tmp_path: Path) -> None:
    def stop(told: Told) -> None:
        if told.step == 7:
            raise StoppedError

    with pytest.raises(StoppedError):
        train(recipe(data), tmp_path / "run", progress=stop)
    (tmp_path / "run" / "state").rename(tmp_path / "run" / "state.old")
    told: list[Told] = []
    train(recipe(data), tmp_path / "run", resume=True, progress=told.append)
    assert told[0].step == 6


def test_training_one_adapter_moves_no_other_by_a_bit(data: Path, tmp_path: Path) -> None:
    first = train(recipe(data, phases=recipe(data).phases[:2]), tmp_path / "first")
    before = tensors(first)
    third = replace(recipe(data).phases[2], adapters={"code": "code"})
    second = train(recipe(data, start=str(first), config=None, phases=(third,)), tmp_path / "second")
    after = tensors(second)
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved
    assert all(".code." in name for name in moved)


def test_two_runs_of_one_seed_are_the_same_and_of_two_seeds_are_not(data: Path, tmp_path: Path) -> None:
    runs = [tensors(train(recipe(data, seed=seed), tmp_path / str(i))) for i, seed in enumerate((1, 1, 2))]
    name = "model.embed_tokens.weight"
    assert torch.equal(runs[0][name], runs[1][name])
    assert not torch.equal(runs[0][name], runs[2][name])


def test_roles_may_have_adapters_of_their_own(data: Path, tmp_path: Path) -> None:
    roles = {"retrieval": {"query": "retrieval-query", "passage": "retrieval-passage"}}
    apart = replace(recipe(data).phases[1], adapters={"retrieval-query": None, "retrieval-passage": None})
    shape = replace(SMALL, task_names=("retrieval",), role_adapters=roles)
    out = train(recipe(data, config=shape, phases=(apart,)), tmp_path / "run")
    embedder = read_checkpoint(out, dtype=torch.float32)
    assert embedder.adapter_for("retrieval", "query") == "retrieval-query"
    b = [layer.lora_B for _, layer in embedder.adapted()]
    assert any(not torch.equal(each["retrieval-query"], each["retrieval-passage"]) for each in b)


def test_graded_pairs_train_text_matching(tmp_path: Path) -> None:
    rows = [{"sentence1": f"number {i}", "sentence2": f"number {i + i % 4}", "score": float(4 - i % 4)} for i in range(40)]
    path = tmp_path / "sts.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    mix = Mix(sources=(Source(kind="jsonl", options={"path": str(path)}),), batch=8)
    phase = Phase(
        name="sts",
        steps=12,
        task="text-matching",
        adapters={"text-matching": None},
        text=mix,
        objective=Objective(kind="graded"),
        train=("tower",),
        lr=3e-3,
    )
    told: list[Told] = []
    train(recipe(tmp_path, phases=(phase,)), tmp_path / "run", progress=told.append)
    assert set(told[0].parts) == {"text_dense_cosent", "text_late_cosent"}
    assert np.mean([t.loss for t in told[-3:]]) < np.mean([t.loss for t in told[:3]])


def test_a_folder_that_holds_something_is_never_overwritten(data: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("precious", encoding="utf-8")
    with pytest.raises(UnitowerError, match="not empty"):
        train(recipe(data), tmp_path / "run")
    with pytest.raises(UnitowerError, match="no run"):
        train(recipe(data), tmp_path / "run", resume=True)


def test_a_run_is_not_resumed_with_another_recipe_or_other_data(data: Path, tmp_path: Path) -> None:
    def stop(told: Told) -> None:
        if told.step == 7:
            raise StoppedError

    with pytest.raises(StoppedError):
        train(recipe(data), tmp_path / "run", progress=stop)
    with pytest.raises(UnitowerError, match="seed"):
        train(recipe(data, seed=5), tmp_path / "run", resume=True)
    text = data / "text.jsonl"
    text.write_text(text.read_text(encoding="utf-8") + '\n{"query": "more", "pos": ["more"], "neg": []}', encoding="utf-8")
    with pytest.raises(UnitowerError, match="data have changed"):
        train(recipe(data), tmp_path / "run", resume=True)


def test_too_little_data_for_a_batch_is_told(data: Path, tmp_path: Path) -> None:
    phase = replace(recipe(data).phases[1], adapters={"retrieval": None}, pages=None)
    assert phase.text is not None
    large = replace(phase, text=replace(phase.text, batch=50))
    with pytest.raises(UnitowerError, match="smaller batches"):
        train(recipe(data, phases=(large,)), tmp_path / "run")


def test_the_rate_climbs_then_falls_as_a_cosine() -> None:
    phase = Phase(name="x", steps=110, lr=1.0, warmup=10, final_lr=0.2)
    assert rate(phase, 0) == pytest.approx(0.1)
    assert rate(phase, 9) == pytest.approx(1.0)
    assert rate(phase, 60) == pytest.approx(0.6)
    assert rate(phase, 109) == pytest.approx(0.2, abs=1e-3)


def test_settings_reach_into_a_recipe() -> None:
    changed = find("smoke", settings=["seed=3", "phases.pairs.steps=7", "phases.0.objective.temperature=1", "phases.code.text.batch=4"])
    assert changed.seed == 3
    assert changed.phases[0].steps == 7
    assert changed.phases[0].objective.temperature == 1.0
    assert changed.phases[-1].text is not None
    assert changed.phases[-1].text.batch == 4


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("sed=3", "no setting 'sed'"),
        ("phases.nothing.steps=1", "no 'nothing'"),
        ("seed=many", "int"),
        ("seed", "KEY=VALUE"),
        ("save_every=0", "save_every is 0: give a number of steps, 1 or more"),
        ("log_every=-5", "log_every is -5: give a number of steps, 1 or more"),
        ("save_every=None", "save_every is None: give a number of steps, 1 or more"),
    ],
)
def test_a_wrong_setting_is_named(setting: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        find("smoke", settings=[setting])


def test_an_unknown_recipe_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="smoke"):
        find("nothing")
    shutil.copy(Path(unitower.__file__).parent / "recipes" / "smoke.py", tmp_path / "mine.py")
    assert find(str(tmp_path / "mine.py")).name == "smoke"


def test_a_file_without_a_recipe_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("recipe = 3\n", encoding="utf-8")
    (tmp_path / "none.py").write_text("", encoding="utf-8")
    for name in ("mine.py", "none.py"):
        with pytest.raises(ValueError, match=rf"{name} has no recipe\(\): define a function of that name"):
            load(str(tmp_path / name))
