"""`unitower doctor`, `tune` and `search --explain` with a fake encoder: what is printed, what is written, the exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fake import FakeEncoder
from PIL import Image

from unitower.cli import main


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """A current directory with an index over a text and a picture."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("unitower.encode.encoder.load", lambda name="nano", **options: FakeEncoder(name=str(name)))
    monkeypatch.setattr("unitower.index.doctor.kernel", lambda: {"name": "numpy", "scan_ms": 1.0, "score_ms": 2.0})
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "lease.txt").write_text("The rent of the mill is due on the first of May.\n", encoding="utf-8")
    Image.new("RGB", (300, 300), "white").save(tmp_path / "papers" / "page.png")
    assert main(["index", "papers"]) == 0
    capsys.readouterr()
    return tmp_path


def test_an_explained_search_tells_the_words_and_draws_the_pages(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "rent of May", "--explain", "why"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["rent", "1.00", "█" * 20, "“rent”"] in lines
    assert ["in", "the", "text:", "rent,", "of,", "May"] in lines
    (picture,) = Path("why").iterdir()
    assert picture.name.endswith("page.png.png")
    assert Image.open(picture).format == "PNG"


def test_an_explained_search_as_json_has_the_shares_and_the_picture(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "rent of May", "--explain", "why", "--json"]) == 0
    hits = {hit["path"]: hit["explanation"] for hit in json.loads(capsys.readouterr().out)}
    text, page = hits["papers/lease.txt"], hits["papers/page.png"]
    assert [word["word"] for word in text["words"]] == ["rent", "of", "May"]
    assert text["picture"] is None
    assert page["grid"] == [4, 4]
    assert Path(page["picture"]).is_file()


def test_pictures_go_to_explained_where_no_folder_is_named(here: Path) -> None:
    assert main(["search", "rent", "--explain"]) == 0
    assert list(Path("explained").iterdir())


def test_the_doctor_of_a_sound_index_ends_with_0_and_of_a_damaged_one_with_1(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "Nothing is wrong." in out
    assert "2 items encoded again, likeness" in out
    (data,) = Path(".unitower/retrieval.lance/data").iterdir()
    content = bytearray(data.read_bytes())
    content[100] ^= 1
    data.write_bytes(content)
    assert main(["doctor", "--json", "--sample", "0"]) == 1
    told = json.loads(capsys.readouterr().out)
    (wrong,) = [check for check in told["checks"] if check["ok"] is False]
    assert data.name in wrong["told"]
    assert "Delete" in wrong["remedy"]
    assert main(["search", "rent"]) == 1
    assert data.name in capsys.readouterr().err


def test_a_damaged_store_is_made_good_as_the_message_says(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import shutil

    (data,) = Path(".unitower/retrieval.lance/data").iterdir()
    data.write_bytes(b"")
    assert main(["index", "papers"]) == 1
    assert "Delete this folder and index your files again" in capsys.readouterr().err
    shutil.rmtree(".unitower/retrieval.lance")
    assert main(["index", "papers"]) == 0
    assert main(["doctor"]) == 0


def test_advice_is_a_table_with_what_to_take_and_a_plot(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tune"]) == 1
    assert "nothing to tune" in capsys.readouterr().err
    for i in range(60):
        (here / "papers" / f"{i}.txt").write_text(f"Text {i} about thing{i * 7 % 60} and matter{i * 11 % 60} for nobody.", encoding="utf-8")
    Path("asked.txt").write_text("thing7\n\nmatter11 text\n", encoding="utf-8")
    assert main(["index", "papers"]) == 0
    capsys.readouterr()
    assert main(["tune", "--queries", "asked.txt", "--plot", "tune.png"]) == 0
    captured = capsys.readouterr()
    assert "62 of 62 entries, 2 queries." in captured.out
    assert "recommended" in captured.out
    assert "now" in captured.out
    assert captured.err == "drawn: tune.png\n"
    assert Image.open("tune.png").width > 1000
    assert main(["tune", "--queries", "asked.txt", "--plot", "", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["queries"] == 2


def test_without_matplotlib_advice_says_what_is_missing(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(tuning: object, path: Path) -> None:
        raise ImportError

    monkeypatch.setattr("unitower.index.tuning.LEAST", 1)
    monkeypatch.setattr("unitower.index.tuning.plot", missing)
    assert main(["tune"]) == 0
    assert "pip install 'unitower[render]'" in capsys.readouterr().err
