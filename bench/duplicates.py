"""How alike the shipped model finds pages that are the same and pages that are not, where there is no text layer: what the limits of
near duplicates (`stores/ranking.py`: CLOSE, ALIKE) rest on.

    OMP_NUM_THREADS=1 taskset -c 1 python bench/duplicates.py

Five pages of words and five invoices of one form are drawn, each also as JPEG, smaller, and as a scan. It takes half a minute.
"""

from __future__ import annotations

import io
from itertools import combinations, product
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

import unitower
from unitower.stores.ranking import ALIKE, CLOSE

NUMBER, SIZE = 5, (600, 800)
WORDS = [
    "river",
    "stone",
    "letter",
    "window",
    "garden",
    "market",
    "winter",
    "table",
    "silver",
    "engine",
    "paper",
    "bridge",
    "forest",
    "doctor",
    "harbour",
    "music",
    "candle",
    "mountain",
    "ticket",
    "bottle",
]
FONT = Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"


def of_words(seed: int) -> Image.Image:
    draw, page = np.random.default_rng(seed), Image.new("RGB", SIZE, "white")
    for line in range(26):
        text = " ".join(draw.choice(WORDS, 6))
        ImageDraw.Draw(page).text((50, 50 + 26 * line), text, fill="black", font=ImageFont.truetype(FONT, 17))
    return page


def invoice(seed: int) -> Image.Image:
    draw, page = np.random.default_rng(1000 + seed), Image.new("RGB", SIZE, "white")
    pen, small, large = ImageDraw.Draw(page), ImageFont.truetype(FONT, 18), ImageFont.truetype(FONT, 30)
    pen.text((50, 40), "INVOICE", fill="black", font=large)
    date = f"2026-{draw.integers(1, 13):02}-{draw.integers(1, 28):02}"
    pen.text((50, 100), f"No. {draw.integers(10_000, 99_999)}   Date {date}", fill="black", font=small)
    for row in range(8):
        amounts = f"{draw.integers(1, 20)} x {draw.integers(100, 9999) / 100:.2f}    {draw.integers(1000, 99_999) / 100:.2f}"
        pen.text((50, 180 + 40 * row), f"Item {draw.integers(100, 999)}    {amounts}", fill="black", font=small)
        pen.line((50, 208 + 40 * row, 550, 208 + 40 * row), fill="gray")
    pen.text((50, 560), f"Total {draw.integers(10_000, 999_999) / 100:.2f} EUR", fill="black", font=large)
    return page


def jpeg(page: Image.Image) -> Image.Image:
    file = io.BytesIO()
    page.save(file, "jpeg", quality=60)
    return Image.open(file).convert("RGB")


def smaller(page: Image.Image) -> Image.Image:
    return page.resize((558, 744), Image.Resampling.LANCZOS)


def scan(page: Image.Image, seed: int) -> Image.Image:
    """Turned by a degree at most, blurred, a little grey, with noise."""
    draw = np.random.default_rng(seed)
    turned = page.rotate(float(draw.uniform(-1, 1)), fillcolor="white", resample=Image.Resampling.BICUBIC)
    grey = np.asarray(turned.filter(ImageFilter.GaussianBlur(0.6))) * 0.95 + draw.normal(0, 6, (SIZE[1], SIZE[0], 1))
    return Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8))


def main() -> None:
    pages = [of_words(i) for i in range(NUMBER)] + [invoice(i) for i in range(NUMBER)]
    every = [*pages, *map(jpeg, pages), *map(smaller, pages), *(scan(page, i) for i, page in enumerate(pages))]
    found = unitower.load().encode(every, task="retrieval", role="passage")
    tokens = list(found.multi)
    n = len(pages)
    pairs: dict[str, list[Any]] = {
        "the same page as JPEG": [(i, n + i) for i in range(n)],
        "the same page at 93 % size": [(i, 2 * n + i) for i in range(n)],
        "a scan of it": [(i, 3 * n + i) for i in range(n)],
        "invoices of one form, other numbers": list(combinations(range(NUMBER, n), 2)),
        "pages of other words": list(combinations(range(NUMBER), 2)),
        "a page of words and an invoice": list(product(range(NUMBER), range(NUMBER, n))),
    }
    for name, which in pairs.items():
        dense = np.array([found.dense[i] @ found.dense[j] for i, j in which])
        products = [tokens[i] @ tokens[j].T for i, j in which]
        alike = np.array([min(one.max(axis=1).mean(), one.max(axis=0).mean()) for one in products])
        ranges = "  ".join(f"{kind} {x.min():.3f} to {x.max():.3f}" for kind, x in (("dense", dense), ("tokens", alike)))
        print(f"{name:38} {len(which)} pairs  {ranges}  folded {np.count_nonzero((dense >= CLOSE) & (alike >= ALIKE))}")


if __name__ == "__main__":
    main()
