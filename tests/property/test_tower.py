"""The tower against transformers' own Qwen2_5_VLModel, and peft's own LoRA, on random configurations and inputs.

transformers gets every item by itself, makes its own positions and attends by its own masks; the tower gets all of them packed in one
pass. All is float32: rows of length 1 (hidden states are brought to it) differ by some 1e-7 after one product and, in 600 random towers,
by up to 5e-6 after all of them, so 1e-5 leaves a factor of two. A wrong angle, mask or window shows as 1e-2 or more.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from unitower.model import embedder as embedder_module
from unitower.model.checkpoint import adapter_layout, base_layout, shapes_of_parts, theirs
from unitower.model.config import LoraConfig, ModelConfig, TextConfig, VisionConfig
from unitower.model.embedder import Embedder, Patches, TokenSequence, Vectors
from unitower.model.linear import onednn_has

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import peft
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLModel

WITHIN = 1e-5
VOCAB, IMAGE, START, END, VIDEO = 40, 3, 4, 5, 39
TASKS = ("retrieval", "text-matching", "code")
BIT_EQUAL = torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512") and onednn_has(torch.float32)
ALONE = 0.0 if BIT_EQUAL else 1e-6
"""How far an item's vectors may be from those it gets in another batch: not at all where oneDNN's float32 rows are known not to depend on
their number."""
ALONE_AS_RELEASED = 1e-6
"""The same for the released code's arithmetic, whose attention reads the rows where they lie: torch's result depends on how they are
aligned in memory, and two tokens with a head 10 wide were seen 1e-7 off."""


# ---- what is drawn


@st.composite
def configs(draw: st.DrawFn) -> ModelConfig:
    kv_heads = draw(st.integers(1, 3))
    heads = kv_heads * draw(st.integers(1, 3))
    sections = draw(st.tuples(*[st.integers(0, 4)] * 3).filter(lambda parts: heads * sum(parts) >= 8))
    hidden = heads * 2 * sum(sections)
    vision_heads, patch, depth = draw(st.integers(1, 3)), draw(st.sampled_from([2, 14])), draw(st.integers(1, 4))
    config = ModelConfig(
        text=TextConfig(
            hidden_size=hidden,
            num_hidden_layers=draw(st.integers(1, 3)),
            num_attention_heads=heads,
            num_key_value_heads=kv_heads,
            intermediate_size=draw(st.integers(5, 40)),
            vocab_size=VOCAB,
            mrope_section=sections,
            rope_theta=draw(st.sampled_from([100.0, 10_000.0, 1_000_000.0])),
            rms_norm_eps=draw(st.sampled_from([1e-6, 1e-5, 1e-2])),
        ),
        vision=VisionConfig(
            depth=depth,
            hidden_size=4 * vision_heads * draw(st.integers(-(-4 // vision_heads), 5)),
            num_heads=vision_heads,
            intermediate_size=draw(st.integers(5, 40)),
            out_hidden_size=hidden,
            fullatt_block_indexes=draw(st.sampled_from([(), (0,), (depth - 1,), tuple(range(1, depth)), tuple(range(depth))])),
            patch_size=patch,
            temporal_patch_size=draw(st.sampled_from([1, 2])),
            in_channels=draw(st.sampled_from([1, 3])),
            window_size=2 * patch * draw(st.sampled_from([2, 3, 4, 1])) + draw(st.integers(0, 2 * patch - 1)),
        ),
        image_token_id=IMAGE,
        vision_start_token_id=START,
        vision_end_token_id=END,
        task_names=TASKS[: draw(st.integers(1, 3))],
        matryoshka_dims=(hidden,),
        multi_vector_projector_dim=draw(st.integers(8, 20)),
    )
    config.check()
    return config


def lora_configs() -> st.SearchStrategy[LoraConfig]:
    return st.builds(LoraConfig, r=st.integers(1, 5), lora_alpha=st.sampled_from([1, 4, 7.5]), use_rslora=st.booleans())


@dataclass(frozen=True)
class Item:
    """ids of a text; or those before and after the cells of a page of so many (rows, columns) of cells."""

    before: tuple[int, ...]
    cells: tuple[int, int] | None = None
    after: tuple[int, ...] = ()


def texts() -> st.SearchStrategy[Item]:
    return st.builds(Item, st.lists(st.integers(0, VOCAB - 1), min_size=1, max_size=40).map(tuple))


def pages() -> st.SearchStrategy[Item]:
    words = st.lists(st.integers(6, VOCAB - 2), max_size=5).map(tuple)
    some = st.sampled_from([(5, 7), (7, 5), (9, 9), (6, 5), (4, 8), (2, 3), (1, 1), (1, 20), (20, 1), (11, 2)])
    grids = st.one_of(some, st.tuples(st.integers(1, 12), st.integers(1, 12)))
    return st.builds(Item, words.map(lambda ids: (*ids, START)), grids, words.map(lambda ids: (END, *ids)))


def batches(*, most: int = 5) -> st.SearchStrategy[list[Item]]:
    return st.lists(st.one_of(texts(), pages()), min_size=1, max_size=most)


seeds = st.integers(0, 2**31 - 1)


def random_tower(config: ModelConfig, lora: LoraConfig | None, seed: int) -> Embedder:
    """Weights at which every part matters: norms near 1, biases that show, adapters as strong as half the base."""
    torch.manual_seed(seed)
    tower = Embedder(config)
    for name in config.adapter_names if lora else ():
        assert lora is not None
        tower.add_adapter(name, lora)
    for name, weight in tower.named_parameters():
        scale = 0.5 / lora.scale if lora and ".lora_B." in name else 1.0
        if name.endswith("embed_tokens.weight"):
            nn.init.normal_(weight)
        elif weight.dim() > 1:
            nn.init.normal_(weight, std=scale * weight[0].numel() ** -0.5)
        elif name.endswith("bias"):
            nn.init.normal_(weight, std=0.2)
        else:
            nn.init.uniform_(weight, 0.7, 1.3)
    return tower.eval()


def sequences_of(items: Sequence[Item], config: ModelConfig, seed: int) -> list[TokenSequence]:
    torch.manual_seed(seed)
    vision = config.vision
    width = vision.in_channels * vision.temporal_patch_size * vision.patch_size**2
    sequences = []
    for item in items:
        if item.cells is None:
            sequences.append(TokenSequence(torch.tensor(item.before)))
            continue
        rows, columns = item.cells
        ids = torch.tensor([*item.before, *[IMAGE] * (rows * columns), *item.after])
        pixels = torch.randn(4 * rows * columns, width)
        sequences.append(TokenSequence(ids, Patches(pixels, (2 * rows, 2 * columns), len(item.before))))
    return sequences


# ---- the other side


class Reference(nn.Module):
    """The released model made of transformers' parts, weights and adapters under the released names."""

    def __init__(self, tower: Embedder) -> None:
        super().__init__()
        self.tower_config = tower.config
        raw = tower.config.as_json()
        config = Qwen2_5_VLConfig(
            text_config=raw["text_config"],
            vision_config=raw["vision_config"],
            image_token_id=IMAGE,
            video_token_id=VIDEO,
            vision_start_token_id=START,
            vision_end_token_id=END,
        )
        config._attn_implementation = "sdpa"
        self.model = Qwen2_5_VLModel(config)
        self.multi_vector_projector = nn.Linear(tower.config.text.hidden_size, tower.config.multi_vector_projector_dim)
        self.eval()

    @classmethod
    def merged(cls, tower: Embedder, adapter: str | None) -> Reference:
        """With one adapter added to the weights."""
        reference = cls(tower)
        weights = base_weights(tower)
        if adapter is not None:
            tensors = theirs(tower, adapter_layout(tower.config), torch.float32)
            for name in tensors:
                if name.endswith(f".lora_A.{adapter}.weight"):
                    delta = tensors[name.replace(".lora_A.", ".lora_B.")].double() @ tensors[name].double()
                    target = name.removeprefix("base_model.model.").removesuffix(f".lora_A.{adapter}.weight") + ".weight"
                    weights[target] = (weights[target].double() + tower.lora[adapter].scale * delta).float()
        reference.load_state_dict(weights)
        return reference

    def positions(self, sequence: TokenSequence) -> Tensor | None:
        if sequence.patches is None:
            return None
        ids: Any = sequence.ids[None]
        positions, _ = self.model.get_rope_index(ids, mm_token_type_ids=(ids == IMAGE).int(), image_grid_thw=grid_of(sequence.patches))
        return positions

    def forward(self, sequence: TokenSequence) -> tuple[Tensor, Tensor, Tensor]:
        """Hidden states [n, C], dense [C] and tokens [n, m] of one item, by the released rules."""
        extra: dict[str, Any] = {}
        first, last = 0, len(sequence.ids)
        if sequence.patches is not None:
            extra = {"pixel_values": sequence.patches.pixels, "image_grid_thw": grid_of(sequence.patches)}
            ids = sequence.ids.tolist()
            first, last = ids.index(START), ids.index(END) + 1
        positions = self.positions(sequence)
        hidden = self.model(input_ids=sequence.ids[None], position_ids=positions, use_cache=False, **extra).last_hidden_state[0]
        tokens = F.normalize(self.multi_vector_projector(hidden), dim=-1)
        return hidden, F.normalize(hidden[first:last].mean(0), dim=-1), tokens


