"""Where models are found: shipped, in a folder, in the Hub's cache; and what a folder's revision says."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pytest

import unitower
from unitower.errors import CheckpointError
from unitower.model import hub
from unitower.model.hub import LAYOUT, WEIGHTS, folder_of, revision_of

TINY = Path(__file__).parents[1] / "fixtures" / "jina-v4-tiny"
COMMIT = "4a58ca57710c49f51896e4bc820e202fbf64904b"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    folder = tmp_path / "copy"
    shutil.copytree(TINY, folder, ignore=shutil.ignore_patterns("goldens*", "images", "manifest.json"))
    return folder


@pytest.fixture
def cache(tmp_path: Path, copy: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Hub cache as huggingface_hub lays it out, that holds org/tiny at its main branch, while the Hub is out of reach."""
    model = tmp_path / "hf" / "hub" / "models--org--tiny"
    (model / "refs").mkdir(parents=True)
    (model / "refs" / "main").write_text(COMMIT)
    (model / "snapshots").mkdir()
    copy.rename(model / "snapshots" / COMMIT)
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return model


def test_the_shipped_model_is_found_by_its_name() -> None:
    folder, revision = folder_of("nano")
    assert folder == WEIGHTS / "nano"
    assert revision == revision_of(folder)
    assert (folder / "config.json").is_file()


def test_a_shipped_name_goes_before_a_folder_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nano").mkdir()
    monkeypatch.chdir(tmp_path)
    assert folder_of("nano")[0] == WEIGHTS / "nano"
    assert folder_of("./nano")[0] == Path("nano")


def test_a_folder_goes_before_a_hub_id_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "org" / "tiny").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert folder_of("org/tiny")[0] == Path("org/tiny")


def test_a_folder_is_itself(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert folder_of(str(copy)) == folder_of(copy) == (copy, revision_of(TINY))
    monkeypatch.setenv("HOME", str(copy.parent))
    assert folder_of("~/copy")[0] == copy


@pytest.mark.parametrize(
    "name", ["missing", "./missing", "../missing", "/missing/model", "a/b/c", "org/", "/", "-x/y", "org name/model", Path("org/tiny")]
)
def test_a_name_that_is_nothing_says_what_it_could_be(name: str | Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    if name == "/":
        name = "/nowhere"
    with pytest.raises(CheckpointError, match=r"no model '.*'.*no folder, no Hub id \(owner/name\).*nano") as caught:
        unitower.load(name)
    assert "\n" not in str(caught.value)


def test_a_file_is_no_model() -> None:
    with pytest.raises(CheckpointError, match="is a file"):
        folder_of(TINY / "config.json")


def test_a_folder_without_a_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"config\.json is missing"):
        unitower.load(tmp_path)


# ---- revisions of folders


def test_a_folder_must_have_the_revision_asked_for(copy: Path) -> None:
    revision = revision_of(copy)
    assert folder_of(copy, revision=revision) == (copy, revision)
    with pytest.raises(CheckpointError, match=f"has revision {revision}, not main"):
        folder_of(copy, revision="main")
    with pytest.raises(CheckpointError, match="nano has revision"):
        unitower.load("nano", revision=revision)


@pytest.mark.parametrize("file", ["config.json", "preprocessor_config.json", "tokenizer.json", "adapters/adapter_config.json"])
def test_a_change_to_what_decides_the_vectors_is_another_revision(copy: Path, file: str) -> None:
    before = revision_of(copy)
    (copy / file).write_text((copy / file).read_text(encoding="utf-8") + " ", encoding="utf-8")
    assert revision_of(copy) != before


@pytest.mark.parametrize(
    "file", ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "adapters/adapter_model.safetensors"]
)
@pytest.mark.parametrize("limit", [None, 1000])
def test_a_change_to_any_weights_file_is_another_revision(
    copy: Path, file: str, limit: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if limit:  # as a file too large to be read whole
        monkeypatch.setattr(hub, "WHOLE_BYTES", limit)
        monkeypatch.setattr(hub, "SAMPLE_BYTES", 100)
    before = revision_of(copy)
    data = bytearray((copy / file).read_bytes())
    half = len(data) // 2
    data[half:] = bytes(byte ^ 1 for byte in data[half:])
    (copy / file).write_bytes(data)
    assert revision_of(copy) != before


def test_what_does_not_decide_the_vectors_is_not_part_of_the_revision(copy: Path) -> None:
    before = revision_of(copy)
    (copy / "README.md").write_text("words")
    (copy / "unitower.json").write_text("{}")
    os.utime(copy / "config.json", (0, 0))
    assert revision_of(copy) == before == revision_of(TINY)


def test_a_large_file_is_read_in_samples_to_its_very_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "WHOLE_BYTES", 1 << 20)
    path = tmp_path / "model.safetensors"
    size_bytes = 3 << 30  # sparse: it takes no room on the disk
    with path.open("wb") as file:
        file.truncate(size_bytes)
    empty = revision_of(tmp_path)
    for place in (0, size_bytes - 1):
        with path.open("r+b") as file:
            file.seek(place)
            file.write(b"x")
        changed = revision_of(tmp_path)
        assert changed != empty
        empty = changed


