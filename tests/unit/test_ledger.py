"""The ledger: what is known of files survives, is found by whole names, and counts only what is stored."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from unitower.errors import StoreError
from unitower.index.ledger import File, Ledger, Recorded, Run, Stamp

STAMP = Stamp(size=3, mtime_ns=1_700_000_000_123_456_789)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "files.sqlite3", create=True)


def file(key: str, *, parts: int = 0, whole: bool = False, skipped: str = "", sha: str = "aa", stamp: Stamp | None = STAMP) -> File:
    return File(key=key, stamp=stamp, sha=sha, parts=parts, whole=whole, skipped=skipped, version="1")


def items(key: str, *parts: int, modality: str = "text") -> list[Recorded]:
    return [Recorded(key=key, part=part, id=f"{key}#page={part + 1}", modality=modality) for part in parts]  # type: ignore[arg-type]


def test_what_is_known_of_a_file_is_there_after_opening_again(ledger: Ledger) -> None:
    ledger.begin([file("docs/a.pdf")], items("docs/a.pdf", 0, 1))
    ledger.advance([file("docs/a.pdf", parts=2, whole=True, skipped="page 2: too long")])
    ledger.close()
    with Ledger(ledger.path) as again:
        assert again.file("docs/a.pdf") == file("docs/a.pdf", parts=2, whole=True, skipped="page 2: too long")
        assert again.items("docs/a.pdf") == items("docs/a.pdf", 0, 1)
        assert again.file("docs") is None


def test_a_file_that_was_begun_is_not_whole_and_its_items_do_not_count_yet(ledger: Ledger) -> None:
    ledger.begin([file("a", parts=2, whole=True)], items("a", 0, 1))
    assert ledger.file("a") == file("a", parts=0, whole=False)
    assert ledger.unfinished() == ["a"]
    assert ledger.totals() == (0, {})
    ledger.advance([file("a", parts=1)])
    assert ledger.totals() == (1, {"text": 1})
    assert ledger.unfinished() == ["a"]


def test_beginning_a_file_anew_crosses_out_its_former_items_and_no_others(ledger: Ledger) -> None:
    ledger.begin([file("a"), file("b")], [*items("a", 0, 1, 2), *items("b", 0)])
    ledger.begin([file("a", sha="bb")], items("a", 0))
    assert ledger.items("a") == items("a", 0)
    assert ledger.items("b") == items("b", 0)
    known = ledger.file("a")
    assert known is not None
    assert known.sha == "bb"


def test_items_of_a_file_that_goes_on_are_added_to_those_it_has(ledger: Ledger) -> None:
    ledger.begin([file("a")], items("a", 0))
    ledger.begin([], items("a", 0, 1))
    assert ledger.items("a") == items("a", 0, 1)


def test_a_file_in_doubt_keeps_its_items_and_has_no_content_that_could_match(ledger: Ledger) -> None:
    ledger.begin([file("a")], items("a", 0))
    ledger.advance([file("a", parts=1, whole=True)])
    ledger.doubt(["a"])
    assert ledger.file("a") == file("a", sha="", parts=0, whole=False)
    assert ledger.items("a") == items("a", 0)


def test_a_dropped_file_leaves_nothing_behind(ledger: Ledger) -> None:
    ledger.begin([file("a"), file("b")], [*items("a", 0), *items("b", 0)])
    ledger.drop(["a", "never seen"])
    assert ledger.file("a") is None
    assert ledger.items("a") == []
    assert sqlite3.connect(ledger.path).execute("SELECT count(*) FROM items").fetchone() == (1,)


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("docs/a", ["docs/a", "docs/a/x", "docs/a/y/z"]),
        ("docs", ["docs/a", "docs/a/x", "docs/a/y/z", "docs/ab", "docs/ab/x"]),
        ("100%", ["100%/x"]),
        ("a_b", ["a_b/x"]),
        ("été", ["été/é"]),
        ("doc", []),
        ("DOCS", []),
        ("a'b", ["a'b/x"]),
        ("🗂", ["🗂/x"]),
    ],
)
def test_what_lies_beneath_a_folder_is_found_by_whole_names(ledger: Ledger, folder: str, expected: list[str]) -> None:
    keys = [
        "docs/a",
        "docs/a/x",
        "docs/a/y/z",
        "docs/ab",
        "docs/ab/x",
        "docs-old/x",
        "100%/x",
        "1000/x",
        "a_b/x",
        "axb/x",
        "été/é",
        "a'b/x",
        "🗂/x",
    ]
    ledger.begin([file(key) for key in reversed(keys)], [])
    assert ledger.beneath(folder) == expected


def test_only_whole_files_with_nothing_left_out_are_twins(ledger: Ledger) -> None:
    states = {
        "whole": file("whole", parts=1, whole=True),
        "half": file("half", parts=1),
        "with a page left out": file("with a page left out", parts=2, whole=True, skipped="page 2"),
        "with nothing in it": file("with nothing in it", whole=True),
        "other": file("other", parts=1, whole=True, sha="bb"),
    }
    ledger.begin(list(states.values()), [])
    ledger.advance(states.values())
    assert [twin.key for twin in ledger.twins("aa")] == ["whole"]


def test_items_are_counted_by_modality(ledger: Ledger) -> None:
    ledger.begin([file("a"), file("b")], [*items("a", 0, 1, modality="image"), *items("b", 0, modality="code")])
    ledger.advance([file("a", parts=2, whole=True), file("b", parts=1, whole=True)])
    assert ledger.totals() == (2, {"image": 2, "code": 1})


def test_skipped_files_are_listed_with_their_reasons(ledger: Ledger) -> None:
    ledger.begin([file("b", stamp=None, sha=""), file("a"), file("c")], [])
    ledger.advance([file("b", stamp=None, sha="", whole=True, skipped="encrypted"), file("a", whole=True, skipped="no reader"), file("c")])
    assert ledger.skipped() == [("a", "no reader"), ("b", "encrypted")]
    assert ledger.file("b") == file("b", stamp=None, sha="", whole=True, skipped="encrypted")


def test_the_last_run_is_known_to_be_stopped_until_it_ends(ledger: Ledger) -> None:
    assert ledger.last_run() is None
    ledger.start_run()
    stopped = ledger.last_run()
    assert stopped is not None
    assert stopped.seconds is None
    assert timedelta(0) <= datetime.now(UTC) - stopped.started < timedelta(minutes=1)
    ledger.end_run(1.5)
    assert ledger.last_run() == Run(started=stopped.started, seconds=1.5)
    ledger.start_run()
    again = ledger.last_run()
    assert again is not None
    assert again.seconds is None


def test_sizes_and_times_of_any_magnitude_are_kept(ledger: Ledger) -> None:
    stamp = Stamp(size=2**62, mtime_ns=-5_000_000_000_000_000_000)  # 50 years before 1970
    ledger.begin([file("a", stamp=stamp)], [])
    known = ledger.file("a")
    assert known is not None
    assert known.stamp == stamp


def test_a_missing_ledger_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"files\.sqlite3 is missing.* index again"):
        Ledger(tmp_path / "files.sqlite3")


@pytest.mark.parametrize("content", [b"", b"this is no database, but it is long enough to be looked at" * 100])
def test_a_damaged_ledger_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "files.sqlite3"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"files\.sqlite3 is damaged .* index again"):
        Ledger(path)


def test_a_ledger_that_another_process_holds_for_too_long_is_not_called_damaged(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unitower.index.ledger.WAIT_S", 0.05)
    holder = sqlite3.connect(ledger.path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreError, match="locked") as raised:
        Ledger(ledger.path)
    assert "damaged" not in str(raised.value)


def test_a_failed_change_changes_nothing(ledger: Ledger) -> None:
    with pytest.raises(StoreError):
        ledger.begin([file("a")], [Recorded(key="a", part=0, id=None, modality="text")])  # type: ignore[arg-type]
    assert ledger.file("a") is None
    ledger.begin([file("a")], items("a", 0))
    assert ledger.items("a") == items("a", 0)
