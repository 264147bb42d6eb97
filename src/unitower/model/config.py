"""The shape of a tower, read from and written to the released `config.json` and `adapter_config.json`.

The nested `text_config` and `vision_config` count; values repeated at the top level of config.json are ignored, as the
released code ignores them. Fields this project does not know travel along unchanged.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from unitower.errors import CheckpointError

ROLE_ADAPTERS = "unitower_role_adapters"
"""Our own key in config.json: {task: {"query": adapter, "passage": adapter}} for tasks whose roles have adapters of their own."""

ROLES = ("query", "passage")

NOT_OF_THE_DECODER = ("architectures", "auto_map", "model_type", "vision_config", "transformers_version")
"""Fields of a config.json whose decoder stands at the top level that are not the decoder's."""


@dataclass(frozen=True, kw_only=True)
class TextConfig:
    """The decoder: Qwen2 with M-RoPE. `mrope_section` splits head_dim / 2 frequencies over (t, h, w)."""

    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    intermediate_size: int
    vocab_size: int
    mrope_section: tuple[int, int, int]
    rope_theta: float = 1_000_000.0
    rms_norm_eps: float = 1e-6
    max_position_embeddings: int = 128_000

    @property
    def head_dim(self) -> int:
        return self.hidden_size // self.num_attention_heads


@dataclass(frozen=True, kw_only=True)
class VisionConfig:
    """The vision tower: windowed attention, but for `fullatt_block_indexes`, which see the whole image."""

    depth: int
    hidden_size: int
    num_heads: int
    intermediate_size: int
    out_hidden_size: int
    fullatt_block_indexes: tuple[int, ...]
    patch_size: int = 14
    temporal_patch_size: int = 2
    in_channels: int = 3
    spatial_merge_size: int = 2
    window_size: int = 112

    @property
    def head_dim(self) -> int:
        return self.hidden_size // self.num_heads

    @property
    def window_cells(self) -> int:
        """Side of a window in merge cells (4: 112 px of 28-px cells)."""
        return self.window_size // (self.patch_size * self.spatial_merge_size)


@dataclass(frozen=True, kw_only=True)
class LoraConfig:
    """Low-rank adapters: W + scale * B @ A. Source: Hu et al. 2021, §4.1; rsLoRA scaling: Kalajdzievski 2023."""

    r: int
    lora_alpha: float
    lora_dropout: float = 0.0
    use_rslora: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def scale(self) -> float:
        return self.lora_alpha / (math.sqrt(self.r) if self.use_rslora else self.r)

    @classmethod
    def read(cls, path: Path) -> LoraConfig:
        """From adapter_config.json. CheckpointError where it asks for what the tower cannot do: DoRA, ranks by pattern, biases."""
        raw = _json(path)
        for key in UNSUPPORTED_LORA:
            if raw.get(key):
                raise CheckpointError(f"{path}: {key} = {raw[key]!r} is not supported; resave the adapter as plain LoRA of one rank.")
        for key, only in (("peft_type", "LORA"), ("bias", "none")):
            if raw.get(key, only) != only:
                raise CheckpointError(f"{path}: {key} = {raw[key]!r} is not supported; only {only!r} is.")
        return _build(cls, raw, path, extra=raw)

    def as_json(self) -> dict[str, Any]:
        """adapter_config.json in the released layout."""
        own = {name: value for name, value in _own(self).items() if name != "extra"}
        return {**RELEASED_ADAPTER_CONFIG, **self.extra, **own}


UNSUPPORTED_LORA = (
    "use_dora",
    "use_qalora",
    "use_bdlora",
    "lora_bias",
    "rank_pattern",
    "alpha_pattern",
    "modules_to_save",
    "trainable_token_indices",
    "target_parameters",
    "layer_replication",
    "alora_invocation_tokens",
    "arrow_config",
    "kasa_config",
    "monteclora_config",
    "velora_config",
)
"""Fields of adapter_config.json (peft 0.21) that, where set, make an adapter compute something else than W + scale * B @ A."""

