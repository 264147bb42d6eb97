"""Texts to ids and pictures to patches: limits, edges, and texts that spell special tokens."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

from unitower.encode.processor import IMAGE_PROMPT, Processor, at_least, target_size
from unitower.errors import CheckpointError
from unitower.model.config import ModelConfig
from unitower.model.hub import WEIGHTS

TINY = Path(__file__).parents[1] / "fixtures" / "jina-v4-tiny"
FOLDERS = [TINY, WEIGHTS / "nano"]


@pytest.fixture(scope="module", params=FOLDERS, ids=lambda folder: folder.name)
def processor(request: pytest.FixtureRequest) -> Processor:
    return Processor.read(request.param, ModelConfig.read(request.param))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The small files of a checkpoint, to be spoilt."""
    for name in ("config.json", "preprocessor_config.json", "tokenizer.json"):
        shutil.copyfile(TINY / name, tmp_path / name)
    return tmp_path


def edit(path: Path, **changes: object) -> None:
    raw = json.loads(path.read_text(encoding="utf-8")) | changes
    path.write_text(json.dumps({key: value for key, value in raw.items() if value is not None}), encoding="utf-8")


# ---- texts


def test_a_cut_text_keeps_its_head(processor: Processor) -> None:
    whole = processor.text_ids("one two three four five six", prompt="Query: ")
    for length in (1, 3, len(whole)):
        assert processor.text_ids("one two three four five six", prompt="Query: ", max_length=length) == whole[:length]


def test_a_length_beyond_the_tower_is_cut_to_what_it_was_made_for(processor: Processor) -> None:
    made_for = processor.max_length
    assert made_for in (4096, 8192)  # positions of the one tower and the other; the released limit of 32,768 is above
    assert len(processor.text_ids("a b " * 5000, prompt="", max_length=100_000)) == made_for
    assert len(processor.text_ids("a b " * 5000, prompt="")) == made_for


def test_the_released_limit_of_texts_holds_where_the_tower_has_more_positions(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    edit(folder / "config.json", text_config=config["text_config"] | {"max_position_embeddings": 128_000})
    assert Processor.read(folder, ModelConfig.read(folder)).max_length == 32_768


@pytest.mark.parametrize("length", [0, -1])
def test_a_length_below_one_is_refused(processor: Processor, length: int) -> None:
    with pytest.raises(ValueError, match=f"max_length is {length}"):
        processor.text_ids("text", prompt="", max_length=length)


def test_special_tokens_spelt_in_a_text_are_parsed(processor: Processor) -> None:
    config = processor.config
    ids = processor.text_ids("a <|image_pad|> b <|vision_start|><|vision_end|>", prompt="Query: ")
    assert [ids.count(id) for id in (config.image_token_id, config.vision_start_token_id, config.vision_end_token_id)] == [1, 1, 1]


def test_special_tokens_may_be_cut_off(processor: Processor) -> None:
    text = "<|image_pad|>" * 10
    ids = processor.text_ids(text, prompt="", max_length=4)
    assert ids == [processor.config.image_token_id] * 4


@pytest.mark.parametrize("text", ["", " ", "\x00", "\ufeff", "e\u0301", "\U0001f916" * 3, "half a pair \ud83e", "\udce9.png"])
def test_no_text_is_without_tokens_or_beyond_the_vocabulary(processor: Processor, text: str) -> None:
    for prompt in ("Query: ", ""):
        ids = processor.text_ids(text, prompt=prompt)
        assert ids
        assert 0 <= min(ids) <= max(ids) < processor.config.text.vocab_size


def test_half_a_surrogate_pair_is_read_as_the_replacement_character(processor: Processor) -> None:
    assert processor.text_ids("a\ud83eb", prompt="Query: ") == processor.text_ids("a\ufffdb", prompt="Query: ")


# ---- pictures


@pytest.mark.parametrize("cells", [1, 2, 7, 60])
def test_the_picture_prompt_is_what_the_tokenizer_makes_of_it_written_out(processor: Processor, cells: int) -> None:
    written = IMAGE_PROMPT.replace("<|image_pad|>", "<|image_pad|>" * cells)
    assert processor.image_ids(cells) == processor.tokenizer.encode(written, add_special_tokens=False).ids


def test_picture_tokens_begin_after_the_vision_start(processor: Processor) -> None:
    sequence = processor.image_sequence(torch.zeros(3, 56, 84, dtype=torch.uint8))
    assert sequence.patches is not None
    ids, start, config = sequence.ids.tolist(), sequence.patches.start, processor.config
    assert ids[start - 1] == config.vision_start_token_id
    assert ids[start : start + 6] == [config.image_token_id] * 6
    assert ids[start + 6] == config.vision_end_token_id
    assert len(ids) == processor.image_tokens((56, 84))


def test_the_patches_of_a_cell_are_neighbours_and_each_frame_is_there_twice(processor: Processor) -> None:
    number_of_patch = np.arange(4 * 6).reshape(4, 6)  # 56 x 84 pixels: 4 x 6 patches, 2 x 3 cells
    pixels = torch.from_numpy(np.kron(number_of_patch, np.ones((14, 14))).astype(np.uint8)).expand(3, -1, -1)
    patches = processor.patches(pixels).view(24, 3, 2, 14, 14)
    assert torch.equal(patches[:, :, 0], patches[:, :, 1])
    rules = processor.rules
    found = (patches[:, 0, 0, 5, 5] * rules.std[0] + rules.mean[0]) * 255
    by_hand = [0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11, 12, 13, 18, 19, 14, 15, 20, 21, 16, 17, 22, 23]
    assert found.round().int().tolist() == by_hand


@pytest.mark.parametrize("resample", ["torch", "pillow"])
def test_a_picture_at_its_target_size_is_not_touched(processor: Processor, resample: str) -> None:
    array = np.random.default_rng(0).integers(0, 256, (56, 84, 3), dtype=np.uint8)
    resized = processor.resized(Image.fromarray(array), (56, 84))
    assert np.array_equal(resized.permute(1, 2, 0).numpy(), array)


# by hand from the rule: 70 / 28 = 2.5 rounds to 2; 42 / 28 = 1.5 rounds to 2; the rest are the examples of the released documentation
@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        (600, 800, (588, 812)),
        (2339, 1654, (896, 644)),
        (70, 98, (56, 112)),
        (42, 126, (56, 112)),
        (28, 28, (56, 56)),
        (28, 5600, (28, 5600)),
    ],
)
def test_sides_are_rounded_half_to_even_to_whole_cells(height: int, width: int, expected: tuple[int, int]) -> None:
    assert target_size(height, width, cell=28, min_pixels=3136, max_pixels=602_112) == expected
    assert target_size(width, height, cell=28, min_pixels=3136, max_pixels=602_112) == expected[::-1]


