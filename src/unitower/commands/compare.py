"""`unitower compare`: figures of a run, or whether one run is better than another or chance would do the same."""

from __future__ import annotations

import argparse
from pathlib import Path

from unitower.commands import positive

ORDER = 71
HELP = "compare two runs query by query, or tell the figures of one"
EXAMPLE = "unitower compare results/runs/bm25.words results/runs/nano.multi"


def options(one: argparse.ArgumentParser) -> None:
    one.add_argument("first", metavar="A", help="a run file of TREC, or a folder of them, as `unitower eval` writes both")
    one.add_argument("second", nargs="?", metavar="B", help="another: is it better than A? Without it: the figures of A")
    one.add_argument("--qrels", metavar="PATH", help="judgements, a file or a folder (default: qrels/every-page beside the folder runs/)")
    one.add_argument("--measure", metavar="NAME", default="ndcg@5", help="figure to compare by (default: %(default)s)")
    one.add_argument("--queries", action="store_true", help="every query that differs: its figures in A and B, the largest loss first")
    one.add_argument("--samples", type=positive, metavar="N", default=10_000, help="tosses and draws (default: %(default)s)")
    one.add_argument("--seed", type=int, metavar="N", default=0, help="of chance (default: %(default)s)")
    one.add_argument("--json", action="store_true", help="one JSON object")


def run(arguments: argparse.Namespace) -> int:
    from unitower import terminal
    from unitower.evaluation import compare

    runs = [Path(path) for path in (arguments.first, arguments.second) if path]
    judged = [Path(arguments.qrels) if arguments.qrels else compare.judgements_of(path) for path in runs]
    if len(runs) == 1:
        figures = compare.figures_of(runs[0], judged[0])
        terminal.print_json(figures) if arguments.json else print(compare.columns(figures))
        return 0
    first, second = (compare.per_task(path, qrels, measure=arguments.measure) for path, qrels in zip(runs, judged, strict=True))
    found = compare.compare(first, second, measure=arguments.measure, samples=arguments.samples, seed=arguments.seed)
    if arguments.json:
        terminal.print_json(found.as_dict() | ({"queries": compare.differing(first, second)} if arguments.queries else {}))
        return 0
    print(found)
    for one in compare.differing(first, second) if arguments.queries else []:
        print(f"{one['second'] - one['first']:+.4f}  {one['first']:.4f} -> {one['second']:.4f}  {one['task']}  {one['query']}")
    return 0
