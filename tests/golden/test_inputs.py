"""Token ids, scaled pixels, patches, grids and picture prompts equal those recorded from the released code, to the bit."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from unitower.encode.images import as_released
from unitower.encode.processor import Processor
from unitower.model.config import ModelConfig

FIXTURES = sorted(path.parent for path in (Path(__file__).parents[1] / "fixtures").glob("*/manifest.json"))


@dataclasses.dataclass(frozen=True)
class Golden:
    folder: Path
    manifest: dict[str, Any]
    tensors: dict[str, torch.Tensor]
    processor: Processor

    def image(self, i: int) -> Image.Image:
        return as_released(Image.open(self.folder / self.manifest["images"][i]["file"]))

    def sequence_length(self, i: int, max_pixels: int | None) -> int:
        return len(self.processor.image_sequence(self.resized(i, max_pixels)).ids)

    def resized(self, i: int, max_pixels: int | None = None) -> torch.Tensor:
        image = self.image(i)
        return self.processor.resized(image, self.processor.image_size(*image.size, max_pixels=max_pixels))


@pytest.fixture(scope="module", params=FIXTURES, ids=lambda folder: folder.name)
def golden(request: pytest.FixtureRequest) -> Golden:
    folder: Path = request.param
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    processor = Processor.read(folder, ModelConfig.read(folder))
    return Golden(folder, manifest, load_file(folder / "goldens_f32.safetensors"), processor)


@pytest.mark.parametrize("role", ["query", "passage"])
def test_token_ids_equal_the_recorded_ones(golden: Golden, role: str) -> None:
    ids = [golden.processor.text_ids(text, prompt=f"{role.capitalize()}: ") for text in golden.manifest["texts"]]
    recorded = next(each for each in golden.manifest["debug"] if each["tensor"] == f"debug.tokens.{role}")
    assert [len(each) for each in ids] == recorded["lengths"]
    assert [id for each in ids for id in each] == golden.tensors[f"debug.tokens.{role}"].tolist()


def test_sequence_lengths_of_every_recorded_call_are_met(golden: Golden) -> None:
    for case in golden.manifest["cases"]:
        for i, length in zip(case["inputs"], case.get("lengths", []), strict=False):
            if case["kind"] == "image":
                assert golden.sequence_length(i, case["max_pixels"]) == length, case["name"]
            else:
                prompt = f"{case['prompt_name'].capitalize()}: "
                text = golden.manifest["texts"][i]
                assert len(golden.processor.text_ids(text, prompt=prompt, max_length=case["max_length"])) == length, case["name"]


def test_resized_pictures_equal_the_recorded_ones(golden: Golden) -> None:
    for i in range(len(golden.manifest["images"])):
        assert torch.equal(golden.resized(i).permute(1, 2, 0), golden.tensors[f"debug.resized_rgb.{i}"]), i


def test_grids_and_prompt_lengths_equal_the_recorded_ones(golden: Golden) -> None:
    for i, (grid, length) in enumerate(zip(golden.manifest["image_grid_thw"], golden.manifest["image_sequence_lengths"], strict=True)):
        sequence = golden.processor.image_sequence(golden.resized(i))
        assert sequence.patches is not None
        assert [1, *sequence.patches.grid] == grid
        assert len(sequence.ids) == length


def test_pixel_values_and_the_prompt_of_a_picture_equal_the_recorded_ones(golden: Golden) -> None:
    sequence = golden.processor.image_sequence(golden.resized(0))
    assert sequence.patches is not None
    assert torch.equal(sequence.patches.pixels, golden.tensors["debug.pixel_values.0"])
    recorded = golden.tensors["debug.input_ids.image0"].tolist()
    assert sequence.ids.tolist() == recorded
    assert sequence.patches.start == recorded.index(golden.processor.config.image_token_id)


def test_pictures_scaled_by_pillow_equal_what_transformers_makes_of_them(golden: Golden) -> None:
    qwen2_vl = pytest.importorskip("transformers.models.qwen2_vl.image_processing_pil_qwen2_vl")
    theirs = qwen2_vl.Qwen2VLImageProcessorPil.from_pretrained(golden.folder)
    processor = golden.processor
    pillow = Processor(processor.tokenizer, processor.config, dataclasses.replace(processor.rules, resample="pillow"))
    for i in range(len(golden.manifest["images"])):
        image = golden.image(i)
        made = theirs(images=[image], return_tensors="pt")
        ours = pillow.image_sequence(pillow.resized(image, pillow.image_size(*image.size))).patches
        assert ours is not None
        assert [1, *ours.grid] == made["image_grid_thw"][0].tolist()
        torch.testing.assert_close(ours.pixels, made["pixel_values"], atol=1e-6, rtol=0)
