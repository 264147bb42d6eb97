"""Texts and pictures to what the tower takes: token ids, and patches on a grid. Exactly the released preprocessing, without torchvision.

Texts: the prompt and the text through the byte-level BPE of tokenizer.json, nothing added, the head kept. Strings such as
`<|im_end|>` inside a text become the special tokens they spell, as in the released model; they are ordinary rows of that one text.

Pictures: sides to multiples of a merge cell (28 px) within the pixel limits, antialiased bicubic on uint8, normalised, and cut into
patches; the prompt around them is fixed, with one image token per cell.

Source: facts measured on the released code; transformers' Qwen2VLImageProcessor.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn.functional import interpolate

from unitower.errors import CheckpointError
from unitower.model.config import ModelConfig, VisionConfig
from unitower.model.embedder import Patches, TokenSequence
from unitower.types import Grid

MAX_TEXT_TOKENS = 32_768
"""Text limit of the released processor, prompt included."""

MAX_ASPECT_RATIO = 200
MAX_MAGNIFY = 4

IMAGE_PROMPT = "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>Describe the image.<|im_end|>\n"
"""Around every picture, whatever the task; the image token is repeated once per merge cell."""

LONE_SURROGATE = re.compile("[\ud800-\udfff]")

Resample: TypeAlias = Literal["torch", "pillow"]


@dataclass(frozen=True, kw_only=True)
class ImageRules:
    """How pictures are scaled and normalised: preprocessor_config.json.

    cell      side of a merge cell in pixels; both sides become multiples of it
    magnify   pictures are enlarged by up to this factor while they stay within max_pixels, between 1 and 4: small print is read better
              larger. Optional and not of the released layout; other readers of the checkpoint take pictures as large as they are
    resample  "torch": antialiased bicubic of the released ("fast") processor; "pillow": what that does where torchvision is missing.
              They differ by a grey level here and there, more at hard edges.
    """

    min_pixels: int
    max_pixels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    cell: int = 28
    magnify: float = 1.0
    rescale: float = 1 / 255
    resample: Resample = "torch"

    @classmethod
    def read(cls, folder: Path, vision: VisionConfig) -> ImageRules:
        path = folder / "preprocessor_config.json"
        raw = _json(path)
        size = raw.get("size") or {}
        values: dict[str, Any] = {
            "min_pixels": raw.get("min_pixels") or size.get("shortest_edge"),
            "max_pixels": raw.get("max_pixels") or size.get("longest_edge"),
            "image_mean": raw.get("image_mean"),
            "image_std": raw.get("image_std"),
        }
        for key, value in values.items():
            if not value:
                raise CheckpointError(f"{path}: {key} is missing.")
            if not (_per_channel(value, vision.in_channels) if key.startswith("image_") else type(value) is int):
                raise CheckpointError(f"{path} has {key} = {value!r}, which cannot be.")
        if raw.get("resample", 3) != Image.Resampling.BICUBIC:
            raise CheckpointError(f"{path}: resample = {raw['resample']} is not supported; only 3, bicubic, is.")
        magnify = raw.get("magnify", 1.0)
        if type(magnify) not in (int, float) or not 1 <= magnify <= MAX_MAGNIFY:
            raise CheckpointError(f"{path} has magnify = {magnify!r}; give a number from 1, as large as they are, to {MAX_MAGNIFY}.")
        return cls(
            min_pixels=values["min_pixels"],
            max_pixels=values["max_pixels"],
            mean=tuple(values["image_mean"]),
            std=tuple(values["image_std"]),
            cell=vision.patch_size * vision.spatial_merge_size,
            magnify=float(magnify),
            rescale=raw.get("rescale_factor", 1 / 255),
        )


def target_size(height: float, width: float, *, cell: int, min_pixels: int, max_pixels: int) -> tuple[int, int]:
    """(height, width) a picture is scaled to: multiples of `cell`, within the limits, its proportions kept about.

    A side is never less than one cell: a slim picture under a small limit keeps one cell there and may exceed the limit.
    ValueError where one side is more than 200 times the other.

    >>> target_size(600, 800, cell=28, min_pixels=3136, max_pixels=602112)
    (588, 812)
    """
    if max(height, width) > MAX_ASPECT_RATIO * min(height, width):
        raise ValueError(f"the image is {width:.0f} x {height:.0f}: one side may be at most {MAX_ASPECT_RATIO} times the other. Cut it up.")
    h, w = round(height / cell) * cell, round(width / cell) * cell  # round half to even, as the released code does
    if h * w > max_pixels:
        shrink = math.sqrt(height * width / max_pixels)
        return max(cell, math.floor(height / shrink / cell) * cell), max(cell, math.floor(width / shrink / cell) * cell)
    if h * w < min_pixels:
        grow = math.sqrt(min_pixels / (height * width))
        return math.ceil(height * grow / cell) * cell, math.ceil(width * grow / cell) * cell
    return h, w


def at_least(cell: int, height: int, width: int) -> tuple[int, int]:
    """(height, width) enlarged in proportion until the shorter side is `cell`; as they are where it is already.

    >>> at_least(28, 10, 20)
    (28, 56)
    """
    short = min(height, width)
    return (height, width) if short >= cell else (round(height * cell / short), round(width * cell / short))


class Processor:
    """Reads texts and pictures for one checkpoint. Holds no state that a call changes, so threads may share it."""

    def __init__(self, tokenizer: Tokenizer, config: ModelConfig, rules: ImageRules) -> None:
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self.tokenizer, self.config, self.rules = tokenizer, config, rules
        self.max_length = min(MAX_TEXT_TOKENS, config.text.max_position_embeddings)
        self._before, self._after = self._image_prompt()

    @classmethod
    def read(cls, folder: Path, config: ModelConfig) -> Processor:
        """From tokenizer.json and preprocessor_config.json. CheckpointError where they are missing or do not fit the tower."""
        path = folder / "tokenizer.json"
        if not path.is_file():
            raise CheckpointError(f"{path} is missing: this is not a checkpoint folder in the released layout.")
        try:
            tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # tokenizers raises bare Exception
            raise CheckpointError(f"{path} cannot be read: {error}") from error
        last = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)
        if last >= config.text.vocab_size:
            raise CheckpointError(f"{path} gives ids up to {last}, but the tower knows {config.text.vocab_size} tokens.")
        return cls(tokenizer, config, ImageRules.read(folder, config.vision))

    # ---- texts

    def text_ids(self, text: str, *, prompt: str, max_length: int | None = None) -> list[int]:
        """Token ids of prompt + text, the first `max_length` of them (at most `self.max_length`, which None means).

        Never empty: an empty text without a prompt is read as one space.
        """
        return self._ids((prompt + text) or " ")[: self.limit(max_length)]

    def text_spans(self, text: str, *, prompt: str, max_length: int | None = None) -> list[tuple[int, int]]:
        """Where in the text each of its `text_ids` stands: (first character, character after the last); (0, 0) for those of the prompt.

        Tokens that are bytes of one character share its place.
        """
        read = self.tokenizer.encode(LONE_SURROGATE.sub("\ufffd", (prompt + text) or " "), add_special_tokens=False)
        placed = [(max(0, start - len(prompt)), max(0, end - len(prompt))) for start, end in read.offsets]
        return [(min(start, len(text)), min(end, len(text))) for start, end in placed[: self.limit(max_length)]]

    def between_markers(self, ids: list[int]) -> tuple[int, int] | None:
        """Where the first <|vision_start|> and <|vision_end|> stand, both included, if a text spells them in this order."""
        ends = [ids.index(one) for one in (self.config.vision_start_token_id, self.config.vision_end_token_id) if one in ids]
        return (ends[0], ends[1] + 1) if len(ends) == 2 and ends[0] < ends[1] else None

    def limit(self, max_length: int | None) -> int:
        """Tokens kept of a text. ValueError where that is less than one."""
        if max_length is not None and max_length < 1:
            raise ValueError(f"max_length is {max_length}; a text needs at least 1 token.")
        return self.max_length if max_length is None else min(max_length, self.max_length)

    def _ids(self, text: str) -> list[int]:
        # Half a surrogate pair, from a broken decoder or a file's name, is no character; the tokenizer would refuse the whole text.
        return self.tokenizer.encode(LONE_SURROGATE.sub("\ufffd", text), add_special_tokens=False).ids

    # ---- pictures

    def image_size(self, width: int, height: int, *, max_pixels: int | None = None, enlarge: bool = False) -> tuple[int, int]:
        """(height, width) in pixels that the tower sees of a picture.

        max_pixels  limit of this call, the checkpoint's where None
        enlarge     grow pictures with a side shorter than one cell; ValueError refuses them otherwise, as the released code does
        """
        cell = self.rules.cell
        if min(width, height) < 1:
            raise ValueError(f"the image is {width} x {height}: it has no pixels.")
        slim = max(width, height) > MAX_ASPECT_RATIO * min(width, height)  # refused below, by the size it has
        if min(width, height) < cell:
            if not enlarge:
                raise ValueError(f"the image is {width} x {height}: a side must be at least {cell} pixels. Enlarge it first.")
            if not slim:
                height, width = at_least(cell, height, width)
        limit = self.pixel_limit(max_pixels)
        grow = min(self.rules.magnify, math.sqrt(limit / (height * width)))
        sides = (height * grow, width * grow) if grow > 1 and not slim else (height, width)
        return target_size(*sides, cell=cell, min_pixels=self.rules.min_pixels, max_pixels=limit)

    def pixel_limit(self, max_pixels: int | None) -> int:
        """Pixel limit of pictures. ValueError where it would not hold one cell."""
        cell = self.rules.cell
        if max_pixels is not None and max_pixels < cell * cell:
            raise ValueError(f"max_pixels is {max_pixels}; the smallest picture is one cell of {cell} x {cell} = {cell * cell} pixels.")
        return self.rules.max_pixels if max_pixels is None else max_pixels

    def resized(self, image: Image.Image, size: tuple[int, int]) -> Tensor:
        """An RGB picture scaled to (height, width): uint8 [3, height, width]. The same bits where it has that size already."""
        height, width = size
        if self.rules.resample == "pillow" and image.size != (width, height):
            image = image.resize((width, height), Image.Resampling.BICUBIC)
        pixels_CHW = torch.from_numpy(np.array(image)).permute(2, 0, 1)
        if image.size == (width, height):
            return pixels_CHW
        return interpolate(pixels_CHW[None], size=size, mode="bicubic", antialias=True, align_corners=False)[0]

    def image_sequence(self, pixels_CHW: Tensor) -> TokenSequence:
        """The prompt of a scaled picture, uint8 [3, height, width], with its patches."""
        patch, cell = self.config.vision.patch_size, self.rules.cell
        _, height, width = pixels_CHW.shape
        ids = self.image_ids((height // cell) * (width // cell))
        patches = Patches(self.patches(pixels_CHW), (height // patch, width // patch), len(self._before))
        return TokenSequence(torch.tensor(ids), patches)

    def patches(self, pixels_CHW: Tensor) -> Tensor:
        """Normalised patches float32 [P, 3 * time * patch * patch], those of a cell side by side, cells row by row.

        A still picture is the same frame at every step of time.
        """
        vision = self.config.vision
        merge, patch, time = vision.spatial_merge_size, vision.patch_size, vision.temporal_patch_size
        # Mean and deviation are scaled to 0..255 rather than the picture to 0..1: the released order of operations, to the bit.
        mean, std = (torch.tensor(values)[:, None, None] * (1 / self.rules.rescale) for values in (self.rules.mean, self.rules.std))
        x = (pixels_CHW.float() - mean) / std
        channels, height, width = x.shape
        rows, columns = height // (patch * merge), width // (patch * merge)
        x = x.reshape(channels, rows, merge, patch, columns, merge, patch).permute(1, 4, 2, 5, 0, 3, 6)
        x = x.unsqueeze(5).expand(-1, -1, -1, -1, -1, time, -1, -1)
        return x.reshape(rows * columns * merge * merge, channels * time * patch * patch)

    def image_ids(self, cells: int) -> list[int]:
        """Token ids of the prompt around a picture of so many merge cells."""
        return [*self._before, *[self.config.image_token_id] * cells, *self._after]

    def image_tokens(self, size: tuple[int, int]) -> int:
        """Length of the prompt of a picture scaled to (height, width)."""
        return len(self._before) + (size[0] // self.rules.cell) * (size[1] // self.rules.cell) + len(self._after)

    def image_grid(self, size: tuple[int, int]) -> Grid:
        """Where the merge cells of a picture scaled to (height, width) stand in its prompt."""
        return Grid(rows=size[0] // self.rules.cell, columns=size[1] // self.rules.cell, first=len(self._before))

    def _image_prompt(self) -> tuple[list[int], list[int]]:
        """What stands before and after the image tokens. Special tokens part the text, so one of them may stand for many."""
        ids, config = self._ids(IMAGE_PROMPT), self.config
        frame = [config.vision_start_token_id, config.image_token_id, config.vision_end_token_id]
        places = [i for i in range(1, len(ids) - 1) if ids[i - 1 : i + 2] == frame]
        if len(places) != 1 or ids.count(config.image_token_id) != 1:
            raise CheckpointError(
                f"the tokenizer reads the picture prompt as {ids}, without the ids {frame} that config.json names as "
                "vision_start_token_id, image_token_id, vision_end_token_id: the two are of different models."
            )
        return ids[: places[0]], ids[places[0] + 1 :]


def _per_channel(value: object, channels: int) -> bool:
    return isinstance(value, list) and len(value) == channels and all(type(each) in (int, float) for each in value)


def _json(path: Path) -> dict[str, Any]:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} is missing: this is not a checkpoint folder in the released layout.") from error
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error
    if not isinstance(raw, dict):
        raise CheckpointError(f"{path} holds {type(raw).__name__}, not an object.")
    return raw
