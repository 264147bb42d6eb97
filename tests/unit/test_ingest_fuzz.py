"""Damaged files, more than two thousand of them: whatever is in them, a reader yields items or raises UnreadableFile, soon, in bounded
memory.

Pictures, pages and code are read in processes whose time and memory the system limits (`ingest.confined`); of text, which is read
here, both are measured. Time is processor time, so that a busy machine fails nothing.
"""

import io
import random
import sys
import time
import zlib
from pathlib import PurePath

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from reportlab.pdfgen import canvas

from unitower.errors import UnreadableFile
from unitower.ingest import count, read

if sys.platform != "win32":
    import resource

NOISE = np.random.default_rng(0).integers(0, 255, (24, 32, 3), np.uint8)
TEXT = "Größe — naïve 東京 \n\n# Heading\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```\ncode\n```\n" * 6
SOURCE = "import x\n\n@dec\nclass A(B):\n    '''Doc.'''\n\n    def f(self, a=(1, [2])):\n        return f'{a}'\n\n\n" * 4
BRACES = "/* c */\nfunction f(a) { if (a < b) { return [1, 'x']; } }\nclass A { m() { return `t${1}` } }\n" * 4
PAGE = (
    "<!DOCTYPE html><html><head><title>T</title><script>x<y</script></head>"
    "<body><h1>A</h1><p class='q'>b &amp; c<table><tr><td>1</table></body></html>"
)


def picture(fmt, mode="RGB", **options):
    out = io.BytesIO()
    Image.fromarray(NOISE).convert(mode).save(out, fmt, **options)
    return out.getvalue()


def document():
    out = io.BytesIO()
    sheet = canvas.Canvas(out)
    for number in range(3):
        sheet.drawString(100, 700, f"page {number}")
        sheet.showPage()
    sheet.save()
    return out.getvalue()


FILES = {
    "a.pdf": document(),
    "a.png": picture("PNG"),
    "palette.png": picture("PNG", "P"),
    "a.jpg": picture("JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"),
    "progressive.jpg": picture("JPEG", progressive=True),
    "a.tif": picture("TIFF", compression="tiff_lzw"),
    "pages.tif": picture("TIFF", save_all=True, append_images=[Image.fromarray(NOISE)] * 2),
    "fax.tif": picture("TIFF", "1", compression="group4"),
    "a.webp": picture("WEBP"),
    "a.gif": picture("GIF"),
    "a.bmp": picture("BMP"),
    "a.txt": TEXT.encode(),
    "utf16.txt": TEXT.encode("utf-16"),
    "latin.txt": TEXT.encode("cp1252", "ignore"),
    "a.md": TEXT.encode(),
    "a.html": PAGE.encode() * 3,
    "a.py": SOURCE.encode(),
    "a.ts": BRACES.encode(),
    "a.java": BRACES.encode(),
    "a.sh": b"f() {\n  echo $((1 + 2)) <<EOF\n$x\nEOF\n}\n" * 5,
}
ROUNDS = {".pdf": 60, ".tif": 40, ".txt": 160, ".md": 160, ".html": 160}
USUAL_ROUNDS = 110
"""Damaged copies of each file, by suffix: as many as their cost allows (a PDF has a process of its own)."""

MOST_SECONDS = 10
MOST_BYTES = 500_000_000
"""That this process may grow by while it reads the damaged copies of a file."""


def mutated(data, rng):
    """The data with a few bytes changed, cut out, doubled, overwritten, or all after some place cut off."""
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 3, 10, 40])):
        at, length = rng.randrange(len(data) + 1), rng.choice([1, 2, 4, 30, 300])
        match rng.randrange(7):
            case 0 | 1:
                data[at : at + 1] = rng.randbytes(1)
            case 2:
                del data[at : at + length]
            case 3:
                data[at:at] = data[max(0, at - length) : at]
            case 4:
                data[at : at + length] = rng.choice([b"\0", b"\xff", b"<", b"(", b"9"]) * length
            case 5:
                data[at : at + 4] = rng.choice([b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"99999999", b"-1", b"\0\x01\0\0"])
            case 6 if rng.random() < 0.3:
                del data[at:]
    return bytes(data)


def test_so_many_files_are_damaged():
    assert sum(ROUNDS.get(PurePath(name).suffix, USUAL_ROUNDS) for name in FILES) > 2000


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_gives_items_or_is_refused(tmp_path, name):
    rng = random.Random(zlib.crc32(name.encode()))
    peak = peak_bytes()
    path = tmp_path / name
    for number in range(ROUNDS.get(PurePath(name).suffix, USUAL_ROUNDS)):
        path.write_bytes(mutated(FILES[name], rng))
        check(path, counted=number % 8 == 0)
    assert peak_bytes() - peak < MOST_BYTES


@pytest.mark.parametrize("suffix", [".txt", ".md", ".html"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.one_of(st.binary(max_size=400), st.text(max_size=400).map(lambda text: text.encode("utf-8", "surrogatepass"))))
def test_any_bytes_give_items_or_are_refused(tmp_path, suffix, content):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    check(path, counted=True)


def check(path, *, counted):
    """Read a file to its end or its refusal, and see that either is as it should be."""
    began = time.process_time()
    items, refused = items_or_refusal(path)
    assert time.process_time() - began < MOST_SECONDS
    if refused is None:
        assert items
        assert len({item.id for item in items}) == len(items)
        if counted:
            assert len(items) <= count(path)
    else:
        assert refused.path == str(path)
        assert refused.reason
        assert "\n" not in refused.reason


def peak_bytes():
    """The most memory that this process has held so far; 0 where the system does not tell."""
    if sys.platform != "linux":
        return 0
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def items_or_refusal(path):
    try:
        return list(read(path, key="k")), None
    except UnreadableFile as error:
        return [], error
