"""What a run starts from: a released checkpoint, a bare Qwen2.5-VL in its own layout, or nothing but a shape."""

from __future__ import annotations

from pathlib import Path

import torch

from unitower.errors import CheckpointError
from unitower.model.checkpoint import NOT_NEEDED, TensorFiles, base_layout, fill, read_checkpoint, weight_files
from unitower.model.config import ModelConfig
from unitower.model.embedder import Embedder
from unitower.model.hub import folder_of
from unitower.training.recipe import Recipe


def start(recipe: Recipe) -> tuple[Path, Embedder]:
    """The folder that tokenizer and preprocessing come from, and the tower to train, on the CPU.

    A tower all of whose weights stay frozen is read in the recipe's precision; one that a phase moves is kept in float32.
    """
    folder, _ = folder_of(recipe.start, revision=recipe.revisions.get(recipe.start))
    moved = any("tower" in phase.train for phase in recipe.phases)
    dtype = torch.float32 if moved or recipe.precision == "float32" else torch.bfloat16
    if recipe.config is not None:
        return folder, from_nothing(recipe.config)
    if (folder / "adapters").is_dir():
        embedder = read_checkpoint(folder, dtype=dtype)
        return folder, embedder
    return folder, from_backbone(folder, dtype=dtype)


def from_nothing(config: ModelConfig) -> Embedder:
    """A tower with random weights, as large as keeps every layer's output about as large as its input."""
    config.check()
    embedder = Embedder(config)
    for name, parameter in embedder.named_parameters():
        if parameter.dim() == 1 and name.endswith("bias"):
            torch.nn.init.zeros_(parameter)
        elif parameter.dim() > 1:
            fan_in = parameter[0].numel()
            torch.nn.init.normal_(parameter, std=0.02 if "embed_tokens" in name else fan_in**-0.5)
    depth = 2 * max(config.vision.depth, config.text.num_hidden_layers)
    with torch.no_grad():
        for name, parameter in embedder.named_parameters():
            if name.endswith(("proj.weight", "out.weight", "down.weight")):
                parameter.div_(depth**0.5)  # residual branches add up: GPT-2's scaling
    return embedder


def from_backbone(folder: Path, *, dtype: torch.dtype) -> Embedder:
    """A Qwen2.5-VL as it is published, with a fresh projector and without adapters. CheckpointError as `read_checkpoint`."""
    config = ModelConfig.read(folder)
    with torch.device("meta"):
        embedder = Embedder(config)
    layout = {ours: theirs for ours, theirs in base_layout(config).items() if not ours.startswith("projector.")}
    with TensorFiles(weight_files(folder)) as tensors:
        unknown = sorted(name for name in tensors.names if name.startswith("multi_vector_projector."))
        if unknown:
            raise CheckpointError(f"{folder} has {unknown[0]} but no adapters folder: it is half a checkpoint; fetch it again.")
        fill(embedder, layout, tensors, ignore=NOT_NEEDED, device="cpu", dtype=dtype)
    for name in ("weight", "bias"):
        shape = getattr(embedder.projector, name).shape
        value = torch.randn(shape) * config.text.hidden_size**-0.5 if name == "weight" else torch.zeros(shape)
        setattr(embedder.projector, name, torch.nn.Parameter(value.to(dtype)))
    return embedder.eval()


__all__ = ["from_backbone", "from_nothing", "start"]
