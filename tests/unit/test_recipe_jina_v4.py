"""The recipe for the real thing, at toy size: a checkpoint in the Qwen layout, data sets of the same columns, all phases."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from qwen_stand_in import backbone, data_sets, toy
from safetensors.torch import load_file
from torch import multiprocessing as mp

import unitower
from unitower.data import open_source
from unitower.model.config import LoraConfig, ModelConfig
from unitower.model.embedder import Embedder
from unitower.training.loop import Told, train
from unitower.training.recipe import Phase, Recipe, Source, find, pinned

datasets = pytest.importorskip("datasets")
OPEN = (
    "llamaindex/vdr-multilingual-train",
    "openbmb/VisRAG-Ret-Train-In-domain-data",
    "openbmb/VisRAG-Ret-Train-Synthetic-data",
    "Tevatron/wiki-ss-nq-new",
    "Tevatron/wiki-ss-corpus-new",
    "nomic-ai/cornstack-python-v1",
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Backbone and data sets, made once."""
    folder = tmp_path_factory.mktemp("jina_v4")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNITOWER_CACHE", str(folder / "cache"))
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", folder / "datasets")
        backbone(folder / "backbone")
        data_sets(folder / "data")
        yield folder


def small(place: Path, **changes: object) -> Recipe:
    return toy(find("jina_v4"), start=place / "backbone", data=place / "data", **changes)


def sources(recipe: Recipe) -> list[tuple[str, Source]]:
    return [(phase.name, source) for phase in recipe.phases for mix in (phase.text, phase.pages) if mix for source in mix.sources]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors") | load_file(folder / "adapters" / "adapter_model.safetensors")


def test_a_data_set_whose_commit_is_unknown_is_named_before_anything_is_fetched() -> None:
    with pytest.raises(ValueError, match="no commit is known") as raised:
        pinned(find("jina_v4"))
    assert all(name in str(raised.value) for name in OPEN)
    given = [f"revisions.{name}={str(i) * 40}" for i, name in enumerate(OPEN)]
    filled = pinned(find("jina_v4", settings=[*given, f"revisions.Qwen/Qwen2.5-VL-3B-Instruct={'a' * 40}"]))
    assert filled.revisions["Qwen/Qwen2.5-VL-3B-Instruct"] == "a" * 40
    cards = [source.options.get("card") or source.options["options"]["card"] for _, source in sources(filled) if source.kind != "rendered"]
    assert all(len(card["revision"]) == 40 for card in cards)
    wiki = next(card for card in cards if card["path"] == "Tevatron/wiki-ss-nq-new")
    assert (wiki["revision"], wiki["corpus"]["revision"]) == ("3" * 40, "4" * 40)


def test_every_data_set_is_read_by_its_card(place: Path) -> None:
    for phase, source in sources(small(place)):
        pairs = open_source(source.kind, **source.options)
        assert len(pairs) >= 9
        pair = pairs[1]
        assert pair.query.content
        assert pair.document.modality == ("image" if "image" in str(type(pair.document.content)).lower() else "text")
        name = str(source.options)
        hard = 0
        if phase != "pairs":
            hard = 2 if any(word in name for word in ("vdr-multi", "wiki-ss", "cornstack")) else int("triplet" in name)
        assert len(pair.negatives) == hard, name
        assert (pair.grade is not None) == ("sts12" in name)


def test_all_phases_give_a_checkpoint_whose_backbone_has_not_moved(place: Path, tmp_path: Path) -> None:
    told: list[Told] = []
    out = train(small(place), tmp_path / "whole", progress=told.append)
    assert [t.phase for t in told] == [name for name in ("pairs", "retrieval", "text-matching", "code") for _ in range(2)]
    assert {"text_dense", "text_late", "text_distill", "pages_dense", "pages_late", "pages_distill"} == set(told[0].parts)

    after, before = weights(out), {}
    for shard in sorted((place / "backbone").glob("model-*.safetensors")):
        before |= load_file(shard)
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert {name for name in after if name not in before and "lora" not in name} == {
        "multi_vector_projector.weight",
        "multi_vector_projector.bias",
    }
    adapters = {task: [t for name, t in after.items() if f".lora_B.{task}." in name] for task in ("retrieval", "text-matching", "code")}
    for one, other in (("retrieval", "code"), ("text-matching", "code"), ("retrieval", "text-matching")):
        assert any(not torch.equal(a, b) for a, b in zip(adapters[one], adapters[other], strict=True))
    assert json.loads((out / "preprocessor_config.json").read_text())["max_pixels"] == 84 * 56
    encoder = unitower.load(out)
    assert encoder.encode(["a question"], role="query").dense.shape == (1, 64)

    # the same run, stopped within a phase and between two
    for at in (4, 6):
        broken = tmp_path / f"broken-{at}"
        count = 0

        def stop(told: Told, at: int = at) -> None:
            nonlocal count
            count += 1
            if count == at:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            train(small(place), broken, progress=stop)
        saved = load_file(broken / "state" / "tensors.safetensors")
        assert not any("embed_tokens" in name for name in saved)  # the frozen backbone is not written again
        train(small(place), broken, resume=True)
        again = weights(broken)
        assert all(torch.equal(again[name], tensor) for name, tensor in after.items())


