"""What a text says that can be asked for without understanding it: its heading, its labelled values, a sentence, its rarest words.

For pages whose source knows no facts of its own. All of it stands on the page word for word, so that whether further pages say the same
can be looked up.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence

from unitower.builder.near import plain
from unitower.builder.types import Fact, Page
from unitower.stores.words import analysed

LABELLED = re.compile(r"^(?P<label>[^\W\d][^:：|.,]{1,36}?)\s*[:：]\s+(?P<value>[^\Wa-zà-ÿа-я_]\S*.{0,58}?|[£€$¥§#+(]\S.{0,58}?)\s*$")
SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])")
UNSPACED = re.compile("[\u3040-\u30ff\u4e00-\u9fff]")
BROKEN = re.compile("[\ufffd\u0000-\u0008\u000e-\u001f]|[.…_]{4,}")
PAGE_MARK = re.compile(
    r"[\s·|–-]*(?:\b[^\W\d]{3,7}\.?\s+)?\d+\s*(?:/|of|von|de|sur|di|из|από)\s*\d+\s*$|\s+第\s*\d+\s*[页頁].*$", re.IGNORECASE
)
"""What running heads have behind the title: `Page 3 of 6`, `стр. 1 из 2`, `1 / 3`."""

BRACKETS = (("(", ")"), ("[", "]"), ("«", "»"), ("「", "」"), ("（", "）"))

HEAD_LINES = 6
LABEL_WORDS = 4
QUOTE_WORDS = range(5, 15)
QUOTE_CHARACTERS = range(10, 41)
"""Where words are not spaced."""

RARE_WORDS = 3

HYPHENS = "-\u00ad\u2010\x02\ufffe"
"""pdfium writes U+0002 or U+FFFE for a hyphen at the end of a line."""


def heading(text: str, *, elsewhere: Collection[str] = ()) -> str:
    """The first line that reads like a heading; "" where there is none.

    elsewhere  lines that other pages have too, as `plain` writes them: running heads, which say nothing of one page

    >>> heading("14\\nRoofs and storms · Page 2 of 9\\nThe winter was mild.")
    'Roofs and storms'
    """
    for line in _heads(text):
        letters = sum(letter.isalpha() for letter in line)
        long_enough = 4 if UNSPACED.search(line) else 9
        whole = not line.endswith((",", ";", ".", "。", ":"))
        if long_enough <= len(line) <= 70 and letters > 0.6 * len(line.replace(" ", "")) and whole and plain(line) not in elsewhere:
            return line
    return ""


def _heads(text: str) -> list[str]:
    """The first lines of a page without marks of its number."""
    lines = [PAGE_MARK.sub("", " ".join(line.split())).strip() for line in text.splitlines() if line.strip()]
    return lines[:HEAD_LINES]


def running(pages: Sequence[Page]) -> set[str]:
    """First lines that stand on more than one page, as `plain` writes them."""
    having = Counter(line for page in pages for line in {plain(line) for line in _heads(page.text)})
    return {line for line, count in having.items() if count > 1}


def rarity(pages: Sequence[Page]) -> dict[str, float]:
    """Word -> ln(pages / pages that have it)."""
    having = Counter(word for page in pages for word in analysed(page.text).counts)
    return {word: math.log(len(pages) / count) for word, count in having.items()}


def facts(page: Page, *, rare: Mapping[str, float], elsewhere: Collection[str] = ()) -> Iterator[Fact]:
    """Everything that can be asked of a page's text, in its order: kinds "title", "labelled", "quote", "terms".

    rare, elsewhere  of all pages: `rarity` and `running`
    """
    title = heading(page.text, elsewhere=elsewhere)
    if title:
        yield Fact(kind="title", slots={"title": title})
    for line in page.text.splitlines():
        found = LABELLED.match(" ".join(line.split()))
        if found and title and found["label"] not in title and len(found["label"].split()) <= LABEL_WORDS and not BROKEN.search(line):
            yield Fact(kind="labelled", slots={"title": title, "label": found["label"]}, answer=found["value"])
    for paragraph in _paragraphs(page.text):
        for sentence in SENTENCE_END.split(paragraph):
            if quote := _quotable(sentence):
                yield Fact(kind="quote", slots={"quote": quote})
    if terms := _terms(page.text, rare):
        yield Fact(kind="terms", slots={"terms": terms}, needs=())


def _paragraphs(text: str) -> Iterator[str]:
    """Lines that run on, joined: a line that is short for its page and ends no sentence is a heading or a cell, and stands alone."""
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    full = sorted(map(len, lines))[len(lines) * 3 // 4] if lines else 0
    joint = "" if UNSPACED.search(text) else " "
    paragraph = ""
    for line in lines:
        broken = paragraph.rstrip(HYPHENS)
        paragraph = broken if broken != paragraph else paragraph and paragraph + joint
        paragraph += line
        if len(line) < 0.7 * full:
            yield paragraph
            paragraph = ""
    if paragraph:
        yield paragraph


def _quotable(sentence: str) -> str:
    """A whole sentence that people could quote, or a whole clause of a longer one; "" where there is none."""
    if BROKEN.search(sentence) or not re.match(r"[^\W\da-zà-ÿα-ωа-я_]", sentence) or not re.search(r"[.!?。！？]$", sentence):
        return ""
    for clause in [sentence, *re.split(r"(?<=\w)[,;:，；：]\s*|\s+[–—]\s+", sentence)]:
        clause = clause.strip(" .。!?！？")
        size, fitting = (len(clause), QUOTE_CHARACTERS) if UNSPACED.search(clause) else (len(clause.split()), QUOTE_WORDS)
        whole = all(clause.count(opening) == clause.count(closing) for opening, closing in BRACKETS)
        if size in fitting and whole and not re.search(r"\d\s+\d|[|=<>{}]|\b\d{1,2}$", clause):
            return clause
    return ""


def _terms(text: str, rare: Mapping[str, float]) -> str:
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
