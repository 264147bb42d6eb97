"""Message catalogues of gettext (.mo): English strings of interfaces and their translations, and where in the file they stand.

What a program puts into its strings is taken out: keys to press, markup, placeholders. The format is that of the GNU gettext manual,
"The Format of GNU MO Files".
"""

from __future__ import annotations

import gettext
import html
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

MAGIC = {b"\xde\x12\x04\x95": "<", b"\x95\x04\x12\xde": ">"}

MANY = 5
"""A number whose form is the plural of every language here (the form for 1 is its singular)."""


@dataclass(frozen=True, kw_only=True)
class Message:
    """A string and its translation, raw, with offset and length in bytes of both.

    context  what tells it from other strings that are the same in English
    """

    context: str
    english: str
    translation: str
    english_at: tuple[int, int]
    translation_at: tuple[int, int]


def messages(path: Path) -> tuple[str, list[Message]]:
    """Charset and messages of a catalogue; of those with plural forms, the one for 1 and the one for many.

    ValueError if the file is no catalogue or damaged.
    """
    data = path.read_bytes()
    order = MAGIC.get(data[:4])
    if order is None:
        raise ValueError(f"{path} is no message catalogue")
    try:
        count, originals, translations = struct.unpack_from(f"{order}3I", data, 8)
        found = [
            (struct.unpack_from(f"{order}2I", data, originals + 8 * i), struct.unpack_from(f"{order}2I", data, translations + 8 * i))
            for i in range(count)
        ]
    except struct.error as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    if any(offset + length > len(data) for entry in found for length, offset in entry):
        raise ValueError(f"{path} ends before its strings do")
    header = next((data[offset : offset + length] for (size, _), (length, offset) in found if size == 0), b"")
    charset, plural = _charset(header), _plural(header.decode("utf-8", "replace"))
    try:
        return charset, [message for entry in found for message in _forms(data, *entry, charset=charset, plural=plural)]
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not in {charset}, as it says: {error.reason}") from error


def _charset(header: bytes) -> str:
    match = re.search(rb"charset=([\w-]+)", header)
    charset = match[1].decode() if match else "utf-8"
    try:
        "".encode(charset)
    except LookupError:
        return "utf-8"
    return charset


def _plural(header: str) -> Callable[[int], int]:
    """The language's rule: number -> which of the forms."""
    match = re.search(r"plural=([^\n;]+)", header)
    try:
        rule: Callable[[int], int] = gettext.c2py(match[1] if match else "n != 1")
        rule(1), rule(MANY)
    except (ValueError, ArithmeticError):  # no rule that can be understood
        return lambda n: int(n != 1)
    return rule


def _forms(
    data: bytes, original: tuple[int, int], translated: tuple[int, int], *, charset: str, plural: Callable[[int], int]
) -> Iterator[Message]:
    """The messages of an entry: one, or for an entry with plural forms two; one too where the language does not tell them apart."""
    (length, start), (translated_length, translated_start) = original, translated
    if not length or not translated_length:
        return
    context, separator, _ = data[start : start + length].rpartition(b"\4")
    english = list(_pieces(data, start + len(context) + len(separator), start + length))
    forms = list(_pieces(data, translated_start, translated_start + translated_length))
    chosen = [(english[0], 0)]
    if len(english) > 1:
        one, many = plural(1), plural(MANY)
        chosen = [(english[1], many)] if one == many else [(english[0], one), (english[1], many)]
    for (at, size), form in chosen:
        to, to_size = forms[form] if form < len(forms) else (0, 0)
        if size and to_size:
            yield Message(
                context=context.decode(charset),
                english=data[at : at + size].decode(charset),
                translation=data[to : to + to_size].decode(charset),
                english_at=(at, size),
                translation_at=(to, to_size),
            )


