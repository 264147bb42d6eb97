"""Words as sums of their letters: what token vectors are taught to say, by texts and by pages alike.

Eyes that know every letter of a page and a text side that knows every word still do not meet by themselves: the vectors that the text
side gives to words are names learned by heart, and a page would have to learn each of them. So both are given vectors that can be spelled:
the code of a word is the sum of learned vectors of its pieces of two to four letters. A cell of a page is to be near the codes of the words
that stand in it, the last token of a word near its code. What is learned of one word then holds for all that share letters with it, in any
language; docs/nano-log.md has what that gained.

The codes are used while training and are no part of a checkpoint.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F

from unitower.render.quick import CELL_PX, Written

RUN = re.compile(r"[^\W\d_]+|\d{1,4}")
"""Letters that follow each other, or up to four digits: what the tokenizer of nano never joins with anything but a sign before it."""

PIECES = {2: 0.7, 3: 1.0, 4: 0.8}
"""Lengths of the pieces of a word, and their weights."""

ROWS = 1 << 16
"""Rows of the table of pieces; a piece finds its own by hash, and two that share one do little harm."""

SCALE = 25.0
"""One over the temperature of the losses here."""

BEHIND = (1.0, 0.6, 0.45, 0.3)
"""In a passage a token also says the words before it, at these weights: as a cell does, in which several words stand."""

QUIET = 4
"""A token of a query that has come no further than so many letters into a word says nothing yet. Its beginning stands in every second page,
and MaxSim counts it as much as a whole word: docs/nano-log.md has what that costs."""

SHORT = {1: 0.2, 2: 0.4, 3: 0.7}
"""Weights of words of so few letters: they stand everywhere."""


@lru_cache(maxsize=200_000)
def folded(text: str) -> str:
    """
    >>> folded("Straßenbäume"), folded("É")
    ('straßenbaume', 'e')
    """
    return "".join(c for c in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(c))


def key(run: str, *, ended: bool = True) -> str:
    """What a run is known by: its beginning marked, and its end where it has been seen.

    >>> key("Debian"), key("deb", ended=False)
    ('^debian$', '^deb')
    """
    return f"^{folded(run)}{'$' if ended else ''}"


def begins(each: str) -> bool:
    """Whether a key is the beginning of a word, too short to say in a query (QUIET).

    >>> begins("^deb"), begins("^debi"), begins("^debia"), begins("^of$"), begins("")
    (True, True, False, False, False)
    """
    return bool(each) and not each.endswith("$") and len(each) - 1 <= QUIET


@dataclass(frozen=True)
class Run:
    """A run of letters on a page: its key, the cells in which its second half stands, and all that it touches."""

    key: str
    cells: tuple[int, ...]
    touched: tuple[int, ...]


def runs_of(words: Sequence[Written], grid: tuple[int, int]) -> list[Run]:
    """The runs on a page of rows x columns cells, those that it shows in full.

    A causal decoder knows a word when it has come to the end of it: hence the second half.
    """
    rows, columns = grid
    found = []
    for word in words:
        row = int(word.middle // CELL_PX)
        for match in RUN.finditer(word.text):
            start, end = match.span()
            at = [int((word.xs[k] + word.xs[k + 1]) / 2 // CELL_PX) for k in range(start, end)]
            if not (0 <= row < rows and at[0] >= 0 and at[-1] < columns):
                continue
            first, last = max(0, int(word.xs[start] // CELL_PX)), min(columns - 1, int((word.xs[end] - 0.01) // CELL_PX))
            cells = tuple(row * columns + column for column in range(at[(end - start) // 2], at[-1] + 1))
            found.append(Run(key(match.group()), cells, tuple(row * columns + column for column in range(first, last + 1))))
    return found


def spoken(tokenizer: Tokenizer, text: str) -> tuple[list[int], list[str]]:
    """Token ids of a text, and what each has said of the run that it stands in: a key, "" where it stands in none."""
    text = f" {text}"
    encoding, spans = tokenizer.encode(text), [match.span() for match in RUN.finditer(text)]
    keys, at = [], 0
    for _, end in encoding.offsets:
        while at < len(spans) and spans[at][1] < end:
            at += 1
        inside = at < len(spans) and spans[at][0] < end
        keys.append(key(text[spans[at][0] : end], ended=end == spans[at][1]) if inside else "")
    return list(encoding.ids), keys


class LetterCodes(nn.Module):
    """The table of pieces, and the code of nothing: of blank cells, signs and prompts."""

    def __init__(self, width: int, rows: int = ROWS) -> None:
        super().__init__()
        self.pieces = nn.Parameter(0.3 * torch.randn(rows, width))
        self.nothing = nn.Parameter(torch.randn(width))

    def forward(self, keys: Sequence[str]) -> Tensor:
        """Unit rows, float32 [keys, width]."""
        device, rows = self.pieces.device, len(self.pieces)
        cut = [_cut(each, rows) for each in keys]
        starts = np.cumsum([0, *(len(places) for places, _ in cut)][:-1])
        summed = F.embedding_bag(
            torch.tensor([place for places, _ in cut for place in places], dtype=torch.long, device=device), self.pieces.float(),
            torch.from_numpy(starts).to(device), mode="sum",
            per_sample_weights=torch.tensor([weight for _, weights in cut for weight in weights], device=device),
        )  # fmt: skip
        blank = torch.tensor([not each for each in keys], device=device)
        return F.normalize(torch.where(blank[:, None], self.nothing.float(), summed), dim=-1)


@lru_cache(maxsize=400_000)
def _cut(each: str, rows: int) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Rows of the pieces of a key, and their weights."""
    pieces = [(each[k : k + n], weight) for n, weight in PIECES.items() for k in range(len(each) - n + 1)]
    places = [int.from_bytes(blake2b(piece.encode("utf-8", "surrogatepass"), digest_size=4).digest(), "big") % rows for piece, _ in pieces]
    return tuple(places), tuple(weight for _, weight in pieces)


