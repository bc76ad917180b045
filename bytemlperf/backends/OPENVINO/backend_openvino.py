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

from bytemlperf.backends import Backend, Feeds, TensorInfo, tensor_infos
from bytemlperf.backends.runtimes.source_model import framework_of
from bytemlperf.backends.runtimes.threads import ThreadPlan, plan_threads
from bytemlperf.errors import CompileError, LoadError, PredictError

if TYPE_CHECKING:
    from bytemlperf.backends.OPENVINO._compiled import CompiledPart, Options

__all__ = ["BackendOPENVINO"]

PROFILE = Path(__file__).with_name("openvino.json")
DISTRIBUTIONS = ("openvino", "onnxruntime")


class _Source(msgspec.Struct, frozen=True):
    """The model that is compiled, as its description has it."""

    path: str
    framework: str
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]


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
        # Of a model that was cut: its ONNX operators, compiled by segment, and others.
        self._operators: dict[int, dict[str, int]] = {}
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
        from bytemlperf.backends.OPENVINO._compiled import Options, open_core

        model_info, workload = configs["model_info"], configs["workload"]
        answers = configs.get("interact_info") or {}
        path = model_info.get("model_path")
        if path is None or not Path(path).exists():
            raise CompileError(f"model_info.model_path: expected a file, came {path!r}")
        threads = plan_threads(answers)
        options = Options(
            threads=threads,
            precision=str(answers.get("precision") or "source"),
            static_shapes=(answers.get("shapes") or "static") == "static",
        )
        self.need_reload = options.static_shapes
        source = _Source(
            path=str(path),
            framework=str(model_info.get("framework")),
            inputs=tensor_infos(model_info, "input"),
            outputs=tensor_infos(model_info, "output"),
        )
        excluded = _names(answers.get("exclude_ops"))
        self._parts, self._operators, self._fallback_ops = {}, {}, Counter()
        core = open_core()
        if excluded:
            segments = self._convert_segments(core, source, options, excluded)
        else:
            segments = [self._convert_whole(core, source, options)]
        if not self._parts:
            raise CompileError(
                f"interact_info.exclude_ops {', '.join(excluded)}: nothing is left to "
                "compile"
            )
        batch_sizes = workload.get("batch_sizes") or [1]
        self._compile(min(batch_sizes))
        parts = list(self._parts.values())
        fixed = next((p.fixed_batch_size for p in parts if p.fixed_batch_size), None)
        max_batch_size = fixed or int(
            model_info.get("max_batch_size") or max(batch_sizes)
        )
        return {
            "model": str(workload.get("model") or model_info.get("model")),
            "framework": source.framework,
            "compile_precision": _joint_precision(parts),
            "input_type": _input_types(parts, source),
            "max_batch_size": max_batch_size,
            "compile_status": "partial" if self._fallback_ops else "success",
            "sg_percent": self._percent(),
            "segments": [
                {
                    **segment,
                    "compiled_model": [
                        {"compiled_bs": max_batch_size, "compiled_obj": artefact}
                    ],
                }
                for segment, artefact in segments
            ],
            "optimizations": self._optimizations(threads, options.static_shapes),
            "instance_count": threads.instance_count,
            "device_count": 1,
        }

    def _convert_whole(
        self, core: Any, source: _Source, options: Options
    ) -> tuple[dict[str, Any], str]:
        """Convert the model as one segment."""
        from bytemlperf.backends.OPENVINO._compiled import CompiledPart
        from bytemlperf.backends.OPENVINO._conversion import convert

        artefact = self._folder / "model.xml"
        converted = convert(
            source.path,
            source.framework,
            source.inputs,
            source.outputs,
            core=core,
            artefact=artefact,
        )
        part = self._parts[0] = CompiledPart(core, converted, source.inputs, options)
        return {
            "sg_idx": 0,
            "is_fallback": False,
            "input_tensor_map": part.source_shapes,
            "output_tensor_map": part.output_shapes,
        }, str(artefact)

    def _convert_segments(
        self, core: Any, source: _Source, options: Options, excluded: tuple[str, ...]
    ) -> list[tuple[dict[str, Any], str]]:
        """Cut an ONNX model around excluded operators, and convert what is left."""
        from bytemlperf.backends.OPENVINO._compiled import CompiledPart
        from bytemlperf.backends.OPENVINO._conversion import convert
        from bytemlperf.backends.runtimes.onnx_split import split_onnx

        if framework_of(Path(source.path)) != "Onnx":
            raise CompileError(
                "interact_info.exclude_ops: only ONNX models can be cut, this is "
                f"{source.framework}",
                hint="leave it empty, or measure an ONNX variant of the model",
            )
        rows = {info.name: info.rows_per_sample for info in source.inputs}
        segments = []
        cut = split_onnx(source.path, excluded, self._folder / "segments")
        for index, piece in enumerate(cut):
            artefact = piece.path
            if piece.is_excluded:
                self._fallback_ops.update(piece.operators)
            else:
                infos = tuple(
                    TensorInfo(name, None, (rows.get(name, 1), *shape[1:]))
                    for name, shape in piece.inputs.items()
                )
                artefact = piece.path.with_suffix(".xml")
                converted = convert(
                    str(piece.path),
                    source.framework,
                    infos,
                    tuple(TensorInfo(name) for name in piece.outputs),
                    core=core,
                    artefact=artefact,
                )
                self._parts[index] = CompiledPart(core, converted, infos, options)
                self._operators[index] = piece.operators
            segments.append(
                (
                    {
                        "sg_idx": index,
                        "is_fallback": piece.is_excluded,
                        "input_tensor_map": piece.inputs,
                        "output_tensor_map": piece.outputs,
                    },
                    str(artefact),
                )
            )
        return segments

    def _percent(self) -> float:
        """Return the share of operators that OpenVINO runs, as it says itself."""
        placement = self.get_op_placement() or {}
        counts = {who: sum(kinds.values()) for who, kinds in placement.items()}
        total = sum(counts.values())
        return 100.0 * counts["OPENVINO"] / total if total else 100.0

    def get_op_placement(self) -> dict[str, dict[str, int]] | None:
        """Return which operators OpenVINO runs.

        Of a whole model OpenVINO's operators as `query_model` says; of a model that was
        cut the ONNX operators of its segments, so that both sides are counted alike.
        """
        placed: Counter[str] = Counter()
        refused: Counter[str] = Counter(self._fallback_ops)
        for index, part in self._parts.items():
            placed.update(self._operators.get(index, part.coverage.supported))
            if index not in self._operators:
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

    def predict_segment(self, sg_idx: int, data: Feeds) -> dict[str, npt.NDArray[Any]]:
        """Run one compiled segment of a model that was cut.

        Parameters
        ----------
        sg_idx : int
            As in the compile result.
        data : mapping of str to ndarray
            By tensor name.

        Returns
        -------
        dict of str to ndarray
            By tensor name.
        """
        return self._parts[sg_idx].predict(data)

    def _compile(self, batch_size: int) -> None:
        for part in self._parts.values():
            part.compile(batch_size)
        self._compiled_batch_size = batch_size

    def _optimizations(self, threads: ThreadPlan, is_static: bool) -> dict[str, Any]:
        part = next(iter(self._parts.values()))
        layers: Counter[str] = Counter()
        for each in self._parts.values():
            layers.update(each.layers)
        return {
            "framework_version": f"openvino {metadata.version('openvino')}",
            "properties": dict(part.properties),
            "shapes": "static, compiled for each batch size at load"
            if is_static
            else "dynamic",
            "executed_layers_by_precision": dict(layers),
            "intra_op_threads": threads.intra_op_threads,
            "instance_count": threads.instance_count,
            "available_cores": threads.available_cores,
            "zero_copy_inputs": True,
            "warnings": list(threads.warnings),
        }


def _joint_precision(parts: list[CompiledPart]) -> str:
    """Name what all parts together compute in."""
    names = sorted({part.precision for part in parts})
    if len(names) == 1:
        return names[0]
    narrow = [name for name in names if name != "fp32"]
    return f"{narrow[0].removesuffix('_mix')}_mix" if narrow else "none"


def _input_types(parts: list[CompiledPart], source: _Source) -> list[str]:
    """Return the types of the model's inputs, of whichever part reads each."""
    found: dict[str, str] = {}
    for part in parts:
        found |= part.input_types
    names = [info.name for info in source.inputs] or list(found)
    return [found.get(name, "UNKNOWN") for name in names]


def _names(answer: object) -> tuple[str, ...]:
    """Read a comma list of operator types."""
    return tuple(name.strip() for name in str(answer or "").split(",") if name.strip())
