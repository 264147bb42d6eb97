"""Checkpoints in the released layout of jina-embeddings-v4, both ways, with every tensor accounted for.

    config.json  preprocessor_config.json  tokenizer.json ...
    model.safetensors, or model-00001-of-0000N.safetensors with model.safetensors.index.json
    adapters/adapter_config.json  adapters/adapter_model.safetensors      all adapters in one file

The maps between our names and theirs are tables (`base_layout`, `adapter_layout`): a tensor that is missing, left over or misshapen
is an error that names it, so that an adapter can never be dropped in silence.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from unitower.errors import CheckpointError
from unitower.model.config import LoraConfig, ModelConfig
from unitower.model.embedder import Embedder

INDEX = "model.safetensors.index.json"
ADAPTERS, ADAPTER_CONFIG, ADAPTER_MODEL = "adapters", "adapter_config.json", "adapter_model.safetensors"
NOT_NEEDED = {"lm_head.weight"}
"""Tensors of generative checkpoints that an embedding tower has no use for."""

WEIGHT_DTYPES = (torch.bfloat16, torch.float16, torch.float32, torch.float64)
"""Numbers that weights may be stored in."""

Layout = dict[str, tuple[str, ...]]
"""Our parameter -> their tensors; several are held one under the other in ours."""


def base_layout(config: ModelConfig) -> Layout:
    """Where each parameter of the tower and projector lies, in the released (old-style) spelling."""
    names: Layout = {
        "vision.patch_embed": ("visual.patch_embed.proj.weight",),
        "vision.merger.norm.weight": ("visual.merger.ln_q.weight",),
        "decoder.embed_tokens.weight": ("model.embed_tokens.weight",),
        "decoder.norm.weight": ("model.norm.weight",),
    }
    for kind in ("weight", "bias"):
        names[f"vision.merger.inner.{kind}"] = (f"visual.merger.mlp.0.{kind}",)
        names[f"vision.merger.outer.{kind}"] = (f"visual.merger.mlp.2.{kind}",)
        names[f"projector.{kind}"] = (f"multi_vector_projector.{kind}",)
    for i in range(config.vision.depth):
        ours, theirs = f"vision.blocks.{i}", f"visual.blocks.{i}"
        for norm in ("norm1", "norm2"):
            names[f"{ours}.{norm}.weight"] = (f"{theirs}.{norm}.weight",)
        for kind in ("weight", "bias"):
            names[f"{ours}.qkv.{kind}"] = (f"{theirs}.attn.qkv.{kind}",)
            names[f"{ours}.proj.{kind}"] = (f"{theirs}.attn.proj.{kind}",)
            names[f"{ours}.mlp.gate_up.{kind}"] = tuple(f"{theirs}.mlp.{p}_proj.{kind}" for p in ("gate", "up"))
            names[f"{ours}.mlp.down.{kind}"] = (f"{theirs}.mlp.down_proj.{kind}",)
    for i in range(config.text.num_hidden_layers):
        ours, theirs = f"decoder.blocks.{i}", f"model.layers.{i}"
        names[f"{ours}.norm1.weight"] = (f"{theirs}.input_layernorm.weight",)
        names[f"{ours}.norm2.weight"] = (f"{theirs}.post_attention_layernorm.weight",)
        for layer, projections in PROJECTIONS.items():
            names[f"{ours}.{layer}.weight"] = tuple(f"{theirs}.{p}.weight" for p in projections)
        names[f"{ours}.qkv.bias"] = tuple(f"{theirs}.{p}.bias" for p in PROJECTIONS["qkv"])
    return names


PROJECTIONS = {
    "qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "out": ("self_attn.o_proj",),
    "mlp.gate_up": ("mlp.gate_proj", "mlp.up_proj"),
    "mlp.down": ("mlp.down_proj",),
}


def adapter_layout(config: ModelConfig) -> Layout:
    """Where each parameter of each adapter lies in adapter_model.safetensors. Keys are `layer.lora_A.name`, as in `Embedder`."""
    layers: Layout = {"projector": ("base_model.model.multi_vector_projector",)}
    for i in range(config.text.num_hidden_layers):
        for layer, projections in PROJECTIONS.items():
            layers[f"decoder.blocks.{i}.{layer}"] = tuple(f"base_model.model.model.language_model.layers.{i}.{p}" for p in projections)
    return {
        f"{ours}.{half}.{name}": tuple(f"{each}.{half}.{name}.weight" for each in theirs)
        for ours, theirs in layers.items()
        for half in ("lora_A", "lora_B")
        for name in config.adapter_names
    }


def plain(name: str) -> str:
    """A tensor's name in the released spelling, whatever the spelling it was stored in.

    >>> plain("model.language_model.norm.weight"), plain("model.visual.merger.ln_q.weight"), plain("model.norm.weight")
    ('model.norm.weight', 'visual.merger.ln_q.weight', 'model.norm.weight')
    """
    for new, old in (("model.visual.", "visual."), ("model.language_model.", "model."), ("language_model.model.", "model.")):
        if name.startswith(new):
            return old + name.removeprefix(new)
    return name


def plain_adapter(name: str) -> str:
    """The same for adapters, whose released spelling is the new one."""
    return name.replace("base_model.model.model.layers.", "base_model.model.model.language_model.layers.")


# ---- reading


class TensorFiles:
    """Tensors of one or several safetensors files of a folder by their plain names; nothing is read before it is asked for."""

    def __init__(self, paths: Sequence[Path], *, adapters: bool = False) -> None:
        self.folder = paths[0].parent
        self._open = ExitStack()
        self._where: dict[str, tuple[Path, str, tuple[int, ...]]] = {}
        self._files = {}
        rename = plain_adapter if adapters else plain
        for path in paths:
            try:
                file = self._open.enter_context(safe_open(path, framework="pt"))
                shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            except FileNotFoundError as error:
                raise CheckpointError(f"{path} is missing.") from error
            except (SafetensorError, OSError) as error:
                raise CheckpointError(
                    f"{path} cannot be read ({error}): it is cut short or not a safetensors file; fetch it again."
                ) from error
            self._files[path] = file
            for name, shape in shapes.items():
                if rename(name) in self._where:
                    other, spelled, _ = self._where[rename(name)]
                    raise CheckpointError(
                        f"{self.folder}: tensor {rename(name)} is there twice, as {spelled} in {other.name} and as {name} in {path.name}."
                    )
                self._where[rename(name)] = (path, name, shape)

    def __enter__(self) -> TensorFiles:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @property
    def names(self) -> set[str]:
        return set(self._where)

    def shape(self, name: str) -> tuple[int, ...]:
        return self._where[name][2]

    def place(self, name: str) -> Path:
        return self._where[name][0]

    def read(self, name: str) -> Tensor:
        path, spelled, _ = self._where[name]
        tensor: Tensor = self._files[path].get_tensor(spelled)
        return tensor


def read_checkpoint(folder: str | Path, *, device: str | torch.device = "cpu", dtype: torch.dtype = torch.bfloat16) -> Embedder:
    """The tower of a checkpoint folder, with all its adapters, ready to encode.

    dtype   of the weights: torch.float32 or torch.bfloat16; adapters stay float32
    raises  CheckpointError naming the tensor or field that is missing, left over, misshapen or contradictory
    """
    folder = Path(folder)
    config = ModelConfig.read(folder)
    adapters = folder / ADAPTERS
    lora = LoraConfig.read(adapters / ADAPTER_CONFIG) if config.adapter_names or (adapters / ADAPTER_MODEL).exists() else None
    with torch.device("meta"):
        embedder = Embedder(config)
        if lora is not None:
            for name in config.adapter_names:
                embedder.add_adapter(name, lora)
    with TensorFiles(weight_files(folder)) as tensors:
        fill(embedder, base_layout(config), tensors, ignore=NOT_NEEDED, device=device, dtype=dtype)
    if lora is not None:
        with TensorFiles([adapters / ADAPTER_MODEL], adapters=True) as tensors:
            fill(embedder, adapter_layout(config), tensors, device=device, dtype=torch.float32, rank=lora.r)
    embedder.requires_grad_(False)
    return embedder.eval()


def weight_files(folder: Path) -> list[Path]:
    """The one file or the shards that hold the tower. CheckpointError if there is neither."""
    index = folder / INDEX
    if index.exists():
        try:
            shards = {folder / shard for shard in json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()}
        except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
            raise CheckpointError(f"{index} cannot be read: {error!r}") from error
        if not shards:
            raise CheckpointError(f"{index} names no file.")
        return sorted(shards)
    if (folder / "model.safetensors").exists():
        return [folder / "model.safetensors"]
    raise CheckpointError(f"{folder} has neither model.safetensors nor {INDEX}: the weights are missing.")


def fill(
    embedder: Embedder,
    layout: Layout,
    tensors: TensorFiles,
    *,
    device: str | torch.device,
    dtype: torch.dtype,
    ignore: Collection[str] = (),
    rank: int | None = None,
) -> None:
    """Put the tensors into the parameters of `layout`, one at a time. Nothing may be missing, left over or of another shape.

    rank  of the adapters by adapter_config.json; None for the tower
    """
    expected = {name for names in layout.values() for name in names}
    missing, left_over = sorted(expected - tensors.names), sorted(tensors.names - expected - set(ignore))
    if missing or left_over:
        lines = [f"{len(missing)} missing: {few(missing)}"] * bool(missing)
        lines += [f"{len(left_over)} left over: {few([f'{name} ({tensors.place(name).name})' for name in left_over])}"] * bool(left_over)
        raise CheckpointError(f"{tensors.folder}: the tensors do not fit the configuration; {'; '.join(lines)}.")
    for ours, theirs in layout.items():
        for name, shape in zip(theirs, shapes_of_parts(embedder, ours, len(theirs)), strict=True):
            found = tensors.shape(name)
            if found != shape:
                its_rank = found[0 if ".lora_A." in ours else 1] if rank and len(found) == 2 else rank
                hint = f" The adapter has rank {its_rank}, adapter_config.json says {rank}." if its_rank != rank else ""
                raise CheckpointError(f"{tensors.place(name)}: {name} has shape {list(found)}, expected {list(shape)}.{hint}")
        # a single part is copied too: what is read lies in the mapped file, and would change or vanish with it
        parameter = torch.nn.Parameter(torch.cat([numbers(tensors, name).to(device=device, dtype=dtype) for name in theirs]))
        owner, _, attribute = ours.rpartition(".")
        module = embedder.get_submodule(owner)
        if isinstance(module, torch.nn.ParameterDict):
            module[attribute] = parameter
        else:
            setattr(module, attribute, parameter)


def numbers(tensors: TensorFiles, name: str) -> Tensor:
    """The tensor, if it holds weights. CheckpointError where it holds codes of a quantised model, which would pass for weights."""
    tensor = tensors.read(name)
    if tensor.dtype not in WEIGHT_DTYPES:
        kinds = ", ".join(str(each).removeprefix("torch.") for each in WEIGHT_DTYPES)
        raise CheckpointError(
            f"{tensors.place(name)}: {name} holds {str(tensor.dtype).removeprefix('torch.')}, not weights ({kinds}): "
            "quantised checkpoints are not supported."
        )
    return tensor


def shapes_of_parts(embedder: Embedder, ours: str, parts: int) -> list[tuple[int, ...]]:
    """Shapes of the tensors that are held one under the other in one of our parameters."""
    shape = tuple(embedder.get_parameter(ours).shape)
    if parts == 1:
        return [shape]
    if ".lora_A." in ours:
        return [(shape[0] // parts, *shape[1:])] * parts
    layer = embedder.get_submodule(ours.partition(".lora_B.")[0] if ".lora_B." in ours else ours.rpartition(".")[0])
    return [(rows, *shape[1:]) for rows in layer.out_features]  # type: ignore[union-attr]


def few(names: Sequence[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


# ---- writing


def write_checkpoint(
    embedder: Embedder,
    folder: str | Path,
    *,
    like: str | Path | None = None,
    dtype: torch.dtype = torch.bfloat16,
    shard_bytes: int = 5_000_000_000,
) -> Path:
    """Write the tower and its adapters in the released layout; whatever reads one reads the other.

    folder       made if need be; files of the same names are replaced, each atomically, and weights it held before are removed
    like         checkpoint folder whose tokenizer, preprocessor and prompt files are copied along
    dtype        of all tensors, adapters too
    shard_bytes  largest weight file, where tensors allow; beyond it the tower is split into shards with an index
    returns      the folder
    raises       CheckpointError, before anything is written, where the layout cannot hold the adapters
    """
    folder, config = Path(folder), embedder.config
    if set(embedder.lora) != set(config.adapter_names):
        raise CheckpointError(
            f"the tower has adapters {sorted(embedder.lora)}, its configuration names {sorted(config.adapter_names)}: "
            "task_names and role_adapters must name every adapter, and no other."
        )
    if len({(lora.r, lora.scale) for lora in embedder.lora.values()}) > 1:
        raise CheckpointError(f"the adapters of a checkpoint have one rank and scale; these differ: {embedder.lora}.")
    folder.mkdir(parents=True, exist_ok=True)
    if like is not None and Path(like).resolve() != folder.resolve():
        copy_companions(Path(like), folder)
    before = {*folder.glob("model*.safetensors"), folder / INDEX, *(folder / ADAPTERS).glob("adapter_*")}

    shards = sharded(theirs(embedder, base_layout(config), dtype), shard_bytes)
    names = [f"model-{i:05}-of-{len(shards):05}.safetensors" for i in range(1, len(shards) + 1)]
    if len(shards) == 1:
        names = ["model.safetensors"]
    for name, tensors in zip(names, shards, strict=True):
        write_tensors(folder / name, tensors)
    written = {folder / name for name in names}
    if len(shards) > 1:
        weight_map = {tensor: name for name, tensors in zip(names, shards, strict=True) for tensor in tensors}
        total = sum(t.nbytes for tensors in shards for t in tensors.values())
        write_json(folder / INDEX, {"metadata": {"total_size": total}, "weight_map": weight_map})
        written.add(folder / INDEX)
    if embedder.lora:
        adapters = folder / ADAPTERS
        adapters.mkdir(exist_ok=True)
        write_tensors(adapters / ADAPTER_MODEL, theirs(embedder, adapter_layout(config), dtype))
        write_json(adapters / ADAPTER_CONFIG, next(iter(embedder.lora.values())).as_json())
        written |= {adapters / ADAPTER_MODEL, adapters / ADAPTER_CONFIG}
    write_json(folder / "config.json", {**config.as_json(), "torch_dtype": str(dtype).removeprefix("torch.")})
    for path in before - written:
        path.unlink(missing_ok=True)
    return folder


def copy_companions(source: Path, folder: Path) -> None:
    """Copy what lies beside the weights of a checkpoint: tokenizer, preprocessor and prompts."""
    companions = [*source.glob("*.json"), *source.glob("*.txt"), *source.glob("*.jinja"), *source.glob("tasks/*.toml")]
    for path in companions:
        if path.name not in ("config.json", INDEX):
            target = folder / path.relative_to(source)
            target.parent.mkdir(exist_ok=True)
            with replacing(target) as part:
                shutil.copyfile(path, part)


def theirs(embedder: Embedder, layout: Layout, dtype: torch.dtype) -> dict[str, Tensor]:
    """Parameters under their released names, as contiguous tensors of one dtype on the CPU."""
    parameters = dict(embedder.named_parameters())
    tensors = {}
    for ours, names in layout.items():
        value = parameters[ours].detach().to("cpu", dtype)
        rows = [shape[0] for shape in shapes_of_parts(embedder, ours, len(names))]
        for name, part in zip(names, torch.split(value, rows), strict=True):
            tensors[name] = part.clone(memory_format=torch.contiguous_format)
    return tensors


def sharded(tensors: Mapping[str, Tensor], shard_bytes: int) -> list[dict[str, Tensor]]:
    """The tensors in order, as few files as hold them."""
    shards: list[dict[str, Tensor]] = [{}]
    size_bytes = 0
    for name, tensor in tensors.items():
        if shards[-1] and size_bytes + tensor.nbytes > shard_bytes:
            shards.append({})
            size_bytes = 0
        shards[-1][name] = tensor
        size_bytes += tensor.nbytes
    return shards


def write_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    with replacing(path) as part:
        part.touch()
        mode = part.stat().st_mode
        save_file(tensors, part, metadata={"format": "pt"})
        part.chmod(mode)  # safetensors makes a file that its owner alone may read


def write_json(path: Path, value: object) -> None:
    with replacing(path) as part:
        part.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path to write to, which becomes `path` at the end: a reader sees the old file or the new one, never half of one."""
    part = path.with_name(path.name + ".part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
