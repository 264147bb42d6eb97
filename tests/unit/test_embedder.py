"""Adapters of a whole tower: fresh ones, copies, training, merging, roles; and what the tower keeps apart."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from unitower.errors import CheckpointError
from unitower.model import embedder as embedder_module
from unitower.model.checkpoint import read_checkpoint, write_checkpoint
from unitower.model.config import LoraConfig, ModelConfig
from unitower.model.embedder import Embedder, Patches, TokenSequence, Vectors
from unitower.model.tower import EVEN_ROWS, rows_held

TINY = Path(__file__).parents[1] / "fixtures" / "jina-v4-tiny"
IMAGE, START, END = 1012, 1009, 1010
LORA = LoraConfig(r=8, lora_alpha=16)


@pytest.fixture
def tower() -> Embedder:
    return read_checkpoint(TINY, dtype=torch.float32)


def sequences() -> list[TokenSequence]:
    torch.manual_seed(0)
    page = torch.tensor([7, START, *[IMAGE] * 6, END, 8, 9])
    return [
        TokenSequence(torch.randint(0, 900, (12,))),
        TokenSequence(page, Patches(torch.randn(24, 1176), (4, 6), 2)),
        TokenSequence(torch.randint(0, 900, (1,))),
    ]


def encoded(tower: Embedder, adapters: str | Sequence[str | None] | None, *, as_released: bool = False) -> Vectors:
    with torch.no_grad():
        return tower(sequences(), adapters=adapters, as_released=as_released)  # type: ignore[no-any-return]


def assert_equal(left: Vectors, right: Vectors, *, within: float = 0.0) -> None:
    torch.testing.assert_close(left.dense, right.dense, atol=within, rtol=0)
    torch.testing.assert_close(left.tokens, right.tokens, atol=within, rtol=0)


def differ(left: Vectors, right: Vectors) -> bool:
    return (left.dense - right.dense).abs().max().item() > 1e-3 and (left.tokens - right.tokens).abs().max().item() > 1e-3


def train_step(tower: Embedder, adapter: str) -> None:
    """One step of gradient descent on whatever requires it, towards other vectors."""
    vectors = tower(sequences(), adapters=adapter)
    torch.manual_seed(1)
    (vectors.dense * torch.randn_like(vectors.dense)).sum().add((vectors.tokens * torch.randn_like(vectors.tokens)).sum()).backward()
    with torch.no_grad():
        for weight in tower.parameters():
            if weight.grad is not None:
                weight.sub_(weight.grad, alpha=0.5)
                weight.grad = None


# ---- shapes and pooling


def test_dense_and_tokens_are_unit_rows_of_float32_in_the_order_given(tower: Embedder) -> None:
    for dtype in (torch.float32, torch.bfloat16):
        vectors = encoded(read_checkpoint(TINY, dtype=dtype), "retrieval")
        assert vectors.lengths == [12, 11, 1]
        for rows, shape in ((vectors.dense, (3, 64)), (vectors.tokens, (24, 16))):
            assert rows.shape == shape
            assert rows.dtype == torch.float32
            torch.testing.assert_close(rows.norm(dim=-1), torch.ones(len(rows)), atol=1e-6, rtol=0)


def test_a_text_is_pooled_over_all_tokens_and_a_page_from_its_start_to_its_end_mark(tower: Embedder) -> None:
    seen: list[Tensor] = []
    tower.decoder.register_forward_hook(lambda module, inputs, output: seen.append(output))
    vectors = encoded(tower, "code")
    (hidden,) = seen
    expected = [hidden[0:12].mean(0), hidden[13:21].mean(0), hidden[23]]  # the page: rows 12 to 22, marks at 13 and 20
    for dense, mean in zip(vectors.dense, expected, strict=True):
        torch.testing.assert_close(dense, mean / mean.norm(), atol=1e-6, rtol=0)


# ---- adapters


def test_every_parameter_of_the_decoder_that_is_a_matrix_carries_adapters_and_none_of_the_vision_tower(tower: Embedder) -> None:
    names = {name for name, _ in tower.adapted()}
    layers = {f"decoder.blocks.{i}.{layer}" for i in range(3) for layer in ("qkv", "out", "mlp.gate_up", "mlp.down")}
    assert names == layers | {"projector"}


def test_a_fresh_adapter_gives_the_bare_tower_bit_for_bit(tower: Embedder) -> None:
    tower.add_adapter("fresh", LORA)
    assert_equal(encoded(tower, "fresh"), encoded(tower, None))
    assert_equal(encoded(tower, "fresh", as_released=True), encoded(tower, None, as_released=True))
    assert_equal(tower(sequences(), adapters="fresh"), tower(sequences(), adapters=None))


def test_an_adapter_started_from_another_gives_its_output(tower: Embedder) -> None:
    tower.add_adapter("twin", LORA, start_from="code")
    tower.add_adapter("rescaled", LoraConfig(r=8, lora_alpha=5), start_from="code")
    for as_released in (False, True):
        code = encoded(tower, "code", as_released=as_released)
        assert_equal(encoded(tower, "twin", as_released=as_released), code)
        assert_equal(encoded(tower, "rescaled", as_released=as_released), code, within=1e-5)
        assert differ(code, encoded(tower, "retrieval", as_released=as_released))


def test_a_new_adapter_moves_no_other_by_one_bit(tower: Embedder) -> None:
    before = encoded(tower, "code")
    tower.add_adapter("legal", LORA, start_from="code")
    train_step(tower, "legal")
    assert differ(encoded(tower, "legal"), before)
    assert_equal(encoded(tower, "code"), before)


def test_gradients_flow_to_the_used_adapter_only(tower: Embedder) -> None:
    tower.requires_grad_(True)
    vectors = tower(sequences(), adapters="code")
    (vectors.dense.sum() + vectors.tokens.sum()).backward()
    for name, layer in tower.adapted():
        for half in (layer.lora_A, layer.lora_B):
            for adapter, weight in half.items():
                if adapter == "code":
                    assert weight.grad is not None, name
                    assert weight.grad.abs().max() > 0, name
                else:
                    assert weight.grad is None, name


def test_each_item_of_a_mixed_batch_gives_gradients_to_its_own_adapter(tower: Embedder) -> None:
    mixed, alone = copy.deepcopy(tower).requires_grad_(True), tower.requires_grad_(True)
    adapters = ["code", "retrieval", "code"]
    mixed(sequences(), adapters=adapters).dense[:, 0].sum().backward()
    for i, adapter in enumerate(adapters):
        alone([sequences()[i]], adapters=adapter).dense[:, 0].sum().backward()
    expected = dict(alone.named_parameters())
    for name, weight in mixed.named_parameters():
        other = expected[name].grad
        assert (weight.grad is None) == (other is None), name
        if weight.grad is not None and other is not None:
            torch.testing.assert_close(weight.grad, other, atol=1e-5 * max(1.0, other.abs().max().item()), rtol=0)


def test_reading_leaves_nothing_to_be_trained_until_it_is_asked_for(tower: Embedder) -> None:
    assert not any(weight.requires_grad for weight in tower.parameters())
    assert not tower.training
    tower.add_adapter("legal", LORA)
    assert {name.rsplit(".", 1)[1] for name, weight in tower.named_parameters() if weight.requires_grad} == {"legal"}


# ---- merged weights


def test_a_pass_after_training_sees_the_trained_weights(tower: Embedder) -> None:
    for parameter in (*(layer.lora_B["code"] for _, layer in tower.adapted()), *(layer.weight for _, layer in tower.adapted())):
        parameter.requires_grad_(True)
    before = encoded(tower, "code")
    train_step(tower, "code")
    assert differ(encoded(tower, "code"), before)
    assert_equal(encoded(tower, "code"), encoded(tower, "code", as_released=True), within=1e-4)


def test_a_pass_after_loading_other_weights_sees_them(tower: Embedder) -> None:
    before = encoded(tower, "code")
    other = {name: tensor + 0.01 for name, tensor in tower.state_dict().items()}
    for assign in (False, True):
        fresh = read_checkpoint(TINY, dtype=torch.float32)
        encoded(fresh, "code")
        fresh.load_state_dict(other, assign=assign)
        assert differ(encoded(fresh, "code"), before)
        assert_equal(encoded(fresh, "code"), encoded(fresh, "code", as_released=True), within=1e-4)


def test_adapters_asked_for_in_turn_give_what_each_gives_alone(tower: Embedder) -> None:
    names = ["code", None, "retrieval", "code", "text-matching", None]
    for name in names:
        assert_equal(encoded(tower, name), encoded(read_checkpoint(TINY, dtype=torch.float32), name))


def test_a_tower_too_large_for_a_second_copy_runs_its_adapters_unmerged(tower: Embedder, monkeypatch: pytest.MonkeyPatch) -> None:
    merged = encoded(tower, "code")
    large = read_checkpoint(TINY, dtype=torch.float32)
    monkeypatch.setattr(embedder_module, "MERGE_LIMIT_BYTES", 1000)
    assert_equal(encoded(large, "code"), merged, within=1e-5)
    assert all(layer.merged is None for _, layer in large.adapted())
    large.merge("code")  # unless it is asked for
    assert_equal(encoded(large, "code"), merged)
    assert_equal(encoded(large, "retrieval"), encoded(tower, "retrieval"), within=1e-5)


def test_a_merge_that_fails_leaves_the_tower_whole(tower: Embedder, monkeypatch: pytest.MonkeyPatch) -> None:
    code, retrieval = encoded(tower, "code"), encoded(tower, "retrieval")
    layers = [layer for _, layer in tower.adapted()]

    def full(name: str | None) -> None:
        if name is not None:
            raise MemoryError
        layers[4].merged = None

    with monkeypatch.context() as patch:
        patch.setattr(layers[4], "merge", full)
        with pytest.raises(MemoryError):
            encoded(tower, "code")
    assert_equal(encoded(tower, "retrieval"), retrieval)
    assert_equal(encoded(tower, "code"), code)


def test_merged_weights_follow_the_tower_and_are_no_part_of_its_state(tower: Embedder) -> None:
    keys = set(tower.state_dict())
    before = encoded(tower, "code")
    assert set(tower.state_dict()) == keys
    assert_equal(encoded(copy.deepcopy(tower), "code"), before)
    assert all(layer.merged is not None and layer.merged.dtype == torch.bfloat16 for _, layer in tower.to(torch.bfloat16).adapted())


def test_a_tower_loaded_and_used_in_inference_mode_works_outside_of_it() -> None:
    with torch.inference_mode():
        tower = read_checkpoint(TINY, dtype=torch.float32)
        inside = tower(sequences(), adapters="code")
    assert_equal(encoded(tower, "code"), inside)


# ---- roles


def test_adapters_of_roles_are_written_read_and_served(tower: Embedder, tmp_path: Path) -> None:
    roles = {"retrieval": {"query": "retrieval-query", "passage": "retrieval-passage"}, "code": {"query": "code-query"}}
    tower.config = replace(tower.config, role_adapters=roles, task_names=("retrieval", "text-matching", "code"))
    for name, start in (("retrieval-query", "retrieval"), ("retrieval-passage", "text-matching"), ("code-query", "retrieval")):
        tower.add_adapter(name, LORA, start_from=start)
    trained = {name: encoded(tower, name) for name in tower.config.adapter_names}
    with pytest.raises(CheckpointError, match="'retrieval'"):
        write_checkpoint(tower, tmp_path, dtype=torch.float32)  # no task is served by it any more
    tower.remove_adapter("retrieval")
    write_checkpoint(tower, tmp_path, dtype=torch.float32)
    again = read_checkpoint(tmp_path, dtype=torch.float32)
    assert set(again.lora) == {"retrieval-query", "retrieval-passage", "text-matching", "code-query", "code"}
    served = {("retrieval", "query"): "retrieval-query", ("retrieval", "passage"): "retrieval-passage", ("code", "query"): "code-query"}
    served |= {("code", "passage"): "code", ("text-matching", "query"): "text-matching", ("text-matching", "passage"): "text-matching"}
    for (task, role), name in served.items():
        assert again.adapter_for(task, role) == name
        assert_equal(encoded(again, again.adapter_for(task, role)), trained[name])


def test_an_adapter_that_was_removed_is_gone_and_the_others_stay(tower: Embedder) -> None:
    code = encoded(tower, "code")
    encoded(tower, "retrieval")
    tower.remove_adapter("retrieval")
    assert not [name for name, _ in tower.named_parameters() if "retrieval" in name]
    with pytest.raises(CheckpointError, match="no adapter 'retrieval'; the checkpoint has text-matching, code"):
        encoded(tower, "retrieval")
    assert_equal(encoded(tower, "code"), code)


def test_without_adapters_of_roles_a_task_is_served_by_its_own(tower: Embedder) -> None:
    assert {tower.adapter_for("code", role) for role in ("query", "passage")} == {"code"}
    with pytest.raises(ValueError, match="'legal' is unknown; this model has retrieval, text-matching, code"):
        tower.adapter_for("legal", "query")


# ---- refusing


def test_an_unknown_adapter_is_answered_with_those_there_are(tower: Embedder) -> None:
    words = "no adapter 'legal'; the checkpoint has retrieval, text-matching, code"
    for adapters in ("legal", ["code", "legal", None]):
        with pytest.raises(CheckpointError, match=words):
            encoded(tower, adapters)
    with pytest.raises(CheckpointError, match=words):
        tower.merge("legal")
    with pytest.raises(CheckpointError, match=words):
        tower.add_adapter("new", LORA, start_from="legal")
    with torch.device("meta"):
        bare = Embedder(ModelConfig.read(TINY))
    with pytest.raises(CheckpointError, match="the checkpoint has none"):
        bare.merge("code")


def test_an_adapter_that_cannot_be_made_is_refused_and_changes_nothing(tower: Embedder) -> None:
    before = set(dict(tower.named_parameters()))
    with pytest.raises(ValueError, match="an adapter 'code' already"):
        tower.add_adapter("code", LORA)
    with pytest.raises(ValueError, match="'code' has rank 8; a copy of it cannot have rank 4"):
        tower.add_adapter("new", LoraConfig(r=4, lora_alpha=4), start_from="code")
    for name in ("", "retrieval.query", "values"):
        with pytest.raises(ValueError, match=f"cannot be called '{name}'"):
            tower.add_adapter(name, LORA)
    assert set(dict(tower.named_parameters())) == before
    assert set(tower.lora) == {"retrieval", "text-matching", "code"}


@pytest.mark.parametrize("adapters", [["code"], ["code"] * 4, ["code", "retrieval"]])
def test_adapters_must_be_as_many_as_the_sequences(tower: Embedder, adapters: list[str | None]) -> None:
    with pytest.raises(ValueError, match=r"argument 2 is (longer|shorter)"):
        encoded(tower, adapters)


def test_the_rows_of_a_pass_come_in_few_sizes_little_larger_than_what_they_hold() -> None:
    sizes = {rows: rows_held(rows) for rows in range(1, 4097)}
    assert all(size >= rows + EVEN_ROWS - 1 for rows, size in sizes.items())
    assert max(size / rows for rows, size in sizes.items() if rows >= 1024) < 1.08
    assert len({size for rows, size in sizes.items() if rows >= 2048}) <= 18
    assert len(set(sizes.values())) <= 100
