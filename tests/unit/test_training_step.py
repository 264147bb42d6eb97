"""The step's gradients: cached, recomputed and gathered ones against the plain step's."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import distributed as dist
from torch import multiprocessing as mp

from unitower.losses.joint import Weights
from unitower.model.config import LoraConfig, ModelConfig, TextConfig, VisionConfig
from unitower.model.embedder import Embedder, Patches, TokenSequence
from unitower.training.gather import gathered, gathered_rows, sum_gradients
from unitower.training.recipe import Objective
from unitower.training.start import from_nothing
from unitower.training.step import Measured, Side, Sides, backward

CONFIG = ModelConfig(
    text=TextConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, intermediate_size=48, vocab_size=60,
        mrope_section=(1, 1, 2),
    ),
    vision=VisionConfig(depth=2, hidden_size=32, num_heads=2, intermediate_size=48, out_hidden_size=32, fullatt_block_indexes=(1,)),
    image_token_id=4, vision_start_token_id=5, vision_end_token_id=6, matryoshka_dims=(16, 32), multi_vector_projector_dim=8,
)  # fmt: skip
OBJECTIVE = Objective(temperature=0.2, dense_widths=(16, 32), late_widths=(4, 8), both_ways=True, weights=Weights(text_distill=0.5))


def tower(dropout: float = 0.0) -> Embedder:
    torch.manual_seed(0)
    embedder = from_nothing(CONFIG)
    embedder.add_adapter("retrieval", LoraConfig(r=4, lora_alpha=8, lora_dropout=dropout))
    for _, layer in embedder.adapted():
        torch.nn.init.normal_(layer.lora_B["retrieval"], std=0.1)
    return embedder.train().requires_grad_(True)


def text(seed: int) -> TokenSequence:
    dice = torch.Generator().manual_seed(seed)
    return TokenSequence(torch.randint(10, 60, (int(torch.randint(1, 12, (), generator=dice)),), generator=dice))


def page(seed: int) -> TokenSequence:
    dice = torch.Generator().manual_seed(seed)
    rows, columns = 2 * int(torch.randint(1, 4, (), generator=dice)), 2 * int(torch.randint(1, 4, (), generator=dice))
    ids = torch.tensor([10, 5, *[4] * (rows * columns // 4), 6, 11])
    return TokenSequence(ids, Patches(torch.randn(rows * columns, 1176, generator=dice), (rows, columns), 2))


def batches(pairs: slice = slice(None), *, count: int = 6) -> dict[str, Sides]:
    """Text pairs with hard negatives, and text and page pairs; `pairs` chooses the share of one process."""
    chosen = range(count)[pairs]

    def side(make: Callable[[int], TokenSequence], offset: int) -> Side:
        return Side(sequences=tuple(make(offset + i) for i in chosen), adapter="retrieval")

    # the negatives all belong to the last pairs: a process with the first ones has none
    hard = Side(sequences=tuple(text(200 + i) for i in range(5) if count - 1 in chosen), adapter="retrieval")
    words = Sides(queries=side(text, 0), documents=side(text, 100), negatives=hard)
    return {"text": words, "pages": Sides(queries=side(text, 300), documents=side(page, 400))}


def gradients(embedder: Embedder) -> dict[str, torch.Tensor]:
    return {name: p.grad.clone() for name, p in embedder.named_parameters() if p.grad is not None}


def assert_same_gradients(ours: dict[str, torch.Tensor], plain: dict[str, torch.Tensor]) -> None:
    assert ours.keys() == plain.keys()
    for name, gradient in plain.items():
        torch.testing.assert_close(ours[name], gradient, rtol=1e-4, atol=1e-5 * float(gradient.abs().max().clamp(min=1)), msg=name)


def plain_step(**options: object) -> tuple[Measured, dict[str, torch.Tensor]]:
    embedder = tower()
    measured = backward(embedder, batches(), OBJECTIVE, **options)  # type: ignore[arg-type]
    return measured, gradients(embedder)


def test_the_two_halves_of_the_way_back_equal_one_call_of_autograd() -> None:
    from unitower.training.step import loss_of

    embedder = tower()
    vectors = {name: [embedder(side.sequences, adapters=side.adapter) for side in sides.parts()] for name, sides in batches().items()}
    loss_of(vectors, {"text": None, "pages": None}, OBJECTIVE).loss.backward()
    _, halves = plain_step()
    assert_same_gradients(halves, gradients(embedder))


@pytest.mark.parametrize("chunk_tokens", [1, 9, 40])
def test_cached_gradients_equal_the_plain_ones(chunk_tokens: int) -> None:
    plain, wanted = plain_step()
    cached, got = plain_step(chunk_tokens=chunk_tokens)
    torch.testing.assert_close(cached.loss, plain.loss, rtol=0, atol=1e-5)
    assert_same_gradients(got, wanted)


def test_recomputed_blocks_give_the_same_gradients() -> None:
    _, wanted = plain_step()
    embedder = tower()
    embedder.recompute(True)
    backward(embedder, batches(), OBJECTIVE)
    assert_same_gradients(gradients(embedder), wanted)


def test_dropout_is_thrown_the_same_in_both_passes_of_cached_gradients() -> None:
    # With the same random state at the start, chunks of one sequence see one dropout; a wrong replay would mix two.
    results = []
    for _ in range(2):
        embedder = tower(dropout=0.5)
        torch.manual_seed(7)
        measured = backward(embedder, batches(), OBJECTIVE, chunk_tokens=9)
        results.append((measured.loss, gradients(embedder)))
    torch.testing.assert_close(results[0][0], results[1][0])
    name = "projector.lora_A.retrieval"
    nudged = tower(dropout=0.5)
    step = 1e-2 * results[0][1][name] / results[0][1][name].norm()
    with torch.no_grad():
        nudged.get_parameter(name).sub_(step)
    torch.manual_seed(7)
    lower = backward(nudged, batches(), OBJECTIVE, chunk_tokens=9).loss
    predicted = results[0][0] - (step * results[0][1][name]).sum()
    torch.testing.assert_close(lower, predicted, rtol=0, atol=2e-3)


def test_a_side_without_sequences_changes_nothing() -> None:
    def step(negatives: Side | None) -> dict[str, torch.Tensor]:
        embedder = tower()
        backward(embedder, {"text": replace(batches()["text"], negatives=negatives)}, OBJECTIVE)
        return gradients(embedder)

    assert_same_gradients(step(Side(sequences=(), adapter="retrieval")), step(None))


def test_a_step_against_the_gradient_lowers_the_loss() -> None:
    embedder = tower()
    before = backward(embedder, batches(), OBJECTIVE).loss
    with torch.no_grad():
        for parameter in embedder.parameters():
            if parameter.grad is not None:
                parameter.sub_(1e-3 * parameter.grad)
    assert backward(embedder, batches(), OBJECTIVE).loss < before


def test_only_the_used_adapter_gets_gradients() -> None:
    embedder = tower()
    embedder.add_adapter("code", LoraConfig(r=4, lora_alpha=8))
    embedder.requires_grad_(True)
    backward(embedder, batches(), OBJECTIVE)
    assert all(layer.lora_A["code"].grad is None and layer.lora_B["code"].grad is None for _, layer in embedder.adapted())


def test_graded_pairs_are_trained_by_cosent() -> None:
    embedder = tower()
    words = batches()["text"]
    graded = replace(words, negatives=None, grades=torch.tensor([5.0, 1.0, 3.0, 0.0, 4.0, 2.0]))
    measured = backward(embedder, {"text": graded}, replace(OBJECTIVE, kind="graded"))
    assert set(measured.parts) == {"text_dense_cosent", "text_late_cosent"}
    assert measured.loss == sum(measured.parts.values())


def process(rank: int, world: int, port: int, folder: str) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=world)
    embedder = tower()
    share = slice(rank * 6 // world, (rank + 1) * 6 // world)
    measured = backward(
        embedder, batches(share), OBJECTIVE, chunk_tokens=20 if rank else None, gather=gathered, gather_grades=gathered_rows
    )
    sum_gradients(list(embedder.parameters()))
    torch.save((measured.loss.detach(), gradients(embedder)), Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()


def test_two_processes_give_the_gradients_of_one(tmp_path: Path) -> None:
    plain, wanted = plain_step()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.spawn(process, args=(2, port, str(tmp_path)), nprocs=2)
    for rank in range(2):
        loss, got = torch.load(tmp_path / f"{rank}.pt")
        torch.testing.assert_close(loss, plain.loss.detach(), rtol=0, atol=1e-5)
        assert_same_gradients({name: got[name] for name in wanted}, wanted)
        assert all(not got[name].any() for name in got.keys() - wanted.keys())
