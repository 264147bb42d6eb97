"""Meaning, taught to the text side: pairs in many languages, and a teacher's vectors of the English ones.

Every batch is of one kind, so that the others of a batch are hard to tell from the right answer: a definition among definitions, a German
paragraph among German paragraphs.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F

from unitower.data._corpus import Corpus
from unitower.data._corpus.families import FAMILY
from unitower.model.adapters import Route
from unitower.model.embedder import Embedder
from unitower.model.tower import BARE
from unitower.training.lesson import Measured
from unitower.training.letters import LetterCodes, spoken, text_losses
from unitower.training.packed import Packed, late_scores, pack, text_vectors

KINDS = {"parallel": 26, "words": 6, "glosses": 14, "summaries": 12, "functions": 14, "titles": 8, "keywords": 20}
"""Kinds of batch and their shares: the same in two languages, words in two, words and definitions, docstrings and what follows, docstrings
and code, titles and texts, key words and passages. Two more have texts and no pairs: those of "teacher" are to lie as the teacher has
them, the tokens of "letters" are to be near the codes of what they spell."""

SYMMETRIC = {"parallel", "words"}
"""Kinds whose two sides say the same: half of their pairs are two queries, for text-matching."""

DENSE_SCALE, LATE_SCALE = 20.0, 30.0
"""One over the temperature. Token scores lie closer together than dense ones."""

LONG_CHARACTERS, LONG_SHARE = 32, 0.8
"""Of a batch of the teacher's texts: short ones (labels, words) are many and teach little."""

FAMILIES_SHARE, NEAR_SHARE = 0.4, 0.35
"""Of the batches of the teacher's texts: families of sentences (data/_corpus/families.py), and sentences with their nearest ones.
Among texts drawn by chance hardly two are alike, and shared words tell which: nothing would be learned of the rest."""

NEAR, AMONG = 8, 4096
"""Texts of a group of near ones, and how many they are found among."""

LONGEST_WORD, FREQUENT = 24, 0.35
"""Letters of a word that is spelled, and the power of its frequency that it is drawn by: at 1, "the" would be half of all words."""

QUERY_TOKENS, PASSAGE_TOKENS, PASSAGE_CHARACTERS = 40, 48, 400


@dataclass(frozen=True, kw_only=True)
class Taught:
    """Vectors of a teacher: row i of `vectors` (float16 [n, hidden], unit rows) is of the text whose `rows` is i."""

    rows: Mapping[str, int] = field(default_factory=dict)
    vectors: npt.NDArray[np.float16] = field(default_factory=lambda: np.zeros((0, 1), np.float16))


@dataclass(frozen=True)
class TextBatch:
    """size queries, then size documents; rows of the teacher's vectors of each, -1 where it has none: int64 [2 * size].

    Of the kind "teacher": size texts, all of which it has. Of the kind "letters": size texts, what the tokens of each have said
    (`spoken`), and whether each is a passage.
    """

    kind: str
    packed: Packed
    size: int
    taught: npt.NDArray[np.int64]
    said: tuple[tuple[str, ...], ...] = ()
    passage: tuple[bool, ...] = ()


@dataclass(frozen=True)
class Couple:
    """A query and its document, and the texts that the teacher knows them by (the English side of a translation)."""

    query: str
    document: str
    query_taught: str | None = None
    document_taught: str | None = None

    def turned(self) -> Couple:
        return Couple(self.document, self.query, self.document_taught, self.query_taught)


