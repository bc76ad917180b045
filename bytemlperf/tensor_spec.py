"""What a tensor is: name, dtype, shape and the meaning of its values.

Input: a model description. Output: a value that datasets, engine and backends agree on.
It refuses to know any framework; dtypes are numpy's names.
"""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["Semantics", "TensorSpec", "last_segment"]

Semantics = Literal[
    "real",  # real numbers drawn from [low, high)
    "image",  # a picture, preprocessed to [low, high]
    "token_ids",  # vocabulary indices in [low, high)
    "attention_mask",  # 1 for a real token, 0 for padding: a prefix of ones
    "segment_ids",  # 0 for the first sentence, 1 for the second (all 0 if `high` is 1)
    "category_pairs",  # rows (field position, hash bucket in [low, high))
]


class TensorSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One input or output tensor of a model, for one sample.

    Parameters
    ----------
    name : str
        Name under which `predict` receives or returns it.
    dtype : str
        A numpy dtype name, such as ``"float32"``.
    shape : tuple of int or str
        Shape of one sample. The first dimension is the number of rows a sample
        takes on axis 0 (1 for nearly all models): a batch of B samples has
        ``B * shape[0]`` rows. A string names a dynamic dimension.
    semantics : str, default "real"
        What the values mean, so that synthetic ones can be true to it.
    low, high : float, optional
        Range of the values; its ends are as `semantics` says.
    shared : bool, default False
        The rows are not a sample's own but the same for all: a batch of any size is
        fed ``shape[0]`` rows. Such are the prompts that pictures are held against.
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...]
    semantics: Semantics = "real"
    low: float | None = None
    high: float | None = None
    shared: bool = False


def last_segment(spec: TensorSpec) -> int:
    """Return the segment id of a second sentence.

    Parameters
    ----------
    spec : TensorSpec
        Of segment ids.

    Returns
    -------
    int
        0 for a model that knows one segment only, whose `high` is 1; else 1.
    """
    return 0 if spec.high == 1 else 1
