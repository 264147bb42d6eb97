"""Bytes of a text file to text, or a refusal in plain words.

UTF-8, and UTF-16 or UTF-32 with their byte order mark; what is none of these and looks like a Western text is read as Windows-1252.
A text in another old encoding is refused rather than kept as gibberish.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path

from unitower.errors import UnreadableFile
from unitower.ingest.signature import HTML, LFS, TEXT, first_bytes, looks_like_text, refuse_unless, trouble

MAX_TEXT_BYTES = 64 * 2**20
"""Larger files are data rather than texts: a dump or a log of this size would make some fifty thousand passages."""

MARKS = [
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
]
READABLE = {None, TEXT, HTML, LFS, "an XML document"}
CONTROLS = re.compile(r"[\0-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")
NOTHING = re.compile(r"[\s\ufeff\u200b-\u200f\u2060\u00ad]*")
STRAY = re.compile("[\ufffd\ue000-\uf8ff]")
ASCII = bytes(range(128))
SPACE = b" \t\n\r\f"


def text_of(path: Path, *, declared: Callable[[bytes], str | None] | None = None) -> str:
    """The text of a file in NFC, its lines ended by `\\n` alone; control characters become spaces.

    declared  finds the encoding that a file names in its own first bytes, for kinds of file that do
    Raises UnreadableFile if the file is missing, empty, over 64 MB, no text, or holds nothing but white space.
    """
    head = first_bytes(path)
    refuse_unless(path, head, READABLE, wanted="text")
    try:
        size_bytes = path.stat().st_size
        if size_bytes > MAX_TEXT_BYTES:
            raise UnreadableFile(path, f"{size_bytes / 2**20:,.0f} MiB of text: more than {MAX_TEXT_BYTES // 2**20} MiB are not read")
        data = path.read_bytes()
    except OSError as error:
        raise UnreadableFile(path, trouble(error)) from error
    text = _decoded(path, data, declared(head) if declared else None)
    text = CONTROLS.sub(" ", text.replace("\r\n", "\n").replace("\r", "\n"))
    if NOTHING.fullmatch(text):
        raise UnreadableFile(path, "no text in it")
    return unicodedata.normalize("NFC", text)


def _decoded(path: Path, data: bytes, declared: str | None) -> str:
    """Bytes as text: by byte order mark, else as declared, else as UTF-8, else as Windows-1252 if that is likely."""
    for mark, encoding in MARKS:
        if data.startswith(mark):
            text = data[len(mark) :].decode(encoding, "replace")
            if len(STRAY.findall(text)) * 20 > len(text):
                raise UnreadableFile(path, f"binary data or damaged text: marked as {encoding[:6].upper()}, it makes no sense as that")
            return text
    # A log may hold a stray NUL where the machine lost power; binary data has one early, or many.
    if not looks_like_text(data[:65536]) or not looks_like_text(data.replace(b"\0", b"") if data.count(0) * 50 < len(data) else data):
        raise UnreadableFile(path, "binary data, not text")
    data = data.removeprefix(codecs.BOM_UTF8)
    if declared:
        return data.decode(declared, "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("utf-8", "replace")
    broken = text.count("\ufffd")
    if len(text) - len(text.encode("ascii", "ignore")) >= 2 * broken:
        return text  # UTF-8 with a few bytes damaged or cut off: as many characters are whole as are broken
    high = len(data.translate(None, ASCII))
    if high * 5 > 2 * len(data.translate(None, SPACE)):  # two letters of five with an accent: no Western text
        raise UnreadableFile(path, "text in an encoding that cannot be told: save it as UTF-8")
    return data.decode("cp1252", "replace")


def lines_of(text: str) -> list[str]:
    """The lines as an editor counts them, the first being line 1: a form feed or a Unicode line separator ends none."""
    return text.split("\n")
