"""Pictures of a study, for print: SVG with outlines for letters, so that they look the same everywhere.

Colours are those of Okabe & Ito 2008, which people tell apart whatever their colour vision; no meaning is carried by colour alone.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from unitower.errors import UnitowerError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ORANGE, SKY, GREEN, BLUE, RED, PURPLE, BLACK, GREY = "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7", "#000000", "#8A8A8A"
MARKERS = "osD^vP"
COLOURS = (BLUE, RED, GREEN, PURPLE, ORANGE, BLACK)

KINDS = {
    "query-picture": ("image–text: query and its picture", RED, "-"),
    "query-text": ("text–text: query and the text of that picture", BLUE, "--"),
    "query-query": ("text–text: two queries of one document", GREEN, ":"),
}
"""Kind of pairs -> how a legend calls it, colour and line."""

HEADS = {"dense": "dense vectors, cosine", "late": "token vectors, MaxSim / query tokens"}

SETTINGS: Any = {
    "svg.fonttype": "path", "svg.hashsalt": "unitower", "font.size": 9, "axes.titlesize": 9, "axes.labelsize": 9, "legend.fontsize": 8.5,
    "xtick.labelsize": 8, "ytick.labelsize": 8, "axes.spines.top": False, "axes.spines.right": False, "axes.linewidth": 0.8,
    "font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"], "legend.frameon": False, "figure.facecolor": "white",
}  # fmt: skip

PER_ROW = 4


def drawing(draw: Callable[..., Figure | None], *arguments: Any) -> str:
    """A figure as SVG to stand in a page; "" where there is nothing to draw. UnitowerError without matplotlib.

    arguments  the study, and what tells this figure from others by the same function
    """
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise UnitowerError(
            "the report is drawn by matplotlib: pip install 'unitower[render]'. The numbers are written already."
        ) from error
    with mpl.rc_context(SETTINGS):
        figure = draw(*arguments)
        if figure is None:
            return ""
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    svg = text.getvalue()
    # ids of one figure must not meet those of another in the same page
    name = "-".join([draw.__name__, *map(str, arguments[1:])])
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', svg)
    svg = re.sub(r'(href="#|url\(#)([^")]+)', rf"\1{name}-\2", svg)
    return svg[svg.index("<svg") :]


def grid(number: int, *, height: float = 1.9, per_row: int = PER_ROW, share: str = "all") -> tuple[Figure, list[Axes]]:
    """A figure with so many panels, in rows."""
    from matplotlib.figure import Figure as New

    rows = -(-number // per_row)
    columns = -(-number // rows)
    figure = New(figsize=(max(5.0, min(3.0, 8.8 / columns) * columns), height * rows + 0.85), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharex=share in ("all", "x"), sharey=share in ("all", "y"))
    flat = list(axes.ravel())
    for place in range(number, len(flat)):
        flat[place].set_axis_off()
        flat[place - columns].tick_params(labelbottom=True)  # what shares its axis with nothing below
    return figure, flat[:number]


def main_task(model: Mapping[str, Any]) -> Any:
    """What was measured with the adapter of the data."""
    return next(iter(model["tasks"].values()))


def histogram(axes: Axes, counts: Sequence[int], edges: Sequence[float], *, together: int, label: str, colour: str, line: str) -> None:
    """Density of scores as a filled outline, `together` bins as one."""
    bins = np.add.reduceat(counts, np.arange(0, len(counts), together))
    wide = np.array(edges)[::together]
    density = bins / max(bins.sum(), 1) / np.diff(wide)
    axes.stairs(density, wide, fill=True, color=colour, alpha=0.22, linewidth=0)
    axes.stairs(density, wide, color=colour, linewidth=1.4, linestyle=line, label=label)


def bins_together(all_counts: Sequence[Sequence[int]]) -> int:
    """How many bins to draw as one: about twice the cube root of the scores are left in the narrowest histogram (Rice's rule)."""
    spans = [(int(np.count_nonzero(np.cumsum(one) * np.cumsum(one[::-1])[::-1])), sum(one)) for one in all_counts if sum(one)]
    wanted = min((span / min(30, max(6, 2 * n ** (1 / 3))) for span, n in spans), default=1.0)
    return max(divisor for divisor in (1, 2, 4, 5, 10) if divisor <= max(1.0, 1.2 * wanted))


def limits(all_counts: Sequence[Sequence[int]], edges: Sequence[float]) -> tuple[float, float]:
    """The scores that there are, with some room."""
    there = np.flatnonzero(np.sum(all_counts, axis=0))
    low, high = edges[there[0]] - 0.06, edges[there[-1] + 1] + 0.06
    return max(-1.0, low), min(1.0, high)


def modality_gap(study: Mapping[str, Any], head: str) -> Figure | None:
    """Matched image-text against matched text-text pairs, a panel a model."""
    models = study["models"]
    chosen = [kind for kind in KINDS if kind in main_task(models[0])["pairs"]]
    if not chosen:
        return None
    figure, panels = grid(len(models))
    every = [main_task(model)["pairs"][kind][head]["histogram"] for model in models for kind in chosen]
    together = bins_together([one["positive"] for one in every])
    for model, axes in zip(models, panels, strict=True):
        for kind in chosen:
            told, (label, colour, line) = main_task(model)["pairs"][kind][head], KINDS[kind]
            label = f"{label} (n = {told['positive']['n']:,})"
            histogram(axes, told["histogram"]["positive"], every[0]["edges"], together=together, label=label, colour=colour, line=line)
            axes.axvline(told["positive"]["mean"], color=colour, linestyle=line, linewidth=0.9, alpha=0.9)
        axes.set_title(short(model["label"]))
    panels[0].set_xlim(*limits([one["positive"] for one in every], every[0]["edges"]))
    return finished(figure, panels, x=f"score of matched pairs ({HEADS[head]})", y="density")


def cone(study: Mapping[str, Any], head: str) -> Figure | None:
    """Pairs that match against pairs that do not, a panel a model."""
    models = study["models"]
    kind = next((kind for kind in KINDS if kind in main_task(models[0])["pairs"]), None)
    if kind is None:
        return None
    figure, panels = grid(len(models))
    every = [main_task(model)["pairs"][kind][head] for model in models]
    spans = [one["histogram"][sign] for one in every for sign in ("positive", "negative")]
    together = bins_together(spans)
    for model, told, axes in zip(models, every, panels, strict=True):
        for sign, colour, line in (("negative", GREY, "--"), ("positive", RED if kind == "query-picture" else BLUE, "-")):
            label = f"{'match' if sign == 'positive' else 'do not match'} (n = {told[sign]['n']:,})"
            histogram(axes, told["histogram"][sign], told["histogram"]["edges"], together=together, label=label, colour=colour, line=line)
        axes.set_title(f"{short(model['name'])}\nAUC {number(told['auc'])}, d′ {number(told['d_prime'], 1)}")
    panels[0].set_xlim(*limits(spans, every[0]["histogram"]["edges"]))
    return finished(figure, panels, x=f"score of {KINDS[kind][0].split(': ')[1]} ({HEADS[head]})", y="density")


def similarity_map(study: Mapping[str, Any]) -> Figure | None:
    """First two principal components of the dense vectors, a panel a model; a query is tied to its document."""
    models = study["models"]
    figure, panels = grid(len(models), height=2.3, share="none")
    for model, axes in zip(models, panels, strict=True):
        told = main_task(model)["map"]
        points = told["points"]
        for label, colour, marker, there in (
            ("query", BLUE, "o", [one["query"] for one in points if one["query"]]),
            ("picture", RED, "s", [one["document"] for one in points if one["modality"] == "image"]),
            ("text document", PURPLE, "D", [one["document"] for one in points if one["modality"] != "image"]),
            ("text of the picture", GREEN, "^", [one["text"] for one in points if one["text"]]),
        ):
            if there:
                xy = np.array(there)
                axes.scatter(xy[:, 0], xy[:, 1], s=9, c=colour, marker=marker, linewidths=0, alpha=0.75, label=label, zorder=2)
        ties = [end for one in points if one["query"] for end in (one["query"], one["document"], (np.nan, np.nan))]
        if ties:
            xy = np.array(ties)
            axes.plot(xy[:, 0], xy[:, 1], color=GREY, linewidth=0.3, alpha=0.5, zorder=1)
        axes.set_title(short(model["label"]))
        axes.set_xlabel(f"1st component ({told['variance'][0]:.0%})")
        axes.set_ylabel(f"2nd ({told['variance'][1]:.0%})")
        axes.set_aspect("equal", adjustable="datalim")
        axes.locator_params(nbins=4)
    return finished(figure, panels)


def lines(study: Mapping[str, Any]) -> Figure | None:
    """The main figures of every model and adapter, a panel a measure."""
    models = study["models"]
    if sum(len(model["tasks"]) for model in models) < 2:
        return None  # nothing to compare: the tables say it all
    tasks = list(dict.fromkeys(task for model in models for task in model["tasks"]))
    panels = [(title, read) for title, read in PANELS if any(read(told) for model in models for told in model["tasks"].values())]
    figure, axes = grid(len(panels), height=1.9, per_row=3, share="x")
    for (title, read), ax in zip(panels, axes, strict=True):
        for at, task in enumerate(tasks):
            told = [(place, read(model["tasks"][task])) for place, model in enumerate(models) if task in model["tasks"]]
            there = [(place, value) for place, value in told if value is not None]
            if not there:
                continue
            x = np.array([place for place, _ in there]) + (at - (len(tasks) - 1) / 2) * 0.12
            y = np.array([value[0] for _, value in there])
            low, high = (np.abs(np.array([value[i] for _, value in there]) - y) for i in (1, 2))
            ax.errorbar(
                x, y, yerr=[low, high], fmt=MARKERS[at % 6], color=COLOURS[at % 6], markersize=4.5, capsize=2, linewidth=0.9, label=task
            )
        if title.startswith("nDCG"):
            ax.axhline(study["data"]["ndcg@10 by chance"], color=BLACK, linestyle=(0, (1, 3)), linewidth=1)
            title += " (dotted: chance)"
        ax.set_title(title)
        ax.set_xlim(-0.5, len(models) - 0.5)
        ax.set_xticks(range(len(models)), [short(model["label"], 24) for model in models], rotation=35, ha="right", rotation_mode="anchor")
        ax.margins(y=0.15)
        ax.grid(axis="y", linewidth=0.4, color="#DDDDDD")
        ax.set_axisbelow(True)
    return finished(figure, axes, legend="adapter")


Triple = tuple[float, float, float]


def interval(*path: str) -> Callable[[Mapping[str, Any]], Triple | None]:
    """Reads a mean with its interval, or a plain number, at a place of what was measured."""

    def read(told: Mapping[str, Any]) -> Triple | None:
        value: Any = told
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        if isinstance(value, Mapping):
            value = (value["mean"], value["low"], value["high"])
        elif value is not None:
            value = (value, value, value)
        return None if value is None or None in value else value

    return read


PANELS: Sequence[tuple[str, Callable[[Mapping[str, Any]], Triple | None]]] = (
    ("alignment:\ncosine of query and picture", interval("pairs", "query-picture", "dense", "positive")),
    ("cosine of query and\ntext of the picture", interval("pairs", "query-text", "dense", "positive")),
    ("cosine of two queries\nof one document", interval("pairs", "query-query", "dense", "positive")),
    ("AUC of query and picture\nagainst other pairs", interval("pairs", "query-picture", "dense", "auc")),
    ("centroid distance,\nqueries and pictures", interval("between", "queries and pictures", "centroid_distance")),
    ("linear probe, queries and\npictures (chance 0.5)", interval("between", "queries and pictures", "separability")),
    ("centroid distance,\npictures and texts", interval("between", "pictures and texts", "centroid_distance")),
    ("mean cosine of\ntwo random pictures", interval("sets", "pictures", "random_cosine")),
    ("mean cosine of\ntwo random queries", interval("sets", "queries", "random_cosine")),
    ("effective rank of pictures", interval("sets", "pictures", "effective_rank")),
    ("effective rank of queries", interval("sets", "queries", "effective_rank")),
    ("hubness, dense", interval("retrieval", "dense", "hubness")),
    ("nDCG@10, dense", interval("retrieval", "dense", "ndcg@10")),
    ("nDCG@10, late", interval("retrieval", "late", "ndcg@10")),
)


def by_language(study: Mapping[str, Any]) -> Figure | None:
    """Alignment, separation and nDCG@10 by the language of the query, dense vectors; one point a model."""
    models = study["models"]
    languages = list(study["data"]["languages"])
    kind = next((kind for kind in KINDS if kind in main_task(models[0])["pairs"]), None)
    if len(languages) < 2 or kind is None:
        return None
    from matplotlib.figure import Figure as New

    figure = New(figsize=(7.4, 0.24 * len(languages) + 1.35), layout="constrained")
    axes = list(figure.subplots(1, 3, sharey=True))
    for at, model in enumerate(models):
        told = main_task(model)
        of_kind = told["pairs"][kind]["dense"]["languages"]
        reads = (
            [of_kind.get(one, {}).get("positive") for one in languages],
            [one and {"mean": one, "low": one, "high": one} for one in (of_kind.get(one, {}).get("auc") for one in languages)],
            [told["retrieval"]["dense"]["languages"].get(one) for one in languages],
        )
        for ax, values in zip(axes, reads, strict=True):
            there = [(place, one) for place, one in enumerate(values) if one and one["mean"] is not None]
            y = np.array([place for place, _ in there]) + (at - (len(models) - 1) / 2) * min(0.18, 0.7 / len(models))
            x = np.array([one["mean"] for _, one in there])
            ends = [np.abs(np.array([one[end] for _, one in there]) - x) for end in ("low", "high")]
            ax.errorbar(
                x,
                y,
                xerr=ends,
                fmt=MARKERS[at % 6],
                color=COLOURS[at % 6],
                markersize=4,
                capsize=1.5,
                linewidth=0.8,
                label=short(model["label"]),
            )
    for ax, title in zip(axes, ("cosine of matched pairs", "AUC of matched against other", "nDCG@10"), strict=True):
        ax.set_title(title)
        ax.grid(axis="x", linewidth=0.4, color="#DDDDDD")
        ax.set_axisbelow(True)
    axes[0].set_yticks(range(len(languages)), [f"{one} (n = {study['data']['languages'][one]})" for one in languages])
    axes[0].invert_yaxis()
    return finished(figure, axes, legend="model" if len(models) > 1 else None)


BITS = {"float32": (BLACK, "o", "-"), "float16": (BLUE, "s", "--"), "int8": (RED, "^", "-."), "binary": (GREEN, "D", ":")}


def cost(study: Mapping[str, Any], head: str) -> Figure | None:
    """nDCG@10 against bytes of a document, a panel a model."""
    models = study["models"]
    figure, panels = grid(len(models), height=2.2, share="y")
    for model, axes in zip(models, panels, strict=True):
        told = [one for one in main_task(model)["cost"] if one["head"] == head]
        if head == "dense":
            for bits, (colour, marker, line) in BITS.items():
                these = [one for one in told if one["bits"] == bits]
                axes.plot(
                    [one["bytes"] for one in these], [one["ndcg"]["mean"] for one in these], color=colour, marker=marker, linestyle=line,
                    markersize=4, linewidth=1, label=bits,
                )  # fmt: skip
        else:
            whole = [one for one in told if one["pooled"] == 1]
            fewer = [one for one in told if one["bits"] == "float16"]
            axes.plot(
                [one["bytes"] for one in fewer], [one["ndcg"]["mean"] for one in fewer], color=BLUE, linestyle="--", linewidth=1,
                label="float16, tokens pooled " + ", ".join(f"{one['pooled']}×" for one in fewer if one["pooled"] > 1),
            )  # fmt: skip
            axes.plot(
                [one["bytes"] for one in fewer[1:]], [one["ndcg"]["mean"] for one in fewer[1:]], "s", color=BLUE, mfc="white", markersize=4
            )
            for one in whole:
                colour, marker, _ = BITS[one["bits"]]
                axes.plot(one["bytes"], one["ndcg"]["mean"], marker, color=colour, markersize=5, label=f"{one['bits']}, all tokens")
        best = max(told, key=lambda one: (one["bits"] == "float32") * one["bytes"])["ndcg"]
        axes.axhspan(best["low"], best["high"], color=GREY, alpha=0.15, linewidth=0, label="full float32, 95 %")
        axes.axhline(study["data"]["ndcg@10 by chance"], color=BLACK, linestyle=(0, (1, 3)), linewidth=1, label="chance")
        axes.set_xscale("log")
        axes.set_title(short(model["label"]))
        axes.grid(linewidth=0.4, color="#E4E4E4")
        axes.set_axisbelow(True)
    panels[0].set_ylim(bottom=0)
    return finished(figure, panels, x="bytes of a document, logarithmic", y="nDCG@10")


def finished(figure: Figure, panels: Sequence[Axes], *, x: str = "", y: str = "", legend: str | None = "") -> Figure:
    """Common labels and one legend above all panels."""
    if x:
        figure.supxlabel(x, fontsize=9)
    if y:
        figure.supylabel(y, fontsize=9)
    found: dict[str, Any] = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    if found and legend is not None and not (legend and len(found) == 1):
        wide = figure.get_figwidth()
        columns = max(1, min(len(found), int(wide * 13 / (max(map(len, found)) + 5))))
        figure.legend(found.values(), found, loc="outside upper center", ncols=columns, title=legend or None, title_fontsize=8.5)
    return figure


def short(name: str, most: int = 30) -> str:
    """A name cut to fit over a panel: its end, where checkpoints differ."""
    return name if len(name) <= most else "…" + name[1 - most :]


def number(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{round(value, digits) + 0.0:.{digits}f}"  # + 0: no minus before nothing
