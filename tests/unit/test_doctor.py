"""What the doctor finds: a sound index, and each way in which one may be unsound."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from fake import FakeEncoder

from unitower.index import Index, doctor
from unitower.index.doctor import Report, examine
from unitower.index.ledger import Ledger


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Index:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(doctor, "kernel", lambda: {"name": "numpy", "scan_ms": 1.0, "score_ms": 1.0})
    monkeypatch.setattr("unitower.index.folder.loaded", lambda name, revision=None: FakeEncoder())
    for i in range(4):
        Path(f"{i}.txt").write_text(f"Text number {i}, about the rent.")
    made = Index.open(encoder=FakeEncoder())
    made.add(["."])
    return made


def wrong(report: Report) -> dict[str, str]:
    return {check.name: check.told for check in report.checks if check.ok is False}


def test_nothing_is_wrong_with_a_sound_index(index: Index) -> None:
    report = examine()
    assert wrong(report) == {}
    told = {check.name: check.told for check in report.checks}
    assert told["retrieval.lance"] == "4 items, every byte as it was written, as the ledger has it"
    assert told["encoding"].startswith("4 items encoded again, likeness 1.000")
    assert report.ok
    assert report.as_dict()["sizes"]["retrieval.lance"] > 0
    assert {"unitower", "python", "torch"} <= report.versions.keys()
    assert any("C compiler" in line for line in doctor.advice(report))


def test_vectors_of_another_model_are_noticed(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens_of = "fake.tokens_of"
    from fake import vector

    monkeypatch.setattr(tokens_of, lambda content, task: vector("something else")[None])
    assert "likeness" in wrong(examine())["encoding"]


def test_a_changed_file_is_not_compared_and_not_wrong(index: Index) -> None:
    for i in range(4):
        Path(f"{i}.txt").write_text("changed")
    (check,) = [check for check in examine().checks if check.name == "encoding"]
    assert check.ok is None
    assert "4 could not be" in check.told


def test_a_store_that_is_gone_or_was_exchanged_is_noticed(index: Index) -> None:
    Path("5.txt").write_text("One more text.")
    shutil.copytree(".unitower/retrieval.lance", "former")
    index.add(["5.txt"])
    shutil.rmtree(".unitower/retrieval.lance")
    assert "is missing, with items of 5 files" in wrong(examine(sample=0))["retrieval.lance"]
    shutil.copytree("former", ".unitower/retrieval.lance")
    assert "lacks items of 1 file" in wrong(examine(sample=0))["retrieval.lance"]


def test_items_that_the_ledger_does_not_know_are_noticed(index: Index) -> None:
    with Ledger(Path(".unitower/files.sqlite3")) as ledger:
        ledger.drop(["2.txt"])
    assert "1 items that the ledger does not know" in wrong(examine(sample=0))["retrieval.lance"]


def test_without_an_index_only_the_machine_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(doctor, "kernel", lambda: {"name": "numpy", "scan_ms": 1.0, "score_ms": 1.0})
    assert examine().ok
    assert not examine("elsewhere").ok


def test_kernels_are_timed() -> None:
    told = doctor.kernel()
    assert told["scan_ms"] > 0
    assert told["score_ms"] > 0
