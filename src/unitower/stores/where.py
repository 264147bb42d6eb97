"""A condition on what is searched: `lang = 'de' and path like 'reports/%'`.

The language is the part of SQL that people type: comparisons, `like` and `ilike` with % and _, `in`, `between`, `is null`, `and`, `or`,
`not`, brackets. What has no value (a page number of a text file) meets no comparison, as in SQL. The text never reaches an engine: it is
parsed here and worked out on the columns, so that every engine keeps the same entries and nothing can be smuggled in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache, reduce
from pathlib import PurePosixPath
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from unitower.stores import Entry

Kind: TypeAlias = Literal["text", "number", "time"]
Value: TypeAlias = "str | int | float"
Columns: TypeAlias = Mapping[str, Any]
"""Column name -> pyarrow array with a value, or none, for each entry."""
Meets: TypeAlias = Callable[[Columns], Any]
"""Columns -> whether each entry meets a condition: true, false, or neither where it has no value."""

COLUMNS: Mapping[str, Kind] = {
    "path": "text",
    "kind": "text",
    "page": "number",
    "modality": "text",
    "lang": "text",
    "size": "number",
    "modified": "time",
}
"""What can be asked: path as the index keeps it; kind, the suffix without its dot; page; modality (image, text, code); lang, of a text
or a program, where it is known (`de`, `python`); size of the file in bytes; modified, when the file was changed, in local time."""

UNITS = {"": 1, "b": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9}

DEEPEST = 50
"""Brackets and `not`s inside each other."""

EARLIEST, LATEST = -(2**63), 2**63 - 1
"""Nanoseconds since 1970 that a column can hold: from 1677-09-21 to 2262-04-11."""


def facts(entry: Entry) -> dict[str, str | int | None]:
    """An entry's value in each column; times in nanoseconds since 1970."""
    return {
        "path": entry.source.path,
        "kind": PurePosixPath(entry.source.path).suffix.lower().removeprefix("."),
        "page": entry.source.page,
        "modality": entry.modality,
        "lang": entry.metadata.get("language") or entry.metadata.get("lang"),
        "size": entry.size_bytes,
        "modified": entry.modified_ns,
    }


def arrays(entries: Sequence[Entry], names: Collection[str]) -> dict[str, Any]:
    """Columns of entries, in their order, as pyarrow arrays."""
    import pyarrow as pa

    rows = [facts(entry) for entry in entries]
    kinds = {"text": pa.string(), "number": pa.int64(), "time": pa.int64()}
    return {name: pa.array([row[name] for row in rows], kinds[COLUMNS[name]]) for name in names}


@dataclass(frozen=True, kw_only=True)
class Where:
    """A condition that was understood.

    text   as it was typed
    names  columns it asks for
    """

    text: str
    names: frozenset[str]
    _meets: Meets

    def mask(self, columns: Columns) -> npt.NDArray[np.bool_]:
        """Whether each entry meets it."""
        import pyarrow.compute as pc

        met: npt.NDArray[np.bool_] = pc.fill_null(self._meets(columns), False).to_numpy(zero_copy_only=False)
        return met


@lru_cache(maxsize=100)
def parse(text: str) -> Where:
    """The condition in a text. ValueError tells where it stops making sense, and which columns there are.

    >>> sorted(parse("lang = 'de' and (page < 3 or size > 2MB)").names)
    ['lang', 'page', 'size']
    >>> parse("author = 'me'")
    Traceback (most recent call last):
    ValueError: there is no column 'author' to search by; there are path, kind, page, modality, lang, size, modified.
    """
    reading = _Reading(text)
    meets = reading.either(0)
    if reading.peek():
        raise reading.error("`and`, `or` or the end")
    return Where(text=text, names=frozenset(reading.names), _meets=meets)


