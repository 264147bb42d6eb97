"""Small documents, a line an item, in two states: before and after somebody worked on them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def write(folder: Path, name: str, lines: list[str], *, age: int = 0) -> None:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text("\n".join(lines), encoding="utf-8")
    os.utime(path, ns=(age, age))


def text(name: str, number: int) -> list[str]:
    return [f"code: def f{i}(): {name}" if i % 4 == 3 else f"word number {i} of {name}" for i in range(number)]


def write_before(folder: Path) -> None:
    for name, number in {"a": 7, "b": 8, "moved": 4, "gone": 4, "kept": 5}.items():
        write(folder, f"{name}.txt", text(name, number))


def write_after(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for name, number in {"a": 7, "kept": 5, "new": 13}.items():
        write(folder, f"{name}.txt", text(name, number))
    write(folder, "away.txt", text("moved", 4))
    write(folder, "b.txt", text("changed", 9), age=1)
    write(folder, "torn.txt", [*text("torn", 4), "!broken torn"])
