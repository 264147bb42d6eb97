"""`unitower doctor`: whether an index is sound, what runs here and how fast, and what to do."""

from __future__ import annotations

import argparse

from unitower.commands import index_option

ORDER = 35
HELP = "check an index, byte by byte and against its model, and tell what runs here and what to do"
EXAMPLE = "unitower doctor --json"


def options(one: argparse.ArgumentParser) -> None:
    index_option(one)
    one.add_argument(
        "--sample",
        type=int,
        default=8,
        metavar="N",
        help="items that are encoded again and compared with what is stored; 0: none, no model is loaded (default: %(default)s)",
    )
    one.add_argument("--json", action="store_true", help="one JSON object: ok, folder, checks, versions, kernel, sizes")


def run(arguments: argparse.Namespace) -> int:
    from unitower import terminal
    from unitower.index.doctor import examine

    if arguments.sample < 0:
        raise ValueError(f"--sample is {arguments.sample}: give 0 or more.")
    report = examine(arguments.folder, sample=arguments.sample)
    if arguments.json:
        terminal.print_json(report.as_dict())
    else:
        terminal.print_report(report)
    return 0 if report.ok else 1
