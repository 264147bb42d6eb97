"""What a person sees: results, summaries, progress.

On a terminal there is colour, wrapping and one moving bar; anywhere else plain lines of any length, so that nothing is cut and
no escape codes reach a file. Names of files never reach a terminal with characters that steer it; snippets have none.
"""

from __future__ import annotations

import codecs
import json
import re
import shlex
import sys
import time
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from itertools import zip_longest
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TextColumn
from rich.progress import Progress as Bar
from rich.table import Column
from rich.text import Text

from unitower.index import Progress, Status, Summary
from unitower.index.snippet import places
from unitower.stores.words import asked
from unitower.types import Hit, Source

if TYPE_CHECKING:
    from unitower.evaluation.runner import Progress as Evaluating
    from unitower.index.doctor import Report
    from unitower.index.tuning import Tuning

T = TypeVar("T")

SIGNALS = {"multi": "vectors", "dense": "vectors", "text": "words"}
"""What a person is told of the signals of a hit."""

BIDI_OVERRIDES = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""They reorder the rest of the line, so that `gpj.exe` reads `exe.jpg`."""

CALM_S = 10.0
"""Seconds between two lines of progress where there is no terminal."""

SKIPPED_TOLD = 10
COPIES_TOLD = 3

WORDS_TOLD = 12
"""Words of a query whose share is told one by one."""


class Plain(Console):
    """A console that leaves it to its caller when nobody reads on; that of rich ends the program with an exit code of its own."""

    def on_broken_pipe(self) -> None:
        """Called while the BrokenPipeError is handled."""
        raise


def console(*, stderr: bool = False) -> Console:
    """A console that prints what it is given: no markup, no guesses at colours, no emoji codes."""
    return Plain(stderr=stderr, highlight=False, markup=False, emoji=False)


def print_json(value: object) -> None:
    """One JSON value on stdout; characters as they are where stdout is UTF-8, escaped where it may not hold them."""
    is_utf8 = codecs.lookup(sys.stdout.encoding or "ascii").name == "utf-8"
    print(json.dumps(value, ensure_ascii=not is_utf8, indent=2))


def print_hits(hits: Sequence[Hit], *, query: str, task: str, folder: str, reasons: Sequence[Mapping[str, Any]] = ()) -> None:
    """Two lines for each hit: rank, place, score and signals; then the snippet with the query's words marked.

    reasons  explanation of each hit, told after it
    """
    out = console()
    words = asked(query).counts
    for hit, reason in zip_longest(hits, reasons):
        if (out.is_terminal or reason) and hit.rank > 1:
            out.print()
        print_hit(hit, words=words, out=out)
        if reason:
            print_reason(reason, out=out)
    if not hits:
        what = "source code" if task == "code" else "anything that could answer"
        print(f"Nothing found: {printable(folder)} does not hold {what}.")
        print(f"`unitower status{option('--in', folder)}` tells what it holds, `unitower index PATH{option('--into', folder)}` adds to it.")


def print_hit(hit: Hit, *, words: Collection[str], out: Console) -> None:
    """One hit; see `print_hits`."""
    signals = " and ".join(dict.fromkeys(SIGNALS[signal] for signal in hit.found_by))
    head = Text(f"{hit.rank:>2}. ")
    head.append(printable(hit.source.place), style="bold")
    head.append(f"  (score {hit.score:.4f}, by {signals})", style="dim")
    print_text(head, out=out, indent=4, first=0)
    if hit.snippet:
        print_text(marked(hit.snippet, words), out=out, indent=4)
    for told in (matches(hit), copies(hit)):
        if told:
            print_text(Text(told, style="dim"), out=out, indent=4)


def matches(hit: Hit) -> str:
    """What else of its file a hit stands for; "" where hits are not grouped."""
    told = []
    if hit.matches > 1:
        more = hit.matches - 1 - len(hit.others)
        told.append(f"{hit.matches} places match, also {listed(hit.others)}" + (f" and {more} more" if more else ""))
    if hit.neighbours:
        told.append(f"beside it {listed(hit.neighbours)}")
    return "; ".join(told)


def copies(hit: Hit) -> str:
    """Near duplicates that a hit stands for."""
    more = len(hit.copies) - COPIES_TOLD
    shown = ", ".join(printable(source.place) for source in hit.copies[:COPIES_TOLD])
    return f"nearly the same: {shown}" + (f" and {more} more" if more > 0 else "") if hit.copies else ""


def listed(sources: Sequence[Source]) -> str:
    """Places in one file, without its name.

    >>> listed([Source(path="a.pdf", page=3), Source(path="a.pdf", page=5)])
    'page 3, page 5'
    """
    return ", ".join(printable(source.place.removeprefix(f"{source.path}, ")) for source in sources)


def print_reason(reason: Mapping[str, Any], *, out: Console) -> None:
    """What made the score of a hit: a bar for each word of the query, with what answers it; where the picture lies."""
    names = [printable(word["word"]) for word in reason["words"][:WORDS_TOLD]]
    longest = min(24, max(map(cell_len, names), default=0))
    for name, word in zip(names, reason["words"], strict=False):
        bar = "█" * round(20 * max(0.0, word["strength"]))
        line = Text(f"{name}{' ' * (longest - cell_len(name))}  {word['strength']:5.2f} ")
        line.append(f"{bar:<20}", style="cyan")
        answer = f"row {word['cell'][0] + 1}, column {word['cell'][1] + 1}" if word["cell"] else ""
        if word["there"]:
            answer = f"“{printable(word['there'])}”" + (f", {answer}" if answer else "")
        line.append(f"  {answer}".rstrip(), style="dim")
        print_text(line, out=out, indent=4)
    if len(reason["words"]) > WORDS_TOLD:
        print_text(Text(f"and {counted(len(reason['words']) - WORDS_TOLD, 'more word')}"), out=out, indent=4)
    if reason["matched"]:
        print_text(Text(f"in the text: {printable(', '.join(reason['matched']))}"), out=out, indent=4)
    if reason["picture"]:
        print_text(Text(f"picture: {printable(reason['picture'])}"), out=out, indent=4)
    elif reason["missing"]:
        print_text(Text(f"no picture: {printable(reason['missing'])}"), out=out, indent=4)


def marked(snippet: str, words: Collection[str]) -> Text:
    """The snippet with the words in bold, in whatever case or form they stand there.

    >>> [str(span) for span in marked("Due: rent, Rents", {"rent"}).spans]
    ["Span(5, 9, 'bold yellow')"]
    """
    text = Text(snippet)
    for place in places(snippet, words):
        piece = snippet[place.start : place.end]
        literal = [match.span() for word in place.words for match in re.finditer(re.escape(word), piece, re.IGNORECASE)]
        if not literal:  # another form of the word: an accent, a ligature
            literal = [match.span() for match in re.finditer(r"\w(?:.*\w)?", piece)]
        for start, end in literal:
            text.stylize("bold yellow", place.start + start, place.start + end)
    return text


def print_text(text: Text, *, out: Console, indent: int, first: int | None = None) -> None:
    """Text wrapped between an indent and the edge of a terminal; on one line anywhere else."""
    lines = text.wrap(out, max(out.width - indent, 20)) if out.is_terminal else [text]
    for number, line in enumerate(lines):
        line.rstrip()
        margin = indent if number or first is None else first
        out.print(Text(" " * margin).append_text(line), soft_wrap=True)


def print_summary(summary: Summary, *, folder: str) -> None:
    """What a run of `unitower index` did, and the next command to type."""
    counts = [f"{counted(summary.files_read, 'file')} read ({counted(summary.items_added, 'page or passage', 'pages and passages')})"]
    counts.append(f"{summary.files_unchanged:,} unchanged")
    counts.append(f"{summary.files_removed:,} removed")
    counts.append(f"{len(summary.skipped):,} skipped")
    print(f"{', '.join(counts)}, in {clock(summary.seconds)}.")
    for path, reason in summary.skipped[:SKIPPED_TOLD]:
        print(f"  skipped {printable(path)}: {printable(reason)}")
    if len(summary.skipped) > SKIPPED_TOLD:
        print(f"  and {len(summary.skipped) - SKIPPED_TOLD:,} more: `unitower status{option('--in', folder)}` lists them all")
    print(f'Now: unitower search "what you look for"{option("--in", folder)}')


def print_status(status: Status, *, folder: str) -> None:
    """What an index holds."""
    names = {
        "image": ("page or picture", "pages and pictures"),
        "text": ("passage of text", "passages of text"),
        "code": ("piece of code", "pieces of code"),
    }
    kinds = [counted(number, *names[kind]) for kind, number in status.items.items()]
    lines = {
        "index": f"{printable(status.folder)}, {status.size_bytes / 1e6:,.1f} MB",
        "model": f"{printable(status.model.name)}, revision {status.model.revision}",
        "files": f"{status.files:,}",
        "items": f"{sum(status.items.values()):,}" + (f": {', '.join(kinds)}" if kinds else ""),
    }
    if status.last_run:
        took = "stopped before its end" if status.last_run_s is None else f"took {clock(status.last_run_s)}"
        lines["last run"] = f"{status.last_run.astimezone():%Y-%m-%d %H:%M}, {took}"
    if status.unfinished:
        lines["half read"] = f"{counted(len(status.unfinished), 'file')}, the next `unitower index` goes on there"
    lines["skipped"] = counted(len(status.skipped), "file")
    for name, value in lines.items():
        print(f"{name:<10} {value}")
    for path, reason in status.skipped:
        print(f"  {printable(path)}: {printable(reason)}")


def print_report(report: Report) -> None:
    """What `unitower doctor` found: a line for each check, what runs here, and what to do."""
    from unitower.index.doctor import advice

    out = console()
    signs = {True: ("✓", "green"), False: ("✗", "bold red"), None: ("–", "dim")}
    for check in report.checks:
        sign, style = signs[check.ok]
        line = Text(f"{sign} ", style=style)
        line.append(f"{printable(check.name):<16} ", style="bold" if check.ok is False else "")
        line.append(printable(check.told))
        print_text(line, out=out, indent=19, first=0)
    kernel = report.kernel
    lines = {
        "kernels": f"{kernel['name']}: 1,000 pages scanned in {kernel['scan_ms']} ms, 200 scored in {kernel['score_ms']} ms",
        "versions": ", ".join(f"{name} {number}" for name, number in report.versions.items()),
    }
    if report.sizes:
        parts = sorted(report.sizes.items(), key=lambda part: -part[1])
        lines["size"] = f"{sum(report.sizes.values()) / 1e6:,.1f} MB: " + ", ".join(
            f"{name} {size / 1e6:,.1f}" for name, size in parts if size >= 50_000
        )
    print()
    for name, value in lines.items():
        print_text(Text(f"  {name:<16} {value}"), out=out, indent=19, first=0)
    print()
    for todo in advice(report):
        print_text(Text(f"→ {printable(todo)}", style="bold"), out=out, indent=2, first=0)
    if report.ok:
        print("Nothing is wrong." if report.sizes else "No index was looked at.")


def print_tuning(tuning: Tuning) -> None:
    """The settings that none beats in recall, size and time at once, with the one of now and the one to take."""
    rows = [*tuning.frontier, *(one for one in (tuning.now, tuning.best) if one not in tuning.frontier)]
    rows.sort(key=lambda one: (one.recall, -one.bytes_per_page))
    print(f"{tuning.sampled:,} of {counted(tuning.pages, 'entry', 'entries')}, {counted(tuning.queries, 'query', 'queries')}.\n")
    print("  dims  bits  pooling  candidates  kB/entry       ms  recall@10")
    for one in rows:
        setting = one.setting
        mark = "  now" * (one == tuning.now) + "  recommended" * (one == tuning.best)
        print(
            f"{setting.dims:>6}{setting.bits:>6}{setting.pooling:>9}{setting.candidates:>12}{one.bytes_per_page / 1000:>10.1f}"
            f"{one.ms:>9.2f}{one.recall:>11.3f}{mark}"
        )
    best = tuning.best
    if best.recall < tuning.wanted:
        print(f"\nNo setting reaches a recall of {tuning.wanted:g}; the one marked comes closest.")
    less = 1 - best.bytes_per_page / tuning.now.bytes_per_page
    what = [counted(best.setting.bits, "bit"), f"{best.setting.dims or 'no'} dense columns", f"pooling {best.setting.pooling}"]
    size = f"{less:.0%} smaller than now" if less > 0.005 else "about as large as now"
    print(f"\nTake {', '.join(what)}, and {tuning.candidates:,} candidates for all of your entries:")
    print(f"{size}, recall {best.recall:.3f} (now {tuning.now.recall:.3f}).")
    if best.setting.pooling != tuning.now.setting.pooling:
        print(f"Pooling is chosen when an index is made: unitower index PATH --into DIR --pool {best.setting.pooling}")
    print("`unitower search` scans 1 bit of everything and 2 bits of the best 1,000: the line marked now is the nearest to it.")


class IndexProgress:
    """Progress of `unitower index` on stderr: a bar on a terminal, a line every ten seconds elsewhere. A context manager."""

    def __init__(self) -> None:
        self.out = console(stderr=True)
        self.bar = Bar(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[path]}", style="dim", table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")),
            console=self.out,
            transient=True,
            expand=True,
            disable=not self.out.is_terminal,
        )
        self.task = self.bar.add_task("loading the model", total=None, path="")
        self.began: float | None = None
        self.told = time.monotonic()

    def __enter__(self) -> IndexProgress:
        self.bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.bar.stop()

    def __call__(self, now: Progress) -> None:
        """Tell how far the run is."""
        if now.stage == "reading" and self.began is None and now.files_total:
            self.began = time.monotonic()
            self.out.print(
                f"{counted(now.items_total or 0, 'page or passage', 'pages and passages')} in {counted(now.files_total, 'file')}"
            )
        description = self.describe(now)
        self.bar.update(self.task, description=description, completed=now.items_done, total=now.items_total, path=printable(now.path))
        if not self.out.is_terminal and time.monotonic() - self.told >= CALM_S:
            self.told = time.monotonic()
            self.out.print(description, soft_wrap=True)

    def describe(self, now: Progress) -> str:
        """`312 of 1,204, 14.2 pages/s, 1:02 left`."""
        if now.stage == "looking":
            return f"looking: {counted(now.files_done, 'file')}"
        if now.stage == "finishing":
            return "finishing"
        total = max(now.items_total or 0, now.items_done)
        seconds = time.monotonic() - (self.began or time.monotonic())
        pages_per_s = now.items_done / seconds if seconds else 0.0
        pace = f", {pages_per_s:.1f} pages/s, {clock((total - now.items_done) / pages_per_s)} left" if pages_per_s else ""
        return f"{now.items_done:,} of {total:,}{pace}"


class EvaluationProgress:
    """Progress of `unitower eval` on stderr: one moving line on a terminal, a line every ten seconds elsewhere. A context manager."""

    def __init__(self) -> None:
        self.out = console(stderr=True)
        self.status = self.out.status("loading") if self.out.is_terminal else None
        self.told = self.began = time.monotonic()
        self.at: tuple[str, str] | None = None
        self.start = 0

    def __enter__(self) -> EvaluationProgress:
        if self.status:
            self.status.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.status:
            self.status.stop()

    def __call__(self, now: Evaluating) -> None:
        """Tell how far the run is."""
        if self.at != (now.model, now.task):
            self.at, self.began, self.start = (now.model, now.task), time.monotonic(), now.documents_done
        line = self.describe(now)
        if self.status:
            self.status.update(line)
        elif time.monotonic() - self.told >= CALM_S:
            self.told = time.monotonic()
            self.out.print(line, soft_wrap=True)

    def describe(self, now: Evaluating) -> str:
        """`nano on jina_vdr/tatqa (3 of 43): 120 of 270 pages, 4.2/s, 36 s left`."""
        line = f"{now.model} on {now.task} ({now.tasks_done + 1} of {now.tasks_total})"
        if not now.documents_total:
            return line
        pace = (now.documents_done - self.start) / max(time.monotonic() - self.began, 1e-3)
        left = f", {pace:.1f}/s, {clock((now.documents_total - now.documents_done) / pace)} left" if pace else ""
        return f"{line}: {now.documents_done:,} of {counted(now.documents_total, 'page')}{left}"


def watched(things: Iterable[T]) -> Iterator[T]:
    """The things as they come, with their number and pace on stderr while they do."""
    out = console(stderr=True)
    began = told = time.monotonic()
    with out.status("loading") if out.is_terminal and not sys.stdout.isatty() else nullcontext() as status:
        for number, thing in enumerate(things, start=1):
            yield thing
            now = time.monotonic()
            if now - told >= (0.2 if status else CALM_S):
                told = now
                line = f"{counted(number, 'item')}, {number / (now - began):.1f}/s"
                status.update(line) if status else print(line, file=sys.stderr)


def printable(name: str) -> str:
    """A name on one line, its spaces as they are; what steers a terminal or is not text is written as an escape.

    >>> printable("two  spaces and\\na line.txt")
    'two  spaces and\\\\na line.txt'
    """
    return "".join(c.encode("unicode_escape", "surrogatepass").decode("ascii") if steers(c) else c for c in name)


def steers(character: str) -> bool:
    """Whether a character moves the cursor, changes the direction of a line, or is half of one."""
    return unicodedata.category(character) in ("Cc", "Cs") or character in BIDI_OVERRIDES


def option(name: str, folder: str) -> str:
    """An option to type for an index that is not in the default folder.

    >>> option("--in", ".unitower"), option("--in", "papers/index")
    ('', ' --in papers/index')
    """
    return "" if folder == ".unitower" else f" {name} {shlex.quote(folder)}"


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun.

    >>> counted(1, "file"), counted(1204, "file"), counted(2, "match", "matches")
    ('1 file', '1,204 files', '2 matches')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def clock(seconds: float) -> str:
    """A duration as a person reads it.

    >>> clock(0.24), clock(9.96), clock(75), clock(3725)
    ('0.2 s', '10 s', '1:15 min', '1:02:05 h')
    """
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, s = divmod(round(seconds), 60)
    hours, m = divmod(minutes, 60)
    if hours:
        return f"{hours}:{m:02}:{s:02} h"
    return f"{m}:{s:02} min" if m else f"{s} s"