def grid_of(patches: Patches) -> Any:
    """A page's (time, rows, columns) as transformers takes it."""
    return torch.tensor([[1, *patches.grid]])


def base_weights(tower: Embedder) -> dict[str, Tensor]:
    """The tower's own weights under the names of `Reference`."""
    return {renamed(name): tensor for name, tensor in theirs(tower, base_layout(tower.config), torch.float32).items()}


def renamed(name: str) -> str:
    if name.startswith("visual."):
        return f"model.{name}"
    return name.replace("model.", "model.language_model.", 1) if name.startswith("model.") else name


# ---- comparing


@contextmanager
def hidden_states(tower: Embedder) -> Iterator[list[Tensor]]:
    """The decoder's outputs while the context lasts."""
    seen: list[Tensor] = []
    handle = tower.decoder.register_forward_hook(lambda module, inputs, output: seen.append(output))
    try:
        yield seen
    finally:
        handle.remove()


def assert_agrees(tower: Embedder, reference: Reference, sequences: list[TokenSequence], *, adapters: str | None, **options: bool) -> None:
    with hidden_states(tower) as seen:
        vectors = tower(sequences, adapters=adapters, **options)
    assert vectors.lengths == [len(sequence.ids) for sequence in sequences]
    parts = zip(torch.split(seen[0], vectors.lengths), vectors.dense, torch.split(vectors.tokens, vectors.lengths), strict=True)
    for sequence, (hidden, dense, tokens) in zip(sequences, parts, strict=True):
        their_hidden, their_dense, their_tokens = reference(sequence)
        length = their_hidden.norm(dim=-1, keepdim=True)
        for ours, expected in ((hidden / length, their_hidden / length), (dense, their_dense), (tokens, their_tokens)):
            torch.testing.assert_close(ours, expected, atol=WITHIN, rtol=0)


