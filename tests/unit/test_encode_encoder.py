"""`encode` and `stream`: kinds of input, roles, order, limits, bounded memory, and memory that runs out."""

from __future__ import annotations

import dataclasses
import gc
import json
import random
import shutil
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from encode_stand_in import TINY, encoder_of
from PIL import Image

import unitower
from unitower.encode.batching import WINDOW_BATCHES, WINDOW_INPUTS
from unitower.encode.encoder import Encoder, read_fusion
from unitower.errors import CheckpointError, UnitowerError, UnreadableFile
from unitower.model.config import ModelConfig
from unitower.types import Embeddings, Item, Source

PASSAGE = {"role": "passage"}


def picture(width: int = 90, height: int = 70, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def item(content: object, modality: str = "text") -> Item:
    return Item(id="a#1", modality=modality, content=content, source=Source(path="a"))  # type: ignore[arg-type]


def same(a: Embeddings, b: Embeddings, i: int = 0, j: int = 0) -> bool:
    return np.array_equal(a.dense[i], b.dense[j]) and np.array_equal(a.multi[i], b.multi[j])


@pytest.fixture(scope="module")
def tiny() -> Encoder:
    return unitower.load(TINY, device="cpu", dtype="float32")


@pytest.fixture(scope="module")
def nano() -> Encoder:
    return unitower.load(device="cpu", dtype="float32")


# ---- inputs


def test_every_kind_of_picture_gives_the_same_vectors(tmp_path: Path) -> None:
    encoder, _ = encoder_of()
    image = picture()
    image.save(tmp_path / "page.png")
    e = encoder.encode([tmp_path / "page.png", image, np.asarray(image), item(image, "image")])
    assert len(e) == 4
    assert all(same(e, e, 0, i) for i in (1, 2, 3))


def test_texts_code_and_items_of_the_same_words_give_the_same_vectors() -> None:
    encoder, _ = encoder_of()
    e = encoder.encode(["def f(): ...", item("def f(): ..."), item("def f(): ...", "code"), np.str_("def f(): ...")], **PASSAGE)
    assert all(same(e, e, 0, i) for i in (1, 2, 3))


@pytest.mark.parametrize("text", ["page.png", "./page.png", "http://127.0.0.1:1/page.png", "file:///etc/passwd"])
def test_a_string_is_a_text_even_where_it_names_a_file_or_an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.chdir(tmp_path)
    picture().save("page.png")
    encoder, tower = encoder_of()
    encoder.encode(text, **PASSAGE)
    assert tower.passes == [[encoder.processor.text_ids(text, prompt="Passage: ")]]


@pytest.mark.parametrize("one", ["a text", picture(), np.asarray(picture()), np.asarray(picture().convert("L")), item("a text")])
def test_a_single_input_gives_embeddings_of_length_one(one: object) -> None:
    encoder, _ = encoder_of()
    e = encoder.encode(one, **PASSAGE)
    assert (len(e), e.dense.shape, len(e.multi)) == (1, (1, 64), 1)
    assert same(e, encoder.encode([one], **PASSAGE))


@pytest.mark.parametrize("none", [[], (), iter([]), np.array([], dtype=object)])
def test_no_input_gives_embeddings_of_length_zero(none: object) -> None:
    encoder, tower = encoder_of()
    e = encoder.encode(none, truncate_dim=16)
    assert (e.dense.shape, e.dense.dtype, e.multi.data.shape, len(e.multi)) == ((0, 16), np.float32, (0, 16), 0)
    assert not tower.passes


@pytest.mark.parametrize("many", [("a", "b"), iter(["a", "b"]), np.array(["a", "b"]), {"a": 1, "b": 2}.keys()])
def test_any_iterable_is_taken(many: object) -> None:
    encoder, _ = encoder_of()
    e = encoder.encode(many, **PASSAGE)
    assert same(e, encoder.encode("b", **PASSAGE), 1, 0)


def test_a_stack_of_pictures_is_several() -> None:
    encoder, _ = encoder_of()
    assert len(encoder.encode(np.zeros((3, 60, 60, 3), np.uint8))) == 3


@pytest.mark.parametrize(("wrong", "kind"), [(None, "NoneType"), (7, "int"), (b"bytes", "bytes"), (["nested"], "list"), (1.5, "float")])
def test_inputs_of_other_types_are_refused_with_their_position(wrong: object, kind: str) -> None:
    encoder, _ = encoder_of()
    with pytest.raises(TypeError, match=f"input 2 is of type {kind}"):
        encoder.encode(["a", "b", wrong], **PASSAGE)
    if not isinstance(wrong, list):
        with pytest.raises(TypeError, match=kind):
            encoder.encode(wrong, **PASSAGE)


def test_an_item_that_does_not_hold_what_it_says_is_refused() -> None:
    encoder, _ = encoder_of()
    with pytest.raises(TypeError, match=r"input 0 \(a#1\) is an Item of modality 'image' that holds str"):
        encoder.encode(item("words", "image"))
    with pytest.raises(TypeError, match="modality 'text' that holds Image"):
        encoder.encode(item(picture()), **PASSAGE)


def test_pictures_that_cannot_be_are_refused_with_their_position_and_name(tmp_path: Path) -> None:
    encoder, _ = encoder_of()
    picture(1, 300).save(tmp_path / "line.png")
    (tmp_path / "words.png").write_text("words")
    with pytest.raises(ValueError, match=r"input 1 \(.*line.png\): the image is 1 x 300"):
        encoder.encode([picture(), tmp_path / "line.png"])
    with pytest.raises(ValueError, match="input 1: the image is 1 x 300"):
        encoder.encode([picture(), picture(1, 300)])
    with pytest.raises(ValueError, match=r"input 0: an image array holds uint8.*float64"):
        encoder.encode([np.zeros((60, 60, 3))])
    with pytest.raises(UnreadableFile, match=r"words\.png: not an image"):
        encoder.encode(tmp_path / "words.png")
    with pytest.raises(FileNotFoundError, match=r"nowhere\.png"):
        encoder.encode(tmp_path / "nowhere.png")


def test_a_picture_object_whose_file_is_cut_short_is_named(tmp_path: Path) -> None:
    picture().save(tmp_path / "page.png")
    (tmp_path / "page.png").write_bytes((tmp_path / "page.png").read_bytes()[:3000])
    encoder, _ = encoder_of()
    with Image.open(tmp_path / "page.png") as image, pytest.raises(UnreadableFile, match="input 0: broken image"):
        encoder.encode(image)


@pytest.mark.parametrize("size", [(1, 1), (10, 10), (27, 300), (5, 900)])
def test_small_pictures_do_not_stop_a_run(size: tuple[int, int]) -> None:
    encoder, _ = encoder_of()
    assert len(encoder.encode([picture(*size), picture()])) == 2


def test_pictures_are_seen_upright_and_on_white(tmp_path: Path) -> None:
    encoder, _ = encoder_of()
    image = picture(84, 56)
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "photo.png", exif=exif)
    clear = Image.new("RGBA", (84, 56), (255, 0, 0, 0))
    e = encoder.encode([tmp_path / "photo.png", image.transpose(Image.Transpose.ROTATE_270), clear, Image.new("RGB", (84, 56), "white")])
    assert same(e, e, 0, 1)
    assert same(e, e, 2, 3)


