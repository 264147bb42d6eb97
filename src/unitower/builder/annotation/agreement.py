"""Whether annotators agree, beyond what chance would give (Cohen 1960)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Of two annotators, over what both judged.

    share  of queries with the same verdict
    kappa  (share - chance) / (1 - chance), 1 at the most; None where chance alone gives 1: both always said the same thing
    """

    first: str
    second: str
    both: int
    share: float
    kappa: float | None


def kappa(pairs: Sequence[tuple[str, str]]) -> tuple[float, float | None]:
    """Share of equal pairs, and Cohen's kappa.

    >>> kappa([("a", "a")] * 20 + [("a", "r")] * 5 + [("r", "a")] * 10 + [("r", "r")] * 15)
    (0.7, 0.4)
    """
    n = len(pairs)
    same = sum(one == other for one, other in pairs) / n
    values = {value for pair in pairs for value in pair}
    chance = sum(sum(one == value for one, _ in pairs) * sum(other == value for _, other in pairs) for value in values) / n**2
    return same, None if chance == 1 else round((same - chance) / (1 - chance), 12)


def agreements(verdicts: Mapping[str, Mapping[str, str]]) -> list[Agreement]:
    """Of every two annotators that judged something in common. verdicts: query -> annotator -> verdict, "" is none."""
    people = sorted({who for given in verdicts.values() for who in given})
    found = []
    for first, second in combinations(people, 2):
        pairs = [(given[first], given[second]) for given in verdicts.values() if given.get(first) and given.get(second)]
        if pairs:
            share, value = kappa(pairs)
            found.append(Agreement(first=first, second=second, both=len(pairs), share=share, kappa=value))
    return found
