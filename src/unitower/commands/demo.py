"""`unitower demo`: index the samples that ship with unitower and answer a few queries."""

from __future__ import annotations

import argparse

ORDER = 70
HELP = "index the samples that come with unitower and answer a few queries"
EXAMPLE = "unitower demo --keep unitower-demo"


def options(one: argparse.ArgumentParser) -> None:
    one.add_argument("--keep", metavar="DIR", help="copy the samples and their index here and leave them (default: a temporary folder)")


def run(arguments: argparse.Namespace) -> int:
    from unitower import demo

    demo.run(keep=arguments.keep)
    return 0
