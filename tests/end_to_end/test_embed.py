"""`unitower embed` writes the vectors that `unitower.load` gives."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import unitower

import unitower as library

Harbour = tuple[Path, subprocess.CompletedProcess[str]]

TEXTS = ["a first line", "", "  white space kept  ", "größer – 漢字 🙂", "x = {1: [2]}"]


@cache
def encoder() -> Any:
    return library.load(dtype="float32")


def lines(*arguments: str | Path, cwd: Path, stdin: str = "", code: int = 0) -> list[dict[str, Any]]:
    """Lines of JSON that `unitower embed` prints, in float32: the same vectors in every batch."""
    return [
        json.loads(line)
        for line in unitower("embed", "--dtype", "float32", *arguments, cwd=cwd, stdin=stdin, code=code).stdout.splitlines()
    ]


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_every_line_of_stdin_becomes_a_line_of_json(ends: str, tmp_path: Path) -> None:
    embedded = lines("--role", "passage", "--multi", cwd=tmp_path, stdin=ends.join(TEXTS))
    expected = encoder().encode(TEXTS, task="retrieval", role="passage")
    assert [line["id"] for line in embedded] == ["1", "2", "3", "4", "5"]
    assert all(list(line) == ["id", "dense", "multi"] for line in embedded)
    np.testing.assert_allclose(np.float32([line["dense"] for line in embedded]), expected.dense, atol=1e-6)
    for line, tokens in zip(embedded, expected.multi, strict=True):
        np.testing.assert_allclose(np.float32(line["multi"]), tokens, atol=1e-6)


def test_npz_holds_the_same_vectors_cut_to_the_size_asked_for(tmp_path: Path) -> None:
    out = tmp_path / "vectors.npz"
    done = unitower(
        *("embed", "--dtype", "float32", "--role", "query", "--task", "code", "--dim", "128", "--format", "npz", "--out", out),
        cwd=tmp_path,
        stdin="\n".join(TEXTS) + "\n",
    )
    assert done.stdout == ""
    expected = encoder().encode(TEXTS, task="code", role="query", truncate_dim=128)
    with np.load(out) as arrays:
        assert sorted(arrays) == ["dense", "ids", "offsets", "tokens"]
        assert arrays["ids"].tolist() == ["1", "2", "3", "4", "5"]
        np.testing.assert_allclose(arrays["dense"], expected.dense, atol=1e-6)
        np.testing.assert_allclose(arrays["tokens"], expected.multi.data, atol=1e-6)
        np.testing.assert_array_equal(arrays["offsets"], expected.multi.offsets)


def test_nothing_in_gives_nothing_out(tmp_path: Path) -> None:
    assert lines("--role", "query", cwd=tmp_path) == []
    unitower("embed", "--role", "query", "--format", "npz", "--out", "none.npz", cwd=tmp_path)
    with np.load(tmp_path / "none.npz") as arrays:
        assert {name: arrays[name].shape for name in arrays} == {"dense": (0, 256), "tokens": (0, 128), "offsets": (1,), "ids": (0,)}


def test_files_give_their_pages_and_passages(harbour: Harbour) -> None:
    folder, _ = harbour
    pages = lines("files/report.pdf", "files/flag.png", cwd=folder)
    assert [(page["path"], page.get("page")) for page in pages] == [("files/flag.png", None), *(("files/report.pdf", n) for n in (1, 2, 3))]
    assert pages[1]["id"] == "files/report.pdf#page=1"
    expected = encoder().encode([folder / "files" / "flag.png"], role="passage")
    np.testing.assert_allclose(np.float32([pages[0]["dense"]]), expected.dense, atol=1e-6)
    passages = lines("files/notes/minutes.md", "--role", "passage", cwd=folder)
    assert {passage["path"] for passage in passages} == {"files/notes/minutes.md"}
    assert all(first <= last for first, last in (passage["lines"] for passage in passages))


def test_a_text_without_a_role_is_a_mistake_before_anything_is_written(harbour: Harbour) -> None:
    done = unitower("embed", "files/flag.png", "files/tides.py", "--out", "vectors.jsonl", cwd=harbour[0], code=1)
    assert done.stderr.startswith("unitower: files/tides.py ")
    assert "--role" in done.stderr
    assert not (harbour[0] / "vectors.jsonl").exists()


def test_a_file_that_cannot_be_read_is_named_and_the_others_are_written(harbour: Harbour) -> None:
    done = unitower("embed", "files/broken.pdf", "files/flag.png", cwd=harbour[0], code=1)
    assert done.stderr.startswith("unitower: skipped files/broken.pdf: ")
    assert [json.loads(line)["path"] for line in done.stdout.splitlines()] == ["files/flag.png"]


def test_a_line_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    (tmp_path / "texts").write_bytes("gut\ngr\u00f6\u00dfer\n".encode("latin-1"))
    with (tmp_path / "texts").open("rb") as texts:
        done = subprocess.run(
            [sys.executable, "-m", "unitower", "embed", "--role", "query"], stdin=texts, cwd=tmp_path, capture_output=True, text=True
        )
    assert done.returncode == 1
    assert done.stderr.startswith("unitower: line 2 of the input is not UTF-8")


def test_a_size_the_model_does_not_have_is_told_with_those_it_has(tmp_path: Path) -> None:
    done = unitower("embed", "--role", "query", "--dim", "100", cwd=tmp_path, stdin="a\n", code=1)
    assert "100" in done.stderr
    assert "128" in done.stderr


def test_what_cannot_be_read_leaves_the_former_vectors_as_they_were(tmp_path: Path) -> None:
    (tmp_path / "vectors.jsonl").write_text("precious\n", encoding="utf-8")
    (tmp_path / "page.png").write_bytes(b"no picture")
    unitower("embed", "missing.png", "--out", "vectors.jsonl", cwd=tmp_path, code=1)
    assert (tmp_path / "vectors.jsonl").read_text(encoding="utf-8") == "precious\n"
    assert not list(tmp_path.glob("*.part"))
