"""Run a model on this machine's processor, compiled by OpenVINO.

Input: a TorchScript or torch.export file, a SavedModel folder or an ``.onnx`` file.
Output: predictions. The model is converted to OpenVINO's intermediate representation
and compiled; operators of an ONNX model that are excluded run on ONNX Runtime.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections import Counter
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy.typing as npt

from bytemlperf.backends import Backend, Feeds, tensor_infos
from bytemlperf.backends.runtimes.threads import ThreadPlan, plan_threads
from bytemlperf.errors import CompileError, LoadError, PredictError

if TYPE_CHECKING:
    from bytemlperf.backends.OPENVINO._compiled import CompiledPart

__all__ = ["BackendOPENVINO"]

PROFILE = Path(__file__).with_name("openvino.json")
DISTRIBUTIONS = ("openvino", "onnxruntime")


class BackendOPENVINO(Backend):
    """The processor, through OpenVINO.

    ``configs["interact_info"]`` may hold what ``openvino.json`` asks: ``precision``,
    ``shapes``, ``instance_count``, ``intra_op_threads`` and ``exclude_ops``.

    Notes
    -----
    Thread-safety: `predict` and `predict_segment` may be called from
    ``instance_count`` threads at once.
    """

    def __init__(self) -> None:
        super().__init__()
        self.hardware_type = "OPENVINO"
        # With static shapes each batch size is compiled when it is loaded.
        self.need_reload = True
        self._folder = Path(tempfile.mkdtemp(prefix="openvino-"))
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._parts: dict[int, CompiledPart] = {}
        self._fallback_ops: Counter[str] = Counter()
        self._loaded_batch_size = 0
        self._compiled_batch_size: int | None = None

    def version(self) -> str:
        """Return the versions of OpenVINO and of the runtime of fallback segments."""
        found = []
        for name in DISTRIBUTIONS:
            try:
                found.append(f"{name} {metadata.version(name)}")
            except metadata.PackageNotFoundError:
                continue
        return f"OPENVINO ({', '.join(found) or 'not installed'})"

    def get_interact_profile(
        self, config: dict[str, Any]
    ) -> list[dict[str, Any]] | None:
        """Return the questions of ``openvino.json``."""
        return msgspec.json.decode(PROFILE.read_bytes(), type=list[dict[str, Any]])

    def compile(
        self, configs: dict[str, Any], dataloader: Any | None = None
    ) -> dict[str, Any]:
        """Convert the model, write its intermediate representation and compile it.

        Parameters
        ----------
        configs : dict
            See `Backend`; ``model_info`` needs ``framework`` and ``model_path``.
        dataloader : object, optional
            Not used: nothing is quantised.

        Returns
        -------
        dict
            The compile result, with one segment, or with several if operators are
            excluded.

        Raises
        ------
        CompileError
            The model file is missing, OpenVINO cannot convert or compile it, its
            tensors are not those declared, or an answer makes no sense.
        """
        from bytemlperf.backends.OPENVINO import _compiled, _conversion

        model_info, workload = configs["model_info"], configs["workload"]
        answers = configs.get("interact_info") or {}
        path = model_info.get("model_path")
        if path is None or not Path(path).exists():
            raise CompileError(f"model_info.model_path: expected a file, came {path!r}")
        threads = plan_threads(answers)
        options = _compiled.Options(
            threads=threads,
            precision=str(answers.get("precision") or "source"),
            static_shapes=(answers.get("shapes") or "static") == "static",
        )
        self.need_reload = options.static_shapes
        inputs = tensor_infos(model_info, "input")
        outputs = tensor_infos(model_info, "output")
        framework = str(model_info.get("framework"))
        excluded = _names(answers.get("exclude_ops"))
        if excluded:
            raise CompileError("not yet")
        self._parts, self._fallback_ops = {}, Counter()
        core = _compiled.open_core()
        first_batch_size = min(workload.get("batch_sizes") or [1])
        artefact = self._folder / "model.xml"
        converted = _conversion.convert(
            str(path), framework, inputs, outputs, core=core, artefact=artefact
        )
        part = _compiled.CompiledPart(core, converted, inputs, options)
        self._parts[0] = part
        self._compile(first_batch_size)
        max_batch_size = part.fixed_batch_size or int(
            model_info.get("max_batch_size") or max(workload.get("batch_sizes") or [1])
        )
        return {
            "model": str(workload.get("model") or model_info.get("model")),
            "framework": framework,
            "compile_precision": part.precision,
            "input_type": part.input_types,
            "max_batch_size": max_batch_size,
            "compile_status": "success",
            "sg_percent": part.coverage.percent,
            "segments": [
                {
                    "sg_idx": 0,
                    "is_fallback": False,
                    "input_tensor_map": part.source_shapes,
                    "output_tensor_map": part.output_shapes,
                    "compiled_model": [
                        {"compiled_bs": max_batch_size, "compiled_obj": str(artefact)}
                    ],
                }
            ],
            "optimizations": self._optimizations(threads, options.static_shapes),
            "instance_count": threads.instance_count,
            "device_count": 1,
        }

    def get_op_placement(self) -> dict[str, dict[str, int]] | None:
        """Return which operators OpenVINO runs, as `query_model` says."""
        placed: Counter[str] = Counter()
        refused: Counter[str] = Counter(self._fallback_ops)
        for part in self._parts.values():
            placed.update(part.coverage.supported)
            refused.update(part.coverage.unsupported)
        return {"OPENVINO": dict(placed), "onnxruntime": dict(refused)}

    def load(self, batch_size: int) -> None:
        """Compile for a batch size, if shapes are static and it is another one.

        Parameters
        ----------
        batch_size : int
            Samples per batch, >= 1. A graph with a static batch dimension keeps its
            own, and `get_loaded_batch_size` says so.

        Raises
        ------
        LoadError
            Nothing is compiled.
        CompileError
            OpenVINO refuses this batch size.
        """
        if not self._parts:
            raise LoadError(f"load({batch_size}) before compile")
        fixed = [part.fixed_batch_size for part in self._parts.values()]
        self._loaded_batch_size = next(filter(None, fixed), batch_size)
        if self.need_reload and self._compiled_batch_size != self._loaded_batch_size:
            self._compile(self._loaded_batch_size)

    def get_loaded_batch_size(self) -> int:
        """Return what `load` was given, or the graph's own static batch size."""
        return self._loaded_batch_size

    def predict(self, data: Feeds) -> dict[str, npt.NDArray[Any]]:
        """Run a model of one segment on one batch.

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
            Nothing is compiled, or an input is missing.
        """
        if not self._parts:
            raise PredictError("predict before compile")
        return self._parts[0].predict(data)

    def _compile(self, batch_size: int) -> None:
        for part in self._parts.values():
            part.compile(batch_size)
        self._compiled_batch_size = batch_size

    def _optimizations(self, threads: ThreadPlan, is_static: bool) -> dict[str, Any]:
        part = next(iter(self._parts.values()))
        return {
            "framework_version": f"openvino {metadata.version('openvino')}",
            "properties": dict(part.properties),
            "shapes": "static, compiled for each batch size at load"
            if is_static
            else "dynamic",
            "executed_layers_by_precision": part.layers,
            "intra_op_threads": threads.intra_op_threads,
            "instance_count": threads.instance_count,
            "available_cores": threads.available_cores,
            "zero_copy_inputs": True,
            "warnings": list(threads.warnings),
        }


def _names(answer: object) -> tuple[str, ...]:
    """Read a comma list of operator types."""
    return tuple(name.strip() for name in str(answer or "").split(",") if name.strip())
