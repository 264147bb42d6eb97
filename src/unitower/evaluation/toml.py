"""TOML that people write: read as UTF-8, its keys and values checked against the fields or arguments they are meant for.

Cards are read with it, and what a build is told (`builder.config`). Where a list is asked for, a single value is refused with the list that
would be right: a text passes for a list of its letters otherwise.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")

CALLED = {
    str: ("a text", "texts"),
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    bool: ("true or false", "true or false"),
}
"""What one value of a type is called, and several."""

LONGEST_SHOWN = 60


def text_of(path: Path) -> str:
    """The text of a file in UTF-8, without a byte order mark. ValueError where it cannot be read or is in another encoding."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 ({error.reason} at byte {error.start + 1}): save it as UTF-8.") from error


def read(path: Path) -> dict[str, Any]:
    """The values of a TOML file. ValueError where it cannot be read, is not UTF-8, or is no TOML."""
    try:
        return tomllib.loads(text_of(path))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} is no TOML: {error}") from error


def table(kind: type[T], values: Mapping[str, Any], *, where: str) -> T:
    """A dataclass of a TOML table. Errors as of `check_fields`."""
    check_fields(values, kind, where=where)
    return kind(**values)


def check_fields(values: Mapping[str, Any], kind: type[Any], *, where: str, given: Collection[str] = ()) -> None:
    """ValueError where a table is not what the fields of a dataclass ask for.

    given  fields that do not come from the table
    """
    hints = get_type_hints(kind)
    theirs = [one for one in fields(kind) if one.name not in given]
    needed = [one.name for one in theirs if one.default is MISSING and one.default_factory is MISSING]
    check(values, {one.name: hints[one.name] for one in theirs}, needed=needed, where=where)


def check(values: Mapping[str, Any], hints: Mapping[str, Any], *, needed: Collection[str] = (), where: str) -> None:
    """ValueError names a key that is unknown or missing, or a value of the wrong type with what it should be.

    hints  key -> type of its value, as a signature has it
    """
    for key in values:
        if key not in hints:
            near = get_close_matches(key, list(hints), 1)
            raise ValueError(
                f"{where}: there is no field {key!r}" + (f"; did you mean {near[0]!r}?" if near else f" ({', '.join(hints)}).")
            )
    for key in needed:
        if key not in values:
            raise ValueError(f"{where}: {key} is missing.")
    for key, value in values.items():
        _check_value(key, value, hints[key], where=where)


def _check_value(name: str, value: Any, hint: Any, *, where: str) -> None:
    """ValueError where a value is of the wrong type; in a table, the first of its values that is."""
    kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    for kind in kinds:
        if get_origin(kind) is Mapping and isinstance(value, Mapping):
            for key, inner in value.items():
                _check_value(f"{name}.{key}", inner, get_args(kind)[1], where=where)
            return
        if _fits(value, kind):
            return
    if get_origin(hint) is Literal:
        expected = f"there are {', '.join(get_args(hint))}"
    else:
        expected = f"it is {' or '.join(map(_called, kinds))}" + (_written(name, value, hint) if len(kinds) == 1 else "")
    shown = repr(value)
    shown = shown if len(shown) <= LONGEST_SHOWN else f"{shown[: LONGEST_SHOWN - 1]}…"
    raise ValueError(f"{where}: {name} is {shown}; {expected}.")


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value of TOML is of a type; of tables, only that they are some."""
    kind, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if kind is Literal:
        return value in inner
    if _size(hint):
        return isinstance(value, list | tuple) and len(value) == _size(hint) and all(map(_fits, value, inner))
    if kind in (Sequence, tuple):
        return isinstance(value, list | tuple) and all(_fits(one, inner[0]) for one in value)
    if kind is Mapping or is_dataclass(hint):
        return isinstance(value, Mapping)
    if hint in (int, float):
        return isinstance(value, (int, hint)) and not isinstance(value, bool)
    return isinstance(value, hint)


def _size(hint: Any) -> int:
    """How many values a tuple has; 0 where it may be any number."""
    inner = get_args(hint)
    return len(inner) if get_origin(hint) is tuple and inner[-1] is not ... else 0


def _called(hint: Any) -> str:
    kind, inner = get_origin(hint), get_args(hint)
    if kind in (Sequence, tuple):
        return f"a list of {_size(hint) or ''} {CALLED.get(inner[0], ('', 'tables'))[1]}".replace("  ", " ")
    return CALLED.get(hint, ("a table", ""))[0]


def _written(name: str, value: Any, hint: Any) -> str:
    """How a list around a single value would be written; nothing where that does not help."""
    kind, inner = get_origin(hint), get_args(hint)
    if kind not in (Sequence, tuple) or _size(hint) or not _fits(value, inner[0]):
        return ""
    return f": [[{name}]] in place of [{name}]" if isinstance(value, Mapping) else f": [{json.dumps(value, ensure_ascii=False)}]"
