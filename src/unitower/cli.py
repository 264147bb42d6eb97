"""The command line. A command is: parse, one call, print.

Results go to stdout, progress to stderr. Exit code 0 when done, 1 with one line for a person's mistake, 2 for a command typed
wrong, 130 after Ctrl-C; a traceback is a bug of ours. Libraries are imported by the command that needs them: `--help` is instant.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from unitower import __version__
from unitower.errors import UnitowerError

if TYPE_CHECKING:
    from unitower.encode.encoder import Encoder

FOLDER = ".unitower"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    # Threads that wait for work should sleep, not spin: on a busy machine spinning made the demo five times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what the terminal cannot show is written as \xNN, never a crash
            stream.reconfigure(errors="backslashreplace")
    code = run(sys.argv[1:] if argv is None else argv)
    try:
        print(end="", flush=True)
    except OSError as error:  # nobody reads on, or the disk is full: what is still buffered has nowhere to go
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if code == 0:
            code = failed(error)
    return code


def run(typed: Sequence[str]) -> int:
    """Parse and run one command; the exit code. What goes wrong is told in one line, unless it is a bug."""
    if not typed:
        parser().print_help(sys.stderr)
        return 2
    try:
        arguments = parser().parse_args(typed)
    except SystemExit as end:  # argparse has printed its help, or what is wrong
        return int(end.code or 0)
    try:
        return int(arguments.command(arguments))
    except KeyboardInterrupt:
        print(f"unitower: {arguments.when_stopped}", file=sys.stderr)
        return 130
    except SystemExit as end:  # a command that found its own arguments contradictory
        return int(end.code or 0)
    except (UnitowerError, ValueError, OSError) as error:
        return failed(error)


def failed(error: Exception) -> int:
    """Tell in one line what went wrong; the exit code."""
    if isinstance(error, BrokenPipeError):  # `unitower search ... | head -1`: that is no failure of ours
        return 141
    line = str(error)
    if isinstance(error, OSError) and error.strerror:
        line = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    print(f"unitower: {' '.join(line.split())}", file=sys.stderr)
    return 1


def index(arguments: argparse.Namespace) -> int:
    """Read and encode what is new or changed beneath the paths."""
    from unitower import terminal
    from unitower.index import Index
    from unitower.index.folder import listed

    if not Index.exists(arguments.into):
        for path in listed(arguments.paths):
            os.lstat(path)  # a mistyped path leaves no empty index behind
    with terminal.IndexProgress() as progress:
        summary = Index.open(arguments.into, encoder=chosen(arguments)).add(arguments.paths, progress=progress)
    terminal.print_summary(summary, folder=arguments.into)
    return 0


def search(arguments: argparse.Namespace) -> int:
    """The best places for a query."""
    from unitower import terminal
    from unitower.index import Index

    hits = Index.open(arguments.folder, create=False).search(arguments.query, k=arguments.k, task=arguments.task)
    if arguments.json:
        terminal.print_json([hit.as_dict() for hit in hits])
    else:
        terminal.print_hits(hits, query=arguments.query, task=arguments.task, folder=arguments.folder)
    return 0


def status(arguments: argparse.Namespace) -> int:
    """What an index holds and what it skipped."""
    from unitower import terminal
    from unitower.index import Index

    found = Index.open(arguments.folder, create=False).status()
    if arguments.json:
        terminal.print_json(found.as_dict())
    else:
        terminal.print_status(found, folder=arguments.folder)
    return 0


def forget(arguments: argparse.Namespace) -> int:
    """Take files out of an index; the files themselves stay."""
    from unitower import terminal
    from unitower.index import Index

    gone = Index.open(arguments.folder, create=False).forget(arguments.paths)
    if not gone:
        raise ValueError(f"nothing of {', '.join(arguments.paths)} is in the index.")
    print(f"{terminal.counted(gone, 'file')} forgotten.")
    return 0


def embed(arguments: argparse.Namespace) -> int:
    """Vectors of stdin lines or of files."""
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


def train(arguments: argparse.Namespace) -> int:
    """Run a training recipe."""
    from unitower.training.loop import on_stderr
    from unitower.training.loop import train as run_recipe
    from unitower.training.recipe import find

    recipe = find(arguments.recipe, settings=arguments.set)
    print(run_recipe(recipe, arguments.out, resume=arguments.resume, progress=on_stderr))
    return 0


def demo(arguments: argparse.Namespace) -> int:
    """Index the samples that ship with unitower and answer a few queries."""
    from unitower import demo

    demo.run(keep=arguments.keep)
    return 0


def chosen(arguments: argparse.Namespace) -> Encoder | None:
    """The encoder that the options ask for; None where they ask for none: the index then takes the one it was made by."""
    name, revision, device, dtype = arguments.model, arguments.revision, arguments.device, arguments.dtype
    if name is None and revision is None and device is None and dtype is None:
        return None
    from unitower.encode.encoder import load
    from unitower.index import Index

    if name is None and Index.exists(arguments.into):
        made_by = Index.open(arguments.into).model
        name, revision = made_by.name, revision or made_by.revision
    return load(name or "nano", revision=revision, device=device, dtype=dtype)


def parser() -> argparse.ArgumentParser:
    """All commands with their options and one example each."""
    top = argparse.ArgumentParser(
        prog="unitower",
        description="Find things in your own files: pages, text and code, by meaning and by words, offline.",
        epilog='Start with `unitower demo`; then `unitower index FOLDER` and `unitower search "WHAT YOU LOOK FOR"`.',
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"unitower {__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(
        call: Callable[[argparse.Namespace], int], *, help: str, example: str, when_stopped: str = "stopped."
    ) -> argparse.ArgumentParser:
        one = commands.add_parser(
            call.__name__,
            help=help,
            description=help[0].upper() + help[1:] + ".",
            epilog=f"example:\n  {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        one.set_defaults(command=call, when_stopped=when_stopped, usage_error=one.error)
        return one

    one = command(
        index,
        help="read files and folders into an index; only what is new or changed is encoded",
        example="unitower index docs notes.md",
        when_stopped="stopped; what is indexed so far is kept, and a new run goes on from there.",
    )
    one.add_argument("paths", nargs="+", metavar="PATH", help="files and folders; .gitignore and hidden files are respected")
    one.add_argument("--into", default=FOLDER, metavar="DIR", help="folder that holds the index (default: %(default)s)")
    model_options(one)

    one = command(search, help="find the best places for a query", example='unitower search "who signed the lease" -k 3')
    one.add_argument("query", metavar="QUERY", help="what you look for, in words")
    index_option(one)
    one.add_argument("-k", type=positive, default=10, metavar="K", help="how many results (default: %(default)s)")
    one.add_argument(
        "--task", choices=("retrieval", "code"), default="retrieval", help="code: look in source code only (default: %(default)s)"
    )
    one.add_argument("--json", action="store_true", help="one JSON array of objects: rank, score, id, path, page, lines, modality, snippet")

    one = command(status, help="tell what an index holds and which files it skipped, and why", example="unitower status --json")
    index_option(one)
    one.add_argument("--json", action="store_true", help="one JSON object")

    one = command(forget, help="take files or folders out of an index; the files themselves stay", example="unitower forget docs/old.pdf")
    one.add_argument("paths", nargs="+", metavar="PATH", help="files and folders, as they were given to `unitower index`")
    index_option(one)

    one = command(
        embed,
        help="write the vectors of stdin lines or of files, as JSON lines or .npz",
        example="echo 'a first line' | unitower embed --role passage",
    )
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

    one = command(
        train,
        help="train a model by a recipe; what comes out loads like any other",
        example="unitower train smoke --out runs/smoke --set phases.pairs.steps=20",
        when_stopped="stopped; `--resume` goes on from the last saved step.",
    )
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

    one = command(
        demo, help="index the samples that come with unitower and answer a few queries", example="unitower demo --keep unitower-demo"
    )
    one.add_argument("--keep", metavar="DIR", help="copy the samples and their index here and leave them (default: a temporary folder)")
    return top


def index_option(one: argparse.ArgumentParser) -> None:
    one.add_argument("--in", dest="folder", default=FOLDER, metavar="DIR", help="folder that holds the index (default: %(default)s)")


def model_options(one: argparse.ArgumentParser) -> None:
    one.add_argument("--model", metavar="NAME", help="a shipped name, a folder or a Hub id (default: nano, or the model of the index)")
    one.add_argument("--revision", metavar="REV", help="branch, tag or commit of a Hub model")
    one.add_argument("--device", metavar="D", help="cpu, cuda, cuda:1, mps (default: the best there is)")
    one.add_argument("--dtype", choices=("float32", "bfloat16"), help="arithmetic (default: what suits the device)")


def positive(text: str) -> int:
    """An argument that counts something."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return int(text)
