"""Docstrings and functions of Python packages, by the source `python_docs`, without the packages that are kept to test with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from unitower.data import BadPair, python_docs
from unitower.data._corpus import Corpus
from unitower.data._split import kept_to_test

LONGEST_SUMMARY, LONGEST_BODY = 300, 900


def read(corpus: Corpus, roots: Sequence[str] | None) -> None:
    """Take what `python_docs` gives for training: its own test packages are left out, too."""
    taken = 0
    for summary, body in _pairs("summary", roots):
        corpus.summaries.append((summary[:LONGEST_SUMMARY], body[:LONGEST_BODY]))
        taken += corpus.add("en", [summary, *body.split("\n")])
    corpus.functions.extend((summary[:LONGEST_SUMMARY], code[:LONGEST_BODY]) for summary, code in _pairs("code", roots))
    if taken:
        corpus.note("Python packages", licence=python_docs.open(sides="summary", roots=roots).licence, texts=taken)


def _pairs(sides: python_docs.Sides, roots: Sequence[str] | None) -> Iterator[tuple[str, str]]:
    pairs = python_docs.open(sides=sides, roots=roots)
    for number in range(len(pairs)):
        try:
            pair = pairs[number]
        except BadPair:
            continue
        if not kept_to_test(str(pair.document.metadata["package"])):
            assert isinstance(pair.query.content, str)
            assert isinstance(pair.document.content, str)
            yield pair.query.content, pair.document.content
