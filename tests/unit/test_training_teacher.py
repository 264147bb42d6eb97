"""What the text side learns from a teacher: what that is asked, which texts are compared, and when they lie as it has them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers

from unitower.data._corpus import Corpus
from unitower.recipes.nano_smoke import SMALL
from unitower.training.start import from_nothing
from unitower.training.teacher import read_taught, texts_to_teach, turned, write_taught
from unitower.training.texts import DENSE_SCALE, LATE_SCALE, Library, Taught, TextBatch, Texts, imitation, likeness

THINGS = [
    "rent", "bread", "train", "letter", "goat", "battery", "garden", "invoice", "library", "weather", "bridge", "violin", "window",
    "kettle", "ladder", "pencil",
]  # fmt: skip


def letter_by_letter() -> Tokenizer:
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(letters)}, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return made


def first_tokens(batches: Sequence[TextBatch]) -> list[int]:
    return [int(batch.packed.ids[first]) for batch in batches for first in np.cumsum([0, *batch.packed.lengths[:-1]])]


def test_the_teacher_is_asked_once_and_its_strongest_directions_come_first(tmp_path: Path) -> None:
    sentences = [(f"The {thing} is old.", f"Nobody has asked for the {thing} since May.") for thing in THINGS]
    corpus = Corpus(glosses=[(thing, f"what people call {thing}") for thing in THINGS], families=sentences, texts={"en": sentences[0][:1]})
    texts, asked = texts_to_teach(corpus, most=20), []
    assert {"rent", "what people call rent", *sentences[0]} <= set(texts)
    directions = np.random.default_rng(0).normal(size=(8, 48)).astype(np.float32)

    def embed(batch: list[str]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        asked.extend(batch)
        seeds = [np.random.default_rng(sum(map(ord, text))).normal(size=8) for text in batch]
        vectors = np.array(seeds, np.float32) @ directions
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    for _ in range(2):
        write_taught(texts, embed, tmp_path, width=16)
    assert sorted(asked) == sorted(texts)
    taught = read_taught(tmp_path)
    assert taught.vectors.shape == (len(texts), 16)
    whole = np.concatenate([embed([text]) for text in texts])
    kept = taught.vectors.astype(np.float32)
    assert np.allclose(kept @ kept.T, whole @ whole.T, atol=0.01)  # eight directions are in it, sixteen are kept
    spread = turned(whole, width=16).var(0)
    assert (np.diff(spread) < 1e-4).all()


def test_batches_after_the_teacher_are_of_different_texts_mostly_sentences() -> None:
    texts = [text for thing in THINGS for text in (thing, f"The {thing} stands in the garden of the old house.")]
    taught = Taught(rows={text: i for i, text in enumerate(texts)}, vectors=np.eye(32, 64, dtype=np.float16))
    tokenizer, prompts = letter_by_letter(), ("Query:", "Passage:")
    lesson = Texts(from_nothing(SMALL), {}, Library(Corpus(), taught), tokenizer, batch=6, prompts=prompts, kinds={"teacher": 1})
    batches = [lesson.make(random.Random(seed), 0) for seed in range(60)]
    assert all(len(set(batch.taught)) == batch.size == len(batch.packed.lengths) for batch in batches)
    drawn = np.concatenate([batch.taught for batch in batches])
    assert 0.75 < (drawn % 2).mean() < 0.95  # those beside their nearest ones are all sentences
    query, passage = (tokenizer.encode(prompt).ids[0] for prompt in prompts)
    assert 0.5 < np.mean([start == query for start in first_tokens(batches)]) < 0.7
    assert set(first_tokens(batches)) == {query, passage}
    lesson = Texts(
        from_nothing(SMALL), {}, Library(Corpus(), taught), tokenizer, batch=6, prompts=prompts, kinds={"teacher": 1}, symmetric=True
    )
    assert set(first_tokens([lesson.make(random.Random(seed), 0) for seed in range(9)])) == {query}


def test_sentences_to_compare_are_families_or_near_ones_or_any() -> None:
    families = [tuple(f"{thing} {change}" for change in ("was kept", "was not kept", "was thrown away")) for thing in THINGS]
    near = [
        f"{word} is what stands here, {thing} and all"
        for thing in THINGS
        for word in ("that", "this", "one", "it", "all", "more", "less", "none")
    ]
    texts = [*near, *(text for family in families for text in family)]
    angles = np.repeat(np.arange(16) * 0.3, 8) + np.tile(np.arange(8) * 0.01, 16)  # groups of eight, far from each other
    vectors = np.concatenate([np.stack([np.cos(angles), np.sin(angles)], 1), np.ones((48, 2))]).astype(np.float16)
    library = Library(Corpus(families=families), Taught(rows={text: i for i, text in enumerate(texts)}, vectors=vectors))
    kinds = {"families": 0, "near": 0, "any": 0}
    for seed in range(100):
        drawn = library.to_compare(random.Random(seed), 24)
        assert len(set(drawn)) == len(drawn) <= 24
        things = [text.split()[-3 if "stands" in text else 0] for text in drawn]
        whole = {thing: things.count(thing) for thing in things}
        sentences = sum("stands" in text for text in drawn)
        kind = "families" if not sentences else "near" if sentences == 24 and set(whole.values()) <= {8, 16, 24} else "any"
        assert kind != "families" or set(whole.values()) == {3}
        kinds[kind] += 1
    assert 25 < kinds["families"] < 55
    assert 20 < kinds["near"] < 50
    assert kinds["any"] > 10


def test_likeness_is_nothing_for_the_teacher_s_own_vectors() -> None:
    torch.manual_seed(0)
    target = torch.nn.functional.normalize(torch.randn(6, 16), dim=-1)
    same = likeness(target, target @ target.T * DENSE_SCALE / LATE_SCALE, target, (16,))
    assert all(abs(float(value)) < 1e-5 for value in same.values())
    other = likeness(target.flip(0), target.flip(0) @ target.T, target, (16,))
    assert all(float(value) > 0.01 for value in other.values())


def test_imitation_is_nothing_for_the_teacher_s_own_vectors() -> None:
    target = torch.nn.functional.normalize(torch.randn(5, 16), dim=-1)
    gap, structure = imitation(target, target, (8, 16))
    assert abs(float(gap)) < 1e-5
    assert abs(float(structure)) < 1e-5
    assert float(imitation(-target, target, (8, 16))[0]) == pytest.approx(2, abs=1e-4)
