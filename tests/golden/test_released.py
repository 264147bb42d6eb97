"""Every recorded output of the released code on the tiny checkpoint, through the public calls.

Tolerances are the fixture's own: float32 dense 2e-5 and multi 5e-5, absolute; bfloat16 by cosine, dense 0.999 and rows 0.98 (the recorded
bfloat16 rows are not of unit length, so both sides are normalised first).
"""

from __future__ import annotations

import dataclasses
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file as load_numpy
from safetensors.torch import load_file

import unitower
from unitower import Encoder

FOLDER = Path(__file__).parents[1] / "fixtures" / "jina-v4-tiny"
MANIFEST = json.loads((FOLDER / "manifest.json").read_text(encoding="utf-8"))
CASES = {case["name"]: case for case in MANIFEST["cases"]}


@lru_cache
def encoder(dtype: str) -> Encoder:
    return unitower.load(FOLDER, device="cpu", dtype=dtype)


@lru_cache
def recorded(file: str) -> dict[str, Any]:
    return {name: tensor.float().numpy() for name, tensor in load_file(FOLDER / file).items()}


def released(case: dict[str, Any]) -> list[np.ndarray[Any, Any]]:
    """The case's call on our encoder, as one array per input."""
    enc = encoder("float32" if "f32" in case["file"] else "bfloat16")
    options = {"task": case["task"], "truncate_dim": case["truncate_dim"], "batch_size": case["batch_size"]}
    options["return_multivector"] = case["output"] == "multivector"
    enc.task = case.get("model_task_property")
    rules = enc.processor.rules
    try:
        if case["kind"] == "text":
            texts = [MANIFEST["texts"][i] for i in case["inputs"]]
            return [v.numpy() for v in enc.encode_text(texts, prompt_name=case["prompt_name"], max_length=case["max_length"], **options)]
        if "pillow" in case["name"]:
            enc.processor.rules = dataclasses.replace(rules, resample="pillow")
        paths = [str(FOLDER / MANIFEST["images"][i]["file"]) for i in case["inputs"]]
        return [v.numpy() for v in enc.encode_image(paths, max_pixels=case["max_pixels"], **options)]
    finally:
        enc.task, enc.processor.rules = None, rules


def assert_as_recorded(case: dict[str, Any], outputs: list[np.ndarray[Any, Any]]) -> None:
    wanted = recorded(case["file"])[case["tensor"]]
    multi = case["output"] == "multivector"
    if multi:
        assert [len(each) for each in outputs] == case["lengths"]
    got = np.concatenate(outputs) if multi else np.stack(outputs)
    assert got.shape == wanted.shape
    if "f32" in case["file"]:
        assert np.abs(got - wanted).max() <= (5e-5 if multi else 2e-5)
    else:
        cosine = (got * wanted).sum(-1) / np.linalg.norm(got, axis=-1) / np.linalg.norm(wanted, axis=-1)
        assert cosine.min() >= (0.98 if multi else 0.999)


@pytest.mark.parametrize("name", CASES)
def test_the_released_calls_give_what_was_recorded(name: str) -> None:
    assert_as_recorded(CASES[name], released(CASES[name]))


def documented(case: dict[str, Any]) -> bool:
    """Cases whose released prompt is the documented one, at the released batch: what `encode` must give too."""
    effective = case["task"] or case.get("model_task_property")
    passage = case.get("prompt_name") == "passage"
    return "pillow" not in case["name"] and not (
        passage and (effective == "text-matching") != (case.get("model_task_property") == "text-matching")
    )


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if documented(case)])
def test_encode_gives_what_was_recorded(name: str) -> None:
    case = CASES[name]
    enc = encoder("float32" if "f32" in case["file"] else "bfloat16")
    task = case["task"] or case["model_task_property"]
    inputs: list[Any]
    if case["kind"] == "text":
        inputs, role = [MANIFEST["texts"][i] for i in case["inputs"]], case["prompt_name"] or "query"
        limits = {"max_length": case["max_length"]}
    else:  # alpha dropped as released; `encode` itself lays transparency on white
        inputs, role = [Image.open(FOLDER / MANIFEST["images"][i]["file"]).convert("RGB") for i in case["inputs"]], None
        limits = {"max_pixels": case["max_pixels"]}
    e = enc.encode(inputs, task=task, role=role, truncate_dim=case["truncate_dim"], **limits)
    assert_as_recorded(case, list(e.multi) if case["output"] == "multivector" else list(e.dense))


