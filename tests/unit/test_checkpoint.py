"""Checkpoints: what is written is read again bit for bit, every tensor has its place, and what does not fit is named."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from unitower.errors import CheckpointError
from unitower.model import checkpoint as checkpoint_module
from unitower.model.checkpoint import INDEX, adapter_layout, base_layout, plain, plain_adapter, read_checkpoint, theirs, write_checkpoint
from unitower.model.config import LoraConfig, ModelConfig
from unitower.model.embedder import Embedder

TINY = Path(__file__).parents[1] / "fixtures" / "jina-v4-tiny"
SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
ADAPTERS = Path("adapters", "adapter_model.safetensors")
Q0 = "model.layers.0.self_attn.q_proj.weight"
A0 = "base_model.model.model.language_model.layers.0.self_attn.q_proj.lora_A.code.weight"
B0 = A0.replace("lora_A", "lora_B")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkpoint to be spoilt."""
    ignored = shutil.ignore_patterns("goldens*", "images", "manifest.json")
    return Path(shutil.copytree(TINY, tmp_path / "checkpoint", ignore=ignored))


def tensors_in(folder: Path) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Of the tower, and of the adapters, as the files spell them."""
    base: dict[str, Tensor] = {}
    for path in sorted(folder.glob("model*.safetensors")):
        base |= load_file(path)
    return base, load_file(folder / ADAPTERS) if (folder / ADAPTERS).exists() else {}


def edit(path: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)


def put(name: str, tensor: Tensor) -> Callable[[dict[str, Tensor]], object]:
    return lambda tensors: tensors.update({name: tensor})


def drop(*names: str) -> Callable[[dict[str, Tensor]], object]:
    return lambda tensors: [tensors.pop(name) for name in names]


def respelled(folder: Path, spell: Callable[[str], str], *, adapters: Callable[[str], str] = lambda name: name) -> None:
    """Give every tensor of a checkpoint another name."""
    (folder / INDEX).unlink()
    base, lora = tensors_in(folder)
    for path in folder.glob("model*.safetensors"):
        path.unlink()
    save_file({spell(name): tensor for name, tensor in base.items()}, folder / "model.safetensors")
    save_file({adapters(name): tensor for name, tensor in lora.items()}, folder / ADAPTERS)


def assert_same_tensors(left: dict[str, Tensor], right: dict[str, Tensor]) -> None:
    assert set(left) == set(right)
    for name, tensor in left.items():
        assert tensor.dtype == right[name].dtype, name
        assert torch.equal(tensor, right[name]), name


def assert_same_tower(left: Embedder, right: Embedder) -> None:
    assert left.config == right.config
    assert left.lora == right.lora
    assert_same_tensors(dict(left.named_parameters()), dict(right.named_parameters()))


def refused(folder: Path, *words: str) -> str:
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(folder)
    message = str(caught.value)
    assert all(word in message for word in words), message
    return message


# ---- there and back


def test_the_layout_names_every_parameter_of_the_tower_and_every_tensor_of_the_released_files() -> None:
    tower = read_checkpoint(TINY)
    base, lora = base_layout(tower.config), adapter_layout(tower.config)
    assert set(base) | set(lora) == {name for name, _ in tower.named_parameters()}
    assert not set(base) & set(lora)
    for layout, tensors in zip((base, lora), tensors_in(TINY), strict=True):
        names = [name for group in layout.values() for name in group]
        assert sorted(names) == sorted(tensors)


def test_the_released_model_has_826_tensors_and_1518_of_adapters() -> None:
    config = ModelConfig.read(TINY)
    released = replace(config, text=replace(config.text, num_hidden_layers=36), vision=replace(config.vision, depth=32))
    assert sum(map(len, base_layout(released).values())) == 826
    assert sum(map(len, adapter_layout(released).values())) == 1518


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_what_is_read_and_written_is_read_again_bit_for_bit(tmp_path: Path, dtype: torch.dtype) -> None:
    tower = read_checkpoint(TINY, dtype=dtype)
    assert write_checkpoint(tower, tmp_path, dtype=dtype) == tmp_path
    assert_same_tower(read_checkpoint(tmp_path, dtype=dtype), tower)


def test_the_written_tensors_are_the_released_ones_bit_for_bit_under_the_released_names(tmp_path: Path) -> None:
    write_checkpoint(read_checkpoint(TINY, dtype=torch.float32), tmp_path)
    for written, released in zip(tensors_in(tmp_path), tensors_in(TINY), strict=True):
        assert_same_tensors(written, released)
    for path in ("config.json", "adapters/adapter_config.json"):
        assert json.loads((tmp_path / path).read_text("utf-8")) == json.loads((TINY / path).read_text("utf-8"))


def test_the_numbers_read_are_those_of_the_files(tmp_path: Path) -> None:
    base, lora = tensors_in(TINY)
    tower = read_checkpoint(TINY, dtype=torch.float32)
    parts = [base[f"model.layers.1.self_attn.{p}_proj.weight"] for p in "qkv"]
    assert torch.equal(tower.get_parameter("decoder.blocks.1.qkv.weight"), torch.cat(parts).float())
    halves = [lora[f"base_model.model.model.language_model.layers.2.mlp.{p}_proj.lora_B.code.weight"] for p in ("gate", "up")]
    assert torch.equal(tower.get_parameter("decoder.blocks.2.mlp.gate_up.lora_B.code"), torch.cat(halves).float())
    assert tower.dtype == torch.float32
    assert read_checkpoint(TINY).dtype == torch.bfloat16
    assert read_checkpoint(TINY).get_parameter("projector.lora_A.code").dtype == torch.float32


def test_shards_hold_every_tensor_once_within_their_size_and_the_index_tells_where(tmp_path: Path) -> None:
    tower = read_checkpoint(TINY)
    write_checkpoint(tower, tmp_path, shard_bytes=200_000)
    files = sorted(path.name for path in tmp_path.glob("*.safetensors"))
    assert len(files) > 3
    assert files == [f"model-{i:05}-of-{len(files):05}.safetensors" for i in range(1, len(files) + 1)]
    index = json.loads((tmp_path / INDEX).read_text("utf-8"))
    found: dict[str, str] = {}
    for name in files:
        tensors = load_file(tmp_path / name)
        assert sum(tensor.nbytes for tensor in tensors.values()) <= 200_000
        assert not set(tensors) & set(found)
        found |= dict.fromkeys(tensors, name)
    assert index["weight_map"] == found
    assert index["metadata"]["total_size"] == json.loads((TINY / INDEX).read_text("utf-8"))["metadata"]["total_size"]
    assert_same_tower(read_checkpoint(tmp_path), tower)


def test_a_tensor_larger_than_a_shard_has_one_of_its_own(tmp_path: Path) -> None:
    tower = read_checkpoint(TINY)
    write_checkpoint(tower, tmp_path, shard_bytes=1)
    assert len(list(tmp_path.glob("model-*.safetensors"))) == len(tensors_in(TINY)[0])
    assert_same_tower(read_checkpoint(tmp_path), tower)


def test_files_say_that_they_are_of_torch_as_transformers_asks_of_them(tmp_path: Path) -> None:
    write_checkpoint(read_checkpoint(TINY), tmp_path)
    for path in (tmp_path / "model.safetensors", tmp_path / ADAPTERS):
        with safe_open(path, framework="pt") as file:
            assert file.metadata() == {"format": "pt"}


def test_a_folder_that_is_written_again_holds_only_the_new_weights(tmp_path: Path) -> None:
    tower = read_checkpoint(TINY)
    write_checkpoint(tower, tmp_path, shard_bytes=200_000)
    tower.decoder.norm.weight.data.fill_(2.0)
    write_checkpoint(tower, tmp_path, shard_bytes=500_000)
    assert_same_tower(read_checkpoint(tmp_path), tower)
    assert len(list(tmp_path.glob("model*.safetensors"))) == 2
    write_checkpoint(tower, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapters", "config.json", "model.safetensors"]
    for name in list(tower.lora):
        tower.remove_adapter(name)
    tower.config = replace(tower.config, task_names=())
    write_checkpoint(tower, tmp_path)
    assert not list((tmp_path / "adapters").iterdir())
    assert_same_tower(read_checkpoint(tmp_path), tower)


def test_a_checkpoint_can_be_written_over_the_one_it_was_read_from(folder: Path) -> None:
    tower = read_checkpoint(folder)
    before = {name: weight.clone() for name, weight in tower.named_parameters()}
    for _ in range(2):
        write_checkpoint(tower, folder, like=folder)
        assert_same_tensors(dict(tower.named_parameters()), before)
        assert_same_tower(read_checkpoint(folder), tower)
    assert (folder / "tokenizer.json").read_bytes() == (TINY / "tokenizer.json").read_bytes()


def test_tokenizer_preprocessor_and_prompts_come_along(folder: Path, tmp_path: Path) -> None:
    (folder / "tasks").mkdir()
    (folder / "tasks" / "code.toml").write_text('adapter = "code"\n', encoding="utf-8")
    (folder / "chat_template.jinja").write_text("x", encoding="utf-8")
    (folder / "modeling.py").write_text("x", encoding="utf-8")
    to = tmp_path / "a" / "b"
    write_checkpoint(read_checkpoint(folder), to, like=folder)
    companions = ["tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt", "added_tokens.json", "special_tokens_map.json"]
    for name in [*companions, "preprocessor_config.json", "tasks/code.toml", "chat_template.jinja"]:
        assert (to / name).read_bytes() == (folder / name).read_bytes()
    assert not (to / "modeling.py").exists()
    assert not (to / INDEX).exists()  # these weights are in one file


def test_a_tower_does_not_change_with_the_files_it_was_read_from(folder: Path) -> None:
    tower = read_checkpoint(folder)
    for path in (*(folder / shard for shard in SHARDS), folder / ADAPTERS):
        size_bytes = path.stat().st_size
        with path.open("r+b") as file:  # over the same file, as cp does it
            file.write(b"\7" * size_bytes)
    assert_same_tower(tower, read_checkpoint(TINY))


def test_a_write_that_fails_leaves_the_old_file_and_no_half_of_a_new_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tower = read_checkpoint(folder)
    write_checkpoint(tower, folder)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    def full(tensors: dict[str, Tensor], path: Path, **options: Any) -> None:
        path.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(checkpoint_module, "save_file", full)
    tower.decoder.norm.weight.data.fill_(2.0)
    with pytest.raises(OSError, match="No space left"):
        write_checkpoint(tower, folder)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.skipif(os.name != "posix", reason="there are no such permissions")
def test_whoever_may_read_the_configuration_may_read_the_weights(tmp_path: Path) -> None:
    write_checkpoint(read_checkpoint(TINY), tmp_path)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*") if path.is_file()}
    assert set(modes) >= {"config.json", "model.safetensors", "adapter_model.safetensors"}
    assert len(set(modes.values())) == 1


def test_a_tower_of_float32_says_so_in_its_configuration(tmp_path: Path) -> None:
    write_checkpoint(read_checkpoint(TINY, dtype=torch.float32), tmp_path, dtype=torch.float32)
    assert json.loads((tmp_path / "config.json").read_text("utf-8"))["torch_dtype"] == "float32"
    assert {tensor.dtype for tensors in tensors_in(tmp_path) for tensor in tensors.values()} == {torch.float32}


def test_adapters_the_configuration_does_not_name_are_not_dropped_but_refused(tmp_path: Path) -> None:
    tower = read_checkpoint(TINY)
    tower.add_adapter("legal", tower.lora["code"])
    with pytest.raises(CheckpointError, match=r"'legal'.* its configuration names \['code', 'retrieval', 'text-matching'\]"):
        write_checkpoint(tower, tmp_path / "new")
    tower.config = replace(tower.config, task_names=(*tower.config.task_names, "legal", "tax"))
    with pytest.raises(CheckpointError, match=r"names .*'tax'"):
        write_checkpoint(tower, tmp_path / "new")
    assert not (tmp_path / "new").exists()
    tower.config = replace(tower.config, task_names=("retrieval", "text-matching", "code", "legal"))
    assert_same_tower(read_checkpoint(write_checkpoint(tower, tmp_path / "new", dtype=torch.float32)), tower)


@pytest.mark.parametrize("other", [LoraConfig(r=4, lora_alpha=8), LoraConfig(r=8, lora_alpha=8)])
def test_adapters_of_different_rank_or_scale_cannot_share_a_file(tmp_path: Path, other: LoraConfig) -> None:
    tower = read_checkpoint(TINY)
    tower.add_adapter("legal", other)
    tower.config = replace(tower.config, task_names=(*tower.config.task_names, "legal"))
    with pytest.raises(CheckpointError, match="one rank and scale"):
        write_checkpoint(tower, tmp_path)
    assert not list(tmp_path.iterdir())


# ---- spellings


def newer(name: str) -> str:
    for old, new in (("visual.", "model.visual."), ("model.", "model.language_model.")):
        if name.startswith(old):
            return new + name.removeprefix(old)
    return name


def test_the_newer_spelling_is_read_from_one_file(folder: Path) -> None:
    respelled(folder, newer, adapters=lambda name: name.replace(".language_model.layers.", ".layers."))
    names = [set(tensors) for tensors in tensors_in(folder)]
    assert "model.visual.merger.ln_q.weight" in names[0]
    assert "model.language_model.norm.weight" in names[0]
    assert A0.replace("language_model.", "") in names[1]
    assert_same_tower(read_checkpoint(folder), read_checkpoint(TINY))


def test_every_spelling_of_a_name_becomes_the_released_one() -> None:
    base, lora = tensors_in(TINY)
    for name in base:
        assert plain(name) == plain(newer(name)) == name
    for name in lora:
        assert plain_adapter(name) == plain_adapter(name.replace(".language_model.layers.", ".layers.")) == name


@pytest.mark.parametrize("file", [*SHARDS, None])
def test_a_tensor_in_both_spellings_is_refused_whichever_file_holds_the_second(folder: Path, file: str | None) -> None:
    if file is None:
        edit(folder / ADAPTERS, lambda tensors: put(A0.replace("language_model.", ""), tensors[A0].clone())(tensors))
        refused(folder, "is there twice", A0, A0.replace("language_model.", ""))
        return
    tensor = load_file(folder / SHARDS[0])[Q0]
    edit(folder / file, put(newer(Q0), tensor.clone()))
    refused(folder, "is there twice", Q0, newer(Q0), file)


def test_the_output_layer_of_generative_checkpoints_is_passed_over(folder: Path) -> None:
    edit(folder / SHARDS[1], put("lm_head.weight", torch.zeros(1024, 64)))
    assert_same_tower(read_checkpoint(folder), read_checkpoint(TINY))


# ---- every tensor has its place


@pytest.mark.parametrize(
    "name", [Q0, "visual.patch_embed.proj.weight", "visual.blocks.3.mlp.up_proj.bias", "model.norm.weight", "multi_vector_projector.bias"]
)
def test_a_missing_tensor_of_the_tower_is_named(folder: Path, name: str) -> None:
    shard = next(shard for shard in SHARDS if name in load_file(folder / shard))
    edit(folder / shard, drop(name))
    refused(folder, str(folder), f"1 missing: {name}")


@pytest.mark.parametrize("name", [A0, B0, "base_model.model.multi_vector_projector.lora_B.retrieval.weight"])
def test_a_missing_tensor_of_an_adapter_is_named(folder: Path, name: str) -> None:
    edit(folder / ADAPTERS, drop(name))
    refused(folder, str(folder / "adapters"), f"1 missing: {name}")


def test_a_missing_task_is_missed_with_all_its_tensors(folder: Path) -> None:
    count = 3 * 7 * 2 + 2

    def forget(tensors: dict[str, Tensor]) -> None:
        drop(*[name for name in tensors if ".code." in name])(tensors)

    edit(folder / ADAPTERS, forget)
    message = refused(folder, f"{count} missing: ", f" and {count - 3} more")
    assert message.count("lora_") == 3


@pytest.mark.parametrize(
    "name",
    [
        "model.layers.3.self_attn.q_proj.weight",
        "model.layers.0.self_attn.o_proj.bias",
        "visual.blocks.4.norm1.weight",
        "single_vector_projector.weight",
        "visual.lm_head.weight",
    ],
)
def test_a_left_over_tensor_of_the_tower_is_named_with_its_file(folder: Path, name: str) -> None:
    edit(folder / SHARDS[1], put(name, torch.zeros(64)))
    refused(folder, str(folder), f"1 left over: {name} ({SHARDS[1]})")


@pytest.mark.parametrize(
    "name",
    [
        A0.replace(".code.", ".legal."),
        A0.replace(".code.", "."),
        "base_model.model.model.visual.blocks.0.attn.qkv.lora_A.code.weight",
        "base_model.model.single_vector_projector.lora_A.code.weight",
    ],
)
def test_a_left_over_tensor_of_an_adapter_is_named(folder: Path, name: str) -> None:
    edit(folder / ADAPTERS, put(name, torch.zeros(8, 64)))
    refused(folder, f"1 left over: {name}")


def test_missing_and_left_over_tensors_are_told_together(folder: Path) -> None:
    edit(folder / ADAPTERS, lambda tensors: put(A0.replace(".code.", ".kode."), tensors.pop(A0))(tensors))
    refused(folder, f"1 missing: {A0}", f"1 left over: {A0.replace('.code.', '.kode.')}")


def test_adapters_of_a_tower_without_tasks_are_left_over(folder: Path) -> None:
    raw = json.loads((folder / "config.json").read_text("utf-8"))
    (folder / "config.json").write_text(json.dumps(raw | {"task_names": []}), encoding="utf-8")
    refused(folder, "132 left over: base_model.")


@pytest.mark.parametrize(
    ("name", "found", "expected"),
    [
        (Q0, [32, 64], [64, 64]),
        (Q0, [64, 64, 1], [64, 64]),
        ("model.layers.0.self_attn.k_proj.bias", [64], [32]),
        ("model.layers.0.mlp.up_proj.weight", [64, 128], [128, 64]),
        ("visual.patch_embed.proj.weight", [64, 1176], [64, 3, 2, 14, 14]),
        ("visual.blocks.0.attn.qkv.weight", [64, 64], [192, 64]),
        ("model.embed_tokens.weight", [1023, 64], [1024, 64]),
    ],
)
def test_a_misshapen_tensor_of_the_tower_is_named_with_both_shapes(folder: Path, name: str, found: list[int], expected: list[int]) -> None:
    edit(folder / SHARDS[0], put(name, torch.zeros(found)))
    message = refused(folder, str(folder / SHARDS[0]), f"{name} has shape {found}, expected {expected}.")
    assert "rank" not in message


@pytest.mark.parametrize(("file", "name"), [(SHARDS[0], Q0), (ADAPTERS, A0)])
@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.float8_e4m3fn])
def test_codes_of_a_quantised_model_are_not_taken_for_weights(folder: Path, file: Path | str, name: str, dtype: torch.dtype) -> None:
    edit(folder / file, lambda tensors: tensors.update({name: tensors[name].to(dtype)}))
    with pytest.raises(CheckpointError, match=f"{re.escape(name)} holds {str(dtype).removeprefix('torch.')}.*quantised"):
        read_checkpoint(folder)


def test_parts_that_would_add_up_to_the_right_height_are_still_misshapen(folder: Path) -> None:
    k, v = (f"model.layers.0.self_attn.{p}_proj.weight" for p in "kv")
    edit(folder / SHARDS[0], lambda tensors: tensors.update({k: torch.zeros(16, 64), v: torch.zeros(48, 64)}))
    refused(folder, f"{k} has shape [16, 64], expected [32, 64].")


@pytest.mark.parametrize(
    ("name", "found", "expected", "rank"),
    [
        (A0, [4, 64], [8, 64], 4),
        (B0, [64, 4], [64, 8], 4),
        (A0, [8, 63], [8, 64], None),
        (B0, [63, 8], [64, 8], None),
        (B0, [64], [64, 8], None),
    ],
)
def test_a_misshapen_tensor_of_an_adapter_is_named_and_its_rank_where_that_is_wrong(
    folder: Path, name: str, found: list[int], expected: list[int], rank: int | None
) -> None:
    edit(folder / ADAPTERS, put(name, torch.zeros(found)))
    message = refused(folder, str(folder / ADAPTERS), f"{name} has shape {found}, expected {expected}.")
    assert message.endswith(f"The adapter has rank {rank}, adapter_config.json says 8.") == (rank is not None)
    assert ("rank" in message) == (rank is not None)


def test_a_rank_that_adapter_config_has_wrong_is_told(folder: Path) -> None:
    path = folder / "adapters" / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {"r": 16}), encoding="utf-8")
    refused(folder, "The adapter has rank 8, adapter_config.json says 16.")


# ---- broken files


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def scribble(path: Path) -> None:
    path.write_bytes(b"<!DOCTYPE html>" * 40)


def page(path: Path) -> None:
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 886176\n", encoding="utf-8")


@pytest.mark.parametrize("name", [SHARDS[1], str(ADAPTERS)])
@pytest.mark.parametrize("spoil", [cut, empty, scribble, page])
def test_a_weight_file_that_is_cut_short_or_something_else_is_named(folder: Path, name: str, spoil: Callable[[Path], None]) -> None:
    spoil(folder / name)
    refused(folder, str(folder / name), "cannot be read", "fetch it again")


@pytest.mark.parametrize("name", [*SHARDS, str(ADAPTERS), "adapters/adapter_config.json", "config.json"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    refused(folder, str(folder / name), "is missing")


def test_a_missing_adapters_folder_is_not_passed_over(folder: Path) -> None:
    shutil.rmtree(folder / "adapters")
    refused(folder, str(folder / "adapters" / "adapter_config.json"), "is missing")


def test_a_folder_without_weights_is_told(folder: Path) -> None:
    for name in (*SHARDS, INDEX):
        (folder / name).unlink()
    refused(folder, f"neither model.safetensors nor {INDEX}")


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"weight_map": []}', '{"weight_map": {"a": 3}}', '{"weight_map": {"a": ["b"]}}'])
def test_an_index_that_is_broken_is_named(folder: Path, content: str) -> None:
    (folder / INDEX).write_text(content, encoding="utf-8")
    refused(folder, str(folder / INDEX), "cannot be read")


def test_an_index_of_nothing_and_an_index_of_a_shard_that_is_not_there_are_told(folder: Path) -> None:
    raw = json.loads((folder / INDEX).read_text("utf-8"))
    raw["weight_map"]["model.norm.weight"] = "model-00003-of-00003.safetensors"
    (folder / INDEX).write_text(json.dumps(raw), encoding="utf-8")
    refused(folder, str(folder / "model-00003-of-00003.safetensors"), "is missing")
    (folder / INDEX).write_text('{"weight_map": {}}', encoding="utf-8")
    refused(folder, str(folder / INDEX), "names no file")


def test_where_the_index_points_wrong_the_tensor_is_still_found(folder: Path) -> None:
    raw = json.loads((folder / INDEX).read_text("utf-8"))
    raw["weight_map"] = dict(zip(raw["weight_map"], reversed_(raw["weight_map"].values()), strict=True))
    (folder / INDEX).write_text(json.dumps(raw), encoding="utf-8")
    assert_same_tower(read_checkpoint(folder), read_checkpoint(TINY))


def reversed_(files: Iterable[str]) -> list[str]:
    return list(files)[::-1]


def test_one_file_is_read_where_there_is_no_index(folder: Path) -> None:
    respelled(folder, lambda name: name)
    assert_same_tower(read_checkpoint(folder), read_checkpoint(TINY))


@pytest.mark.parametrize("content", ["", "{", "[1]"])
def test_an_adapter_config_that_is_broken_is_named(folder: Path, content: str) -> None:
    path = folder / "adapters" / "adapter_config.json"
    path.write_text(content, encoding="utf-8")
    refused(folder, str(path))


@pytest.mark.parametrize(("key", "value"), [("use_dora", True), ("rank_pattern", {"q_proj": 4}), ("lora_bias", True), ("bias", "all")])
def test_adapters_that_are_not_plain_lora_are_refused(folder: Path, key: str, value: object) -> None:
    path = folder / "adapters" / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {key: value}), encoding="utf-8")
    refused(folder, str(path), f"{key} = {value!r} is not supported")


def test_tensors_taken_out_are_copies_of_their_own() -> None:
    tower = read_checkpoint(TINY, dtype=torch.float32)
    before = {name: weight.clone() for name, weight in tower.named_parameters()}
    for layout in (base_layout(tower.config), adapter_layout(tower.config)):
        for tensor in theirs(tower, layout, torch.float32).values():
            assert tensor.is_contiguous()
            tensor.fill_(9.0)
    assert_same_tensors(dict(tower.named_parameters()), before)
