"""What annotators did, a JSON line each, appended and on the disk before it is confirmed.

A line never changes: who thinks again adds another, and the last one counts. A server that is killed loses nothing that it confirmed; a
line that was cut off is passed over. Sending the same thing twice (its `id` tells) is doing it once.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unitower.builder.types import KINDS, Draft

VERDICTS = ("accept", "reject")

REASONS = ("not on this page", "not realistic", "several pages", "unclear")

LONGEST = 2000


@dataclass(frozen=True, kw_only=True)
class Written:
    """A query that an annotator wrote for a page."""

    id: str
    who: str
    page: str
    text: str
    language: str
    kind: str

    def draft(self) -> Draft:
        return Draft(text=self.text, language=self.language, kind=self.kind, pages={self.page: 1}, made_by=f"person {self.who}")


@dataclass(kw_only=True)
class Standing:
    """Where things stand.

    verdicts  query -> annotator -> "accept", "reject", or "" where it was taken back
    reasons   query -> annotator -> why it was rejected
    written   further queries, without those that were taken back
    """

    verdicts: dict[str, dict[str, str]] = field(default_factory=dict)
    reasons: dict[str, dict[str, str]] = field(default_factory=dict)
    written: dict[str, Written] = field(default_factory=dict)

    @property
    def annotators(self) -> list[str]:
        return sorted({who for given in self.verdicts.values() for who in given} | {one.who for one in self.written.values()})


class Journal:
    """The file `annotations.jsonl` of a set. May be used by several threads of one process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.cut_off = 0
        self._lock = threading.Lock()
        self._lines: dict[str, Mapping[str, Any]] = {}
        if path.exists():
            for line in path.read_bytes().split(b"\n"):
                if line.strip():
                    try:
                        entry = json.loads(line)
                        self._lines[entry["id"]] = entry
                    except (ValueError, LookupError, TypeError):
                        self.cut_off += 1

    def add(self, entry: Mapping[str, Any]) -> None:
        """Keep what an annotator did; returns when it is on the disk. ValueError if it is not what an annotator can do."""
        checked(entry)
        with self._lock:
            if entry["id"] in self._lines:
                return
            line = json.dumps(dict(entry), ensure_ascii=False).encode() + b"\n"
            with self.path.open("ab") as file:
                if file.tell() and not _ends_whole(self.path):
                    line = b"\n" + line
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
            self._lines[entry["id"]] = dict(entry)

    def standing(self) -> Standing:
        """The sum of all lines."""
        with self._lock:
            lines = list(self._lines.values())
        now = Standing()
        for line in lines:
            if line["do"] == "judge":
                now.verdicts.setdefault(line["query"], {})[line["who"]] = line["verdict"]
                now.reasons.setdefault(line["query"], {})[line["who"]] = line.get("reason", "")
            elif line["do"] == "write":
                now.written[line["id"]] = Written(**{name: line[name] for name in ("id", "who", "page", "text", "language", "kind")})
            elif line["do"] == "unwrite":
                now.written.pop(line["written"], None)
        return now


def checked(entry: Any) -> None:
    """ValueError if an entry is none."""
    fields = {"judge": ("query", "verdict"), "write": ("page", "text", "language", "kind"), "unwrite": ("written",)}
    if not isinstance(entry, Mapping) or entry.get("do") not in fields:
        raise ValueError(f"an entry says what to do: {', '.join(fields)}.")
    for name in ("id", "who", *fields[entry["do"]]):
        value = entry.get(name)
        empty = isinstance(value, str) and not value.strip() and name != "verdict"
        if not isinstance(value, str) or empty or len(value) > LONGEST:
            raise ValueError(f"{name} is {str(value)[:80]!r}: a text of 1 to {LONGEST} characters.")
    if entry["do"] == "judge" and entry["verdict"] not in (*VERDICTS, ""):
        raise ValueError(f"verdict is {entry['verdict']!r}; there are {', '.join(VERDICTS)}, and nothing to take one back.")
    if entry["do"] == "write" and entry["kind"] not in KINDS:
        raise ValueError(f"kind is {entry['kind']!r}; there are {', '.join(KINDS)}.")


def _ends_whole(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
