"""A study as one HTML page that needs nothing else, and as a few lines for a terminal."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from unitower.analysis import figures
from unitower.analysis.figures import drawing, main_task, number, short
from unitower.data import _cache

STYLE = """
body { font: 16px/1.55 system-ui, sans-serif; color: #1a1a1a; background: #fff; max-width: 62rem; margin: 2.5rem auto; padding: 0 1.25rem }
h1 { font-size: 1.7rem; line-height: 1.25; margin-bottom: .3rem } h2 { font-size: 1.2rem; margin: 2.6rem 0 .4rem }
p { max-width: 46rem } figure { margin: 1.2rem 0 1.8rem; overflow-x: auto } figure svg { max-width: 100%; height: auto }
figcaption { font-size: .88rem; color: #444; max-width: 46rem; margin-top: .3rem } code { font-size: .9em }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; margin: .8rem 0 1.4rem }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid #e2e2e2; white-space: nowrap }
th { font-weight: 600; border-bottom: 1px solid #555 } th:first-child, td:first-child, td.word, th.word { text-align: left }
.wide { overflow-x: auto } summary { cursor: pointer } .quiet { color: #555 }
@media print { body { margin: 0; max-width: none } figure, table { break-inside: avoid } }
"""


def write(study: Mapping[str, Any], folder: Path) -> tuple[Path, Path]:
    """report.json and report.html in a folder, each whole or not at all; returns their paths."""
    numbers, page = folder / "report.json", folder / "report.html"
    replaced(numbers, json.dumps(study, ensure_ascii=False, indent=1) + "\n")  # first, so that it is there without matplotlib too
    replaced(page, report(study))
    return numbers, page


def replaced(path: Path, text: str) -> None:
    with _cache.written(path) as file:
        file.write(text.encode("utf-8", "replace"))
    path.chmod(0o644)


def report(study: Mapping[str, Any]) -> str:
    """The page."""
    data, models = study["data"], study["models"]
    names = ", ".join(short(model["label"]) for model in models)
    body = "\n".join(sections(study))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escaped(names)} on {escaped(data["name"])}</title><style>{STYLE}</style></head><body>
<h1>What the vectors look like inside</h1>
<p class="quiet">{escaped(names)} on {escaped(data["name"])}</p>
{body}
</body></html>
"""


def sections(study: Mapping[str, Any]) -> Iterator[str]:
    data, models = study["data"], study["models"]
    task = next(iter(models[0]["tasks"]))
    known = [one for one in data["languages"] if one != "?"]
    spoken = f" Queries are in {len(known)} languages." if len(known) > 1 else ""
    yield (
        f"<p>{data['queries']:,} pairs of a query and the document that answers it, {data['documents']:,} documents, of which "
        f"{data['pictures']:,} are pictures; drawn with seed {data['seed']} from {data['drawn_from']['queries']:,} queries and "
        f"{data['drawn_from']['documents']:,} documents.{spoken} Figures are for the adapter <code>{escaped(task)}</code> where they name "
        "none. Intervals are 95 %, bootstrapped over pairs. Every number stands in <code>report.json</code>.</p>"
    )
    yield table(
        ["model", "revision", "adapter", "dense width", "token width", "pixels at most"],
        [
            [short(m["label"]), p["revision"][:12], t, f"{p['dense_width']:,}", f"{p['multi_width']:,}", f"{p['max_pixels']:,}"]
            for m in models
            for t, p in m["fingerprint"].items()
        ],
        words=3,
    )
    pairs = main_task(models[0])["pairs"]
    if "query-picture" in pairs and len(pairs) > 1:
        yield "<h2>Modality gap</h2>"
        yield (
            "<p>Do a query and the picture that answers it lie as close as two texts that say the same? Two humps far apart are the gap; "
            "humps that cover each other are what one tower promises. Thin vertical lines are means.</p>"
        )
        for head in ("dense", "late"):
            yield figure(drawing(figures.modality_gap, study, head), f"Scores of matched pairs, {figures.HEADS[head]}.")
    elif "query-picture" not in pairs:
        yield "<p><strong>There are no pictures in this data</strong>: the modality gap is not measured.</p>"
    if pairs:
        yield "<h2>Cone: pairs that match against pairs that do not</h2>"
        yield (
            "<p>Alignment alone says little: where all vectors lie in a narrow cone, every pair scores high. What counts is how far "
            "the two humps are apart: AUC is the chance that a matched pair scores above another one, d′ the distance of the means in "
            "standard deviations.</p>"
        )
        for head in ("dense", "late"):
            yield figure(
                drawing(figures.cone, study, head), f"Up to ten pairs that do not match for each that does; {figures.HEADS[head]}."
            )
    yield "<h2>Where modalities lie</h2>"
    yield figure(
        drawing(figures.similarity_map, study),
        "Dense vectors on their first two principal components (each model has its own); a grey line ties a document to its query. "
        "In brackets the share of the variance that an axis shows.",
    )
    yield "<h2>All measures, by model and adapter</h2>"
    yield figure(drawing(figures.lines, study), CAPTION) or f"<p>{CAPTION}</p>"
    yield "<details open><summary>The numbers</summary>" + "".join(tables(study)) + "</details>"
    if drawn := drawing(figures.by_language, study):
        yield "<h2>By language of the query</h2>"
        yield figure(drawn, "Dense vectors. Few pairs of a language give wide intervals.")
    yield "<h2>What smaller vectors cost</h2>"
    yield (
        f"<p>nDCG@10 among the {data['documents']:,} documents drawn here, which is easier than among all; an order by chance has "
        f"{data['ndcg@10 by chance']:.3f}. Only documents are made "
        "smaller, queries are not. Dense vectors are cut to their first columns; each line is one precision. Tokens are pooled into "
        "means of clusters.</p>"
    )
    for head in ("dense", "late"):
        yield figure(drawing(figures.cost, study, head), f"{figures.HEADS[head].split(',')[0].capitalize()}.")
    yield table(
        ["model", "vectors", "precision", "width", "pooled", "bytes", "nDCG@10"],
        [
            [short(m["label"]), one["head"], one["bits"], f"{one['width']}", f"{one['pooled']}×", f"{one['bytes']:,.0f}", mean(one["ndcg"])]
            for m in models
            for one in main_task(m)["cost"]
        ],
        words=3,
    )
    yield "<h2>How it is measured</h2>" + METHOD


CAPTION = (
    "Dense vectors unless a title says otherwise; bars are 95 % intervals where a measure has one. Centroid distance: between the means of "
    "two modalities (Liang et al. 2022). Linear probe: share of held-out vectors whose modality a logistic regression tells; queries and "
    "pages differ by their prompts too, so compare with the same figure for queries and texts in the table. Effective rank: directions "
    "that the vectors spread over (Roy &amp; Vetterli 2007). Hubness: skewness of how often a document is among the ten best."
)

METHOD = """<p>Matched image–text pairs are a query and the picture of the page that answers it. Matched text–text pairs are the query
and the text of that same page, where it is known, or two queries of one page, as captions of one photograph are. Alignment
is the mean cosine of matched pairs (Eslami &amp; de Melo 2025). Late scores are MaxSim divided by the query's number of
tokens. AUC compares a matched pair with pairs that the judgements do not name; some of these may match all the same. The
probe is a logistic regression with a ridge of 1 on half of the documents, tried on the other half. The mean cosine of random
pairs is over all couples of one modality.</p>"""


def tables(study: Mapping[str, Any]) -> Iterator[str]:
    """Numbers of pairs, sets and gaps."""
    runs = [(short(model["label"]), task, told) for model in study["models"] for task, told in model["tasks"].items()]
    yield table(
        ["model", "adapter", "pairs", "vectors", "n", "matched", "95 %", "others", "AUC", "d′"],
        [
            [
                name, task, kind, head, f"{one['positive']['n']:,}", number(one["positive"]["mean"], 3), ends(one["positive"]),
                number(one["negative"]["mean"], 3), number(one["auc"], 3), number(one["d_prime"]),
            ]
            for name, task, told in runs
            for kind, heads in told["pairs"].items()
            for head, one in heads.items()
        ],
        words=4,
    )  # fmt: skip
    yield table(
        ["model", "adapter", "between", "centroid distance", "linear probe", "95 %"],
        [
            [name, task, between, number(one["centroid_distance"], 3), number(one["separability"]["mean"], 3), ends(one["separability"])]
            for name, task, told in runs
            for between, one in told["between"].items()
        ],
        words=3,
    )
    yield table(
        ["model", "adapter", "vectors of", "n", "width", "random cosine", "effective rank", "centred"],
        [
            [
                name, task, of, f"{one['n']:,}", one["width"], number(one["random_cosine"], 3), number(one["effective_rank"], 1),
                number(one["effective_rank_centred"], 1),
            ]
            for name, task, told in runs
            for modality, whole in told["sets"].items()
            for of, one in ((modality, whole), (f"tokens of {modality}", whole["tokens"]))
        ],
        words=3,
    )  # fmt: skip
    yield table(
        ["model", "adapter", "vectors", "nDCG@10", "95 %", "hubness"],
        [
            [name, task, head, number(one["ndcg@10"]["mean"], 3), ends(one["ndcg@10"]), number(one["hubness"])]
            for name, task, told in runs
            for head, one in told["retrieval"].items()
        ],
        words=3,
    )


def figure(svg: str, caption: str) -> str:
    return f"<figure>{svg}<figcaption>{caption}</figcaption></figure>" if svg else ""


def table(head: Sequence[str], rows: Sequence[Sequence[object]], *, words: int) -> str:
    """The first `words` columns are words, the others numbers. Nothing where there are no rows."""
    if not rows:
        return ""

    def cells(values: Sequence[object], kind: str) -> str:
        return "".join(f"<{kind}{' class=word' if i < words else ''}>{escaped(str(value))}</{kind}>" for i, value in enumerate(values))

    lines = "\n".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{cells(head, "th")}</tr></thead><tbody>\n{lines}\n</tbody></table></div>'


def mean(one: Mapping[str, Any]) -> str:
    return f"{number(one['mean'], 3)} ({ends(one)})"


def ends(one: Mapping[str, Any]) -> str:
    return f"{number(one['low'], 3)} – {number(one['high'], 3)}"


def escaped(text: str) -> str:
    return html.escape(text)


def plain(study: Mapping[str, Any]) -> str:
    """The main figures as lines of text, a model and adapter each."""
    rows = [["model", "adapter", "image-text", "text-text", "centroids", "probe", "AUC", "random", "rank", "nDCG dense", "nDCG late"]]
    for model in study["models"]:
        for task, told in model["tasks"].items():
            pairs, between = told["pairs"], told["between"].get("queries and pictures")
            matched = pairs.get("query-picture", {}).get("dense")
            texts = (pairs.get("query-text") or pairs.get("query-query") or {}).get("dense")
            shown = matched or texts
            documents = told["sets"].get("pictures") or told["sets"].get("texts")
            rows.append(
                [
                    short(model["label"]), task, number(matched and matched["positive"]["mean"], 3),
                    number(texts and texts["positive"]["mean"], 3),
                    number(between and between["centroid_distance"], 3), number(between and between["separability"]["mean"], 3),
                    number(shown and shown["auc"], 3), number(documents and documents["random_cosine"], 3),
                    number(documents and documents["effective_rank"], 1), number(told["retrieval"]["dense"]["ndcg@10"]["mean"], 3),
                    number(told["retrieval"]["late"]["ndcg@10"]["mean"], 3),
                ]
            )  # fmt: skip
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i < 2 else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