sides = st.integers(28, 6000)


@settings(deadline=None)
@given(height=sides, width=sides, max_pixels=st.integers(3136, 2_000_000))
def test_scaled_sides_equal_transformers_rule(height: int, width: int, max_pixels: int) -> None:
    limits = {"min_pixels": 3136, "max_pixels": max_pixels}
    try:
        expected = smart_resize(height, width, factor=28, **limits)
    except ValueError:
        with pytest.raises(ValueError, match="at most 200 times"):
            target_size(height, width, cell=28, **limits)
    else:
        assert target_size(height, width, cell=28, **limits) == expected


@settings(deadline=None)
@given(height=sides, width=sides, max_pixels=st.integers(4 * 3136, 2_000_000))
def test_scaled_sides_are_whole_cells_within_the_limits_and_keep_the_proportions(height: int, width: int, max_pixels: int) -> None:
    if max(height, width) > 200 * min(height, width):
        return
    h, w = target_size(height, width, cell=28, min_pixels=3136, max_pixels=max_pixels)
    assert h % 28 == w % 28 == 0
    assert min(h, w) >= 28
    assert h * w >= 3136
    assert h * w <= max_pixels or min(h, w) == 28  # a slim picture keeps one cell across
    if min(h, w) > 28:  # each side is off by less than one cell
        assert (h - 28) / (w + 28) < height / width < (h + 28) / (w - 28)


@settings(deadline=None)
@given(height=st.integers(1, 40), width=st.integers(1, 40))
def test_small_pictures_grow_to_one_cell_in_proportion(height: int, width: int) -> None:
    h, w = at_least(28, height, width)
    assert min(h, w) >= 28
    assert (h, w) == (height, width) or min(h, w) == 28
    assert abs(h / w - height / width) <= 0.5 * max(h, w) / min(h, w) ** 2 + 1e-9


def test_small_pictures_are_refused_as_released_or_enlarged(processor: Processor) -> None:
    with pytest.raises(ValueError, match=r"20 x 60.*at least 28"):
        processor.image_size(20, 60)
    processor = Processor(processor.tokenizer, processor.config, replace(processor.rules, magnify=1.0))
    assert processor.image_size(20, 60, enlarge=True) == (112, 56)  # 28 x 84, then grown to the least number of pixels, rounded up
    assert processor.image_size(10, 10, enlarge=True) == (56, 56)  # one cell, then up to the least number of pixels
    assert processor.image_size(1, 200, enlarge=True) == (5600, 28)


