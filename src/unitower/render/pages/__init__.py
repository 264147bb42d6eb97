"""The kinds of page: one module each, found by listing this folder.

A module has

    FACTS: tuple[str, ...]                                        names of what its pages may state
    STYLE: dict[str, Any]                                         what it asks of `style.style`; may be left out
    def draw(canvas: Canvas, content: Content, style: Style) -> None

`draw` lays the page out by chance (content.rng), states facts through content.state, and keeps inside the page at any size from
LEAST_SIDE_PX on: what finds no room is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from unitower.render.canvas import Canvas
    from unitower.render.content import Content
    from unitower.render.style import Style


class Kind(Protocol):
    """What a module of this folder offers."""

    FACTS: tuple[str, ...]

    def draw(self, canvas: Canvas, content: Content, style: Style) -> None: ...
