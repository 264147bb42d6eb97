"""mteb (2.26): our encoder in its encoder protocol, our search in its search protocol, its tasks as cards.

    import mteb, unitower
    from unitower.evaluation.mteb_bridge import MtebEncoder, MtebSearch

    nano = unitower.load("nano")
    mteb.evaluate(MtebEncoder(nano), mteb.get_tasks(["ArguAna", "STS12VisualSTS"]))
    mteb.evaluate(MtebSearch(nano, "vectors"), mteb.get_tasks(["SCIDOCS"]))

The adapter follows from the kind of task, the prompt from the side that is encoded: task and role are two arguments all the way, never
one string. Needs `pip install unitower[mteb]`. Known of mteb: it looks at `isinstance` of runtime protocols, so that a class with `index`
and `search` must not have `encode`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from unitower.errors import UnitowerError
from unitower.evaluation.cards import Card
from unitower.evaluation.models import Encoded, Model, all_maxsims
from unitower.evaluation.results import Result
from unitower.scoring import maxsim
from unitower.stores import Entry, Query, Store, open_store
from unitower.types import Embeddings, Encodable, Encodes, Floats, Item, Ragged, Role, Source

if TYPE_CHECKING:
    from mteb.abstasks.task_metadata import TaskMetadata

Vectors: TypeAlias = "Floats | list[Floats]"

ALIKE = {
    "STS", "VisualSTS(eng)", "VisualSTS(multi)", "PairClassification", "BitextMining", "Summarization", "Clustering", "ImageClustering",
    "Classification", "MultilabelClassification", "ImageClassification", "Regression",
}  # fmt: skip
"""Kinds of task whose two sides, if there are two, are of one kind: the adapter text-matching, as jina-embeddings-v4 was judged
(arXiv 2506.18902, section 7)."""

SYMMETRIC = {"ArguAna": "text-matching"}
"""Retrieval tasks whose documents are like their queries; the paper names ArguAna (section 7.1)."""

STRETCH = 32
"""Inputs encoded together where a whole corpus comes at once."""


def task_of(metadata: TaskMetadata) -> str:
    """The adapter for a task of mteb: code for programming, text-matching where both sides are alike, else retrieval.

    >>> from types import SimpleNamespace
    >>> task_of(SimpleNamespace(name="STS12", type="STS", domains=["News"]))
    'text-matching'
    """
    if metadata.name in SYMMETRIC:
        return SYMMETRIC[metadata.name]
    if metadata.type in ALIKE:
        return "text-matching"
    return "code" if "Programming" in (metadata.domains or []) else "retrieval"


def role_of(prompt_type: object) -> Role:
    """The role for a side of a task: passage for documents, query for queries and wherever mteb names no side."""
    return "passage" if getattr(prompt_type, "value", prompt_type) == "document" else "query"


class _Described:
    """What mteb asks of any model: who it is."""

    def __init__(self, encoder: Encodes, *, task: str | None = None) -> None:
        self.encoder, self.task = encoder, task

    def _task(self, metadata: TaskMetadata) -> str:
        """The task that was asked for, or the one that suits."""
        return self.task or task_of(metadata)

    @property
    def mteb_model_meta(self) -> Any:
        from mteb.models import ModelMeta

        about = self.encoder.fingerprint(task=self.encoder.tasks[0])
        name = about.model.strip("/")
        return ModelMeta(
            loader=None,
            name=name if name.count("/") == 1 else f"unitower/{Path(name).name}",
            revision=about.revision,
            release_date=None,
            languages=None,
            n_parameters=None,
            memory_usage_mb=None,
            max_tokens=about.max_length,
            embed_dim=about.dense_width,
            license=None,
            open_weights=True,
            public_training_code=None,
            public_training_data=None,
            framework=["PyTorch"],
            similarity_fn_name=None,
            use_instructions=False,
            training_datasets=None,
            modalities=["text", "image"],
        )


class MtebEncoder(_Described):
    """An encoder for any task of mteb: its `EncoderProtocol`.

    encoder  `unitower.load(...)`, or anything with `types.Encodes`
    mode     "dense": arrays and cosine; "multi": a list of matrices and MaxSim, for tasks of retrieval only
    task     one adapter for everything; None: by the kind of task, see `task_of`
    """

    def __init__(self, encoder: Encodes, *, mode: Literal["dense", "multi"] = "dense", task: str | None = None) -> None:
        super().__init__(encoder, task=task)
        self.mode = mode

    def encode(
        self,
        inputs: Iterable[Mapping[str, Any]],
        *,
        task_metadata: TaskMetadata,
        hf_split: str,
        hf_subset: str,
        prompt_type: object = None,
        **options: Any,
    ) -> Vectors:
        """Vectors of a loader's batches: [n, d], or n matrices [tokens, m].

        An input with a picture and a text is both: its dense vector that of their sum, its tokens those of both, as the released
        model is run by mteb. Other options (batch size, progress) are not heeded: passes have a budget of tokens.
        """
        if self.mode == "multi" and task_metadata.type in ALIKE:
            raise ValueError(f"{task_metadata.name} compares vectors by cosine: it can be evaluated with mode='dense' only.")
        task, role = self._task(task_metadata), role_of(prompt_type)
        dense: list[Floats] = []
        multi: list[Floats] = []
        for batch in inputs:
            vectors = self._both(batch, task=task, role=role)
            dense += list(vectors.dense)
            multi += list(vectors.multi)
        return multi if self.mode == "multi" else np.array(dense, np.float32)

    def _both(self, batch: Mapping[str, Any], *, task: str, role: Role) -> Embeddings:
        """Vectors of a batch: its pictures, its texts, or the two together."""
        sides = [side for side in (batch.get("image"), batch.get("text")) if side is not None]
        if not sides:
            raise ValueError(f"inputs have {', '.join(batch)}: this encoder reads text and image.")
        first, *others = [self.encoder.encode(encodable(side), task=task, role=role) for side in sides]
        for other in others:
            dense = first.dense + other.dense
            dense /= np.linalg.norm(dense, axis=1, keepdims=True)
            multi = Ragged.of([np.concatenate(pair) for pair in zip(first.multi, other.multi, strict=True)])
            first = Embeddings(dense=dense, multi=multi, fingerprint=first.fingerprint)
        return first

    def similarity(self, first: Any, second: Any) -> Floats:
        """Cosine or MaxSim of all with all, [n, m]."""
        if self.mode == "dense":
            scores: Floats = array(first) @ array(second).T
            return scores
        return all_maxsims(Ragged.of(matrices(first)), Ragged.of(matrices(second)))

    def similarity_pairwise(self, first: Any, second: Any) -> Floats:
        """Cosine or MaxSim of each with its like, [n]."""
        if self.mode == "dense":
            scores: Floats = (array(first) * array(second)).sum(axis=1)
            return scores
        return np.array([maxsim(a, [b])[0] for a, b in zip(matrices(first), matrices(second), strict=True)], np.float32)


class MtebSearch(_Described):
    """The search of an index, for tasks of retrieval: mteb's `SearchProtocol`.

    Vectors go to a store on the disk, as those of an index do, and a search fuses words, dense and token vectors as an index does.

    folder  where the stores lie, one for each task and sub-set; None: a temporary one
    weights of the signals; None: as suits the encoder
    """

    def __init__(
        self,
        encoder: Encodes,
        folder: str | Path | None = None,
        *,
        task: str | None = None,
        weights: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(encoder, task=task)
        self._temporary = None if folder else tempfile.TemporaryDirectory()
        self.folder = Path(folder or self._temporary.name)  # type: ignore[union-attr]
        self.weights = weights
        self._store: Store | None = None

    def index(self, corpus: Any, *, task_metadata: TaskMetadata, hf_split: str, hf_subset: str, **options: Any) -> None:
        """Encode and keep a corpus, a stretch at a time."""
        name = f"{task_metadata.name}-{hf_subset}-{hf_split}".replace("/", "-")
        self._store = open_store(f"lance:{self.folder / name}.lance")
        there = {entry.id for entry in self._store.entries()}
        task = self._task(task_metadata)
        for start in range(0, len(corpus), STRETCH):
            rows = [row for row in map(corpus.__getitem__, range(start, min(start + STRETCH, len(corpus)))) if str(row["id"]) not in there]
            items = [document(row) for row in rows]
            if items:
                entries = [Entry(id=item.id, source=item.source, modality=item.modality, text=item.text) for item in items]
                self._store.add(entries, self.encoder.encode(items, task=task, role="passage"))
        self._store.optimize()

    def search(
        self,
        queries: Any,
        *,
        task_metadata: TaskMetadata,
        hf_split: str,
        hf_subset: str,
        top_k: int,
        top_ranked: Mapping[str, Sequence[str]] | None = None,
        **options: Any,
    ) -> dict[str, dict[str, float]]:
        """The best documents of each query by id; of those named in `top_ranked` where it is given, by MaxSim."""
        if self._store is None:
            raise UnitowerError("there is nothing to search in: mteb calls index() first.")
        found: dict[str, dict[str, float]] = {}
        for id, text, vectors in self._asked(queries, task=self._task(task_metadata)):
            if top_ranked is not None:
                ids = list(top_ranked.get(id, []))
                scores = maxsim(vectors.multi[0], self._store.vectors(ids)[1]).tolist() if ids else []
                found[id] = dict(zip(ids, scores, strict=True))
                continue
            query = Query(dense=vectors.dense[0], tokens=vectors.multi[0], text=text)
            hits = self._store.search(query, k=top_k, weights=self.encoder.fusion if self.weights is None else self.weights)
            found[id] = {hit.id: hit.score for hit in hits}
        return found

    def _asked(self, queries: Any, *, task: str) -> Iterator[tuple[str, str, Embeddings]]:
        """Id, words and vectors of each query."""
        for number in range(len(queries)):
            row = queries[number]
            text = str(row.get("text") or "")
            query = [text] if text else encodable([row.get("image")])
            yield str(row["id"]), text, self.encoder.encode(query, task=task, role="query")


def document(row: Mapping[str, Any]) -> Item:
    """A row of mteb's corpus: a page, with its text as the text layer, or a text with its title."""
    text = "\n".join(part for part in (row.get("title"), row.get("text") or row.get("body")) if part)
    picture = row.get("image")
    id = str(row["id"])
    return Item(
        id=id,
        modality="text" if picture is None else "image",
        content=text if picture is None else picture,
        source=Source(path=id),
        text=text,
    )


