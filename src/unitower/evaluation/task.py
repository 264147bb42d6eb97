"""What is evaluated: queries, documents, and which document answers which query."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from unitower.evaluation.metrics import Qrels
from unitower.types import Item


class Corpus(Protocol):
    """Documents that are read one at a time: there may be more of them than memory holds.

    ids  of all documents, in their order, none twice; nothing is decoded for it
    """

    @property
    def ids(self) -> Sequence[str]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Item:
        """Document `index`, its picture decoded now; `Item.id` is `ids[index]`."""
        ...

    def text(self, index: int, /) -> str:
        """What word search reads of document `index`: its text, or the text layer of its page; no picture is decoded."""
        ...


class Listed:
    """A corpus of items in memory."""

    def __init__(self, items: Sequence[Item]) -> None:
        self._items = items
        self.ids = [item.id for item in items]

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> Item:
        return self._items[index]

    def text(self, index: int) -> str:
        return self._items[index].text


@dataclass(frozen=True, kw_only=True)
class Task:
    """A retrieval task: one sub-set of a card, or anything with queries, documents and judgements.

    name      of the card, with the sub-set where there are several: `jina_vdr/tatqa`, `jina_vdr/airbnb-synthetic-retrieval:de`
    queries   id -> text; each has at least one relevant document
    corpus    the documents
    qrels     query id -> document id -> grade; every document is in the corpus
    task      what the encoder is asked for, a name of src/unitower/tasks/: adapter and prompts follow from it
    measure   the figure by which the data set is reported
    rule      which documents count: "every page" or "one page" (see `rules`)
    floor     scores below it are raised to it; None: scores are taken as they are
    identity  what is known of the data: card, sub-set, hub path, revision; part of every result
    """

    name: str
    queries: Mapping[str, str]
    corpus: Corpus
    qrels: Qrels
    task: str = "retrieval"
    measure: str = "ndcg_linear@5"
    rule: str = "every page"
    floor: float | None = None
    identity: Mapping[str, Any] = field(default_factory=dict)

    def faults(self) -> Iterator[str]:
        """One line for everything that does not hold together; nothing where all is well."""
        known = set(self.corpus.ids)
        if len(known) != len(self.corpus):
            yield "an id of a document stands there twice"
        for query, grades in self.qrels.items():
            if query not in self.queries:
                yield f"the judgements name query {query!r}, which is not there"
            for document in grades.keys() - known:
                yield f"query {query!r} is judged by document {document!r}, which is not there"
        for query, text in self.queries.items():
            if not text.strip():
                yield f"query {query!r} is empty"
            if not any(grade > 0 for grade in self.qrels.get(query, {}).values()):
                yield f"query {query!r} has no relevant document"

    def first(self, limit: int) -> Task:
        """A smaller task to try things with: the first `limit` queries, their relevant documents, and the first `limit` documents.

        Its figures are easier to reach than those of the whole.
        """
        queries = dict(list(self.queries.items())[:limit])
        qrels = {query: self.qrels[query] for query in queries}
        judged = {document for grades in qrels.values() for document in grades}
        kept = [place for place, id in enumerate(self.corpus.ids) if place < limit or id in judged]
        return replace(self, queries=queries, qrels=qrels, corpus=Part(self.corpus, kept), identity={**self.identity, "limit": limit})


class Part:
    """Some documents of a corpus, at the given places."""

    def __init__(self, corpus: Corpus, places: Collection[int]) -> None:
        self._corpus, self._places = corpus, list(places)
        self.ids = [corpus.ids[place] for place in self._places]

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> Item:
        return self._corpus[self._places[index]]

    def text(self, index: int) -> str:
        return self._corpus.text(self._places[index])
