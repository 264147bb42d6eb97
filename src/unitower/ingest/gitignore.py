"""Which names git would leave out: the patterns of .gitignore files and of .git/info/exclude.

A pattern is asked about one file or folder at a time, on the way down, as git does it. That is why this is not left to a library
that judges whole paths: with `*`, `!*/` and `!*.py` every folder is entered and only Python files are kept.

git matches bytes: `?` is half of an é. Names and patterns are therefore compared as text with one character per byte.

Source: gitignore(5), and wildmatch.c of git for what brackets and stars mean.
"""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

CLASSES = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "blank": " \\t",
    "cntrl": "\\x00-\\x1f\\x7f",
    "digit": "0-9",
    "graph": "\\x21-\\x7e",
    "lower": "a-z",
    "print": "\\x20-\\x7e",
    "punct": "!-/:-@\\[-`{-~",
    "space": " \\t\\n\\r\\f\\v",
    "upper": "A-Z",
    "xdigit": "0-9A-Fa-f",
}


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """One line of a .gitignore.

    regex         matches the whole name, or the whole path below the file's folder where `anchored`
    anchored      the line has a slash before its end
    folders_only  the line ends in a slash
    negated       the line begins with `!`: what it matches is kept
    """

    regex: re.Pattern[str]
    anchored: bool
    folders_only: bool
    negated: bool


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The patterns of one file, and the folder they speak of."""

    folder: str
    patterns: Sequence[Pattern]

    def verdict(self, path: str, *, is_folder: bool) -> bool | None:
        """True: left out; False: kept against an earlier rule; None: not spoken of. `path` lies below `folder`. The last match counts."""
        below = os.fsencode(path[len(self.folder) :].lstrip(os.sep).replace(os.sep, "/")).decode("latin-1")
        name = below.rpartition("/")[2]
        for pattern in reversed(self.patterns):
            if pattern.folders_only and not is_folder:
                continue
            if pattern.regex.fullmatch(below if pattern.anchored else name):
                return not pattern.negated
        return None


def ignored(path: str, rules: Sequence[Rules], *, is_folder: bool) -> bool:
    """Whether rules, outermost first, leave a path out; the innermost that speaks of it decides. Its folder is taken to be kept."""
    for inner in reversed(rules):
        verdict = inner.verdict(path, is_folder=is_folder)
        if verdict is not None:
            return verdict
    return False


def rules_within(folder: str, above: Sequence[Rules]) -> list[Rules]:
    """The rules for what lies directly in `folder`, given those of the folders above it: a repository begins anew."""
    rules = _repository_rules(folder) if os.path.lexists(os.path.join(folder, ".git")) else list(above)
    return rules + _rules_of(os.path.join(folder, ".gitignore"), folder)


def rules_above(folder: str) -> list[Rules]:
    """The rules that reach `folder` from outside: those of its parents up to the repository's root; none where there is no repository."""
    parents = []
    parent = os.path.dirname(folder)
    while True:
        parents.append(parent)
        if os.path.lexists(os.path.join(parent, ".git")):
            break
        if parent == os.path.dirname(parent):
            return []
        parent = os.path.dirname(parent)
    rules: list[Rules] = []
    for parent in reversed(parents):
        rules = rules_within(parent, rules)
    return rules


def patterns_of(data: bytes) -> list[Pattern]:
    """The patterns of a .gitignore; lines that mean nothing to git are passed over."""
    patterns = []
    for line in data.removeprefix(codecs.BOM_UTF8).decode("latin-1").split("\n"):
        pattern = _pattern(line.removesuffix("\r"))
        if pattern:
            patterns.append(pattern)
    return patterns


def _rules_of(file: str, folder: str) -> list[Rules]:
    # A link is not followed, as in git, and what cannot be read rules nothing.
    try:
        if os.path.islink(file):
            return []
        with open(file, "rb") as stream:
            patterns = patterns_of(stream.read())
    except OSError:
        return []
    return [Rules(folder=folder, patterns=patterns)] if patterns else []


