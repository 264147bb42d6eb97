import os
import shutil
from pathlib import Path
from unittest.mock import Mock

import lance
import numpy as np
import pytest

from unitower.errors import StoreError
from unitower.scoring import maxsim
from unitower.stores import Entry, Query, _rows, _snapshot, open_store
from unitower.stores import lance as engine
from unitower.types import Embeddings, Fingerprint, Ragged, Source

MADE_BY = Fingerprint(model="m", revision="r", adapter="a", prompts={}, max_pixels=1, max_length=1, dense_width=4, multi_width=8)


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def some(first, last, *, text="alpha", tokens=2, width=8):
    rng = np.random.default_rng(first)
    n = last - first
    made = Embeddings(
        dense=unit(rng.standard_normal((n, 4))),
        multi=Ragged(unit(rng.standard_normal((n * tokens, width))), np.arange(0, n * tokens + 1, tokens)),
        fingerprint=MADE_BY,
    )
    return [Entry(id=f"d{i:03d}", source=Source(path="x"), modality="text", text=f"{text} n{i}") for i in range(first, last)], made


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "s.lance"


@pytest.fixture
def store(folder):
    return open_store(f"lance:{folder}")


def version(folder):
    return lance.dataset(str(folder)).version


def files(folder, pattern):
    return sorted(Path(folder).glob(pattern))


def test_opening_a_store_makes_nothing_before_the_first_entry(store, folder):
    assert store.search(Query(text="alpha"), k=1) == []
    assert not folder.exists()


def test_every_call_that_writes_is_one_commit(store, folder):
    store.add(*some(0, 5))
    for change in (
        lambda: store.add(*some(5, 9)),
        lambda: store.add(*some(3, 12)),
        lambda: store.add(*some(0, 2)),
        lambda: store.delete(["d001", "d007"]),
    ):
        before = version(folder)
        change()
        assert version(folder) == before + 1


def test_calls_that_change_nothing_commit_nothing(store, folder):
    store.add(*some(0, 5))
    before = version(folder)
    assert store.delete(["nobody"]) == 0
    store.add(*some(0, 0))
    assert version(folder) == before


def test_int8_moves_a_score_by_less_than_a_thousandth_of_its_tokens(store):
    entries, made = some(0, 40, tokens=200, width=128)
    store.add(entries, made)
    query = unit(np.random.default_rng(99).standard_normal((24, 128)))
    exact = maxsim(query, made.multi)
    found = store.search(Query(tokens=query), k=40)
    errors = [one.signals["multi"] - exact[int(one.id[1:])] for one in found]
    assert 0 < np.abs(errors).max() < 24 * 1e-3


def test_token_vectors_take_a_byte_a_number_and_two_bits_beside_it(store, folder):
    store.add(*some(0, 64, tokens=200, width=128))
    size = sum(file.stat().st_size for file in files(folder, "data/*"))
    assert 64 * 200 * 132 < size < 1.05 * 64 * 200 * 132
    store.optimize()
    (codes,) = files(folder, "_scan/*")
    assert 64 * 200 * 32 < codes.stat().st_size < 64 * 200 * 32 + 64 * 8 + 16_384


def scanned(store, k=30):
    """What the scan and the second look give, without the shortcut of small stores."""
    _, made = some(0, 30)
    return store.search(Query(dense=made.dense[3], tokens=made.multi[3]), k=k)


@pytest.fixture
def _always_scanned(monkeypatch):
    monkeypatch.setattr("unitower.stores.ranking.ALL_SCORED", 0)


