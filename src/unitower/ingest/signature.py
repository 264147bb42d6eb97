"""What a file seems to be, by its first bytes, whatever it is called; and the refusals that all readers share."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection
from pathlib import Path

from unitower.errors import UnreadableFile

HEAD_BYTES = 4096

PDF = "a PDF"
HTML = "an HTML page"
TEXT = "text"
LFS = "a Git LFS pointer in place of the file (fetch it with `git lfs pull`)"

MAGIC: list[tuple[bytes, str]] = [
    (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"II*\0", "a TIFF image"),
    (b"MM\0*", "a TIFF image"),
    (b"II+\0", "a TIFF image"),
    (b"MM\0+", "a TIFF image"),
    (b"8BPS\0", "a Photoshop image"),
    (b"\0\0\1\0", "an icon"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 image"),
    (b"\xff\x0a", "a JPEG XL image"),
    (b"PK\3\4", "a ZIP archive or an Office document"),
    (b"PK\5\6", "an empty ZIP archive"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Office document of the old kind"),
    (b"{\\rtf", "an RTF document"),
    (b"%!PS-Adobe", "a PostScript document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh91AY&SY", "a bzip2 archive"),
    (b"\xfd7zXZ\0", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"!<arch>\n", "a library archive"),
    (b"\x7fELF", "an executable"),
    (b"\xfe\xed\xfa\xce", "an executable"),
    (b"\xfe\xed\xfa\xcf", "an executable"),
    (b"\xce\xfa\xed\xfe", "an executable"),
    (b"\xcf\xfa\xed\xfe", "an executable"),
    (b"\xca\xfe\xba\xbe", "an executable or a Java class"),
    (b"\0asm", "a WebAssembly module"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x80\x02", "a Python pickle"),
    (b"\x80\x04", "a Python pickle"),
    (b"\x80\x05", "a Python pickle"),
    (b"OggS\0", "an Ogg recording"),
    (b"fLaC\0", "a FLAC recording"),
    (b"ID3\2", "an MP3 recording"),
    (b"ID3\3", "an MP3 recording"),
    (b"ID3\4", "an MP3 recording"),
    (b"\x1aE\xdf\xa3", "a video"),
    (b"wOFF\0", "a font"),
    (b"wOF2\0", "a font"),
    (b"OTTO\0", "a font"),
    (b"version https://git-lfs.github.com/spec/", LFS),
]
"""First bytes and what they tell; each holds a byte no text has, or is too long to begin a text by chance."""

RIFF = {b"WEBP": "a WebP image", b"WAVE": "a WAVE recording", b"AVI ": "a video"}
FTYP = {b"heic": "a HEIC image", b"heix": "a HEIC image", b"mif1": "a HEIC image", b"msf1": "a HEIC image", b"avif": "an AVIF image"}

NOT_IN_TEXTS = bytes(byte for byte in range(32) if byte not in b"\t\n\f\r\x1b") + b"\x7f"
"""Bytes that no text has; escape is one that logs colour their lines with."""


def first_bytes(path: Path) -> bytes:
    """The first 4 kB of a file. Raises UnreadableFile if it is missing, forbidden, empty, or no regular file (a pipe would block)."""
    try:
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode):
            raise UnreadableFile(path, "a folder, not a file" if stat.S_ISDIR(mode) else "not a regular file")
        with open(path, "rb") as stream:
            head = stream.read(HEAD_BYTES)
    except OSError as error:
        raise UnreadableFile(path, trouble(error)) from error
    except ValueError as error:  # a NUL in the name
        raise UnreadableFile(path, "no such file") from error
    if not head:
        raise UnreadableFile(path, "empty")
    return head


def trouble(error: OSError) -> str:
    """What the system says, in plain words."""
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, PermissionError):
        return "permission denied"
    return f"cannot be read: {(error.strerror or str(error)).lower()}"


def kind_of(head: bytes) -> str | None:
    """What a file that begins so is, as in "a PNG image"; None where the bytes tell nothing.

    >>> kind_of(b"%PDF-1.7 ..."), kind_of(b"Dear all,"), kind_of(bytes(9))
    ('a PDF', 'text', None)
    """
    for magic, kind in MAGIC:
        if head.startswith(magic):
            return kind
    if head[:4] in {b"GIF8", b"RIFF"} or head[4:8] == b"ftyp" or head[:2] in {b"BM", b"MZ"}:
        container = _container(head)
        if container:
            return container
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:512].lower()
    if start.startswith(b"%pdf-"):
        return PDF
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return HTML
    if start.startswith(b"<?xml"):
        return HTML if b"<html" in head.lower() else "an XML document"
    return TEXT if looks_like_text(head) else None


def looks_like_text(data: bytes) -> bool:
    """Whether bytes may be text: with the mark of UTF-16 or UTF-32, or with no NUL and hardly any other byte that texts do not have."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")):
        return True
    return b"\0" not in data and (len(data) - len(data.translate(None, NOT_IN_TEXTS))) * 50 <= len(data)


def refuse_unless(path: Path, head: bytes, kinds: Collection[str | None], *, wanted: str) -> None:
    """Raise UnreadableFile, saying what the file seems to be, unless its kind is one of `kinds`. `wanted`: "a PDF"."""
    kind = kind_of(head)
    if kind not in kinds:
        raise UnreadableFile(path, f"not {wanted}: it seems to be {kind}" if kind else f"not {wanted}")


def _container(head: bytes) -> str | None:
    if head[:6] in {b"GIF87a", b"GIF89a"} and _binary(head[6:16]):
        return "a GIF image"
    if head.startswith(b"RIFF"):
        return RIFF.get(head[8:12], "a RIFF container") if _binary(head[:16]) or head[8:12] in RIFF else None
    if head[4:8] == b"ftyp" and head[0] == 0:
        return FTYP.get(head[8:12], "a video")
    if head.startswith(b"BM") and head[6:10] == bytes(4):
        return "a BMP image"
    if head.startswith(b"MZ") and b"\0" in head[:64]:
        return "an executable"
    return None


def _binary(data: bytes) -> bool:
    return len(data.translate(None, NOT_IN_TEXTS)) < len(data)
