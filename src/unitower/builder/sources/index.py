"""The files of an index: pages, passages and pieces of code, read again from where they lie, under the ids the index has for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from unitower import ingest
from unitower.builder.types import Dropped, Page
from unitower.errors import StoreError, UnreadableFile
from unitower.index.folder import FOLDER, LEDGER, Index
from unitower.index.keys import Keys
from unitower.index.ledger import Ledger


def pages(*, folder: Path, notes: Callable[[Dropped], None], path: str, texts: bool = True) -> Iterator[Page]:
    """What an index holds.

    path   its folder, or the folder that holds it as `.unitower`
    texts  also passages and code, as documents without a picture

    A file that is gone or cannot be read any more is noted. StoreError if there is no index.
    """
    place = folder / path
    place = place if Index.exists(place) else place / FOLDER
    if not Index.exists(place):
        raise StoreError(f"there is no index in {folder / path}. Make one with `unitower index PATH`.")
    keys = Keys(place)
    with Ledger(place / LEDGER) as ledger:
        known = [(file.key, {item.id for item in ledger.items(file.key)}) for file in ledger.files()]
    for key, ids in sorted(known):
        try:
            for item in ingest.read(keys.path(key), key=key):
                if item.id in ids and (texts or not isinstance(item.content, str)):
                    image = None if isinstance(item.content, str) else item.content
                    yield Page(id=item.id, image=image, text=item.text if image else str(item.content))
        except (UnreadableFile, OSError) as error:
            notes(Dropped(what="page", name=key, reason="unreadable", detail=str(error)))
