"""What a font file says of itself, read from its tables: which characters it has, and whether all are equally wide.

Only the few hundred bytes that answer this are read, so that a machine with hundreds of fonts is known in a fraction of a second:
the character map (table `cmap`, subtables of format 4 and 12, which every Unicode font of the last decades carries) and one field of
`post`. Source: OpenType specification 1.9, chapters "OpenType font file", "cmap" and "post".
"""

from __future__ import annotations

import struct
import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

UNICODE_SUBTABLES = ((3, 10), (0, 6), (0, 4), (3, 1), (0, 3), (0, 2), (0, 1), (0, 0))
"""(platform, encoding) of subtables keyed by Unicode, the fuller ones first."""


class CharacterMap:
    """Which characters a font has a glyph for."""

    def __init__(self, subtable: bytes) -> None:
        self._groups: list[tuple[int, int]] = []
        self._words = array("H")
        self._known: dict[str, bool] = {}
        if not subtable:
            return
        (form,) = struct.unpack_from(">H", subtable)
        if form == 12:
            (count,) = struct.unpack_from(">I", subtable, 12)
            self._groups = sorted((last, first) for first, last, _ in struct.iter_unpack(">III", subtable[16 : 16 + 12 * count]))
        elif form == 4:
            self._words = array("H", subtable[: len(subtable) // 2 * 2])
            if sys.byteorder == "little":
                self._words.byteswap()
            segments = self._words[3] // 2
            self._groups = list(zip(self._words[7 : 7 + segments], self._words[8 + segments : 8 + 2 * segments], strict=True))

    def __contains__(self, character: str) -> bool:
        known = self._known.get(character)
        if known is None:
            known = self._known[character] = self._has_glyph(ord(character))
        return known

    def covers(self, characters: Iterable[str]) -> bool:
        """Whether every one of the characters has a glyph. White space needs none."""
        return all(character in self or character.isspace() for character in characters)

    def _has_glyph(self, code: int) -> bool:
        position = bisect_left(self._groups, (code, 0))
        if position == len(self._groups) or self._groups[position][1] > code:
            return False
        if not self._words:
            return True
        segments = len(self._groups)
        delta, offset = self._words[8 + 2 * segments + position], self._words[8 + 3 * segments + position]
        if offset == 0:
            return (code + delta) & 0xFFFF != 0
        # the offset counts bytes from its own place in the table
        place = 8 + 3 * segments + position + offset // 2 + code - self._groups[position][1]
        return place < len(self._words) and self._words[place] != 0


def read(path: Path) -> list[tuple[CharacterMap, bool]]:
    """Character map and fixed width of each font in a file; one for .ttf and .otf, several for .ttc.

    A file that is not such a font raises OSError, struct.error or ValueError.
    """
    with path.open("rb") as file:
        if file.read(4) == b"ttcf":
            _, count = struct.unpack(">II", file.read(8))
            starts = struct.unpack(f">{count}I", file.read(4 * count))
        else:
            starts = (0,)
        return [_font(file, start) for start in starts]


def _font(file: BinaryIO, start: int) -> tuple[CharacterMap, bool]:
    file.seek(start)
    version, count = struct.unpack(">4sH6x", file.read(12))
    if version not in (b"\0\1\0\0", b"OTTO", b"true"):
        raise ValueError(f"{version!r} is not the beginning of a font.")
    tables = {tag: (at, size) for tag, _, at, size in struct.iter_unpack(">4sIII", file.read(16 * count))}
    fixed = False
    if b"post" in tables:
        file.seek(tables[b"post"][0] + 12)
        fixed = file.read(4) != b"\0\0\0\0"
    return CharacterMap(_unicode_subtable(file, *tables.get(b"cmap", (0, 0)))), fixed


def _unicode_subtable(file: BinaryIO, at: int, size: int) -> bytes:
    """Bytes of the fullest subtable that is keyed by Unicode; empty if there is none (old symbol fonts)."""
    if not size:
        return b""
    file.seek(at + 2)
    (count,) = struct.unpack(">H", file.read(2))
    places = {(platform, encoding): offset for platform, encoding, offset in struct.iter_unpack(">HHI", file.read(8 * count))}
    for key in UNICODE_SUBTABLES:
        if key in places:
            file.seek(at + places[key])
            (form,) = struct.unpack(">H", file.read(2))
            if form in (4, 12):
                file.seek(at + places[key])
                return file.read(size - places[key])
    return b""
