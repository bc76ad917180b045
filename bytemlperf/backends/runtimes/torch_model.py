"""TorchScript and torch.export programs on the processor.

Input: a ``.pt`` file (TorchScript) or a ``.pt2`` file (torch.export). Output: arrays
by name. Inputs are seen in place, through DLPack, unless the graph writes to them.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from bytemlperf.backends import Feeds, TensorInfo
from bytemlperf.backends.runtimes.binding import bind, feed, plain_name
from bytemlperf.backends.runtimes.copied_inputs import CopiedInputs
from bytemlperf.backends.runtimes.runtime import (
    ModelFacts,
    RuntimeRequest,
    fixed_batch,
    mixed_name,
)
from bytemlperf.backends.runtimes.torch_program import Program, open_program
from bytemlperf.errors import BackendUnavailableError, CompileError, PredictError

__all__ = ["TorchRuntime"]


class TorchRuntime:
    """A PyTorch model, ready to answer.

    Parameters
    ----------
    request : RuntimeRequest
        The file, its declared tensors and the threads.

    Raises
    ------
    CompileError
        The file is neither format, or takes other inputs than declared.
    BackendUnavailableError
        The device is not there.

    Notes
    -----
    Thread-safety: `predict` may be called from several threads at once. The number of
    threads is the process's, but OpenMP keeps it per calling thread: it is set again
    in each.
    """

    def __init__(self, request: RuntimeRequest) -> None:
        self._threads = request.threads
        self._local = threading.local()
        warning = self._set_threads()
        self._device = _device(request.device)
        program = open_program(request.model_path, request.device)
        self._program = program
        self._order = _argument_order(program, request.inputs)
        self.copied = CopiedInputs()
        self._outputs = tuple(info.name for info in request.outputs)
        shapes = {info.name: info.batch_shape for info in request.inputs}
        dtypes = {info.name: info.dtype or "unknown" for info in request.inputs}
        self.facts = ModelFacts(
            framework_version=f"torch {torch.__version__}",
            precision=mixed_name(program.precision, program.arithmetic),
            arithmetic=program.arithmetic,
            op_count=program.operators.total(),
            run_op_count=program.operators.total(),
            input_dtypes=tuple(dtypes.get(name, "unknown") for name in self._order),
            inputs={name: shapes.get(name, [-1]) for name in self._order},
            outputs={info.name: info.batch_shape for info in request.outputs},
            fixed_batch_size=fixed_batch(
                dict(zip(self._order, program.rows, strict=False)), request.inputs
            ),
            optimizations={
                **program.optimizations,
                "device": str(self._device),
                "zero_copy_inputs": self._device.type == "cpu"
                and not program.writes_inputs,
            },
            warnings=(warning,) if warning else (),
            # There is nobody to leave an operator to: one without a kernel is an error.
            # What runs on another device than it was moved to, PyTorch does not tell.
            placement={"PyTorch": dict(program.operators)}
            if self._device.type == "cpu"
            else {},
            executor="PyTorch",
        )

    def predict(self, data: Feeds) -> dict[str, npt.NDArray[Any]]:
        """Run one batch.

        Parameters
        ----------
        data : mapping of str to ndarray
            By declared name, in any order.

        Returns
        -------
        dict of str to ndarray
            By declared name.

        Raises
        ------
        PredictError
            An input is missing, or the model answers with another number of tensors
            than the description has outputs.
        """
        if not getattr(self._local, "is_ready", False):
            torch.set_num_threads(self._threads.intra_op_threads)
            self._local.is_ready = True
        program = self._program
        tensors = [torch.from_dlpack(feed(data, name)) for name in self._order]
        if self._device.type != "cpu":
            tensors = [tensor.to(self._device) for tensor in tensors]
        elif program.writes_inputs:
            for tensor in tensors:
                self.copied.add(tensor.nbytes)
            tensors = [tensor.clone() for tensor in tensors]
        positional = len(tensors) - len(program.keywords)
        with torch.inference_mode():
            answer = program.call(
                *tensors[:positional],
                **dict(zip(program.keywords, tensors[positional:], strict=True)),
            )
        return self._arrays(answer, tensors)

    def _arrays(self, answer: object, inputs: list[Any]) -> dict[str, npt.NDArray[Any]]:
        """Name the outputs; copy one that is a view of an input."""
        by_name = _named(answer, self._outputs)
        storages = {tensor.untyped_storage().data_ptr() for tensor in inputs}
        arrays = {}
        for name, tensor in by_name.items():
            if tensor.dtype is torch.bfloat16:
                tensor = tensor.float()  # numpy has no bfloat16
            if tensor.untyped_storage().data_ptr() in storages:
                tensor = tensor.clone()
            # From another device this waits until the work is done, and copies.
            arrays[name] = np.ascontiguousarray(tensor.detach().cpu().numpy())
        return arrays

    def _set_threads(self) -> str | None:
        """Apply the plan; say so if the process can no longer follow it."""
        torch.set_num_threads(self._threads.intra_op_threads)
        wanted = self._threads.inter_op_threads
        if torch.get_num_interop_threads() != wanted:
            try:
                torch.set_num_interop_threads(wanted)
            except RuntimeError:
                # Once work has run in this process, PyTorch refuses to change it.
                return (
                    f"PyTorch keeps {torch.get_num_interop_threads()} inter-op threads "
                    f"instead of {wanted}: it was already running"
                )
        return None


def _device(name: str) -> Any:
    """Return a device that is there."""
    device = torch.device(name)
    if device.type == "cpu":
        return device
    accelerator = getattr(torch, device.type, None)
    if accelerator is None or not accelerator.is_available():
        raise BackendUnavailableError(
            f"PyTorch {torch.__version__} sees no device {name!r}",
            detail=f"torch.{device.type}.is_available() is False",
            hint="it takes the device, its driver and a PyTorch built for it",
        )
    return device


def _argument_order(
    program: Program, inputs: tuple[TensorInfo, ...]
) -> tuple[str, ...]:
    """Return the declared names in the order of the model's arguments.

    By name where the names are the same; else the description's order is the
    argument order, which is what a traced module without names leaves.
    """
    declared = tuple(info.name for info in inputs)
    actual = program.arguments
    if not declared:
        return actual
    if {plain_name(name) for name in declared} == set(actual):
        pairs = bind(declared, actual, "inputs of the PyTorch model")
        return tuple(pairs[name] for name in actual)
    if len(declared) != len(actual):
        raise CompileError(
            f"the model takes {len(actual)} inputs, described are {len(declared)}",
            detail=f"model: {', '.join(actual)}; description: {', '.join(declared)}",
        )
    return declared


def _named(answer: object, names: tuple[str, ...]) -> Mapping[str, Any]:
    """Name what a model returned: by its own keys, or in the declared order."""
    if isinstance(answer, Mapping):
        missing = [name for name in names if name not in answer]
        if missing:
            raise PredictError(
                f"the model answers with {', '.join(answer)}; "
                f"missing: {', '.join(missing)}"
            )
        return {name: answer[name] for name in names} if names else answer
    tensors = list(answer) if isinstance(answer, tuple | list) else [answer]
    if not names:
        return {f"output_{index}": tensor for index, tensor in enumerate(tensors)}
    if len(tensors) != len(names):
        raise PredictError(
            f"the model answers with {len(tensors)} tensors, "
            f"its description has {len(names)} outputs: {', '.join(names)}"
        )
    return dict(zip(names, tensors, strict=True))