# ---- the Hub's cache


def test_a_cached_hub_model_is_loaded_offline_with_its_commit_as_revision(cache: Path) -> None:
    encoder = unitower.load("org/tiny", device="cpu", dtype="float32")
    assert encoder.fingerprint(task="retrieval").revision == COMMIT
    assert encoder.fingerprint(task="retrieval").model == "org/tiny"
    here = unitower.load(TINY, device="cpu", dtype="float32")
    np.testing.assert_array_equal(encoder.encode("a", role="query").dense, here.encode("a", role="query").dense)


@pytest.mark.parametrize("revision", ["main", COMMIT])
def test_a_revision_in_the_cache_is_found_by_branch_and_by_commit(cache: Path, revision: str) -> None:
    assert folder_of("org/tiny", revision=revision) == (cache / "snapshots" / COMMIT, COMMIT)


@pytest.mark.parametrize(("name", "revision"), [("org/other", None), ("org/tiny", "v2"), ("org/tiny", "0" * 40)])
def test_what_is_not_in_the_cache_is_told_in_one_line(cache: Path, name: str, revision: str | None) -> None:
    with pytest.raises(CheckpointError, match=f"{name}.*not in the Hub cache, and HF_HUB_OFFLINE is set") as caught:
        folder_of(name, revision=revision)
    assert "\n" not in str(caught.value)
    assert revision is None or revision in str(caught.value)


def test_the_environment_of_a_fresh_process_is_honoured(cache: Path) -> None:
    code = "from unitower.model.hub import folder_of; print(*folder_of('org/tiny'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ})
    assert done.stdout.split() == [str(cache / "snapshots" / COMMIT), COMMIT]


def test_finding_a_folder_loads_neither_torch_nor_the_hubs_library() -> None:
    code = "import sys; from unitower.model.hub import folder_of; folder_of('nano'); print({'torch', 'huggingface_hub'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


@pytest.mark.parametrize("error", [ConnectionError("refused\nand more"), RuntimeError(""), ValueError("bad reply")])
def test_other_failures_of_the_hub_are_told_in_one_line(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    import huggingface_hub

    def fail(*args: object, **keywords: object) -> str:
        raise error

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    with pytest.raises(CheckpointError, match=r"org/tiny cannot be fetched from the Hub: .") as caught:
        folder_of("org/tiny")
    assert "\n" not in str(caught.value)


def test_only_files_of_the_layout_are_fetched() -> None:
    def fetched(name: str) -> bool:
        return any(fnmatch(name, pattern) for pattern in LAYOUT)

    assert all(fetched(path.relative_to(TINY).as_posix()) for path in TINY.rglob("*.safetensors") if "goldens" not in path.name)
    assert all(
        fetched(name)
        for name in ("config.json", "tokenizer.json", "preprocessor_config.json", "model.safetensors", "adapters/adapter_config.json")
    )
    assert not any(
        fetched(name) for name in ("modeling_jina_embeddings_v4.py", "custom_st.py", "adapters/code.py", "model.py", "pytorch_model.bin")
    )
