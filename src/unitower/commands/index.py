"""`unitower index`: read and encode what is new or changed beneath the paths."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from unitower.commands import FOLDER, model_options

if TYPE_CHECKING:
    from unitower.encode.encoder import Encoder

ORDER = 10
HELP = "read files and folders into an index; only what is new or changed is encoded"
EXAMPLE = "unitower index docs notes.md"
WHEN_STOPPED = "stopped; what is indexed so far is kept, and a new run goes on from there."


def options(one: argparse.ArgumentParser) -> None:
    one.add_argument("paths", nargs="+", metavar="PATH", help="files and folders; .gitignore and hidden files are respected")
    one.add_argument("--into", default=FOLDER, metavar="DIR", help="folder that holds the index (default: %(default)s)")
    one.add_argument(
        "--pool",
        type=int,
        choices=(1, 2, 3, 4),
        metavar="N",
        help="a new index: merge N token vectors into one (smaller, finds a little less)",
    )
    model_options(one)


def run(arguments: argparse.Namespace) -> int:
    from unitower import terminal
    from unitower.index import Index
    from unitower.index.folder import listed

    if not Index.exists(arguments.into):
        for path in listed(arguments.paths):
            os.lstat(path)  # a mistyped path leaves no empty index behind
    with terminal.IndexProgress() as progress:
        summary = Index.open(arguments.into, encoder=chosen(arguments), pooling=arguments.pool).add(arguments.paths, progress=progress)
    terminal.print_summary(summary, folder=arguments.into)
    return 0


def chosen(arguments: argparse.Namespace) -> Encoder | None:
    """The encoder that the options ask for; None where they ask for none: the index then takes the one it was made by."""
    name, revision, device, dtype = arguments.model, arguments.revision, arguments.device, arguments.dtype
    if name is None and revision is None and device is None and dtype is None:
        return None
    from unitower.encode.encoder import load
    from unitower.index import Index

    if name is None and Index.exists(arguments.into):
        made_by = Index.open(arguments.into).model
        name, revision = made_by.name, revision or made_by.revision
    return load(name or "nano", revision=revision, device=device, dtype=dtype)