RELEASED_ADAPTER_CONFIG: Mapping[str, Any] = {
    "peft_type": "LORA",
    "task_type": "FEATURE_EXTRACTION",
    "bias": "none",
    "inference_mode": True,
    "init_lora_weights": "gaussian",
    "exclude_modules": ".*visual.*",
    "target_modules": (
        "(.*(model).*(down_proj|gate_proj|up_proj|k_proj|q_proj|v_proj|o_proj).*$|.*(single_vector_projector|multi_vector_projector).*$)"
    ),
    "use_dora": False,
    "lora_bias": False,
    "rank_pattern": {},
    "alpha_pattern": {},
}


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Everything the tower and its encoder need to know of a checkpoint.

    truncate_dim   default width of dense vectors, None for all of it
    role_adapters  task -> {"query": adapter, "passage": adapter} where roles have adapters of their own
    extra          config.json as it was read, so that unknown fields survive a rewrite
    """

    text: TextConfig
    vision: VisionConfig
    image_token_id: int
    vision_start_token_id: int
    vision_end_token_id: int
    task_names: tuple[str, ...] = ("retrieval", "text-matching", "code")
    matryoshka_dims: tuple[int, ...] = (128, 256, 512, 1024, 2048)
    truncate_dim: int | None = None
    multi_vector_projector_dim: int = 128
    role_adapters: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def adapter_names(self) -> tuple[str, ...]:
        """Every adapter of the checkpoint once, in the order of the tasks."""
        return tuple(dict.fromkeys(self.adapter_for(task, role) for task in self.task_names for role in ROLES))

    def adapter_for(self, task: str, role: str) -> str:
        """Name of the adapter that serves a task, and a role where the checkpoint keeps its roles apart.

        ValueError names the tasks there are.
        """
        if task not in self.task_names:
            raise ValueError(f"task {task!r} is unknown; this model has {', '.join(self.task_names)}.")
        return self.role_adapters.get(task, {}).get(role, task)

    @classmethod
    def read(cls, folder: Path) -> ModelConfig:
        """From `folder/config.json`; of the decoder alone without a `text_config`, as Qwen2.5-VL lies on the Hub, the top level counts.

        CheckpointError names what is missing or cannot be.
        """
        path = folder / "config.json"
        raw = _json(path)
        if "text_config" not in raw and "hidden_size" in raw:
            raw = {**raw, "text_config": {key: value for key, value in raw.items() if key not in NOT_OF_THE_DECODER}}
        text, vision = dict(_section(raw, "text_config", path)), dict(_section(raw, "vision_config", path))
        if text.get("rms_norm_eps") is None:  # transformers would take 1e-5, the released model has 1e-6: the file must say
            raise CheckpointError(f"{path}: text_config has no rms_norm_eps.")
        rope = text.get("rope_scaling") or text.get("rope_parameters") or {}
        kind = rope.get("rope_type", rope.get("type", "default"))
        if kind not in ("default", "mrope"):
            raise CheckpointError(f"{path}: rope type {kind!r} is not supported; the tower has plain M-RoPE ('default').")
        if "mrope_section" not in rope:
            raise CheckpointError(f"{path}: text_config.rope_scaling has no mrope_section.")
        text["mrope_section"] = rope["mrope_section"]
        if text.get("rope_theta") is None:
            text["rope_theta"] = rope.get("rope_theta")
        vision.setdefault("in_channels", vision.get("in_chans"))
        for section in (text, vision):
            if section.get("hidden_act", "silu") != "silu":
                raise CheckpointError(f"{path}: hidden_act {section['hidden_act']!r} is not supported; the tower uses 'silu'.")
        if text.get("use_sliding_window") and text.get("sliding_window"):
            raise CheckpointError(f"{path}: use_sliding_window is not supported; every token sees all that are before it.")
        if raw.get("matryoshka_dims") is None:
            raw = {**raw, "matryoshka_dims": list(_widths_up_to(text.get("hidden_size")))}
        config = _build(
            cls,
            raw,
            path,
            text=_build(TextConfig, text, path, section="text_config"),
            vision=_build(VisionConfig, vision, path, section="vision_config"),
            truncate_dim=raw.get("truncate_dim") or None,
            role_adapters=raw.get(ROLE_ADAPTERS) or {},
            extra=raw,
        )
        config.check(path)
        return config

    def check(self, where: object = "the model's configuration") -> None:
        """CheckpointError if the values contradict one another."""
        text, vision = self.text, self.vision
        heads, kv_heads, half = text.num_attention_heads, text.num_key_value_heads, text.head_dim / 2
        cell_px = vision.patch_size * vision.spatial_merge_size
        special = max(self.image_token_id, self.vision_start_token_id, self.vision_end_token_id)
        widest = max(self.matryoshka_dims, default=0)
        strange = sorted(set(self.role_adapters) - set(self.task_names))
        strange += sorted({role for names in self.role_adapters.values() for role in names} - set(ROLES))
        contradictions = (
            (text.hidden_size % heads, f"hidden_size {text.hidden_size} is no multiple of {heads} heads"),
            (heads % kv_heads, f"{heads} heads are no multiple of {kv_heads} key-value heads"),
            (len(text.mrope_section) != 3, f"mrope_section {list(text.mrope_section)} has not three parts (time, rows, columns)"),
            (sum(text.mrope_section) != half, f"mrope_section {list(text.mrope_section)} does not add up to half the head width, {half:g}"),
            (
                vision.hidden_size % (4 * vision.num_heads),
                f"vision hidden_size {vision.hidden_size} is no multiple of 4 times its {vision.num_heads} heads",
            ),
            (
                vision.out_hidden_size != text.hidden_size,
                f"vision out_hidden_size {vision.out_hidden_size} is not the decoder's hidden_size {text.hidden_size}",
            ),
            (vision.window_size < cell_px, f"window_size {vision.window_size} is smaller than a merge cell of {cell_px} pixels"),
            (special >= text.vocab_size, f"token id {special} is outside a vocabulary of {text.vocab_size}"),
            (
                self.truncate_dim is not None and self.truncate_dim not in self.matryoshka_dims,
                f"truncate_dim {self.truncate_dim} is not among matryoshka_dims {list(self.matryoshka_dims)}",
            ),
            (widest > text.hidden_size, f"matryoshka_dims {list(self.matryoshka_dims)} go beyond hidden_size {text.hidden_size}"),
            (strange, f"{ROLE_ADAPTERS} names {strange}; tasks are {list(self.task_names)}, roles {list(ROLES)}"),
        )
        for found, contradiction in contradictions:
            if found:
                raise CheckpointError(f"{where}: {contradiction}.")

    def as_json(self) -> dict[str, Any]:
        """config.json in the released layout."""
        text = {**self.extra.get("text_config", {}), **_own(self.text)}
        rope = text.get("rope_scaling") or {"rope_type": "default", "type": "default"}
        text["rope_scaling"] = {**rope, "mrope_section": text.pop("mrope_section")}
        text.pop("rope_parameters", None)  # the newer name of the same; one of the two is enough
        text.setdefault("model_type", "qwen2_5_vl_text")
        vision = {"model_type": "qwen2_5_vl", "hidden_act": "silu", **self.extra.get("vision_config", {}), **_own(self.vision)}
        own = {k: v for k, v in _own(self).items() if k not in ("text", "vision", "extra", "role_adapters")}
        raw = {"architectures": ["JinaEmbeddingsV4Model"], "torch_dtype": "bfloat16", **self.extra, **own}
        raw.pop(ROLE_ADAPTERS, None)
        if self.role_adapters:
            raw[ROLE_ADAPTERS] = {task: dict(names) for task, names in self.role_adapters.items()}
        return {**raw, "text_config": text, "vision_config": vision}


T = TypeVar("T")


def _widths_up_to(hidden: object) -> tuple[int, ...]:
    """The released model's widths as far as a backbone, which names none, has them; else its full width."""
    if type(hidden) is not int:
        return ModelConfig.matryoshka_dims  # `_build` tells what is wrong with it
    return tuple(width for width in ModelConfig.matryoshka_dims if width <= hidden) or (hidden,)


