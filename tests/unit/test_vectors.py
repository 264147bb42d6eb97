"""What `unitower embed` reads: files that need a role, and files that nothing reads."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from unitower.vectors import items_of


@pytest.fixture
def scans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a picture and with files that no reader reads."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "scans"
    folder.mkdir()
    Image.new("RGB", (56, 56), (200, 30, 30)).save(folder / "page.png")
    for name in ("letter.docx", "old.zip", "Thumbs.db"):
        (folder / name).write_bytes(b"PK\3\4")
    return folder


@pytest.mark.parametrize("role", [None, "passage"])
def test_a_file_that_no_reader_reads_is_skipped_with_a_role_and_without(scans: Path, role: str | None) -> None:
    skipped: dict[str, str] = {}
    items = items_of(["scans"], role=role, skip=skipped.__setitem__)  # type: ignore[arg-type]
    assert [(item.source.path, item.modality) for item in items] == [("scans/page.png", "image")]
    assert skipped == {
        "scans/Thumbs.db": "no reader for .db files",
        "scans/letter.docx": "no reader for .docx files",
        "scans/old.zip": "no reader for .zip files",
    }


@pytest.mark.parametrize("name", ["notes.md", "tool.py", "README"])
def test_a_text_without_a_role_is_told_before_anything_is_read(scans: Path, name: str) -> None:
    (scans / name).write_text("the rent is due", encoding="utf-8")
    with pytest.raises(ValueError, match=f"^scans/{name} is a text: say --role query"):
        items_of(["scans"], role=None, skip=lambda path, reason: None)
