"""Run an ONNX session on memory that is lent to it: inputs in place, outputs pooled.

Input: a session and arrays. Output: arrays. A session is told once where inputs lie and
outputs go, and again only when that changes: a predict thread gathers into the same
buffer each time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bytemlperf._native.buffer_pool import SLOT_ALIGNMENT, BufferPool

__all__ = ["BoundSession"]

Array = npt.NDArray[Any]
Shapes = tuple[tuple[tuple[int, ...], np.dtype[Any]], ...]

# Answers of one shape held at once; more are in memory of the session's own.
SLOTS = 4
MAX_POOL_BYTES = 256 * 1024 * 1024
# A session is asked for few batch sizes; the lengths of texts may be many.
MAX_BINDINGS = 16


class BoundSession:
    """A session of ONNX Runtime on the processor, with its bindings.

    Parameters
    ----------
    session : onnxruntime.InferenceSession
        Used by one thread at a time.
    inputs, outputs : sequence of str
        Names in the graph, in the order of the arrays.

    Notes
    -----
    An answer is a read-only array in a slot of a pool, which is used again when nobody
    holds the answer any more. Answers whose shape does not follow from the inputs'
    shapes alone, by the names of the graph's dimensions, stay in the session's memory.
    Thread-safety: one thread at a time.
    """

    def __init__(
        self, session: Any, inputs: Sequence[str], outputs: Sequence[str]
    ) -> None:
        self._session = session
        self._inputs = list(inputs)
        self._outputs = list(outputs)
        by_name = {tensor.name: tensor.shape for tensor in session.get_inputs()}
        self._input_dims = [by_name[name] for name in self._inputs]
        by_name = {tensor.name: tensor.shape for tensor in session.get_outputs()}
        self._output_dims = [by_name[name] for name in self._outputs]
        self._bindings: dict[Shapes, _Binding | None] = {}

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """Run once.

        Parameters
        ----------
        arrays : sequence of ndarray
            C-contiguous, in the order of the inputs; read before it returns.

        Returns
        -------
        list of ndarray
            In the order of the outputs; none aliases an input, or an answer that
            somebody still holds.
        """
        shapes = tuple((array.shape, array.dtype) for array in arrays)
        binding = self._bindings.get(shapes)
        if binding is not None:
            answers = binding.run(arrays)
            if answers is not None:
                return answers
        feeds = dict(zip(self._inputs, arrays, strict=True))
        answers = list(self._session.run(self._outputs, feeds))
        if shapes not in self._bindings and len(self._bindings) < MAX_BINDINGS:
            self._bindings[shapes] = self._bind(shapes, answers)
        return answers

    def _bind(self, shapes: Shapes, answers: Sequence[Array]) -> _Binding | None:
        """Make a binding for these shapes, or None if it cannot be had."""
        sizes = {
            dimension: size
            for (shape, _), dimensions in zip(shapes, self._input_dims, strict=True)
            for dimension, size in zip(dimensions, shape, strict=True)
            if isinstance(dimension, str)
        }
        for answer, dimensions in zip(answers, self._output_dims, strict=True):
            expected = tuple(
                dimension if isinstance(dimension, int) else sizes.get(dimension, -1)
                for dimension in dimensions
            )
            if answer.shape != expected or not answer.nbytes or answer.dtype.hasobject:
                return None
        if any(0 in shape or dtype.hasobject for shape, dtype in shapes):
            return None
        if SLOTS * sum(_padded(answer.nbytes) for answer in answers) > MAX_POOL_BYTES:
            return None
        return _Binding(
            self._session,
            list(zip(self._inputs, shapes, strict=True)),
            list(zip(self._outputs, answers, strict=True)),
        )


class _Binding:
    """Where the inputs of some shapes lie, and a pool for their answers."""

    def __init__(
        self,
        session: Any,
        inputs: list[tuple[str, tuple[tuple[int, ...], np.dtype[Any]]]],
        outputs: list[tuple[str, Array]],
    ) -> None:
        self._session = session
        self._binding = session.io_binding()
        self._inputs = inputs
        self._layouts = []
        offset = 0
        for name, answer in outputs:
            self._layouts.append((name, answer.shape, answer.dtype, offset))
            offset += _padded(answer.nbytes)
        self._pool = BufferPool(SLOTS, offset)
        for _ in range(SLOTS):
            self._pool.acquire_nowait()
        self._addresses = [0] * len(inputs)
        self._slot = -1

    def run(self, arrays: Sequence[Array]) -> list[Array] | None:
        """Run once; None if all slots are in use."""
        slot = self._free_slot()
        if slot is None:
            return None
        for index, array in enumerate(arrays):
            address = array.__array_interface__["data"][0]
            if address != self._addresses[index]:
                name, (shape, dtype) = self._inputs[index]
                self._binding.bind_input(name, "cpu", 0, dtype, shape, address)
                self._addresses[index] = address
        if slot != self._slot:
            base = self._pool.address(slot)
            for name, shape, dtype, offset in self._layouts:
                self._binding.bind_output(name, "cpu", 0, dtype, shape, base + offset)
            self._slot = slot
        self._session.run_with_iobinding(self._binding)
        answers = []
        for _, shape, dtype, offset in self._layouts:
            nbytes = dtype.itemsize * int(np.prod(shape, dtype=np.int64))
            view = self._pool.view(slot, offset=offset, nbytes=nbytes)
            answers.append(np.frombuffer(view, dtype=dtype).reshape(shape))
        return answers

    def _free_slot(self) -> int | None:
        """Prefer the slot that is bound already."""
        if self._slot >= 0 and not self._pool.export_count(self._slot):
            return self._slot
        for slot in range(SLOTS):
            if not self._pool.export_count(slot):
                return slot
        return None


def _padded(nbytes: int) -> int:
    return -(-nbytes // SLOT_ALIGNMENT) * SLOT_ALIGNMENT
