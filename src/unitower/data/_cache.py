"""What took long to find out about data, kept between runs: where rows stand in a file, files unpacked.

Everything here may be deleted at any time. The folder is $UNITOWER_CACHE, else unitower in $XDG_CACHE_HOME or ~/.cache.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np
import numpy.typing as npt

Arrays: TypeAlias = dict[str, npt.NDArray[Any]]

FORMAT = 1
"""Raised whenever what is found out, or how it is written down, changes."""


def folder() -> Path:
    """Where things are kept; it need not exist."""
    if given := os.environ.get("UNITOWER_CACHE"):
        return Path(given).expanduser() / "data"
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "unitower" / "data"


def place(name: str, key: object, *, suffix: str) -> Path:
    """The file that holds `name` for `key`: anything JSON can write that decides what is in it."""
    digest = hashlib.sha256(json.dumps([FORMAT, name, key], sort_keys=True, default=str).encode()).hexdigest()[:32]
    return folder() / f"{name}-{digest}{suffix}"


def arrays(name: str, key: object, make: Callable[[], Arrays]) -> Arrays:
    """What `make` gives, from the last time it was made for this key, if that is still there.

    Where nothing can be kept (no home, no room, a disk that is not written to) it is made every time.
    """
    path = place(name, key, suffix=".npz")
    with suppress(Exception), np.load(path, allow_pickle=False) as kept:  # zipfile and numpy raise a dozen kinds on damaged files
        return {field: kept[field] for field in kept.files}
    made = make()
    with suppress(OSError), written(path) as file:
        np.savez(file, **made)  # type: ignore[arg-type]
    return made


@contextmanager
def written(path: Path) -> Iterator[IO[bytes]]:
    """A new file that takes its name when it is whole: processes that make the same one at once do not disturb each other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
        Path(temporary).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(temporary).unlink()
        raise


def packed(value: Mapping[str, Any] | list[Any]) -> npt.NDArray[np.uint8]:
    """Names and the like as an array, to lie among `arrays`; `unpacked` gives them back."""
    return np.frombuffer(json.dumps(value).encode(), np.uint8)


def unpacked(array: npt.NDArray[Any]) -> Any:
    return json.loads(array.tobytes())
