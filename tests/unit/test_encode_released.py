"""`encode_text` and `encode_image`: the released calls' rules, defaults, return types and errors, without one input spoiling another."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from encode_stand_in import TINY, encoder_of
from PIL import Image

import unitower
from unitower.encode.encoder import Encoder
from unitower.errors import UnreadableFile

RETRIEVAL = {"task": "retrieval"}


def picture(width: int = 90, height: int = 70, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def tiny() -> Encoder:
    return unitower.load(TINY, device="cpu", dtype="float32")


@pytest.fixture(scope="module")
def tiny_bfloat16() -> Encoder:
    return unitower.load(TINY, device="cpu", dtype="bfloat16")


# ---- signatures and prompts


def test_arguments_stand_in_the_released_order_with_the_released_defaults() -> None:
    text = inspect.signature(Encoder.encode_text).parameters
    assert list(text)[1:] == [
        "texts",
        "task",
        "max_length",
        "batch_size",
        "return_multivector",
        "return_numpy",
        "truncate_dim",
        "prompt_name",
    ]
    assert [each.default for each in text.values()][2:] == [None, 32768, 8, False, False, None, None]
    image = inspect.signature(Encoder.encode_image).parameters
    assert list(image)[1:] == ["images", "task", "batch_size", "return_multivector", "return_numpy", "truncate_dim", "max_pixels"]
    assert [each.default for each in image.values()][2:] == [None, 8, False, False, None, None]


@pytest.mark.parametrize("argument", [None, "retrieval", "code", "text-matching"])
@pytest.mark.parametrize("model_task", [None, "retrieval", "code", "text-matching"])
def test_the_task_property_not_the_argument_decides_the_passage_prompt(model_task: str | None, argument: str | None) -> None:
    if model_task is None and argument is None:
        return
    encoder, tower = encoder_of()
    encoder.task = model_task
    for prompt_name, word in ((None, "Query"), ("query", "Query"), ("passage", "Query" if model_task == "text-matching" else "Passage")):
        encoder.encode_text("a text", argument, prompt_name=prompt_name)
        assert tower.passes[-1] == [encoder.processor.text_ids("a text", prompt=f"{word}: ")]
        assert tower.adapters[-1] == (argument or model_task)


@pytest.mark.parametrize(("thing", "text"), [(None, "None"), (7, "7"), (Path("a/b"), "a/b"), ("", "")])
def test_what_is_no_string_is_formatted(thing: object, text: str) -> None:
    encoder, tower = encoder_of()
    encoder.encode_text([thing], **RETRIEVAL)
    assert tower.passes == [[encoder.processor.text_ids(f"Query: {text}", prompt="")]]


@pytest.mark.parametrize(("max_length", "kept"), [(1, 1), (16, 16), (None, None), (40_000, None), (32768, None)])
def test_max_length_counts_the_prompt_and_none_is_the_most(max_length: int | None, kept: int | None) -> None:
    encoder, tower = encoder_of()
    encoder.encode_text("word " * 50, "retrieval", max_length)
    whole = encoder.processor.text_ids("word " * 50, prompt="Query: ")
    assert tower.passes == [[whole[:kept]]]


# ---- what comes back


def test_lists_give_lists_of_tensors_and_single_inputs_one(tiny: Encoder) -> None:
    for call, one in ((tiny.encode_text, "a text"), (tiny.encode_image, picture())):
        single, many = call(one, **RETRIEVAL), call([one, one], **RETRIEVAL)
        assert isinstance(single, torch.Tensor)
        assert isinstance(many, list)
        assert [tuple(each.shape) for each in (single, *many)] == [(64,)] * 3
        torch.testing.assert_close(single, many[1], atol=1e-6, rtol=0)
        assert single.dtype == torch.float32
        assert single.device == tiny.device
        single, (first,) = call(one, return_multivector=True, **RETRIEVAL), call([one], return_multivector=True, **RETRIEVAL)
        assert single.ndim == 2
        assert single.shape[1] == 16
        assert torch.equal(single, first)


def test_numpy_comes_back_stacked(tiny: Encoder) -> None:
    for call, one in ((tiny.encode_text, "a text"), (tiny.encode_image, picture())):
        shapes = {
            "one": call(one, return_numpy=True, **RETRIEVAL).shape,
            "two": call([one, one], return_numpy=True, **RETRIEVAL).shape,
            "cut": call([one], return_numpy=True, truncate_dim=8, **RETRIEVAL).shape,
        }
        assert shapes == {"one": (64,), "two": (2, 64), "cut": (1, 8)}
        rows = call(one, return_numpy=True, return_multivector=True, **RETRIEVAL)
        assert isinstance(rows, np.ndarray)
        assert call([one], return_numpy=True, return_multivector=True, **RETRIEVAL).shape == (1, *rows.shape)


def test_numpy_is_refused_with_a_warning_for_several_multi_vectors(tiny: Encoder) -> None:
    with pytest.warns(UserWarning, match="return_numpy"):
        many = tiny.encode_text(["a", "b c d"], return_numpy=True, return_multivector=True, **RETRIEVAL)
    assert [type(each) for each in many] == [torch.Tensor] * 2


def test_numpy_of_a_bfloat16_tower_works_and_rows_are_unit(tiny_bfloat16: Encoder) -> None:
    dense = tiny_bfloat16.encode_text(["a", "b"], return_numpy=True, **RETRIEVAL)
    rows = tiny_bfloat16.encode_image(picture(), return_numpy=True, return_multivector=True, **RETRIEVAL)
    for each in (dense, rows):
        assert each.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(each, axis=1), 1, atol=1e-5)


def test_an_empty_list_gives_an_empty_list_but_no_array(tiny: Encoder) -> None:
    for call in (tiny.encode_text, tiny.encode_image):
        assert call([], **RETRIEVAL) == []
        assert call([], return_multivector=True, **RETRIEVAL) == []
        with pytest.raises(ValueError, match="at least one input"):
            call([], return_numpy=True, **RETRIEVAL)


@pytest.mark.parametrize("several", [tuple, iter])
def test_tuples_and_iterators_give_every_result(tiny: Encoder, several: type) -> None:
    assert len(tiny.encode_text(several(["a", "b", "c"]), **RETRIEVAL)) == 3
    assert len(tiny.encode_image(several([picture(), picture()]), **RETRIEVAL)) == 2


def test_results_stand_in_the_order_of_the_inputs_whatever_the_batch_size(tiny: Encoder) -> None:
    texts = ["word " * n for n in (5, 1, 30, 2, 9)]
    alone = [tiny.encode_text(text, **RETRIEVAL) for text in texts]
    for batch_size in (1, 2, 8):
        for ours, theirs in zip(tiny.encode_text(texts, batch_size=batch_size, **RETRIEVAL), alone, strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)


def test_a_pass_holds_no_more_than_the_batch_size() -> None:
    encoder, tower = encoder_of()
    encoder.encode_text(["a"] * 20, "retrieval", batch_size=3)
    assert [len(each) for each in tower.sizes] == [3] * 6 + [2]
    tower.passes.clear()
    encoder.encode_text(["a"] * 20, "retrieval")
    assert [len(each) for each in tower.sizes] == [8, 8, 4]


@pytest.mark.parametrize(
    "text", ["<|vision_start|>", "<|vision_start|> b <|vision_end|>", "<|image_pad|>" * 3, "<|vision_start|>x<|vision_end|>" * 2]
)
def test_vision_markers_in_a_text_spoil_nothing(tiny: Encoder, text: str) -> None:
    plain = tiny.encode_text("a plain text", **RETRIEVAL)
    alone = tiny.encode_text(text, **RETRIEVAL)
    for texts, i in (([text, "a plain text"], 1), (["a plain text", text], 0)):
        found = tiny.encode_text(texts, **RETRIEVAL)
        assert len(found) == 2
        torch.testing.assert_close(found[i], plain, atol=1e-6, rtol=0)
        torch.testing.assert_close(found[1 - i], alone, atol=1e-6, rtol=0)


# ---- pictures


def test_paths_pictures_and_arrays_are_taken_and_path_objects_are_not(tiny: Encoder, tmp_path: Path) -> None:
    image = picture()
    image.save(tmp_path / "page.png")
    path, opened, array = tiny.encode_image([str(tmp_path / "page.png"), image, np.asarray(image)], **RETRIEVAL)
    torch.testing.assert_close(path, opened, atol=1e-6, rtol=0)
    torch.testing.assert_close(path, array, atol=1e-6, rtol=0)
    assert tiny.encode_image(np.asarray(image), **RETRIEVAL).shape == (64,)
    with pytest.raises(TypeError, match=r"image 1 is of type \w*Path.*str\(path\)"):
        tiny.encode_image([image, tmp_path / "page.png"], **RETRIEVAL)
    with pytest.raises(TypeError, match="image 0 is of type NoneType"):
        tiny.encode_image([None], **RETRIEVAL)


def test_alpha_is_dropped_and_orientation_ignored(tmp_path: Path) -> None:
    encoder, _ = encoder_of()
    image = picture(84, 56)
    clear = image.copy()
    clear.putalpha(0)
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "photo.png", exif=exif)
    plain, without_alpha, as_stored = encoder.encode_image([image, clear, str(tmp_path / "photo.png")], **RETRIEVAL)
    assert torch.equal(plain, without_alpha)
    assert torch.equal(plain, as_stored)


def test_addresses_are_fetched_and_files_whose_names_begin_alike_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    picture().save("http.png")
    encoder, _ = encoder_of()
    fetched: list[str] = []

    def fetch(url: str, convert: object) -> Image.Image:
        fetched.append(url)
        return picture()

    monkeypatch.setattr("unitower.encode.encoder.fetch_image", fetch)
    read, got = encoder.encode_image(["http.png", "https://example.org/page.png"], **RETRIEVAL)
    assert torch.equal(read, got)
    assert fetched == ["https://example.org/page.png"]


def test_a_limit_of_pixels_ends_with_its_call_even_where_that_fails() -> None:
    encoder, tower = encoder_of()
    large = picture(280, 280)
    cells = [(0, 100), (3136, 4), (None, 100)]
    for max_pixels, expected in cells:
        encoder.encode_image(large, "retrieval", max_pixels=max_pixels)
        assert tower.passes[-1] == [encoder.processor.image_ids(expected)]
    with pytest.raises(FileNotFoundError):
        encoder.encode_image([large, "nowhere.png"], "retrieval", max_pixels=3136)
    encoder.encode_image(large, "retrieval")
    assert tower.passes[-1] == [encoder.processor.image_ids(100)]


def test_a_slim_picture_under_a_small_limit_does_not_crash(tiny: Encoder) -> None:
    assert tiny.encode_image(picture(2000, 30), max_pixels=3136, **RETRIEVAL).shape == (64,)


# ---- errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, r"no task.*retrieval, text-matching, code"),
        ({"task": "foo"}, r"'foo'.*retrieval, text-matching, code"),
        ({"task": ""}, r"''.*retrieval"),
        ({"task": "retrieval", "truncate_dim": 7}, "truncate_dim 7.*8, 16, 32, 64"),
        ({"task": "retrieval", "truncate_dim": 7, "return_multivector": True}, "truncate_dim 7"),
        ({"task": "retrieval", "batch_size": 0}, "batch_size is 0"),
    ],
)
def test_wrong_arguments_are_refused_by_both_calls(arguments: dict[str, object], message: str) -> None:
    encoder, tower = encoder_of()
    for call, one in ((encoder.encode_text, "a text"), (encoder.encode_image, picture())):
        with pytest.raises(ValueError, match=message):
            call(one, **arguments)  # type: ignore[operator]
    assert not tower.passes


def test_wrong_arguments_of_one_call_are_refused() -> None:
    encoder, _ = encoder_of()
    with pytest.raises(ValueError, match=r"'document'.*'query' or 'passage'"):
        encoder.encode_text("a text", "retrieval", prompt_name="document")
    with pytest.raises(ValueError, match="max_length is 0"):
        encoder.encode_text("a text", "retrieval", max_length=0)
    with pytest.raises(ValueError, match=r"image 0: the image is 20 x 60.*at least 28"):
        encoder.encode_image(picture(20, 60), "retrieval")
    with pytest.raises(ValueError, match=r"image 0: the image is 30 x 6030.*200 times"):
        encoder.encode_image(Image.new("RGB", (30, 6030)), "retrieval")
    with pytest.raises(FileNotFoundError, match=r"nowhere\.png"):
        encoder.encode_image("nowhere.png", "retrieval")


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "words.png").write_text("words")
    encoder, _ = encoder_of()
    with pytest.raises(UnreadableFile, match=r"words\.png: not an image"):
        encoder.encode_image(str(tmp_path / "words.png"), "retrieval")


def test_the_task_property_takes_known_names_and_can_be_unset() -> None:
    encoder, tower = encoder_of()
    assert encoder.task is None
    with pytest.raises(ValueError, match=r"'foo'.*retrieval, text-matching, code"):
        encoder.task = "foo"
    assert encoder.task is None
    encoder.task = "code"
    encoder.encode_text("a")
    encoder.encode_text("a", "retrieval")
    assert (encoder.task, tower.adapters) == ("code", ["code", "retrieval"])
    encoder.task = None
    with pytest.raises(ValueError, match="no task"):
        encoder.encode_text("a")


def test_a_zero_width_counts_as_not_given(tiny: Encoder) -> None:
    assert tiny.encode_text("a", truncate_dim=0, **RETRIEVAL).shape == (64,)


def test_multi_vectors_are_not_cut(tiny: Encoder) -> None:
    whole = tiny.encode_text("a", return_multivector=True, **RETRIEVAL)
    assert torch.equal(tiny.encode_text("a", return_multivector=True, truncate_dim=8, **RETRIEVAL), whole)


def test_a_failing_input_leaves_the_encoder_as_it_was(tiny: Encoder) -> None:
    def texts() -> Iterator[str]:
        yield "a"
        raise KeyError("from the caller's own generator")

    before = tiny.encode_text("a", **RETRIEVAL)
    with pytest.raises(KeyError):
        tiny.encode_text(texts(), "code")
    assert tiny.task is None
    assert torch.equal(tiny.encode_text("a", **RETRIEVAL), before)
