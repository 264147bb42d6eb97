"""Prompts from files, and many questions to an endpoint at once, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, TypeVar

from unitower.builder.endpoint import Endpoint, NoAnswer, Settings, Spent, Usage
from unitower.evaluation import toml

T = TypeVar("T")

FOLDER = Path(__file__).parent / "prompts"

LONGEST_TEXT = 6000
"""Characters of a page's text that are sent along with its picture."""


def prompt(name: str, folder: Path, own: str = "") -> str:
    """A prompt: a file of one's own beneath the folder, or ours of that name. ValueError where it cannot be read."""
    return toml.text_of(folder / own if own else FOLDER / f"{name}.txt").strip()


def filled(template: str, **values: str) -> str:
    """A prompt with its {names} filled in; other braces stay, and nothing is filled into what was filled in.

    >>> filled('{query} -> {"ok": true}', query="{query}?")
    '{query}? -> {"ok": true}'
    """
    pieces = [template]
    for name, value in values.items():
        gap = "{" + name + "}"
        split: list[str] = []
        for number, piece in enumerate(pieces):
            if number % 2:  # filled in before
                split.append(piece)
                continue
            parts = piece.split(gap)
            for part in parts[:-1]:
                split += [part, value]
            split.append(parts[-1])
        pieces = split
    return "".join(pieces)


def endpoint(options: Mapping[str, Any], folder: Path, *, where: str) -> Endpoint:
    """An endpoint of a table of a config. ValueError names what is missing, unknown or wrong in it."""
    made = Endpoint(toml.table(Settings, options, where=where), folder=folder)
    _ASKED.get([]).append(made.usage)
    return made


_ASKED: ContextVar[list[Usage]] = ContextVar("asked")


@contextmanager
def spending() -> Iterator[list[Usage]]:
    """What the endpoints that are made within come to, each as it goes on."""
    asked: list[Usage] = []
    before = _ASKED.set(asked)
    try:
        yield asked
    finally:
        _ASKED.reset(before)


def each(asked: Endpoint, things: Sequence[T], ask: Callable[[T], Any]) -> Iterator[tuple[T, Any]]:
    """Every thing with what was answered of it, in their order, so many at a time as the endpoint allows.

    Where a limit is reached, or no answer came to this one while others were answered, the answer is that error. An endpoint that has
    answered nothing at all raises it.
    """

    def careful(thing: T) -> Any:
        try:
            return ask(thing)
        except Spent as spent:
            return spent
        except NoAnswer as failed:
            if not asked.usage.answered + asked.usage.cached:
                raise
            return failed

    with ThreadPoolExecutor(max_workers=asked.settings.parallel) as pool:
        yield from zip(things, pool.map(careful, things), strict=True)
