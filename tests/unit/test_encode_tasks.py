"""Task files: the three that ship, one's own, and those that contradict themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from unitower.encode.tasks import SHIPPED, as_role, read_task, tasks_in, tasks_of
from unitower.errors import CheckpointError

LEGAL = """
description = "Find paragraphs of a law."
adapter = "legal"

[prompts]
query = "Frage: "
passage = ""
"""


def test_the_released_tasks_ship_with_the_released_prompts() -> None:
    tasks = tasks_in(SHIPPED)
    assert {name: (task.prompt("query"), task.prompt("passage")) for name, task in tasks.items()} == {
        "retrieval": ("Query: ", "Passage: "),
        "code": ("Query: ", "Passage: "),
        "text-matching": ("Query: ", "Query: "),
    }
    assert [name for name, task in tasks.items() if task.symmetric] == ["text-matching"]
    assert all(task.adapter == name and task.description for name, task in tasks.items())


def test_ones_own_task_is_one_file_in_the_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "law.toml").write_text(LEGAL, encoding="utf-8")
    tasks = tasks_of(["retrieval", "legal"], checkpoint=tmp_path)
    assert list(tasks) == ["retrieval", "law"]
    assert (tasks["law"].adapter, tasks["law"].prompt("query"), tasks["law"].prompt("passage")) == ("legal", "Frage: ", "")


def test_a_checkpoints_file_overrides_the_shipped_one_of_its_name(tmp_path: Path) -> None:
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "code.toml").write_text(LEGAL.replace('"legal"', '"code"'), encoding="utf-8")
    assert tasks_of(["code"], checkpoint=tmp_path)["code"].prompt("query") == "Frage: "
    assert tasks_of(["code"])["code"].prompt("query") == "Query: "


def test_tasks_without_their_adapter_are_left_out_and_adapters_without_a_task_get_the_released_prompts() -> None:
    tasks = tasks_of(["code", "chemistry"])
    assert list(tasks) == ["code", "chemistry"]
    assert (tasks["chemistry"].prompt("query"), tasks["chemistry"].prompt("passage")) == ("Query: ", "Passage: ")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('adapter = "legal"', "", "adapter is missing"),
        ('passage = ""', "", "passage is missing"),
        ('passage = ""', 'document = ""', "unknown key 'document'.*query, passage"),
        ('adapter = "legal"', 'adaptor = "legal"', "unknown key 'adaptor'"),
        ('adapter = "legal"', "adapter = 3", "adapter = 3 should be a str"),
        ('adapter = "legal"', 'adapter = "legal"\nsymmetric = true', "symmetric is true, but .* different"),
        ('passage = ""', 'passage = "Frage: "', "symmetric is false, but .* alike"),
        ("[prompts]", "[prompts", "cannot be read"),
    ],
)
def test_a_task_file_that_is_wrong_says_where(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "law.toml"
    path.write_text(LEGAL.replace(old, new), encoding="utf-8")
    with pytest.raises(CheckpointError, match=f"law.toml.*{message}"):
        read_task(path)


def test_roles_are_two() -> None:
    assert (as_role("query"), as_role("passage")) == ("query", "passage")
    with pytest.raises(ValueError, match=r"'document'.*'query'.*'passage'"):
        as_role("document")
