"""Dictionaries of dictd: what words mean (WordNet, GCIDE) and what they are in another language (FreeDict).

A dictionary is two files: an index of `headword TAB offset TAB length`, numbers in base 64, and the entries end to end, compressed.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from pathlib import Path

from unitower.data._corpus import Corpus
from unitower.data._corpus.families import Sense, families

WORDNET, GCIDE, FREEDICT = "WordNet 3.0 License", "GPL-3.0-or-later", "GPL-2.0-or-later or as each dictionary says"
DIGITS = {character: value for value, character in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")}
ISO = {"deu": "de", "fra": "fr", "spa": "es", "rus": "ru", "ita": "it", "por": "pt", "nld": "nl", "pol": "pl", "swe": "sv"}
DEFINITION, EXAMPLE, WORD = (15, 250), (25, 200), (2, 40)
"""Fewest and most characters."""


def read(corpus: Corpus, root: Path) -> None:
    if (root / "wn.index").exists():
        _wordnet(corpus, root / "wn.index")
    if (root / "gcide.index").exists():
        taken = corpus.add("en", (passage for _, entry in _entries(root / "gcide.index") for passage in _definitions(entry)))
        corpus.note("GCIDE", licence=GCIDE, texts=taken)
    for path in sorted(root.glob("freedict-*-*.index")):
        _, first, second = path.stem.split("-")
        if "eng" not in (first, second) or not {first, second} & ISO.keys():
            continue
        before = len(corpus.words)
        for headword, entry in _entries(path):
            for other in _translations(entry) if WORD[0] < len(headword) < WORD[1] else ():  # others are phrases, or nothing
                english, word = (headword, other) if first == "eng" else (other, headword)
                corpus.words.append((ISO[second if first == "eng" else first], english, word))
        corpus.note(f"FreeDict {first}-{second}", licence=FREEDICT, texts=len(corpus.words) - before)


def _entries(index: Path) -> Iterator[tuple[str, str]]:
    """Headword and entry, without those that tell of the dictionary itself."""
    with gzip.open(index.with_suffix(".dict.dz")) as file:
        data = file.read()
    for line in index.read_text(encoding="utf-8", errors="replace").splitlines():
        headword, at, length = line.split("\t")[:3]
        if not headword.startswith("00"):
            start = _number(at)
            yield headword, data[start : start + _number(length)].decode("utf-8", "replace")


def _number(digits: str) -> int:
    value = 0
    for digit in digits:
        value = 64 * value + DIGITS[digit]
    return value


SENSE = re.compile(r"\n\s+(?:(?:n|v|adj|adv)\s+)?\d*\s*:\s|^\s*(?:n|v|adj|adv)\s+\d*\s*:\s", re.MULTILINE)
REFERENCE = re.compile(r"\[(syn|ant|also): ([^\]]*)\]?")


def _wordnet(corpus: Corpus, index: Path) -> None:
    """Words with what they mean, the sentences that WordNet gives as examples, and families of sentences made from these."""
    senses: list[Sense] = []
    for _, entry in _entries(index):
        shown, _, rest = entry.partition("\n")  # the index has small letters only
        senses += [_sense(shown.strip(), text) for text in SENSE.split("\n" + rest)[1:]]
    for sense in senses:
        if DEFINITION[0] < len(sense.means) < DEFINITION[1] and not sense.means.startswith('"'):
            corpus.glosses.append((sense.word, sense.means))
    examples = dict.fromkeys(text for sense in senses for text in sense.examples)
    taken = corpus.add("en", (text for text in examples if EXAMPLE[0] <= len(text) <= EXAMPLE[1]))
    corpus.families.extend(families(senses))
    corpus.note("WordNet", licence=WORDNET, texts=taken + len(corpus.glosses))


def _sense(word: str, text: str) -> Sense:
    """Of `what it means; "an example" [syn: {words}, {that share it}] [ant: {opposite}]`, which goes over several lines."""
    text = " ".join(text.split())
    named = {kind: re.findall(r"\{([^}]*)\}", words) for kind, words in REFERENCE.findall(text)}
    text = REFERENCE.sub("", text)
    return Sense(
        word=word, means=text.partition(";")[0].strip(), examples=tuple(re.findall(r'"([^"]*)"', text)),
        synonyms=tuple(other for other in named.get("syn", ()) if other.lower() != word.lower()), opposites=tuple(named.get("ant", ())),
    )  # fmt: skip


def _definitions(entry: str) -> Iterator[str]:
    """Paragraphs of an entry of the GCIDE that are sentences and no tables of forms."""
    for passage in re.split(r"\n\s*\n", entry):
        text = " ".join(re.sub(r"\[[^\]]*\]", "", passage).split())
        if len(text) > 80:
            yield text[:600]


def _translations(entry: str) -> list[str]:
    """The first two words that an entry of FreeDict gives; its first line is the headword with how it is spoken."""
    body = entry.partition("\n")[2]
    body = re.sub(r"(?m)^\s*(?:see:|Synonyms?:|Note:).*|[/<\[(][^\n]*?[/>\])]|^\s*\d+\.|\"[^\"]*\"", "", body)
    found = [part.strip(" ,;.") for part in re.split(r"[,;\n]", body)]
    return [word for word in found if WORD[0] < len(word) < WORD[1]][:2]
