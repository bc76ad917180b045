"""PyTorch models on the processor, compiled by TorchInductor.

Input: a TorchScript or torch.export file. Output: predictions. Each batch size is
compiled for itself, in `compile` or in `load`, never in the first query.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from bytemlperf.backends import Backend, Feeds, TensorInfo, tensor_infos
from bytemlperf.backends.runtimes.binding import feed
from bytemlperf.backends.runtimes.threads import plan_threads
from bytemlperf.errors import CompileError, LoadError, PredictError

__all__ = ["BackendINDUCTOR"]

PROFILE = Path(__file__).with_name("inductor.json")


class BackendINDUCTOR(Backend):
    """The processor, through ``torch.compile``.

    ``configs["interact_info"]`` may hold what ``inductor.json`` asks: ``freezing``,
    ``instance_count`` and ``intra_op_threads``.

    Notes
    -----
    Thread-safety: `predict` may be called from ``instance_count`` threads at once.
    """

    def __init__(self) -> None:
        super().__init__()
        self.hardware_type = "INDUCTOR"
        self.need_reload = True
        self._path = ""
        self._inputs: tuple[TensorInfo, ...] = ()
        self._shared: frozenset[str] = frozenset()
        self._outputs: tuple[str, ...] = ()
        self._freezing = True
        self._threads = plan_threads({})
        self._local = threading.local()
        self._call: Callable[..., Any] | None = None
        self._placement: dict[str, dict[str, int]] = {}
        self._loaded_batch_size = 0

    def version(self) -> str:
        """Return the version of PyTorch, whose compiler it is."""
        try:
            return f"INDUCTOR (torch {metadata.version('torch')})"
        except metadata.PackageNotFoundError:
            return "INDUCTOR (torch is not installed)"

    def get_interact_profile(
        self, config: dict[str, Any]
    ) -> list[dict[str, Any]] | None:
        """Return the questions of ``inductor.json``."""
        return msgspec.json.decode(PROFILE.read_bytes(), type=list[dict[str, Any]])

    def compile(
        self, configs: dict[str, Any], dataloader: Any | None = None
    ) -> dict[str, Any]:
        """Compile the model for the smallest batch size.

        Parameters
        ----------
        configs : dict
            See `Backend`; ``model_info`` needs ``framework`` and ``model_path``.
        dataloader : object, optional
            Not used: nothing is quantised.

        Returns
        -------
        dict
            The compile result.

        Raises
        ------
        CompileError
            The model is none of PyTorch's, names no input shapes, or cannot be
            compiled.
        """
        model_info, workload = configs["model_info"], configs["workload"]
        answers = configs.get("interact_info") or {}
        framework = str(model_info.get("framework"))
        if framework.casefold() not in {"pytorch", "torch"}:
            raise CompileError(
                f"INDUCTOR compiles PyTorch models, not {framework}",
                hint="measure a PyTorch variant of the model, or another hardware type",
            )
        path = model_info.get("model_path")
        if path is None or not Path(path).exists():
            raise CompileError(f"model_info.model_path: expected a file, came {path!r}")
        self._path = str(path)
        self._inputs = tensor_infos(model_info, "input")
        self._shared = frozenset(
            entry["name"]
            for entry in model_info.get("tensors") or ()
            if isinstance(entry, Mapping) and entry.get("shared")
        )
        unknown = [info.name for info in self._inputs if info.shape is None]
        if unknown or not self._inputs:
            raise CompileError(
                f"INDUCTOR compiles for shapes, and {', '.join(unknown) or 'no input'} "
                "has one in the model's description"
            )
        outputs = tensor_infos(model_info, "output")
        self._outputs = tuple(info.name for info in outputs)
        self._freezing = answers.get("freezing") is not False
        self._threads = plan_threads(answers)
        batch_sizes = workload.get("batch_sizes") or [1]
        largest = int(model_info.get("max_batch_size") or max(batch_sizes))
        precision = self._compile(min(batch_sizes))
        counts = {who: sum(kinds.values()) for who, kinds in self._placement.items()}
        return {
            "model": str(workload.get("model") or model_info.get("model")),
            "framework": framework,
            "compile_precision": precision,
            "input_type": [(info.dtype or "unknown").upper() for info in self._inputs],
            "max_batch_size": largest,
            "compile_status": "success",
            "sg_percent": 100.0 * counts["INDUCTOR"] / max(1, sum(counts.values())),
            "segments": [
                {
                    "sg_idx": 0,
                    "is_fallback": False,
                    "input_tensor_map": {i.name: i.batch_shape for i in self._inputs},
                    "output_tensor_map": {o.name: o.batch_shape for o in outputs},
                    "compiled_model": [
                        {"compiled_bs": min(batch_sizes), "compiled_obj": "in memory"}
                    ],
                }
            ],
            "optimizations": {
                "framework_version": f"torch {metadata.version('torch')}",
                "freezing": self._freezing,
                "shapes": "static, compiled for each batch size at load",
                "intra_op_threads": self._threads.intra_op_threads,
                "instance_count": self._threads.instance_count,
                "available_cores": self._threads.available_cores,
                "warnings": list(self._threads.warnings),
            },
            "instance_count": self._threads.instance_count,
            "device_count": 1,
        }

    def get_op_placement(self) -> dict[str, dict[str, int]] | None:
        """Return which operators Inductor lowers, and which it hands to PyTorch."""
        return self._placement or None

    def load(self, batch_size: int) -> None:
        """Compile for a batch size, if it is another one.

        Parameters
        ----------
        batch_size : int
            Samples per batch, >= 1.

        Raises
        ------
        LoadError
            Nothing was compiled before.
        CompileError
            It cannot be compiled for this batch size.
        """
        if self._call is None:
            raise LoadError(f"load({batch_size}) before compile")
        if batch_size != self._loaded_batch_size:
            self._compile(batch_size)

    def get_loaded_batch_size(self) -> int:
        """Return the batch size that was compiled last."""
        return self._loaded_batch_size

    def predict(self, data: Feeds) -> dict[str, npt.NDArray[Any]]:
        """Run the model on one batch.

        Parameters
        ----------
        data : mapping of str to ndarray
            By declared input name, in any order.

        Returns
        -------
        dict of str to ndarray
            By declared output name.

        Raises
        ------
        PredictError
            Nothing is compiled, an input is missing, or the number of outputs is not
            the description's.
        """
        import torch

        if self._call is None:
            raise PredictError("predict before compile")
        if not getattr(self._local, "is_ready", False):
            torch.set_num_threads(self._threads.intra_op_threads)
            self._local.is_ready = True
        tensors = [torch.from_dlpack(feed(data, info.name)) for info in self._inputs]
        with torch.inference_mode():
            answer = self._call(*tensors)
        answers = list(answer) if isinstance(answer, tuple | list) else [answer]
        names = self._outputs or tuple(f"output_{i}" for i in range(len(answers)))
        if len(answers) != len(names):
            raise PredictError(
                f"the model answers with {len(answers)} tensors, its description has "
                f"{len(names)} outputs: {', '.join(names)}"
            )
        storages = {tensor.untyped_storage().data_ptr() for tensor in tensors}
        return {
            name: np.ascontiguousarray(
                (
                    tensor.clone()
                    if tensor.untyped_storage().data_ptr() in storages
                    else tensor
                ).numpy()
            )
            for name, tensor in zip(names, answers, strict=True)
        }

    def _compile(self, batch_size: int) -> str:
        """Compile for a batch size; return the precision of the weights."""
        import torch

        from bytemlperf.backends.INDUCTOR._program import (
            compile_program,
            operator_placement,
            read_program,
        )
        from bytemlperf.backends.runtimes.runtime import precision_name

        torch.set_num_threads(self._threads.intra_op_threads)
        # What was compiled before is freed first: two at once may not fit.
        self._call = None
        torch._dynamo.reset()
        example = tuple(
            torch.zeros(self._shape(info, batch_size), dtype=_dtype(info))
            for info in self._inputs
        )
        program = read_program(self._path, example)
        weights: dict[str, int] = {}
        for weight in program.state_dict.values():
            kind = str(weight.dtype).removeprefix("torch.")
            weights[kind] = weights.get(kind, 0) + weight.nbytes
        self._call = compile_program(program, example, freezing=self._freezing)
        self._placement = operator_placement(program)
        self._loaded_batch_size = batch_size
        return precision_name(weights)

    def _shape(self, info: TensorInfo, batch_size: int) -> list[int]:
        times = 1 if info.name in self._shared else batch_size
        tail = [size if isinstance(size, int) else 1 for size in (info.shape or ())[1:]]
        return [times * info.rows_per_sample, *tail]


def _dtype(info: TensorInfo) -> Any:
    import torch

    return torch.from_numpy(np.empty(0, info.dtype or "float32")).dtype
