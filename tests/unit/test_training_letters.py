"""Words as sums of their letters: what stands where, what a token has said, and losses against sums by hand."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from torch.nn import functional as F

from unitower.data._corpus import Corpus
from unitower.model.config import ModelConfig
from unitower.recipes.nano_smoke import SMALL
from unitower.render.quick import Written
from unitower.training.letters import (
    BEHIND,
    LetterCodes,
    Run,
    folded,
    gathered,
    importance,
    key,
    page_losses,
    runs_of,
    spoken,
    text_losses,
)
from unitower.training.packed import text_vectors
from unitower.training.start import from_nothing
from unitower.training.texts import Library, Taught, Texts


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    """Pieces of at most three letters."""
    pieces = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {piece: i for i, piece in enumerate(pieces)}
    merges = []
    for pair in (("d", "e"), ("de", "b"), ("i", "a"), ("ia", "n"), ("Ġ", "deb"), ("2", "0")):
        vocabulary["".join(pair)] = len(vocabulary)
        merges.append(pair)
    made = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    made.normalizer = normalizers.Lowercase()
    split = pre_tokenizers.Split(Regex(r"[^\r\n\p{L}\p{N}]?\p{L}+| ?\p{N}{1,4}| ?[^\s\p{L}\p{N}]+|\s+"), "isolated")
    made.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    made.decoder = decoders.ByteLevel()
    return made


def test_runs_are_letters_or_digits_and_stand_where_their_second_half_does() -> None:
    word = Written("Net-work12345", tuple(10.0 * k for k in range(14)), middle=40.0, line=0, size=12.0)
    net, work, number = runs_of([word], (3, 5))[:3]
    assert (net.key, work.key, number.key) == ("^net$", "^work$", "^1234$")
    # cells are 28 px: "Net" is 0 to 30 px, middles at 5, 15, 25; "work" 40 to 80, middles of its second half at 65 and 75
    assert (net.cells, net.touched) == ((5,), (5, 6))
    assert (work.cells, work.touched) == ((7,), (6, 7))
    assert [run.key for run in runs_of([word], (3, 2))] == ["^net$"]  # a run that the page does not show in full is none
    assert runs_of([word], (1, 5)) == []


def test_a_token_has_said_its_run_so_far(tokenizer: Tokenizer) -> None:
    ids, keys = spoken(tokenizer, "Debian's (2026)")
    said = list(zip((tokenizer.id_to_token(i) for i in ids), keys, strict=True))
    assert said[:2] == [("Ġdeb", "^deb"), ("ian", "^debian$")]
    assert dict(said)["20"] == "^20"
    assert [k for token, k in said if token == "6"] == ["^2026$"]
    assert {k for token, k in said if not any(c.isalnum() for c in token.replace("Ġ", ""))} == {""}  # signs


def test_the_end_of_every_run_is_said_once(tokenizer: Tokenizer) -> None:
    text = "Größe: smtpd_helo 12.5 km, naïve l'été -- x"
    assert list(dict.fromkeys(k for k in spoken(tokenizer, text)[1] if k.endswith("$"))) == [
        key(run) for run in ("Größe", "smtpd", "helo", "12", "5", "km", "naïve", "l", "été", "x")
    ]
    assert folded("Größe") == "große"


def test_words_of_the_same_letters_have_codes_that_are_alike() -> None:
    torch.manual_seed(0)
    codes = LetterCodes(128)
    rows = codes([key(word) for word in ("configure", "configured", "kettle")] + [""])
    assert rows.detach().norm(dim=1).tolist() == pytest.approx([1.0] * 4, abs=1e-5)
    assert float((rows[0] @ rows[1]).detach()) > 0.7
    assert abs(float((rows[0] @ rows[2]).detach())) < 0.35
    assert torch.equal(rows[3], F.normalize(codes.nothing, dim=0))
    rows[0].sum().backward()
    assert codes.pieces.grad is not None
    assert int((codes.pieces.grad.abs().sum(1) > 0).sum()) <= 2 * len("^configure$") + len("onfigure")


def pages() -> tuple[LetterCodes, list[list[Run]]]:
    """Two pages of four cells; "rent" stands on both, "is" beside it in one cell of the second."""
    torch.manual_seed(0)
    rent, bridge = Run("^rent$", (1,), (0, 1)), Run("^bridge$", (2,), (2, 3))
    return LetterCodes(64), [[rent, bridge], [Run("^rent$", (0,), (0,)), Run("^is$", (0,), (0,))]]


def test_where_runs_stand_is_counted_over_all_pages() -> None:
    _, runs = pages()
    standing = gathered(runs, 4)
    assert standing.keys == ("^rent$", "^bridge$", "^is$")
    assert standing.of.tolist() == [0, 1, 0, 2]
    assert standing.at.tolist() == [[0, 1], [1, 2], [2, 4], [3, 4]]
    assert {tuple(pair) for pair in standing.touched.tolist()} == {(0, 0), (0, 1), (1, 2), (1, 3), (0, 4), (2, 4)}


def test_cells_that_say_what_stands_in_them_are_right_and_others_are_not() -> None:
    codes, runs = pages()
    standing = gathered(runs, 4)
    rent, bridge, small, nothing = codes([*standing.keys, ""]).detach()
    cells = torch.stack([rent, rent, bridge, bridge, rent + small, nothing, nothing, nothing])
    cells = F.normalize(cells, dim=1)
    parts, right = page_losses(codes, standing, cells)
    assert float(right["words"]) == pytest.approx(1)
    assert float(right["cells"]) == pytest.approx(1)
    assert all(float(part.detach()) < 0.05 for part in parts.values())
    worse, wrong = page_losses(codes, standing, cells.flip(0))
    assert float(wrong["words"]) < 0.5
    assert all(float(worse[name].detach()) > 3 + float(parts[name].detach()) for name in ("words", "cells"))


def test_the_loss_of_words_is_a_cross_entropy_weighted_by_root_and_length() -> None:
    codes, runs = pages()
    standing, cells = gathered(runs, 4), F.normalize(torch.randn(8, 64), dim=1)
    parts, _ = page_losses(codes, standing, cells)
    logits = 25.0 * codes(standing.keys) @ cells.T
    # cell 0 touches "rent" without being its end: neither right nor wrong; for the second "rent" so is cell 1, for the first cell 4
    first = -logits[0, 1] + torch.logsumexp(logits[0, [1, 2, 3, 5, 6, 7]], 0)
    second = -logits[1, 2] + torch.logsumexp(logits[1, [0, 1, 2, 4, 5, 6, 7]], 0)
    third = -logits[0, 4] + torch.logsumexp(logits[0, [2, 3, 4, 5, 6, 7]], 0)
    fourth = -logits[2, 4] + torch.logsumexp(logits[2], 0)
    half = 2**-0.5
    by_hand = (half * first + second + half * third + importance("^is$") * fourth) / (2 * half + 1 + importance("^is$"))
    assert float(parts["words"].detach()) == pytest.approx(float(by_hand.detach()), abs=0.1)  # products in bfloat16


def test_words_are_told_from_cells_of_earlier_pages_where_they_do_not_stand() -> None:
    torch.manual_seed(0)
    codes = LetterCodes(32)
    here, there = gathered([[Run("^rent$", (0,), (0,))]], 2), gathered([[Run("^rent$", (0,), (0,)), Run("^bread$", (1,), (1,))]], 2)
    cells, others = (F.normalize(torch.randn(2, 32), dim=-1) for _ in range(2))
    parts, _ = page_losses(codes, here, cells, [(there, others)])
    logits = 25 * codes(["^rent$"])[0] @ torch.cat([cells, others]).T
    wanted = torch.logsumexp(logits[[0, 1, 3]], 0) - logits[0]  # the third cell says "rent", too
    assert float(parts["words"].detach()) == pytest.approx(float(wanted.detach()), abs=0.1)  # products in bfloat16


def test_pages_without_letters_have_no_loss_of_words() -> None:
    codes, _ = pages()
    parts, _ = page_losses(codes, gathered([[], []], 4), F.normalize(torch.randn(8, 64), dim=1))
    assert float(parts["words"].detach()) == float(parts["cells"]) == 0
    assert float(parts["blanks"]) >= 0


def test_a_query_says_its_words_and_a_passage_those_before_them_too() -> None:
    torch.manual_seed(0)
    codes = LetterCodes(64)
    keys = [["", "^rent$", "^br", "^bridg", "^bridge$"]] * 2
    nothing, rent, short, long, bridge = codes(["", "^rent$", "^br", "^bridg", "^bridge$"]).detach()
    query = torch.stack([nothing, rent, nothing, long, bridge])  # a short beginning says nothing yet
    passage = F.normalize(torch.stack([nothing, rent, *(each + BEHIND[1] * rent for each in (short, long, bridge))]), dim=1)
    parts, right = text_losses(codes, keys, [False, True], torch.stack([query, passage]))
    assert float(parts["letters"]) == pytest.approx(0, abs=1e-5)
    assert float(right["named"]) == 1
    parts, right = text_losses(codes, keys, [False, True], torch.stack([passage.flip(0), query.flip(0)]))
    assert float(parts["letters"]) > 0.5
    assert float(right["named"]) < 1


def test_texts_that_are_spelled_are_words_pieces_and_passages_and_can_be_learned(tokenizer: Tokenizer) -> None:
    texts = [f"The {a} stands by the {b} and waits for rain." for a in ("kettle", "bridge", "goat") for b in ("garden", "letter")]
    library, config = Library(Corpus(texts={"en": texts}), Taught()), SMALL
    assert isinstance(config, ModelConfig)
    torch.manual_seed(0)
    embedder, codes = from_nothing(config), LetterCodes(config.multi_vector_projector_dim)
    learns = {name: p for name, p in embedder.named_parameters() if name.startswith(("decoder.", "projector."))}
    lesson = Texts(embedder, learns, library, tokenizer, batch=6, prompts=("q", "p"), kinds={"letters": 1}, letters=codes)
    batches = [lesson.make(random.Random(seed), 0) for seed in range(30)]
    assert {batch.kind for batch in batches} == {"letters"}
    assert any(any(batch.passage) for batch in batches)
    assert all(len(said) == real for batch in batches for said, real in zip(
        (batch.said[i] for i in batch.packed.order), batch.packed.real, strict=True))  # fmt: skip
    optimizer = torch.optim.Adam(learns.values(), lr=3e-3)
    losses = []
    for batch in batches:
        measured = lesson.measure(batch, progress=0.0)
        optimizer.zero_grad()
        measured.loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(float(measured.loss))
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])
    assert text_vectors(embedder, batches[0].packed, ()).tokens.shape[2] == config.multi_vector_projector_dim


def test_without_codes_nothing_is_spelled(tokenizer: Tokenizer) -> None:
    library = Library(Corpus(texts={"en": ["The kettle stands."]}), Taught())
    with pytest.raises(ValueError, match="nothing of the kinds letters"):
        Texts(from_nothing(SMALL), {}, library, tokenizer, batch=2, prompts=("q", "p"), kinds={"letters": 1})
