"""The seal of a store in a folder: which version of it is whole, with size and hash of every file that version is made of.

Engines with immutable files (Lance) write a commit as new files and a manifest that names them, but neither flush them to the disk
nor keep a checksum. The seal does both, after each commit and before anybody is told that it happened:

1. what is new is flushed, files first, then the folders that name them;
2. `seal.json` is written beside, flushed, renamed over the former one, and the folder flushed.

So the rename is the commit. What a process that was killed, or a machine that lost power, left beyond the seal never happened:
readers read the sealed version, the next writer takes the rest away. And what has changed since (a flipped bit, a file cut short,
replaced or gone) is told by name before it is read.

A check looks at every size and time, and at the content where the time is not the one written down, which is so after a copy or
any ordinary change; a `full` check, of `unitower doctor`, reads everything.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unitower.errors import StoreError

NAME = "seal.json"


@dataclass(frozen=True, kw_only=True)
class SealedFile:
    """A file as it was when it was sealed."""

    size: int
    mtime_ns: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Seal:
    """What is whole.

    version  of the store; 0 before its first commit
    files    those the version is made of, by path relative to the folder, with slashes
    """

    version: int = 0
    files: Mapping[str, SealedFile] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> Seal | None:
        """The seal of a folder, None where there is none. StoreError if it is damaged."""
        path = folder / NAME
        try:
            raw: Any = json.loads(path.read_bytes())
            values = raw["sealed"]
            if raw["check"] != _check(values):
                raise ValueError("its own check fails")
            files = {
                name: SealedFile(size=size, mtime_ns=mtime_ns, sha256=sha256) for name, (size, mtime_ns, sha256) in values["files"].items()
            }
            return cls(version=int(values["version"]), files=files)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise StoreError(f"{path} cannot be read: {error.strerror}.") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StoreError(damaged(folder, [f"{NAME} is damaged ({error})"])) from error

    def write(self, folder: Path) -> None:
        """Make this the seal of the folder, whole or not at all."""
        values = {
            "version": self.version,
            "files": {name: [one.size, one.mtime_ns, one.sha256] for name, one in sorted(self.files.items())},
        }
        temporary = folder / f"{NAME}.new"
        with temporary.open("w", encoding="utf-8") as file:
            json.dump({"sealed": values, "check": _check(values)}, file, indent=0)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(folder / NAME)
        flush_folder(folder)

    def next(self, folder: Path, *, version: int, names: Iterable[str]) -> Seal:
        """The seal of a version made of the files of these names. What is new among them is read once, and is on the disk at the end."""
        files: dict[str, SealedFile] = {}
        parents = set()
        for name in names:
            known = self.files.get(name)
            if known is None:
                files[name] = _flushed(folder / name)
                parents |= {parent for parent in (folder / name).parents if parent.is_relative_to(folder)}
            else:
                files[name] = known
        for parent in sorted(parents, reverse=True):
            flush_folder(parent)
        return Seal(version=version, files=files)

    def faults(self, folder: Path, *, full: bool = False) -> list[str]:
        """What is not as it was sealed, a line for each file; empty where all is well.

        full  read every file, not only those whose time has changed
        """
        return [fault for name, sealed in sorted(self.files.items()) if (fault := _fault(folder / name, name, sealed, full=full))]


def damaged(folder: Path, faults: list[str]) -> str:
    """The message for a person. A store may be deleted alone: the ledger tells what it lacks, and the next run reads that anew."""
    more = f" and {len(faults) - 3} more files" if len(faults) > 3 else ""
    return (
        f"{folder} is damaged: {'; '.join(faults[:3])}{more}. Nothing of it is used. Delete this folder and index your files again, "
        "which reads anew what was in it."
    )


def flush(path: Path) -> None:
    """Bring a file that was written to the disk."""
    with path.open("rb" if os.name == "posix" else "r+b") as file:  # Windows flushes only for those who may write
        os.fsync(file.fileno())


def flush_folder(folder: Path) -> None:
    """Make the names in a folder outlive a power cut; on systems that know no such thing, nothing."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _fault(path: Path, name: str, sealed: SealedFile, *, full: bool) -> str:
    try:
        status = path.stat()
        if status.st_size != sealed.size:
            return f"{name} has {status.st_size:,} bytes instead of {sealed.size:,}"
        if (full or status.st_mtime_ns != sealed.mtime_ns) and _sha256(path) != sealed.sha256:
            return f"{name} has changed since it was written"
    except FileNotFoundError:
        return f"{name} is missing"
    except OSError as error:
        return f"{name} cannot be read ({error.strerror})"
    return ""


def _flushed(path: Path) -> SealedFile:
    file: Any  # typeshed takes a BinaryIO for something without readinto
    flush(path)
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        return SealedFile(size=status.st_size, mtime_ns=status.st_mtime_ns, sha256=hashlib.file_digest(file, "sha256").hexdigest())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check(values: object) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
