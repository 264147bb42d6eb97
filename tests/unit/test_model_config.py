"""config.json and adapter_config.json: what is read, what is refused and by what name, and what is written."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from unitower.errors import CheckpointError
from unitower.model.config import ROLE_ADAPTERS, LoraConfig, ModelConfig, TextConfig, VisionConfig

TINY = Path(__file__).parents[1] / "fixtures" / "jina-v4-tiny"
Edit = Callable[[dict[str, Any]], object]


def tiny() -> dict[str, Any]:
    raw: dict[str, Any] = json.loads((TINY / "config.json").read_text(encoding="utf-8"))
    return raw


def read(folder: Path, raw: object) -> ModelConfig:
    (folder / "config.json").write_text(json.dumps(raw), encoding="utf-8")
    return ModelConfig.read(folder)


def edited(folder: Path, edit: Edit) -> ModelConfig:
    raw = tiny()
    edit(raw)
    return read(folder, raw)


def without(*path: str) -> Edit:
    def edit(raw: dict[str, Any]) -> None:
        for key in path[:-1]:
            raw = raw[key]
        del raw[path[-1]]

    return edit


def having(*path: str, value: object) -> Edit:
    def edit(raw: dict[str, Any]) -> None:
        for key in path[:-1]:
            raw = raw[key]
        raw[path[-1]] = value

    return edit


# ---- reading


def test_the_released_layout_is_read() -> None:
    config = ModelConfig.read(TINY)
    assert config == ModelConfig(
        text=TextConfig(
            hidden_size=64,
            num_hidden_layers=3,
            num_attention_heads=4,
            num_key_value_heads=2,
            intermediate_size=128,
            vocab_size=1024,
            mrope_section=(2, 3, 3),
            rope_theta=1e6,
            rms_norm_eps=1e-6,
            max_position_embeddings=4096,
        ),
        vision=VisionConfig(
            depth=4, hidden_size=64, num_heads=4, intermediate_size=96, out_hidden_size=64, fullatt_block_indexes=(3,), window_size=112
        ),
        image_token_id=1012,
        vision_start_token_id=1009,
        vision_end_token_id=1010,
        task_names=("retrieval", "text-matching", "code"),
        matryoshka_dims=(8, 16, 32, 64),
        truncate_dim=None,
        multi_vector_projector_dim=16,
    )
    assert config.adapter_names == ("retrieval", "text-matching", "code")
    assert (config.text.head_dim, config.vision.head_dim, config.vision.window_cells) == (16, 16, 4)


def test_the_nested_values_count_and_not_those_repeated_at_the_top(tmp_path: Path) -> None:
    for repeated in ("hidden_size", "num_hidden_layers", "rms_norm_eps", "rope_theta"):
        assert edited(tmp_path, having(repeated, value=7)) == ModelConfig.read(TINY)


@pytest.mark.parametrize("absent", [0, None])
def test_a_truncate_dim_of_zero_or_null_is_none(tmp_path: Path, absent: int | None) -> None:
    assert edited(tmp_path, having("truncate_dim", value=absent)).truncate_dim is None
    assert edited(tmp_path, having("truncate_dim", value=16)).truncate_dim == 16


def test_the_older_name_of_m_rope_and_the_newer_place_of_theta_are_read(tmp_path: Path) -> None:
    def newer(raw: dict[str, Any]) -> None:
        del raw["text_config"]["rope_scaling"]
        raw["text_config"]["rope_theta"] = None
        raw["text_config"]["rope_parameters"] = {"rope_type": "default", "rope_theta": 5e5, "mrope_section": [4, 2, 2]}

    config = edited(tmp_path, newer)
    assert (config.text.rope_theta, config.text.mrope_section) == (5e5, (4, 2, 2))
    assert read(tmp_path, config.as_json()) == config
    older = having("text_config", "rope_scaling", value={"type": "mrope", "mrope_section": [2, 3, 3]})
    assert edited(tmp_path, older) == ModelConfig.read(TINY)


def test_the_older_name_of_the_image_channels_is_read(tmp_path: Path) -> None:
    def older(raw: dict[str, Any]) -> None:
        raw["vision_config"]["in_chans"] = 1
        del raw["vision_config"]["in_channels"]

    assert edited(tmp_path, older).vision.in_channels == 1


# ---- refusing


TEXT = ["hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "intermediate_size", "vocab_size", "rms_norm_eps"]
VISION = ["depth", "hidden_size", "num_heads", "intermediate_size", "out_hidden_size", "fullatt_block_indexes"]
TOP = ["image_token_id", "vision_start_token_id", "vision_end_token_id", "text_config", "vision_config"]


@pytest.mark.parametrize("path", [*[("text_config", k) for k in TEXT], *[("vision_config", k) for k in VISION], *[(k,) for k in TOP]])
@pytest.mark.parametrize("null", [False, True])
def test_a_missing_field_is_named(tmp_path: Path, path: tuple[str, ...], null: bool) -> None:
    with pytest.raises(CheckpointError) as caught:
        edited(tmp_path, having(*path, value=None) if null else without(*path))
    assert str(tmp_path / "config.json") in str(caught.value)
    assert all(word in str(caught.value) for word in path)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("text_config", "num_attention_heads"), 5, "64 is no multiple of 5 heads"),
        (("text_config", "num_key_value_heads"), 3, "4 heads are no multiple of 3 key-value heads"),
        (("text_config", "rope_scaling", "mrope_section"), [2, 2, 3], r"mrope_section \[2, 2, 3\] does not add up to half .*8"),
        (("text_config", "rope_scaling", "mrope_section"), [4, 4], r"mrope_section \[4, 4\] has not three parts"),
        (("text_config", "rope_scaling", "rope_type"), "yarn", "rope type 'yarn' is not supported"),
        (("text_config", "rope_scaling"), {"rope_type": "default"}, "no mrope_section"),
        (("text_config", "hidden_act"), "gelu", "hidden_act 'gelu' is not supported"),
        (("vision_config", "hidden_act"), "gelu", "hidden_act 'gelu' is not supported"),
        (("vision_config", "num_heads"), 3, "vision hidden_size 64 is no multiple of 4 times its 3 heads"),
        (("vision_config", "out_hidden_size"), 32, "out_hidden_size 32 is not the decoder's hidden_size 64"),
        (("vision_config", "window_size"), 27, "window_size 27 is smaller than a merge cell of 28 pixels"),
        (("truncate_dim",), 24, r"truncate_dim 24 is not among matryoshka_dims \[8, 16, 32, 64\]"),
        (("matryoshka_dims",), [64, 128], r"matryoshka_dims \[64, 128\] go beyond hidden_size 64"),
        (("image_token_id",), 1024, "token id 1024 is outside a vocabulary of 1024"),
        (("text_config", "num_hidden_layers"), 0, "num_hidden_layers = 0"),
        (("text_config", "num_key_value_heads"), 0, "num_key_value_heads = 0"),
        (("vision_config", "num_heads"), -4, "num_heads = -4"),
        (("text_config", "hidden_size"), "64", "hidden_size = '64'"),
        (("text_config", "hidden_size"), 64.0, "hidden_size = 64.0"),
        (("vision_config", "depth"), True, "depth = True"),
        (("text_config", "rms_norm_eps"), "1e-6", "rms_norm_eps = '1e-6'"),
        (("vision_config", "fullatt_block_indexes"), 3, "fullatt_block_indexes = 3"),
        (("task_names",), "retrieval", "task_names = 'retrieval'"),
        (("matryoshka_dims",), [8, "16"], "matryoshka_dims = "),
    ],
)
def test_what_cannot_be_is_named_with_its_value(tmp_path: Path, path: tuple[str, ...], value: object, words: str) -> None:
    with pytest.raises(CheckpointError, match=words):
        edited(tmp_path, having(*path, value=value))


def test_a_sliding_window_in_use_is_refused_and_one_out_of_use_is_not(tmp_path: Path) -> None:
    def sliding(raw: dict[str, Any]) -> None:
        raw["text_config"] |= {"use_sliding_window": True, "sliding_window": 512}

    with pytest.raises(CheckpointError, match="use_sliding_window"):
        edited(tmp_path, sliding)
    assert edited(tmp_path, having("text_config", "sliding_window", value=512)) == ModelConfig.read(TINY)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"{", "cannot be read"), (b"", "cannot be read"), (b"[]", "holds list, not an object"), (b'"\xff"', "cannot be read")],
)
def test_a_file_that_is_no_json_object_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=words):
        ModelConfig.read(tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"config\.json is missing"):
        ModelConfig.read(tmp_path / "nowhere")


# ---- adapters of roles


def test_a_task_whose_roles_have_adapters_of_their_own_brings_both(tmp_path: Path) -> None:
    roles = {"retrieval": {"query": "retrieval-query", "passage": "retrieval-passage"}, "code": {"query": "code-query"}}
    config = edited(tmp_path, having(ROLE_ADAPTERS, value=roles))
    assert config.adapter_names == ("retrieval-query", "retrieval-passage", "text-matching", "code-query", "code")
    assert config.adapter_for("retrieval", "query") == "retrieval-query"
    assert config.adapter_for("retrieval", "passage") == "retrieval-passage"
    assert config.adapter_for("code", "passage") == "code"  # a role that is not named has the task's own
    assert config.adapter_for("text-matching", "query") == "text-matching"
    assert read(tmp_path, config.as_json()) == config
    assert ROLE_ADAPTERS not in replace(config, role_adapters={}).as_json()


def test_tasks_that_share_an_adapter_have_it_once(tmp_path: Path) -> None:
    roles = {"code": {"query": "retrieval", "passage": "retrieval"}}
    assert edited(tmp_path, having(ROLE_ADAPTERS, value=roles)).adapter_names == ("retrieval", "text-matching")


@pytest.mark.parametrize("roles", [{"legal": {"query": "a"}}, {"code": {"querry": "a"}}])
def test_adapters_of_unknown_tasks_and_roles_are_refused(tmp_path: Path, roles: object) -> None:
    with pytest.raises(CheckpointError, match=r"legal|querry"):
        edited(tmp_path, having(ROLE_ADAPTERS, value=roles))


def test_an_unknown_task_is_answered_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="'legal' is unknown; this model has retrieval, text-matching, code"):
        ModelConfig.read(TINY).adapter_for("legal", "query")


# ---- writing


def test_what_was_read_is_written_field_for_field() -> None:
    assert ModelConfig.read(TINY).as_json() == tiny()
    raw = json.loads((TINY / "adapters" / "adapter_config.json").read_text(encoding="utf-8"))
    assert LoraConfig.read(TINY / "adapters" / "adapter_config.json").as_json() == raw


def test_fields_that_nobody_here_knows_survive(tmp_path: Path) -> None:
    def strange(raw: dict[str, Any]) -> None:
        raw["x"], raw["text_config"]["y"], raw["vision_config"]["z"] = [1], {"a": None}, "b"

    written = edited(tmp_path, strange).as_json()
    assert (written["x"], written["text_config"]["y"], written["vision_config"]["z"]) == ([1], {"a": None}, "b")


def test_a_configuration_made_here_is_read_back_the_same(tmp_path: Path) -> None:
    config = replace(ModelConfig.read(TINY), extra={}, truncate_dim=32, task_names=("retrieval", "legal"))
    assert read(tmp_path, config.as_json()) == config
    assert config.as_json()["architectures"] == ["JinaEmbeddingsV4Model"]


def test_a_changed_value_is_written_and_not_the_one_that_was_read() -> None:
    config = ModelConfig.read(TINY)
    changed = replace(config, truncate_dim=32, text=replace(config.text, rope_theta=100.0, mrope_section=(4, 2, 2))).as_json()
    assert (changed["truncate_dim"], changed["text_config"]["rope_theta"]) == (32, 100.0)
    assert changed["text_config"]["rope_scaling"]["mrope_section"] == [4, 2, 2]


# ---- adapter_config.json


def test_the_scale_of_adapters_by_hand() -> None:
    assert LoraConfig(r=8, lora_alpha=16).scale == 2.0
    assert LoraConfig(r=32, lora_alpha=32).scale == 1.0
    assert LoraConfig(r=16, lora_alpha=8, use_rslora=True).scale == 2.0
    assert LoraConfig(r=2, lora_alpha=1, use_rslora=True).scale == pytest.approx(1 / math.sqrt(2))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("use_dora", True),
        ("rank_pattern", {"q_proj": 4}),
        ("alpha_pattern", {"q_proj": 4}),
        ("lora_bias", True),
        ("bias", "all"),
        ("bias", "lora_only"),
        ("modules_to_save", ["embed_tokens"]),
        ("peft_type", "LOHA"),
        ("use_qalora", True),
        ("layer_replication", [[0, 2]]),
        ("alora_invocation_tokens", [1]),
    ],
)
def test_adapters_that_are_not_plain_lora_are_refused(tmp_path: Path, key: str, value: object) -> None:
    path = tmp_path / "adapter_config.json"
    path.write_text(json.dumps({"r": 8, "lora_alpha": 16, key: value}), encoding="utf-8")
    with pytest.raises(CheckpointError, match=f"{key} = .* is not supported"):
        LoraConfig.read(path)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ({"lora_alpha": 16}, "has no r"),
        ({"r": 8}, "has no lora_alpha"),
        ({"r": 0, "lora_alpha": 16}, "r = 0"),
        ({"r": 8, "lora_alpha": "16"}, "lora_alpha = '16'"),
        ({"r": 8, "lora_alpha": 16, "use_rslora": "no"}, "use_rslora = 'no'"),
    ],
)
def test_a_rank_or_scale_that_cannot_be_is_named(tmp_path: Path, raw: object, words: str) -> None:
    path = tmp_path / "adapter_config.json"
    path.write_text(json.dumps(raw), encoding="utf-8")
    with pytest.raises(CheckpointError, match=words):
        LoraConfig.read(path)
