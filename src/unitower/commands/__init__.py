"""The commands, one file each: the folder is the list.

A command's module offers

    ORDER         where it stands in `unitower --help`
    HELP          one line, a small letter first; EXAMPLE, a line that works as typed
    WHEN_STOPPED  what a person is told after Ctrl-C (optional)
    options(one)  adds its arguments to an argparse parser
    run(args)     parse is done: one call, print; returns the exit code

Modules are read for every `--help`, so they import the libraries they need inside `run`. What several commands share stands here.
"""

from __future__ import annotations

import argparse
import pkgutil
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

FOLDER = ".unitower"


class Command(Protocol):
    """What a module of this folder offers."""

    ORDER: int
    HELP: str
    EXAMPLE: str
    options: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


def commands() -> dict[str, Command]:
    """Name -> module, in the order of the help; `from_index.py` is the command `from-index`."""
    names = [each.name for each in pkgutil.iter_modules([str(Path(__file__).parent)])]
    modules = {name.replace("_", "-"): cast(Command, import_module(f"{__name__}.{name}")) for name in names}
    return dict(sorted(modules.items(), key=lambda one: one[1].ORDER))


def index_option(one: argparse.ArgumentParser) -> None:
    one.add_argument("--in", dest="folder", default=FOLDER, metavar="DIR", help="folder that holds the index (default: %(default)s)")


def model_options(one: argparse.ArgumentParser, *, several: bool = False) -> None:
    """What is loaded and where. several: `--model` may be given again, and baselines are models too."""
    if several:
        about = "a shipped name, a baseline, a folder or a Hub id; several times for several (default: nano)"
        one.add_argument("--model", metavar="NAME", action="append", dest="models", help=about)
    else:
        one.add_argument("--model", metavar="NAME", help="a shipped name, a folder or a Hub id (default: nano, or the model of the index)")
    one.add_argument("--revision", metavar="REV", help="branch, tag or commit of a Hub model")
    one.add_argument("--device", metavar="D", help="cpu, cuda, cuda:1, mps (default: the best there is)")
    one.add_argument("--dtype", choices=("float32", "bfloat16"), help="arithmetic (default: what suits the device)")


def positive(text: str) -> int:
    """An argument that counts something."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return int(text)
