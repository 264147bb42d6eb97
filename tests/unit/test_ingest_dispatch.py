"""Which reader a file goes to."""

import subprocess
import sys
from pathlib import Path

import pytest

from unitower.errors import UnreadableFile
from unitower.ingest import count, read, reader_for, readers


def test_the_readers_are_the_modules_that_name_suffixes():
    assert {"pdf", "image", "text", "markdown", "code", "html"} <= set(readers())
    assert list(readers()) == sorted(readers())


@pytest.mark.parametrize(
    ("name", "reader"),
    [
        ("a.pdf", "pdf"),
        ("A.PDF", "pdf"),
        ("scan.TIFF", "image"),
        ("photo.Jpeg", "image"),
        ("notes.txt", "text"),
        ("data.csv", "text"),
        ("README", "text"),
        ("Makefile", "text"),
        (".profile", "text"),
        ("a.md", "markdown"),
        ("a.b.py", "code"),
        ("a.tsx", "code"),
        ("a.htm", "html"),
    ],
)
def test_a_file_goes_to_the_reader_of_its_suffix(name, reader):
    assert reader_for(Path("folder.zip") / name) is readers()[reader]


@pytest.mark.parametrize(
    ("name", "suffix"), [("a.zip", ".zip"), ("a.tar.GZ", ".gz"), ("a.docx", ".docx"), ("a.xyz", ".xyz"), ("v1.2", ".2")]
)
def test_a_suffix_that_nothing_reads_is_refused_without_looking_at_the_file(name, suffix):
    for call in (count, lambda path: next(read(path, key="k"))):
        with pytest.raises(UnreadableFile) as raised:
            call(Path("nowhere") / name)
        assert raised.value.reason == f"no reader for {suffix} files"


def test_reading_through_the_front_door_is_reading_by_the_reader(tmp_path):
    path = tmp_path / "README"
    path.write_text("one\n\n" + "word " * 700)
    assert list(read(path, key="README")) == list(readers()["text"].read(path, key="README"))
    assert list(read(path, key="README", start=1)) == list(read(path, key="README"))[1:]
    assert count(path) == 3


def test_a_binary_file_without_a_suffix_is_refused(tmp_path):
    path = tmp_path / "program"
    path.write_bytes(b"\x7fELF\2\1\1" + bytes(100))
    with pytest.raises(UnreadableFile, match="it seems to be an executable"):
        list(read(path, key="program"))


def test_listing_the_readers_loads_no_heavy_library():
    heavy = {"PIL", "pypdfium2", "tree_sitter", "torch", "numpy.linalg"} - {"numpy.linalg"}
    code = f"import sys, unitower.ingest, unitower.ingest.walk; unitower.ingest.readers(); print({heavy!r} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