def test_the_projector_is_trained_in_float32_whatever_the_backbone_is_kept_in(place: Path, tmp_path: Path) -> None:
    recipe = small(place)
    slow = replace(recipe, phases=(replace(recipe.phases[0], lr=1e-5, warmup=0, average=0.0, steps=3),))  # a bfloat16 of 0.1 moves by 5e-4
    lines: list[Told] = []

    def stop(told: Told) -> None:
        lines.append(told)
        if told.step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(replace(slow, save_every=1), tmp_path / "run", progress=stop)
    state = load_file(tmp_path / "run" / "state" / "tensors.safetensors")
    kept = state["weights.projector.weight"]
    assert kept.dtype == torch.float32
    assert (kept != kept.to(torch.bfloat16).float()).float().mean() > 0.9


def with_one_source(phase: Phase) -> Phase:
    """The first data set of each mix: that all of them are read is seen elsewhere."""
    text, pages = (mix and replace(mix, sources=mix.sources[:1]) for mix in (phase.text, phase.pages))
    return replace(phase, text=text, pages=pages)


def process(rank: int, port: int, recipe: Recipe, out: str) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    torch.set_num_threads(1)
    train(recipe, out)


def test_two_processes_train_what_one_does(place: Path, tmp_path: Path) -> None:
    recipe = small(place, steps=1, precision="float32")
    recipe = replace(recipe, lora=replace(recipe.lora, lora_dropout=0.0))  # each process throws its own dice for dropout
    recipe = replace(recipe, phases=tuple(map(with_one_source, recipe.phases)))
    whole = replace(recipe, phases=tuple(replace(phase, chunk_tokens=None) for phase in recipe.phases))
    one = weights(train(whole, tmp_path / "one"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.spawn(process, args=(port, recipe, str(tmp_path / "two")), nprocs=2)
    two = weights(tmp_path / "two")
    assert two.keys() == one.keys()
    moved = 0
    for name, tensor in one.items():
        # Adam's first step is lr times the sign of the gradient: where that is rounding noise about 0, a weight may end on the other side
        near = torch.isclose(two[name].float(), tensor.float(), rtol=1e-4, atol=1e-5)
        assert near.float().mean() > 0.99, name
        moved += int("lora_B" in name and bool(tensor.any()))
    assert moved


def test_an_adapter_of_the_real_shape_has_sixty_million_parameters(tmp_path: Path) -> None:
    raw = {  # of Qwen2.5-VL-3B-Instruct, as published
        "hidden_size": 2048, "num_hidden_layers": 36, "num_attention_heads": 16, "num_key_value_heads": 2, "intermediate_size": 11008,
        "vocab_size": 151936, "rms_norm_eps": 1e-6, "rope_theta": 1e6, "max_position_embeddings": 128000, "hidden_act": "silu",
        "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]}, "use_sliding_window": False, "sliding_window": 32768,
        "image_token_id": 151655, "vision_start_token_id": 151652, "vision_end_token_id": 151653, "model_type": "qwen2_5_vl",
        "vision_config": {
            "depth": 32, "hidden_act": "silu", "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16, "in_chans": 3,
            "out_hidden_size": 2048, "patch_size": 14, "spatial_merge_size": 2, "spatial_patch_size": 14, "window_size": 112,
            "fullatt_block_indexes": [7, 15, 23, 31], "tokens_per_second": 2, "temporal_patch_size": 2,
        },
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(raw), encoding="utf-8")
    config = ModelConfig.read(tmp_path)
    with torch.device("meta"):
        embedder = Embedder(config)
        tower = sum(p.numel() for p in embedder.parameters())
        embedder.add_adapter("pairs", find("jina_v4").lora)
    adapter = sum(p.numel() for name, p in embedder.named_parameters() if ".lora_" in name)
    assert adapter == 59_936_768  # counted from the released adapters, three of which are 180 million
    assert tower - (2048 * 128 + 128) == 3_754_622_976  # the backbone's, as its card says
    assert 0.01 < adapter / tower < 0.02
    assert find("jina_v4").lora == LoraConfig(r=32, lora_alpha=32, lora_dropout=0.1)
