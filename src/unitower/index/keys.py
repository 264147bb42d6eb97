"""Names of files: the key a file goes by inside an index, and the path a person is shown."""

from __future__ import annotations

import os
from pathlib import Path

from unitower.index.ledger import Ledger


class Keys:
    """Path <-> key for the index in `folder`.

    A key is the path relative to the folder that holds the index where it lies beneath that, else absolute; with POSIX
    slashes. Links in a path are not followed, so that what is reached through a link is recorded, shown and forgotten under
    the name it was given by.
    """

    def __init__(self, folder: Path) -> None:
        self.root = Path(os.path.realpath(folder.parent))

    def of(self, path: str | Path) -> str:
        """Key of a path, on disk or not; "" for the folder that holds the index.

        Bytes of a name that are no text are written \\xNN, as `ingest.walk` does.
        """
        absolute = without_dots(path)
        if not absolute.is_relative_to(self.root):
            # Another name of the root itself (/tmp and /private/tmp, a linked home) must not give a file two keys.
            names = (Path(os.path.realpath(absolute.parent)) / absolute.name, Path(os.path.realpath(absolute)))
            absolute = next((name for name in names if name.is_relative_to(self.root)), absolute)
        key = absolute.relative_to(self.root) if absolute.is_relative_to(self.root) else absolute
        return "" if key == Path() else os.fsencode(key.as_posix()).decode("utf-8", "backslashreplace")

    def path(self, key: str) -> Path:
        """Absolute path of a key."""
        return self.root / key

    def beneath(self, path: str | Path, ledger: Ledger) -> list[str]:
        """Recorded keys of a file, or of all files beneath a folder, whether it is still on disk or not; by whole names, sorted."""
        key = self.of(path)
        if key and not self.root.is_relative_to(key):
            return ledger.beneath(key)
        return [file.key for file in ledger.files() if self.path(file.key).is_relative_to(self.root / key)]

    def shown(self, key: str) -> str:
        """The path as given to a person: relative to the current directory when beneath it, else absolute."""
        path = self.path(key)
        here = Path.cwd()
        return (path.relative_to(here) if path.is_relative_to(here) else path).as_posix()


def without_dots(path: str | Path) -> Path:
    """The absolute path without `.` and `..`; what stands before a `..` is resolved, since it may be a link."""
    parts = Path(path).absolute().parts
    last = max((i for i, part in enumerate(parts) if part == ".."), default=-1)
    return Path(os.path.realpath(Path(*parts[: last + 1])), *parts[last + 1 :]) if last >= 0 else Path(*parts)