def importance(each: str) -> float:
    """How much a key counts, by the letters of its run.

    >>> importance("^a$"), importance("^debian$")
    (0.2, 1.0)
    """
    return SHORT.get(len(each.strip("^$")), 1.0)


# ---------------------------------------------------------------- on pages


@dataclass(frozen=True)
class Standing:
    """Where the runs of a batch of pages stand; cells are counted over all pages.

    keys     different ones
    of       int64 [runs]: number of the key of each run that is asked for
    at       int64 [n, 2]: run and cell, the second halves
    touched  int64 [m, 2]: key and cell, all of them
    """

    keys: tuple[str, ...]
    of: npt.NDArray[np.int64]
    at: npt.NDArray[np.int64]
    touched: npt.NDArray[np.int64]


def gathered(pages: Sequence[Sequence[Run]], area: int) -> Standing:
    """pages: the runs of each; area: cells of a page."""
    numbers: dict[str, int] = {}
    of: list[int] = []
    at: list[tuple[int, int]] = []
    touched: list[tuple[int, int]] = []
    for page, runs in enumerate(pages):
        for run in runs:
            number = numbers.setdefault(run.key, len(numbers))
            at += [(len(of), page * area + cell) for cell in run.cells]
            touched += [(number, page * area + cell) for cell in dict.fromkeys(run.cells + run.touched)]
            of.append(number)
    pairs = [np.array(some, np.int64).reshape(-1, 2) for some in (at, touched)]
    return Standing(tuple(numbers), np.array(of, np.int64), *pairs)


def where(keys: Sequence[str], there: Standing, count: int) -> Tensor:
    """Where words stand on pages of `count` cells in all: bool [keys, count]."""
    number = {each: k for k, each in enumerate(keys)}
    rows = np.array([number.get(each, len(keys)) for each in there.keys], np.int64)  # the last row: words that nobody asks for
    found = torch.zeros(len(keys) + 1, count, dtype=torch.bool)
    found[torch.from_numpy(rows[there.touched[:, 0]]), torch.from_numpy(there.touched[:, 1])] = True
    return found[:-1]


