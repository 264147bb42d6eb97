"""Small pieces of what data sources read: pictures, JSONL files, message catalogues, manual pages, packages."""

from __future__ import annotations

import base64
import gzip
import io
import json
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from PIL import Image


def picture(number: int = 0, *, size: tuple[int, int] = (40, 30)) -> Image.Image:
    """A picture that is different for every number."""
    image = Image.new("RGB", size, (number * 7 % 256, number * 31 % 256, 128))
    image.putpixel((number % size[0], 0), (255, 255, 255))
    return image


def png(image: Image.Image, *, format: str = "PNG") -> bytes:
    file = io.BytesIO()
    image.save(file, format=format)
    return file.getvalue()


def png_base64(image: Image.Image) -> str:
    return base64.b64encode(png(image)).decode()


def write_jsonl(path: Path, rows: Iterable[Any], *, packed: bool = False) -> Path:
    """Rows as JSON lines; a string is written as it is, so that a line may be broken."""
    text = "".join((row if isinstance(row, str) else json.dumps(row, ensure_ascii=False)) + "\n" for row in rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    return path


def write_mo(
    path: Path, strings: Mapping[str, str], *, charset: str = "UTF-8", plural: str = "nplurals=2; plural=n != 1", big: bool = False
) -> Path:
    """A compiled message catalogue; NUL stands between plural forms and \\4 after a context, as gettext has it."""
    header = f"Content-Type: text/plain; charset={charset}\nPlural-Forms: {plural};\n"
    entries = sorted((key.encode(charset), value.encode(charset)) for key, value in {"": header, **strings}.items())
    order = ">" if big else "<"
    start = 28 + 16 * len(entries)
    tables, data = [[], []], b""
    for side in (0, 1):
        for entry in entries:
            tables[side].append((len(entry[side]), start + len(data)))
            data += entry[side] + b"\0"
    numbers = [number for table in tables for pair in table for number in pair]
    path.parent.mkdir(parents=True, exist_ok=True)
    head = struct.pack(f"{order}7I", 0x950412DE, 0, len(entries), 28, 28 + 8 * len(entries), 0, 0)
    path.write_bytes(head + struct.pack(f"{order}{len(numbers)}I", *numbers) + data)
    return path


def write_man(path: Path, source: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(source.encode()))
    return path


def write_files(root: Path, files: Mapping[str, str]) -> Path:
    """Text files by their path beneath a root."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root
