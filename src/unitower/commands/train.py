"""`unitower train`: run a training recipe."""

from __future__ import annotations

import argparse

ORDER = 60
HELP = "train a model by a recipe; what comes out loads like any other"
EXAMPLE = "unitower train smoke --out runs/smoke --set phases.pairs.steps=20"
WHEN_STOPPED = "stopped; `--resume` goes on from the last saved step."


def options(one: argparse.ArgumentParser) -> None:
    one.add_argument("recipe", metavar="RECIPE", help="a shipped recipe's name, or a .py file with recipe()")
    one.add_argument("--out", required=True, metavar="DIR", help="new folder for the checkpoint, metrics.jsonl and curve.html")
    one.add_argument("--resume", action="store_true", help="go on with the stopped run in DIR")
    one.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a field of the recipe, e.g. phases.pairs.lr=1e-3; repeatable",
    )


def run(arguments: argparse.Namespace) -> int:
    from unitower.training.loop import on_stderr
    from unitower.training.loop import train as run_recipe
    from unitower.training.recipe import find

    recipe = find(arguments.recipe, settings=arguments.set)
    print(run_recipe(recipe, arguments.out, resume=arguments.resume, progress=on_stderr))
    return 0
