"""Opening an index: what makes one, what it refuses, what it tells of itself, and who may write to it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fake import FakeEncoder
from filelock import FileLock

import unitower
from unitower.errors import CheckpointError, IndexLocked, IndexMismatch, StoreError, UnitowerError
from unitower.index import Index, folder
from unitower.index.keys import Keys
from unitower.index.manifest import Model
from unitower.stores import open_store
from unitower.types import Encodes


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(name: str, text: str) -> None:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


# Opening


def test_an_index_that_is_opened_again_knows_its_model_and_gives_the_same_answers(encoder: FakeEncoder) -> None:
    write("docs/a.txt", "the rent is due")
    write("docs/b.txt", "the garden is green")
    with Index.open(encoder=encoder) as index:
        index.add(["docs"])
        before = index.search("rent")
    with Index.open(encoder=FakeEncoder()) as again:
        assert again.model == Model(name="fake", revision="1")
        assert again.search("rent") == before
    assert Index.exists()
    assert not Index.exists("docs")
    assert not Index.exists("docs/a.txt")


def test_the_package_gives_the_index_by_its_first_name() -> None:
    assert unitower.Index is Index


@pytest.mark.parametrize(
    ("path", "command"), [(".unitower", "`unitower index PATH`"), ("elsewhere/index", "`unitower index PATH --into elsewhere/index`")]
)
def test_reading_an_index_that_is_not_there_names_the_folder_and_the_command_to_make_one(path: str, command: str) -> None:
    with pytest.raises(StoreError, match=re.escape(f"there is no index in {path}. Make one with {command}.")):
        Index.open(path, create=False)
    assert not Path(path).exists()


def test_a_new_index_is_not_made_among_other_files(encoder: FakeEncoder) -> None:
    write("docs/a.txt", "a text")
    with pytest.raises(ValueError, match=r"docs is no index and not empty: name a new or an empty folder"):
        Index.open("docs", encoder=encoder)
    with pytest.raises(ValueError, match=r"a\.txt is no index"):
        Index.open("docs/a.txt", encoder=encoder)
    assert os.listdir("docs") == ["a.txt"]
    Path("empty").mkdir()
    assert Index.open("empty", encoder=encoder).status().files == 0


def test_what_a_killed_start_left_is_made_whole(encoder: FakeEncoder) -> None:
    Index.open(encoder=encoder)
    os.rename(".unitower/index.json", ".unitower/index.json.new")
    assert not Index.exists()
    assert Index.open(encoder=encoder).status().files == 0


def test_an_encoder_without_retrieval_makes_no_index() -> None:
    with pytest.raises(ValueError, match=r"needs an encoder with the task 'retrieval', this one has code"):
        Index.open(encoder=FakeEncoder(tasks=["code"]))
    assert not Path(".unitower").exists()


# Other encoders, other formats, damage


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (FakeEncoder(revision="2"), ["revision: '1' against '2'"]),
        (FakeEncoder(max_pixels=7), ["max_pixels: 602112 against 7"]),
        (FakeEncoder(max_length=9, dense_width=16), ["max_length: 8192 against 9", "dense_width: 32 against 16"]),
        (FakeEncoder(tasks=["retrieval"]), ["no task 'code'"]),
    ],
)
def test_another_encoder_is_refused_by_naming_all_that_differs(encoder: FakeEncoder, other: FakeEncoder, named: list[str]) -> None:
    Index.open(encoder=encoder)
    with pytest.raises(IndexMismatch) as raised:
        Index.open(encoder=other)
    for difference in named:
        assert difference in str(raised.value)
    assert "--into" in str(raised.value)
    assert "\n" not in str(raised.value)
    Index.open(encoder=encoder)  # and the index is as it was


def test_other_prompts_are_another_encoder(encoder: FakeEncoder) -> None:
    class Prompted(FakeEncoder):
        def fingerprint(self, *, task: str) -> Any:
            return replace(super().fingerprint(task=task), prompts={"query": "Find: "})

    Index.open(encoder=encoder)
    with pytest.raises(IndexMismatch, match="prompts: "):
        Index.open(encoder=Prompted())


def test_the_same_weights_under_another_name_and_with_more_tasks_are_the_same_encoder(encoder: FakeEncoder) -> None:
    Index.open(encoder=encoder)
    Index.open(encoder=FakeEncoder(name="copy/of/fake", tasks=["code", "legal", "retrieval"]))


def test_another_format_is_refused_with_what_to_do(encoder: FakeEncoder) -> None:
    Index.open(encoder=encoder)
    manifest = json.loads(Path(".unitower/index.json").read_text())
    Path(".unitower/index.json").write_text(json.dumps({"format": manifest["format"] + 1, "something": "new"}))
    with pytest.raises(IndexMismatch, match=r"has format 3, this unitower .* --into"):
        Index.open(create=False)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"3",
        b"null",
        b"\xff\xfe",
        b"{}",
        b'{"format": 2}',
        b'{"format": 2, "model": {"name": "fake", "revision": "1"}, "fingerprints": {}}',
        b'{"format": 2, "model": {"name": "fake", "revision": "1"}, "fingerprints": {"retrieval": {"model": "fake"}}}',
        b'{"format": 2, "model": "fake", "fingerprints": {}}',
        b'{"format": 2, "model": {"name": "fake", "revision": "1"}, "fingerprints": []}',
    ],
)
def test_a_damaged_manifest_is_told(encoder: FakeEncoder, content: bytes) -> None:
    Index.open(encoder=encoder)
    Path(".unitower/index.json").write_bytes(content)
    with pytest.raises(StoreError, match=r"index\.json is damaged .*Delete the folder .* and index again"):
        Index.open(encoder=encoder)


def test_a_manifest_that_could_not_be_written_leaves_no_index(encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("unitower.index.manifest.os.fsync", full)
        with pytest.raises(StoreError, match=r"no index can be made in .*: No space left on device"):
            Index.open(encoder=encoder)
    assert not Index.exists()
    assert Index.open(encoder=encoder).status().files == 0


@pytest.mark.parametrize("task", ["retrieval", "code"])
def test_a_store_that_vanished_is_told_by_a_search_and_made_again_by_a_run(encoder: FakeEncoder, task: str) -> None:
    write("a.py", "def f():\n    return 1\n")
    write("b.txt", "a text")
    index = Index.open(encoder=encoder)
    index.add(["."])
    before = [hit.id for hit in index.search("f", task=task)]
    os.rename(f".unitower/{task}.lance", "elsewhere")
    index = Index.open(encoder=encoder)
    with pytest.raises(StoreError, match=rf"{task}\.lance is missing.*[Ii]ndex your files again"):
        index.search("f", task=task)
    assert index.add(["a.py", "b.txt"]).items_added == (2 if task == "retrieval" else 1)
    assert [hit.id for hit in index.search("f", task=task)] == before


def test_entries_that_a_power_cut_took_are_read_anew(encoder: FakeEncoder) -> None:
    for name in "abc":
        write(f"{name}.txt", f"text of {name}")
    index = Index.open(encoder=encoder)
    index.add(["."])
    open_store("lance:.unitower/retrieval.lance").delete(["b.txt#L1-L1"])
    summary = Index.open(encoder=encoder).add(["."])
    assert (summary.files_read, summary.files_unchanged) == (1, 2)
    assert sorted(hit.id for hit in index.search("text")) == ["a.txt#L1-L1", "b.txt#L1-L1", "c.txt#L1-L1"]


@pytest.mark.parametrize("damage", [os.remove, lambda path: Path(path).write_bytes(b"no database" * 1000)])
def test_a_ledger_that_vanished_or_is_damaged_is_told(encoder: FakeEncoder, damage: Any) -> None:
    index = Index.open(encoder=encoder)
    damage(".unitower/files.sqlite3")
    for use in (index.status, lambda: index.add(["."]), lambda: index.forget(["."])):
        with pytest.raises(StoreError, match=r"files\.sqlite3 is (missing|damaged).*index again"):
            use()


# The model that is loaded where no encoder is given


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str | None]]:
    """Name and revision of every model that is loaded."""
    loads: list[tuple[str, str | None]] = []

    def loaded(name: str, revision: str | None = None) -> Encodes:
        loads.append((name, revision))
        if revision == "lost":
            raise CheckpointError("fake has revision 2, not lost.")
        return FakeEncoder(name=name, revision=revision or "1")

    monkeypatch.setattr(folder, "loaded", loaded)
    return loads


def test_a_new_index_without_an_encoder_takes_the_shipped_model(loads: list[tuple[str, str | None]]) -> None:
    assert Index.open().model.name == "nano"
    assert loads == [("nano", None)]


def test_the_model_of_an_index_is_loaded_when_it_is_needed_and_once(loads: list[tuple[str, str | None]]) -> None:
    write("a.txt", "a text")
    Index.open(encoder=FakeEncoder(name="org/model", revision="abc")).add(["a.txt"])
    index = Index.open(create=False)
    index.status()
    index.forget(["nothing"])
    assert loads == []
    index.search("text")
    index.search("text again")
    assert loads == [("org/model", "abc")]


def test_a_model_that_cannot_be_loaded_any_more_is_told_with_what_to_do(loads: list[tuple[str, str | None]]) -> None:
    write("a.txt", "a text")
    Index.open(encoder=FakeEncoder(revision="lost")).add(["a.txt"])
    with pytest.raises(IndexMismatch, match=r"was made by fake \(revision lost\), which cannot be loaded: .*--into"):
        Index.open(create=False).search("text")


def test_a_model_in_a_folder_is_found_from_any_directory(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("models/mine").mkdir(parents=True)
    Index.open("project/.unitower", encoder=FakeEncoder(name="models/mine"))
    monkeypatch.chdir("project")
    assert Index.open(create=False).model.name == str(here / "models/mine")


def test_a_shipped_model_keeps_its_name_beside_a_folder_of_the_same_name() -> None:
    Path("nano").mkdir()
    assert Index.open(encoder=FakeEncoder(name="nano")).model.name == "nano"


# Status


def test_status_tells_what_there_is_and_needs_no_encoder(encoder: FakeEncoder) -> None:
    write("docs/a.txt", "a text")
    write("docs/b.py", "def f():\n    return 1\n")
    write("docs/broken.pdf", "no PDF at all")
    Index.open(encoder=encoder).add(["docs"])
    encoder.calls.clear()
    status = Index.open(create=False).status()
    assert encoder.calls == []
    assert (status.folder, status.model) == (".unitower", Model(name="fake", revision="1"))
    assert status.fingerprints == {task: encoder.fingerprint(task=task) for task in ("retrieval", "code")}
    assert (status.files, status.items) == (2, {"text": 1, "code": 1})
    assert [path for path, _ in status.skipped] == ["docs/broken.pdf"]
    assert status.unfinished == ()
    assert status.size_bytes == sum(path.stat().st_size for path in Path(".unitower").rglob("*") if path.is_file())
    assert status.last_run is not None
    assert timedelta(0) <= datetime.now(UTC) - status.last_run < timedelta(minutes=5)
    assert status.last_run_s is not None
    assert 0 <= status.last_run_s < 300
    assert json.loads(json.dumps(status.as_dict()))["items"] == {"text": 1, "code": 1}


def test_status_of_an_empty_index(encoder: FakeEncoder) -> None:
    status = Index.open(encoder=encoder).status()
    assert (status.files, status.items, status.skipped, status.last_run) == (0, {}, (), None)
    assert status.as_dict()["last_run"] is None


def test_status_loads_no_torch() -> None:
    Index.open(encoder=FakeEncoder())
    code = "import sys; from unitower import Index; Index.open(create=False).status(); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


# Forgetting


@pytest.mark.parametrize("paths", ["", [""], ["docs", ""]])
def test_an_empty_path_is_refused_instead_of_being_taken_for_everything(encoder: FakeEncoder, paths: str | list[str]) -> None:
    write("docs/a.txt", "a text")
    index = Index.open(encoder=encoder)
    index.add(["docs"])
    with pytest.raises(ValueError, match="a path is empty"):
        index.forget(paths)
    with pytest.raises(ValueError, match="a path is empty"):
        index.add(paths)
    assert index.status().files == 1


def test_forgetting_a_folder_leaves_those_with_a_like_name(encoder: FakeEncoder) -> None:
    for name in ("docs/a/x.txt", "docs/a/deep/y.txt", "docs/ab/x.txt", "docs/a.txt", "docs-a/x.txt"):
        write(name, f"text of {name}")
    index = Index.open(encoder=encoder)
    index.add(["."])
    assert index.forget("docs/a") == 2
    assert sorted(hit.source.path for hit in index.search("text")) == ["docs-a/x.txt", "docs/a.txt", "docs/ab/x.txt"]
    assert index.forget(["docs/ab/", "./docs/../docs/a.txt"]) == 2
    assert index.forget(["docs/ab", "nosuch"]) == 0
    assert index.status().files == 1


@pytest.mark.parametrize("path", [".", "..", "/", "docs/.."])
def test_forgetting_the_folder_of_the_index_or_one_above_forgets_all_that_is_beneath(encoder: FakeEncoder, path: str) -> None:
    write("docs/a.txt", "a text")
    write("b.txt", "b text")
    index = Index.open(encoder=encoder)
    index.add(["."])
    assert index.forget([path]) == 2
    assert index.search("text") == []


def test_forgetting_what_lies_outside_or_beside(here: Path, encoder: FakeEncoder) -> None:
    write("project/a.txt", "a text")
    write("outside/b.txt", "b text")
    index = Index.open("project/.unitower", encoder=encoder)
    index.add(["project", "outside"])
    assert index.forget([here / "outside"]) == 1
    assert [hit.source.path for hit in index.search("text")] == ["project/a.txt"]
    index.add(["outside"])
    assert index.forget(["project"]) == 1
    assert [hit.source.path for hit in index.search("text")] == ["outside/b.txt"]


def test_what_is_no_longer_on_disk_or_was_skipped_can_be_forgotten(encoder: FakeEncoder) -> None:
    write("docs/a.txt", "a text")
    write("docs/broken.pdf", "no PDF at all")
    index = Index.open(encoder=encoder)
    index.add(["docs"])
    os.remove("docs/a.txt")
    assert index.forget(["docs/a.txt"]) == 1
    assert index.forget(["docs"]) == 1
    assert index.status().skipped == ()


def test_what_is_forgotten_takes_no_room_on_the_disk_any_more(encoder: FakeEncoder) -> None:
    write("docs/secret.txt", "\n\n".join(f"chapter {i} " + "tells many words " * 80 for i in range(40)))
    index = Index.open(encoder=encoder)
    index.add(["docs"])
    before = index.status().size_bytes
    index.forget(["docs"])
    assert index.status().size_bytes < before / 4


def test_a_forgotten_file_comes_back_when_it_is_added_again(encoder: FakeEncoder) -> None:
    write("a.txt", "a text")
    index = Index.open(encoder=encoder)
    index.add(["a.txt"])
    index.forget(["a.txt"])
    assert index.add(["a.txt"]).items_added == 1
    assert len(index.search("text")) == 1


# One writer


def test_a_second_writer_is_told_who_the_first_is(encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "LOCK_WAIT_S", 0.05)
    write("a.txt", "a text")
    index = Index.open(encoder=encoder)
    code = (
        "import sys; from unitower.index.folder import *; w = writing(Path('.unitower')); w.__enter__(); print('in', flush=True); input()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "in\n"
        with pytest.raises(IndexLocked, match=rf"written to by process {other.pid} on .*Run again"):
            index.add(["a.txt"])
        with pytest.raises(IndexLocked, match=str(other.pid)):
            index.forget(["a.txt"])
        other.kill()
    assert index.add(["a.txt"]).items_added == 1  # the lock of a killed process is free


def test_readers_need_no_lock(encoder: FakeEncoder) -> None:
    write("a.txt", "a text")
    index = Index.open(encoder=encoder)
    index.add(["a.txt"])
    with FileLock(".unitower/lock"):
        reader = Index.open(encoder=encoder, create=False)
        assert len(reader.search("text")) == 1
        assert reader.status().files == 1


def test_a_writer_that_waits_goes_on_when_the_other_has_ended(encoder: FakeEncoder) -> None:
    write("a.txt", "a text")
    index = Index.open(encoder=encoder)
    lock = FileLock(".unitower/lock", thread_local=False)
    lock.acquire()
    timer = threading.Timer(0.3, lock.release)
    timer.start()
    assert index.add(["a.txt"]).items_added == 1
    timer.join()


def test_an_index_that_another_process_has_just_made_and_writes_to_can_be_opened(
    encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "LOCK_WAIT_S", 0.05)
    Index.open(encoder=encoder)
    seen: Iterator[bool] = iter([False])
    with monkeypatch.context() as patch, FileLock(".unitower/lock"):
        patch.setattr(Index, "exists", staticmethod(lambda path: next(seen, True)))
        assert Index.open(encoder=encoder).model.name == "fake"


def test_an_open_index_sees_what_another_writes(encoder: FakeEncoder) -> None:
    reader = Index.open(encoder=encoder)
    write("a.txt", "a text")
    Index.open(encoder=encoder).add(["a.txt"])
    assert len(reader.search("text")) == 1
    write("b.txt", "b text")
    Index.open(encoder=encoder).add(["b.txt"])
    assert len(reader.search("text")) == 2
    Index.open(encoder=encoder).forget(["."])
    assert reader.search("text") == []


def test_searches_go_on_while_another_writes(encoder: FakeEncoder) -> None:
    write("docs/first.txt", "first text")
    Index.open(encoder=encoder).add(["docs"])
    ended = threading.Event()

    def searches() -> list[int]:
        reader = Index.open(encoder=FakeEncoder(), create=False)
        found = []
        while not ended.is_set():
            found.append(len(reader.search("text", k=100)))
            reader.status()
        return found

    with ThreadPoolExecutor() as pool:
        reading = pool.submit(searches)
        writer = Index.open(encoder=FakeEncoder())
        for i in range(8):
            write(f"docs/{i}.txt", f"text number {i}")
            writer.add(["docs"])  # commits, and the stores brought in order
        ended.set()
        found = reading.result()
    assert found == sorted(found)
    assert found[0] >= 1
    assert len(writer.search("text", k=100)) == 9


def test_two_open_indexes_may_write_by_turns(encoder: FakeEncoder) -> None:
    one, other = Index.open(encoder=encoder), Index.open(encoder=encoder)
    for turn, index in enumerate([one, other, one, other]):
        write("a.txt", f"turn {turn}" * (turn + 1))
        assert index.add(["a.txt"]).items_added == 1
    assert len(one.search("turn")) == len(other.search("turn")) == 1


def test_a_folder_that_may_not_be_written_to_is_told(encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    index = Index.open(encoder=encoder)

    def read_only(self: Any, **options: Any) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("filelock.FileLock.acquire", read_only)
    with pytest.raises(StoreError, match="cannot be written to: Read-only file system"):
        index.add(["."])


def test_every_error_for_a_person_is_a_unitower_error() -> None:
    assert {StoreError, IndexMismatch, IndexLocked} <= set(UnitowerError.__subclasses__())


# Names of files


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("docs/a.txt", "docs/a.txt"),
        ("./docs//a.txt", "docs/a.txt"),
        ("docs/../docs/./a.txt", "docs/a.txt"),
        ("docs/", "docs"),
        (".", ""),
        ("docs/..", ""),
        ("link/a.txt", "link/a.txt"),
        ("link/../a.txt", "{here}/a.txt"),
        ("../outside", "{here}/outside"),
        ("..", "{here}"),
        ("/", "/"),
    ],
)
def test_a_key_is_relative_where_it_lies_beneath_the_folder_of_the_index(
    here: Path, monkeypatch: pytest.MonkeyPatch, path: str, key: str
) -> None:
    Path("project/docs").mkdir(parents=True)
    Path("elsewhere").mkdir()
    os.symlink(here / "elsewhere", "project/link")
    monkeypatch.chdir("project")
    assert Keys(here / "project/.unitower").of(path) == key.format(here=here)


def test_a_folder_reached_by_two_names_has_one_key(here: Path) -> None:
    Path("real/docs").mkdir(parents=True)
    os.symlink(here / "real", "alias")
    for index in (here / "real/.unitower", here / "alias/.unitower"):
        for name in ("real/docs/a.txt", "alias/docs/a.txt"):
            assert Keys(index).of(name) == "docs/a.txt"
        for name in ("real", "alias"):
            assert Keys(index).of(name) == ""


def test_an_index_that_is_a_link_to_another_disk_belongs_to_the_folder_that_holds_the_link(here: Path, encoder: FakeEncoder) -> None:
    Path("disk").mkdir()
    Path("project").mkdir()
    os.symlink(here / "disk", "project/.unitower")
    write("project/a.txt", "a text")
    Index.open("project/.unitower", encoder=encoder).add(["project"])
    assert Keys(here / "project/.unitower").of("project/a.txt") == "a.txt"
    assert [hit.id for hit in Index.open("project/.unitower", encoder=encoder).search("text")] == ["a.txt#L1-L1"]


def test_paths_are_shown_relative_to_where_a_person_is(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("project/docs").mkdir(parents=True)
    keys = Keys(here / "project/.unitower")
    assert keys.shown("docs/a.txt") == "project/docs/a.txt"
    assert keys.shown("/outside/b.txt") == "/outside/b.txt"
    monkeypatch.chdir("project/docs")
    assert keys.shown("docs/a.txt") == "a.txt"
    assert keys.shown("c.txt") == str(here / "project/c.txt")
