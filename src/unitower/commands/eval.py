"""`unitower eval`: how good models are on data sets."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

from unitower.commands import model_options, positive

ORDER = 70
HELP = "measure models on data sets"
EXAMPLE = "unitower eval shipped --model nano --model bm25 --out results"
WHEN_STOPPED = "stopped; what is measured is written, and the same command goes on from there."


def options(one: argparse.ArgumentParser) -> None:
    one.add_argument(
        "cards", nargs="*", metavar="CARD", help="a name (--list tells all), a group, or a .toml file; CARD:SUBSET for one sub-set"
    )
    one.add_argument(
        "--mode", choices=("dense", "multi", "both"), default="both", help="which vectors; both in one pass (default: %(default)s)"
    )
    one.add_argument(
        "--rule", choices=("every page", "one page", "both"), default="every page", help="which pages count (default: %(default)s)"
    )
    one.add_argument("--limit", type=positive, metavar="N", help="only the first N queries and about as many pages: figures are too high")
    one.add_argument("--out", metavar="DIR", default="results", help="where results, runs and judgements go (default: %(default)s)")
    one.add_argument(
        "--keep-vectors", metavar="DIR", help="keep the vectors of pages there and use them again, also where sub-sets share pages"
    )
    one.add_argument("--table", metavar="FILE", help="write all results in --out, beside published ones, as Markdown")
    one.add_argument("--list", action="store_true", help="tell which cards and baselines there are")
    one.add_argument("--json", action="store_true", help="one JSON array of results")
    model_options(one, several=True)


def run(arguments: argparse.Namespace) -> int:
    if not (arguments.cards or arguments.table or arguments.list):
        arguments.usage_error("name a card, or --list them")
    from unitower import terminal
    from unitower.encode.encoder import load
    from unitower.evaluation import cards, report, results, runner
    from unitower.evaluation.kept import Kept
    from unitower.types import Encodes

    if arguments.list:
        print(report.listed())
        return 0

    def encoder(name: str) -> Encodes:
        loaded = load(name, revision=arguments.revision, device=arguments.device, dtype=arguments.dtype)
        return Kept(loaded, Path(arguments.keep_vectors)) if arguments.keep_vectors else loaded

    out = Path(arguments.out)
    chosen = [one for name in arguments.cards for one in cards.find(name)]
    named = dict.fromkeys(arguments.models or ["nano"])
    with terminal.EvaluationProgress() as progress:
        found = runner.run(
            chosen,
            [partial(runner.model, name, load=partial(encoder, name)) for name in named],
            out=out,
            modes=None if arguments.mode == "both" else (arguments.mode,),
            rule=("every page", "one page") if arguments.rule == "both" else (arguments.rule,),
            limit=arguments.limit,
            progress=progress,
            left_out=lambda reason: print(f"unitower: left out: {reason}", file=sys.stderr),
        )
    for result in found:
        for note in result.notes:
            print(f"unitower: {result.task}: {note}", file=sys.stderr)
    if arguments.json:
        terminal.print_json([result.as_dict() for result in found])
    elif found:
        print(report.plain(found))
    if arguments.table:
        report.write(Path(arguments.table), results.read(out))
        print(f"{arguments.table} is written.", file=sys.stderr)
    return 0