def page_losses(
    codes: LetterCodes, standing: Standing, cells: Tensor, earlier: Iterable[tuple[Standing, Tensor]] = ()
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """How far cells are from the codes of what stands in them; losses, and shares that came out right.

    cells    unit rows [all cells, width]
    earlier  cells of other pages, and what stands there: wrong answers for the words of these

    `words`: a run's own cells among all cells; others where the same word stands are neither right nor wrong. `cells`: a cell's own words
    among all words of the batch. `blanks`: the code of nothing among them, in cells where nothing stands. A word that stands in n places
    weighs one over the root of n in each.
    """
    device, count, kinds = cells.device, len(cells), len(standing.keys)
    table = codes([*standing.keys, ""])
    similar = (table.bfloat16() @ cells.bfloat16().T).float() * SCALE  # [keys and nothing, cells]
    stands = where([*standing.keys, ""], standing, count).to(device)
    weights = torch.tensor([importance(each) for each in standing.keys])
    parts = {name: cells.sum() * 0 for name in ("words", "cells", "blanks")}
    right = {name: cells.new_ones(()) for name in ("words", "cells")}

    if len(standing.of):
        of, at = torch.from_numpy(standing.of), torch.from_numpy(standing.at)
        share = (weights / torch.bincount(of, minlength=kinds).clamp(min=1).sqrt())[of].to(device)
        share = share / share.sum()
        here = torch.zeros(len(of), count, dtype=torch.bool)
        here[at[:, 0], at[:, 1]] = True
        here, of = here.to(device), of.to(device)
        logits = similar[of].masked_fill(stands[of] & ~here, -1e4)
        all_, nearest = torch.logsumexp(logits, 1), logits.detach().amax(1)
        for there, others in earlier:
            beside = (table[:kinds].bfloat16() @ others.bfloat16().T).float() * SCALE
            beside = beside.masked_fill(where(standing.keys, there, len(others)).to(device), -1e4)
            all_ = torch.logaddexp(all_, torch.logsumexp(beside, 1)[of])
            nearest = torch.maximum(nearest, beside.detach().amax(1)[of])
        mine = logits.masked_fill(~here, -1e4)
        parts["words"] = ((all_ - torch.logsumexp(mine, 1)) * share).sum()
        right["words"] = ((mine.detach().amax(1) >= nearest).float() * share).sum()

        pairs = torch.unique(torch.stack([of.cpu()[at[:, 0]], at[:, 1]], 1), dim=0).to(device)
        mine, share = similar[pairs[:, 0], pairs[:, 1]], weights.to(device)[pairs[:, 0]]
        share = share / share.sum()
        others = similar.masked_fill(stands, -1e4)
        parts["cells"] = (F.softplus(torch.logsumexp(others, 0)[pairs[:, 1]] - mine) * share).sum()
        right["cells"] = ((mine > others.amax(0)[pairs[:, 1]]).float() * share).sum().detach()
    if len(blank := (~stands.any(0)).nonzero()[:, 0]):
        parts["blanks"] = F.cross_entropy(similar[:, blank].T, torch.full((len(blank),), kinds, device=device))
    return parts, right


# ---------------------------------------------------------------- in texts


def text_losses(
    codes: LetterCodes, keys: Sequence[Sequence[str]], passage: Sequence[bool], tokens: Tensor
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """How far the tokens of texts are from the codes of what they have said; the codes get no gradient.

    keys     of each text, of each token
    passage  whether it is one: its tokens say the words before them, too (BEHIND); those of a query say no short beginnings (QUIET)
    tokens   unit rows [texts, longest, width]

    `letters` is one minus the cosine; `named` the cross-entropy of a query's tokens among all that the batch says.
    """
    device, (count, longest, _) = tokens.device, tokens.shape
    known = sorted({each for some in keys for each in some} | {""})
    number = {each: k for k, each in enumerate(known)}
    with torch.no_grad():
        table = codes(known)
    said, asked = torch.full((count, longest), number[""]), torch.zeros(count, longest, dtype=torch.bool)
    share, mix = torch.zeros(count, longest), torch.zeros(count * longest, len(known))
    for row, some in enumerate(keys):
        done: list[int] = []
        for column, each in enumerate(some[:longest]):
            quiet, asked[row, column] = not passage[row] and begins(each), bool(each) and not passage[row]
            said[row, column] = number["" if quiet else each]
            share[row, column] = 0.6 if quiet else 1.0 if len(each) > 3 else 0.3
            mix[row * longest + column, said[row, column]] = BEHIND[0]
            if passage[row] and each:
                for weight, before in zip(BEHIND[1:], reversed(done), strict=False):
                    mix[row * longest + column, before] += weight
                if each.endswith("$"):
                    done.append(number[each])
    wanted = F.normalize(mix.to(device) @ table, dim=-1).view(count, longest, -1)
    share = (share / share.sum()).to(device)
    parts = {"letters": ((1 - (tokens * wanted).sum(-1)) * share).sum(), "named": tokens.sum() * 0}
    right = {"named": tokens.new_ones(())}
    if asked.any():
        answers, asked = said[asked].to(device), asked.to(device)
        logits = (tokens[asked].bfloat16() @ table.bfloat16().T).float() * SCALE
        parts["named"], right["named"] = F.cross_entropy(logits, answers), (logits.argmax(1) == answers).float().mean()
    return parts, right
