"""What was measured as tables: for a terminal, and docs/results.md beside what others published."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from unitower.evaluation import baselines, cards
from unitower.evaluation.cards import Card
from unitower.evaluation.metrics import Measure
from unitower.evaluation.results import Result, macro
from unitower.evaluation.trec import write_whole

SHIPPED = "shipped"

TITLES = {
    "shipped": "Shipped sets",
    "jina_vdr": "Jina-VDR",
    "vidore/v1": "ViDoRe v1",
    "vidore/v2": "ViDoRe v2",
    "vidore/v3": "ViDoRe v3, the eight public sets",
    "mieb": "MIEB, screenshots of sentences",
    "text/mteb-en": "MTEB (English, v2), retrieval",
    "text/mmteb": "MMTEB, retrieval",
    "text/coir": "CoIR",
    "text/longembed": "LongEmbed",
    "text/sts-en": "STS, English",
    "text/sts-multilingual": "STS, multilingual",
}
"""Groups in the order of the document."""


def listed() -> str:
    """The groups with their cards, and the baselines, for a person."""
    known = cards.shipped()
    lines = []
    for group in cards.groups(known):
        inside = [card for card in known if card.belongs(group)]
        subsets = sum(len(card.subsets) for card in inside)
        lines.append(f"{group}: {len(inside)} sets" + (f", {subsets} sub-sets" if subsets > len(inside) else ""))
        lines += [f"  {card.name:<52} {card.about}" for card in inside]
    lines.append("baselines (--model NAME)")
    lines += [f"  {name:<52} {baselines.about(name)}" for name in baselines.names()]
    return "\n".join(lines)


def plain(results: Sequence[Result]) -> str:
    """Results as lines of a terminal: a row each, and the mean of each model over several data sets."""
    rows = [["task", "model", "mode", "figure", "", "queries", "documents", "s/page", "cpu s/page"]]
    for result in results:
        rows.append(
            [
                result.task,
                result.model,
                result.mode,
                result.measure,
                f"{result.score:.4f}",
                f"{result.queries:,}" if result.queries else "",
                f"{result.documents:,}" if result.documents else "",
                seconds(result.page_s),
                seconds(result.page_cpu_s),
            ]
        )
    for (model, mode, rule), scores in systems(results).items():
        if len(scores) > 1:
            rows.append([f"mean of {len(scores)}, {rule}", model, mode, "", f"{macro(scores):.4f}", "", "", "", ""])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)


def systems(results: Iterable[Result]) -> dict[tuple[str, str, str], dict[str, float]]:
    """Model, mode and rule -> task -> score by its own measure; results with a limit are left out."""
    found: dict[tuple[str, str, str], dict[str, float]] = {}
    for result in results:
        if result.limit is None:
            found.setdefault((result.model, result.mode, result.rule), {})[result.task] = result.score
    return found


def seconds(value: float | None) -> str:
    """Three digits of a duration.

    >>> seconds(0.012345), seconds(12.3), seconds(None)
    ('0.0123', '12.3', '')
    """
    return "" if value is None else f"{value:.3g}"


def write(path: Path, results: Sequence[Result]) -> None:
    """The document of all results, beside the published ones. The same results give the same file."""
    write_whole(path, [document(results)])


def document(results: Sequence[Result]) -> str:
    known = cards.shipped()
    whole = [result for result in results if result.limit is None]
    parts = [
        "# Results\n",
        "Made from result files; do not edit. This writes it anew, measuring what is not measured yet:\n",
        "```sh\nunitower eval shipped --model nano "
        + " ".join(f"--model {name}" for name in baselines.names())
        + " --out docs/results --table docs/results.md\n```\n",
        "Figures are in points of 100, the higher the better. `s/page` is processor seconds for each page to make it searchable, reading "
        "it from the disk left out. Published figures are as printed by their source. The last columns are measured here, where somebody "
        "has; this fills them for a benchmark, with the weights at hand:\n",
        "```sh\nunitower eval jina_vdr --model jinaai/jina-embeddings-v4 --rule both --out docs/results --table docs/results.md\n```\n",
    ]
    # a folder whose cards are all in groups of their own is no benchmark
    present = cards.groups(known)
    whole_folders = [group for group in present if any(not card.groups for card in known if card.belongs(group))]
    for group in [*(one for one in TITLES if one in present), *(one for one in whole_folders if one not in TITLES)]:
        inside = [card for card in known if card.belongs(group)]
        parts.append(f"## {TITLES.get(group, group)}\n")
        parts += [shipped_table(inside, whole)] if group == SHIPPED else [beside_published(group, inside, whole)]
    return "\n".join(parts)


def shipped_table(inside: Sequence[Card], results: Sequence[Result]) -> str:
    """A row for each model and mode, a column for each set, the mean, and what a page costs."""
    names = [card.name for card in inside]
    tasks = {card.task_name(subset) for card in inside for subset in card.subsets}
    rows = [["model", "reads", "scores by", *(name.rpartition("/")[2] for name in names), "mean", "s/page"]]
    for (model, mode, rule), scores in systems(results).items():
        by_card = of_cards(scores, inside)
        if rule != "every page" or not by_card:
            continue
        costs = [r.page_cpu_s for r in results if (r.model, r.mode, r.rule) == (model, mode, rule) and r.task in tasks and r.page_cpu_s]
        mean = points(macro(by_card)) if len(by_card) == len(names) else ""
        reads = baselines.about(model) if model in baselines.names() else "the page"
        rows.append(
            [model, reads, mode, *(points(by_card.get(name)) for name in names), mean, seconds(sum(costs) / len(costs)) if costs else ""]
        )
    rows.append(["chance", "nothing", "any order", *(points(chance(card)) for card in inside), "", ""])
    sets = "\n".join(f"- `{card.name.rpartition('/')[2]}`: {card.about} {counts(card)} By {card.measure}." for card in inside)
    return f"{markdown(rows, left=3)}\n{sets}\n"


def chance(card: Card) -> float | None:
    """nDCG of any order of the pages, on average, where one page answers a query; None for other measures, or where sizes are not known.

    Where several pages answer, chance does a little better.
    """
    measure = Measure.named(card.measure)
    if measure.kind != "ndcg_linear" or card.sizes.keys() != card.subsets.keys():
        return None
    pages = [size["documents"] for size in card.sizes.values()]
    return sum(sum(1 / math.log2(rank + 1) for rank in range(1, min(measure.cutoff, n) + 1)) / n for n in pages) / len(pages)


def counts(card: Card) -> str:
    queries, documents = (sum(size.get(key, 0) for size in card.sizes.values()) for key in ("queries", "documents"))
    return f"{queries:,} queries, {documents:,} pages." if queries else ""


def beside_published(group: str, inside: Sequence[Card], results: Sequence[Result]) -> str:
    """A row for each set; a column for each published system, and for each that was measured here, or an empty one."""
    names = [card.name for card in inside]
    measures = sorted({card.measure for card in inside})
    columns: dict[tuple[str, str, str], dict[str, float]] = {}
    for card in inside:
        for entry in card.printed(group):
            columns.setdefault((entry.model, entry.mode, entry.rule), {})[card.name] = entry.score
    measured = {system: of_cards(scores, inside) for system, scores in systems(results).items()}
    here = {system: {name: 100 * score for name, score in scores.items()} for system, scores in measured.items() if scores}
    rules = {rule for _, _, rule in (*columns, *here)}

    def titles(systems: Iterable[tuple[str, str, str]]) -> list[str]:
        return [f"{model}<br>{mode}" + (f"<br>{rule}" if len(rules) > 1 else "") for model, mode, rule in systems]

    rows = [["set", *titles(columns), *(f"here: {title}" for title in titles(here)), *([] if here else ["here"])]]
    every = [*columns.values(), *here.values(), *([] if here else [{}])]
    for name in names:
        rows.append([name.rpartition("/")[2], *(f"{scores[name]:.2f}" if name in scores else "" for scores in every)])
    if len(names) > 1:
        rows.append([f"mean of {len(names)}", *(f"{macro(scores):.2f}" if len(scores) == len(names) else "" for scores in every)])
    sources = dict.fromkeys(f"{entry.source} ({entry.rule})" for card in inside for entry in card.printed(group))
    told = f" Sources: {'; '.join(sources)}." if sources else " Nothing is published here."
    text = f"By {' and '.join(measures)}.{told}\n\n{markdown(rows)}"
    means = [entry for entry in cards.published_means() if entry.group == group]
    if means:
        others = [["means, as published", "scores by", "mean", "source"]]
        others += [
            [entry.model, entry.mode, f"{entry.score:.2f}", entry.source + (f"; {entry.note}" if entry.note else "")] for entry in means
        ]
        text += f"\n{markdown(others, left=2, right_end=1)}"
    return text


def of_cards(scores: Mapping[str, float], known: Sequence[Card]) -> dict[str, float]:
    """Card -> mean of its sub-sets, in the order of the cards; those that lack a sub-set are left out."""
    found = {}
    for card in known:
        tasks = [card.task_name(subset) for subset in card.subsets]
        if all(task in scores for task in tasks):
            found[card.name] = sum(scores[task] for task in tasks) / len(tasks)
    return found


def points(score: float | None) -> str:
    """A figure in points of 100.

    >>> points(0.92756), points(None)
    ('92.76', '')
    """
    return "" if score is None else f"{100 * score:.2f}"


def markdown(rows: Sequence[Sequence[str]], *, left: int = 1, right_end: int = 0) -> str:
    """A table; numbers to the right but for the first columns and the last."""
    columns = len(rows[0])
    line = ["---" if column < left or column >= columns - right_end else "---:" for column in range(columns)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (rows[0], line, *rows[1:]))
