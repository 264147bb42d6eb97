"""The confined process that parses source code with tree-sitter; `code` asks.

{"language": "python"} with the source as payload is answered by {"definitions": [...]}, each with the rows (0-based, both included) it
takes up with its comments and decorators ("first", "last"), the rows of its head ("head"), its "name", and its "members" likewise.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Any

from unitower.ingest.confined import Payload, serve
from unitower.ingest.grammars import ASSIGNMENTS, ATTRIBUTES, CLASSES, FUNCTION_VALUES, FUNCTIONS, GRAMMARS, LEADING, OPEN, WRAPPERS

DEEPEST = 30
"""Levels of nodes that are looked through for definitions."""
LONG_BYTES = 400
"""A statement longer than this is looked through: a module in a function call, an object full of functions."""


def answer(question: dict[str, Any], source: memoryview) -> tuple[dict[str, Any], Sequence[Payload]]:
    tree = _parser(question["language"]).parse(bytes(source))
    return {"definitions": list(_definitions(tree.root_node.children))}, []


@cache
def _parser(language: str) -> Any:
    from tree_sitter import Language, Parser

    module, function = GRAMMARS[language]
    return Parser(Language(getattr(importlib.import_module(module), function)()))


def _definitions(siblings: Iterable[Any], *, depth: int = 0, leading: int | None = None, end: int = -1) -> Iterator[dict[str, Any]]:
    """The definitions among nodes of one level and within those that are looked through, in order.

    leading  row where comments begin that no blank line parts from what follows, if there are such
    end      row where the node before ended
    """
    for node in siblings:
        first, last = node.start_point.row, _last_row(node)
        if first != end + 1:
            leading = None
        inner = _inner(node)
        if node.type in LEADING and first > end:
            leading = first if leading is None else leading
        else:
            if inner is not None:
                yield _definition(node, inner, first if leading is None else leading, last, depth)
            elif depth < DEEPEST and _is_open(node):
                yield from _definitions(node.children, depth=depth + 1, leading=leading, end=first - 1)
            leading = None
        end = max(end, last)


def _is_open(node: Any) -> bool:
    return (
        node.type in OPEN
        or node.end_byte - node.start_byte > LONG_BYTES
        or (node.type in WRAPPERS | ASSIGNMENTS and any(child.type in OPEN for child in node.named_children))
    )


def _definition(node: Any, inner: Any, first: int, last: int, depth: int) -> dict[str, Any]:
    body = _body(inner)
    members = _definitions(body.children, depth=depth + 1) if inner.type in CLASSES and body is not None and depth < DEEPEST else ()
    return {"first": first, "last": last, "head": _head(node, body), "name": _name(node, inner), "members": list(members)}


def _inner(node: Any) -> Any | None:
    """The function or class that a node is or is there for; None if it is something else."""
    if node.type in FUNCTIONS:
        return node
    if node.type in CLASSES:
        return node if _body(node) is not None else None
    if node.type in WRAPPERS or node.type in ASSIGNMENTS:
        for child in node.named_children:
            if child.type in FUNCTION_VALUES:
                return child
            if node.type in WRAPPERS or child.type in ASSIGNMENTS:
                inner = _inner(child)
                if inner is not None:
                    return inner
    return None


def _body(node: Any) -> Any | None:
    body = node.child_by_field_name("body")
    if body is None:
        body = next((child for child in node.named_children if child.type in {"declaration_list", "field_declaration_list"}), None)
    return body


def _head(node: Any, body: Any | None) -> tuple[int, int]:
    """The rows from the first that is no decorator to where the body begins."""
    first = _first_row(node)
    if body is None:
        return first, max(first, _last_row(node))
    alone = body.prev_sibling is None or body.prev_sibling.end_point.row < body.start_point.row
    return first, max(first, body.start_point.row - alone)


def _first_row(node: Any) -> int:
    while node.child_count:
        after = next((child for child in node.children if child.type not in ATTRIBUTES and child.type not in LEADING), None)
        if after is None or (after == node.children[0] and after.type not in WRAPPERS | FUNCTIONS | CLASSES):
            break
        node = after
    return int(node.start_point.row)


def _last_row(node: Any) -> int:
    """The last row with anything of the node on it: some nodes take in the line end."""
    row, column = node.end_point
    return int(row - 1 if column == 0 and row > node.start_point.row else row)


def _name(node: Any, inner: Any) -> str:
    for candidate in (inner, *inner.named_children[:1], *_between(node, inner)):
        for field in ("name", "declarator", "left", "key", "property", "type"):
            found = candidate.child_by_field_name(field)
            while found is not None and found.type.endswith("declarator"):
                deeper = found.child_by_field_name("declarator")
                if deeper is None:
                    break
                found = deeper
            if found is not None and found != inner:
                return bytes(found.text).decode("utf-8", "replace")[:200]
    return ""


def _between(node: Any, inner: Any) -> Iterator[Any]:
    """The node and what lies between it and the definition in it: an assignment, an export."""
    while node != inner:
        yield node
        within = (child for child in node.named_children if child.start_byte <= inner.start_byte and child.end_byte >= inner.end_byte)
        node = next(within, inner)


if __name__ == "__main__":
    serve(answer)
