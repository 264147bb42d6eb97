"""Models on pairs: every measure of every model and adapter, as plain data.

A study is a nest of dicts, lists, strings and numbers, as it is written to report.json:

    data      name, task, seed, numbers of queries, documents, languages
    models    list, in the order given:
      name, label (the end of the name that tells it from the others), fingerprint
      tasks   adapter -> what was measured with it:
        pairs      kind -> head -> positive and negative scores, auc, d_prime, histogram, languages
        sets       queries, pictures, texts -> n, width, random_cosine, effective_rank, and the same of token vectors
        between    two sets -> centroid_distance, separability
        retrieval  head -> ndcg@10, hubness, languages
        map        first two principal components of the dense vectors
        cost       list of `cost.Cost`; of the data's own task only

Kinds of pairs: "query-picture" is the matched image-text pair; "query-text" the query with the text of that very page, and
"query-query" two queries of one document (two captions of a photograph) are the matched text-text pairs; "picture-text" is a page with
what is written on it. The head "late" is MaxSim divided by the query's tokens, so that it is between -1 and 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from unitower import __version__
from unitower.analysis import cost, measures
from unitower.analysis.material import Material
from unitower.evaluation.models import all_maxsims
from unitower.evaluation.runner import Progress
from unitower.types import Embeddings, Encodable, Encodes, Floats, Ragged, Role

NEGATIVES = 10
"""Pairs that do not match, for each one that does."""

EDGES = np.round(np.linspace(-1, 1, 101), 2)
"""Of the histograms."""

TOKENS = 2_000
"""Token vectors looked at of each set."""

ON_MAP = 150
"""Documents on the map."""

AT_ONCE = 32
"""Items encoded between two signs of progress."""

Bools: TypeAlias = npt.NDArray[np.bool_]
Tell: TypeAlias = Callable[[Progress], None]


def study(
    material: Material,
    models: Sequence[Callable[[], Encodes]],
    *,
    tasks: Sequence[str] = (),
    seed: int = 0,
    tell: Tell = lambda progress: None,
) -> dict[str, Any]:
    """All measures of all models.

    models  opened one after the other
    tasks   adapters to look at; none: all a model has
    tell    told how far it is

    ValueError for a task that a model does not have.
    """
    told: list[dict[str, Any]] = []
    for open_model in models:
        encoder = open_model()
        if unknown := [task for task in tasks if task not in encoder.tasks]:
            raise ValueError(f"this model has no task {unknown[0]!r}; it has {', '.join(encoder.tasks)}.")
        wanted = [task for task in encoder.tasks if not tasks or task in tasks]
        wanted.sort(key=lambda task: task != material.task)  # the data's own first
        name = encoder.fingerprint(task=wanted[0]).model
        progress = partial(Progress, model=name, tasks_total=len(wanted))
        told.append(
            {
                "name": name,
                "fingerprint": {task: encoder.fingerprint(task=task).as_dict() for task in wanted},
                "tasks": {
                    task: looked_at(
                        encoded(
                            encoder, material, task=task, tell=tell, at=partial(progress, task=f"{material.name}, {task}", tasks_done=done)
                        ),
                        seed=seed,
                        cost_too=done == 0,
                    )
                    for done, task in enumerate(wanted)
                },
            }
        )
    for model, label in zip(told, labels([model["name"] for model in told]), strict=True):
        model["label"] = label
    languages = {language: material.languages.count(language) for language in sorted(set(material.languages))}
    about = {
        "name": material.name,
        "task": material.task,
        "seed": seed,
        "queries": len(material.queries),
        "documents": len(material.documents),
        "pictures": sum(document.modality == "image" for document in material.documents),
        "drawn_from": {"queries": material.drawn_from[0], "documents": material.drawn_from[1]},
        "languages": languages,
        "ndcg@10 by chance": cost.chance(material.grades, len(material.documents)),
        "identity": dict(material.identity),
    }
    return dict(written({"unitower": __version__, "data": about, "models": told}))


def labels(names: Sequence[str]) -> list[str]:
    """The last part of each path or Hub id; more of it where several are alike.

    >>> labels(["runs/a/model", "runs/b/model"]), labels(["jinaai/jina-embeddings-v4", "nano"])
    (['a/model', 'b/model'], ['jina-embeddings-v4', 'nano'])
    """
    parts = [name.strip("/").split("/") for name in names]
    for kept in range(1, max(map(len, parts), default=1)):
        if len(found := ["/".join(one[-kept:]) for one in parts]) == len(set(found)):
            return found
    return ["/".join(one) for one in parts]


# ---------------------------------------------------------------- vectors


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """The vectors of a material.

    layers   of the documents that are pictures with a known text, in the order of `layered`, their places
    """

    material: Material
    queries: Embeddings
    documents: Embeddings
    layers: Embeddings
    layered: list[int]


def encoded(encoder: Encodes, material: Material, *, task: str, tell: Tell, at: Callable[..., Progress]) -> Encoded:
    """Vectors of queries, documents, and the texts of pictures; `at` makes a sign of progress of two numbers."""
    layered = [place for place, text in enumerate(material.texts) if text]
    sides: list[tuple[Sequence[Encodable], Role]] = [
        (material.queries, "query"),
        (material.documents, "passage"),
        ([material.texts[place] for place in layered], "passage"),
    ]
    about = encoder.fingerprint(task=task)
    done, total = 0, sum(len(items) for items, _ in sides)
    found = []
    for items, role in sides:
        parts = []
        for first in range(0, len(items), AT_ONCE):
            parts.append(encoder.encode(items[first : first + AT_ONCE], task=task, role=role))
            done += len(parts[-1])
            tell(at(documents_done=done, documents_total=total))
        found.append(
            Embeddings(
                dense=np.concatenate([np.empty((0, about.dense_width), np.float32), *(part.dense for part in parts)]),
                multi=Ragged.of([rows for part in parts for rows in part.multi], width=about.multi_width),
                fingerprint=about,
            )
        )
    return Encoded(material=material, queries=found[0], documents=found[1], layers=found[2], layered=layered)


# ---------------------------------------------------------------- measures


@dataclass(frozen=True, kw_only=True)
class Kind:
    """Pairs of one kind.

    one, other   the vectors of either side, each item once
    rows, own    place of each pair's item in `one`, and in `other`
    together     bool [pairs, other]: what belongs to the pair's item, its own among it
    languages    of each pair
    """

    one: Embeddings
    other: Embeddings
    rows: list[int]
    own: list[int]
    together: Bools
    languages: list[str]


def kinds(found: Encoded) -> dict[str, Kind]:
    """Every kind of pairs the material has at least two of."""
    material = found.material
    pictures = [place for place, document in enumerate(material.documents) if document.modality == "image"]
    texts = [place for place, document in enumerate(material.documents) if document.modality != "image"]
    queries: dict[int, list[int]] = {}
    for query, document in enumerate(material.own):
        queries.setdefault(document, []).append(query)

    def asked(other: Embeddings, places: list[int]) -> Kind:
        at = {document: column for column, document in enumerate(places)}
        rows = [query for query, document in enumerate(material.own) if document in at]
        together = np.zeros((len(rows), len(places)), bool)
        for number, query in enumerate(rows):
            together[number, [at[one] for one in {material.own[query], *material.grades[query]} if one in at]] = True
        own = [at[material.own[query]] for query in rows]
        languages = [material.languages[query] for query in rows]
        return Kind(one=found.queries, other=other, rows=rows, own=own, together=together, languages=languages)

    both = [several for several in queries.values() if len(several) > 1]
    layer = {place: column for column, place in enumerate(found.layered)}
    every = {
        "query-picture": asked(taken(found.documents, pictures), pictures),
        "query-text": asked(taken(found.documents, texts), texts) if texts else asked(found.layers, found.layered),
        "query-query": Kind(
            one=found.queries,
            other=taken(found.queries, [several[1] for several in both]),
            rows=[several[0] for several in both],
            own=list(range(len(both))),
            together=np.eye(len(both), dtype=bool),
            languages=[material.languages[several[0]] for several in both],
        ),
        "picture-text": Kind(
            one=taken(found.documents, found.layered),
            other=found.layers,
            rows=list(range(len(layer))),
            own=list(range(len(layer))),
            together=np.eye(len(layer), dtype=bool),
            languages=["?"] * len(layer),
        ),
    }
    return {name: kind for name, kind in every.items() if len(kind.rows) > 1}


def taken(vectors: Embeddings, places: Sequence[int]) -> Embeddings:
    return Embeddings(dense=vectors.dense[list(places)], multi=vectors.multi.take(places), fingerprint=vectors.fingerprint)


def dense_scores(one: Embeddings, other: Embeddings) -> Floats:
    return np.asarray(one.dense @ other.dense.T, np.float32)


def late_scores(one: Embeddings, other: Embeddings) -> Floats:
    """MaxSim divided by the tokens of `one`."""
    return np.asarray(all_maxsims(one.multi, other.multi) / one.multi.lengths[:, None], np.float32)


HEADS: Mapping[str, Callable[[Embeddings, Embeddings], Floats]] = {"dense": dense_scores, "late": late_scores}


def looked_at(found: Encoded, *, seed: int, cost_too: bool) -> dict[str, Any]:
    """All measures of one model with one adapter."""
    material = found.material
    of_kind = kinds(found)
    told: dict[str, Any] = {"pairs": {}, "sets": {}, "between": {}, "retrieval": {}}
    for name, kind in of_kind.items():
        heads = HEADS if name != "picture-text" else {"dense": dense_scores}  # MaxSim of a page's tokens with its words means little
        told["pairs"][name] = {head: apart(score(taken(kind.one, kind.rows), kind.other), kind, seed=seed) for head, score in heads.items()}
    modalities = {"queries": found.queries}
    for name, is_picture in (("pictures", True), ("texts", False)):
        places = [place for place, document in enumerate(material.documents) if (document.modality == "image") == is_picture]
        modalities[name] = taken(found.documents, places)
    if not len(modalities["texts"]):
        modalities["texts"] = found.layers
    told["sets"] = {name: spread(vectors, seed=seed) for name, vectors in modalities.items() if len(vectors) > 1}
    for pair, (kind_name, one, other) in {
        "queries and pictures": ("query-picture", "queries", "pictures"),
        "queries and texts": ("query-text", "queries", "texts"),
        "pictures and texts": ("picture-text", "pictures", "texts"),
    }.items():
        if kind_name in of_kind:
            told["between"][pair] = gap(of_kind[kind_name], modalities[one], modalities[other], seed=seed)
    for head, score in HEADS.items():
        scores = score(found.queries, found.documents)
        figures = cost.ndcg(scores, material.grades)
        told["retrieval"][head] = {
            "ndcg@10": asdict(measures.mean_of(figures, seed=seed)),
            "hubness": measures.hubness(scores),
            "languages": {
                language: asdict(measures.mean_of(np.array(figures)[where], seed=seed)) for language, where in groups(material.languages)
            },
        }
    told["map"] = on_a_map(found)
    if cost_too:
        told["cost"] = [asdict(one) for one in cost.costs(found.queries, found.documents, material.grades, seed=seed)]
    return told


def groups(languages: Sequence[str]) -> list[tuple[str, Bools]]:
    """Each language and which pairs are of it."""
    each = np.array(languages)
    return [(language, each == language) for language in sorted(set(languages))]


def apart(scores: Floats, kind: Kind, *, seed: int) -> dict[str, Any]:
    """Scores of pairs that match and of pairs that do not, and how well they are told apart.

    scores  [pairs, other]
    """
    positive = scores[np.arange(len(scores)), kind.own].astype(np.float64)
    row, column = measures.others(len(scores), per_row=NEGATIVES, forbidden=kind.together, seed=seed)
    negative = scores[row, column].astype(np.float64)

    def told(pairs: Bools, couples: Bools) -> dict[str, Any]:
        good, bad = positive[pairs], negative[couples]
        return {
            "positive": asdict(measures.mean_of(good, seed=seed)),
            "negative": {"mean": float(bad.mean()) if len(bad) else math.nan, "n": len(bad)},
            "auc": measures.auc(good, bad),
            "d_prime": measures.d_prime(good, bad),
        }

    every = told(np.ones(len(positive), bool), np.ones(len(negative), bool))
    return every | {
        "positive_sd": float(positive.std()),
        "negative_sd": float(negative.std()) if len(negative) else math.nan,
        "histogram": {
            "edges": EDGES.tolist(),
            "positive": np.histogram(np.clip(positive, -1, 1), EDGES)[0].tolist(),
            "negative": np.histogram(np.clip(negative, -1, 1), EDGES)[0].tolist(),
        },
        "languages": {language: told(where, where[row]) for language, where in groups(kind.languages)},
    }


def spread(vectors: Embeddings, *, seed: int) -> dict[str, Any]:
    """How the vectors of one modality lie in space, and how its token vectors do."""
    rows = vectors.multi.data
    some = np.sort(np.random.default_rng(seed).permutation(len(rows))[:TOKENS])
    return {
        "n": len(vectors),
        **lies(vectors.dense),
        "tokens_per_item": float(vectors.multi.lengths.mean()),
        "tokens": {"n": len(some), **lies(rows[some])},
    }


def lies(rows: Floats) -> dict[str, Any]:
    return {
        "width": rows.shape[1],
        "random_cosine": measures.random_cosine(rows),
        "effective_rank": measures.effective_rank(rows),
        "effective_rank_centred": measures.effective_rank(rows, centred=True),
    }


def gap(kind: Kind, one: Embeddings, other: Embeddings, *, seed: int) -> dict[str, Any]:
    """Centroid distance of two modalities, and whether a plane lies between them: one pair a document for the probe."""
    first = dict(zip(reversed(kind.own), reversed(kind.rows), strict=True))
    pairs = sorted(first.items())
    separable = measures.separability(kind.one.dense[[row for _, row in pairs]], kind.other.dense[[own for own, _ in pairs]], seed=seed)
    return {"centroid_distance": measures.centroid_distance(one.dense, other.dense), "separability": asdict(separable)}


def on_a_map(found: Encoded) -> dict[str, Any]:
    """First two principal components of queries, documents and their texts, evenly taken; share of the variance that they show."""
    material = found.material
    documents = [int(place) for place in np.unique(np.linspace(0, len(material.documents) - 1, ON_MAP).astype(int))]
    query_of = dict(zip(reversed(material.own), reversed(range(len(material.own))), strict=True))
    layer_of = {place: column for column, place in enumerate(found.layered)}
    rows = np.concatenate([found.queries.dense, found.documents.dense, found.layers.dense]).astype(np.float64)
    mean = rows.mean(axis=0)
    _, values, axes = np.linalg.svd(rows - mean, full_matrices=False)
    axes = axes[:2] * np.where(axes[:2].sum(axis=1) < 0, -1, 1)[:, None]  # a sign of its own would change from machine to machine

    def at(vector: Floats) -> list[float]:
        return [round(float(x), 4) for x in axes @ (vector - mean)]

    return {
        "variance": [float(share) for share in (values**2 / max((values**2).sum(), 1e-30))[:2]],
        "points": [
            {
                "modality": material.documents[place].modality,
                "document": at(found.documents.dense[place]),
                "query": at(found.queries.dense[query_of[place]]) if place in query_of else None,
                "text": at(found.layers.dense[layer_of[place]]) if place in layer_of else None,
            }
            for place in documents
        ],
    }


def written(value: Any) -> Any:
    """Plain data: numbers that are none become None, as JSON has no word for them."""
    if isinstance(value, Mapping):
        return {str(key): written(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [written(one) for one in value]
    if isinstance(value, float):
        return None if math.isnan(value) or math.isinf(value) else round(value, 6)
    return value
