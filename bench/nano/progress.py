"""What the table is busy with, on stderr."""

from __future__ import annotations

import sys


def told(text: str) -> None:
    """One line, over the last one on a terminal."""
    end = "\r" if sys.stderr.isatty() else "\n"
    print(f"{text:<100}"[:100] if end == "\r" else text, end=end, file=sys.stderr, flush=True)