_TOKEN = re.compile(
    r"""\s*(?: (?P<text>'(?:[^']|'')*') | (?P<number>-?\d+(?:\.\d+)?)\s?(?P<unit>[kKmMgG]?[bB])?(?!\w)
    | (?P<word>[A-Za-z_][A-Za-z_0-9]*) | (?P<sign><=|>=|<>|!=|==|[=<>(),]) )""",
    re.VERBOSE,
)

_SIGNS = {
    "=": "equal",
    "==": "equal",
    "!=": "not_equal",
    "<>": "not_equal",
    "<": "less",
    "<=": "less_equal",
    ">": "greater",
    ">=": "greater_equal",
}
_RESERVED = {"and", "or", "not", "in", "like", "ilike", "between", "is", "null"}


class _Reading:
    """Recursive descent over the tokens of one condition."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.names: set[str] = set()
        self.tokens: list[tuple[str, Value, int]] = []  # kind, value, place
        self.at = place = 0
        end = len(text.rstrip())
        while place < end:
            match = _TOKEN.match(text, place)
            if match is None:
                shown = text[place:].strip()
                hint = " A text stands in single quotes: lang = 'de'." if shown[0] in "\"'" else ""
                raise ValueError(f"the condition {text!r} makes no sense at {shown[:20]!r}.{hint}")
            kind = str(match.lastgroup) if match.lastgroup != "unit" else "number"
            value: Value = match[kind]
            if kind == "text":
                value = str(value)[1:-1].replace("''", "'")
            elif kind == "number":
                value = float(value) * UNITS[(match["unit"] or "").lower()]
            elif kind == "word" and str(value).lower() in _RESERVED:
                kind, value = "reserved", str(value).lower()
            self.tokens.append((kind, value, match.start(kind) if kind != "reserved" else match.start("word")))
            place = match.end()
        if not self.tokens:
            raise ValueError("the condition is empty: write one like lang = 'de' or path like 'reports/%'.")

    def peek(self, *values: str) -> bool:
        """Whether a token is left, and is one of the values if any are given."""
        if self.at >= len(self.tokens):
            return False
        kind, value, _ = self.tokens[self.at]
        return not values or (kind in ("reserved", "sign") and value in values)

    def skip(self, *values: str) -> str | None:
        if not self.peek(*values):
            return None
        self.at += 1
        return str(self.tokens[self.at - 1][1])

    def must(self, value: str) -> None:
        if not self.skip(value):
            raise self.error(f"`{value}`")

    def error(self, expected: str) -> ValueError:
        there = repr(self.text[self.tokens[self.at][2] :][:20]) if self.at < len(self.tokens) else "its end"
        return ValueError(f"the condition {self.text!r} makes no sense at {there}: {expected} is expected there.")

    def either(self, depth: int) -> Meets:
        met = [self.both(depth)]
        while self.skip("or"):
            met.append(self.both(depth))
        return _joined("or_kleene", met)

    def both(self, depth: int) -> Meets:
        met = [self.one(depth)]
        while self.skip("and"):
            met.append(self.one(depth))
        return _joined("and_kleene", met)

    def one(self, depth: int) -> Meets:
        if depth > DEEPEST:
            raise ValueError(
                f"the condition has more than {DEEPEST} brackets or `not`s inside each other: leave out those that change nothing."
            )
        if self.skip("not"):
            return _denied(self.one(depth + 1))
        if self.skip("("):
            met = self.either(depth + 1)
            self.must(")")
            return met
        return self.comparison()

    def comparison(self) -> Meets:
        if not self.peek() or self.tokens[self.at][0] != "word":
            raise self.error(f"a column ({', '.join(COLUMNS)})")
        name = str(self.tokens[self.at][1]).lower()
        if name not in COLUMNS:
            raise ValueError(f"there is no column {name!r} to search by; there are {', '.join(COLUMNS)}.")
        self.at += 1
        self.names.add(name)
        if self.skip("is"):
            wanted = not self.skip("not")
            self.must("null")
            return lambda columns: _call("is_null", columns[name]) if wanted else _call("is_valid", columns[name])
        denied = bool(self.skip("not"))
        if self.skip("in"):
            met = self.among(name)
        elif self.skip("between"):
            low = self.compared(name, ">=")
            self.must("and")
            met = _joined("and_kleene", [low, self.compared(name, "<=")])
        elif word := self.skip("like", "ilike"):
            met = self.like(name, ignore_case=word == "ilike")
        elif denied:
            raise self.error("`in`, `like`, `ilike` or `between`")
        elif sign := self.skip(*_SIGNS):
            met = self.compared(name, sign)
        else:
            raise self.error("a comparison (= != < <= > >= like ilike in between is)")
        return _denied(met) if denied else met

    def among(self, name: str) -> Meets:
        self.must("(")
        met = [self.compared(name, "=")]
        while self.skip(","):
            met.append(self.compared(name, "="))
        self.must(")")
        return _joined("or_kleene", met)

    def like(self, name: str, *, ignore_case: bool) -> Meets:
        if COLUMNS[name] != "text":
            raise ValueError(f"{name} is no text: compare it with = < > or between, not with like.")
        pattern = self.value(name)
        return lambda columns: _call("match_like", columns[name], pattern, ignore_case=ignore_case)

    def compared(self, name: str, sign: str) -> Meets:
        value = self.value(name)
        if COLUMNS[name] == "time":
            return _at_time(name, sign, str(value))
        return lambda columns: _call(_SIGNS[sign], columns[name], value)

    def value(self, name: str) -> Value:
        wanted = "number" if COLUMNS[name] == "number" else "text"
        if not self.peek() or self.tokens[self.at][0] != wanted:
            example = {"text": "a text in single quotes", "number": "a number", "time": "a day in single quotes, '2026-01-31',"}
            raise self.error(example[COLUMNS[name]])
        self.at += 1
        return self.tokens[self.at - 1][1]


def _at_time(name: str, sign: str, text: str) -> Meets:
    """A comparison with a moment, or with a whole day where no time of day is given; in any year, also one that no column can hold."""
    try:
        begin = datetime.fromisoformat(text)
        # Beyond what a column holds, the side is all that matters. Both years are leap years, so that every date is in them.
        begin = begin.replace(year=min(max(begin.year, 1600), 2400))
        end = begin + timedelta(days=1) if len(text) <= 10 else None
        first = _nanoseconds(begin)
        after = first + 1 if end is None else _nanoseconds(end)
    except (ValueError, OverflowError, OSError) as error:
        raise ValueError(f"{text!r} is no time: write a day, '2026-01-31', or a moment, '2026-01-31T18:00'.") from error
    since, later = _since(name, first), _since(name, after)
    equal = _joined("and_kleene", [since, _denied(later)])
    return {
        "equal": equal,
        "not_equal": _denied(equal),
        "less": _denied(since),
        "less_equal": _denied(later),
        "greater": later,
        "greater_equal": since,
    }[_SIGNS[sign]]


def _nanoseconds(moment: datetime) -> int:
    """Since 1970, of its whole second."""
    return int(moment.timestamp()) * 1_000_000_000


def _since(name: str, first: int) -> Meets:
    """Whether a time is `first` or later, in nanoseconds since 1970, which may be more or less than a column can hold."""
    if first > LATEST:
        return lambda columns: _call("greater", columns[name], LATEST)
    return lambda columns: _call("greater_equal", columns[name], max(first, EARLIEST))


def _joined(how: str, operands: Sequence[Meets]) -> Meets:
    """All of the operands, or any, by an Arrow function of two. Worked out one after the other: there may be thousands."""
    if len(operands) == 1:
        return operands[0]

    def met(columns: Columns) -> Any:
        return reduce(lambda one, other: _call(how, one, other(columns)), operands[1:], operands[0](columns))

    return met


def _denied(met: Meets) -> Meets:
    return lambda columns: _call("invert", met(columns))


def _call(name: str, *arguments: Any, **options: Any) -> Any:
    import pyarrow.compute as pc

    return getattr(pc, name)(*arguments, **options)
