"""The table of nano: what it finds, on material its training never saw, beside searches by words, by Tesseract and by MiniLM.

    bench/nano/setup.sh                                               # once: fetches the material, see bench/nano/held_out.toml
    OMP_NUM_THREADS=1 taskset -c 0 python bench/nano_table.py         # the whole table, as Markdown on stdout
    python bench/nano_table.py --quick --model runs/nano/checkpoint   # a minute: smaller pools, no Tesseract
    python bench/nano_table.py --lines pages-en code --json out.json

Every line is kept when it is done, so that a table that was stopped goes on; what Tesseract and MiniLM gave is kept for all models.
Needs the test extra, Chromium and Tesseract. bench/nano/sets.py tells what each line searches.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from nano import baselines, material, sets
from nano.keeping import got_json, put_json
from nano.measuring import measured
from nano.progress import told
from nano.ranking import averaged, figures, ranks, spearman
from nano.sets import Pool

if TYPE_CHECKING:
    from unitower.encode.encoder import Encoder

VERSION = 1
"""To be raised when lines are measured in another way, so that kept ones are measured anew."""

TITLES = {"ndcg10": "nDCG@10", "mrr10": "MRR@10", "first5": "right one among the first 5", "spearman": "Spearman", "ratio": "times"}
OTHERS = ("half", "BM25", "Tesseract", "MiniLM")


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line of the table.

    title   as a reader calls it
    bar     the least that `figure` of the late scores should reach; None where nothing was asked for
    pools   what is searched, each counting alike; quick: how many documents of each --quick takes, 0 leaves the line out
    """

    title: str
    pools: Callable[[], Sequence[Pool]]
    bar: float | None = None
    figure: str = "ndcg10"
    quick: int = 0


ACROSS = ("de", "fr", "es", "ru", "it")
REAL = ("en", "de", "fr", "es", "it", "pt", "ru", "ja")

