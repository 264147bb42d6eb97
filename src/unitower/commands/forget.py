"""`unitower forget`: take files out of an index; the files themselves stay."""

from __future__ import annotations

import argparse

from unitower.commands import index_option

ORDER = 40
HELP = "take files or folders out of an index; the files themselves stay"
EXAMPLE = "unitower forget docs/old.pdf"


def options(one: argparse.ArgumentParser) -> None:
    one.add_argument("paths", nargs="+", metavar="PATH", help="files and folders, as they were given to `unitower index`")
    index_option(one)


def run(arguments: argparse.Namespace) -> int:
    from unitower import terminal
    from unitower.index import Index

    gone = Index.open(arguments.folder, create=False).forget(arguments.paths)
    if not gone:
        raise ValueError(f"nothing of {', '.join(arguments.paths)} is in the index.")
    print(f"{terminal.counted(gone, 'file')} forgotten.")
    return 0
