"""What every loss must do, run on each file of src/unitower/losses by its kind, and on a few of their options."""

from __future__ import annotations

import doctest
import importlib
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from unitower import losses
from unitower.losses import joint, matryoshka
from unitower.losses.joint import Scored

Loss = Callable[..., Tensor]


def joint_of_heads(dense_BM: Tensor, late_BM: Tensor, **options: Any) -> Tensor:
    return joint.loss(text=Scored(dense=dense_BM, late=late_BM), pages=Scored(dense=dense_BM, late=late_BM), **options).total


def info_nce_at_two_widths(scores_BM: Tensor, **options: Any) -> Tensor:
    base = partial(losses.find("info_nce"), **options)
    return matryoshka.loss(base, {1: 0.5 * scores_BM, 2: scores_BM}, weights={1: 1.0, 2: 0.25})


CASES: dict[str, tuple[str, Loss]] = {name: (losses.kind(name), losses.find(name)) for name in losses.names()} | {
    "info_nce both ways": ("pairs", partial(losses.find("info_nce"), both_ways=True)),
    "info_nce at two widths": ("pairs", info_nce_at_two_widths),
    "hard_negatives both ways": ("triplets", partial(losses.find("hard_negatives"), both_ways=True)),
    "joint": ("heads", joint_of_heads),
    "joint both ways": ("heads", partial(joint_of_heads, both_ways=True)),
}
every_case = pytest.mark.parametrize(("kind", "loss"), CASES.values(), ids=CASES)


