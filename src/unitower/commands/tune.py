"""`unitower tune`: what other settings would cost and find, measured on a sample of the user's own index, and which to take."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from unitower.commands import index_option, positive

ORDER = 37
HELP = "measure on your own index what other settings would cost and find, and recommend one"
EXAMPLE = "unitower tune --queries questions.txt --plot tune.png"


def options(one: argparse.ArgumentParser) -> None:
    index_option(one)
    one.add_argument("--queries", metavar="FILE", help="what is asked of the index, a query a line (default: words of its own entries)")
    one.add_argument("--sample", type=positive, default=1000, metavar="N", help="entries that are tried with (default: %(default)s)")
    one.add_argument("--recall", type=float, default=0.95, metavar="R", help="share of the true ten that is wanted (default: %(default)s)")
    one.add_argument("--plot", default="tune.png", metavar="FILE", help="where to draw it; '' for nowhere (default: %(default)s)")
    one.add_argument("--json", action="store_true", help="one JSON object: pages, sampled, queries, wanted, now, best, measured")


def run(arguments: argparse.Namespace) -> int:
    from unitower import terminal
    from unitower.index import Index
    from unitower.index.tuning import plot, tune

    queries = asked(Path(arguments.queries)) if arguments.queries else ()
    tuning = tune(Index.open(arguments.folder, create=False), queries=queries, sample=arguments.sample, recall=arguments.recall)
    if arguments.json:
        terminal.print_json(tuning.as_dict())
    else:
        terminal.print_tuning(tuning)
    if arguments.plot:
        try:
            plot(tuning, Path(arguments.plot))
            print(f"drawn: {arguments.plot}", file=sys.stderr)
        except ImportError:
            print("not drawn: that takes matplotlib (pip install 'unitower[render]').", file=sys.stderr)
    return 0


def asked(path: Path) -> list[str]:
    """The queries of a file. ValueError where there are none, or where it is not UTF-8."""
    try:
        queries = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 ({error.reason} at byte {error.start + 1}): save it as UTF-8.") from error
    if not queries:
        raise ValueError(f"{path} holds no queries: write one a line.")
    return queries
