"""What training makes small: one loss per file, a function of scores and of what they should be, never of a model.

A loss is a module with

    KIND: Kind                          what a batch must hold for it, see below
    def loss(...) -> Tensor             a scalar, at least zero; its docstring holds the equation and a value worked out by hand

and its arguments follow from the kind:

    pairs      loss(scores_BM, positives_B=None, *, ...)                  a column per document, one of them right for each query
    triplets   loss(scores_BM, negatives_BN, positives_B=None, *, ...)    and hard negatives, a column each
    grades     loss(scores_B, grades_B, *, ...)                           one score and one grade per pair
    heads      loss(dense_BM, late_BM, *, ...)                            the same pairs scored by both heads of the tower

Options are keywords with defaults. Scores in half precision are counted in float32; scores that do not fit together raise
ValueError with their shapes. `dense` and `late` make the scores, `matryoshka` takes them at several widths, `joint` adds up the
losses of a training step.

To add a loss, add one file; tests/conformance/test_losses.py runs on it by itself.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

if TYPE_CHECKING:
    from torch import Tensor

Kind: TypeAlias = Literal["pairs", "triplets", "grades", "heads"]

NOT_LOSSES = {"checks", "dense", "joint", "late", "matryoshka"}


def names() -> list[str]:
    """Names of the losses there are: the files of this folder."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name not in NOT_LOSSES)


def find(name: str) -> Callable[..., Tensor]:
    """The loss function of that name. ValueError names those there are."""
    _known(name)
    return cast("Callable[..., Tensor]", importlib.import_module(f"{__name__}.{name}").loss)


def kind(name: str) -> Kind:
    """What a batch must hold for the loss of that name. ValueError names those there are."""
    _known(name)
    return cast("Kind", importlib.import_module(f"{__name__}.{name}").KIND)


def _known(name: str) -> None:
    if name not in names():
        raise ValueError(f"{name!r} is not a loss: there are {', '.join(names())}.")


__all__ = ["Kind", "find", "kind", "names"]
