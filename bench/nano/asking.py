"""Queries of key words and phrases, taken from the text of the pages that are searched.

Key words stand on few pages, so that a search by words would find the page; a phrase stands on one.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Sequence

WORD = re.compile(r"[^\W\d_]{4,}(?:[-'’][^\W\d_]+)*")
EAST = re.compile(r"[\u30a1-\u30fa\u30fc\u4e00-\u9fff]{3,6}")
"""Runs of ideographs and katakana, which stand for words where a script has no spaces between them."""

RUN = re.compile(r"[\u3041-\u30ff\u4e00-\u9fff]{8,}")
FEW = 3
"""Pages that a rare word may stand on."""


def words(text: str) -> list[str]:
    return EAST.findall(text) if EAST.search(text) else [word.casefold() for word in WORD.findall(text)]


def keywords(texts: Sequence[str], *, seed: int) -> list[str | None]:
    """Two or three words of each text, at least two of them rare, in reading order; None where a text has too few."""
    pages = [list(dict.fromkeys(words(text))) for text in texts]
    spread = Counter(word for page in pages for word in page)
    found: list[str | None] = []
    for number, page in enumerate(pages):
        rng = random.Random(f"keywords {seed} {number}")
        rare = [word for word in page if spread[word] <= FEW and len(word) < 24]
        common = [word for word in page if FEW < spread[word] <= max(FEW + 1, len(texts) // 8)]
        if len(rare) < 2:
            found.append(None)
            continue
        taken = {*rng.sample(rare, 2), *(rng.sample(common, 1) if common and rng.random() < 0.5 else [])}
        found.append(" ".join(word for word in page if word in taken))
    return found


def phrases(texts: Sequence[str], *, seed: int) -> list[str | None]:
    """Three to six words of each text that follow each other on one line and stand nowhere else; None where there are none."""
    flat = [" ".join(text.casefold().split()) for text in texts]
    spread = Counter(word for text in texts for word in set(words(text)))
    found: list[str | None] = []
    for number, text in enumerate(texts):
        rng = random.Random(f"phrase {seed} {number}")
        able = []
        for line in text.split("\n"):
            if run := RUN.search(line):
                start = rng.randint(0, len(run[0]) - 8)
                able.append(run[0][start : start + rng.randint(6, 8)])
                continue
            row = line.split()
            size = rng.randint(3, 6)
            for start in range(len(row) - size + 1):
                piece = row[start : start + size]
                plain = [re.sub(r"^[\W_]+|[\W_]+$", "", word) for word in piece]
                if all(plain) and all(re.fullmatch(r"[\w'’-]+", word) for word in piece[1:-1]) and sum(map(str.isalpha, plain)) >= size - 1:
                    able.append(" ".join([plain[0], *piece[1:-1], plain[-1]]))
        rng.shuffle(able)
        good = (
            phrase
            for phrase in able[:200]
            if min((spread[word] for word in words(phrase)), default=99) <= 2 * FEW
            and sum(" ".join(phrase.casefold().split()) in other for other in flat) == 1
        )
        found.append(next(good, None))
    return found