LINES = {
    "pages-en": Line(title="English pages, key words and phrases", pools=lambda: [sets.prose_pages("en")], bar=0.90, quick=50),
    "pages-de": Line(title="German pages", pools=lambda: [sets.prose_pages("de")], bar=0.80),
    "pages-fr": Line(title="French pages", pools=lambda: [sets.prose_pages("fr")], bar=0.80),
    "pages-es": Line(title="Spanish pages", pools=lambda: [sets.prose_pages("es")], bar=0.80),
    "pages-ru": Line(title="Russian pages", pools=lambda: [sets.prose_pages("ru")], bar=0.80),
    "scans": Line(title="degraded scans, English", pools=lambda: [sets.scans()], bar=0.75, quick=24),
    "figures": Line(title="tables, charts, slides, forms", pools=lambda: [sets.figures()], bar=0.70, quick=40),
    "meaning": Line(title="pages by questions and descriptions", pools=lambda: [sets.meanings()], bar=0.45),
    "across": Line(
        title="pages in German, French, Spanish, Russian, Italian by English questions and descriptions",
        pools=lambda: [sets.across(language) for language in ACROSS],
        bar=0.30,
    ),
    "code": Line(title="functions by their docstrings", pools=lambda: [sets.code()], bar=0.60, figure="mrr10", quick=100),
    "strings-own": Line(
        title="interface strings by some of their words, own language",
        pools=lambda: [sets.own_strings(language) for language in sets.STRINGS],
        bar=0.60,
    ),
    "strings-across": Line(
        title="interface strings by what they are in English",
        pools=lambda: [sets.strings_across(language) for language in sets.STRINGS if language != "en"],
        bar=0.60,
    ),
    "settings": Line(title="what a setting does by its name, English", pools=lambda: [sets.settings()]),
    "mixed": Line(title="pages, texts and code in one pool", pools=lambda: [sets.mixed()], bar=0.80, figure="first5"),
    **{
        f"pdf-{language}": Line(title=f"real PDFs, {language}", pools=lambda language=language: [sets.real(language)])  # type: ignore[misc]
        for language in REAL
    },
}
ALONE = ("sts", "speed")
"""Lines that search nothing."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="nano", help="as unitower.load takes it (default: nano)")
    parser.add_argument("--lines", nargs="+", metavar="NAME", choices=[*LINES, *ALONE], help=f"of {', '.join([*LINES, *ALONE])}")
    parser.add_argument("--quick", action="store_true", help="a few lines, small pools, only what Tesseract has read before")
    parser.add_argument("--most", type=int, metavar="N", help="take the first N documents of each pool: quicker, and easier to find in")
    parser.add_argument(
        "--baselines", choices=["all", "kept", "none"], help="all; kept: Tesseract as far as it has read before; none: BM25 alone"
    )
    parser.add_argument("--again", action="store_true", help="measure lines of this model that are kept, too")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write all figures here as well")
    options = parser.parse_args()
    try:
        table(options)
    except material.Missing as error:
        sys.exit(f"nano_table.py: {error}")


def table(options: argparse.Namespace) -> None:
    import torch

    import unitower

    torch.set_num_threads(1)
    encoder = unitower.load(options.model)
    reading = options.baselines or ("kept" if options.quick else "all")
    quick = [*(name for name, line in LINES.items() if line.quick), "sts"]
    wanted = options.lines or (quick if options.quick else [*LINES, *ALONE])
    done: dict[str, dict[str, Any]] = {}
    for name in wanted:
        started = time.time()
        if name == "sts":
            graded = (material.HERE / "graded.tsv").read_text(encoding="utf-8")
            done[name] = kept(encoder, name, graded, lambda: similarity(encoder), again=options.again)
        elif name == "speed":
            done[name] = kept(encoder, name, "", lambda: speed(encoder), again=options.again)
        else:
            most = options.most or (LINES[name].quick if options.quick else 0)
            done[name] = searched(encoder, name, most=most or None, reading=reading, again=options.again)
        told(f"{name}: {time.time() - started:.0f} s")
    model = {"name": encoder.name, "revision": encoder.revision, "dtype": str(encoder.dtype).removeprefix("torch.")}
    part_of = ", small pools" if options.quick or options.most else ""
    if options.json is not None:
        put_json(options.json, {"model": model, "quick": options.quick, "most": options.most, "lines": done}, indent=1)
    print(markdown(done, f"{model['name']} ({model['revision']}, {model['dtype']}){part_of}"))


def kept(encoder: Encoder, name: str, what: str, measure: Callable[[], dict[str, Any]], *, again: bool) -> dict[str, Any]:
    """A result of this model that was kept, or a new one."""
    key = hashlib.sha256(f"{VERSION} {encoder.revision} {encoder.dtype} {name} {what}".encode()).hexdigest()[:24]
    path = material.ROOT / "results" / f"{name}-{key}.json"
    if path.is_file() and not again:
        return dict(got_json(path))
    found = measure()
    put_json(path, found)
    return found


# ---------------------------------------------------------------- lines that search


def searched(encoder: Encoder, name: str, *, most: int | None, reading: str, again: bool) -> dict[str, Any]:
    """Figures of a line by system: late, dense, half, BM25, MiniLM and, where it read them, Tesseract; of kinds of query too.

    most  documents of each pool; None for all
    """
    line = LINES[name]
    pools = [pool.part(most) for pool in line.pools()]
    systems: dict[str, list[dict[str, float]]] = {}
    kinds: dict[str, list[float]] = {}
    seconds: dict[str, list[float]] = {}
    for pool in pools:

        def own(pool: Pool = pool) -> dict[str, Any]:
            told(f"{name}: {len(pool.documents)} documents, {len(pool.queries)} queries")
            scores = measured(encoder, pool)
            right = [query.right for query in pool.queries]
            found = {"late": ranks(scores.late, right), "dense": ranks(scores.dense, right), "half": ranks(scores.half, right)}
            return {"ranks": {system: list(map(int, some)) for system, some in found.items()}, "seconds": scores.page_seconds}

        mine = kept(encoder, name, fingerprint(pool), own, again=again)
        found = {system: np.array(some) for system, some in mine["ranks"].items()}
        if mine["seconds"] is not None:
            seconds.setdefault("nano", []).append(mine["seconds"])
        beside, read_seconds = others(pool, reading=reading)
        if read_seconds is not None:
            seconds.setdefault("Tesseract", []).append(read_seconds)
        chance = np.arange(1, len(pool.documents) + 1)
        for system, some in {**found, **beside, "chance": chance}.items():
            systems.setdefault(system, []).append(figures(some))
        for kind in sorted({query.kind for query in pool.queries}):
            chosen = np.array([query.kind == kind for query in pool.queries])
            kinds.setdefault(kind, []).append(figures(found["late"][chosen])[line.figure])
    return {
        "title": line.title,
        "bar": line.bar,
        "figure": line.figure,
        "documents": [len(pool.documents) for pool in pools],
        "queries": [len(pool.queries) for pool in pools],
        "systems": {system: averaged(several) for system, several in systems.items() if len(several) == len(pools)},
        "pools": [round(one[line.figure], 4) for one in systems["late"]],
        "kinds": {kind: float(np.mean(values)) for kind, values in kinds.items()},
        "seconds": {system: float(np.mean(values)) for system, values in seconds.items()},
    }


def fingerprint(pool: Pool) -> str:
    """What tells one pool from another: its texts, pictures and queries."""
    digest = hashlib.sha256()
    for document in pool.documents:
        digest.update(document.text.encode("utf-8", "replace"))
        if document.page is not None:
            digest.update(document.page.path.read_bytes())
    digest.update(json.dumps([pool.task, [dataclasses.astuple(query) for query in pool.queries]]).encode())
    return digest.hexdigest()


def others(pool: Pool, *, reading: str) -> tuple[dict[str, Any], float | None]:
    """Ranks of the searches beside nano, and Tesseract's seconds a page."""
    queries, right = [query.text for query in pool.queries], [query.right for query in pool.queries]
    texts = [document.text for document in pool.documents]
    found = {"BM25": ranks(baselines.by_words(queries, texts), right)}
    if reading == "none":
        return found, None
    found["MiniLM"] = ranks(baselines.minilm_scores(queries, texts), right)
    if any(document.page is None for document in pool.documents):
        return found, None
    read = baselines.read(pool.documents, only_kept=reading == "kept")
    if read is None:
        return found, None
    found["Tesseract"] = ranks(baselines.by_words(queries, read[0]), right)
    return found, read[1]


