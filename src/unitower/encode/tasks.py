"""What a text is told to be before it is read: prompts per role, and the adapter, one TOML file per task.

    description = "Find paragraphs of a law by a plain question."
    adapter = "legal"          # an adapter of the checkpoint, among `task_names` of its config.json
    symmetric = false          # true where both roles are read alike

    [prompts]
    query = "Query: "
    passage = "Passage: "

The file's name is the task's name. To add a task, add one file: to `src/unitower/tasks/`, or to a folder `tasks/` of the checkpoint
that brings the adapter, which also overrides the file of the same name here.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from unitower.errors import CheckpointError
from unitower.types import Role

SHIPPED = Path(__file__).parents[1] / "tasks"

ROLES: tuple[Role, ...] = get_args(Role)

RELEASED_PROMPTS: Mapping[Role, str] = {"query": "Query: ", "passage": "Passage: "}
"""The words the released model puts before texts; a task of a checkpoint that no file describes has these."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """How texts are read for one purpose.

    adapter    the checkpoint's adapter that serves it
    prompts    role -> words put before the text, with the space that follows them; "" for none
    symmetric  both roles have the same prompt
    """

    name: str
    adapter: str
    prompts: Mapping[Role, str]
    symmetric: bool = False
    description: str = ""

    def prompt(self, role: Role) -> str:
        return self.prompts[role]


def read_task(path: Path) -> Task:
    """The task a TOML file describes. CheckpointError says what is missing, unknown or contradictory in it."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error
    wanted: dict[str, type] = {"adapter": str, "prompts": dict, "symmetric": bool, "description": str}
    _check(raw, wanted, {"adapter", "prompts"}, path)
    prompts = raw["prompts"]
    _check(prompts, dict.fromkeys(ROLES, str), set(ROLES), f"{path}, [prompts]")
    symmetric = raw.get("symmetric", False)
    if symmetric != (prompts["query"] == prompts["passage"]):
        alike = "alike" if prompts["query"] == prompts["passage"] else "different"
        raise CheckpointError(f"{path}: symmetric is {str(symmetric).lower()}, but the prompts of the two roles are {alike}.")
    return Task(name=path.stem, adapter=raw["adapter"], prompts=prompts, symmetric=symmetric, description=raw.get("description", ""))


def _check(raw: Mapping[str, Any], wanted: Mapping[str, type], required: set[str], where: object) -> None:
    for key in sorted(raw.keys() - wanted.keys()):
        raise CheckpointError(f"{where}: unknown key {key!r}; there are {', '.join(wanted)}.")
    for key in sorted(required - raw.keys()):
        raise CheckpointError(f"{where}: {key} is missing.")
    for key, value in raw.items():
        if not isinstance(value, wanted[key]):
            raise CheckpointError(f"{where}: {key} = {value!r} should be a {wanted[key].__name__}.")


def tasks_in(folder: Path) -> dict[str, Task]:
    """Every task described in a folder, by name, in the order of the names; none where there is no such folder."""
    return {path.stem: read_task(path) for path in sorted(folder.glob("*.toml"))}


def tasks_of(adapters: Iterable[str], *, checkpoint: Path | None = None) -> dict[str, Task]:
    """The tasks a model can do: those whose adapter it has.

    adapters    the checkpoint's task names, in its order
    checkpoint  its folder, whose own `tasks/` is read too
    returns     name -> Task, in the order of the adapters; an adapter that no file describes is a task of its own name
    """
    known = {**tasks_in(SHIPPED), **(tasks_in(checkpoint / "tasks") if checkpoint else {})}
    tasks: dict[str, Task] = {}
    for adapter in adapters:
        found = {name: task for name, task in known.items() if task.adapter == adapter}
        tasks |= found or {adapter: Task(name=adapter, adapter=adapter, prompts=RELEASED_PROMPTS)}
    return tasks


def as_role(role: str) -> Role:
    """The role, if it is one. ValueError names the two there are."""
    if role not in ROLES:
        raise ValueError(f"role {role!r} is unknown: give role={' or role='.join(map(repr, ROLES))}.")
    return role