@pytest.mark.usefixtures("_always_scanned")
@pytest.mark.parametrize("damage", ["cut off", "one bit", "empty", "other header", "of another file", "not writable"])
def test_scan_codes_that_are_damaged_or_stale_are_made_anew(store, folder, damage, monkeypatch):
    store.add(*some(0, 30))
    expected = scanned(store)
    (file,) = files(folder, "_scan/*")
    intact = file.read_bytes()
    content = bytearray(intact)
    if damage == "cut off":
        file.write_bytes(content[:-64])
    elif damage == "one bit":
        content[-100] ^= 4
        file.write_bytes(content)
    elif damage == "empty":
        file.write_bytes(b"")
    elif damage == "other header":
        file.write_bytes(content.replace(b'"rows": 30', b'"rows": 29'))
    elif damage == "of another file":
        other = open_store(f"lance:{folder.parent / 'other.lance'}")
        other.add(*some(30, 60))
        scanned(other)
        shutil.copy(files(folder.parent / "other.lance", "_scan/*")[0], file)
    else:
        file.unlink()
        monkeypatch.setattr(_snapshot, "write", lambda *args, **options: (_ for _ in ()).throw(OSError(30, "Read-only file system")))
    assert scanned(open_store(f"lance:{folder}")) == expected
    if damage != "not writable":
        assert files(folder, "_scan/*")[0].read_bytes() == intact


@pytest.mark.usefixtures("_always_scanned")
def test_scan_codes_follow_every_change_and_old_ones_go(store, folder):
    for first in range(0, 30, 10):
        store.add(*some(first, first + 10))
        scanned(store)
    assert len(files(folder, "_scan/*")) == 3
    store.delete(["d003", "d011"])
    store.add([some(5, 6)[0][0]], some(40, 41)[1])
    reference = open_store("memory:")
    entries = list(store.entries())
    dense, tokens = store.vectors([e.id for e in entries])
    reference.add(entries, Embeddings(dense=dense, multi=Ragged.of(tokens), fingerprint=MADE_BY))
    assert [one.id for one in scanned(store)] == [one.id for one in scanned(reference)]
    before = scanned(store)
    store.optimize()
    assert len(files(folder, "_scan/*")) == len(files(folder, "data/*"))
    assert scanned(store) == before == scanned(open_store(f"lance:{folder}"))


def test_damaged_token_vectors_are_named(store, folder):
    store.add(*some(0, 30, tokens=20, width=64))
    assert store.damaged() == []
    packed = next(iter(lance.dataset(str(folder)).to_batches(columns=["tokens"])))["tokens"][7].as_py()
    (file,) = files(folder, "data/*")
    content = file.read_bytes()
    assert content.count(packed) == 1
    at = content.index(packed) + 100
    before = file.stat().st_mtime_ns
    file.write_bytes(content[:at] + bytes([content[at] ^ 16]) + content[at + 1 :])
    os.utime(file, ns=(before, before))  # as a disk loses a bit, not as a program changes a file
    assert open_store(f"lance:{folder}").damaged() == ["d007"]


def test_above_a_size_the_dense_index_puts_candidates_forward(store, folder, monkeypatch):
    monkeypatch.setattr("unitower.stores.ranking.ALL_SCORED", 20)
    monkeypatch.setattr("unitower.stores.ranking.SCANNED", 300)
    monkeypatch.setattr(engine, "SCANNED", 300)
    entries, made = some(0, 600)
    store.add(entries, made)
    query = Query(dense=made.dense[5], tokens=made.multi[5])
    without = store.search(query, k=10)  # before there is an index, everything is scanned
    store.optimize()
    assert "dense" in [index.name for index in lance.dataset(str(folder)).describe_indices()]
    found = store.search(query, k=10)
    assert found[0].id == without[0].id == "d005"
    assert len(found) == 10
    store.add(*some(600, 610))
    _, new = some(600, 610)
    assert store.search(Query(dense=new.dense[0], tokens=new.multi[0]), k=1)[0].id == "d600"  # a row that is not indexed yet
    store.optimize()
    assert len(store.search(query, k=10, where="path = 'x'")) == 10


def test_the_word_index_covers_every_row_once_optimized(store, folder):
    for first in range(0, 30, 10):
        store.add(*some(first, first + 10))
    store.optimize()
    dataset = lance.dataset(str(folder))
    (index,) = dataset.describe_indices()
    assert index.num_rows_indexed == dataset.count_rows() == 30
    assert "MatchQuery" in dataset.scanner(full_text_query="alpha").explain_plan()
    assert len(store.search(Query(text="alpha"), k=99)) == 30


