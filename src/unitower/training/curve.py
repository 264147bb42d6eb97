"""Loss and accuracy over the steps as one self-contained HTML page."""

from __future__ import annotations

import html
import io
import json
import sys
from pathlib import Path


def write_curve(metrics: Path, page: Path, *, title: str) -> None:
    """Draw metrics.jsonl. Needs matplotlib; without it there is no page, and a line on stderr says so."""
    lines = [json.loads(line) for line in metrics.read_text(encoding="utf-8").splitlines()] if metrics.exists() else []
    if not lines:
        return
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print(f"{page.name} is not drawn: it needs matplotlib (pip install 'unitower[render]').", file=sys.stderr)
        return
    starts: dict[str, int] = {}
    steps: list[int] = []
    before, phase = 0, lines[0]["phase"]
    for line in lines:
        if line["phase"] != phase:
            before, phase = steps[-1], line["phase"]
        starts.setdefault(phase, before)
        steps.append(before + line["step"])
    figure = Figure(figsize=(9, 6.5), layout="constrained")
    losses, accuracies, rates = figure.subplots(3, 1, sharex=True, height_ratios=[3, 3, 1])
    losses.plot(steps, [line["loss"] for line in lines], color="black", linewidth=1.6, label="loss")
    for axes, key in ((losses, "parts"), (accuracies, "accuracy")):
        names = sorted({name for line in lines for name in line[key]})
        for name in names:
            points = [(step, line[key][name]) for step, line in zip(steps, lines, strict=True) if name in line[key]]
            axes.plot(*zip(*points, strict=True), linewidth=1, label=name.replace("_", " "))
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=8, ncols=2, frameon=False)
    rates.plot(steps, [line["lr"] for line in lines], color="grey", linewidth=1)
    losses.set_ylabel("loss")
    accuracies.set_ylabel("own document first")
    accuracies.set_ylim(-0.02, 1.02)
    rates.set_ylabel("learning rate")
    rates.set_xlabel("step")
    for axes in (losses, accuracies, rates):
        axes.spines[["top", "right"]].set_visible(False)
        for i, (name, at) in enumerate(starts.items()):
            if at:
                axes.axvline(at, color="lightgrey", linewidth=1)
            if axes is losses:
                axes.annotate(name, (at, 1.0 + 0.06 * (i % 2)), xycoords=("data", "axes fraction"), fontsize=8, color="grey", va="bottom")
    drawing = io.StringIO()
    figure.savefig(drawing, format="svg")
    svg = drawing.getvalue()
    last = lines[-1]
    facts = f"{len(starts)} phases, {steps[-1]} steps; last loss {last['loss']:.4f}, {last['samples_per_s']:.1f} pairs/s"
    part = page.with_suffix(".part")
    part.write_text(
        f"<!doctype html><meta charset='utf-8'><title>{html.escape(title)}</title>"
        "<style>body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;color:#222}svg{width:100%;height:auto}</style>"
        f"<h1>{html.escape(title)}</h1><p>{html.escape(facts)}</p>{svg[svg.index('<svg') :]}\n",
        encoding="utf-8",
    )
    part.replace(page)
