"""What may happen to a file of an index, and the files there are."""

from __future__ import annotations

import random
import shutil
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path


def flipped(content: bytes, chance: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(chance.choice([1, 1, 8])):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


DAMAGES: dict[str, Callable[[bytes, random.Random], bytes | None]] = {
    "flipped bits": flipped,
    "cut short": lambda content, chance: content[: chance.randrange(len(content))],
    "grown": lambda content, chance: content + chance.randbytes(9),
    "zeroed": lambda content, chance: bytes(len(content)),
    "emptied": lambda content, chance: b"",
    "removed": lambda content, chance: None,
}


def kinds_of_file(folder: Path) -> dict[str, list[Path]]:
    """The files of an index by kind: their names without what is random in them."""
    kinds: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.stat().st_size:
            place = path.relative_to(folder)
            name = place.name if place.parts[0] == place.name or "_indices" in place.parts else path.suffix
            kinds.setdefault(f"{'/'.join(place.parts[:2]) if len(place.parts) > 2 else place.parts[0]}:{name}", []).append(place)
    return kinds


def hurt(source: Path, damage: str) -> Iterator[tuple[str, Path, Path]]:
    """Copies of an index, each with one file damaged: the kind of file, which one, and where the copy lies until the next is asked for."""
    for kind, places in kinds_of_file(source).items():
        chance = random.Random(zlib.crc32(f"{damage} {kind}".encode()))
        for number in range(3 if damage == "flipped bits" else 1):
            place = chance.choice(places)
            copy = source.with_name(f"hurt {len(kind)} {zlib.crc32(kind.encode())} {number}")  # a place of its own: Lance remembers places
            shutil.copytree(source, copy)
            content = DAMAGES[damage]((copy / place).read_bytes(), chance)
            if content is None:
                (copy / place).unlink()
            else:
                (copy / place).write_bytes(content)
            yield kind, place, copy
            shutil.rmtree(copy)
