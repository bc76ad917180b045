"""What the three runtimes have in common: their face and the words of their report.

Input: nothing. Output: types. It imports no framework.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec
import numpy.typing as npt

from bytemlperf.backends import Feeds, TensorInfo
from bytemlperf.backends.runtimes.copied_inputs import CopiedInputs
from bytemlperf.backends.runtimes.threads import ThreadPlan

__all__ = [
    "ModelFacts",
    "Runtime",
    "RuntimeRequest",
    "fixed_batch",
    "mixed_name",
    "precision_name",
]

PRECISION_NAMES = {
    "float64": "fp64",
    "float32": "fp32",
    "float16": "fp16",
    "bfloat16": "bf16",
    "int8": "int8",
    "uint8": "int8",
    "qint8": "int8",
    "quint8": "int8",
    "int4": "int4",
    "uint4": "int4",
}


class SessionChoices(msgspec.Struct, frozen=True):
    """How ONNX Runtime runs a model.

    Parameters
    ----------
    providers : tuple of str
        Execution providers by preference; the processor's is added as the last.
    provider_options : dict of str to str
        Of the first provider.
    graph_optimization_level : str
        ``"disable"``, ``"basic"``, ``"extended"``, ``"layout"`` or ``"all"``.
    is_parallel : bool
        Whether operators that do not wait for each other run at once.
    """

    providers: tuple[str, ...] = ("CPUExecutionProvider",)
    provider_options: dict[str, str] = {}
    graph_optimization_level: str = "all"
    is_parallel: bool = False


class RuntimeRequest(msgspec.Struct, frozen=True):
    """What a runtime is asked to open.

    Parameters
    ----------
    model_path : str
        The model in its source format.
    inputs, outputs : tuple of TensorInfo
        As the model's description declares them; empty if it does not.
    threads : ThreadPlan
        To be applied.
    device : str
        ``"cpu"``, or a device as PyTorch names it, such as ``"cuda:0"``.
    session : SessionChoices
        For ONNX models.
    """

    model_path: str
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    threads: ThreadPlan
    device: str = "cpu"
    session: SessionChoices = SessionChoices()


class ModelFacts(msgspec.Struct, frozen=True):
    """What was found in a loaded model, and what was done to it.

    Parameters
    ----------
    framework_version : str
        Name and version of the framework.
    precision : str
        What weights are stored in, such as ``"fp32"``; ``"<name>_mix"`` if arithmetic
        is not all done in it.
    op_count, run_op_count : int
        Operators in the source graph; of them, those that this runtime runs.
    input_dtypes : tuple of str
        In the order of `inputs`, numpy names.
    inputs, outputs : dict of str to list of int
        Shape by declared name; -1 for a dynamic dimension and for the batch.
    fixed_batch_size : int or None
        The one batch size the graph takes; None if it takes any.
    optimizations : dict of str to value
        What was done at compile time, by name.
    warnings : tuple of str
        What the reader of the report has to know.
    arithmetic : str
        What products and convolutions are computed in, such as ``"fp32"``; empty if the
        graph has none whose type is known.
    placement : dict of str to dict of str to int
        Operators by type, by who runs them; empty if the framework does not tell.
    executor : str
        Whose operators in `placement` count as compiled.
    """

    framework_version: str
    precision: str
    op_count: int
    run_op_count: int
    input_dtypes: tuple[str, ...]
    inputs: dict[str, list[int]]
    outputs: dict[str, list[int]]
    fixed_batch_size: int | None
    optimizations: dict[str, Any]
    warnings: tuple[str, ...] = ()
    arithmetic: str = ""
    placement: dict[str, dict[str, int]] = {}
    executor: str = ""


class Runtime(Protocol):
    """A loaded model under one framework."""

    facts: ModelFacts
    copied: CopiedInputs

    def predict(self, data: Feeds) -> dict[str, npt.NDArray[Any]]:
        """Run one batch; outputs are by declared name and do not alias `data`."""
        ...


def precision_name(weight_bytes: Mapping[str, int]) -> str:
    """Name the precision that most of the weights are stored in.

    Parameters
    ----------
    weight_bytes : mapping of str to int
        Bytes by dtype name.

    Returns
    -------
    str
        Such as ``"fp32"``; ``"none"`` for a model without weights.
    """
    counted = {
        dtype: size for dtype, size in weight_bytes.items() if dtype in PRECISION_NAMES
    }
    if not counted:
        return "none"
    return PRECISION_NAMES[max(counted, key=counted.__getitem__)]


def mixed_name(stored: str, arithmetic: str) -> str:
    """Name a precision by what weights are stored in and what is computed in.

    Parameters
    ----------
    stored, arithmetic : str
        Such as ``"fp16"`` and ``"fp32"``; an empty `arithmetic` is not known.

    Returns
    -------
    str
        Such as ``"fp16_mix"``: stored in one, computed in another.
    """
    return stored if arithmetic in ("", stored) else f"{stored}_mix"


def fixed_batch(
    rows: Mapping[str, int | None], inputs: tuple[TensorInfo, ...]
) -> int | None:
    """Return the one batch size that a graph with static rows takes.

    Parameters
    ----------
    rows : mapping of str to int or None
        Axis 0 by declared input name; None where it is dynamic.
    inputs : tuple of TensorInfo
        For the rows of a sample.

    Returns
    -------
    int or None
        None if no input has a static axis 0.
    """
    rows_per_sample = {info.name: info.rows_per_sample for info in inputs}
    sizes = [
        max(1, count // rows_per_sample.get(name, 1))
        for name, count in rows.items()
        if count is not None
    ]
    return min(sizes, default=None)
