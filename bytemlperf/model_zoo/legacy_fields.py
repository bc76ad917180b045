"""ByteMLPerf's untyped model fields, read for what they mean.

Input: names, type words and shapes from a model file. Output: tensor specs.
"""

from __future__ import annotations

import re

from bytemlperf.tensor_spec import Semantics, TensorSpec

__all__ = ["DTYPES", "derive_input", "derive_output", "plain_name", "split_names"]

DTYPES = {
    "UINT8": "uint8",
    "FLOAT16": "float16",
    "FLOAT32": "float32",
    "LONG": "int64",
    "INT32": "int32",
    "INT64": "int64",
    "BOOL": "bool",
    "STRING": "str",
}

# Words inside an input's name, tried in order: a mask of segments is a mask.
_MEANINGS: tuple[tuple[str, Semantics], ...] = (
    ("mask", "attention_mask"),
    ("segment", "segment_ids"),
    ("token_type", "segment_ids"),
    ("ids", "token_ids"),
    ("token", "token_ids"),
    ("categorical", "category_pairs"),
    ("image", "image"),
    ("pixel", "image"),
)


def split_names(text: str) -> tuple[str, ...]:
    """Split a comma string.

    Parameters
    ----------
    text : str
        Such as ``"input_ids:0, input_mask:0"``.

    Returns
    -------
    tuple of str
        The parts, stripped, without empty ones.
    """
    return tuple(part for piece in text.split(",") if (part := piece.strip()))


def plain_name(name: str) -> str:
    """Strip a framework's decoration from a tensor's name.

    Parameters
    ----------
    name : str
        TensorFlow's ``"input_ids:0"`` or TorchScript's ``"input_ids.1"``.

    Returns
    -------
    str
        ``"input_ids"``: the key of a SavedModel's signature, the argument of a
        TorchScript ``forward``.
    """
    return re.sub(r"[:.]\d+$", "", name)


def derive_input(name: str, dtype: str, shape: tuple[int | str, ...]) -> TensorSpec:
    """Guess what an input means from its name.

    Parameters
    ----------
    name : str
        As in the model file.
    dtype : str
        numpy's name.
    shape : tuple of (int or str)
        Of one sample.

    Returns
    -------
    TensorSpec
        Without a range, except that of masks and segments. Names that say nothing
        give ``"real"``, or ``"image"`` for float32 with 1 or 3 channels.
    """
    meaning: Semantics = "real"
    for word, candidate in _MEANINGS:
        if word in name.lower():
            meaning = candidate
            break
    else:
        if len(shape) == 4 and {shape[1], shape[3]} & {1, 3}:
            meaning = "image"
    if meaning == "category_pairs" and not (len(shape) == 2 and shape[1] == 2):
        meaning = "real"
    return TensorSpec(name=name, dtype=dtype, shape=shape, semantics=meaning)


def derive_output(name: str) -> TensorSpec:
    """Describe an output of which only the name is known.

    Parameters
    ----------
    name : str
        As in the model file.

    Returns
    -------
    TensorSpec
        float32, one row a sample, of unknown shape.
    """
    return TensorSpec(name=name, dtype="float32", shape=(1, "..."))
