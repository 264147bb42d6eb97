"""`unitower status`: what an index holds and what it skipped."""

from __future__ import annotations

import argparse

from unitower.commands import index_option

ORDER = 30
HELP = "tell what an index holds and which files it skipped, and why"
EXAMPLE = "unitower status --json"


def options(one: argparse.ArgumentParser) -> None:
    index_option(one)
    one.add_argument("--json", action="store_true", help="one JSON object")


def run(arguments: argparse.Namespace) -> int:
    from unitower import terminal
    from unitower.index import Index

    found = Index.open(arguments.folder, create=False).status()
    if arguments.json:
        terminal.print_json(found.as_dict())
    else:
        terminal.print_status(found, folder=arguments.folder)
    return 0
