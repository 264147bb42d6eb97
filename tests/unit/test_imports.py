"""Imports go down the list of layers, never sideways and never in a circle; torch stays where tensors are at home."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "unitower"

LAYERS = [
    {"__main__"},
    {"cli"},
    {"commands"},
    {"demo", "vectors"},
    {"terminal"},
    {"serve", "scale", "analysis", "recipes", "builder"},
    {"training"},
    {"index", "evaluation"},
    {"encode"},
    {"model", "losses", "data", "ingest", "stores"},
    {"kernels"},
    {"codes", "scoring", "render"},
    {"types", "errors"},
]
"""Rooms from the top of the house to its foundation. Rooms of one layer do not know each other."""

ROOMS_WITH_TORCH = {"model", "encode", "losses", "training"}
TORCH_LIBRARIES = {"torch", "transformers", "peft", "accelerate"}
FOLDERS_OF_DATA = {"samples", "weights", "tasks", "benchmarks"}
"""Their Python files, if any, are documents: nothing imports them."""


def module_of(path: Path) -> str:
    """Dotted name of a file beneath src/unitower."""
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules() -> dict[str, str]:
    """Source text of every module of the package, by dotted name."""
    paths = [p for p in SOURCE.rglob("*.py") if p.relative_to(SOURCE).parts[0] not in FOLDERS_OF_DATA]
    return {module_of(path): path.read_text(encoding="utf-8") for path in sorted(paths)}


def nodes(tree: ast.AST, *, executed_only: bool) -> Iterator[ast.AST]:
    """All nodes of a tree; without what stands there for the type checker alone if only the executed ones are asked for."""
    for child in ast.iter_child_nodes(tree):
        if executed_only and isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        yield child
        yield from nodes(child, executed_only=executed_only)


def imports(module: str, source: str, *, is_package: bool = False, executed_only: bool = False) -> Iterator[str]:
    """Dotted names a module imports, wherever in it; `from a import b` gives `a.b`."""
    for node in nodes(ast.parse(source), executed_only=executed_only):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            home = node.module or ""
            if node.level:
                parents = module.split(".")
                parents = parents[: len(parents) - node.level + is_package]
                home = ".".join([*parents, *filter(None, [node.module])])
            yield from (f"{home}.{alias.name}" for alias in node.names)


def room(name: str) -> str:
    """The room a dotted name lies in; "" for names of the package itself, such as its version."""
    parts = name.split(".")
    rooms = set().union(*LAYERS)
    return parts[1] if len(parts) > 1 and parts[1] in rooms else ""


def layer(name: str) -> int:
    return next(depth for depth, rooms in enumerate(LAYERS) if name in rooms)


def faults(sources: dict[str, str]) -> list[str]:
    """One line for each import that goes up, sideways, or takes torch to a room without it."""
    found = []
    for module, source in sources.items():
        here = room(module)
        if module == "unitower":  # the front door imports nothing by itself: its names are looked up when they are used
            continue
        if not here:
            found.append(f"{module} is in no room: add it to LAYERS and to ARCHITECTURE.md")
            continue
        packages = {m for m in sources if any(other.startswith(m + ".") for other in sources)}
        for name in imports(module, source, is_package=module in packages):
            if name.split(".")[0] in TORCH_LIBRARIES and here not in ROOMS_WITH_TORCH:
                found.append(f"{module} imports {name}")
            if name == "unitower" or name.startswith("unitower."):
                there = room(name)
                if not there and name != "unitower.__version__":
                    found.append(f"{module} imports {name} from the package itself, not from its home")
                elif there and there != here and layer(there) <= layer(here):
                    found.append(f"{module} imports {name}, which is not beneath it")
    return found


def graph(sources: dict[str, str]) -> dict[str, set[str]]:
    """Module -> modules it imports when it runs.

    What a package's `__init__` imports of its own members inside a function is left out: the members know the contract that
    stands there, and by then all is loaded.
    """
    packages = {m for m in sources if any(other.startswith(m + ".") for other in sources)}
    edges: dict[str, set[str]] = {}
    for module, source in sources.items():
        edges[module] = set()
        if module == "unitower":
            continue
        tree = ast.parse(source)
        for statement in ast.iter_child_nodes(tree):
            within = isinstance(statement, ast.FunctionDef | ast.ClassDef)
            for name in imports(module, ast.unparse(statement), is_package=module in packages, executed_only=True):
                target = name if name in sources else name.rpartition(".")[0]
                if target in sources and target != module and not (within and target.startswith(module + ".")):
                    edges[module].add(target)
    return edges


def test_every_import_of_the_package_goes_down_the_layers() -> None:
    assert faults(modules()) == []


def test_no_module_imports_itself_through_others() -> None:
    TopologicalSorter(graph(modules())).prepare()


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("unitower.stores.lance", "from unitower.index import Index"),
        ("unitower.stores.lance", "def f():\n    from unitower.ingest import walk"),
        ("unitower.model.tower", "from ..encode import encoder"),
        ("unitower.index", "import torch.nn"),
        ("unitower.types", "from unitower import errors"),
        ("unitower.index", "from unitower import load"),
        ("unitower.helpers", "import os"),
    ],
)
def test_the_check_sees_an_import_that_goes_wrong(module: str, line: str) -> None:
    assert len(faults({module: line})) == 1


def test_the_check_sees_a_circle() -> None:
    circle = {"unitower.model.a": "from unitower.model import b", "unitower.model.b": "from .a import x", "unitower.model": ""}
    with pytest.raises(CycleError):
        TopologicalSorter(graph(circle)).prepare()


@pytest.mark.parametrize("module", ["unitower", "unitower.cli"])
def test_importing_it_loads_no_heavy_library(module: str) -> None:
    heavy = {"torch", "numpy", "rich", "lance", "pyarrow", "PIL", "tokenizers", "huggingface_hub", "safetensors", "pypdfium2"}
    code = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "unitower" in loaded
    assert heavy.isdisjoint(loaded)


@pytest.mark.parametrize(
    "module", ["unitower.index", "unitower.stores.memory", "unitower.stores.lance", "unitower.ingest", "unitower.evaluation.runner"]
)
def test_what_works_on_vectors_or_files_loads_no_torch(module: str) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "torch" not in loaded