class Library:
    """Draws couples of each kind from a corpus."""

    def __init__(self, corpus: Corpus, taught: Taught) -> None:
        self.corpus, self.taught = corpus, taught
        self._parallel, self._words = _by_language(corpus.parallel), _by_language(corpus.words)
        self._english = [passage for passage in map(opening, corpus.texts.get("en", ())) if passage in taught.rows]
        families = ([text for text in family if text in taught.rows] for family in corpus.families)
        self._families = [family for family in families if len(family) > 1]
        known = sorted(taught.rows)
        self.long, self.short = ([t for t in known if (len(t) > LONG_CHARACTERS) == long] for long in (True, False))
        self._languages = [language for language, texts in corpus.texts.items() if texts]
        self._frequency = Counter(word for texts in corpus.texts.values() for text in texts[:20_000] for word in set(text.lower().split()))
        self._known = [word for word in dict.fromkeys(map(_bare, self._frequency)) if 2 < len(word) < LONGEST_WORD]
        self._drawn = list(accumulate(self._frequency.get(word, 1) ** FREQUENT for word in self._known))
        have = {
            "parallel": self._parallel, "words": self._words, "glosses": corpus.glosses, "summaries": corpus.summaries,
            "functions": corpus.functions, "titles": corpus.titled, "keywords": self._languages,
            "teacher": taught.rows, "letters": self._known,
        }  # fmt: skip
        self.kinds = tuple(kind for kind, there in have.items() if there)

    def drawer(self, kind: str, rng: random.Random) -> Callable[[], Couple]:
        """What draws the couples of one batch."""
        corpus = self.corpus
        if kind in ("parallel", "words"):
            by_language = self._parallel if kind == "parallel" else self._words
            pairs = by_language[rng.choice(list(by_language))]
            return lambda: _either_way(rng, 0.5, _translation(*rng.choice(pairs)))
        if kind == "glosses":
            return lambda: _either_way(rng, 0.4, _plain(*rng.choice(corpus.glosses)))
        if kind == "titles":
            return lambda: Couple(*rng.choice(corpus.titled)[1:])
        if kind == "keywords":
            return lambda: self._keywords(rng)
        rows = corpus.summaries if kind == "summaries" else corpus.functions
        return lambda: _first_taught(*rng.choice(rows))

    def _keywords(self, rng: random.Random) -> Couple:
        """Words of a passage, as they follow each other or the rarest of a sample, and the passage."""
        language = rng.choice([*self._languages, *["en"] * 4])
        if self._english and language == "en" and rng.random() < 0.6:
            passage = rng.choice(self._english)
        else:
            passage = rng.choice(self.corpus.texts.get(language) or self.corpus.texts[self._languages[0]])[:300]
        words = passage.split()
        if rng.random() < 0.5 and len(words) > 4:
            count = rng.randint(2, min(7, len(words) - 1))
            start = rng.randrange(len(words) - count)
            return Couple(" ".join(words[start : start + count]), passage, None, passage)
        bare = [word for word in map(_bare, words) if len(word) > 3]
        sample = sorted(rng.sample(bare, min(len(bare), 12)), key=lambda word: self._frequency[word.lower()])[: rng.randint(1, 5)]
        rng.shuffle(sample)
        return Couple(" ".join(sample) or passage[:40], passage, None, passage)

    def words(self, rng: random.Random) -> str:
        """One to five words that have nothing to do with each other, rare ones too: what is spelled must not lean on what stands around."""
        return " ".join(rng.choices(self._known, cum_weights=self._drawn, k=rng.randint(1, 5)))

    def to_compare(self, rng: random.Random, count: int) -> list[str]:
        """Texts of which the teacher knows how alike they are, at most so many: families, near ones, or any; each once."""
        chance = rng.random()
        if chance < FAMILIES_SHARE and self._families:
            texts = [text for family in rng.sample(self._families, min(len(self._families), count // FAMILY)) for text in family]
        elif chance < FAMILIES_SHARE + NEAR_SHARE and len(self.long) > NEAR:
            texts = self._near(rng, -(-count // NEAR))
        else:
            texts = [rng.choice((self.long if rng.random() < LONG_SHARE else self.short) or self.long or self.short) for _ in range(count)]
        return list(dict.fromkeys(texts))[:count]

    def _near(self, rng: random.Random, groups: int) -> list[str]:
        """Texts and those that the teacher has nearest to them, among some drawn by chance."""
        among = rng.sample(self.long, min(len(self.long), AMONG))
        vectors = self.taught.vectors[[self.taught.rows[text] for text in among]].astype(np.float32)
        alike = vectors[:groups] @ vectors.T
        nearest = np.argpartition(-alike, min(NEAR, len(among)) - 1, axis=1)[:, :NEAR]
        return [among[i] for i in nearest.reshape(-1)]

    def passage(self, rng: random.Random) -> str:
        language = rng.choice([*self._languages, *["en"] * 4])
        return rng.choice(self.corpus.texts.get(language) or self.corpus.texts[self._languages[0]])


def _bare(word: str) -> str:
    return word.strip(".,;:()[]\"'")


def opening(passage: str) -> str:
    """The beginning of a passage as the teacher is asked about it: 110 characters, cut between words.

    >>> opening("as it is")
    'as it is'
    """
    return passage[:110].rpartition(" ")[0] if len(passage) > 110 else passage


def _by_language(rows: Sequence[tuple[str, str, str]]) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for language, english, other in rows:
        found.setdefault(language, []).append((english, other))
    return found


def _translation(english: str, other: str) -> Couple:
    return Couple(english, other, english, english)


def _plain(first: str, second: str) -> Couple:
    return Couple(first, second, first, second)


def _first_taught(first: str, second: str) -> Couple:
    return Couple(first, second, first)


def _either_way(rng: random.Random, chance: float, couple: Couple) -> Couple:
    return couple.turned() if rng.random() < chance else couple


class Texts:
    """The lesson: both vectors of texts, by InfoNCE within the batch and by the teacher's dense vectors.

    learns     parameters, by name
    kinds      shares of the kinds of batch
    symmetric  both sides are queries: always, never, or (None) half of the time where both say the same
    prompts    token ids before queries and passages
    letters    codes for the kind "letters" (letters.py)
    """

    def __init__(
        self, embedder: Embedder, learns: Mapping[str, Tensor], library: Library, tokenizer: Tokenizer, *, batch: int,
        prompts: tuple[str, str], kinds: Mapping[str, float] = KINDS, symmetric: bool | None = None,
        letters: LetterCodes | None = None, route: Route = BARE,
    ) -> None:  # fmt: skip
        self.embedder, self.parameters, self.library, self.route = embedder, dict(learns), library, route
        self._tokenizer, self._batch, self._symmetric, self._letters = tokenizer, batch, symmetric, letters
        self._prompts = [tokenizer.encode(prompt).ids for prompt in prompts]
        self._kinds = {kind: share for kind, share in kinds.items() if kind in library.kinds and (letters is not None or kind != "letters")}
        if not self._kinds:
            raise ValueError(f"the corpus has nothing of the kinds {', '.join(kinds)}; it has {', '.join(library.kinds) or 'nothing'}.")

    def make(self, rng: random.Random, index: int) -> TextBatch:
        kind = rng.choices(list(self._kinds), list(self._kinds.values()))[0]
        if kind == "teacher":
            return self._of_teacher(rng)
        if kind == "letters":
            return self._of_letters(rng)
        draw = self.library.drawer(kind, rng)
        queries: dict[str, list[int]] = {}
        documents: dict[str, list[int]] = {}
        taught: list[tuple[int, int]] = []
        for _ in range(4 * self._batch):  # no text twice in a batch: it would be its own wrong answer
            couple = draw()
            query, document = couple.query, couple.document[:PASSAGE_CHARACTERS]
            if not query.strip() or not document.strip() or query in queries or document in documents:
                continue
            same = self._symmetric if self._symmetric is not None else kind in SYMMETRIC and rng.random() < 0.5
            queries[query] = self._ids(query, 0, QUERY_TOKENS)
            documents[document] = self._ids(document, 0 if same else 1, PASSAGE_TOKENS)
            taught.append((self._row(couple.query_taught), self._row(couple.document_taught)))
            if len(queries) == self._batch:
                break
        rows = np.array(taught, np.int64).T.reshape(-1)
        return TextBatch(kind, pack([*queries.values(), *documents.values()]), len(queries), rows)

    def _of_teacher(self, rng: random.Random) -> TextBatch:
        """As many texts as a batch of pairs has, queries a little oftener than passages, or alone."""
        texts = self.library.to_compare(rng, 2 * self._batch)
        packed = pack([self._ids(text, 0 if self._symmetric or rng.random() < 0.6 else 1, QUERY_TOKENS) for text in texts])
        return TextBatch("teacher", packed, len(texts), np.array([self._row(text) for text in texts], np.int64))

    def _of_letters(self, rng: random.Random) -> TextBatch:
        """Words, pieces of passages as they would be asked for, and passages."""
        alone = rng.random() < 0.6
        ids, said, passage = [], [], []
        for _ in range(2 * self._batch):
            as_passage = not alone and rng.random() < 0.4
            text = self.library.words(rng) if alone else self.library.passage(rng)[:PASSAGE_CHARACTERS]
            if not alone and not as_passage:
                words = text.split()
                start = rng.randrange(max(1, len(words) - 8))
                text = " ".join(words[start : start + rng.randint(1, 8)])
            own, keys = spoken(self._tokenizer, text)
            prompt = self._prompts[as_passage]
            ids.append([*prompt, *own][:PASSAGE_TOKENS])
            said.append((*[""] * len(prompt), *keys)[:PASSAGE_TOKENS])
            passage.append(as_passage)
        return TextBatch("letters", pack(ids), len(ids), np.zeros(0, np.int64), tuple(said), tuple(passage))

    def _ids(self, text: str, prompt: int, most: int) -> list[int]:
        ids: list[int] = self._prompts[prompt] + self._tokenizer.encode(" " + text).ids
        return ids[:most]

    def _row(self, text: str | None) -> int:
        return -1 if text is None else self.library.taught.rows.get(text, -1)

    def measure(self, item: TextBatch, *, progress: float) -> Measured:
        n, vectors = item.size, text_vectors(self.embedder, item.packed, self.route)
        dense, tokens, real = vectors.dense, vectors.tokens, vectors.real
        widths = self.embedder.config.matryoshka_dims
        if item.kind == "teacher":
            target = torch.from_numpy(self.library.taught.vectors[item.taught].astype(np.float32)).to(dense.device)
            parts = likeness(dense, late_scores(tokens, real, tokens, real), target, (widths[-1], widths[0]))
            parts["teacher"], _ = imitation(dense, target, widths)
            loss = 4.0 * parts["teacher"] + 0.5 * parts["order"] + 10.0 * parts["distance"] + 0.3 * parts["late order"]
            return Measured(loss, n, parts=parts)
        if item.kind == "letters":
            assert self._letters is not None
            parts, right = text_losses(self._letters, item.said, item.passage, tokens)
            return Measured(3 * parts["letters"] + 0.5 * parts["named"], n, parts=parts, right=right)
        late = late_scores(tokens[:n], real[:n], tokens[n:], real[n:])
        scores = [_cosines(dense[:n], dense[n:], width) for width in (widths[-1], widths[0])]
        parts = {"dense": _both_ways(scores[0], DENSE_SCALE) + _both_ways(scores[1], DENSE_SCALE), "late": _both_ways(late, LATE_SCALE)}
        loss = 0.25 * parts["dense"] + 0.5 * parts["late"]
        has = torch.from_numpy(np.flatnonzero(item.taught >= 0))
        if len(has):
            target = torch.from_numpy(self.library.taught.vectors[item.taught[has.numpy()]].astype(np.float32)).to(dense.device)
            parts["teacher"], structure = imitation(dense[has.to(dense.device)], target, widths)
            loss = loss + 4.0 * parts["teacher"] + 0.5 * structure
        own = torch.arange(n, device=dense.device)
        right = {f"{item.kind} dense": scores[0].argmax(1) == own, f"{item.kind} late": late.argmax(1) == own}
        return Measured(loss, n, parts=parts, right={name: found.float().mean() for name, found in right.items()})


def _cosines(queries: Tensor, documents: Tensor, width: int) -> Tensor:
    return F.normalize(queries[:, :width], dim=-1) @ F.normalize(documents[:, :width], dim=-1).T


def _both_ways(scores: Tensor, scale: float) -> Tensor:
    """InfoNCE from queries to documents and back."""
    own = torch.arange(len(scores), device=scores.device)
    return F.cross_entropy(scores * scale, own) + F.cross_entropy(scores.T * scale, own)


def imitation(dense: Tensor, target: Tensor, widths: Sequence[int]) -> tuple[Tensor, Tensor]:
    """How far vectors are from the teacher's: one minus the cosine, the mean over widths; and the divergence of their similarities."""
    gaps = [
        1 - (F.normalize(dense[:, :width], dim=-1) * F.normalize(target[:, :width], dim=-1)).sum(-1).mean()
        for width in widths
        if width <= target.shape[1]
    ]
    logs, wanted = F.log_softmax(dense @ dense.T * DENSE_SCALE, -1), F.softmax(target @ target.T * DENSE_SCALE, -1)
    return torch.stack(gaps).mean(), F.kl_div(logs, wanted, reduction="batchmean")


def likeness(dense: Tensor, late: Tensor, target: Tensor, widths: Sequence[int]) -> dict[str, Tensor]:
    """How far the similarities among n texts are from the teacher's, each text with all others.

    late    [n, n] token scores
    target  the teacher's vectors, unit rows

    `order` is the divergence of the rows of dense similarities and `distance` their squared error, summed over widths; `late order` the
    divergence of the token scores.
    """
    own = torch.eye(len(dense), dtype=torch.bool, device=dense.device)
    wanted = target @ target.T
    shares = F.softmax((wanted * DENSE_SCALE).masked_fill(own, -1e4), -1)

    def divergence(scores: Tensor, scale: float) -> Tensor:
        return F.kl_div(F.log_softmax((scores * scale).masked_fill(own, -1e4), -1), shares, reduction="batchmean")

    similar = [_cosines(dense, dense, width) for width in widths]
    return {
        "order": torch.stack([divergence(each, DENSE_SCALE) for each in similar]).sum(),
        "distance": torch.stack([(each - wanted).square().mean() for each in similar]).sum(),
        "late order": divergence(late, LATE_SCALE),
    }