# ---- roles, tasks, prompts


@pytest.mark.parametrize(
    ("task", "role", "prompt"),
    [
        ("retrieval", "query", "Query: "),
        ("retrieval", "passage", "Passage: "),
        ("code", "query", "Query: "),
        ("code", "passage", "Passage: "),
        ("text-matching", "query", "Query: "),
        ("text-matching", "passage", "Query: "),
    ],
)
def test_the_documented_prompt_is_put_before_a_text(task: str, role: unitower.types.Role, prompt: str) -> None:
    encoder, tower = encoder_of()
    encoder.task = "text-matching"  # the released property does not reach `encode`
    encoder.encode("a text", task=task, role=role)
    assert tower.passes == [[encoder.processor.text_ids("a text", prompt=prompt)]]
    assert tower.adapters == [task]


@pytest.mark.parametrize("task", ["retrieval", "code", "text-matching"])
def test_a_text_without_a_role_is_refused_and_a_picture_is_not(task: str) -> None:
    encoder, _ = encoder_of()
    assert len(encoder.encode(picture(), task=task)) == 1
    with pytest.raises(ValueError, match=r"input 1 is a text.*role='query'.*role='passage'"):
        encoder.encode([picture(), "a text"], task=task)


def test_roles_with_adapters_of_their_own_are_served_by_them() -> None:
    config = dataclasses.replace(ModelConfig.read(TINY), role_adapters={"retrieval": {"query": "ask", "passage": "answer"}})
    encoder, tower = encoder_of(config)
    encoder.encode("a text", role="query")
    encoder.encode("a text", role="passage")
    encoder.encode(picture())
    encoder.encode(picture(), role="query")
    assert tower.adapters == ["ask", "answer", "answer", "ask"]
    assert encoder.fingerprint(task="retrieval").adapter == "retrieval"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"task": "legal"}, "task 'legal'.*retrieval, text-matching, code"),
        ({"task": None}, "task None"),
        ({"role": "document"}, "role 'document'.*'query'.*'passage'"),
        ({"truncate_dim": 7}, "truncate_dim 7.*8, 16, 32, 64"),
        ({"truncate_dim": 0}, "truncate_dim 0"),
        ({"max_length": 0}, "max_length is 0"),
        ({"max_pixels": 100}, "max_pixels is 100.*784"),
        ({"budget_tokens": 0}, "budget_tokens is 0"),
    ],
)
def test_unknown_arguments_are_refused_before_anything_is_read(arguments: dict[str, object], message: str) -> None:
    encoder, _ = encoder_of()

    def inputs() -> Iterator[str]:
        raise AssertionError
        yield ""

    for call in (encoder.encode, encoder.stream):
        with pytest.raises(ValueError, match=message):
            call(inputs(), **{"role": "passage", **arguments})  # type: ignore[operator]


