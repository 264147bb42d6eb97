"""Where pages come from: one module per kind of source, found by its file's name.

A module has

    def pages(*, folder: Path, notes: Callable[[Dropped], None], **options) -> Iterator[Page]

`options` are the keys of a `[[sources]]` table of a build's config but for `kind`; paths in it are relative to `folder`. Pages come one
at a time, always the same ones in the same order. What cannot be read goes to `notes` with its reason and stops nothing.

To add a kind of source, add one module; tests/conformance/test_builder_kinds.py runs on it, with a line of small options in its table.
"""

from __future__ import annotations

import pkgutil


def kinds() -> list[str]:
    """Names of the kinds of source there are."""
    return sorted(found.name for found in pkgutil.iter_modules(__path__) if not found.name.startswith("_"))