def _pieces(data: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Offset and length of the strings between NULs."""
    while start <= end:
        stop = data.find(b"\0", start, end)
        stop = end if stop < 0 else stop
        yield start, stop - start
        start = stop + 1


def text_at(path: Path, offset: int, length: int, charset: str) -> str:
    """A string of a catalogue as `cleaned` gives it. ValueError if the file has become another."""
    with path.open("rb") as file:
        file.seek(offset)
        return cleaned(file.read(length).decode(charset))


MARKUP = re.compile(
    r"</?(?:a|abbr|acronym|app|application|b|big|br|body|center|code|command|dd|div|dl|dt|em|emphasis|env|file|filename|font|guibutton|"
    r"guilabel|guimenu|guimenuitem|h[1-6]|hr|html|i|img|kbd|key|keycap|li|link|literal|markup|menuchoice|ol|option|p|para|pre|qt|s|samp|"
    r"small|span|strong|sub|sup|systemitem|table|td|th|tr|tt|u|ul|ulink|var|xref)(?:\s+[\w:-]+\s*=\s*(?:\"[^\"]*\"|'[^']*'|[\w%#]+))*\s*/?>",
    re.IGNORECASE,
)
"""Tags of Pango, HTML and DocBook; other words in angle brackets are things to fill in."""

ENTITY = re.compile(r"&(?:amp|lt|gt|quot|apos|nbsp|#\d+|#x[0-9a-fA-F]+);")
EASTERN_KEY = re.compile(r"\s*[(（][_&][A-Za-z0-9][)）]")
"""The key to press as scripts without Latin letters have it: 文件(_F)."""

AMPERSAND = re.compile(r"(&&)|(\w?)&(?=(\w))")
"""The key to press as Qt and Windows have it, before a letter: at the beginning of a word, or before a small letter within one (AT&T)."""

UNDERLINE = re.compile(r"(?<![\w/.])_(?=[^\W_])(?!\w*_)")
"""The key to press as GTK has it, before the letter at the beginning of a word; `_` within words is part of a name."""

PLACEHOLDER = re.compile(
    r"%(?:\d+\$)?\([\w.-]+\)[-+ #0]*\d*(?:\.\d+)?[a-zA-Z]"  # %(name)s
    r"|%(?:\d+\$)?[-+#0'I]*(?:\d+|\*(?:\d+\$)?)?(?:\.(?:\d+|\*(?:\d+\$)?)?)?(?:hh|h|ll|l|q|j|z|t|L|w)?[diouxXeEfFgGaAcCsSpnm]"
    r"|%<?PRI[diouxX]\w+>?|%(?:\d+|[A-Z]\b)(?![\d%])"  # %1 of Qt
    r"|\$\{\w+\}|\{[\w.\[\]]*(?:![rsa])?(?::[^{}\s]*)?\}|@[A-Z_]{2,}@"
)


def cleaned(text: str) -> str:
    """A string as a person reads it: without markup, without marks of keys to press, placeholders as `…`, on one line.

    >>> cleaned("_Save <b>%s</b>"), cleaned("E&xit"), cleaned("文件(_F)"), cleaned("AT&T's LC_ALL")
    ('Save …', 'Exit', '文件', "AT&T's LC_ALL")
    """
    text = EASTERN_KEY.sub("", text)
    if "<" in text:
        text = MARKUP.sub(" " if "\n" in text else "", text)
    if "&" in text:
        text = html.unescape(text) if ENTITY.search(text) else AMPERSAND.sub(_without_key, text)
    text = UNDERLINE.sub("", text)
    text = PLACEHOLDER.sub("…", text.replace("%%", "\x00")).replace("\x00", "%")
    return " ".join(re.sub(r"…{2,}", "…", text).split())


def _without_key(match: re.Match[str]) -> str:
    doubled, before, after = match.groups()
    return "&" if doubled else match[0] if before and not after.islower() else before


def names_within(text: str) -> set[str]:
    """Words with an underline inside, as they are left by `cleaned`."""
    return set(re.findall(r"\w*[^\W_]_+[^\W_]\w*", text))
