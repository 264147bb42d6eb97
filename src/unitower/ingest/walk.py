"""Files worth reading below the paths a person names: hidden and git-ignored ones left out, links followed once, nothing opened.

Everything found is put in order before the first is given out, so that the order depends on names alone. A file that is reached by
its own name and by a link goes by its own name; the name given is otherwise kept, links in it and all.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from unitower.errors import UnitowerError
from unitower.ingest.gitignore import Rules, ignored, rules_above, rules_within


class PathNotFound(UnitowerError, FileNotFoundError):
    """A path that a person named does not exist."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A regular file to read.

    path        absolute, as it was reached: links in it are kept
    size_bytes  its size
    mtime_ns    when it was last changed, in nanoseconds since 1970
    """

    path: Path
    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """A file or folder that was not followed.

    path    what a person can read: bytes of a name that are no UTF-8 are written as \\xE9
    reason  one line in plain words
    """

    path: Path
    reason: str


def walk(paths: Iterable[str | Path], *, exclude: Iterable[str | Path] = ()) -> Iterator[Candidate | Skipped]:
    """The files at and below `paths`, each real file once, sorted by path.

    What a person names is taken, hidden or git-ignored or not; below it, names that begin with a dot are left out, and what git would
    ignore by the .gitignore files there and, inside a repository, above. Sockets, pipes and devices, links that lead nowhere and
    folders that may not be opened come back as Skipped. A link to a folder that holds the link is not followed.

    exclude  folders (or files) that are left out with all they hold
    Raises PathNotFound, before anything is walked, if one of `paths` does not exist.
    """
    named = [paths] if isinstance(paths, str | Path) else list(paths)
    roots = set()
    for path in named:
        root = _absolute(path)
        if not os.fspath(path) or not os.path.lexists(root):
            raise PathNotFound(f"{_printable(os.fspath(path)) or repr('')}: no such file or folder.")
        roots.add(root)
    tour = _Tour(exclude)
    for root in sorted(roots, key=_parts):
        tour.add_root(root)
    tour.follow_links()
    return iter(sorted(tour.found, key=lambda found: found.path.parts))


@dataclass(frozen=True, kw_only=True)
class _Link:
    path: str
    rules: Sequence[Rules]
    named: bool


class _Tour:
    """What was seen on the way: real names of files and folders, and links put off until all real names are known."""

    def __init__(self, exclude: Iterable[str | Path]) -> None:
        absolute = [_absolute(path) for path in exclude]
        self.excluded = {*absolute, *(os.path.realpath(path) for path in absolute)}
        self.found: list[Candidate | Skipped] = []
        self.files: set[str] = set()
        self.folders: set[str] = set()
        self.links: list[_Link] = []

    def add_root(self, root: str) -> None:
        if any(_holds(excluded, root) for excluded in self.excluded):
            self._skip(root, "it belongs to the index")
        elif os.path.realpath(root) != root:
            self.links.append(_Link(path=root, rules=(), named=True))
        else:
            self._enter(root, root, os.stat(root), rules_above(root))

    def follow_links(self) -> None:
        while self.links:
            links, self.links = sorted(self.links, key=lambda link: _parts(link.path)), []
            for link in links:
                self._follow(link)

    def _follow(self, link: _Link) -> None:
        try:
            real = os.path.realpath(link.path, strict=True)
            status = os.stat(real)
        except OSError as error:
            self._skip(link.path, _link_trouble(link.path, error))
            return
        if any(_holds(excluded, real) for excluded in self.excluded):
            return
        if stat.S_ISDIR(status.st_mode) and not link.named and _holds(real, os.path.realpath(os.path.dirname(link.path))):
            if real not in self.folders:
                self._skip(link.path, "a link to a folder that holds the one being read: not followed")
            return
        self._enter(link.path, real, status, rules_above(link.path) if link.named else link.rules)

    def _enter(self, path: str, real: str, status: os.stat_result, rules: Sequence[Rules]) -> None:
        """Take a file, or a folder with all below it."""
        if _undecodable(path):
            self._skip(path, "its name is not valid UTF-8: rename it")
        elif stat.S_ISDIR(status.st_mode):
            folders = [(path, real, rules)]
            while folders:
                folders += self._read_folder(*folders.pop())
        elif stat.S_ISREG(status.st_mode):
            if real not in self.files:
                self.files.add(real)
                self.found.append(Candidate(path=Path(path), size_bytes=status.st_size, mtime_ns=status.st_mtime_ns))
        else:
            self._skip(path, f"not a regular file: {_kind(status.st_mode)}")

    def _read_folder(self, folder: str, real: str, above: Sequence[Rules]) -> list[tuple[str, str, Sequence[Rules]]]:
        """Take what lies directly in a folder; returns the folders in it."""
        if real in self.folders:
            return []
        self.folders.add(real)
        try:
            with os.scandir(folder) as scan:
                entries = list(scan)
        except OSError as error:
            self._skip(folder, _trouble(error))
            return []
        rules = rules_within(folder, above)
        folders: list[tuple[str, str, Sequence[Rules]]] = []
        for entry in entries:
            real_entry = os.path.join(real, entry.name)
            if entry.name.startswith(".") or entry.path in self.excluded or real_entry in self.excluded:
                continue
            try:
                if ignored(entry.path, rules, is_folder=os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir()):
                    continue
                if entry.is_symlink():
                    self.links.append(_Link(path=entry.path, rules=rules, named=False))
                elif entry.is_dir() and not _undecodable(entry.name):
                    folders.append((entry.path, real_entry, rules))
                else:
                    self._enter(entry.path, real_entry, entry.stat(follow_symlinks=False), rules)
            except OSError as error:
                self._skip(entry.path, _trouble(error))
        return folders

    def _skip(self, path: str, reason: str) -> None:
        self.found.append(Skipped(path=Path(_printable(path)), reason=reason))


def _absolute(path: str | Path) -> str:
    """Absolute, without `.` and `..`; links are kept but for those that a `..` steps back over."""
    parts = Path(os.getcwd(), path).parts
    while ".." in parts:
        back = parts.index("..")
        parts = (*Path(os.path.realpath(Path(*parts[:back]))).parent.parts, *parts[back + 1 :])
    return str(Path(*parts))


def _parts(path: str) -> tuple[str, ...]:
    return Path(path).parts


def _holds(folder: str, path: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _undecodable(path: str) -> bool:
    return any("\udc80" <= char <= "\udcff" for char in path)


def _printable(path: str) -> str:
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _kind(mode: int) -> str:
    kinds = {stat.S_IFSOCK: "a socket", stat.S_IFIFO: "a pipe", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}
    return kinds.get(stat.S_IFMT(mode), "of an unknown kind")


def _trouble(error: OSError) -> str:
    if isinstance(error, PermissionError):
        return "permission denied"
    return (error.strerror or str(error)).lower()


def _link_trouble(path: str, error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return "a link that leads back to itself"
    if isinstance(error, FileNotFoundError):
        return f"a link that leads nowhere: {_printable(os.readlink(path)) if os.path.islink(path) else 'its target'} does not exist"
    return _trouble(error)
