"""The text of a page's picture as Tesseract reads it, with what reading cost, kept between runs.

It looks for the languages of the set and for English, those that are installed.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from unitower.data import _cache
from unitower.errors import UnitowerError
from unitower.evaluation.baselines import NotInstalled
from unitower.evaluation.search import Cost
from unitower.evaluation.task import Task
from unitower.types import Item

TIMEOUT_S = 300

LANGUAGES = {
    "ar": "ara", "bn": "ben", "de": "deu", "en": "eng", "es": "spa", "fr": "fra", "hi": "hin", "hu": "hun", "id": "ind", "it": "ita",
    "ja": "jpn", "ko": "kor", "my": "mya", "nl": "nld", "pl": "pol", "pt": "por", "ru": "rus", "th": "tha", "tr": "tur", "ur": "urd",
    "vi": "vie", "zh": "chi_sim",
}  # fmt: skip
"""ISO 639-1 -> the name of Tesseract's data."""


@dataclass
class Tesseract:
    """`models.Texts` by the program `tesseract`, one page at a time on one thread.

    version     of the program
    installed   languages it has data for, in its names
    remembered  cost of pages that were read in earlier runs
    """

    version: str
    installed: frozenset[str]
    remembered: Cost = field(default_factory=Cost)

    @property
    def name(self) -> str:
        return f"tesseract {self.version}"

    @classmethod
    def found(cls) -> Tesseract:
        """NotInstalled if the program is not installed."""
        if not shutil.which("tesseract"):
            raise NotInstalled("the program tesseract is not installed: apt install tesseract-ocr-all, or leave this baseline out.")
        there = _output(["tesseract", "--list-langs"]).split()
        return cls(version=_output(["tesseract", "--version"]).split()[1], installed=frozenset(there))

    def __call__(self, task: Task, places: Sequence[int]) -> list[str]:
        wanted = dict.fromkeys(LANGUAGES.get(language, "") for language in ["en", *task.identity.get("languages", [])])
        languages = "+".join(language for language in wanted if language in self.installed)
        return [self._text(task.corpus[place], languages) for place in places]

    def _text(self, item: Item, languages: str) -> str:
        if isinstance(item.content, str):
            return item.content
        digest = sha256(f"{item.content.mode} {item.content.size}".encode() + item.content.tobytes()).hexdigest()
        path = _cache.place("tesseract", [self.version, languages, digest], suffix=".json")
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            self.remembered += Cost(kept["cpu_s"], kept["wall_s"])
            return str(kept["text"])
        except (OSError, ValueError, KeyError):
            pass
        picture = io.BytesIO()
        item.content.save(picture, "PNG", compress_level=1)
        began = Cost.now()
        text = _output(["tesseract", "stdin", "stdout", "-l", languages], given=picture.getvalue())
        cost = Cost.now() - began
        with _cache.written(path) as file:
            file.write(json.dumps({"text": text, "cpu_s": cost.cpu_s, "wall_s": cost.wall_s}).encode())
        return text


def _output(command: list[str], *, given: bytes | None = None) -> str:
    try:
        done = subprocess.run(
            command, input=given, capture_output=True, timeout=TIMEOUT_S, check=True, env={**os.environ, "OMP_THREAD_LIMIT": "1"}
        )
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or b""
        raise UnitowerError(f"{' '.join(command)} failed: {said.decode(errors='replace').strip() or error}") from error
    return done.stdout.decode("utf-8", "replace")
