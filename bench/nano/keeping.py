"""Files that are there whole or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def put(path: Path, data: bytes) -> None:
    """Write a file beside its place, then move it there; folders are made. Two programs may write the same one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_bytes(data)
    part.replace(path)


def put_json(path: Path, value: Any, *, indent: int | None = None) -> None:
    put(path, json.dumps(value, ensure_ascii=False, indent=indent).encode("utf-8", "replace"))


def got_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
