"""Tokenizers, each as its model was trained: WordPiece, byte-level BPE, SentencePiece.

Input: a vocabulary or tokenizer file. Output: token ids with the characters they stand
for, and the special tokens that join a question and a context. It refuses to know any
dataset.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bytemlperf.errors import PrepareError

__all__ = ["PairTokenizer", "Tokens", "read_tokenizer", "read_word_piece"]

# Special tokens of the two known ways to join a pair: [CLS] a [SEP] b [SEP], which
# BERT, ALBERT and DeBERTa have, and <s> a </s></s> b </s>, which is RoBERTa's.
_JOINS: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("[CLS]", ("[SEP]",), ("[SEP]",)),
    ("<s>", ("</s>", "</s>"), ("</s>",)),
)
_PADS = ("[PAD]", "<pad>")


@dataclass(frozen=True)
class Tokens:
    """A text as tokens.

    Parameters
    ----------
    ids : list of int
        Vocabulary indices.
    offsets : list of (int, int)
        First character and the one after the last, in the text, of each token.
    """

    ids: list[int]
    offsets: list[tuple[int, int]]


@dataclass(frozen=True)
class PairTokenizer:
    """A tokenizer, and how it joins two texts.

    Parameters
    ----------
    name : str
        What it is, for people.
    size : int
        Tokens in its vocabulary.
    pad : int
        Fills what is left of a sample.
    opening, middle, closing : list of int
        What stands before the first text, between the two and after the second.
    version : str
        Of the library.
    tokenizer : object
        ``tokenizers.Tokenizer``.
    """

    name: str
    size: int
    pad: int
    opening: list[int]
    middle: list[int]
    closing: list[int]
    version: str
    tokenizer: Any

    @property
    def special_count(self) -> int:
        """Special tokens in a joined pair."""
        return len(self.opening) + len(self.middle) + len(self.closing)

    def tokenize(self, texts: Sequence[str]) -> list[Tokens]:
        """Tokenize texts, without special tokens.

        Parameters
        ----------
        texts : sequence of str
            Any number.

        Returns
        -------
        list of Tokens
            One a text.
        """
        encodings = self.tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [Tokens(list(one.ids), list(one.offsets)) for one in encodings]


def read_word_piece(vocabulary: Path) -> PairTokenizer:
    """Read BERT's lower-casing WordPiece vocabulary.

    Parameters
    ----------
    vocabulary : Path
        ``vocab.txt``, one token a line.

    Returns
    -------
    PairTokenizer
        Joining as BERT does.

    Raises
    ------
    PrepareError
        If the file is no such vocabulary, or the tokenizers package is missing.
    """
    library = _library()
    try:
        words = vocabulary.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PrepareError(
            f"cannot read the vocabulary {vocabulary}", detail=str(error)
        ) from error
    ids = {word: index for index, word in enumerate(words)}
    missing = {"[PAD]", "[UNK]", "[CLS]", "[SEP]"} - ids.keys()
    if missing:
        raise PrepareError(
            f"{vocabulary} is not a BERT vocabulary: no {sorted(missing)}"
        )
    tokenizer = library.BertWordPieceTokenizer(ids, lowercase=True)
    return _pair_tokenizer("WordPiece, lower case", len(words), ids, tokenizer)


def read_tokenizer(path: Path, name: str) -> PairTokenizer:
    """Read a tokenizer file of the tokenizers library.

    Parameters
    ----------
    path : Path
        ``tokenizer.json``: the whole of a tokenizer, byte-level BPE, SentencePiece or
        WordPiece.
    name : str
        Of the vocabulary.

    Returns
    -------
    PairTokenizer
        Joining as its special tokens say.

    Raises
    ------
    PrepareError
        If the file is no such tokenizer, or joins texts in another way (XLNet's), or
        the tokenizers package is missing.
    """
    library = _library()
    try:
        tokenizer = library.Tokenizer.from_file(str(path))
    except Exception as error:
        # The library raises a bare Exception for whatever is wrong with the file.
        raise PrepareError(
            f"cannot read the tokenizer {path}", detail=str(error)
        ) from error
    # A file may bring truncation and padding of its own; samples are cut here.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    ids = tokenizer.get_vocab()
    return _pair_tokenizer(name, max(ids.values()) + 1, ids, tokenizer, where=path)


def _library() -> Any:
    try:
        import tokenizers
    except ImportError as error:
        raise PrepareError(
            "texts cannot be tokenized: tokenizers is not installed",
            hint="pip install tokenizers in the environment that prepares samples",
        ) from error
    return tokenizers


def _pair_tokenizer(
    name: str,
    size: int,
    ids: dict[str, int],
    tokenizer: Any,
    where: Path | None = None,
) -> PairTokenizer:
    pad = next((ids[word] for word in _PADS if word in ids), None)
    for opening, middle, closing in _JOINS:
        if pad is not None and {opening, *middle, *closing} <= ids.keys():
            return PairTokenizer(
                name=name,
                size=size,
                pad=pad,
                opening=[ids[opening]],
                middle=[ids[word] for word in middle],
                closing=[ids[word] for word in closing],
                version=importlib.metadata.version("tokenizers"),
                tokenizer=tokenizer,
            )
    known = " or ".join(f"{opening} and {closing[0]}" for opening, _, closing in _JOINS)
    raise PrepareError(
        f"{where}: it is not known how this tokenizer joins two texts: it has no "
        f"padding token, or not {known}"
    )