@pytest.mark.parametrize("enlarge", [False, True])
@pytest.mark.parametrize(("width", "height"), [(0, 0), (0, 40), (40, 0)])
def test_pictures_without_pixels_are_refused_either_way(processor: Processor, width: int, height: int, enlarge: bool) -> None:
    with pytest.raises(ValueError, match=f"{width} x {height}: it has no pixels"):
        processor.image_size(width, height, enlarge=enlarge)


@pytest.mark.parametrize(("width", "height"), [(30, 6030), (6030, 30), (1, 201)])
def test_pictures_too_slim_are_refused_either_way(processor: Processor, width: int, height: int) -> None:
    with pytest.raises(ValueError, match=f"{width} x {height}"):
        processor.image_size(width, height)
    with pytest.raises(ValueError, match=f"{width} x {height}.*200"):
        processor.image_size(width, height, enlarge=True)


def test_a_slim_picture_under_a_small_limit_keeps_one_cell_across(processor: Processor) -> None:
    assert processor.image_size(28, 2800, max_pixels=3136) == (560, 28)


@pytest.mark.parametrize("limit", [783, 0, -5])
def test_a_pixel_limit_below_one_cell_is_refused(processor: Processor, limit: int) -> None:
    with pytest.raises(ValueError, match=f"max_pixels is {limit}"):
        processor.image_size(100, 100, max_pixels=limit)


def test_pictures_are_magnified_up_to_the_limit_and_no_further(folder: Path) -> None:
    edit(folder / "preprocessor_config.json", magnify=1.25, min_pixels=3136, max_pixels=1_204_224)
    processor = Processor.read(folder, ModelConfig.read(folder))
    assert processor.image_size(707, 1000) == (1260, 896)  # 884 x 1250, to whole cells
    assert processor.image_size(827, 1169) == (1288, 896)  # 923 x 1305 has as many pixels as may be; whole cells within it
    assert processor.image_size(1654, 2338) == (1288, 896)  # above the limit: as without
    assert processor.image_size(280, 280) == (336, 336)  # 350 is 12.5 cells, rounded to the even number
    assert processor.image_size(280, 280, max_pixels=280 * 280) == (280, 280)


@pytest.mark.parametrize("magnify", [0.5, 5, "2", True, float("nan")])
def test_a_factor_that_cannot_be_is_refused(folder: Path, magnify: object) -> None:
    edit(folder / "preprocessor_config.json", magnify=magnify)
    with pytest.raises(CheckpointError, match=r"magnify = .*give a number from 1"):
        Processor.read(folder, ModelConfig.read(folder))


# ---- checkpoints that do not fit


def test_limits_may_stand_under_size_alone(folder: Path) -> None:
    size = {"shortest_edge": 3136, "longest_edge": 50_176}
    edit(folder / "preprocessor_config.json", min_pixels=None, max_pixels=None, size=size)
    assert Processor.read(folder, ModelConfig.read(folder)).image_size(1000, 1000) == (224, 224)


@pytest.mark.parametrize(
    ("file", "changes", "message"),
    [
        ("preprocessor_config.json", {"max_pixels": None, "size": None}, "max_pixels is missing"),
        ("preprocessor_config.json", {"image_mean": None}, "image_mean is missing"),
        ("preprocessor_config.json", {"resample": 2}, "resample = 2"),
        ("preprocessor_config.json", {"max_pixels": "many"}, "max_pixels = 'many'"),
        ("preprocessor_config.json", {"image_mean": [0.5]}, r"image_mean = \[0.5\]"),
        ("preprocessor_config.json", {"image_std": 0.5}, "image_std = 0.5"),
        ("config.json", {"image_token_id": 5}, "different models"),
    ],
)
def test_files_that_do_not_fit_the_tower_are_named(folder: Path, file: str, changes: dict[str, object], message: str) -> None:
    edit(folder / file, **changes)
    with pytest.raises(CheckpointError, match=message):
        Processor.read(folder, ModelConfig.read(folder))


def test_a_tokenizer_of_more_tokens_than_the_tower_knows_is_refused(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    edit(folder / "config.json", text_config=config["text_config"] | {"vocab_size": 1020})
    with pytest.raises(CheckpointError, match="ids up to 1021, but the tower knows 1020 tokens"):
        Processor.read(folder, ModelConfig.read(folder))


@pytest.mark.parametrize("file", ["tokenizer.json", "preprocessor_config.json"])
def test_missing_and_broken_files_are_named(folder: Path, file: str) -> None:
    config = ModelConfig.read(folder)
    (folder / file).write_text("{", encoding="utf-8")
    with pytest.raises(CheckpointError, match=f"{file} cannot be read"):
        Processor.read(folder, config)
    (folder / file).unlink()
    with pytest.raises(CheckpointError, match=f"{file} is missing"):
        Processor.read(folder, config)