def _repository_rules(root: str) -> list[Rules]:
    git = os.path.join(root, ".git")
    try:
        if os.path.isfile(git):  # a worktree or a submodule: "gitdir: ../.git/worktrees/x", whose "commondir" names the shared folder
            with open(git, "rb") as stream:
                git = os.path.join(root, os.fsdecode(stream.read().removeprefix(b"gitdir:").strip()))
            common = os.path.join(git, "commondir")
            if os.path.isfile(common):
                with open(common, "rb") as stream:
                    git = os.path.join(git, os.fsdecode(stream.read().strip()))
    except (OSError, ValueError):
        return []
    return _rules_of(os.path.join(git, "info", "exclude"), root)


def _pattern(line: str) -> Pattern | None:
    glob = _without_trailing_spaces(line)
    if not glob or glob.startswith("#"):
        return None
    negated = glob.startswith("!")
    glob = glob[negated:]
    folders_only = glob.endswith("/")
    glob = glob[: len(glob) - folders_only]
    anchored = "/" in glob
    regex = _regex(glob.removeprefix("/"))
    return Pattern(regex=regex, anchored=anchored, folders_only=folders_only, negated=negated) if glob and regex else None


def _without_trailing_spaces(line: str) -> str:
    kept = line.rstrip(" ")
    backslashes = len(kept) - len(kept.rstrip("\\"))
    return line[: len(kept) + 1] if backslashes % 2 and len(kept) < len(line) else kept


def _regex(glob: str) -> re.Pattern[str] | None:
    """A regular expression for a glob; None where git takes the glob to match nothing (a bracket left open, a backslash at the end)."""
    out: list[str] = []
    at = 0
    while at < len(glob):
        char = glob[at]
        if char == "*":
            end = at
            while end < len(glob) and glob[end] == "*":
                end += 1
            part, at = _stars(glob, at, end)
            out.append(part)
        elif char == "?":
            out.append("[^/]")
            at += 1
        elif char == "[":
            bracket = _bracket(glob, at)
            if bracket is None:
                return None
            part, at = bracket
            out.append(part)
        elif char == "\\":
            if at + 1 == len(glob):
                return None
            out.append(re.escape(glob[at + 1]))
            at += 2
        else:
            out.append(re.escape(char))
            at += 1
    return re.compile("".join(out), re.DOTALL)


def _stars(glob: str, start: int, end: int) -> tuple[str, int]:
    """What a run of stars means, and where to go on: two between slashes stand for any number of folders."""
    alone = (start == 0 or glob[start - 1] == "/") and (end == len(glob) or glob[end] == "/")
    if end - start < 2 or not alone:
        return "[^/]*", end
    if end == len(glob):
        return ".*", end
    return "(?:.*/)?", end + 1


def _bracket(glob: str, start: int) -> tuple[str, int] | None:
    """A bracket as a regular expression and the place behind it; None where it is left open or wrong."""
    at = start + 1
    negated = at < len(glob) and glob[at] in "!^"
    at += negated
    members: list[str] = []
    first = True
    while at < len(glob) and (first or glob[at] != "]"):
        first = False
        if glob.startswith("[:", at):
            end = glob.find("]", at + 2)
            if end > 0 and glob[end - 1] == ":" and end - 1 > at + 1:
                name = glob[at + 2 : end - 1]
                if name not in CLASSES:
                    return None
                members.append(CLASSES[name])
                at = end + 1
                continue
        low, at = _member(glob, at)
        if low is None:
            return None
        if glob.startswith("-", at) and at + 1 < len(glob) and glob[at + 1] != "]":
            high, at = _member(glob, at + 1)
            if high is None:
                return None
            if low <= high:  # a range that runs backwards holds nothing
                members.append(f"{re.escape(low)}-{re.escape(high)}")
        else:
            members.append(re.escape(low))
    if at >= len(glob):
        return None
    inside = "".join(members)
    if not inside:
        return ("[^/]" if negated else "(?!)"), at + 1
    return (f"[^/{inside}]" if negated else f"(?!/)[{inside}]"), at + 1


def _member(glob: str, at: int) -> tuple[str | None, int]:
    if glob[at] == "\\":
        return (glob[at + 1], at + 2) if at + 1 < len(glob) else (None, at + 1)
    return glob[at], at + 1
