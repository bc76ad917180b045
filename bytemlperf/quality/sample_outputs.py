"""Outputs by sample: which rows of an output array belong to which sample id.

Input: arrays whose rows follow a list of sample ids. Output: the same, checked, and
addressed by sample. Alignment is by id, never by position: two runs with other batch
sizes, another order or another subset are still compared sample by sample.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bytemlperf.errors import InternalError, PredictError

__all__ = [
    "Arrays",
    "SampleIds",
    "check_ids",
    "choose_output",
    "rows_by_sample",
    "take_output",
]

Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class SampleIds:
    """Sample ids and the position of each.

    Parameters
    ----------
    ids : numpy.ndarray
        int64, shape (n,), all different: sample ``ids[i]`` was answered i-th.
    """

    ids: npt.NDArray[np.int64]

    def positions(self, wanted: npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
        """Find where samples stand.

        Parameters
        ----------
        wanted : numpy.ndarray
            int64, shape (m,); all of them occur in `ids`.

        Returns
        -------
        numpy.ndarray
            intp, shape (m,).
        """
        order = np.argsort(self.ids, kind="stable")
        found: npt.NDArray[np.intp] = order[
            np.searchsorted(self.ids, wanted, sorter=order)
        ]
        return found


def check_ids(sample_ids: npt.ArrayLike, what: str) -> SampleIds:
    """Check that sample ids can address outputs.

    Parameters
    ----------
    sample_ids : array_like of int
        One a sample, in the order of the output's rows.
    what : str
        Whose they are, for the message.

    Returns
    -------
    SampleIds
        Wrapping an int64 array.

    Raises
    ------
    InternalError
        If they are no list of different integers, or empty.
    """
    ids = np.asarray(sample_ids)
    if ids.ndim != 1 or ids.size == 0 or ids.dtype.kind not in "iu":
        raise InternalError(
            f"{what}: sample ids should be a non-empty list of integers, they have "
            f"shape {ids.shape} and dtype {ids.dtype}"
        )
    ids = ids.astype(np.int64)
    distinct, counts = np.unique(ids, return_counts=True)
    if distinct.size != ids.size:
        raise InternalError(
            f"{what}: sample {distinct[counts > 1][0]} occurs more than once"
        )
    return SampleIds(ids)


def take_output(outputs: Arrays, name: str, what: str) -> npt.NDArray[Any]:
    """Take an output by name.

    Parameters
    ----------
    outputs : mapping of str to numpy.ndarray
        A run's outputs.
    name : str
        The wanted one.
    what : str
        Whose they are, for the message.

    Returns
    -------
    numpy.ndarray
        As it is stored.

    Raises
    ------
    PredictError
        If it is missing, or holds no numbers.
    """
    if name not in outputs:
        raise PredictError(
            f"{what}: output {name!r} is missing, there are {sorted(outputs)}"
        )
    output = outputs[name]
    if output.dtype.kind not in "biuf" and output.dtype.name != "bfloat16":
        raise PredictError(
            f"{what}: output {name!r} should hold real numbers, "
            f"its dtype is {output.dtype}"
        )
    return output


def choose_output(
    outputs: Arrays, role: str, roles: Mapping[str, str]
) -> tuple[str, npt.NDArray[Any]]:
    """Find the output that plays a role: the one named for it, else the only one.

    Parameters
    ----------
    outputs : mapping of str to numpy.ndarray
        A run's outputs.
    role : str
        What a metric looks for, such as ``"scores"``.
    roles : mapping of str to str
        Role to output name, as far as they are stated.

    Returns
    -------
    tuple of (str, numpy.ndarray)
        The output's name and its array.

    Raises
    ------
    PredictError
        If the named output is missing, or none is named and there are several.
    """
    if role in roles:
        return roles[role], take_output(outputs, roles[role], "backend")
    if len(outputs) != 1:
        raise PredictError(
            f"which of the outputs {sorted(outputs)} holds the {role}?",
            hint=f"name it under `output_roles`: {{{role!r}: ...}} in the model json",
        )
    name = next(iter(outputs))
    return name, take_output(outputs, name, "backend")


def rows_by_sample(
    output: npt.NDArray[Any], name: str, samples: SampleIds, what: str
) -> npt.NDArray[Any]:
    """View an output as one entry a sample.

    Parameters
    ----------
    output : numpy.ndarray
        Shape ``(n * rows, ...)``, rows in the order of the ids.
    name : str
        The output's name, for the message.
    samples : SampleIds
        The n samples.
    what : str
        Whose it is, for the message.

    Returns
    -------
    numpy.ndarray
        Shape ``(n, rows, ...)``, no copy if `output` is contiguous.

    Raises
    ------
    PredictError
        If axis 0 is no multiple of n.
    """
    count = samples.ids.size
    rows, left_over = divmod(output.shape[0], count) if output.ndim else (0, 1)
    if left_over or rows == 0:
        raise PredictError(
            f"{what}: output {name!r} should have a multiple of {count} rows, one or "
            f"more for each sample; its shape is {output.shape}"
        )
    return output.reshape(count, rows, *output.shape[1:])
