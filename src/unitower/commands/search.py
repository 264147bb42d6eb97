"""`unitower search`: the best places for a query."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unitower.commands import index_option, positive

if TYPE_CHECKING:
    from unitower.types import Hit

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
    one.add_argument(
        "--explain",
        nargs="?",
        const="explained",
        metavar="DIR",
        help="tell which words made each score, and write a picture of every page found to DIR, warm where it answers (default: %(const)s)",
    )
    one.add_argument(
        "--json",
        action="store_true",
        help="one JSON array of objects: rank, score, id, path, page, ...; with --explain also explanation",
    )


def run(arguments: argparse.Namespace) -> int:
    from unitower import terminal
    from unitower.index import Index

    hits = Index.open(arguments.folder, create=False).search(
        arguments.query, k=arguments.k, task=arguments.task, mode=arguments.mode, where=arguments.where, group=arguments.group
    )
    reasons = explained(hits, folder=arguments.explain) if arguments.explain else []
    if arguments.json:
        told = [{"explanation": reason} for reason in reasons] or [{}] * len(hits)
        terminal.print_json([hit.as_dict() | more for hit, more in zip(hits, told, strict=True)])
    else:
        terminal.print_hits(hits, query=arguments.query, task=arguments.task, folder=arguments.folder, reasons=reasons)
    return 0


def explained(hits: Sequence[Hit], *, folder: str) -> list[dict[str, Any]]:
    """The explanation of each hit, with the path of its picture where there is one, written to a folder."""
    told = []
    for hit in hits:
        why = hit.explain()
        reason = why.as_dict() | {"picture": None}
        if hit.modality == "image" and not reason["missing"]:
            name = re.sub(r"[^\w.-]+", "-", hit.source.place.rpartition("/")[2])
            reason["picture"] = str(Path(folder, f"{hit.rank:02}-{name}.png"))
            why.save(reason["picture"])
        told.append(reason)
    return told