# ---- vectors


def test_vectors_come_back_in_order_and_as_if_alone() -> None:
    encoder, _ = encoder_of()
    chosen = random.Random(0)
    inputs: list[object] = ["word " * chosen.randint(0, 40) for _ in range(60)]
    inputs += [picture(chosen.randint(28, 200), chosen.randint(28, 200), seed) for seed in range(20)]
    chosen.shuffle(inputs)
    e = encoder.encode(inputs, budget_tokens=200, **PASSAGE)
    for i, each in enumerate(inputs):
        alone = encoder.encode(each, **PASSAGE)
        np.testing.assert_allclose(e.dense[i], alone.dense[0], atol=1e-6)
        np.testing.assert_allclose(e.multi[i], alone.multi[0], atol=1e-6)


@pytest.mark.parametrize("model", ["tiny", "nano"])
def test_the_towers_vectors_are_the_same_alone_and_in_a_batch(model: str, request: pytest.FixtureRequest) -> None:
    encoder: Encoder = request.getfixturevalue(model)
    inputs = ["", "short", "a text of several words", picture(), "word " * 90, picture(300, 40), "short", picture()]
    e = encoder.encode(inputs, **PASSAGE)
    for i, each in enumerate(inputs):
        alone = encoder.encode(each, **PASSAGE)
        np.testing.assert_allclose(e.dense[i], alone.dense[0], atol=1e-6)
        np.testing.assert_allclose(e.multi[i], alone.multi[0], atol=2e-6)


@pytest.mark.parametrize("model", ["tiny", "nano"])
def test_special_tokens_in_a_text_touch_no_other_input(model: str, request: pytest.FixtureRequest) -> None:
    encoder: Encoder = request.getfixturevalue(model)
    spelt = [
        "<|vision_start|>",
        "a <|vision_start|> b <|vision_end|> c",
        "<|vision_start|><|image_pad|><|vision_end|>" * 2,
        "<|vision_end|><|vision_start|>",
        "<|video_pad|><|endoftext|><|im_end|>",
    ]
    plain = ["a plain text", picture(), "another"]
    alone = encoder.encode(plain, **PASSAGE)
    mixed = encoder.encode([*spelt, *plain, *spelt], **PASSAGE)
    for i in range(len(plain)):
        np.testing.assert_allclose(mixed.dense[len(spelt) + i], alone.dense[i], atol=1e-6)
    for i, text in enumerate(spelt):
        assert len(mixed.multi[i]) == len(encoder.processor.text_ids(text, prompt="Passage: "))
        for j in (i, len(spelt) + len(plain) + i):
            np.testing.assert_allclose(mixed.dense[j], encoder.encode(text, **PASSAGE).dense[0], atol=1e-6)


def test_cut_vectors_are_the_first_columns_made_unit_rows(tiny: Encoder) -> None:
    whole, cut = tiny.encode(["a", "b"], **PASSAGE), tiny.encode(["a", "b"], truncate_dim=16, **PASSAGE)
    head = whole.dense[:, :16]
    np.testing.assert_allclose(cut.dense, head / np.linalg.norm(head, axis=1, keepdims=True), atol=1e-6)
    assert np.array_equal(cut.multi.data, whole.multi.data)
    assert whole.dense.shape == (2, 64)
    assert whole.dense.dtype == whole.multi.data.dtype == np.float32


