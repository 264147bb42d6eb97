"""`unitower bench`: make retrieval sets of one's own pages, and have people judge them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from unitower.commands import positive

if TYPE_CHECKING:
    from unitower.builder.build import Built

ORDER = 80
HELP = "make a benchmark of your own pages"
EXAMPLE = "unitower bench build harbour.build.toml"
LAST_PORT = 65535
WHEN_STOPPED = "stopped; what is judged is kept, a set that was not finished is not."


def options(one: argparse.ArgumentParser) -> None:
    subparsers = one.add_subparsers(title="what to do", metavar="WHAT", required=True)

    make = subparsers.add_parser(
        "build", help="make a set as a config says", description="Make a set as a config says.", allow_abbrev=False
    )
    make.add_argument("config", metavar="CONFIG", help="TOML file: sources, queries, filters; see docs/bench.md")
    make.set_defaults(bench=build)

    own = subparsers.add_parser("from-index", help="make a set of what an index holds, as a test of search", allow_abbrev=False)
    own.add_argument("index", metavar="DIR", help="the index, or the folder that holds it as .unitower")
    own.add_argument("--out", required=True, metavar="DIR", help="new folder for the set; its card lies beside it")
    own.add_argument("--per-page", type=positive, default=1, metavar="N", help="queries per page or passage (default: %(default)s)")
    own.add_argument("--language", action="append", default=[], metavar="CODE", help="of the queries; repeatable (default: the page's)")
    own.add_argument("--chat", metavar="URL", help="let a chat endpoint write and judge the queries, e.g. http://localhost:8000/v1")
    own.add_argument("--chat-model", metavar="NAME", help="the model as the endpoint calls it")
    own.add_argument("--key-env", default="OPENAI_API_KEY", metavar="NAME", help="variable that holds its key (default: %(default)s)")
    own.set_defaults(bench=from_index, usage_error=own.error)

    judge = subparsers.add_parser("annotate", help="judge the queries of a set, and write more, in the browser", allow_abbrev=False)
    judge.add_argument("set", metavar="DIR", help="folder of a set")
    judge.add_argument("--port", type=port, default=8765, metavar="N", help="of the page on this machine (default: %(default)s; 0: any)")
    judge.add_argument("--export", metavar="DIR", help="no page: write a new set of what was accepted and written, beside the judged one")
    judge.add_argument("--unjudged", action="store_true", help="with --export: also queries that nobody has judged")
    judge.set_defaults(bench=annotate)


def port(text: str) -> int:
    """An argument that is a port; 0 stands for any free one."""
    if not text.isdecimal() or int(text) > LAST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: a whole number from 0 to {LAST_PORT}")
    return int(text)


def run(arguments: argparse.Namespace) -> int:
    return int(arguments.bench(arguments))


def build(arguments: argparse.Namespace) -> int:
    from unitower.builder.build import build
    from unitower.builder.config import read

    told(build(read(Path(arguments.config)), progress=on_stderr))
    return 0


def from_index(arguments: argparse.Namespace) -> int:
    from unitower.builder.build import build
    from unitower.builder.from_index import config_of

    if bool(arguments.chat) != bool(arguments.chat_model):
        arguments.usage_error("--chat and --chat-model go together")
    endpoint = {"url": arguments.chat, "model": arguments.chat_model, "key_env": arguments.key_env} if arguments.chat else None
    config = config_of(
        Path(arguments.index), Path(arguments.out), per_page=arguments.per_page, languages=arguments.language, endpoint=endpoint
    )
    told(build(config, progress=on_stderr))
    return 0


def annotate(arguments: argparse.Namespace) -> int:
    from unitower.builder.annotation.export import export
    from unitower.builder.annotation.server import server

    if arguments.export:
        told(export(Path(arguments.set), Path(arguments.export), unjudged=arguments.unjudged))
        return 0
    with server(Path(arguments.set), port=arguments.port) as running:
        print(f"http://127.0.0.1:{running.server_address[1]}/", flush=True)
        on_stderr("Open that address in a browser. Everything is kept as it is done; Ctrl-C ends the page.")
        running.serve_forever()
    return 0


def on_stderr(line: str) -> None:
    import sys

    print(line, file=sys.stderr)


def told(made: Built) -> None:
    """What a build came to, and the next commands to type."""
    from unitower.terminal import counted, printable

    counts = f"{counted(made.pages, 'document')}, {counted(made.queries, 'query', 'queries')}"
    print(f"{printable(str(made.place))}: {counts} ({', '.join(language or 'und' for language in made.languages)})")
    for reason, count in made.reasons.items():
        print(f"  dropped {reason}: {count:,}")
    if made.dropped:
        print(f"  each is named in {printable(str(made.place / 'dropped.jsonl'))}")
    if made.spent is not None:
        print(f"  asked of endpoints: {made.spent}")
    print(f"Now: unitower bench annotate {printable(str(made.place))}, or unitower eval {printable(str(made.card))}")