@pytest.mark.parametrize(
    ("call", "names"),
    [
        (lambda enc: enc.encode_text(["a"]), "retrieval"),
        (lambda enc: enc.encode_text(["a"], task="foo"), "retrieval, text-matching, code"),
        (lambda enc: enc.encode_text(["a"], task="code", prompt_name="document"), "passage"),
        (lambda enc: enc.encode_text(["a"], task="code", truncate_dim=7), "8, 16, 32, 64"),
        (lambda enc: enc.encode_text(["a"], task="code", truncate_dim=7, return_multivector=True), "8, 16, 32, 64"),
        (lambda enc: setattr(enc, "task", "foo"), "retrieval, text-matching, code"),
        (lambda enc: enc.encode_image(Image.new("RGB", (20, 60)), task="code"), "20 x 60"),
        (lambda enc: enc.encode_image(Image.new("RGB", (30, 6030)), task="code"), "200"),
    ],
)
def test_the_recorded_errors_are_raised_and_name_what_is_allowed(call: Any, names: str) -> None:
    enc = encoder("float32")
    with pytest.raises(ValueError, match=names):
        call(enc)
    assert enc.task is None


def test_a_text_with_vision_markers_touches_no_other_text() -> None:
    enc = encoder("float32")
    strange = ["<|vision_start|>", "a <|vision_start|> b <|vision_end|> c", "<|image_pad|>" * 3, "<|vision_end|><|vision_start|>"]
    plain = ["Paris is the capital of France.", "hello"]
    together = enc.encode_text([strange[0], plain[0], *strange[1:], plain[1]], task="retrieval")
    assert len(together) == 6
    for text, vector in zip(plain, (together[1], together[5]), strict=True):
        np.testing.assert_array_equal(vector.numpy(), enc.encode_text(text, task="retrieval").numpy())


def test_a_text_that_spells_both_vision_markers_is_pooled_between_them_as_released() -> None:
    # an oddity of the released code for that text itself; `encode` pools the whole text
    enc = encoder("float32")
    text = "a <|vision_start|> b <|vision_end|> c"
    import torch

    ids = enc.processor.text_ids(text, prompt="Query: ")
    start, end = ids.index(enc.config.vision_start_token_id), ids.index(enc.config.vision_end_token_id)
    from unitower.model.embedder import TokenSequence

    hidden = []
    hook = enc.embedder.decoder.register_forward_hook(lambda module, inputs, output: hidden.append(output))
    with torch.no_grad():
        enc.embedder([TokenSequence(torch.tensor(ids))], adapters="retrieval", as_released=True)
    hook.remove()
    between = hidden[0][start : end + 1].mean(0).numpy()
    np.testing.assert_allclose(enc.encode_text(text, task="retrieval").numpy(), between / np.linalg.norm(between), atol=1e-6)
    whole = hidden[0].mean(0).numpy()
    np.testing.assert_allclose(enc.encode(text, role="query").dense[0], whole / np.linalg.norm(whole), atol=1e-5)


def test_an_item_has_the_same_vectors_alone_and_in_any_batch() -> None:
    enc = encoder("float32")
    texts = MANIFEST["texts"]
    images = [FOLDER / each["file"] for each in MANIFEST["images"]]
    mixed = [each for couple in zip(texts, images, strict=False) for each in couple] + texts[len(images) :]
    together = enc.encode(mixed, role="passage")
    for i, each in enumerate(mixed):
        alone = enc.encode([each], role="passage")
        np.testing.assert_allclose(together.dense[i], alone.dense[0], rtol=0, atol=1e-6)
        np.testing.assert_allclose(together.multi[i], alone.multi[0], rtol=0, atol=1e-6)


def test_recorded_inner_steps_are_reproduced() -> None:
    enc = encoder("float32")
    import torch

    from unitower.encode.images import as_released

    wanted = load_numpy(FOLDER / "goldens_f32.safetensors")
    picture = as_released(Image.open(FOLDER / MANIFEST["images"][7]["file"]))
    size = enc.processor.image_size(*picture.size)
    sequence = enc.processor.image_sequence(enc.processor.resized(picture, size))
    assert sequence.patches is not None
    with torch.no_grad():
        cells = enc.embedder.see([sequence.patches])[0].numpy()
    np.testing.assert_allclose(cells, wanted["debug.vision_embeds.7"], rtol=0, atol=1e-4)  # of size about 1e1
    np.testing.assert_array_equal(enc.embedder.positions(sequence).numpy(), wanted["debug.position_ids.image7"])
