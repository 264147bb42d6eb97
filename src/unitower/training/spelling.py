"""A vector for every token from its spelling alone: what the eyes can know of a word before anyone has taught them a language.

Tokens that look alike get vectors that are alike, so a cell that shows "lett" is half right about "letter". The decoder's embeddings
begin as these codes and move slowly: both sides of the tower then start from one language. Embeddings that are drawn by chance, or that the
text side has trained already, give the eyes sixteen thousand unrelated names to learn by heart.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

Floats = npt.NDArray[np.float32]

LETTER, PAIR, TRIPLE, WHOLE = 0.5, 1.0, 0.8, 1.0
"""Weights of a token's letters, of pairs and triples of neighbours, and of the token itself where it has at most two letters."""


def codes(tokenizer: Tokenizer, width: int) -> Floats:
    """Unit rows [tokens, width]: the sum of the random vectors of a token's pieces. Tokens that show nothing have a vector of their own.

    A space before the token counts as a letter of its own in pairs: the beginning of a word looks different.
    """
    tokens = [(tokenizer.id_to_token(i) or "", tokenizer.decode([i], skip_special_tokens=False)) for i in range(tokenizer.get_vocab_size())]
    rows = np.stack([_code(token, text, width) for token, text in tokens])
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def _code(token: str, text: str, width: int) -> Floats:
    word = text.strip()
    if not word or "\ufffd" in text or token.startswith("<|"):  # white space, half a character, a marker
        return piece(f"#{token}", width)
    begun = f"^{word}" if text.startswith(" ") else word
    whole = LETTER * sum((piece(letter, width) for letter in word), np.zeros(width, np.float32))
    whole = whole + PAIR * sum((piece(begun[k : k + 2], width) for k in range(len(begun) - 1)), np.zeros(width, np.float32))
    whole = whole + TRIPLE * sum((piece(word[k : k + 3], width) for k in range(len(word) - 2)), np.zeros(width, np.float32))
    if len(word) <= 2:
        whole = whole + WHOLE * piece(f"={word}", width)
    return np.asarray(whole, np.float32)


@lru_cache(maxsize=100_000)
def piece(text: str, width: int) -> Floats:
    """The random vector of a piece, the same on every machine."""
    seed = int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
    return np.random.default_rng(seed).standard_normal(width).astype(np.float32)
