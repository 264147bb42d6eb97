"""`unitower embed`: vectors of stdin lines or of files."""

from __future__ import annotations

import argparse
import sys

from unitower.commands import model_options, positive

ORDER = 50
HELP = "write the vectors of stdin lines or of files, as JSON lines or .npz"
EXAMPLE = "echo 'a first line' | unitower embed --role passage"


def options(one: argparse.ArgumentParser) -> None:
    one.add_argument(
        "files", nargs="*", metavar="FILE", help="images, PDFs (each page), text and code (each passage); without: stdin, a text per line"
    )
    one.add_argument("--task", default="retrieval", help="adapter: retrieval, text-matching or code (default: %(default)s)")
    one.add_argument("--role", choices=("query", "passage"), help="what the texts are; needed for text, without meaning for pages")
    one.add_argument("--dim", type=positive, metavar="N", help="cut the dense vectors to N columns (one of the model's Matryoshka sizes)")
    one.add_argument("--multi", action="store_true", help="also the token vectors; a .npz always has them")
    one.add_argument("--format", choices=("jsonl", "npz"), default="jsonl", help="npz: dense, tokens, offsets, ids (default: %(default)s)")
    one.add_argument("--out", metavar="FILE", help="where to write (default: stdout; needed for npz)")
    model_options(one)


def run(arguments: argparse.Namespace) -> int:
    if arguments.format == "npz" and not arguments.out:
        arguments.usage_error("--format npz needs --out FILE")
    if not arguments.files and not arguments.role:
        arguments.usage_error("texts need --role query (what is searched with) or --role passage (what is searched in)")
    from unitower import terminal, vectors
    from unitower.encode.encoder import load

    unread: list[str] = []

    def skip(path: str, reason: str) -> None:
        unread.append(path)
        print(f"unitower: skipped {terminal.printable(path)}: {reason}", file=sys.stderr)

    files, role = arguments.files, arguments.role
    items = vectors.items_of(files, role=role, skip=skip) if files else vectors.lines_of(sys.stdin.buffer)
    encoder = load(arguments.model or "nano", revision=arguments.revision, device=arguments.device, dtype=arguments.dtype)
    fingerprint = encoder.fingerprint(task=arguments.task, truncate_dim=arguments.dim)
    embedded = terminal.watched(vectors.embedded(items, encoder, task=arguments.task, role=role, dim=arguments.dim))
    if arguments.format == "npz":
        with vectors.replaced(arguments.out) as part, open(part, "wb") as arrays:
            vectors.write_npz(embedded, arrays, fingerprint=fingerprint)
    elif arguments.out:
        with vectors.replaced(arguments.out) as part, open(part, "w", encoding="utf-8", newline="\n") as lines:
            vectors.write_jsonl(embedded, lines, multi=arguments.multi)
    else:
        vectors.write_jsonl(embedded, sys.stdout, multi=arguments.multi)
    return 1 if unread else 0