def test_optimizing_merges_pieces_and_frees_the_old_ones(store, folder):
    for first in range(0, 40, 2):
        store.add(*some(first, first + 2))
    store.delete(["d000"])
    assert len(files(folder, "data/*")) == 20
    store.optimize()
    assert len(files(folder, "data/*")) == 1
    assert len(files(folder, "_versions/*.manifest")) == 1
    store.optimize()
    assert len(store) == 39


def test_a_reader_goes_on_when_its_version_is_deleted_in_the_middle_of_a_search(store, folder, monkeypatch):
    store.add(*some(0, 20))
    reader = open_store(f"lance:{folder}")
    _, made = some(0, 20)
    query = Query(dense=made.dense[3], tokens=made.multi[3], text="alpha")
    before = reader.search(query, k=30)
    matches = _snapshot.Snapshot.matches

    def matches_and_then_another_process_compacts(snapshot, words, *, phrase):
        found = matches(snapshot, words, phrase=phrase)
        monkeypatch.undo()
        store.delete(["d019"])
        store.add(*some(20, 22))
        store.optimize()
        return found

    monkeypatch.setattr(_snapshot.Snapshot, "matches", matches_and_then_another_process_compacts)
    found = reader.search(query, k=30)
    after = store.search(query, k=30)
    assert found in (before, after)  # whole, of one version: what it holds open outlives its name
    assert reader.search(query, k=30) == after
    assert {one.id for one in after} == {one.id for one in before} - {"d019"} | {"d020", "d021"}


def test_a_store_that_is_made_anew_behind_a_reader_is_read_anew(store, folder):
    store.add(*some(0, 5))
    reader = open_store(f"lance:{folder}")
    assert len(reader.search(Query(text="alpha"), k=9)) == 5
    shutil.rmtree(folder)
    assert reader.search(Query(text="alpha"), k=9) == []
    open_store(f"lance:{folder}").add(*some(10, 12, text="beta"))
    assert [one.id for one in reader.search(Query(text="beta"), k=9)] == ["d010", "d011"]


def test_an_upsert_that_passes_over_rows_is_taken_back(store, folder):
    store.add(*some(0, 3))
    store._known = (store._latest().version, {"d000", "d001", "d002", "d005"})  # as if d005 were there and Lance did not find it
    with pytest.raises(StoreError, match="taken back"):
        store.add(*some(2, 6, text="beta"))
    assert [e.id for e in open_store(f"lance:{folder}").entries()] == ["d000", "d001", "d002"]
    assert store.search(Query(text="beta"), k=9) == []
    store.add(*some(2, 6, text="beta"))
    assert len(store) == 6


def test_a_delete_that_passes_over_rows_is_taken_back(store, folder):
    store.add(*some(0, 3))
    store._known = (store._latest().version, {"d000", "d005"})
    with pytest.raises(StoreError, match="taken back"):
        store.delete(["d000", "d005"])
    assert len(open_store(f"lance:{folder}")) == 3


def test_a_commit_of_another_writer_in_between_is_noticed(store, folder, monkeypatch):
    store.add(*some(0, 3))
    write = lance.write_dataset

    def write_after_another(table, place, **how):
        monkeypatch.undo()
        open_store(f"lance:{folder}").add(*some(5, 7))
        return write(table, place, **how)

    monkeypatch.setattr(lance, "write_dataset", write_after_another)
    store.add(*some(3, 5))
    store.add(*some(6, 8))
    assert [e.id for e in store.entries()] == [f"d{i:03d}" for i in range(8)]


def test_two_stores_that_write_in_turn_keep_every_id_once(folder):
    first, second = open_store(f"lance:{folder}"), open_store(f"lance:{folder}")
    for i in range(0, 12, 3):
        first.add(*some(i, i + 5))
        second.add(*some(i + 1, i + 6))
    second.delete(["d004"])
    first.add(*some(4, 5))
    assert [e.id for e in first.entries()] == [e.id for e in second.entries()] == [f"d{i:03d}" for i in range(15)]


