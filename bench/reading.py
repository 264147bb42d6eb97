"""Speed of the reading step, in lines and pages a second, against the same step written the plain way.

    OMP_NUM_THREADS=1 taskset -c 0 python bench/reading.py

One step = 64 lines of 336 x 56 px, or a whole page of 700 x 1,008 px, in nano's vision tower (4 blocks, width 192, bfloat16), asked for
their characters and some blank slots, forward, backward and the optimiser. Ours is the lesson of `training/reading.py` on its tower; the
plain side is a tower of nn.Linear and nn.RMSNorm in float32 under autocast, as one would write it first: windows padded to one size and
masked, rotary angles and gates by autograd, AdamW on the float32 weights. The losses of the two are compared before the clock starts.
Figures are CPU seconds of one thread, the best of the rounds, both sides in turn in one run.

A third line measures ours without the compiled passes (model/passes.c; `python hatch_build.py` compiles them for a checkout).
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unitower.model import passes, tower
from unitower.model.embedder import Embedder
from unitower.model.tower import geometry
from unitower.recipes.nano import TOWER
from unitower.render import quick
from unitower.training.masters import Masters
from unitower.training.reading import BLANKS, Pens, Reader, Reading, Shape, pixels
from unitower.training.start import from_nothing

LINES = Shape(rows=2, columns=12, pages=64, weight=1.0)
PAGE = Shape(rows=36, columns=25, pages=1, weight=1.0)
TEXTS = {"en": ["The rent is due on the first day of May, and the goat has eaten the letter that lay on the table."]}
VISION = TOWER.vision


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        width, inner = VISION.hidden_size, VISION.intermediate_size
        self.norm1, self.norm2 = nn.RMSNorm(width, 1e-6), nn.RMSNorm(width, 1e-6)
        self.q, self.k, self.v, self.proj = (nn.Linear(width, width) for _ in range(4))
        self.gate, self.up, self.down = nn.Linear(width, inner), nn.Linear(width, inner), nn.Linear(inner, width)

    def forward(self, x: Tensor, angles: Tensor, mask: Tensor) -> Tensor:
        """x [windows, patches, width], mask [windows, 1, 1, patches]: which patches are real."""
        normed = self.norm1(x)
        q, k, v = (f(normed).unflatten(-1, (VISION.num_heads, -1)).transpose(1, 2) for f in (self.q, self.k, self.v))
        q, k = turned(q, angles), turned(k, angles)
        seen = F.scaled_dot_product_attention(q.to(v.dtype), k.to(v.dtype), v, attn_mask=mask)
        x = x + self.proj(seen.transpose(1, 2).flatten(2))
        normed = self.norm2(x)
        return x + self.down(F.silu(self.gate(normed)) * self.up(normed))


def turned(x: Tensor, angles: Tensor) -> Tensor:
    a, b = x.chunk(2, dim=-1)
    cos, sin = angles.cos(), angles.sin()
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)


class Plain(nn.Module):
    """The vision tower, windows padded to the largest."""

    def __init__(self, rows: int, columns: int) -> None:
        super().__init__()
        self.patch = nn.Linear(1176, VISION.hidden_size, bias=False)
        self.blocks = nn.ModuleList(Block() for _ in range(VISION.depth))
        self.norm = nn.RMSNorm(VISION.hidden_size, 1e-6)
        self.inner = nn.Linear(4 * VISION.hidden_size, 4 * VISION.hidden_size)
        self.outer = nn.Linear(4 * VISION.hidden_size, VISION.out_hidden_size)
        self.where = geometry(rows, columns, window=VISION.window_cells, merge=2, head_dim=VISION.head_dim)
        largest = max(size for size, _ in self.where.windows)
        places, first = [], 0
        for size, count in self.where.windows:
            for _ in range(count):
                places.append([*range(first, first + size), *[-1] * (largest - size)])
                first += size
        self.places = torch.tensor(places)

    def forward(self, x: Tensor) -> Tensor:
        images, real = len(x), self.places >= 0
        x = self.patch(x).unflatten(1, (-1, 4))[:, self.where.order].flatten(1, 2)[:, self.places.clamp(min=0)].flatten(0, 1)
        angles = self.where.angles[self.places.clamp(min=0)].repeat(images, 1, 1)[:, None]
        mask = real.repeat(images, 1)[:, None, None]
        for block in self.blocks:
            x = block(x, angles, mask)
        x = self.norm(x).view(images, -1, VISION.hidden_size)[:, real.flatten()]
        return self.outer(F.gelu(self.inner(x.reshape(images, -1, 4 * VISION.hidden_size))))[:, self.where.back]

    def copy(self, embedder: Embedder) -> Plain:
        """Take the weights of our tower."""
        vision = embedder.vision
        with torch.no_grad():
            self.patch.weight.copy_(vision.patch_embed.flatten(1))
            for mine, theirs in zip(self.blocks, vision.blocks, strict=True):
                for name in ("weight", "bias"):
                    for part, value in zip((mine.q, mine.k, mine.v), getattr(theirs.qkv, name).chunk(3), strict=True):
                        getattr(part, name).copy_(value)
                    for part, value in zip((mine.gate, mine.up), getattr(theirs.mlp.gate_up, name).chunk(2), strict=True):
                        getattr(part, name).copy_(value)
                    getattr(mine.proj, name).copy_(getattr(theirs.proj, name))
                    getattr(mine.down, name).copy_(getattr(theirs.mlp.down, name))
            for name in ("inner", "outer"):
                getattr(self, name).load_state_dict(getattr(vision.merger, name).state_dict())
        return self


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=6)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for shape, named in ((LINES, "lines"), (PAGE, "pages")):
        measure(shape, named, rounds=options.rounds)


def measure(shape: Shape, named: str, *, rounds: int) -> None:
    torch.manual_seed(0)
    embedder, reader = from_nothing(TOWER), Reader(TOWER.text.hidden_size)
    plain, plain_reader = Plain(shape.rows, shape.columns).copy(embedder), Reader(TOWER.text.hidden_size)
    plain_reader.load_state_dict(reader.state_dict())
    fonts = [font for font in quick.fonts() if font.family == "DejaVu Sans"]
    embedder, reader = embedder.bfloat16(), reader.bfloat16()
    lesson = Reading(embedder, reader, Pens(TEXTS, fonts, (shape,)))
    item = lesson.make(random.Random(0), 0)
    labels = torch.from_numpy(item.labels).long().flatten()
    asked = ((labels > 0) | (torch.rand(len(labels)) < BLANKS)).nonzero()[:, 0]
    labels = labels[asked]

    masters = Masters(lesson.parameters, weight_decay=0.02)
    adam = torch.optim.AdamW([*plain.parameters(), *plain_reader.parameters()], lr=1e-4, weight_decay=0.02)

    def ours() -> float:
        cells = embedder.vision(pixels(item.patches, like=reader.outer.weight), item.grid, tower.BARE)
        loss = F.cross_entropy(reader(cells, asked).float(), labels)
        loss.backward()
        masters.step(1e-4, clip=1.0)
        return float(loss.detach())

    def theirs() -> float:
        with torch.autocast("cpu", torch.bfloat16):
            frame = pixels(item.patches, like=plain.patch.weight).unflatten(-1, (3, 1, -1))
            cells = plain(frame.expand(-1, -1, -1, 2, -1).flatten(2))
            logits = plain_reader(cells, asked)
        loss = F.cross_entropy(logits.float(), labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_([*plain.parameters(), *plain_reader.parameters()], 1.0)
        adam.step()
        adam.zero_grad(set_to_none=True)
        return float(loss.detach())

    def without() -> float:
        library, passes.library = passes.library, lambda: None
        try:
            return ours()
        finally:
            passes.library = library

    sides: dict[str, Callable[[], float]] = {"plain": theirs, "unitower": ours, "unitower, not compiled": without}
    losses = {name: step() for name, step in list(sides.items())[:2]}
    print("loss of the first step: " + ", ".join(f"{name} {loss:.4f}" for name, loss in losses.items()))
    best = dict.fromkeys(sides, float("inf"))
    for _ in range(rounds):
        for name, step in sides.items():
            start = time.process_time()
            step()
            best[name] = min(best[name], time.process_time() - start)
    for name, seconds in best.items():
        print(
            f"{name.ljust(30)}{seconds:7.3f} s a step{shape.pages / seconds:8.1f} {named}/s{best['plain'] / seconds:7.2f} x plain",
            flush=True,
        )


if __name__ == "__main__":
    main()