def _own(config: Any) -> dict[str, Any]:
    values = {f.name: getattr(config, f.name) for f in fields(config)}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def _build(cls: type[T], raw: Mapping[str, Any], path: Path, *, section: str = "", **given: Any) -> T:
    """The dataclass from what JSON holds: null is absent, lists become tuples, values of another kind are refused."""
    where = f"{path}: {section or 'the file'}"
    values = dict(given)
    for each in fields(cls):  # type: ignore[arg-type]
        if each.name in given:
            continue
        value = raw.get(each.name)
        if value is not None:
            zero = each.type == "int" and value == 0 and not each.name.endswith("_token_id")
            if zero or not KINDS[str(each.type)](value):
                raise CheckpointError(f"{where} has {each.name} = {value!r}, which cannot be.")
            values[each.name] = tuple(value) if isinstance(value, list) else value
        elif each.default is MISSING and each.default_factory is MISSING:
            raise CheckpointError(f"{where} has no {each.name}.")
    return cls(**values)


def _count(value: object) -> bool:
    return type(value) is int and value >= 0


KINDS: Mapping[str, Callable[[Any], bool]] = {
    "int": _count,
    "float": lambda value: type(value) in (int, float) and value >= 0,
    "bool": lambda value: type(value) is bool,
    "tuple[int, ...]": lambda value: isinstance(value, list) and all(map(_count, value)),
    "tuple[int, int, int]": lambda value: isinstance(value, list) and all(map(_count, value)),
    "tuple[str, ...]": lambda value: isinstance(value, list) and all(isinstance(each, str) for each in value),
}
"""What a field of each type may hold."""


def _section(raw: Mapping[str, Any], name: str, path: Path) -> Mapping[str, Any]:
    if not isinstance(raw.get(name), dict):
        raise CheckpointError(f"{path}: no {name}. unitower reads towers of the Qwen2.5-VL shape, whose config.json has one.")
    return raw[name]  # type: ignore[no-any-return]


def _json(path: Path) -> dict[str, Any]:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} is missing: this is not a checkpoint folder in the released layout.") from error
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error
    if not isinstance(raw, dict):
        raise CheckpointError(f"{path} holds {type(raw).__name__}, not an object.")
    return raw
