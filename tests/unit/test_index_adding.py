"""What a run does with files: new, unchanged, changed, moved, gone, broken; and what it tells."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake import FakeEncoder, count_lines, read_lines
from PIL import Image

from unitower.errors import UnreadableFile
from unitower.index import Index, Progress
from unitower.ingest.walk import Skipped
from unitower.stores import open_store
from unitower.types import Embeddings, Item


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """The reader for tests; (key, start) of every file that was read."""
    reads: list[tuple[str, int]] = []

    def read(path: Path, *, key: str, start: int = 0, passed_over: Callable[[str], None]) -> Iterator[Item]:
        reads.append((key, start))
        return read_lines(path, key=key, start=start, passed_over=passed_over)

    monkeypatch.setattr("unitower.index.adding.read", read)
    monkeypatch.setattr("unitower.index.adding.count", count_lines)
    return reads


def write(name: str, *lines: str) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def rewrite(name: str, *lines: str) -> None:
    """Change a file, and its time even where the clock is coarse."""
    before = os.stat(name).st_mtime_ns
    write(name, *lines)
    os.utime(name, ns=(before + 1_000_000, before + 1_000_000))


def everything(folder: str = ".unitower") -> dict[str, dict[str, Any]]:
    """All entries with their vectors, by task and id."""
    found: dict[str, dict[str, Any]] = {}
    for task in ("retrieval", "code"):
        store = open_store(f"lance:{folder}/{task}.lance")
        entries = {entry.id: entry for entry in store.entries()}
        dense, tokens = store.vectors(list(entries))
        found[task] = {id: (entry, dense[i].tolist(), tokens[i].tolist()) for i, (id, entry) in enumerate(entries.items())}
    return found


def ids(task: str = "retrieval") -> list[str]:
    return sorted(entry.id for entry in open_store(f"lance:.unitower/{task}.lance").entries())


pytestmark = pytest.mark.usefixtures("here")


# New files


def test_every_item_is_kept_with_its_source_text_and_vectors(reads: list[tuple[str, int]], encoder: FakeEncoder) -> None:
    path = write("docs/a.txt", "rent is due", "image 128", "code: def f()")
    summary = Index.open(encoder=encoder).add(["docs"])
    assert (summary.files_read, summary.items_added, summary.skipped) == (1, 3, ())
    kept = everything()
    entry, dense, tokens = kept["retrieval"]["docs/a.txt#page=1"]
    (item, *_) = read_lines(path, key="docs/a.txt")
    assert (entry.source, entry.modality, entry.part, entry.text, entry.metadata) == (
        item.source,
        "text",
        0,
        "rent is due",
        {"reader": "lines"},
    )
    assert len(entry.file_sha) == 64
    expected = FakeEncoder().encode([item], task="retrieval", role="passage")
    np.testing.assert_allclose(dense, expected.dense[0], atol=1e-6)
    np.testing.assert_allclose(tokens, expected.multi[0], atol=1 / 254)  # kept as int8: half a step of a unit row
    assert [entry.modality for entry, _, _ in kept["retrieval"].values()] == ["text", "image", "code"]


def test_code_is_encoded_for_code_too_and_nothing_else_is(reads: list[tuple[str, int]], encoder: FakeEncoder) -> None:
    write("a.txt", "code: def f()", "a text", "image 1", "code: def g()")
    Index.open(encoder=encoder).add(["a.txt"])
    kept = everything()
    assert list(kept["code"]) == ["a.txt#page=1", "a.txt#page=4"]
    expected = FakeEncoder().encode(["code: def f()", "code: def g()"], task="code", role="passage").dense
    np.testing.assert_allclose([dense for _, dense, _ in kept["code"].values()], expected, atol=1e-6)
    assert {(task, role) for task, role, _ in encoder.calls} == {("retrieval", "passage"), ("code", "passage")}


def test_an_encoder_without_a_code_task_makes_an_index_without_one(reads: list[tuple[str, int]]) -> None:
    write("a.txt", "code: def f()")
    index = Index.open(encoder=FakeEncoder(tasks=["retrieval"]))
    assert index.add(["a.txt"]).items_added == 1
    with pytest.raises(ValueError, match=r"no task 'code' in .*, there is: retrieval"):
        index.search("f", task="code")


def test_small_files_share_a_batch(reads: list[tuple[str, int]], encoder: FakeEncoder) -> None:
    for i in range(40):
        write(f"docs/{i:02}.txt", f"text number {i}")
    Index.open(encoder=encoder).add(["docs"])
    assert len(encoder.encoded) == 40
    assert len(encoder.calls) <= 3


def test_a_long_file_is_stored_batch_by_batch_while_it_is_read(
    reads: list[tuple[str, int]], encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unitower.index.adding.MAX_BATCH_ITEMS", 10)
    write("long.txt", *(f"page {i}" for i in range(95)))
    ahead: list[int] = []
    given = 0

    def read(path: Path, *, key: str, start: int = 0, passed_over: Callable[[str], None]) -> Iterator[Item]:
        nonlocal given
        for item in read_lines(path, key=key, start=start, passed_over=passed_over):
            given += 1
            ahead.append(given - len(encoder.encoded))
            yield item

    monkeypatch.setattr("unitower.index.adding.read", read)
    assert Index.open(encoder=encoder).add(["long.txt"]).items_added == 95
    assert max(ahead) <= 10


def test_pictures_of_a_batch_are_limited_by_their_pixels(
    reads: list[tuple[str, int]], encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unitower.index.adding.MAX_BATCH_PIXELS", 3 * 32 * 32)
    write("scan.txt", *("image 1" for _ in range(8)))
    Index.open(encoder=encoder).add(["scan.txt"])
    assert [len(contents) for _, _, contents in encoder.calls] == [3, 3, 2]


def test_slow_batches_become_smaller_and_quick_ones_larger(
    reads: list[tuple[str, int]], encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("long.txt", *("word " * 200 for _ in range(30)))
    clock = iter(range(1_000_000))
    monkeypatch.setattr("unitower.index.adding.BATCH_S", 0.1)
    monkeypatch.setattr("unitower.index.adding.time.monotonic", lambda: float(next(clock)))  # every batch takes a second
    Index.open(encoder=encoder).add(["long.txt"])
    slow = [len(contents) for _, _, contents in encoder.calls]
    assert slow[0] > 1
    assert slow[5:-1] == [1] * len(slow[5:-1])

    encoder.calls.clear()
    monkeypatch.setattr("unitower.index.adding.time.monotonic", lambda: 0.0)
    rewrite("long.txt", *("wort " * 200 for _ in range(30)))
    Index.open(encoder=encoder).add(["long.txt"])
    quick = [len(contents) for _, _, contents in encoder.calls]
    assert quick[1] > quick[0]


def test_an_id_that_a_reader_gives_twice_is_made_unique_by_its_part(reads: list[tuple[str, int]], encoder: FakeEncoder) -> None:
    write("a.txt", "one", "same id", "three", "same id")
    assert Index.open(encoder=encoder).add(["a.txt"]).items_added == 4
    assert ids() == ["a.txt#page=1", "a.txt#page=1;part=1", "a.txt#page=1;part=3", "a.txt#page=3"]


def test_files_outside_the_folder_of_the_index_have_absolute_names(here: Path, reads: list[tuple[str, int]], encoder: FakeEncoder) -> None:
    write("project/in.txt", "inside")
    write("outside/out.txt", "outside")
    Index.open("project/.unitower", encoder=encoder).add([Path("project"), "outside"])
    entries = open_store("lance:project/.unitower/retrieval.lance").entries()
    assert sorted(entry.source.path for entry in entries) == [f"{here}/outside/out.txt", "in.txt"]


def test_the_index_does_not_index_itself(reads: list[tuple[str, int]], encoder: FakeEncoder) -> None:
    write("docs/a.txt", "a text")
    index = Index.open("docs/index", encoder=encoder)
    index.add(["docs"])
    assert index.add(["docs"]).files_unchanged == 1
    assert {key for key, _ in reads} == {"a.txt"}


def test_one_path_may_be_given_without_a_list_and_twice(reads: list[tuple[str, int]], encoder: FakeEncoder) -> None:
    write("docs/a.txt", "a text")
    index = Index.open(encoder=encoder)
    assert index.add("docs").items_added == 1
    write("docs/b.txt", "b text")
    assert index.add([Path("docs"), "docs/../docs", "docs/b.txt"]).items_added == 1
    assert ids() == ["docs/a.txt#page=1", "docs/b.txt#page=1"]


def test_a_path_that_nobody_knows_is_an_error_and_changes_nothing(reads: list[tuple[str, int]], encoder: FakeEncoder) -> None:
    write("docs/a.txt", "a text")
    index = Index.open(encoder=encoder)
    index.add(["docs"])
    before = index.status()
    with pytest.raises(FileNotFoundError, match=r"nosuch: no such file"):
        index.add(["docs", "nosuch"])
    assert index.status() == before


@pytest.mark.parametrize("name", ["späß 漢字 🗂.txt", "100%_a'b\".txt", "a#page=1.txt", "a\nb.txt", " .txt", "cafe\u0301.txt"])
def test_names_of_any_letters_are_kept_found_and_forgotten(name: str, reads: list[tuple[str, int]], encoder: FakeEncoder) -> None:
    write(f"docs/{name}", "a text")
    write("docs/other.txt", "another")
    index = Index.open(encoder=encoder)
    index.add(["docs"])
    assert f"docs/{name}" in [hit.source.path for hit in index.search("a text")]
    assert index.add(["docs"]).files_unchanged == 2
    assert index.forget([f"docs/{name}"]) == 1
    assert ids() == ["docs/other.txt#page=1"]


@pytest.mark.skipif(os.name != "posix", reason="file names are bytes on POSIX only")
def test_a_name_that_is_no_text_is_skipped_and_can_be_forgotten(here: Path, reads: list[tuple[str, int]], encoder: FakeEncoder) -> None:
    write("docs/a.txt", "a text")
    with open(os.fsencode(here) + b"/docs/caf\xe9.txt", "w") as file:
        file.write("bytes")
    index = Index.open(encoder=encoder)
    summary = index.add(["docs"])
    assert summary.files_read == 1
    ((path, reason),) = summary.skipped
    assert path == "docs/caf\\xe9.txt"
    assert "rename" in reason
    assert index.add(["docs"]).skipped == summary.skipped
    assert index.status().skipped == summary.skipped
    assert index.forget([os.fsdecode(b"docs/caf\xe9.txt")]) == 1
    assert index.status().skipped == ()


# Unchanged and changed files


def test_unchanged_files_are_not_opened(reads: list[tuple[str, int]], encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    write("docs/a.txt", "a text")
    write("docs/b.txt", "b text")
    index = Index.open(encoder=encoder)
    index.add(["docs"])
    reads.clear()
    encoder.calls.clear()
    monkeypatch.setattr("unitower.index.adding.sha256", lambda path: pytest.fail(f"{path} was hashed"))
    summary = index.add(["docs"])
    assert (summary.files_read, summary.files_unchanged, summary.items_added, summary.items_removed) == (0, 2, 0, 0)
    assert (reads, encoder.calls) == ([], [])


def test_a_touched_file_is_hashed_once_and_not_read(
    reads: list[tuple[str, int]], encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("a.txt", "a text")
    index = Index.open(encoder=encoder)
    index.add(["a.txt"])
    before = everything()
    os.utime("a.txt", ns=(1, 1))
    reads.clear()
    assert index.add(["a.txt"]).files_unchanged == 1
    assert reads == []
    monkeypatch.setattr("unitower.index.adding.sha256", lambda path: pytest.fail(f"{path} was hashed again"))
    assert index.add(["a.txt"]).files_unchanged == 1
    assert everything() == before


def test_a_changed_file_leaves_nothing_of_what_it_was(reads: list[tuple[str, int]], encoder: FakeEncoder) -> None:
    write("a.txt", "code: old one", "code: old two", "code: old three")
    write("b.txt", "code: other")
    index = Index.open(encoder=encoder)
    index.add(["."])
    rewrite("a.txt", "code: new one", "a new text")
    summary = index.add(["."])
    assert (summary.files_read, summary.files_unchanged, summary.items_added, summary.items_removed) == (1, 1, 2, 3)
    kept = everything()
    assert {id: entry.text for id, (entry, _, _) in kept["retrieval"].items()} == {
        "a.txt#page=1": "code: new one",
        "a.txt#page=2": "a new text",
        "b.txt#page=1": "code: other",
    }
    assert list(kept["code"]) == ["a.txt#page=1", "b.txt#page=1"]


def test_a_change_that_keeps_size_or_time_is_seen(reads: list[tuple[str, int]], encoder: FakeEncoder) -> None:
    write("a.txt", "first")
    index = Index.open(encoder=encoder)
    index.add(["a.txt"])
    rewrite("a.txt", "after")  # as long as before
    assert index.add(["a.txt"]).items_added == 1
    time = os.stat("a.txt").st_mtime_ns
    write("a.txt", "and longer")
    os.utime("a.txt", ns=(time, time))
    assert index.add(["a.txt"]).items_added == 1


def test_former_entries_are_found_until_the_new_ones_are_encoded(reads: list[tuple[str, int]]) -> None:
    write("a.txt", "first")
    Index.open(encoder=FakeEncoder()).add(["a.txt"])
    rewrite("a.txt", "second")
    seen: list[list[str]] = []

    class Watching(FakeEncoder):
        def encode(self, inputs: Any, **options: Any) -> Embeddings:
            seen.append(ids())
            return super().encode(inputs, **options)

    Index.open(encoder=Watching()).add(["a.txt"])
    assert seen == [["a.txt#page=1"]]


def test_an_index_brought_up_to_date_equals_one_made_anew(reads: list[tuple[str, int]], encoder: FakeEncoder) -> None:
    write("docs/kept.txt", "kept", "image 3")
    write("docs/changed.txt", "old", "code: old")
    write("docs/gone.txt", "gone")
    write("docs/moved.txt", "moved one", "code: moved two")
    write("docs/broken.txt", "fine", "!broken torn page", "never read")
    Index.open(encoder=encoder).add(["docs"])
    rewrite("docs/changed.txt", "new", "image 7", "code: new")
    os.remove("docs/gone.txt")
    os.rename("docs/moved.txt", "docs/sub.txt")
    write("docs/new/new.txt", "new")
    rewrite("docs/broken.txt", "fine", "mended")
    updated = Index.open(encoder=encoder)
    updated.add(["docs"])
    clean = Index.open("clean", encoder=encoder)
    clean.add(["docs"])
    assert everything(".unitower") == everything("clean")
    assert updated.status().items == clean.status().items
    assert updated.search("moved two") == clean.search("moved two")


def test_changed_content_that_shrinks_to_nothing_is_forgotten_and_told(reads: list[tuple[str, int]], encoder: FakeEncoder) -> None:
    write("a.txt", "a text")
    index = Index.open(encoder=encoder)
    index.add(["a.txt"])
    rewrite("a.txt")
    summary = index.add(["a.txt"])
    assert (summary.items_removed, summary.skipped) == (1, (("a.txt", "an empty file"),))
    assert ids() == []


# Moved and copied files


def test_a_moved_or_copied_file_is_not_encoded_again(reads: list[tuple[str, int]], encoder: FakeEncoder) -> None:
    write("a.txt", "one text", "code: two", "image 9", "same id")
    index = Index.open(encoder=encoder)
    index.add(["."])
    encoder.calls.clear()
    os.rename("a.txt", "b.txt")
    write("c.txt", *Path("b.txt").read_text().splitlines())
    summary = index.add(["."])
    assert encoder.calls == []
    assert (summary.files_read, summary.files_removed, summary.items_added, summary.items_removed) == (2, 1, 8, 4)
    clean = Index.open("clean", encoder=encoder)
    clean.add(["."])
    assert everything(".unitower") == everything("clean")
    assert index.add(["."]).files_unchanged == 2


def test_the_same_content_under_another_kind_of_name_is_read_for_itself(reads: list[tuple[str, int]], encoder: FakeEncoder) -> None:
    write("a.txt", "one")
    index = Index.open(encoder=encoder)
    index.add(["."])
    write("a.rst", "one")
    write("README", "one")
    index.add(["."])
    assert [key for key, _ in reads] == ["a.txt", "README", "a.rst"]


def test_a_copy_of_a_long_file_is_made_in_pieces(
    reads: list[tuple[str, int]], encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unitower.index.adding.MAX_BATCH_ITEMS", 3)
    write("a.txt", *(f"code: {i}" if i % 3 else f"text {i}" for i in range(10)))
    index = Index.open(encoder=encoder)
    index.add(["a.txt"])
    encoder.calls.clear()
    os.rename("a.txt", "b.txt")
    index.add(["."])
    assert encoder.calls == []
    clean = Index.open("clean", encoder=encoder)
    clean.add(["."])
    assert everything(".unitower") == everything("clean")


def test_a_long_file_that_moved_and_left_a_short_one_in_its_place(
    reads: list[tuple[str, int]], encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unitower.index.adding.MAX_BATCH_ITEMS", 3)
    write("a.txt", *(f"text {i}" for i in range(10)))
    index = Index.open(encoder=encoder)
    index.add(["."])
    os.rename("a.txt", "b.txt")
    write("a.txt", "short")
    index.add(["."])
    clean = Index.open("clean", encoder=encoder)
    clean.add(["."])
    assert everything(".unitower") == everything("clean")


def test_two_files_that_swap_their_names_swap_their_items(reads: list[tuple[str, int]], encoder: FakeEncoder) -> None:
    write("a.txt", "first", "second")
    write("b.txt", "third")
    index = Index.open(encoder=encoder)
    index.add(["."])
    os.rename("a.txt", "x")
    os.rename("b.txt", "a.txt")
    os.rename("x", "b.txt")
    index.add(["."])
    clean = Index.open("clean", encoder=encoder)
    clean.add(["."])
    assert everything(".unitower") == everything("clean")


# Gone files


def test_files_gone_from_disk_are_forgotten_beneath_the_paths_given_and_nowhere_else(
    reads: list[tuple[str, int]], encoder: FakeEncoder
) -> None:
    for name in ("docs/a.txt", "docs/b.txt", "docs2/c.txt", "doc.txt"):
        write(name, f"text of {name}")
    index = Index.open(encoder=encoder)
    index.add(["."])
    for name in ("docs/a.txt", "docs2/c.txt", "doc.txt"):
        os.remove(name)
    summary = index.add(["docs"])
    assert (summary.files_removed, summary.items_removed) == (1, 1)
    assert ids() == ["doc.txt#page=1", "docs/b.txt#page=1", "docs2/c.txt#page=1"]
    assert index.add(["."]).files_removed == 2
    assert ids() == ["docs/b.txt#page=1"]


def test_a_whole_folder_that_is_gone_is_forgotten(reads: list[tuple[str, int]], encoder: FakeEncoder) -> None:
    write("docs/deep/a.txt", "a")
    write("other/b.txt", "b")
    index = Index.open(encoder=encoder)
    index.add(["docs", "other"])
    os.rename("docs", "/".join([os.pardir, Path.cwd().name, "elsewhere"]))
    assert index.add(["docs"]).files_removed == 1
    assert ids() == ["other/b.txt#page=1"]


def test_files_that_are_ignored_now_are_forgotten(reads: list[tuple[str, int]], encoder: FakeEncoder) -> None:
    write("docs/a.txt", "a")
    write("docs/b.log", "b")
    index = Index.open(encoder=encoder)
    index.add(["docs"])
    write("docs/.gitignore", "*.log")
    assert index.add(["docs"]).files_removed == 1
    assert ids() == ["docs/a.txt#page=1"]


def test_what_lies_in_a_folder_that_cannot_be_opened_is_kept(
    here: Path, reads: list[tuple[str, int]], encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("docs/private/a.txt", "a")
    write("docs/b.txt", "b")
    index = Index.open(encoder=encoder)
    index.add(["docs"])
    with monkeypatch.context() as closed:
        skipped = Skipped(path=here / "docs/private", reason="permission denied")
        closed.setattr("unitower.index.adding.walk", lambda paths, *, exclude: iter([skipped]))
        summary = index.add(["docs"])
    assert (summary.files_removed, summary.skipped) == (1, (("docs/private", "permission denied"),))
    assert ids() == ["docs/private/a.txt#page=1"]
    assert index.status().skipped == summary.skipped
    assert index.add(["docs"]).skipped == ()
    assert index.status().skipped == ()


def test_what_lies_behind_a_link_that_leads_nowhere_now_is_kept(reads: list[tuple[str, int]], encoder: FakeEncoder) -> None:
    write("disk/a.txt", "a")
    Path("docs").mkdir()
    os.symlink(os.path.abspath("disk"), "docs/link")
    index = Index.open(encoder=encoder)
    index.add(["docs"])
    assert ids() == ["docs/link/a.txt#page=1"]
    os.rename("disk", "unplugged")
    summary = index.add(["docs"])
    assert (summary.files_removed, [path for path, _ in summary.skipped]) == (0, ["docs/link"])
    os.rename("unplugged", "disk")
    summary = index.add(["docs"])
    assert (summary.files_unchanged, summary.skipped) == (1, ())
    assert index.status().skipped == ()


def test_a_file_that_goes_while_the_run_is_on_is_forgotten(reads: list[tuple[str, int]], encoder: FakeEncoder) -> None:
    write("a.txt", "a")
    write("b.txt", "b")
    index = Index.open(encoder=encoder)
    index.add(["."])
    rewrite("b.txt", "changed")

    def progress(event: Progress) -> None:
        if event.stage == "reading" and event.path == "b.txt" and os.path.exists("b.txt"):
            os.remove("b.txt")

    summary = index.add(["."], progress=progress)
    assert (summary.files_removed, summary.skipped) == (1, ())
    assert ids() == ["a.txt#page=1"]


# Files that cannot be read


def test_a_broken_file_is_skipped_counted_and_listed_and_the_others_are_read(reads: list[tuple[str, int]], encoder: FakeEncoder) -> None:
    write("docs/a.txt", "a text")
    write("docs/b.txt", "!broken encrypted PDF")
    write("docs/c.txt", "c text")
    write("docs/d.txt")
    index = Index.open(encoder=encoder)
    summary = index.add(["docs"])
    assert (summary.files_read, summary.items_added) == (2, 2)
    assert summary.skipped == (("docs/b.txt", "encrypted PDF"), ("docs/d.txt", "an empty file"))
    assert index.status().skipped == summary.skipped
    assert index.status().files == 2


def test_a_skipped_file_is_counted_again_but_not_read_again_until_it_changes(reads: list[tuple[str, int]], encoder: FakeEncoder) -> None:
    write("a.txt", "!broken encrypted")
    index = Index.open(encoder=encoder)
    index.add(["a.txt"])
    reads.clear()
    summary = index.add(["a.txt"])
    assert (reads, summary.skipped, summary.files_unchanged) == ([], (("a.txt", "encrypted"),), 0)
    os.utime("a.txt", ns=(1, 1))
    summary = index.add(["a.txt"])
    assert (reads, summary.skipped, summary.files_unchanged) == ([], (("a.txt", "encrypted"),), 0)
    rewrite("a.txt", "no password now")
    assert index.add(["a.txt"]).skipped == ()
    assert index.status().skipped == ()
    assert ids() == ["a.txt#page=1"]


def test_a_skipped_file_is_tried_again_by_another_version_of_unitower(
    reads: list[tuple[str, int]], encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("a.txt", "fine", "!broken by a bug")
    write("b.txt", "b")
    index = Index.open(encoder=encoder)
    index.add(["."])
    reads.clear()
    monkeypatch.setattr("unitower.index.adding.__version__", "99")
    monkeypatch.setattr("unitower.index.reading.__version__", "99")
    assert index.add(["."]).files_unchanged == 1
    assert reads == [("a.txt", 0)]
    assert index.add(["."]).files_read == 0


def test_a_file_that_breaks_half_way_keeps_its_readable_pages_and_tells_where(reads: list[tuple[str, int]], encoder: FakeEncoder) -> None:
    write("a.txt", "one", "two", "!broken damaged stream", "four")
    index = Index.open(encoder=encoder)
    summary = index.add(["a.txt"])
    assert (summary.files_read, summary.items_added) == (1, 2)
    assert summary.skipped == (("a.txt", "broken after page 2: damaged stream"),)
    assert ids() == ["a.txt#page=1", "a.txt#page=2"]
    reads.clear()
    assert index.add(["a.txt"]).skipped == summary.skipped
    assert reads == []


def test_a_bug_of_a_reader_stops_no_run(reads: list[tuple[str, int]], encoder: FakeEncoder) -> None:
    write("a.txt", "!bug")
    write("b.txt", "b")
    summary = Index.open(encoder=encoder).add(["."])
    ((path, reason),) = summary.skipped
    assert path == "a.txt"
    assert "bug" in reason
    assert reason.endswith("RuntimeError: something unforeseen")
    assert ids() == ["b.txt#page=1"]


def test_a_page_that_the_reader_passes_over_is_told_and_the_rest_is_kept(reads: list[tuple[str, int]], encoder: FakeEncoder) -> None:
    write("a.txt", "one", "!lost", "three", "!lost")
    index = Index.open(encoder=encoder)
    summary = index.add(["."])
    assert (summary.files_read, summary.skipped) == (1, (("a.txt", "pages [2, 4]: damaged"),))
    assert ids() == ["a.txt#page=1", "a.txt#page=3"]
    assert index.add(["."]).skipped == index.status().skipped == summary.skipped


def test_a_kind_of_file_that_is_not_read_is_skipped_without_opening_it(
    reads: list[tuple[str, int]], encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("film.mp4", "a film")
    monkeypatch.setattr("unitower.index.adding.sha256", lambda path: pytest.fail(f"{path} was hashed"))
    index = Index.open(encoder=encoder)
    summary = index.add(["."])
    assert summary.skipped == (("film.mp4", "no reader for .mp4 files"),)
    assert index.add(["."]).skipped == summary.skipped == index.status().skipped


def test_what_a_failing_disk_hides_is_tried_again_in_the_next_run(reads: list[tuple[str, int]], encoder: FakeEncoder) -> None:
    write("a.txt", "one", "!disk")
    index = Index.open(encoder=encoder)
    assert index.add(["."]).skipped == (("a.txt", "broken after page 1: cannot be read: Input/output error"),)
    reads.clear()
    assert len(index.add(["."]).skipped) == 1
    assert reads == [("a.txt", 0)]
    assert ids() == ["a.txt#page=1"]


def test_a_file_that_may_not_be_opened_is_tried_again_in_the_next_run(
    reads: list[tuple[str, int]], encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(path: Path) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    write("a.txt", "one")
    index = Index.open(encoder=encoder)
    with monkeypatch.context() as patch:
        patch.setattr("unitower.index.adding.sha256", closed)
        assert index.add(["."]).skipped == (("a.txt", "cannot be opened: Permission denied"),)
    assert index.add(["."]).items_added == 1
    assert index.status().skipped == ()


def test_an_error_that_stays_the_same_is_not_written_down_in_every_run(encoder: FakeEncoder) -> None:
    os.symlink("nowhere", "link")
    index = Index.open(encoder=encoder)
    index.add(["."])
    with sqlite3.connect(".unitower/files.sqlite3") as db:
        db.execute("CREATE TRIGGER t BEFORE UPDATE ON files BEGIN SELECT RAISE(FAIL, 'written again'); END")
    assert len(index.add(["."]).skipped) == 1


# Items the encoder refuses


def test_an_item_that_the_encoder_refuses_is_left_out_with_the_reason_and_the_rest_is_kept(reads: list[tuple[str, int]]) -> None:
    encoder = FakeEncoder(refuses=lambda content: content == "too long")
    write("a.txt", "one", "too long", "three", "code: four")
    write("b.txt", *(f"text {i}" for i in range(20)))
    write("c.txt", "too long")
    index = Index.open(encoder=encoder)
    summary = index.add(["."])
    assert summary.skipped == (("a.txt", "page 2: the fake encoder refuses this"), ("c.txt", "page 1: the fake encoder refuses this"))
    assert (summary.files_read, summary.items_added) == (2, 23)
    assert "a.txt#page=2" not in ids()
    assert ids("code") == ["a.txt#page=4"]
    assert index.add(["."]).skipped == summary.skipped
    assert index.status().skipped == summary.skipped


def test_one_task_refusing_an_item_keeps_it_out_of_both(reads: list[tuple[str, int]]) -> None:
    class NoCode(FakeEncoder):
        def encode(self, inputs: Any, *, task: str = "retrieval", role: Any = None) -> Embeddings:
            if task == "code":
                raise ValueError("no code today")
            return super().encode(inputs, task=task, role=role)

    write("a.txt", "code: one", "two")
    Index.open(encoder=NoCode()).add(["."])
    assert ids() == ["a.txt#page=2"]


def test_reasons_are_told_in_the_order_of_the_pages_whenever_they_were_found(reads: list[tuple[str, int]]) -> None:
    write("a.txt", "one", "too long", "!lost", *(f"page {i}" for i in range(4, 10)), "too long")
    summary = Index.open(encoder=FakeEncoder(refuses=lambda content: content == "too long")).add(["."])
    refused = "the fake encoder refuses this"
    assert summary.skipped == (("a.txt", f"page 2: {refused}; pages [3]: damaged; page 10: {refused}"),)


def test_many_refused_pages_of_a_file_are_told_in_few_words(reads: list[tuple[str, int]]) -> None:
    write("a.txt", *("image 1" for _ in range(30)))
    summary = Index.open(encoder=FakeEncoder(refuses=lambda content: isinstance(content, Image.Image))).add(["."])
    ((_, reason),) = summary.skipped
    assert reason.startswith("page 1: the fake encoder refuses this; page 2: ")
    assert reason.endswith("; and 27 more")


def test_vectors_that_are_not_finite_never_reach_the_store(reads: list[tuple[str, int]]) -> None:
    class Overflowing(FakeEncoder):
        def encode(self, inputs: Any, **options: Any) -> Embeddings:
            vectors = super().encode(inputs, **options)
            for i, item in enumerate(inputs):
                if isinstance(item, Item) and item.content == "overflows":
                    vectors.dense[i, 0] = np.nan
            return vectors

    write("a.txt", "one", "overflows")
    assert Index.open(encoder=Overflowing()).add(["."]).skipped == (("a.txt", "page 2: the encoder gave it a vector that is not finite"),)


def test_an_encoder_that_encodes_nothing_any_more_stops_the_run_instead_of_skipping_every_file(reads: list[tuple[str, int]]) -> None:
    class Dying(FakeEncoder):
        def encode(self, inputs: Any, **options: Any) -> Embeddings:
            if len(self.calls) >= 2:
                raise RuntimeError("the device is gone")
            return super().encode(inputs, **options)

    for name in "abcdef":
        write(f"{name}.txt", *(f"word {name} " * 500 for _ in range(8)))
    index = Index.open(encoder=Dying())
    with pytest.raises(RuntimeError, match="the device is gone"):
        index.add(["."])
    assert index.status().skipped == ()
    stored = len(ids())
    assert 0 < stored < 48
    assert Index.open(encoder=FakeEncoder()).add(["."]).items_added == 48 - stored
    assert len(ids()) == 48


# Stopped runs (kills are in test_index_kill.py)


def test_a_stopped_run_tells_that_the_next_goes_on_and_it_does(reads: list[tuple[str, int]]) -> None:
    class Stopping(FakeEncoder):
        def encode(self, inputs: Any, **options: Any) -> Embeddings:
            if len(self.calls) == 2:
                raise KeyboardInterrupt
            return super().encode(inputs, **options)

    write("a.txt", *(f"word {i} " * 500 for i in range(20)))
    index = Index.open(encoder=Stopping())
    with pytest.raises(KeyboardInterrupt, match="goes on from there"):
        index.add(["a.txt"])
    stored = len(ids())
    assert 0 < stored < 20
    status = index.status()
    assert (status.items, status.unfinished, status.last_run_s) == ({"text": stored}, ("a.txt",), None)

    reads.clear()
    encoder = FakeEncoder()
    summary = Index.open(encoder=encoder).add(["a.txt"])
    assert reads == [("a.txt", stored)]
    assert (summary.files_read, summary.items_added, len(encoder.encoded)) == (1, 20 - stored, 20 - stored)
    status = index.status()
    assert (status.unfinished, status.items) == ((), {"text": 20})
    assert status.last_run_s is not None


def test_a_half_read_file_that_changes_before_the_next_run_is_read_from_its_beginning(reads: list[tuple[str, int]]) -> None:
    class Stopping(FakeEncoder):
        def encode(self, inputs: Any, **options: Any) -> Embeddings:
            if len(self.calls) == 1:
                raise KeyboardInterrupt
            return super().encode(inputs, **options)

    write("a.txt", *(f"word {i} " * 500 for i in range(20)))
    with pytest.raises(KeyboardInterrupt):
        Index.open(encoder=Stopping()).add(["a.txt"])
    rewrite("a.txt", "short now")
    Index.open(encoder=FakeEncoder()).add(["a.txt"])
    assert ids() == ["a.txt#page=1"]


def test_an_id_that_is_given_twice_is_unique_across_a_stop_too(reads: list[tuple[str, int]]) -> None:
    class Stopping(FakeEncoder):
        def encode(self, inputs: Any, **options: Any) -> Embeddings:
            if len(self.calls) == 2:
                raise KeyboardInterrupt
            return super().encode(inputs, **options)

    write("a.txt", "one", *(f"word {i} " * 500 for i in range(20)), "same id")
    with pytest.raises(KeyboardInterrupt):
        Index.open(encoder=Stopping()).add(["."])
    assert "a.txt#page=1" in ids()
    Index.open(encoder=FakeEncoder()).add(["."])
    assert {"a.txt#page=1", "a.txt#page=1;part=21"} <= set(ids())
    assert len(ids()) == 22


def test_pages_passed_over_before_a_stop_are_told_after_it(reads: list[tuple[str, int]]) -> None:
    class Stopping(FakeEncoder):
        def encode(self, inputs: Any, **options: Any) -> Embeddings:
            if len(self.calls) == 2:
                raise KeyboardInterrupt
            return super().encode(inputs, **options)

    write("a.txt", "word", "!lost", *(f"word {i} " * 500 for i in range(20)))
    with pytest.raises(KeyboardInterrupt):
        Index.open(encoder=Stopping()).add(["."])
    assert ids() != []
    assert Index.open(encoder=FakeEncoder()).add(["."]).skipped == (("a.txt", "pages [2]: damaged"),)
    assert len(ids()) == 21


def test_reasons_from_before_a_stop_are_kept(reads: list[tuple[str, int]]) -> None:
    def refuses(content: Any) -> bool:
        return content == "too long"

    class Stopping(FakeEncoder):
        def encode(self, inputs: Any, **options: Any) -> Embeddings:
            if any(item.content.startswith("word 9 ") for item in inputs if isinstance(item, Item)):
                raise KeyboardInterrupt
            return super().encode(inputs, **options)

    write("a.txt", "word", "too long", *(f"word {i} " * 500 for i in range(20)), "!broken torn")
    with pytest.raises(KeyboardInterrupt):
        Index.open(encoder=Stopping(refuses=refuses)).add(["."])
    assert ids() != []
    summary = Index.open(encoder=FakeEncoder(refuses=refuses)).add(["."])
    assert summary.skipped == (("a.txt", "page 2: the fake encoder refuses this; broken after page 22: torn"),)


# Progress


def test_progress_counts_up_to_what_there_is(reads: list[tuple[str, int]], encoder: FakeEncoder) -> None:
    write("a.txt", "one", "two")
    write("b.txt", *(f"page {i}" for i in range(150)))
    write("c.txt", "!broken torn")
    write("d.txt", "touched")
    index = Index.open(encoder=encoder)
    index.add(["d.txt"])
    os.utime("d.txt", ns=(1, 1))
    os.symlink("nowhere", "link")
    events: list[Progress] = []
    index.add(["."], progress=events.append)

    looking = [event for event in events if event.stage == "looking"]
    assert [event.files_done for event in looking] == [1, 2, 3, 4, 5, 5, 5, 5, 5]  # and four of them are counted
    assert all(event.files_total is None and event.items_total is None for event in looking)
    reading = [event for event in events if event.stage == "reading"]
    assert [event.path for event in reading if event.path] == sorted(event.path for event in reading if event.path)
    assert {event.files_total for event in reading} == {4}
    done = [event.items_done for event in reading]
    assert done == sorted(done)
    assert all(event.items_total is not None and event.items_done <= event.items_total for event in reading)
    last = events[-1]
    assert (last.stage, last.files_done, last.items_done, last.items_total) == ("finishing", 4, 152, 152)


def test_progress_ends_at_its_total_where_items_are_refused(reads: list[tuple[str, int]]) -> None:
    write("a.txt", "one", "too long", "three")
    events: list[Progress] = []
    Index.open(encoder=FakeEncoder(refuses=lambda content: content == "too long")).add(["."], progress=events.append)
    assert (events[-1].items_done, events[-1].items_total) == (2, 2)


def test_a_file_that_cannot_be_counted_is_still_read(
    reads: list[tuple[str, int]], encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def count(path: Path) -> int:
        raise UnreadableFile(path, "broken")

    monkeypatch.setattr("unitower.index.adding.count", count)
    write("a.txt", "one")
    events: list[Progress] = []
    assert Index.open(encoder=encoder).add(["."], progress=events.append).items_added == 1
    assert events[-1].items_total == 1


def test_where_there_is_no_time_to_count_all_files_the_others_are_guessed(
    reads: list[tuple[str, int]], encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(1_000_000))
    monkeypatch.setattr("unitower.index.adding.time.monotonic", lambda: 4.0 * next(clock))
    for name in "abcdefgh":
        write(f"{name}.txt", *f"{name} {name}")
    events: list[Progress] = []
    Index.open(encoder=encoder).add(["."], progress=events.append)
    counted = [event.path for event in events if event.stage == "looking"][8:]
    assert counted == ["a.txt", "b.txt"]
    assert [event.items_total for event in events if event.stage != "looking"] == [24] * 10


def test_files_are_not_counted_where_nobody_looks_at_the_progress(
    reads: list[tuple[str, int]], encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unitower.index.adding.count", lambda path: pytest.fail("was counted"))
    write("a.txt", "one")
    assert Index.open(encoder=encoder).add(["."]).items_added == 1


def test_a_run_prints_nothing(reads: list[tuple[str, int]], encoder: FakeEncoder, capfd: pytest.CaptureFixture[str]) -> None:
    write("a.txt", "one", "!bug")
    Index.open(encoder=encoder).add(["."])
    assert capfd.readouterr() == ("", "")