def test_the_checkpoints_own_width_is_the_default() -> None:
    encoder, _ = encoder_of(dataclasses.replace(ModelConfig.read(TINY), truncate_dim=32))
    assert encoder.encode("a", **PASSAGE).dense.shape == (1, 32)
    assert encoder.encode("a", truncate_dim=64, **PASSAGE).dense.shape == (1, 64)
    assert encoder.encode_text(["a"], "retrieval")[0].shape == (32,)


def test_limits_of_a_call_hold_for_that_call_only() -> None:
    encoder, tower = encoder_of()
    for limits in ({}, {"max_length": 5, "max_pixels": 3136}, {}):
        encoder.encode(["word " * 50, picture(200, 200)], **PASSAGE, **limits)
    sizes = [sorted(each) for each in tower.sizes]
    assert sizes[0] == sizes[2] != sizes[1]
    assert sizes[1] == [5, len(encoder.processor.image_ids(4))]


# ---- fingerprint


def test_embeddings_carry_the_fingerprint_that_was_foretold() -> None:
    encoder, _ = encoder_of()
    for arguments in ({"task": "code"}, {"task": "text-matching", "truncate_dim": 8, "max_length": 9, "max_pixels": 3136}):
        foretold = encoder.fingerprint(**arguments)  # type: ignore[arg-type]
        for inputs in (["a"], [], ["a"] * 3):
            assert encoder.encode(inputs, role="query", **arguments).fingerprint == foretold  # type: ignore[arg-type]
        assert foretold.dense_width == encoder.encode("a", role="query", **arguments).dense.shape[1]  # type: ignore[arg-type]


def test_fingerprints_differ_where_vectors_cannot_be_compared() -> None:
    encoder, _ = encoder_of()
    plain = encoder.fingerprint(task="retrieval")
    assert plain.difference(encoder.fingerprint(task="retrieval")) == []
    for field, arguments in {
        "adapter": {"task": "code"},
        "dense_width": {"task": "retrieval", "truncate_dim": 8},
        "max_pixels": {"task": "retrieval", "max_pixels": 3136},
        "max_length": {"task": "retrieval", "max_length": 64},
    }.items():
        (line,) = plain.difference(encoder.fingerprint(**arguments))  # type: ignore[arg-type]
        assert line.startswith(f"{field}: ")


def test_another_models_fingerprint_differs_by_its_weights_not_its_place(tmp_path: Path) -> None:
    shutil.copytree(TINY, tmp_path / "copy", ignore=shutil.ignore_patterns("goldens*", "images"))
    here, there = (unitower.load(folder, device="cpu") for folder in (TINY, tmp_path / "copy"))
    assert here.fingerprint(task="code").difference(there.fingerprint(task="code")) == []


# ---- memory


class Counted:
    """How many of the inputs made are alive now, and were at most."""

    def __init__(self) -> None:
        self.made = self.alive = self.most = 0

    def count(self, made: object) -> None:
        self.made += 1
        self.alive += 1
        self.most = max(self.most, self.alive)
        weakref.finalize(made, self.gone)

    def gone(self) -> None:
        self.alive -= 1


