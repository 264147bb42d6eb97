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
    one.add_argument("--stage", metavar="NAME", help="of a recipe in stages (nano): this one alone")
    one.add_argument("--resume", action="store_true", help="go on with the stopped run in DIR")
    one.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a field of the recipe, e.g. phases.pairs.lr=1e-3; repeatable",
    )


def run(arguments: argparse.Namespace) -> int:
    from unitower.errors import UnitowerError
    from unitower.training import lesson
    from unitower.training.course import Course, run_course
    from unitower.training.loop import on_stderr, train
    from unitower.training.recipe import Recipe, load

    recipe = load(arguments.recipe, settings=arguments.set)
    if isinstance(recipe, Course):
        print(run_course(recipe, arguments.out, only=arguments.stage, resume=arguments.resume, progress=lesson.on_stderr))
        return 0
    if not isinstance(recipe, Recipe):
        raise UnitowerError(f"recipe() of {arguments.recipe} gives a {type(recipe).__name__}, not a Recipe or a Course.")
    if arguments.stage:
        raise UnitowerError(f"{arguments.recipe} has no stages: leave out --stage.")
    print(train(recipe, arguments.out, resume=arguments.resume, progress=on_stderr))
    return 0