@pytest.mark.parametrize("left", ["data", "data/x.lance", "_versions", "_versions/.tmp_1.manifest_", "_transactions"])
def test_a_folder_whose_making_was_interrupted_is_completed(folder, left):
    place = folder / left
    if place.suffix or place.name.startswith("."):
        place.parent.mkdir(parents=True)
        place.write_bytes(b"half")
    else:
        place.mkdir(parents=True)
    store = open_store(f"lance:{folder}")
    assert len(store) == 0
    store.add(*some(0, 3))
    assert len(open_store(f"lance:{folder}")) == 3


def test_a_dataset_without_its_word_index_is_completed(folder):
    store = open_store(f"lance:{folder}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lance.LanceDataset, "create_scalar_index", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            store.add(*some(0, 3))
    store = open_store(f"lance:{folder}")
    assert store.search(Query(text="alpha"), k=1) == []
    store.delete(["a"])
    store.add(*some(0, 3, text="C++ INV-2024-0117"))
    assert [index.name for index in lance.dataset(str(folder)).describe_indices()] == ["words"]
    assert len(store.search(Query(text="c++"), k=9)) == 3


@pytest.mark.parametrize("part", ["_versions/*.manifest", "data/*"])
@pytest.mark.parametrize("damage", [b"", b"garbage", None])
def test_a_damaged_store_says_which_folder_and_what_to_do(store, folder, part, damage):
    store.add(*some(0, 50))
    for file in files(folder, part):
        if damage is None:
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
        else:
            file.write_bytes(damage)
    with pytest.raises(StoreError, match="Delete this folder and index your files again") as error:
        open_store(f"lance:{folder}").search(Query(dense=np.ones(4, np.float32), text="alpha"), k=3)
    assert str(folder) in str(error.value)
    assert ".rs:" not in str(error.value)


def test_a_store_whose_data_was_removed_is_an_error_and_not_empty(store, folder):
    store.add(*some(0, 5))
    shutil.rmtree(folder / "data")
    with pytest.raises(StoreError, match=r"s\.lance"):
        list(open_store(f"lance:{folder}").entries())


def test_a_store_of_another_format_is_refused(folder):
    schema = _rows.schema(4, 8)
    lance.write_dataset(schema.with_metadata({**schema.metadata, b"unitower.format": b"0"}).empty_table(), str(folder))
    with pytest.raises(StoreError, match="format '0'"):
        open_store(f"lance:{folder}")


def test_a_dataset_that_is_no_store_is_refused(folder):
    lance.write_dataset(_rows.schema(4, 8).empty_table().replace_schema_metadata({}), str(folder))
    with pytest.raises(StoreError, match="format None"):
        open_store(f"lance:{folder}")


@pytest.mark.parametrize("name", ["", "file", "file/below", "line\nbreak", "not-utf8-\udce9"])
def test_a_place_where_no_store_can_be_is_refused_at_once(tmp_path, name):
    (tmp_path / "file").write_text("x")
    with pytest.raises((StoreError, ValueError)) as error:
        open_store(f"lance:{tmp_path / name}" if name else "lance:")
    assert "folder" in str(error.value)


@pytest.mark.parametrize(
    "name", ["a b", "日本語", "per%20cent", "100%", "a#b", "a?b", "co:lon", "s3:/x", "back\\slash", "q'uo\"te", "[x]{y}*", "\u3000"]
)
def test_a_folder_may_have_any_other_name(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    store = open_store(f"lance:{name}")
    store.add(*some(0, 3))
    store.add(*some(2, 4))
    store.optimize()
    assert (tmp_path / name / "_versions").is_dir()
    assert len(open_store(f"lance:{tmp_path / name}").search(Query(text="alpha"), k=9)) == 4


def test_a_store_stays_where_it_is_when_the_current_folder_changes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = open_store("lance:here.lance")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    store.add(*some(0, 3))
    assert len(open_store(f"lance:{tmp_path / 'here.lance'}")) == 3
