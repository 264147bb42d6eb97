"""`unitower bench`: make retrieval sets of one's own pages, and have people judge them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unitower.builder.build import Built

ORDER = 80
HELP = "make a benchmark of your own pages"
EXAMPLE = "unitower bench build harbour.toml"
WHEN_STOPPED = "stopped; what is judged is kept, a set that was not finished is not."


def options(one: argparse.ArgumentParser) -> None:
    subparsers = one.add_subparsers(title="what to do", metavar="WHAT", required=True)

    make = subparsers.add_parser(
        "build", help="make a set as a config says", description="Make a set as a config says.", allow_abbrev=False
    )
    make.add_argument("config", metavar="CONFIG", help="TOML file: sources, queries, filters; see docs/bench.md")
    make.set_defaults(bench=build)


def run(arguments: argparse.Namespace) -> int:
    return int(arguments.bench(arguments))


def build(arguments: argparse.Namespace) -> int:
    from unitower.builder.build import build
    from unitower.builder.config import read

    told(build(read(Path(arguments.config)), progress=on_stderr))
    return 0


def on_stderr(line: str) -> None:
    import sys

    print(line, file=sys.stderr)


def told(made: Built) -> None:
    """What a build came to, and the next commands to type."""
    from unitower.terminal import counted, printable

    counts = f"{counted(made.pages, 'document')}, {counted(made.queries, 'query', 'queries')}"
    print(f"{printable(str(made.place))}: {counts} ({', '.join(language or 'und' for language in made.languages)})")
    for reason, count in made.reasons.items():
        print(f"  dropped {reason}: {count:,}")
    if made.dropped:
        print(f"  each is named in {printable(str(made.place / 'dropped.jsonl'))}")
    print(f"Now: unitower bench annotate {printable(str(made.place))}, or unitower eval {printable(str(made.card))}")
