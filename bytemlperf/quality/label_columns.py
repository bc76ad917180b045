"""Label columns, as they are stored: numbers, and texts as UTF-8 bytes and offsets.

Input: a mapping of column name to array. Output: checked columns. The columns of each
metric are listed in docs/datasets.md; that list is the contract with whoever writes
them.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt

from bytemlperf.errors import InternalError
from bytemlperf.quality.sample_outputs import Arrays, SampleIds

__all__ = ["label_column", "labels_of", "text_column"]


def label_column(labels: Arrays, column: str) -> npt.NDArray[Any]:
    """Take a label column.

    Parameters
    ----------
    labels : mapping of str to numpy.ndarray
        The dataset's columns.
    column : str
        The wanted one.

    Returns
    -------
    numpy.ndarray
        As stored.

    Raises
    ------
    InternalError
        If there is no such column: the metric does not go with the dataset.
    """
    if column not in labels:
        raise InternalError(
            f"the metric needs the label column {column!r}, there are {sorted(labels)}"
        )
    return labels[column]


def labels_of(labels: Arrays, column: str, samples: SampleIds) -> npt.NDArray[Any]:
    """Take the labels of some samples.

    Parameters
    ----------
    labels : mapping of str to numpy.ndarray
        The dataset's columns.
    column : str
        One with an entry a sample.
    samples : SampleIds
        The samples.

    Returns
    -------
    numpy.ndarray
        In the order of `samples`.

    Raises
    ------
    InternalError
        If the column is missing or a sample has no label.
    """
    values = label_column(labels, column)
    if samples.ids.min() < 0 or samples.ids.max() >= values.shape[0]:
        raise InternalError(
            f"sample ids should be in 0 to {values.shape[0] - 1}, the rows of the "
            f"label column {column!r}; they reach from {samples.ids.min()} to "
            f"{samples.ids.max()}"
        )
    return np.asarray(values[samples.ids])


def text_column(labels: Arrays, column: str) -> list[str]:
    """Read a column of texts.

    Parameters
    ----------
    labels : mapping of str to numpy.ndarray
        The dataset's columns.
    column : str
        Its name: it is stored as ``<column>.utf8`` and ``<column>.offsets``.

    Returns
    -------
    list of str
        The texts.
    """
    content = np.asarray(label_column(labels, f"{column}.utf8")).tobytes()
    offsets = label_column(labels, f"{column}.offsets").tolist()
    return [content[start:end].decode() for start, end in itertools.pairwise(offsets)]