def encodable(side: Iterable[Any]) -> list[Encodable]:
    """Inputs as the encoder takes them. TypeError for one that is no text and no picture."""
    from PIL.Image import Image

    inputs = list(side)
    for one in inputs:
        if not isinstance(one, (str, Image)):
            raise TypeError(f"an input is of type {type(one).__name__}: this encoder reads texts and PIL images.")
    return inputs


def array(vectors: Any) -> Floats:
    """float32 [n, d] of what mteb hands back: an array, a tensor or a list."""
    return np.atleast_2d(np.asarray(vectors, np.float32))


def matrices(vectors: Any) -> list[Floats]:
    """n matrices [tokens, m] of what mteb hands back: a list of them, a stack, or one."""
    if not isinstance(vectors, (list, tuple)):
        vectors = np.asarray(vectors, np.float32)
        vectors = vectors[None] if vectors.ndim == 2 else vectors
    return [np.asarray(one, np.float32) for one in vectors]


def results(card: Card, subset: str, model: Model, *, modes: Sequence[str], versions: Mapping[str, str]) -> list[Result]:
    """A result per mode of a card whose data and measure are mteb's.

    subset  "default" for the whole task, or one of its own sub-sets

    UnitowerError if mteb is not installed, or the model is no encoder.
    """
    try:
        import mteb
    except ImportError as error:
        raise UnitowerError(f"{card.name} is a task of mteb: pip install unitower[mteb]") from error
    if not isinstance(model, Encoded):
        raise UnitowerError(f"{card.name} is a task of mteb, which needs an encoder; {model.name} is none.")
    made = []
    for mode in modes:
        task = mteb.get_task(card.path, hf_subsets=None if subset == "default" else [subset])
        if card.revision != task.metadata.revision:
            raise UnitowerError(f"{card.name} is pinned to {card.revision}, the mteb that is installed has {task.metadata.revision}.")
        run = mteb.evaluate(MtebEncoder(model.encoder, mode=mode, task=card.task), task, cache=None)  # type: ignore[arg-type]
        made.append(
            Result(
                task=card.task_name(subset),
                model=model.name,
                mode=mode,
                measure=card.measure,
                figures={card.measure: float(run.task_results[0].get_score())},
                rule="every page",
                ties="trec",
                queries=0,
                documents=0,
                fingerprint={
                    "model": model.fingerprint(task=card.task),
                    "data": {"card": card.name, "subset": subset, "path": f"mteb: {card.path}", "revision": card.revision},
                    "versions": {**versions, "mteb": mteb.__version__},
                    "seed": None,
                },
            )
        )
    return made
