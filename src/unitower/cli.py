"""The command line: its frame. The commands stand in `commands/`, one file each; a command is: parse, one call, print.

Results go to stdout, progress to stderr. Exit code 0 when done, 1 with one line for a person's mistake, 2 for a command typed
wrong, 130 after Ctrl-C; a traceback is a bug of ours. Libraries are imported by the command that needs them: `--help` is instant.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence

from unitower import __version__
from unitower.commands import commands
from unitower.errors import UnitowerError


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


def parser() -> argparse.ArgumentParser:
    """All commands with their options and one example each."""
    top = argparse.ArgumentParser(
        prog="unitower",
        description="Find things in your own files: pages, text and code, by meaning and by words, offline.",
        epilog='Start with `unitower demo`; then `unitower index FOLDER` and `unitower search "WHAT YOU LOOK FOR"`.',
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"unitower {__version__}")
    subparsers = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, module in commands().items():
        one = subparsers.add_parser(
            name,
            help=module.HELP,
            description=module.HELP[0].upper() + module.HELP[1:] + ".",
            epilog=f"example:\n  {module.EXAMPLE}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        one.set_defaults(command=module.run, when_stopped=getattr(module, "WHEN_STOPPED", "stopped."), usage_error=one.error)
        module.options(one)
    return top