def assert_same(left: Vectors, right: Vectors, *, within: float = 0.0) -> None:
    torch.testing.assert_close(left.dense, right.dense, atol=within, rtol=0)
    torch.testing.assert_close(left.tokens, right.tokens, atol=within, rtol=0)
    assert left.lengths == right.lengths


def item_of(vectors: Vectors, i: int) -> Vectors:
    return Vectors(vectors.dense[i : i + 1], torch.split(vectors.tokens, vectors.lengths)[i], [vectors.lengths[i]])


def examples(count: int) -> settings:
    # no shrinking: it takes minutes here, and a found configuration is small already
    phases = (Phase.explicit, Phase.generate)
    return settings(max_examples=count, deadline=None, derandomize=True, phases=phases, suppress_health_check=list(HealthCheck))


# ---- transformers and peft


@examples(40)
@given(configs(), batches(), seeds)
def test_the_bare_tower_is_that_of_transformers(config: ModelConfig, items: list[Item], seed: int) -> None:
    tower = random_tower(config, None, seed)
    reference, sequences = Reference.merged(tower, None), sequences_of(items, config, seed)
    with torch.no_grad():
        assert_agrees(tower, reference, sequences, adapters=None)
        assert_agrees(tower, reference, sequences, adapters=None, as_released=True)
    assert_agrees(tower, reference, sequences, adapters=None)


