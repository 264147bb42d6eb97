"""Text to words, one way for every engine and every language.

No stemming, no stop words, no dictionary: what a person typed is found where it stands, in any script.

- Compatibility forms, case and diacritics do not matter (`ﬁ` is `fi`, `Müller` is `muller`, `٢٠٢٤` is `2024`), but marks that
  are letters do (Devanagari vowel signs, the dots of が and й).
- Compounds give their parts and the whole: `INV-2024-0117`, `jane.doe@example.com`, `1.2.3`, `2,102,650`, `snake_case`,
  `HTTPServer2`, `C++`.
- Scripts written without spaces (Han, kana, Thai, Lao, Khmer, Burmese) become overlapping pairs of characters; Hangul becomes
  words and, beside them, pairs of syllables, so that a noun is found under its particles.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from itertools import pairwise
from typing import NamedTuple

LONGEST = 64
"""Characters of a word that are kept. Longer ones are encoded data, not something typed into a search box."""

MOST_COUNTED = 65_535
"""Occurrences of a word that are counted in one entry: BM25 has long stopped growing there, and engines may keep 16 bits."""


@dataclass(frozen=True, kw_only=True)
class Words:
    """The words of a text.

    parts   words in reading order, one for each position; a phrase is a run of them
    beside  further forms of what stands at those positions (wholes of compounds, parts of camelCase, pairs of syllables):
            found like any word, but without a position
    """

    parts: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()

    @cached_property
    def counts(self) -> dict[str, int]:
        """How often each word occurs, parts first, in reading order."""
        return {word: min(count, MOST_COUNTED) for word, count in Counter([*self.parts, *self.beside]).items()}

    @property
    def stored(self) -> str:
        """All words as one string that whitespace takes apart again, and in which `phrase` finds runs of parts."""
        return f"{phrase(self.parts)}\n{phrase(self.beside)}" if self.beside else phrase(self.parts)


def phrase(parts: tuple[str, ...]) -> str:
    """What `Words.stored` of a text contains exactly if the text has these parts one after the other.

    >>> phrase(("rent", "due")) in analysed("The rent is due").stored, phrase(("rent", "is")) in analysed("The rent is due").stored
    (False, True)
    """
    return "".join(f" {part} " for part in parts)


def analysed(text: str) -> Words:
    """The words of a text that is kept. Never fails; text without a letter or digit gives none.

    >>> analysed("Invoice INV-2024-0117")
    Words(parts=('invoice', 'inv', '2024', '0117'), beside=('inv-2024-0117', 'inv20240117'))
    >>> analysed("getUserName(東京都)")
    Words(parts=('getusername', '東京', '京都'), beside=('get', 'user', 'name', '東', '京', '都'))
    """
    parts: list[str] = []
    beside: list[str] = []
    for token in _tokens(text):
        parts += token.parts
        beside += token.beside
        beside += token.singles
    return Words(parts=tuple(parts), beside=tuple(beside))


def asked(text: str) -> Words:
    """The words of a query: as `analysed`, but a run of ideographs is looked for by its pairs only.

    Entries keep single ideographs as well, so that a query of one finds them inside words; in a longer query they would
    bring everything that shares a character.

    >>> asked("東京都").beside, asked("都").parts
    ((), ('都',))
    """
    tokens = list(_tokens(text))
    return Words(
        parts=tuple(part for token in tokens for part in token.parts), beside=tuple(form for token in tokens for form in token.beside)
    )


class _Token(NamedTuple):
    parts: tuple[str, ...]
    beside: tuple[str, ...] = ()
    singles: tuple[str, ...] = ()


# Scripts without spaces between words. Thai, Lao, Khmer and Burmese digits are not among them: NFKC leaves them, _folded maps them.
_EAST = (
    "\u2e80-\u2fdf\u3005\u3007\u3021-\u3029\u3038-\u303b\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U0001b000-\U0001b16f\U00020000-\U000323af"
)
_SOUTH_EAST = (
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ece\u0edc-\u0edf\u1000-\u103f\u104c-\u108f\u109a-\u109f\u1780-\u17d7\u17dc\u17dd\uaa60-\uaa7f"
)
_HANGUL = "\u1100-\u11ff\u3130-\u318f\ua960-\ua97f\uac00-\ud7a3\ud7b0-\ud7ff"
_KANA = re.compile("[\u3041-\u30ff\u31f0-\u31ff\U0001b000-\U0001b16f]")

# A connector between two pieces of a compound. A hyphen may be followed by a line break: words are cut there in print.
_CONNECTOR = r"(?:_+|-(?:[ \t]*\r?\n[ \t]*)?|['’.@&·]|(?<=\d)[,/–](?=\d))"
_STRONG = ".@&,"

_INVISIBLE = re.compile(
    "[\x02\ufffe\u00ad]\r?\n?|[\u0640\u200c-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufe00-\ufe0f\ufeff\U000e0100-\U000e01ef]"
)
"""Soft hyphens (pdfium writes U+0002 or U+FFFE) with the line break they stand at; tatweel, joiners, direction marks and
variation selectors."""

_ARABIC_JOINER = re.compile("(?<=[\u0600-\u06ff])\u200c(?=[\u0600-\u06ff])")
"""The zero-width non-joiner of Persian, that people also write as a space or leave out; in Indic scripts it is mere typography."""

_THIN_GROUPS = re.compile("(?<=\\d)[\u00a0\u2009\u202f](?=\\d{3}(?!\\d))")
"""Spaces that group digits: 2 102 650 as French and Swiss print it."""

_ASCII = re.compile(rf"([A-Za-z0-9]+(?:{_CONNECTOR}[A-Za-z0-9]+)*)(\+\+(?!\+)|#(?![\w#]))?")


@cache
def _marks() -> str:
    """A character class of all combining marks of the two planes that have any in use; `\\w` leaves them out."""
    marks = [code for code in range(0x300, 0x20000) if unicodedata.category(chr(code))[0] == "M"]
    ranges: list[list[int]] = []
    for code in marks:
        if ranges and code == ranges[-1][1] + 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in ranges)


@cache
def _any_script() -> re.Pattern[str]:
    """Tokens of any text: group 1 East Asian run, 2 South-East Asian run, 3 Hangul run, 4 a word or compound, 5 its `++` or `#`."""
    marks = _marks()
    apart = _EAST + _SOUTH_EAST + _HANGUL
    word = rf"(?:(?![{apart}])[^\W_]|(?<![{apart}])[{marks}])+"
    return re.compile(
        rf"([{_EAST}][{_EAST}{marks}]*)|([{_SOUTH_EAST}][{_SOUTH_EAST}{marks}]*)|([{_HANGUL}][{_HANGUL}{marks}]*)"
        rf"|({word}(?:{_CONNECTOR}{word})*)(\+\+(?!\+)|#(?![\w#]))?"
    )


@cache
def _clusters() -> re.Pattern[str]:
    return re.compile(rf"[^{_marks()}][{_marks()}]*")


def _tokens(text: str) -> list[_Token]:
    """Tokens in reading order: runs of unspaced scripts, Hangul words, words and compounds."""
    if text.isascii() and "\x02" not in text:
        return [_compound(match[1], match[2]) for match in _ASCII.finditer(text)]
    text = _INVISIBLE.sub("", _ARABIC_JOINER.sub("-", text.replace("\u200b", " ")))
    text = unicodedata.normalize("NFKC", _THIN_GROUPS.sub(",", text))
    tokens = []
    for match in _any_script().finditer(text):
        east, south_east, hangul, compound, suffix = match.groups()
        if compound:
            tokens.append(_compound(compound, suffix))
        elif hangul:
            tokens.append(_Token((hangul[:LONGEST],), _pairs(tuple(hangul)) if len(hangul) > 2 else ()))
        else:
            units = tuple(_clusters().findall(east or south_east))
            singles = tuple(unit for unit in units if not _KANA.match(unit)) if east and len(units) > 1 else ()
            tokens.append(_Token(_pairs(units) or units, (), singles))
    return tokens


def _pairs(units: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(first + second for first, second in pairwise(units))


def _compound(text: str, suffix: str | None) -> _Token:
    return (_remembered if len(text) <= LONGEST else _taken_apart)(text, suffix)


def _taken_apart(text: str, suffix: str | None) -> _Token:
    """A word, or words held together by connectors.

    Soft connectors (hyphen, underscore, apostrophe; a slash or dash between digits) join words into one, that is also written
    without them: e-mail, user_name. Strong ones (dot, @, &; a comma between digits) separate names: the whole keeps them.
    """
    pieces = re.split(f"({_CONNECTOR})", text)
    words = [_word(piece[:LONGEST]) for piece in pieces[::2]]
    connectors = [connector[0] for connector in pieces[1::2]]
    parts = [word.folded for word in words if word.folded]
    beside: list[str] = [form for word in words for form in word.inside]

    groups = [[words[0].folded]]
    for connector, word in zip(connectors, words[1:], strict=True):
        if connector in _STRONG:
            groups.append([])
        groups[-1].append(word.folded)
    for group in groups:
        if len(group) > 1:
            beside += _joined(group)
    if len(groups) > 1:
        beside += _number(text) or _dotted([word.folded for word in words], connectors)
    if suffix and parts:
        beside.append(parts[-1] + suffix)
    return _Token(tuple(parts), tuple(form for form in beside if 0 < len(form) <= LONGEST))


_remembered = lru_cache(maxsize=65_536)(_taken_apart)


def _joined(group: list[str]) -> list[str]:
    """Wholes of words held by soft connectors: without them, and with hyphens where digits would run together."""
    whole = "".join(group)
    wholes = ["-".join(group)] if any(left[-1:].isdigit() and right[:1].isdigit() for left, right in pairwise(group)) else []
    if not whole.isdigit() or len(whole) > 6:  # 10-20 is a range, 2024-01-17 and 978-3-16-148410-0 are also written in one
        wholes.append(whole)
    return wholes


def _dotted(words: list[str], connectors: list[str]) -> list[str]:
    """Wholes of words held by strong connectors: as written, and an acronym without its dots."""
    wholes = [words[0] + "".join(connector + word for connector, word in zip(connectors, words[1:], strict=True))]
    if set(connectors) == {"."} and all(len(word) == 1 and word.isalpha() for word in words):
        wholes.append("".join(words))
    return wholes


def _number(text: str) -> list[str]:
    """Wholes of a number with separators: digits grouped in thousands are joined, a decimal comma is a point. [] for anything else."""
    digits = _folded(text)
    if grouped := re.fullmatch(r"(\d{1,3}([.,'’])(?:\d{2,3}\2)*\d{3})(?:(?!\2)[.,](\d+))?", digits):
        whole, separator, decimals = grouped.groups()
        joined = re.sub(r"\D", "", whole) + (f".{decimals}" if decimals else "")
        ambiguous = separator in ".," and not decimals  # 1.234 may be a decimal number or a version
        return [digits.replace(",", "."), joined] if ambiguous else [joined]
    return [digits.replace(",", ".")] if re.fullmatch(r"\d+,\d+", digits) else []


class _Word(NamedTuple):
    folded: str
    inside: tuple[str, ...]  # parts of camelCase, of letters and digits; empty where there is only one


@lru_cache(maxsize=65_536)
def _word(raw: str) -> _Word:
    folded = _folded(raw)[:LONGEST]
    if raw.isalpha() and (raw.islower() or raw.isupper() or raw[1:].islower()):
        return _Word(folded, ())
    pieces = [_folded(piece) for piece in _cases(raw)]
    return _Word(folded, tuple(piece for piece in pieces if piece) if len(pieces) > 1 else ())


def _cases(raw: str) -> list[str]:
    """Where a new word begins inside an identifier: getUserName, HTTPServer, utf8; not in h264 or a3f9, which have no words."""
    kinds = ["d" if c.isdigit() else "u" if c.isupper() else "l" for c in raw]
    by_digits = re.search(r"[^\W\d_]{2}", raw) is not None
    pieces, start = [], 0
    for i in range(1, len(raw)):
        before, here, after = kinds[i - 1], kinds[i], kinds[i + 1] if i + 1 < len(raw) else ""
        if unicodedata.category(raw[i])[0] == "M":
            kinds[i] = before
        elif (by_digits and (before == "d") != (here == "d")) or (here == "u" and (before == "l" or (before == "u" and after == "l"))):
            pieces.append(raw[start:i])
            start = i
    return [*pieces, raw[start:]]


# Letters that Unicode does not take apart into a base and a mark, and Arabic letters that keyboards and languages write in several ways.
_LETTERS = str.maketrans(
    {
        "đ": "d", "ð": "d", "ħ": "h", "ı": "i", "ĸ": "k", "ł": "l", "ŋ": "n", "ø": "o", "ŧ": "t", "æ": "ae", "œ": "oe", "þ": "th",
        "ى": "ي", "ی": "ي", "ک": "ك", "ة": "ه", "ٱ": "ا",
    }
)  # fmt: skip


@lru_cache(maxsize=65_536)
def _folded(word: str) -> str:
    """Without case, without diacritics that are not letters, digits in ASCII."""
    word = word.casefold()
    if word.isascii():
        return word
    kept: list[str] = []
    base = ""
    for c in unicodedata.normalize("NFKD", word):
        if unicodedata.category(c)[0] != "M":
            base = c
            digit = unicodedata.decimal(c, None)
            kept.append(c if digit is None else str(digit))
        elif not _is_diacritic(c, base):
            kept.append(c)
    return unicodedata.normalize("NFC", "".join(kept)).translate(_LETTERS)


def _is_diacritic(mark: str, base: str) -> bool:
    """Whether people leave the mark out when they type."""
    code = ord(base) if base else 0
    if code < 0x0370 or 0x1E00 <= code < 0x1F00:  # Latin, or a mark on nothing
        return True
    if code < 0x0400 or 0x1F00 <= code < 0x2000:  # Greek
        return True
    if code < 0x0530:  # Cyrillic: the stress mark goes and ё is е, but й, ї and ќ are letters
        return (mark in "\u0300\u0301" and base not in "гк") or (mark == "\u0308" and base == "е")
    if code < 0x0600:  # Hebrew: points and accents (Armenian has no marks)
        return True
    if code < 0x0780:  # Arabic (and Syriac): vowels go, hamza stays except on alef, where it is often left out
        return mark not in "\u0653\u0654\u0655" or base == "ا"
    return False
