"""What a text says that can be asked for without understanding it: its heading, its labelled values, a sentence, its rarest words.

For pages whose source knows no facts of its own. All of it stands on the page word for word, so that whether further pages say the same
can be looked up.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence

from unitower.builder.types import Fact, Page
from unitower.stores.words import analysed

LABELLED = re.compile(r"^(?P<label>[^\W\d][^:：|]{2,38}?)\s*[:：]\s+(?P<value>\S.{0,58}?)\s*$")
SENTENCE = re.compile(r"[^.!?。！？\n]{20,140}[.!?。！？]")
UNSPACED = re.compile("[\u3040-\u30ff\u4e00-\u9fff]")
BROKEN = re.compile("[\ufffd\u0000-\u0008\u000e-\u001f]|[.…_]{4,}")

RARE_WORDS = 3


def heading(text: str) -> str:
    """The first line that reads like a heading; "" where there is none.

    >>> heading("14\\nRoofs and storms\\nThe winter was mild.")
    'Roofs and storms'
    """
    for line in text.splitlines()[:6]:
        line = " ".join(line.split())
        letters = sum(letter.isalpha() for letter in line)
        long_enough = 4 if UNSPACED.search(line) else 9
        if long_enough <= len(line) <= 70 and letters > 0.6 * len(line.replace(" ", "")) and not line.endswith((",", ";", ".", "。", ":")):
            return line.strip("“”„\"'«»")
    return ""


def rarity(pages: Sequence[Page]) -> dict[str, float]:
    """Word -> ln(pages / pages that have it)."""
    having = Counter(word for page in pages for word in analysed(page.text).counts)
    return {word: math.log(len(pages) / count) for word, count in having.items()}


def facts(page: Page, *, rare: dict[str, float]) -> Iterator[Fact]:
    """Everything that can be asked of a page's text, in its order: kinds "title", "labelled", "quote", "terms"."""
    text = page.text
    title = heading(text)
    if title:
        yield Fact(kind="title", slots={"title": title})
    for line in text.splitlines():
        found = LABELLED.match(" ".join(line.split()))
        if found and title and found["label"] != title and any(letter.isalnum() for letter in found["value"]) and not BROKEN.search(line):
            yield Fact(kind="labelled", slots={"title": title, "label": found["label"]}, answer=found["value"])
    flowing = re.sub(r"(?<=\w)[-\u00ad\u2010]\n(?=[a-zà-ÿ])", "", text)
    flowing = re.sub(r"\s*\n\s*", "" if UNSPACED.search(text) else " ", flowing)
    for match in SENTENCE.finditer(flowing):
        sentence = " ".join(match[0].split()).strip(" .。")
        words = analysed(sentence).parts
        if len(words) >= 5 and not BROKEN.search(sentence) and sentence[0].isalpha() and not re.search(r"\s\d+\s+\d", sentence):
            yield Fact(kind="quote", slots={"quote": _shortened(sentence)})
    if terms := _terms(text, rare):
        yield Fact(kind="terms", slots={"terms": terms}, needs=())


def _shortened(sentence: str) -> str:
    """A sentence as people quote it: twelve words, or thirty characters where words are not spaced."""
    if UNSPACED.search(sentence):
        return sentence[:30].rstrip("、，")
    return " ".join(sentence.split()[:12]).rstrip(",;:–-")


def _terms(text: str, rare: dict[str, float]) -> str:
    """The rarest words of a text as they are written in it, those that stand there more often first; "" where there are too few."""
    written: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for word in re.findall(r"[^\W\d_]{4,24}", text):
        if not UNSPACED.search(word) and len(parts := analysed(word).parts) == 1:
            written.setdefault(parts[0], word)
            counts[parts[0]] += 1
    scores = {word: rare.get(word, 0.0) * (1 + math.log(counts[word])) for word in written}
    best = sorted((word for word in scores if scores[word] > 0), key=lambda word: (-scores[word], word))[:RARE_WORDS]
    return " ".join(written[word] for word in best) if len(best) == RARE_WORDS else ""
