"""`unitower search`: the best places for a query."""

from __future__ import annotations

import argparse

from unitower.commands import index_option, positive

ORDER = 20
HELP = "find the best places for a query"
EXAMPLE = 'unitower search "who signed the lease" -k 3'


def options(one: argparse.ArgumentParser) -> None:
    one.add_argument("query", metavar="QUERY", help="what you look for, in words")
    index_option(one)
    one.add_argument("-k", type=positive, default=10, metavar="K", help="how many results (default: %(default)s)")
    one.add_argument(
        "--task", choices=("retrieval", "code"), default="retrieval", help="code: look in source code only (default: %(default)s)"
    )
    one.add_argument(
        "--mode",
        choices=("auto", "multi", "dense", "text", "exact"),
        default="auto",
        help="auto: vectors and words; multi, dense: one kind of vectors; text: words; exact: no shortcut (default: %(default)s)",
    )
    one.add_argument("--where", metavar="CONDITION", help="search only what meets it: \"lang = 'de' and path like 'reports/%%'\"")
    one.add_argument("--group", choices=("file",), help="file: one result for each file, with how much of it matches")
    one.add_argument("--json", action="store_true", help="one JSON array of objects: rank, score, id, path, page, ...")


def run(arguments: argparse.Namespace) -> int:
    from unitower import terminal
    from unitower.index import Index

    hits = Index.open(arguments.folder, create=False).search(
        arguments.query, k=arguments.k, task=arguments.task, mode=arguments.mode, where=arguments.where, group=arguments.group
    )
    if arguments.json:
        terminal.print_json([hit.as_dict() for hit in hits])
    else:
        terminal.print_hits(hits, query=arguments.query, task=arguments.task, folder=arguments.folder)
    return 0