@examples(30)
@given(configs(), lora_configs(), batches(), seeds)
def test_adapters_are_those_of_transformers_with_them_merged(config: ModelConfig, lora: LoraConfig, items: list[Item], seed: int) -> None:
    tower = random_tower(config, lora, seed)
    sequences = sequences_of(items, config, seed)
    with torch.no_grad():
        for adapter in config.adapter_names:
            reference = Reference.merged(tower, adapter)
            assert_agrees(tower, reference, sequences, adapters=adapter)
            assert_agrees(tower, reference, sequences, adapters=adapter, as_released=True)


@examples(15)
@given(configs(), lora_configs(), batches(), seeds)
def test_adapters_are_those_of_peft(config: ModelConfig, lora: LoraConfig, items: list[Item], seed: int) -> None:
    tower = random_tower(config, lora, seed)
    reference = Reference(tower)
    reference.load_state_dict(base_weights(tower))
    tensors = theirs(tower, adapter_layout(config), torch.float32)
    raw: Any = {key: value for key, value in lora.as_json().items() if key != "peft_type"}
    wrapped = peft.PeftModel(reference, peft.LoraConfig(**raw), adapter_name=config.adapter_names[0])
    for name in config.adapter_names[1:]:
        wrapped.add_adapter(name, peft.LoraConfig(**raw))
    own = {name for name in wrapped.state_dict() if ".lora_" in name}
    assert own == set(tensors)  # peft adapts the very layers that the released layout has adapters for
    wrapped.load_state_dict(tensors, strict=False)
    wrapped.eval()
    sequences = sequences_of(items, config, seed)
    with torch.no_grad():
        for name in config.adapter_names:
            wrapped.set_adapter(name)
            assert_agrees(tower, reference, sequences, adapters=name)
            assert_agrees(tower, reference, sequences, adapters=name, as_released=True)


@examples(60)
@given(configs(), pages())
def test_positions_are_those_of_transformers(config: ModelConfig, item: Item) -> None:
    with torch.device("meta"):
        tower = Embedder(config)
        reference = Reference(tower)
    (sequence,) = sequences_of([item], config, 0)
    expected = reference.positions(sequence)
    assert expected is not None
    assert torch.equal(tower.positions(sequence), expected[:, 0])


@examples(15)
@given(configs(), batches(most=3), seeds)
def test_gradients_of_every_weight_are_those_of_transformers(config: ModelConfig, items: list[Item], seed: int) -> None:
    tower = random_tower(config, None, seed)
    reference, sequences = Reference.merged(tower, None), sequences_of(items, config, seed)
    with torch.inference_mode():
        tower(sequences, adapters=None)  # what this leaves behind must not hinder the pass with gradients
    vectors = tower(sequences, adapters=None)
    towards_dense, towards_tokens = torch.randn_like(vectors.dense), torch.randn_like(vectors.tokens)
    ((vectors.dense * towards_dense).sum() + (vectors.tokens * towards_tokens).sum()).backward()
    for sequence, dense_to, tokens_to in zip(sequences, towards_dense, torch.split(towards_tokens, vectors.lengths), strict=True):
        _, dense, tokens = reference(sequence)
        ((dense * dense_to).sum() + (tokens * tokens_to).sum()).backward()
    expected = {name: weight.grad for name, weight in reference.named_parameters()}
    for ours, names in base_layout(config).items():
        grad = tower.get_parameter(ours).grad
        if grad is None:  # the vision tower in a batch of texts
            assert all(expected[renamed(name)] is None for name in names)
            continue
        rows = [shape[0] for shape in shapes_of_parts(tower, ours, len(names))]
        for name, part in zip(names, torch.split(grad, rows), strict=True):
            other = expected[renamed(name)]
            assert other is not None
            # a gradient sums over all tokens and may be of any size; 1e-4 of its largest value is a few hundred roundings
            torch.testing.assert_close(part, other, atol=1e-4 * max(1.0, other.abs().max().item()), rtol=0)