# ---------------------------------------------------------------- the others


def similarity(encoder: Encoder) -> dict[str, Any]:
    """Rank correlation of cosines with the grades of bench/nano/graded.tsv, mean of its sets."""
    lines = (material.HERE / "graded.tsv").read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    names, grades = np.array([row[0] for row in rows]), np.array([float(row[1]) for row in rows])
    first, second = [row[2] for row in rows], [row[3] for row in rows]
    task = "text-matching" if "text-matching" in encoder.tasks else "retrieval"
    a, b = (encoder.encode(texts, task=task, role="query").dense for texts in (first, second))
    half = a.shape[1] // 2

    def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.asarray((a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)))

    scores = {
        "dense": cosines(a, b),
        "half": cosines(a[:, :half], b[:, :half]),
        "shared words": np.array([len(x & y) / len(x | y) for x, y in zip(map(_words, first), map(_words, second), strict=True)]),
        "MiniLM": cosines(baselines.minilm(first), baselines.minilm(second)),
    }
    parts = list(dict.fromkeys(names))
    by_set = {system: [spearman(values[names == part], grades[names == part]) for part in parts] for system, values in scores.items()}
    return {
        "title": f"similarity of {len(rows)} graded pairs of sentences, mean of {' and '.join(parts)}",
        "bar": 0.70,
        "figure": "spearman",
        "systems": {system: {"spearman": float(np.mean(values)), "sets": values} for system, values in by_set.items()},
    }


def _words(text: str) -> set[str]:
    from unitower.stores.words import analysed

    return set(analysed(text).parts)


def speed(encoder: Encoder) -> dict[str, Any]:
    """Pages a second of one core, nano and Tesseract in turn on the same 12 pages, best of three for nano."""
    pages = [document.page for document in sets.prose_pages("en").documents[:12] if document.page is not None]
    pictures = [page.image() for page in pages]
    best = min(_seconds(lambda: encoder.encode(pictures, role="passage")) for _ in range(3)) / len(pages)
    plain = float(np.mean([baselines.recognised(page.path, "eng", enlarged=1)[1] for page in pages]))
    larger = float(np.mean([baselines.recognised(page.path, "eng", enlarged=baselines.ENLARGED)[1] for page in pages]))
    return {
        "title": "pages a second of one core, times Tesseract's",
        "bar": 5.0,
        "figure": "ratio",
        "systems": {"nano": {"ratio": plain / best}, "against Tesseract on pages of twice the size": {"ratio": larger / best}},
        "seconds": {"nano": best, "Tesseract": plain},
    }


def _seconds(act: Callable[[], object]) -> float:
    before = time.process_time()
    act()
    return time.process_time() - before


# ---------------------------------------------------------------- printing


HEAD = (
    "line", "what", "bar", "chance", "nano, late", "", "nDCG@5", "recall@1", "dense", "dense, half",
    "BM25", "Tesseract", "MiniLM", "s a page", "Tesseract's",
)  # fmt: skip


