"""Index a folder, search it, follow its changes: through the command line, with the shipped model."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import REPORT, found, unitower, write_pdf

Harbour = tuple[Path, subprocess.CompletedProcess[str]]

FIXTURES = Path(__file__).parents[1] / "fixtures"


def test_indexing_tells_what_it_read_and_what_it_skipped(harbour: Harbour) -> None:
    _, done = harbour
    first, *rest = done.stdout.splitlines()
    assert re.fullmatch(r"6 files read \(\d+ pages and passages\), 0 unchanged, 0 removed, 3 skipped, in [\d.]+ s\.", first)
    assert [line.split(":")[0].strip() for line in rest[:3]] == [f"skipped files/{name}.pdf" for name in ("broken", "empty", "secret")]
    assert re.match(r"\d+ pages and passages in \d+ files\n", done.stderr)
    assert "\x1b" not in done.stdout + done.stderr


def test_a_phrase_is_found_on_its_page(harbour: Harbour) -> None:
    folder, _ = harbour
    best, *others = found("cogwheel cast by the smith", "-k", "3", cwd=folder)
    assert list(best) == [
        "rank",
        "score",
        "id",
        "path",
        "page",
        "lines",
        "modality",
        "snippet",
        "copies",
        "matches",
        "others",
        "neighbours",
    ]
    assert best["rank"] == 1
    assert best["id"] == "files/report.pdf#page=2"
    assert best["path"] == "files/report.pdf"
    assert best["page"] == 2
    assert best["lines"] is None
    assert best["modality"] == "image"
    assert "a new one was cast by the smith" in best["snippet"]
    assert [other["rank"] for other in others] == [2, 3]
    assert best["score"] >= others[0]["score"] >= others[1]["score"]


@pytest.mark.parametrize(
    ("query", "path", "lines"),
    [
        ("heather honey", "files/notes/minutes.md", (3, 5)),
        ("Anker zwölf Zentner", "files/notes/größe und gewicht.txt", (1, 1)),
        ("days since the last new moon", "files/tides.py", (9, 11)),
    ],
)
def test_words_lead_to_the_lines_they_stand_on(query: str, path: str, lines: tuple[int, int], harbour: Harbour) -> None:
    hit = found(query, "-k", "1", cwd=harbour[0])[0]
    first, last = hit["lines"]
    assert hit["path"] == path
    assert first <= lines[1]
    assert last >= lines[0]


def test_the_code_task_finds_functions_only(harbour: Harbour) -> None:
    hits = found("height of the tide", "--task", "code", cwd=harbour[0])
    assert {hit["path"] for hit in hits} == {"files/tides.py"}
    assert {hit["modality"] for hit in hits} == {"code"}
    assert hits[0]["lines"][0] <= 4 <= hits[0]["lines"][1]


def test_hidden_and_ignored_files_are_not_in_the_index(harbour: Harbour) -> None:
    hits = found("a draft that nobody should find, hidden", "-k", "100", cwd=harbour[0])
    assert not [hit["path"] for hit in hits if "draft" in hit["path"] or "hidden" in hit["path"]]


def test_results_for_people_name_place_score_signals_and_snippet(harbour: Harbour) -> None:
    first, second = unitower("search", "mooring fees", "-k", "1", cwd=harbour[0]).stdout.splitlines()
    assert re.fullmatch(r" 1\. files/report\.pdf, page 3  \(score \d\.\d{4}, by .*\bwords\b.*\)", first)
    assert second == f"    {REPORT[2]}"


def test_status_lists_what_there_is_and_what_was_skipped(harbour: Harbour) -> None:
    told = json.loads(unitower("status", "--json", cwd=harbour[0]).stdout)
    assert told["model"] == "nano"
    assert told["files"] == 6
    assert told["items"]["image"] == len(REPORT) + 1
    assert told["items"]["code"] >= 2
    reasons = {one["path"]: one["reason"] for one in told["skipped"]}
    assert set(reasons) == {"files/broken.pdf", "files/empty.pdf", "files/secret.pdf"}
    assert "empty" in reasons["files/empty.pdf"]
    assert re.search("encrypted|password", reasons["files/secret.pdf"])


def test_an_index_elsewhere_is_made_searched_and_told_by_its_name(harbour: Harbour, tmp_path: Path) -> None:
    files = harbour[0] / "files" / "notes"
    unitower("index", files, "--into", "of notes", cwd=tmp_path)
    hit = found("heather honey", "--in", "of notes", cwd=tmp_path)[0]
    assert hit["path"] == (files / "minutes.md").as_posix()  # not beneath the current folder: absolute
    assert [path.name for path in tmp_path.iterdir()] == ["of notes"]


def test_a_second_run_reads_nothing_again(copy: Callable[[], Path]) -> None:
    folder = copy()
    assert unitower("index", "files", cwd=folder).stdout.startswith(
        "0 files read (0 pages and passages), 6 unchanged, 0 removed, 3 skipped"
    )


def test_changes_are_followed(copy: Callable[[], Path]) -> None:
    folder = copy()
    write_pdf(folder / "files" / "report.pdf", ["Nothing about cranes here.", "The whale was sighted off Skerry."])
    (folder / "files" / "notes" / "minutes.md").unlink()
    (folder / "files" / "page.html").rename(folder / "files" / "knots.html")
    (folder / "files" / "new.txt").write_text("A cormorant nested on the buoy.\n", encoding="utf-8")
    summary = unitower("index", "files", cwd=folder).stdout
    assert re.match(r"3 files read \(\d+ pages and passages\), 3 unchanged, 2 removed, 3 skipped", summary)
    everything = found("whale cormorant bowline crane honey", "-k", "100", cwd=folder)
    paths = {hit["path"] for hit in everything}
    assert paths == {
        f"files/{name}" for name in ("report.pdf", "knots.html", "new.txt", "notes/größe und gewicht.txt", "tides.py", "flag.png")
    }
    assert {hit["page"] for hit in everything if hit["path"] == "files/report.pdf"} == {1, 2}
    assert found("whale sighted", "-k", "1", cwd=folder)[0]["id"] == "files/report.pdf#page=2"


def test_what_is_forgotten_is_not_found_until_it_is_indexed_again(copy: Callable[[], Path]) -> None:
    folder = copy()
    assert unitower("forget", "files/notes", cwd=folder).stdout == "2 files forgotten.\n"
    assert not [hit for hit in found("heather honey Anker", "-k", "100", cwd=folder) if hit["path"].startswith("files/notes")]
    unitower("index", "files/notes/minutes.md", cwd=folder)
    assert found("heather honey", "-k", "1", cwd=folder)[0]["path"] == "files/notes/minutes.md"


def test_another_model_is_refused_in_one_line(copy: Callable[[], Path]) -> None:
    done = unitower("index", "files", "--model", FIXTURES / "jina-v4-tiny", cwd=copy(), code=1)
    (line,) = done.stderr.splitlines()
    assert line.startswith("unitower: ")
    assert "nano" in line
    assert "--into" in line
    assert done.stdout == ""


def test_a_model_that_is_nowhere_is_told_in_one_line_and_leaves_no_index(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a", encoding="utf-8")
    done = unitower("index", "a.txt", "--model", "nobody/nothing", cwd=tmp_path, code=1)
    assert re.fullmatch(r"unitower: .*nobody/nothing.*\n", done.stderr)
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
