"""The text layer of a PDF page made readable: words broken at line ends joined, ligatures spelt out, gibberish dropped."""

from __future__ import annotations

import re
import unicodedata

BROKEN = re.compile(r"(\w+)(?:[\x02\ufffe]\s*|[-\u2010]\n\s*)(\w+)")
"""A word that a hyphen at the end of a line breaks; PDFium writes U+0002 for most of these hyphens and joins the lines."""
SOFT_HYPHEN = re.compile(r"\u00ad\s*\n\s*|\u00ad")
PRESENTATION = re.compile("[\ufb00-\ufb4f\ufb50-\ufdff\ufe70-\ufefc]+")
"""Ligatures and Arabic letter shapes: forms of letters that nobody types."""
GIBBERISH = re.compile("[\0-\x08\x0e-\x1f\x7f-\x9f\ufffd\ufffe\uffff\ue000-\uf8ff\U000f0000-\U0010ffff]")
SPACES = re.compile("[ \t\xa0\u2000-\u200a\u202f\u205f]+")


def readable(raw: str) -> str:
    """The text as a person would type it, in NFC; "" where more than a third of it are characters without a meaning.

    >>> readable("the \ufb01rst man\\x02agement, well\\x02known (as in well-known), ISO\\x028601")
    'the first management, well-known (as in well-known), ISO-8601'
    """
    text = SOFT_HYPHEN.sub("", raw.replace("\r\n", "\n").replace("\r", "\n"))
    text = PRESENTATION.sub(lambda match: unicodedata.normalize("NFKC", match[0]), text)
    text = BROKEN.sub(lambda match: _joined(match[1], match[2], text), text)
    if 3 * len(GIBBERISH.findall(text)) > len(text.strip()):
        return ""
    text = SPACES.sub(" ", GIBBERISH.sub("", text))
    return unicodedata.normalize("NFC", re.sub(r" ?\n ?", "\n", text).strip())


def _joined(left: str, right: str, page: str) -> str:
    """The two halves as one word; with the hyphen where the page writes it so elsewhere, or where no word is broken in two."""
    hyphenated = f"{left}-{right}"
    broken_word = left[-1].isalpha() and right[0].isalpha() and right[0] == right[0].lower()
    return hyphenated if not broken_word or hyphenated in page else left + right
