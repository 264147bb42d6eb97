"""A tokenizer of its own: byte-level BPE over many languages, in the layout of the released model.

Small letters only (NFC, then lower case): a small tower has no room for a word in three spellings. Numbers are cut into pieces of at most
four digits, words keep the space before them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from unitower.data._corpus import Corpus
from unitower.model.checkpoint import replacing, write_json
from unitower.training.reading import MEAN, STD

SPECIAL = ("<|endoftext|>", "<|vision_start|>", "<|image_pad|>", "<|vision_end|>", "<|im_start|>", "<|im_end|>")
"""Tokens 0 to 5, named as in the released model."""

PIECES = r"[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+| ?\p{N}{1,4}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
"""No token reaches over the edge of one of these."""

SHARES = {
    "en": 30, "ru": 14, "de": 12, "fr": 11, "es": 11, "it": 6, "pt": 6, "pl": 5, "nl": 4, "cs": 4, "sv": 3, "hu": 3, "uk": 3, "el": 2,
    "fi": 2, "da": 1, "ro": 1, "tr": 1,
}  # fmt: skip
"""How much of each language is read; Russian more than its text weighs, since its letters are two bytes each."""


def train_tokenizer(corpus: Corpus, *, size: int, characters: int) -> Tokenizer:
    """A tokenizer of at most `size` tokens, from about so many characters of running text, a sixth of it again of code, and words."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(PIECES), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=[AddedToken(token, special=True, normalized=False) for token in SPECIAL],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False, min_frequency=3,
    )  # fmt: skip
    tokenizer.train_from_iterator(_read(corpus, characters), trainer)
    return tokenizer


def _read(corpus: Corpus, characters: int) -> Iterator[str]:
    whole = sum(SHARES.values())
    for language, share in SHARES.items():
        yield from _up_to(characters * share // whole, corpus.texts.get(language, ()))
    yield from _up_to(characters // 6, (code for _, code in corpus.functions))
    yield from _up_to(characters // 40, (word for word, _ in corpus.glosses))
    yield from _up_to(characters // 6, (word for _, english, other in corpus.words for word in (english, other)))


def _up_to(characters: int, texts: Any) -> Iterator[str]:
    for text in texts:
        if characters <= 0:
            return
        characters -= len(text)
        yield text


def write_companions(tokenizer: Tokenizer, folder: Path, *, max_length: int, max_pixels: int, magnify: float = 1.0) -> None:
    """Tokenizer and preprocessor as a checkpoint of the released layout has them beside its weights."""
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / "tokenizer.json") as part:
        tokenizer.save(str(part))
    write_json(folder / "tokenizer_config.json", _tokenizer_config(max_length))
    write_json(folder / "preprocessor_config.json", _preprocessor_config(max_pixels, magnify))


def _tokenizer_config(max_length: int) -> Mapping[str, Any]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast", "pad_token": SPECIAL[0], "eos_token": SPECIAL[5], "add_bos_token": False,
        "add_prefix_space": False, "padding_side": "right", "truncation_side": "right", "model_max_length": max_length,
    }  # fmt: skip


def _preprocessor_config(max_pixels: int, magnify: float) -> Mapping[str, Any]:
    least = 4 * 28 * 28
    return {
        "do_convert_rgb": True, "do_normalize": True, "do_rescale": True, "do_resize": True, "image_mean": [MEAN] * 3,
        "image_processor_type": "Qwen2VLImageProcessor", "image_std": [STD] * 3, "max_pixels": max_pixels, "merge_size": 2,
        "min_pixels": least, "patch_size": 14, "processor_class": "JinaEmbeddingsV4Processor", "resample": 3, "rescale_factor": 1 / 255,
        "video_processor_type": "Qwen2VLVideoProcessor", "size": {"longest_edge": max_pixels, "shortest_edge": least},
        "temporal_patch_size": 2, "magnify": magnify,
    }  # fmt: skip
