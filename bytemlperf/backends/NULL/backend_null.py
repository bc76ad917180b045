"""A backend that computes nothing, so that a run measures the harness alone.

Input: feeds. Output: the same zeros every time, of the model's output shapes, made
before the first call. It wants no model file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from bytemlperf import __version__
from bytemlperf.backends import Backend, Feeds, TensorInfo, tensor_infos
from bytemlperf.errors import CompileError

__all__ = ["BackendNULL"]

PROFILE = Path(__file__).with_name("null.json")
# Where the model's description gives no output shape.
UNKNOWN_OUTPUT = TensorInfo(name="output", dtype="float32", shape=(1, 1))


class BackendNULL(Backend):
    """Answer at once, with zeros.

    Notes
    -----
    Thread-safety: `predict` may be called from any number of threads; the answers are
    read-only arrays shared between calls.
    """

    def __init__(self) -> None:
        super().__init__()
        self.hardware_type = "NULL"
        self.need_model = False
        self._inputs: tuple[TensorInfo, ...] = ()
        self._outputs: tuple[TensorInfo, ...] = (UNKNOWN_OUTPUT,)
        self._loaded_batch_size = 0
        self._answers: dict[int, dict[str, npt.NDArray[Any]]] = {}

    def version(self) -> str:
        """Return the package's version: there is no runtime under it."""
        return f"null-{__version__}"

    def get_interact_profile(
        self, config: dict[str, Any]
    ) -> list[dict[str, Any]] | None:
        """Return the question about instances, from ``null.json``."""
        return msgspec.json.decode(PROFILE.read_bytes(), type=list[dict[str, Any]])

    def compile(
        self, configs: dict[str, Any], dataloader: Any | None = None
    ) -> dict[str, Any]:
        """Note the output shapes; there is nothing to compile.

        Parameters
        ----------
        configs : dict
            See `Backend`. Outputs without a shape in ``model_info`` are float32 with
            one value a sample; without any outputs there is one, named ``output``.
        dataloader : object, optional
            Not used.

        Returns
        -------
        dict
            A compile result with precision ``"none"``.
        """
        model_info = configs["model_info"]
        self._inputs = tensor_infos(model_info, "input")
        self._outputs = tensor_infos(model_info, "output") or (UNKNOWN_OUTPUT,)
        batch_sizes = configs["workload"].get("batch_sizes") or [1]
        answers = configs.get("interact_info") or {}
        return {
            "model": str(model_info.get("model", configs["workload"].get("model"))),
            "framework": str(model_info.get("framework", "none")),
            "compile_precision": "none",
            "input_type": [(info.dtype or "unknown").upper() for info in self._inputs],
            "max_batch_size": max(batch_sizes),
            "compile_status": "success",
            "sg_percent": 100,
            "segments": [
                {
                    "sg_idx": 0,
                    "is_fallback": False,
                    "input_tensor_map": _shapes(self._inputs),
                    "output_tensor_map": _shapes(self._outputs),
                    "compiled_model": [
                        {"compiled_bs": size, "compiled_obj": "none"}
                        for size in batch_sizes
                    ],
                }
            ],
            "optimizations": {"computes": "nothing: answers with zeros"},
            "instance_count": int(answers.get("instance_count") or 1),
            "device_count": 1,
        }

    def load(self, batch_size: int) -> None:
        """Make the answer to a batch of `batch_size` samples.

        Parameters
        ----------
        batch_size : int
            Samples per batch, >= 1.
        """
        self._loaded_batch_size = batch_size
        self._answers = {batch_size: self._answer(batch_size)}

    def get_loaded_batch_size(self) -> int:
        """Return what `load` was given; smaller batches are answered too."""
        return self._loaded_batch_size

    def predict(self, data: Feeds) -> dict[str, npt.NDArray[Any]]:
        """Return zeros for as many samples as came.

        Parameters
        ----------
        data : mapping of str to ndarray
            Only the length of one feed is looked at.

        Returns
        -------
        dict of str to ndarray
            Read-only; the same arrays for every batch of this size.
        """
        batch_size = self._batch_size(data)
        answer = self._answers.get(batch_size)
        if answer is None:
            answer = self._answers[batch_size] = self._answer(batch_size)
        return answer

    def _batch_size(self, data: Feeds) -> int:
        for info in self._inputs:
            if info.name in data:
                return len(data[info.name]) // info.rows_per_sample
        for feed in data.values():
            return len(feed)
        return self._loaded_batch_size

    def _answer(self, batch_size: int) -> dict[str, npt.NDArray[Any]]:
        answer = {}
        for info in self._outputs:
            array = np.zeros(
                (batch_size * info.rows_per_sample, *_static_tail(info)),
                dtype=info.dtype or "float32",
            )
            array.flags.writeable = False
            answer[info.name] = array
        return answer


def _static_tail(info: TensorInfo) -> tuple[int, ...]:
    """Return the shape behind axis 0, with 1 for a dynamic dimension."""
    if info.shape is None:
        return (1,)
    return tuple(
        size if isinstance(size, int) and size >= 0 else 1 for size in info.shape[1:]
    )


def _shapes(infos: tuple[TensorInfo, ...]) -> dict[str, list[int]]:
    names = [info.name for info in infos]
    if len(set(names)) != len(names):
        raise CompileError(f"model_info names a tensor twice: {', '.join(names)}")
    return {info.name: info.batch_shape for info in infos}
