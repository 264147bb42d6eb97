"""A run that is killed or stopped, started again, ends with the index of an unbroken run."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from command_line import found, started, unitower, write_pdf

from unitower.stores import Entry, open_store

WORDS = ("anchor", "buoy", "capstan", "dinghy", "ebb", "fathom", "gaff", "halyard", "inlet", "jetty", "keel", "lagoon", "mast")
PAGES = 24


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder indexed in one go."""
    folder = tmp_path_factory.mktemp("unbroken")
    write_files(folder)
    unitower("index", "files", cwd=folder)
    return folder


def write_files(folder: Path) -> None:
    """Pages enough for several batches: one long PDF, a text before and after it."""
    (folder / "files").mkdir()
    (folder / "files" / "a.txt").write_text("The first file.\n", encoding="utf-8")
    pages = [f"Page {n}. " + " ".join(f"{WORDS[(n * i) % len(WORDS)]} {n * i}" for i in range(1, 60)) for n in range(1, PAGES + 1)]
    write_pdf(folder / "files" / "long.pdf", pages)
    (folder / "files" / "z.txt").write_text("The last file.\n", encoding="utf-8")
    for path in (folder / "files").iterdir():  # times are kept with the entries: the same in every folder
        os.utime(path, (1_700_000_000, 1_700_000_000))


def stored_items(folder: Path) -> int:
    """Items that the ledger counts as stored, also while another process writes it."""
    path = folder / ".unitower" / "files.sqlite3"
    if not path.exists():
        return 0
    ledger = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)
    try:
        ((stored,),) = ledger.execute("SELECT total(parts) FROM files").fetchall()
    except sqlite3.OperationalError:  # the first transaction is under way
        return 0
    finally:
        ledger.close()
    return int(stored)


def interrupted(folder: Path, *, by: signal.Signals, beyond: int) -> subprocess.Popen[str]:
    """`unitower index files`, sent a signal as soon as it has stored more than `beyond` items."""
    run = started("index", "files", "--device", "cpu", cwd=folder)  # slow enough to be interrupted
    while stored_items(folder) <= beyond:
        assert run.poll() is None, "the run ended before it could be interrupted"
        time.sleep(0.02)
    run.send_signal(by)
    return run


def entries(folder: Path) -> list[Entry]:
    return list(open_store(f"lance:{folder / '.unitower' / 'retrieval.lance'}").entries())


def assert_same_index(folder: Path, unbroken: Path) -> None:
    ours, theirs = entries(folder), entries(unbroken)
    assert ours == theirs
    ids = [entry.id for entry in theirs]
    dense, tokens = open_store(f"lance:{folder / '.unitower' / 'retrieval.lance'}").vectors(ids)
    dense_there, tokens_there = open_store(f"lance:{unbroken / '.unitower' / 'retrieval.lance'}").vectors(ids)
    # Batches of other sizes round differently: 4e-3 in bfloat16 at the most.
    np.testing.assert_allclose(dense, dense_there, atol=4e-3)
    assert [len(matrix) for matrix in tokens] == [len(matrix) for matrix in tokens_there]


def test_killed_twice_and_started_again_it_ends_with_the_same_index(unbroken: Path, tmp_path: Path) -> None:
    write_files(tmp_path)
    assert interrupted(tmp_path, by=signal.SIGKILL, beyond=0).wait() == -signal.SIGKILL
    first = stored_items(tmp_path)
    assert 0 < first < PAGES + 2
    assert interrupted(tmp_path, by=signal.SIGKILL, beyond=first).wait() == -signal.SIGKILL
    assert stored_items(tmp_path) > first
    unitower("status", cwd=tmp_path)  # what is there can be looked at and searched
    assert found("Page 1", "-k", "3", cwd=tmp_path)
    summary = unitower("index", "files", cwd=tmp_path).stdout
    assert int(summary.split("(")[1].split()[0]) < PAGES + 2  # what was stored is not encoded again
    assert_same_index(tmp_path, unbroken)
    here, there = (found("Page 17, capstan and halyard", "-k", "100", cwd=folder) for folder in (tmp_path, unbroken))
    assert [hit["id"] for hit in here] == [hit["id"] for hit in there]
    assert [hit["snippet"] for hit in here] == [hit["snippet"] for hit in there]
    assert unitower("index", "files", cwd=tmp_path).stdout.startswith("0 files read")


def test_ctrl_c_ends_with_130_and_one_line_and_a_new_run_goes_on(unbroken: Path, tmp_path: Path) -> None:
    write_files(tmp_path)
    run = interrupted(tmp_path, by=signal.SIGINT, beyond=0)
    out, err = run.communicate()
    assert run.returncode == 130
    assert out == ""
    assert "Traceback" not in err
    assert err.splitlines()[-1].startswith("unitower: stopped;")
    assert "goes on" in err.splitlines()[-1]
    unitower("index", "files", cwd=tmp_path)
    assert_same_index(tmp_path, unbroken)


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    run = started("embed", "--role", "query", "--multi", cwd=tmp_path, stdin=subprocess.PIPE)
    assert run.stdin
    assert run.stdout
    assert run.stderr
    run.stdin.write("a line of text\n" * 400)
    run.stdin.close()
    assert run.stdout.readline().startswith('{"id": "1"')
    run.stdout.close()
    assert run.stderr.read() == ""
    run.stderr.close()
    assert run.wait() == 128 + signal.SIGPIPE
    assert os.listdir(tmp_path) == []
