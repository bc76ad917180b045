"""Fit queries to the batch size that a backend has loaded, and check its answers.

Input: feeds of any number of samples. Output: outputs of the same number. A backend
with a fixed batch size gets whole batches: longer feeds are split and the last one is
padded by repeating its last sample, whose outputs are dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from bytemlperf.backends import Backend
from bytemlperf.engine.vendor_calls import vendor_call
from bytemlperf.errors import PredictError

__all__ = ["FittedPredict", "check_outputs"]

Arrays = Mapping[str, npt.NDArray[Any]]


def check_outputs(
    outputs: object, sample_count: int, expected: tuple[str, ...], who: str
) -> None:
    """Check what `Backend.predict` returned.

    Parameters
    ----------
    outputs : object
        The returned value.
    sample_count : int
        Samples that were fed.
    expected : tuple of str
        Output names the model declares; all must be there.
    who : str
        Named in the error.

    Raises
    ------
    PredictError
        Not a dict of arrays, an output is missing, or axis 0 of one is not a whole
        number of rows per sample.
    """
    if not isinstance(outputs, dict):
        raise PredictError(
            f"{who}.predict returned {type(outputs).__name__}, expected a dict of "
            "arrays by output name"
        )
    missing = [name for name in expected if name not in outputs]
    if missing or not outputs:
        raise PredictError(
            f"{who}.predict left out {', '.join(missing) or 'every output'}; "
            f"it returned {', '.join(map(str, outputs)) or 'nothing'}"
        )
    for name, value in outputs.items():
        if not isinstance(value, np.ndarray):
            raise PredictError(
                f"{who}.predict output {name!r} is {type(value).__name__}, expected a "
                "numpy array"
            )
        rows = value.shape[0] if value.ndim else 0
        if rows == 0 or rows % sample_count:
            raise PredictError(
                f"{who}.predict output {name!r} has shape {value.shape}, expected a "
                f"multiple of {sample_count} on axis 0 for {sample_count} samples"
            )


class FittedPredict:
    """Answer feeds of any sample count with a backend that loaded one batch size.

    Parameters
    ----------
    backend : Backend
        Loaded.
    rows_per_sample : mapping of str to int
        Rows on axis 0 that one sample takes, by input name.
    output_names : tuple of str
        Outputs the model declares.
    loaded_batch_size : int
        What the backend loaded, >= 1.
    predict : callable, optional
        Runs one batch of that size, such as a chain of segments; default: the
        backend's `predict`.
    shared : tuple of str
        Inputs that the backend is fed one sample's rows of, whatever the batch.

    Notes
    -----
    Thread-safety: as the backend's `predict`.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        rows_per_sample: Mapping[str, int],
        output_names: tuple[str, ...],
        loaded_batch_size: int,
        predict: Callable[[Arrays], dict[str, npt.NDArray[Any]]] | None = None,
        shared: tuple[str, ...] = (),
    ) -> None:
        self._backend = backend
        self._predict = predict or backend.predict
        self._rows_per_sample = dict(rows_per_sample)
        # One that tells how many samples there are.
        self._first_input = next(n for n in self._rows_per_sample if n not in shared)
        self._shared = shared
        self._output_names = output_names
        self.loaded_batch_size = loaded_batch_size

    @property
    def hardware_type(self) -> str:
        """Whose backend it is."""
        return self._backend.hardware_type

    def copied_inputs(self) -> tuple[int, int] | None:
        """Return what `Backend.get_copied_inputs` says, checked.

        Returns
        -------
        tuple of int, or None
            Arrays copied so far, and their bytes together.

        Raises
        ------
        PredictError
            It is neither None nor two whole numbers.
        """
        who = self.hardware_type
        copied: Any = vendor_call(
            who, "get_copied_inputs", self._backend.get_copied_inputs, PredictError
        )
        if copied is None:
            return None
        if (
            not isinstance(copied, tuple)
            or len(copied) != 2
            or not all(isinstance(value, int) and value >= 0 for value in copied)
        ):
            raise PredictError(
                f"{who}.get_copied_inputs returned {copied!r}, expected None or a "
                "count and bytes"
            )
        return copied

    def sample_count(self, feeds: Arrays) -> int:
        """Return how many samples `feeds` holds."""
        rows = feeds[self._first_input].shape[0]
        return int(rows // self._rows_per_sample[self._first_input])

    def predict_count(self, sample_count: int) -> int:
        """Return how many calls of `Backend.predict` so many samples take."""
        return -(-sample_count // self.loaded_batch_size)

    def __call__(self, feeds: Arrays) -> dict[str, npt.NDArray[Any]]:
        """Predict.

        Parameters
        ----------
        feeds : mapping of str to ndarray
            Rows of whole samples by input name.

        Returns
        -------
        dict of str to ndarray
            Outputs for exactly the samples fed.
        """
        count = self.sample_count(feeds)
        size = self.loaded_batch_size
        if count == size:
            return self._predict(self._share(feeds))
        parts: list[dict[str, npt.NDArray[Any]]] = []
        for start in range(0, count, size):
            used = min(size, count - start)
            batch = {
                name: self._cut(array, self._rows_per_sample[name], start, used)
                for name, array in feeds.items()
            }
            outputs = self._predict(self._share(batch))
            check_outputs(
                outputs, size, self._output_names, self._backend.hardware_type
            )
            parts.append(
                {
                    name: value[: used * (value.shape[0] // size)]
                    for name, value in outputs.items()
                }
            )
        return {
            name: np.concatenate([part[name] for part in parts]) for name in parts[0]
        }

    def checked(self, feeds: Arrays) -> dict[str, npt.NDArray[Any]]:
        """Predict outside the timed path, and check the answer.

        Parameters
        ----------
        feeds : mapping of str to ndarray
            As for a call.

        Returns
        -------
        dict of str to ndarray
            As for a call.

        Raises
        ------
        PredictError
            The backend raised, or `check_outputs` refused its answer.
        """
        who = self._backend.hardware_type
        count = self.sample_count(feeds)
        try:
            outputs = self(feeds)
        except PredictError:
            raise
        except Exception as error:
            # As of every call into a vendor's code: anything.
            raise PredictError(
                f"{who}.predict raised {type(error).__name__} on {count} samples: "
                f"{error}{_explained(error)}"
            ) from error
        check_outputs(outputs, count, self._output_names, who)
        return outputs

    def _share(self, feeds: Arrays) -> Arrays:
        """Leave one sample's rows of what all samples share."""
        shared = self._shared
        if not shared:
            return feeds
        return {
            name: array[: self._rows_per_sample[name]]
            if name in self._shared
            else array
            for name, array in feeds.items()
        }

    def _cut(
        self, array: npt.NDArray[Any], rows: int, start: int, used: int
    ) -> npt.NDArray[Any]:
        """Return one whole batch, padded with its last sample if it is short."""
        part = array[start * rows : (start + used) * rows]
        short = self.loaded_batch_size - used
        if not short:
            return part
        return np.concatenate([part, *([part[-rows:]] * short)])


def _explained(error: Exception) -> str:
    """Say what numpy means, if it refused to write to an input."""
    if isinstance(error, ValueError) and "read-only" in str(error):
        return (
            " (inputs are read-only views of the framework's buffers: copy one before "
            "changing it)"
        )
    return ""
