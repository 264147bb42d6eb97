"""Pages of a document, one at a time, those that cannot be read being passed over."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from unitower.errors import UnreadableFile
from unitower.ingest.confined import Died

MOST_DEATHS = 3
"""Pages of one document that may end the process that reads it before the rest is given up."""
MOST_LOST_IN_A_ROW = 100
"""Pages that may be missing one after the other; a damaged file may claim a million pages that are not there."""

Page = TypeVar("Page")


class PageLost(Exception):
    """A page that cannot be read; the message says why, as in "damaged"."""


def readable_pages(
    path: Path, *, num_pages: int, start: int, page: Callable[[int], Page], passed_over: Callable[[str], None] | None
) -> Iterator[tuple[int, Page]]:
    """The pages from `start` on, 0-based, with their index, as `page` gives them; it raises PageLost, or Died, for those it cannot give.

    When all are through, `passed_over` is told of the pages left out, one line for each reason.
    Raises UnreadableFile if not one page of the document can be read.
    """
    lost: dict[str, list[int]] = {}
    deaths = lost_in_a_row = 0
    for index in range(start, num_pages):
        try:
            found = page(index)
        except (PageLost, Died) as error:
            lost.setdefault(str(error), []).append(index + 1)
            deaths += isinstance(error, Died)
            lost_in_a_row += 1
            if deaths == MOST_DEATHS or lost_in_a_row == MOST_LOST_IN_A_ROW:
                lost["not tried after so many failures"] = list(range(index + 2, num_pages + 1))
                break
            continue
        lost_in_a_row = 0
        yield index, found
    if sum(map(len, lost.values())) == num_pages:
        which = "its only page cannot" if num_pages == 1 else f"none of its {num_pages:,} pages can"
        raise UnreadableFile(path, f"{which} be read: {next(iter(lost))}")
    if passed_over:
        for reason, numbers in lost.items():
            if numbers:
                passed_over(f"{'page' if len(numbers) == 1 else 'pages'} {spans(numbers)} left out: {reason}")


def spans(numbers: Iterable[int]) -> str:
    """Rising page numbers as a person writes them.

    >>> spans([2, 3, 4, 9])
    '2-4, 9'
    """
    ends: list[list[int]] = []
    for number in numbers:
        if ends and ends[-1][1] == number - 1:
            ends[-1][1] = number
        else:
            ends.append([number, number])
    return ", ".join(f"{first}" if first == last else f"{first}-{last}" for first, last in ends)
