"""An index that an older unitower made is refused with what to do about it, and nothing of it is touched."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest
from fake import FakeEncoder

from unitower.errors import IndexMismatch
from unitower.index import Index

OLD = Path(__file__).with_name("format-1.zip")
"""Made by the first version, of three lines of text."""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    with zipfile.ZipFile(OLD) as archive:
        archive.extractall(tmp_path / ".unitower")
    return tmp_path / ".unitower"


def content(folder: Path) -> dict[str, str]:
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_an_index_of_format_1_is_refused_with_what_to_do(old: Path) -> None:
    before = content(old)
    with pytest.raises(IndexMismatch, match=r"format 1.*index again") as error:
        Index.open(old, encoder=FakeEncoder())
    assert str(old) in str(error.value)
    assert content(old) == before


def test_the_doctor_tells_of_an_old_format(old: Path) -> None:
    from unitower.index import doctor

    report = doctor.examine(old, sample=0)
    assert not report.ok
    (wrong,) = [check for check in report.checks if check.ok is False]
    assert "format 1" in wrong.told
    assert wrong.remedy
