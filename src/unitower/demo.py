"""`unitower demo`: index the sample files with the shipped model, ask the sample queries, and judge every answer.

The queries and their right answers stand in samples/queries.toml. Two of them can only be answered by looking at a picture,
which the shipped model does too badly to put it first: the demo asks them all the same, and says so.
"""

from __future__ import annotations

import shutil
import tempfile
import time
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.text import Text

from unitower.index import Index
from unitower.stores.words import asked
from unitower.terminal import IndexProgress, clock, console, counted, option, print_hit, print_text
from unitower.types import Hit, Source

SAMPLES = Path(__file__).parent / "samples"

SHOWN = 3
"""Results printed for a query; an answer further down counts as missed."""

ABOUT_NANO = (
    "The shipped model, nano, is small: 10 million parameters. Words carry this search where there are any; nano's vectors help with text, "
    "code, and pictures of pages, which it reads in part. With vectors alone: nDCG@10 .89 on English pages (chance .09, their words "
    ".996), Spearman .67 on sentence similarity, MRR@10 .83 from docstring to code."
)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A query whose answer is known.

    answers     any of these places is right; a page of None stands for the whole file
    why         one sentence that says why it is
    needs_eyes  the answer is a picture without a text layer
    """

    text: str
    answers: tuple[Source, ...]
    why: str
    task: str = "retrieval"
    needs_eyes: bool = False

    def rank(self, hits: Sequence[Hit]) -> int | None:
        """Rank of the first right hit; None if there is none."""
        return next((hit.rank for hit in hits if any(answers(place, hit.source) for place in self.answers)), None)


def answers(place: Source, found: Source) -> bool:
    """Whether what was found lies at the place of a right answer."""
    return found.path == place.path and place.page in (None, found.page)


def samples() -> list[Sample]:
    """The sample queries, in the order they are asked."""
    with (SAMPLES / "queries.toml").open("rb") as file:
        return [sample(query) for query in tomllib.load(file)["query"]]


def sample(query: Mapping[str, object]) -> Sample:
    """One query of queries.toml; its other fields are for tests."""
    known = {name: query[name] for name in ("text", "why", "task", "needs_eyes") if name in query}
    return Sample(**known, answers=tuple(Source(**place) for place in query["answers"]))  # type: ignore[arg-type, attr-defined]


def run(*, keep: str | None = None) -> None:
    """Index, ask, judge, print.

    keep  folder to copy the samples and their index to; None: a temporary one, removed at the end

    ValueError if that folder holds other things.
    """
    began = time.monotonic()
    out = console()
    with ExitStack() as stack:
        folder = Path(keep) if keep else Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="unitower-demo-")))
        index_folder = folder / ".unitower"
        if folder.exists() and any(folder.iterdir()) and not Index.exists(index_folder):
            raise ValueError(f"{folder} holds other things: name an empty or a new folder.")
        compiled = shutil.ignore_patterns("__pycache__")  # pip compiles the samples in Python, too
        shutil.copytree(SAMPLES / "files", folder / "files", ignore=compiled, dirs_exist_ok=True)
        print_heading(
            out, "The sample files", f"{counted(sum(p.is_file() for p in folder.glob('files/**/*')), 'file')} into {index_folder}"
        )
        with IndexProgress() as progress:
            index = stack.enter_context(Index.open(index_folder))
            summary = index.add([folder / "files"], progress=progress)
        print_text(
            Text(f"{counted(summary.items_added, 'page or passage', 'pages and passages')} read in {clock(summary.seconds)}."),
            out=out,
            indent=2,
        )
        print_text(Text(ABOUT_NANO), out=out, indent=2)

        judged = []
        for sample in samples():
            hits = [within(folder / "files", hit) for hit in index.search(sample.text, k=SHOWN, task=sample.task)]
            print_answers(sample, hits, out=out)
            judged.append((sample, sample.rank(hits)))

    print_verdict(judged, seconds=time.monotonic() - began, out=out)
    out.print()
    if keep:
        out.print(f'Ask more: unitower search "what you look for"{option("--in", str(index_folder))}', soft_wrap=True)
    else:
        out.print("To look at the samples yourself: unitower demo --keep unitower-demo", soft_wrap=True)
    out.print("Now try your own folder: unitower index FOLDER", soft_wrap=True)


def within(folder: Path, hit: Hit) -> Hit:
    """The hit with its path relative to a folder."""
    path = Path(hit.source.path).absolute().relative_to(folder.absolute())
    return replace(hit, source=replace(hit.source, path=path.as_posix()))


def print_heading(out: Console, title: str, rest: str) -> None:
    out.print()
    print_text(Text.assemble((title, "bold cyan"), f"  {rest}"), out=out, indent=2, first=0)


def print_answers(sample: Sample, hits: Sequence[Hit], *, out: Console) -> None:
    """A query, its best hits, and whether they are right."""
    print_heading(out, "Query", sample.text)
    for hit in hits:
        print_hit(hit, words=asked(sample.text).counts, out=out)
    rank = sample.rank(hits)
    if rank == 1:
        verdict = Text.assemble(("right: ", "bold green"), sample.why)
    elif rank:
        verdict = Text.assemble((f"right, but at rank {rank}: ", "bold green"), sample.why)
    elif sample.needs_eyes:
        verdict = Text.assemble(
            ("missed: ", "bold red"),
            f"the answer, {sample.answers[0].place}, is a picture without text; nano reads some of those, not this one. {sample.why}",
        )
    else:
        verdict = Text.assemble(("missed: ", "bold red"), f"the answer is {sample.answers[0].place}. {sample.why}")
    print_text(verdict, out=out, indent=4)


def print_verdict(judged: Sequence[tuple[Sample, int | None]], *, seconds: float, out: Console) -> None:
    """How many answers were right, with text and without."""
    print_heading(out, "In all", f"{clock(seconds)}, all on this machine")
    for needs_eyes, what in ((False, "queries that words or vectors of text can answer"), (True, "queries that need eyes")):
        ranks = [rank for sample, rank in judged if sample.needs_eyes == needs_eyes]
        line = f"{sum(rank == 1 for rank in ranks)} of {len(ranks)} {what} have the right answer first"
        later = sum(rank is not None and rank > 1 for rank in ranks)
        print_text(Text(line + (f", {later} further down." if later else ".")), out=out, indent=2)