@pytest.mark.parametrize("kind", ["texts", "pictures"])
def test_ten_thousand_lazy_inputs_are_never_alive_together(kind: str) -> None:
    class Text(str):
        __slots__ = ("__weakref__",)

    counted = Counted()
    encoder, _ = encoder_of()

    def inputs() -> Iterator[object]:
        for i in range(10_000):
            each = Text(f"text {i}") if kind == "texts" else Image.new("RGB", (56, 56), (i % 256, 0, 0))
            counted.count(each)
            yield each

    received = 0
    for part in encoder.stream(inputs(), **PASSAGE):
        received += len(part)
        assert counted.made - received <= 1  # nothing is read ahead of what is given out
        assert len(part) <= min(WINDOW_INPUTS, WINDOW_BATCHES * 4096 // 8 + 1)
    assert received == counted.made == 10_000
    assert counted.most <= 4  # what waits is token ids and scaled pixels, not the inputs


def test_files_are_opened_when_their_pass_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(6):
        picture(56, 56, i).save(tmp_path / f"{i}.png")
    encoder, tower = encoder_of()
    read: list[str] = []
    from unitower.encode import inputs

    def read_image(path: Path, convert: object) -> Image.Image:
        read.append(f"{len(tower.passes)}: {path.name}")
        return Image.open(path)

    monkeypatch.setattr(inputs, "read_image", read_image)
    one = len(encoder.processor.image_ids(4))
    encoder.encode((tmp_path / f"{i}.png" for i in range(6)), budget_tokens=2 * one)
    assert read == ["0: 0.png", "0: 1.png", "1: 2.png", "1: 3.png", "2: 4.png", "2: 5.png"]


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."
        ),
        RuntimeError("MPS backend out of memory"),
        RuntimeError("could not create a primitive"),
    ],
)
def test_a_batch_too_large_for_memory_is_halved_and_later_ones_stay_small(error: BaseException) -> None:
    encoder, tower = encoder_of(room=100, error=error)
    reference, _ = encoder_of()
    texts = [f"text number {i} " + "word " * (i % 13) for i in range(64)]
    e = encoder.encode(texts, **PASSAGE)
    assert np.array_equal(e.dense, reference.encode(texts, **PASSAGE).dense)
    totals = [sum(each) for each in tower.sizes]
    first_fit = next(i for i, total in enumerate(totals) if total <= 100)
    assert all(total <= 100 for total in totals[first_fit:])
    assert first_fit <= 6  # by halves from some 1,000 tokens
    tower.passes.clear()
    encoder.encode(texts, **PASSAGE)
    assert max(sum(each) for each in tower.sizes) <= 100


def test_one_input_too_large_for_memory_is_named_with_what_to_lower() -> None:
    encoder, _ = encoder_of(room=40)
    with pytest.raises(UnitowerError, match=r"input 2, a text of \d+ tokens, does not fit in memory \(cpu\).*lower max_length"):
        encoder.encode(["a", "b", "word " * 100, "c"], **PASSAGE)
    with pytest.raises(UnitowerError, match=r"input 0, a picture of 280 x 252 pixels \(\d+ tokens\).*lower max_pixels"):
        encoder.encode(picture(280, 252))
    assert len(encoder.encode(["a", "b"], **PASSAGE)) == 2  # and the encoder goes on


def test_other_errors_of_the_tower_are_not_taken_for_full_memory() -> None:
    encoder, tower = encoder_of(room=0, error=RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        encoder.encode(["a", "b"], **PASSAGE)
    assert len(tower.passes) == 1


def test_a_stream_left_early_leaves_nothing_behind() -> None:
    encoder, _ = encoder_of()
    stream = encoder.stream((picture(60, 60, i) for i in range(2000)), budget_tokens=50)
    next(stream)
    stream.close()
    gc.collect()
    assert len(encoder.encode("a", **PASSAGE)) == 1


# ---- threads, progress, loading


def test_threads_of_different_tasks_do_not_disturb_one_another(tiny: Encoder) -> None:
    texts = [f"text {i} " * (i % 5 + 1) for i in range(12)]
    tasks = ["retrieval", "code", "text-matching"] * 2
    expected = {task: tiny.encode(texts, task=task, **PASSAGE).dense for task in tasks}
    found: dict[int, np.ndarray] = {}

    def work(i: int) -> None:
        for _ in range(4):
            found[i] = tiny.encode(texts, task=tasks[i], **PASSAGE).dense

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(tasks))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i, task in enumerate(tasks):
        np.testing.assert_allclose(found[i], expected[task], atol=1e-6)


def test_progress_is_on_stderr_and_only_where_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    encoder, _ = encoder_of()
    encoder.encode(["a", "b"], **PASSAGE)
    assert capsys.readouterr() == ("", "")
    encoder.encode(["a", "b"], show_progress=True, **PASSAGE)
    out, err = capsys.readouterr()
    assert out == ""
    assert "2/2" in err
    assert len(encoder.encode(iter(["a", "b"]), show_progress=True, **PASSAGE)) == 2


def test_an_encoder_tells_what_it_is(tiny: Encoder) -> None:
    assert tiny.tasks == ("retrieval", "text-matching", "code")
    assert (tiny.device, tiny.dtype, tiny.config.text.hidden_size) == (torch.device("cpu"), torch.float32, 64)
    assert "jina-v4-tiny" in repr(tiny)
    assert "float32" in repr(tiny)


