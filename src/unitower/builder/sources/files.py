"""Files that are read as they are: PDFs and pictures page by page; with `texts`, passages of text and code as well."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from unitower import ingest
from unitower.builder.types import Dropped, Page
from unitower.errors import UnreadableFile
from unitower.ingest.walk import Skipped, walk


def pages(
    *, folder: Path, notes: Callable[[Dropped], None], paths: Sequence[str], texts: bool = False, language: str = ""
) -> Iterator[Page]:
    """The pages of files and of all files beneath folders.

    texts     also passages of text files and source code, as documents without a picture
    language  of all of them; left out, told from their text
    """
    roots = [Path(os.path.abspath(folder / path)) for path in paths]
    base = Path(os.path.commonpath([root if root.is_dir() else root.parent for root in roots]))
    for found in walk(roots):
        if isinstance(found, Skipped):
            notes(Dropped(what="page", name=str(found.path), reason="unreadable", detail=found.reason))
            continue
        key = found.path.relative_to(base).as_posix()
        try:
            for item in ingest.read(found.path, key=key, passed_over=lambda line, key=key: notes(_lost(key, line))):  # type: ignore[misc]
                if isinstance(item.content, str):
                    if texts:
                        yield Page(id=item.id, image=None, text=item.content, language=language)
                else:
                    yield Page(id=item.id, image=item.content, text=item.text, language=language)
        except UnreadableFile as error:
            notes(_lost(key, error.reason))


def _lost(key: str, reason: str) -> Dropped:
    return Dropped(what="page", name=key, reason="unreadable", detail=reason)
