"""`unitower compare`: whether one run is better than another, or chance would do the same."""

from __future__ import annotations

import argparse
from pathlib import Path

from unitower.commands import positive

ORDER = 71
HELP = "compare two runs of `unitower eval` query by query"
EXAMPLE = "unitower compare results/runs/bm25.words results/runs/nano.multi"


def options(one: argparse.ArgumentParser) -> None:
    one.add_argument("first", metavar="A", help="a run file of TREC, or a folder of them")
    one.add_argument("second", metavar="B", help="the other: is it better than A?")
    one.add_argument("--qrels", metavar="PATH", help="judgements, a file or a folder (default: qrels/every-page beside the folder runs/)")
    one.add_argument("--measure", metavar="NAME", default="ndcg@5", help="figure to compare by (default: %(default)s)")
    one.add_argument("--samples", type=positive, metavar="N", default=10_000, help="tosses and draws (default: %(default)s)")
    one.add_argument("--seed", type=int, metavar="N", default=0, help="of chance (default: %(default)s)")
    one.add_argument("--json", action="store_true", help="one JSON object")


def run(arguments: argparse.Namespace) -> int:
    from unitower import terminal
    from unitower.evaluation import compare

    first, second = Path(arguments.first), Path(arguments.second)
    judged = [Path(arguments.qrels)] * 2 if arguments.qrels else [compare.judgements_of(first), compare.judgements_of(second)]
    found = compare.compare(
        compare.per_task(first, judged[0], measure=arguments.measure),
        compare.per_task(second, judged[1], measure=arguments.measure),
        measure=arguments.measure,
        samples=arguments.samples,
        seed=arguments.seed,
    )
    if arguments.json:
        terminal.print_json(found.as_dict())
    else:
        print(found)
    return 0
