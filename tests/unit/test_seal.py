"""The seal of a folder: what is whole, and what has changed since."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from unitower.errors import StoreError
from unitower.stores._seal import NAME, Seal


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a").write_bytes(b"alpha" * 100)
    (tmp_path / "b").write_bytes(b"beta")
    Seal().next(tmp_path, version=3, names=["data/a", "b"]).write(tmp_path)
    return tmp_path


def read(folder: Path) -> Seal:
    seal = Seal.read(folder)
    assert seal is not None
    return seal


def test_a_seal_comes_back_as_it_was_written(folder: Path) -> None:
    seal = read(folder)
    assert (seal.version, sorted(seal.files)) == (3, ["b", "data/a"])
    assert seal.faults(folder) == seal.faults(folder, full=True) == []
    assert [path.name for path in folder.iterdir() if path.name.endswith(".new")] == []


def test_a_folder_without_a_seal_has_none(tmp_path: Path) -> None:
    assert Seal.read(tmp_path) is None
    assert Seal.read(tmp_path / "nowhere") is None


def test_a_file_that_is_gone_longer_or_changed_is_named(folder: Path) -> None:
    seal = read(folder)
    (folder / "b").unlink()
    assert seal.faults(folder) == ["b is missing"]
    (folder / "b").write_bytes(b"beta+")
    assert seal.faults(folder) == ["b has 5 bytes instead of 4"]
    (folder / "b").write_bytes(b"bets")
    assert seal.faults(folder) == ["b has changed since it was written"]


def test_a_copy_with_other_times_is_sound(folder: Path) -> None:
    os.utime(folder / "b", ns=(1, 1))
    assert read(folder).faults(folder) == []


def test_a_bit_lost_without_a_trace_is_found_by_a_full_check_only(folder: Path) -> None:
    before = (folder / "data" / "a").stat().st_mtime_ns
    (folder / "data" / "a").write_bytes(b"alphb" * 100)
    os.utime(folder / "data" / "a", ns=(before, before))
    assert read(folder).faults(folder) == []
    assert read(folder).faults(folder, full=True) == ["data/a has changed since it was written"]


def test_only_what_is_new_is_read_for_the_next_seal(folder: Path) -> None:
    (folder / "b").write_bytes(b"bets")  # known already: damage is not sealed as if it were right
    (folder / "c").write_bytes(b"gamma")
    seal = read(folder).next(folder, version=4, names=["b", "c"])
    assert sorted(seal.files) == ["b", "c"]
    assert seal.faults(folder) == ["b has changed since it was written"]


@pytest.mark.parametrize("place", range(0, 300, 17))
def test_a_seal_with_a_flipped_bit_is_damaged_and_says_so(folder: Path, place: int) -> None:
    content = bytearray((folder / NAME).read_bytes())
    content[place] ^= 2
    (folder / NAME).write_bytes(content)
    with pytest.raises(StoreError, match=rf"{NAME} is damaged.*index your files again"):
        Seal.read(folder)