def test_a_checkpoint_may_bring_its_own_tasks_and_fusion(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    shutil.copytree(TINY, folder, ignore=shutil.ignore_patterns("goldens*", "images"))
    (folder / "unitower.json").write_text('{"fusion": {"text": 3, "multi": 1.0}}', encoding="utf-8")
    (folder / "tasks").mkdir()
    (folder / "tasks" / "law.toml").write_text('adapter = "retrieval"\n[prompts]\nquery = "Frage: "\npassage = ""\n', encoding="utf-8")
    encoder = unitower.load(folder, device="cpu")
    assert encoder.fusion == {"text": 3.0, "multi": 1.0}
    assert encoder.tasks == ("retrieval", "law", "text-matching", "code")
    e = encoder.encode(["", "a paragraph"], task="law", role="passage")
    assert e.multi.lengths.tolist() == [1, len(encoder.processor.text_ids("a paragraph", prompt=""))]
    assert encoder.fingerprint(task="law").prompts["query"] == "Frage: "


def test_fusion_weights_are_all_one_unless_a_model_says_otherwise(tmp_path: Path) -> None:
    assert read_fusion(tmp_path) == {}
    (tmp_path / "unitower.json").write_text("{}", encoding="utf-8")
    assert read_fusion(tmp_path) == {}


@pytest.mark.parametrize(
    "raw",
    [
        "[]",
        "{",
        '{"fusion": {"words": 1}}',
        '{"fusion": [1]}',
        '{"fusion": {"text": -1}}',
        '{"fusion": {"text": "3"}}',
        '{"fuse": {}}',
        '{"fusion": {"text": NaN}}',
    ],
)
def test_a_fusion_file_of_another_form_is_named(tmp_path: Path, raw: str) -> None:
    (tmp_path / "unitower.json").write_text(raw, encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"unitower\.json"):
        read_fusion(tmp_path)


def test_the_manifest_of_a_fixture_is_not_part_of_its_checkpoint() -> None:
    assert "checkpoint" in json.loads((TINY / "manifest.json").read_text(encoding="utf-8"))
    encoder = unitower.load(str(TINY), device="cpu", dtype="bfloat16")
    e = encoder.encode(["a", picture()], **PASSAGE)
    np.testing.assert_allclose(np.linalg.norm(e.dense, axis=1), 1, atol=1e-5)  # unit rows whatever the weights are
    np.testing.assert_allclose(np.linalg.norm(e.multi.data, axis=1), 1, atol=1e-5)


def test_dense_vectors_come_in_the_precision_asked_for():
    encoder, _ = encoder_of()
    texts = ["one", "another text", "a third"]
    whole = encoder.encode(texts, role="passage")
    assert (whole.dense.dtype, whole.scales) == (np.float32, None)
    halves = encoder.encode(texts, role="passage", precision="float16")
    np.testing.assert_array_equal(halves.dense, whole.dense.astype(np.float16))
    eighths = encoder.encode(texts, role="passage", precision="int8")
    assert eighths.dense.dtype == np.int8
    assert eighths.scales is not None
    np.testing.assert_allclose(eighths.dense * eighths.scales[:, None], whole.dense, atol=float(eighths.scales.max()) * 0.5001)
    bits = encoder.encode(texts, role="passage", precision="binary")
    np.testing.assert_array_equal(np.unpackbits(bits.dense, axis=1, bitorder="little")[:, : whole.dense.shape[1]], whole.dense >= 0)
    np.testing.assert_array_equal(bits.multi.data, whole.multi.data)
    with pytest.raises(ValueError, match="float32, float16, int8, binary"):
        encoder.encode(texts, role="passage", precision="int4")  # type: ignore[arg-type]


def test_pictures_tell_where_their_cells_are_among_the_token_vectors():
    encoder, tower = encoder_of()
    given = encoder.encode(["a text", Image.new("RGB", (140, 84)), "another"], role="passage")
    first, grid, last = given.grids
    assert first is last is None
    assert grid is not None
    assert (grid.rows, grid.columns) == (84 // encoder.processor.rules.cell, 140 // encoder.processor.rules.cell)
    (ids,) = [ids for each in tower.passes for ids in each if encoder.config.image_token_id in ids]
    assert [i for i, one in enumerate(ids) if one == encoder.config.image_token_id] == list(
        range(grid.first, grid.first + grid.rows * grid.columns)
    )
