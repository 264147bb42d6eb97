"""One line on stderr while inputs are encoded. Imported when it is asked for, because rich is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text


class PerSecond(ProgressColumn):
    """Inputs per second, once there is a speed to tell."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.1f}/s")


@contextmanager
def progress_line(total: int | None) -> Iterator[Callable[[int], None]]:
    """Shows the line; what it gives is told how many more inputs are done. `total` is None where nobody knows it."""
    columns = (TextColumn("encoding"), BarColumn(), MofNCompleteColumn(), PerSecond(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        line = progress.add_task("", total=total)
        yield lambda count: progress.advance(line, count)