def batch(kind: str, *, size: int = 5, seed: int = 0, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """Arguments of a loss of that kind: scores around 0.3, no two alike, and more columns than rows where that may be."""
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> Tensor:
        return (0.3 + 0.05 * torch.randn(*shape, generator=generator, dtype=torch.float64)).to(dtype)

    if kind == "pairs":
        return [random(size, size + 2)]
    if kind == "triplets":
        return [random(size, size), random(size, 2 * size)]
    if kind == "grades":
        return [random(size), torch.randperm(size, generator=generator).to(torch.float64)]
    return [random(size, size), random(size, size)]


def scores_of(kind: str, arguments: list[Tensor]) -> list[Tensor]:
    """Those of the arguments that are scores, ready to be differentiated."""
    return [argument.requires_grad_() for argument in (arguments[:1] if kind == "grades" else arguments)]


def shuffled(kind: str, arguments: list[Tensor], seed: int = 1) -> list[Tensor]:
    """The same batch in another order."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randperm(len(arguments[0]), generator=generator)
    if kind == "grades":
        return [argument[rows] for argument in arguments]
    further = arguments[0].shape[1] - len(rows)
    columns = torch.cat([rows, len(rows) + torch.randperm(further, generator=generator)])
    if kind == "triplets":
        return [arguments[0][rows][:, columns], arguments[1][rows][:, torch.randperm(arguments[1].shape[1], generator=generator)]]
    return [argument[rows][:, columns] for argument in arguments]


def improved(kind: str, arguments: list[Tensor], step: float) -> list[Tensor]:
    """The same batch with what is right scored higher; for two heads, with the late scores nearer to the dense ones."""
    first, *others = arguments
    if kind == "grades":
        return [first + step * 0.1 * torch.nn.functional.one_hot(others[0].argmax(), len(first)), *others]
    if kind == "heads":
        return [first, others[0] + step * (first - others[0])]
    return [first + step * 0.1 * torch.eye(*first.shape, dtype=first.dtype), *others]


@pytest.mark.parametrize("name", losses.names())
def test_a_loss_names_its_kind(name: str) -> None:
    assert losses.kind(name) in get_args(losses.Kind)


@pytest.mark.parametrize("name", losses.names())
def test_the_docstring_has_the_equation_and_a_value_by_hand_that_is_true(name: str) -> None:
    module = importlib.import_module(f"unitower.losses.{name}")
    example = doctest.DocTestFinder(recurse=False).find(module.loss, name, globs=vars(module))[0]
    assert "L = " in example.docstring
    results = doctest.DocTestRunner().run(example)
    assert results.attempted
    assert not results.failed


@every_case
@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_loss_and_gradient_are_finite_and_in_full_precision(kind: str, loss: Loss, size: int, dtype: torch.dtype) -> None:
    arguments = batch(kind, size=size, dtype=dtype)
    scores = scores_of(kind, arguments)
    value = loss(*arguments)
    value.backward()
    assert value.shape == ()
    assert value.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert value.isfinite()
    assert value >= -1e-6  # a divergence of zero may be rounded below it
    assert all(score.grad is not None and score.grad.isfinite().all() for score in scores)


@every_case
@pytest.mark.parametrize("level", [0.0, 1.0, -1.0, 60.0])
def test_scores_that_are_all_alike_have_a_finite_loss_and_gradient(kind: str, loss: Loss, level: float) -> None:
    arguments = batch(kind)
    arguments = (
        [torch.full_like(each, level) for each in arguments] if kind != "grades" else [torch.full_like(arguments[0], level), arguments[1]]
    )
    scores = scores_of(kind, arguments)
    value = loss(*arguments)
    value.backward()
    assert value.isfinite()
    assert all(score.grad is not None and score.grad.isfinite().all() for score in scores)


@every_case
def test_scores_as_wrong_as_can_be_at_a_tiny_temperature_stay_finite(kind: str, loss: Loss) -> None:
    arguments = batch(kind, dtype=torch.float32)
    wrong = improved(kind, [arguments[0], *arguments[1:]], step=-50.0)
    scores = scores_of(kind, wrong := [each.detach().clone() for each in wrong])
    value = loss(*wrong, temperature=1e-3)
    value.backward()
    assert value.isfinite()
    assert value > 1
    assert all(score.grad is not None and score.grad.isfinite().all() for score in scores)


@every_case
def test_the_gradient_reaches_every_score(kind: str, loss: Loss) -> None:
    arguments = batch(kind)
    scores = scores_of(kind, arguments)
    loss(*arguments).backward()
    for score in scores:
        assert score.grad is not None
        assert (score.grad != 0).all()


@every_case
def test_the_gradient_is_that_of_finite_differences(kind: str, loss: Loss) -> None:
    arguments = batch(kind)
    scores = scores_of(kind, arguments)
    others = arguments[len(scores) :]
    assert torch.autograd.gradcheck(lambda *each: loss(*each, *others, temperature=0.1), scores)


@every_case
def test_a_shuffled_batch_has_the_same_loss(kind: str, loss: Loss) -> None:
    arguments = batch(kind)
    torch.testing.assert_close(loss(*shuffled(kind, arguments)), loss(*arguments), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("kind", "loss"), [CASES[name] for name in CASES if "joint" not in name], ids=[n for n in CASES if "joint" not in n]
)
def test_the_loss_falls_as_what_is_right_rises(kind: str, loss: Loss) -> None:
    arguments = batch(kind)
    steps = [0.0, 0.3, 0.6, 1.0] if kind == "heads" else [-2.0, -1.0, 0.0, 1.0, 2.0]
    values = [loss(*improved(kind, arguments, step)).item() for step in steps]
    assert all(later < earlier for earlier, later in pairwise(values)), values


@every_case
def test_half_precision_scores_are_counted_in_float32(kind: str, loss: Loss) -> None:
    arguments = batch(kind, dtype=torch.bfloat16)
    exact = loss(*[argument.double() for argument in arguments])
    torch.testing.assert_close(loss(*arguments).double(), exact, rtol=1e-5, atol=1e-6)


@every_case
def test_the_arguments_are_left_as_they_were(kind: str, loss: Loss) -> None:
    arguments = batch(kind)
    before = [argument.clone() for argument in arguments]
    loss(*arguments)
    for argument, copy in zip(arguments, before, strict=True):
        assert torch.equal(argument, copy)


@every_case
@pytest.mark.parametrize("temperature", [0.0, -0.02, float("nan"), float("inf")])
def test_a_temperature_that_is_none_is_refused(kind: str, loss: Loss, temperature: float) -> None:
    with pytest.raises(ValueError, match=r"temperature is positive and finite"):
        loss(*batch(kind), temperature=temperature)


@every_case
def test_shapes_that_do_not_fit_are_refused_and_shown(kind: str, loss: Loss) -> None:
    arguments = batch(kind)
    misfits: list[list[Tensor]] = [[argument[None] for argument in arguments], [arguments[0].long(), *arguments[1:]]]
    if kind == "pairs":
        misfits += [[arguments[0][:, :3]], [arguments[0][:0]], [arguments[0][0]]]
    elif kind == "grades":
        misfits += [[arguments[0], arguments[1][:4]], [arguments[0][:, None], arguments[1]], [arguments[0], arguments[1][:, None]]]
    else:
        misfits += [[arguments[0], arguments[1][:4]], [arguments[0], arguments[1][0]], [arguments[0][:0], arguments[1][:0]]]
    for misfit in misfits:
        with pytest.raises(ValueError, match=r"\(\d|int64"):
            loss(*misfit)


def test_an_unknown_loss_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"'infonce' is not a loss: there are cosent, distill, .*info_nce"):
        losses.find("infonce")


def test_naming_the_losses_loads_no_torch() -> None:
    import subprocess
    import sys

    code = "import sys; from unitower import losses; print(losses.names(), 'torch' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "'info_nce'" in told
    assert told.strip().endswith("False")
