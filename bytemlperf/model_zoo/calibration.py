"""What the activations of a quantised model are measured with: samples of its task.

Input: an architecture and samples. Output: the architecture, with these for examples.
Scales that are measured on anything else clip what the samples bring: ResNet-50 with
drawn weights reached 3 dB with scales from drawn pictures, and 16 dB with these.
"""

from __future__ import annotations

from typing import Any, cast

import msgspec
import numpy as np
import numpy.typing as npt

from bytemlperf.model_zoo.builders import Architecture
from bytemlperf.model_zoo.schema import ModelInfo

__all__ = ["CalibrationSamples", "is_calibrated", "with_examples"]

Array = npt.NDArray[Any]
PICTURE_DIMENSIONS = 4


class CalibrationSamples(msgspec.Struct, frozen=True, kw_only=True):
    """Samples to measure activations with.

    Parameters
    ----------
    key : str
        Hash of them.
    inputs : dict of str to ndarray
        Every input by its name in the model file, one row a sample.
    """

    key: str
    inputs: dict[str, Array]


def is_calibrated(info: ModelInfo) -> bool:
    """Tell whether a model's scales of activations are measured beforehand.

    Parameters
    ----------
    info : ModelInfo
        The model file.

    Returns
    -------
    bool
        True for int8 models of pictures; others measure while they run.
    """
    return info.model_precision == "INT8" and any(
        len(spec.shape) == PICTURE_DIMENSIONS for spec in info.tensors
    )


def with_examples(
    info: ModelInfo, architecture: Architecture, samples: CalibrationSamples
) -> Architecture:
    """Return an architecture that draws its examples from samples.

    Parameters
    ----------
    info : ModelInfo
        Says in which order the inputs are.
    architecture : Architecture
        All else is its.
    samples : CalibrationSamples
        Taken in order, and again from the first when they are used up.

    Returns
    -------
    Architecture
        To export with, not to draw weights with.
    """

    class Sampled:
        def __getattr__(self, name: str) -> Any:
            return getattr(architecture, name)

        def example(self, batch_size: int, seed: int = 0) -> dict[str, Array]:
            names = architecture.example(1)
            rows = np.arange(seed * batch_size, (seed + 1) * batch_size)
            return {
                plain: np.take(samples.inputs[name], rows, axis=0, mode="wrap")
                for plain, name in zip(names, info.input_names, strict=True)
            }

    return cast(Architecture, Sampled())
