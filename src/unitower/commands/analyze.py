"""`unitower analyze`: what the vectors of models look like inside."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

from unitower.commands import model_options, positive

ORDER = 80
HELP = "look inside the vectors of models: modality gap, cone, what smaller ones cost"
EXAMPLE = "unitower analyze rendered --model nano --pairs 100 --out analysis"


def options(one: argparse.ArgumentParser) -> None:
    one.add_argument("data", metavar="DATA", help="a card or group as of `unitower eval`, a .jsonl of pairs, or a source such as rendered")
    one.add_argument("--pairs", type=positive, default=1000, metavar="N", help="pairs drawn at most (default: %(default)s)")
    one.add_argument("--task", action="append", default=[], metavar="NAME", help="adapter to look at; repeatable (default: all)")
    one.add_argument("--seed", type=int, default=0, metavar="N", help="of what is drawn by chance (default: %(default)s)")
    one.add_argument("--out", default="analysis", metavar="DIR", help="gets report.html and report.json (default: %(default)s)")
    one.add_argument("--json", action="store_true", help="print report.json instead of the main figures")
    model_options(one, several=True)


def run(arguments: argparse.Namespace) -> int:
    from unitower import terminal
    from unitower.analysis import material, page
    from unitower.analysis.study import study
    from unitower.encode.encoder import load

    drawn = material.drawn(arguments.data, pairs=arguments.pairs, seed=arguments.seed, watched=terminal.watched)
    options = {"revision": arguments.revision, "device": arguments.device, "dtype": arguments.dtype}
    models = [partial(load, name, **options) for name in dict.fromkeys(arguments.models or ["nano"])]
    with terminal.EvaluationProgress() as progress:
        told = study(drawn, models, tasks=arguments.task, seed=arguments.seed, tell=progress)
    numbers, report = page.write(told, Path(arguments.out))
    if arguments.json:
        terminal.print_json(told)
    else:
        print(page.plain(told))
    print(f"{report} and {numbers.name} are written.", file=sys.stderr)
    return 0
