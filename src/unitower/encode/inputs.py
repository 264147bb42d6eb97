"""Inputs while they wait for their pass: what they cost is known, what the tower takes is made when the pass comes.

A text waits as its token ids, a picture in memory as the scaled pixels, a picture in a file as its path.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor

from unitower.encode.batching import Size
from unitower.encode.images import Conversion, Picture, read_image, size_of
from unitower.encode.processor import Processor
from unitower.model.embedder import TokenSequence
from unitower.types import Grid


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """An input whose size is known.

    sequence  makes what the tower takes of it
    grid      where a picture's cells will stand among its token vectors
    what      the input as an error names it: "input 3, a text of 812 tokens"
    remedy    the argument to lower where it does not fit in memory
    """

    size: Size
    sequence: Callable[[], TokenSequence]
    what: str
    remedy: str
    grid: Grid | None = None


def waiting_text(processor: Processor, text: str, where: str, *, prompt: str, max_length: int, as_released: bool = False) -> Waiting:
    """A text, read as prompt + text; `where` is what errors call it.

    as_released  a text that spells both vision markers is pooled between them only, as the released code does
    """
    ids = processor.text_ids(text, prompt=prompt, max_length=max_length)
    sequence = TokenSequence(torch.tensor(ids), pooled=processor.between_markers(ids) if as_released else None)
    what = f"{where}, a text of {len(ids)} tokens,"
    return Waiting(size=Size(tokens=len(ids)), sequence=lambda: sequence, what=what, remedy="max_length")


def waiting_picture(processor: Processor, image: Picture, where: str, *, max_pixels: int, enlarge: bool) -> Waiting:
    """An RGB picture in memory: scaled at once, so that only what the tower sees of it is kept."""
    size = named(where, processor.image_size, *image.size, max_pixels=max_pixels, enlarge=enlarge)
    pixels_CHW = processor.resized(image, size)
    return _sized(processor, size, where, lambda: pixels_CHW)


def waiting_file(processor: Processor, path: str | Path, where: str, convert: Conversion, *, max_pixels: int, enlarge: bool) -> Waiting:
    """A picture in a file: only its header is read now. Errors as of `images.read_image`."""

    def pixels_CHW() -> Tensor:
        image = read_image(path, convert)
        return processor.resized(image, processor.image_size(*image.size, max_pixels=max_pixels, enlarge=enlarge))

    size = named(where, processor.image_size, *size_of(path), max_pixels=max_pixels, enlarge=enlarge)
    return _sized(processor, size, where, pixels_CHW)


def _sized(processor: Processor, size: tuple[int, int], where: str, pixels_CHW: Callable[[], Tensor]) -> Waiting:
    height, width = size
    tokens = processor.image_tokens(size)
    return Waiting(
        size=Size(tokens=tokens, pixels=height * width),
        sequence=lambda: processor.image_sequence(pixels_CHW()),
        what=f"{where}, a picture of {width} x {height} pixels ({tokens} tokens),",
        remedy="max_pixels",
        grid=processor.image_grid(size),
    )


P = ParamSpec("P")
R = TypeVar("R")


def named(where: str, function: Callable[P, R], *args: P.args, **keywords: P.kwargs) -> R:
    """What the function gives; its ValueError says which input it was about."""
    try:
        return function(*args, **keywords)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
