"""The lines of a text file at any place: found once, then read by their byte offset, so that the file may be larger than memory.

A file packed with gzip is unpacked into the cache folder when it is first opened, since it can only be read from its beginning.
"""

from __future__ import annotations

import gzip
import shutil
import zlib
from collections.abc import Iterator
from pathlib import Path

from unitower.data import _cache
from unitower.errors import UnitowerError

GZIP = b"\x1f\x8b"
BOM = b"\xef\xbb\xbf"


class Lines:
    """Lines of a file, UTF-8 mark and line ends taken off; blank ones count, but are passed over.

    ValueError if there is no such file; UnitowerError if it is packed and damaged.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser()
        if not self.path.is_file():
            raise ValueError(f"there is no file {self.path}.")
        self._file = unpacked(self.path) if packed(self.path) else self.path
        self._size, self._mtime = stamp(self._file)

    @property
    def size_bytes(self) -> int:
        """Unpacked."""
        return self._size

    @property
    def identity(self) -> list[str | int]:
        """What tells this file, as it now is, from others."""
        return [str(self.path.resolve()), *stamp(self.path)]

    def __iter__(self) -> Iterator[tuple[int, int, bytes]]:
        """Number (from 1), offset and content of every line that is not blank."""
        offset = 0
        with self._file.open("rb") as file:
            for number, line in enumerate(file, start=1):
                content = plain(line, offset)
                if content:
                    yield number, offset, content
                offset += len(line)

    def at(self, offset: int) -> bytes:
        """The line that begins at an offset. UnitowerError if the file is not the one that was opened."""
        try:
            with self._file.open("rb") as file:
                if stamp(self._file) != (self._size, self._mtime):
                    raise UnitowerError(f"{self.path} has changed since it was opened. Start again, or resume where it is unchanged.")
                file.seek(offset)
                return plain(file.readline(), offset)
        except FileNotFoundError as error:
            raise UnitowerError(f"{self.path} was there when training began and is gone: {self._file} is missing.") from error


def plain(line: bytes, offset: int) -> bytes:
    return (line.removeprefix(BOM) if offset == 0 else line).strip()


def stamp(path: Path) -> tuple[int, int]:
    """Size in bytes and time of the last change in ns."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def packed(path: Path) -> bool:
    """Whether a file is in gzip, whatever it is called."""
    with path.open("rb") as file:
        return file.read(2) == GZIP


def unpacked(path: Path) -> Path:
    """The content of a gzip file as a file of its own, in the cache folder; made when it is not there."""
    to = _cache.place("unpacked", [str(path.resolve()), *stamp(path)], suffix=".jsonl")
    if to.is_file():
        return to
    try:
        with gzip.open(path) as file, _cache.written(to) as whole:
            shutil.copyfileobj(file, whole, 1 << 20)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UnitowerError(f"{path} is damaged ({error}): download it or pack it again.") from error
    except OSError as error:
        raise UnitowerError(
            f"{path} cannot be unpacked into {to.parent}: {error.strerror}. Unpack it yourself, or set UNITOWER_CACHE."
        ) from error
    return to
