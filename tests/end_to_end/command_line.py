"""The real command line run as a person runs it, and a small folder of files to run it on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw
from reportlab.lib.pagesizes import A5
from reportlab.pdfgen import canvas

COMMAND = [sys.executable, "-m", "unitower"]
ENVIRONMENT = {"HF_HUB_OFFLINE": "1", "PYTHONIOENCODING": "utf-8", "COLUMNS": "100"}


def started(*arguments: str | Path, cwd: Path, **options: Any) -> subprocess.Popen[str]:
    """A running `unitower`."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # tests that run in the background: a child would inherit it, deaf to Ctrl-C
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **ENVIRONMENT},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        **options,
    )


def unitower(*arguments: str | Path, cwd: Path, code: int = 0, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """A `unitower` command run to its end, which must be the exit code."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **ENVIRONMENT},
        input=stdin,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert done.returncode == code, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def found(query: str, *arguments: str | Path, cwd: Path) -> list[dict[str, Any]]:
    """What `unitower search --json` answers."""
    hits: list[dict[str, Any]] = json.loads(unitower("search", query, "--json", *arguments, cwd=cwd).stdout)
    return hits


def write_pdf(path: Path, pages: list[str], *, password: str | None = None) -> None:
    """A PDF with a text layer, a text per page."""
    paper = canvas.Canvas(str(path), pagesize=A5, encrypt=password, invariant=True)
    for page in pages:
        text = paper.beginText(40, 540)
        words = page.split()
        for first in range(0, len(words), 8):
            text.textLine(" ".join(words[first : first + 8]))
        paper.drawText(text)
        paper.showPage()
    paper.save()


REPORT = [
    "Harbour report. The ferry to the outer islands leaves at noon and returns before dark.",
    "Repairs. The crane on the north quay lost a cogwheel; a new one was cast by the smith of Ullmark.",
    "Accounts. Mooring fees brought in 4,210 crowns, of which the lighthouse received a third.",
]

MINUTES = """# Minutes

## Bees

The hives behind the boathouse gave thirty jars of heather honey.

## Roof

Slates will be ordered from Penrhyn in the autumn.
"""

CODE = '''"""Tides."""


def high_water(hour: float) -> float:
    """Height of the tide in metres, from a table of two harmonics."""
    return 1.8 + 0.9 * hour


def moon_age(day: int) -> float:
    """Days since the last new moon."""
    return day % 29.53
'''


def write_files(folder: Path) -> None:
    """Files of every kind, three of them unreadable, two of them not to be read."""
    (folder / "notes").mkdir(parents=True)
    write_pdf(folder / "report.pdf", REPORT)
    write_pdf(folder / "secret.pdf", ["nobody reads this"], password="swordfish")
    (folder / "empty.pdf").write_bytes(b"")
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7\nthis is no document")
    (folder / "notes" / "minutes.md").write_text(MINUTES, encoding="utf-8")
    (folder / "notes" / "größe und gewicht.txt").write_text("Der Anker wiegt zwölf Zentner.\n", encoding="utf-8")
    (folder / "tides.py").write_text(CODE, encoding="utf-8")
    (folder / "page.html").write_text("<title>Knots</title><p>A bowline holds under load.</p>", encoding="utf-8")
    picture = Image.new("RGB", (300, 200), "white")
    ImageDraw.Draw(picture).rectangle((40, 40, 200, 120), fill="navy")
    picture.save(folder / "flag.png")
    (folder / ".hidden.txt").write_text("hidden", encoding="utf-8")
    (folder / ".gitignore").write_text("draft*\n", encoding="utf-8")
    (folder / "draft.txt").write_text("a draft that nobody should find", encoding="utf-8")
