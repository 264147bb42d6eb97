"""What README.md says is true: its Python runs, its commands parse, its file tree is there."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unitower.cli import parser
from unitower.commands import commands

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """Code blocks of the README in one language."""
    return [body for name, body in re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL) if name == language]


def test_the_python_example_runs_and_gives_what_its_comments_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "lease.md").write_text("# Lease\n\nThe rent is due in May.\n", encoding="utf-8")
    (tmp_path / "docs" / "garden.txt").write_text("Roses need sun.\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    (example,) = blocks("python")
    names: dict[str, Any] = {}
    exec(example, names)
    e = names["e"]
    assert e.dense.shape == tuple(map(int, re.findall(r"e\.dense .*float32 \[(\d+), (\d+)\]", example)[0]))
    assert e.multi[0].shape[1] == int(re.findall(r"e\.multi\[0\] .*\[tokens, (\d+)\]", example)[0])
    for rows in (e.dense, e.multi[0]):
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-4)
    first, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith("1 docs/lease.md, line")
    assert "rent is due in May" in first


def test_every_command_parses() -> None:
    lines = [line.partition("#")[0] for block in blocks("sh") for line in block.splitlines() if "unitower " in line]
    typed = [shlex.split(re.split(r"\||&&", line)[-1]) for line in lines]
    assert {words[1] for words in typed} == set(commands())
    for words in typed:
        assert words[0] == "unitower"
        parser().parse_args(words[1:])


def test_the_file_tree_names_what_is_there_and_every_room() -> None:
    (tree,) = [block for block in blocks("") if "src/unitower/" in block]
    named: set[str] = set()
    parents: list[tuple[int, str]] = []
    for line in tree.splitlines():
        indent = len(line) - len(line.lstrip())
        name = line.split()[0]
        parents = [(depth, parent) for depth, parent in parents if depth < indent]
        path = "".join(parent for _, parent in parents) + name
        named.add(path)
        if name.endswith("/"):
            parents.append((indent, name))
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []
    package = ROOT / "src" / "unitower"
    rooms = {
        f"src/unitower/{path.name}/"
        for path in package.iterdir()
        if path.is_dir() and any(path.rglob("*.*")) and path.name != "__pycache__"
    }
    modules = {f"src/unitower/{path.name}" for path in package.glob("*.py")}
    assert sorted((rooms | modules) - named) == []


def test_the_checks_run_the_test_command_of_the_readme() -> None:
    pattern = re.search(r"grep -m 1 -E '(.+?)' README\.md", (ROOT / ".ci" / "run").read_text(encoding="utf-8"))
    assert pattern
    found = re.findall(f"{pattern[1]}.*", README, re.MULTILINE)
    assert found == ['pip install -c constraints.txt ".[test]" && python -m pytest']


def test_the_changelog_begins_with_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    headings = re.findall(r"^## (\S+?),", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[0] == version


def test_every_requirement_has_its_exact_version_in_the_constraints() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pinned = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE))
    extras = project["optional-dependencies"].values()
    wanted = [re.split(r"[<>=!~;\[ ]", one)[0] for one in [*project["dependencies"], *(one for extra in extras for one in extra)]]
    missing = {name for name in wanted if normal(name) not in {normal(known) for known in pinned}}
    assert missing == set()
    assert pinned["torch"] == "2.13.0"  # a local version such as +cpu is on no index


def normal(name: str) -> str:
    """A distribution's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()