def markdown(done: Mapping[str, Mapping[str, Any]], model: str) -> str:
    """The tables, their bars beside them."""
    parts = [f"Model: {model}."]
    for title, chosen in (
        ("What nano finds", [name for name in done if name in LINES and not name.startswith("pdf-")]),
        ("Real PDFs", [name for name in done if name.startswith("pdf-")]),
    ):
        if not chosen:
            continue
        rows = [row(name, done[name]) for name in chosen]
        if title == "Real PDFs" and len(rows) > 1:
            rows.append(mean_row([done[name] for name in chosen]))
        parts.append(f"### {title}\n\n{drawn(HEAD, rows)}")
    parts.append("### Other bars\n\n" + drawn(("what", "bar", "nano", "", "beside"), other_rows(done)))
    by_kind = [
        f"- {name}: " + ", ".join(f"{kind} {number(value)}" for kind, value in one["kinds"].items())
        for name, one in done.items()
        if len(one.get("kinds", ())) > 1
    ]
    if by_kind:
        parts.append("### Late, by kind of query\n\n" + "\n".join(by_kind))
    return "\n\n".join(parts)


def row(name: str, one: Mapping[str, Any]) -> list[str]:
    systems, figure = one["systems"], one["figure"]
    late = systems["late"][figure]
    return [
        name, f"{one['title']} ({TITLES[figure]})", "" if one["bar"] is None else f"≥ {number(one['bar'])}",
        number(systems["chance"][figure]), f"**{number(late)}**",
        "" if one["bar"] is None else reached(late, one["bar"]), number(systems["late"]["ndcg5"]), number(systems["late"]["recall1"]),
        *(number(systems[system][figure]) if system in systems else "" for system in ("dense", *OTHERS)),
        *(f"{one['seconds'][system]:.2f}" if system in one["seconds"] else "" for system in ("nano", "Tesseract")),
    ]  # fmt: skip


def mean_row(some: Sequence[Mapping[str, Any]]) -> list[str]:
    shared = [system for system in ("chance", "late", "dense", *OTHERS) if all(system in one["systems"] for one in some)]
    systems = {system: averaged([one["systems"][system] for one in some]) for system in shared}
    return row("mean", {"title": f"mean of {len(some)} languages", "bar": None, "figure": "ndcg10", "systems": systems, "seconds": {}})


def other_rows(done: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """The graded set, speed, and the two bars that compare nano with itself."""
    rows = []
    for name in ALONE:
        if name in done:
            one = done[name]
            (_, first), *rest = ((system, values[one["figure"]]) for system, values in one["systems"].items())
            beside = ", ".join(f"{system} {number(value)}" for system, value in rest)
            if sets_of := next(iter(one["systems"].values())).get("sets"):
                beside += f"; by set {', '.join(map(number, sets_of))}, MiniLM {', '.join(map(number, one['systems']['MiniLM']['sets']))}"
            if "seconds" in one:
                beside += "".join(f", {system} {value:.3f} s a page" for system, value in one["seconds"].items())
            what = f"{one['title']} ({TITLES[one['figure']]})"
            rows.append([what, f"≥ {number(one['bar'])}", f"**{number(first)}**", reached(first, one["bar"]), beside])
    pages = [one for name, one in done.items() if name in LINES and one["seconds"] and one["figure"] == "ndcg10"]
    if pages:
        late, dense, half = (float(np.mean([one["systems"][system]["ndcg10"] for one in pages])) for system in ("late", "dense", "half"))
        behind, cut = 100 * (late - dense), 100 * (dense - half)
        lines = f"mean of the {len(pages)} lines of pages above, nDCG@10: late {number(late)}, dense {number(dense)}, half {number(half)}"
        rows.append(["points that dense is behind late", "≤ 12", f"**{behind:.1f}**", "yes" if behind <= 12 else "no", lines])
        rows.append(["points lost by half the dense width", "≤ 2", f"**{cut:.1f}**", "yes" if cut <= 2 else "no", "the same lines"])
    return rows


def reached(value: float, bar: float) -> str:
    return "yes" if value >= bar else f"{number(bar - value)} short"


def number(value: float) -> str:
    """Three digits: .123, or 12.3 from 1 on.

    >>> number(0.5), number(1.0), number(5.25)
    ('.500', '1.00', '5.25')
    """
    return f"{value:.3f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.2f}"


def drawn(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


if __name__ == "__main__":
    main()