# ---- one item and its neighbours


@examples(30)
@given(configs(), lora_configs(), batches(most=7), seeds, st.randoms(use_true_random=False))
def test_an_item_gets_the_same_vectors_alone_and_in_any_batch_and_order(
    config: ModelConfig, lora: LoraConfig, items: list[Item], seed: int, random: Any
) -> None:
    tower = random_tower(config, lora, seed)
    sequences = sequences_of([*items, items[0]], config, seed)  # one of them twice, on a page with other pixels
    order = list(range(len(sequences)))
    random.shuffle(order)
    with torch.no_grad():
        for as_released in (False, True):
            for adapter in (None, TASKS[0]):
                together = tower(sequences, adapters=adapter, as_released=as_released)
                shuffled = tower([sequences[i] for i in order], adapters=adapter, as_released=as_released)
                for place, i in enumerate(order):
                    alone = tower([sequences[i]], adapters=adapter, as_released=as_released)
                    within = ALONE_AS_RELEASED if as_released else ALONE
                    assert_same(item_of(together, i), alone, within=within)
                    assert_same(item_of(shuffled, place), alone, within=within)


@examples(30)
@given(configs(), lora_configs(), batches(), seeds, st.data())
def test_items_of_different_adapters_share_a_pass(
    config: ModelConfig, lora: LoraConfig, items: list[Item], seed: int, data: st.DataObject
) -> None:
    tower = random_tower(config, lora, seed)
    sequences = sequences_of(items, config, seed)
    adapters = [data.draw(st.sampled_from([None, *config.adapter_names])) for _ in items]
    with torch.no_grad():
        mixed = tower(sequences, adapters=adapters, as_released=True)
        for i, (sequence, adapter) in enumerate(zip(sequences, adapters, strict=True)):
            alone = tower([sequence], adapters=adapter, as_released=True)
            assert_same(item_of(mixed, i), alone, within=ALONE_AS_RELEASED)
            assert_same(alone, tower([sequence], adapters=adapter), within=WITHIN)  # merged
        if len(set(adapters)) > 1:
            assert_same(tower(sequences, adapters=adapters), mixed, within=WITHIN)
    assert_same(tower(sequences, adapters=adapters), mixed, within=WITHIN)  # with gradients


@examples(20)
@given(configs(), pages(), st.integers(2, 6), st.integers(1, 400), seeds)
def test_how_many_pages_the_vision_tower_sees_at_once_changes_nothing(
    config: ModelConfig, item: Item, count: int, limit: int, seed: int
) -> None:
    tower = random_tower(config, None, seed)
    sequences = sequences_of([item] * count, config, seed)
    seen: list[tuple[int, int]] = []
    tower.vision.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].shape[:2]))
    with torch.no_grad(), pytest.MonkeyPatch.context() as patch:
        whole = tower(sequences, adapters=None)
        seen.clear()
        patch.setattr(embedder_module, "VISION_BATCH_PATCHES", {"cpu": limit})
        assert_same(tower(sequences, adapters=None), whole, within=ALONE)
    assert sum(images for images, _ in seen) == count
    assert all(images * patches <= limit or images == 1 for images, patches in seen)


@examples(20)
@given(configs(), texts(), st.lists(st.sampled_from([IMAGE, START, END]), min_size=1, max_size=12), pages(), seeds)
def test_a_text_that_spells_image_tokens_disturbs_no_other_item(
    config: ModelConfig, text: Item, spelled: list[int], page: Item, seed: int
) -> None:
    tower = random_tower(config, None, seed)
    reference = Reference.merged(tower, None)
    hostile = replace(text, before=(*text.before, *spelled))
    sequences = sequences_of([hostile, text, page, hostile], config, seed)
    with torch.no_grad():
        together = tower(sequences, adapters=None)
        for i, sequence in enumerate(sequences):
            assert_same(item_of(together, i), tower([sequence], adapters=None), within=ALONE)
        assert_agrees(tower, reference, sequences[:2], adapters=None)  # such a text is read as its token ids, over all of them
