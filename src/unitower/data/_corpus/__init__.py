"""Text in many languages from what lies on a machine: the material that the shipped weights are made of.

    corpus = gathered()          # minutes; what a place does not have is left out, and `corpus.sources` tells what was there
    corpus.write(path); Corpus.read(path)

Read are LibreOffice's help (the same paragraphs in 13 languages), manual pages, dictionaries of dictd, fortunes, and the docstrings and
functions of Python packages. Files and packages whose names `kept_to_test` keeps are never read, so that they can test what was learned.
On Debian: libreoffice-help-LANG, manpages-LANG, dict-wn, dict-gcide, dict-freedict-X-Y, fortunes and fortunes-LANG.
"""

from __future__ import annotations

import gc
import json
import random
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from unitower.data import _cache


@contextmanager
def uncollected() -> Iterator[None]:
    """Without the search for cycles of garbage: among millions of small objects that all stay it takes longer than what it is to serve."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


SHORTEST, LONGEST = 20, 2000
"""Characters of a passage."""


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """Everything gathered, in an order drawn by chance, each thing once.

    texts      language -> passages of running text
    parallel   (language, English, the same in that language), paragraphs
    titled     (language, title, beginning of what stands under it)
    glosses    (English word, what it means)
    families   English sentences that share most of their words and do not all say the same (families.py)
    words      (language, English word, the word in that language)
    summaries  (first paragraph of a docstring, the prose that follows)
    functions  (first paragraph of a docstring, the function without it)
    sources    name -> licence and number of texts
    """

    texts: dict[str, list[str]] = field(default_factory=dict)
    parallel: list[tuple[str, str, str]] = field(default_factory=list)
    titled: list[tuple[str, str, str]] = field(default_factory=list)
    glosses: list[tuple[str, str]] = field(default_factory=list)
    families: list[tuple[str, ...]] = field(default_factory=list)
    words: list[tuple[str, str, str]] = field(default_factory=list)
    summaries: list[tuple[str, str]] = field(default_factory=list)
    functions: list[tuple[str, str]] = field(default_factory=list)
    sources: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def to_draw(self) -> dict[str, list[str]]:
        """What pages are filled with: the passages of each language, and code."""
        return {**self.texts, "code": [code for _, code in self.functions]}

    def add(self, language: str, passages: Iterable[str]) -> int:
        """Take passages of a fit length; their number."""
        fit = [text for text in (" ".join(passage.split()) for passage in passages) if SHORTEST < len(text) < LONGEST]
        self.texts.setdefault(language, []).extend(fit)
        return len(fit)

    def note(self, name: str, *, licence: str, texts: int) -> None:
        self.sources[name] = {"licence": licence, "texts": texts}

    def settled(self, *, seed: int = 0) -> Corpus:
        """The same without doubles, in an order drawn by the seed."""
        rng = random.Random(seed)

        def once(rows: Sequence[Any]) -> list[Any]:
            kept = list(dict.fromkeys(rows))
            rng.shuffle(kept)
            return kept

        lists = {each.name: once(getattr(self, each.name)) for each in fields(self) if each.name not in ("texts", "sources")}
        return Corpus(texts={language: once(texts) for language, texts in self.texts.items()}, sources=self.sources, **lists)

    def write(self, path: Path) -> None:
        """As JSON, whole or not at all."""
        with _cache.written(path) as file:
            file.write(json.dumps(asdict(self), ensure_ascii=False).encode("utf-8", "surrogatepass"))

    @classmethod
    def read(cls, path: Path) -> Corpus:
        with uncollected():
            raw = json.loads(path.read_bytes().decode("utf-8", "surrogatepass"))
            lists = {name: [tuple(row) for row in rows] for name, rows in raw.items() if isinstance(rows, list)}
            return cls(**{**raw, **lists})


@dataclass(frozen=True, kw_only=True)
class Places:
    """Folders to read from, as Debian lays them out; what is not there is left out.

    python  folders that packages lie in; None: the standard library and the site-packages of this Python
    """

    help: str = "/usr/share/libreoffice/help"
    manuals: str = "/usr/share/man"
    dictionaries: str = "/usr/share/dictd"
    fortunes: str = "/usr/share/games/fortunes"
    python: tuple[str, ...] | None = None


def gathered(places: Places | None = None, *, seed: int = 0) -> Corpus:
    """All that the places have. The same on machines with the same packages."""
    from unitower.data._corpus import dictionaries, fortunes, help, manuals, python

    places = places or Places()
    corpus = Corpus()
    with uncollected():
        help.read(corpus, Path(places.help))
        manuals.read(corpus, Path(places.manuals))
        fortunes.read(corpus, Path(places.fortunes))
        dictionaries.read(corpus, Path(places.dictionaries))
        python.read(corpus, places.python)
        return corpus.settled(seed=seed)


__all__ = ["Corpus", "Places", "gathered"]
