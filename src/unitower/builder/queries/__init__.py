"""Who makes queries: one module per way, found by its file's name.

A module has

    def drafts(pages: Sequence[Page], *, folder: Path, seed: int, notes: Callable[[Dropped], None], **options) -> Iterator[Draft]

`options` are the keys of a `[[queries]]` table of a build's config but for `kind`; paths in it are relative to `folder`.

To add a way, add one module.
"""

from __future__ import annotations

import pkgutil


def kinds() -> list[str]:
    """Names of the ways there are."""
    return sorted(found.name for found in pkgutil.iter_modules(__path__) if not found.name.startswith("_"))
