"""A backend that runs models in their source format, in their own framework.

Input: a model file. Output: predictions. Which device, and with which options of the
framework, a subclass says; nothing is converted.
"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import numpy.typing as npt

from bytemlperf.backends import Backend, Feeds, tensor_infos
from bytemlperf.backends.runtimes.runtime import ModelFacts, Runtime, RuntimeRequest
from bytemlperf.backends.runtimes.source_model import open_source_model
from bytemlperf.backends.runtimes.threads import ThreadPlan, plan_threads
from bytemlperf.errors import CompileError, LoadError, PredictError

__all__ = ["SourceBackend"]


class SourceBackend(Backend):
    """A framework's own runtime as a backend.

    Attributes
    ----------
    profile : Path
        The questions to the user. Answers that every such backend reads are
        ``instance_count`` (predict calls at once, default 1) and ``intra_op_threads``
        (threads of one call, default: available cores // instance_count).
    distributions : tuple of str
        Packages that `version` names.

    Notes
    -----
    Thread-safety: `predict` may be called from ``instance_count`` threads at once.
    """

    profile: ClassVar[Path]
    distributions: ClassVar[tuple[str, ...]]

    def __init__(self) -> None:
        super().__init__()
        self._runtime: Runtime | None = None
        self._loaded_batch_size = 0

    def refine(
        self, request: RuntimeRequest, answers: dict[str, Any]
    ) -> RuntimeRequest:
        """Say on which device, and with which options; default: the processor.

        Parameters
        ----------
        request : RuntimeRequest
            For the processor.
        answers : dict
            ``configs["interact_info"]``.

        Returns
        -------
        RuntimeRequest
            What is opened.
        """
        return request

    def version(self) -> str:
        """Return the versions of the frameworks that are installed."""
        found = []
        for name in self.distributions:
            try:
                found.append(f"{name} {metadata.version(name)}")
            except metadata.PackageNotFoundError:
                continue
        return f"{self.hardware_type} ({', '.join(found) or 'no framework installed'})"

    def get_interact_profile(
        self, config: dict[str, Any]
    ) -> list[dict[str, Any]] | None:
        """Return the questions of the profile file."""
        return msgspec.json.decode(self.profile.read_bytes(), type=list[dict[str, Any]])

    def compile(
        self, configs: dict[str, Any], dataloader: Any | None = None
    ) -> dict[str, Any]:
        """Load the model, optimise its graph and set the thread counts.

        Parameters
        ----------
        configs : dict
            See `Backend`; ``model_info`` needs ``framework`` and ``model_path``.
        dataloader : object, optional
            Not used: nothing is quantised.

        Returns
        -------
        dict
            The compile result; ``optimizations`` says what was done to the graph, the
            thread counts, the number of operators and any warnings.

        Raises
        ------
        CompileError
            The framework is unknown, the model file is missing or not what it should
            be, or its tensors are not those of its description.
        """
        model_info, workload = configs["model_info"], configs["workload"]
        path = model_info.get("model_path")
        if path is None or not Path(path).exists():
            raise CompileError(f"model_info.model_path: expected a file, came {path!r}")
        answers = configs.get("interact_info") or {}
        threads = plan_threads(answers)
        inputs = tensor_infos(model_info, "input")
        outputs = tensor_infos(model_info, "output")
        framework = str(model_info.get("framework"))
        # The model compiled before is freed first: two at once may not fit.
        self._runtime = None
        request = RuntimeRequest(str(path), inputs, outputs, threads)
        self._runtime = open_source_model(framework, self.refine(request, answers))
        facts = self._runtime.facts
        max_batch_size = _max_batch_size(facts, model_info, workload)
        return {
            "model": str(workload.get("model") or model_info.get("model")),
            "framework": framework,
            "compile_precision": facts.precision,
            "input_type": [dtype.upper() for dtype in facts.input_dtypes],
            "max_batch_size": max_batch_size,
            "compile_status": "success",
            "sg_percent": _percent(facts.run_op_count, facts.op_count),
            "segments": [
                {
                    "sg_idx": 0,
                    "is_fallback": False,
                    "input_tensor_map": facts.inputs,
                    "output_tensor_map": facts.outputs,
                    "compiled_model": [
                        {"compiled_bs": max_batch_size, "compiled_obj": str(path)}
                    ],
                }
            ],
            "optimizations": _optimizations(facts, threads),
            "instance_count": threads.instance_count,
            "device_count": 1,
        }

    def get_op_placement(self) -> dict[str, dict[str, int]] | None:
        """Return which operators run where, if the framework tells."""
        if self._runtime is None or not self._runtime.facts.placement:
            return None
        own = self._runtime.facts.executor
        return {
            self.hardware_type if name == own else name: dict(kinds)
            for name, kinds in self._runtime.facts.placement.items()
        }

    def get_copied_inputs(self) -> tuple[int, int] | None:
        """Return what the framework could not read in place."""
        return self._runtime.copied.so_far if self._runtime else None

    def load(self, batch_size: int) -> None:
        """Make ready for a batch size.

        Parameters
        ----------
        batch_size : int
            Samples per batch, >= 1. A graph with a static batch dimension keeps its
            own, and `get_loaded_batch_size` says so.

        Raises
        ------
        LoadError
            Nothing is compiled.
        """
        if self._runtime is None:
            raise LoadError(f"load({batch_size}) before compile")
        self._loaded_batch_size = self._runtime.facts.fixed_batch_size or batch_size

    def get_loaded_batch_size(self) -> int:
        """Return what `load` was given, or the graph's own static batch size."""
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
            Nothing is compiled, or an input is missing. The framework's own
            exceptions pass through.
        """
        if self._runtime is None:
            raise PredictError("predict before compile")
        return self._runtime.predict(data)


def _max_batch_size(
    facts: ModelFacts, model_info: dict[str, Any], workload: dict[str, Any]
) -> int:
    """Return the graph's only batch size, or the largest one anybody asks for."""
    if facts.fixed_batch_size is not None:
        return facts.fixed_batch_size
    asked = max(workload.get("batch_sizes") or [1])
    return int(model_info.get("max_batch_size") or asked)


def _percent(part: int, whole: int) -> float:
    return 100.0 * part / whole if whole else 100.0


def _optimizations(facts: ModelFacts, threads: ThreadPlan) -> dict[str, Any]:
    return {
        "framework_version": facts.framework_version,
        "intra_op_threads": threads.intra_op_threads,
        "inter_op_threads": threads.inter_op_threads,
        "instance_count": threads.instance_count,
        "available_cores": threads.available_cores,
        "op_count": facts.op_count,
        **({"arithmetic": facts.arithmetic} if facts.arithmetic else {}),
        **facts.optimizations,
        "warnings": [*threads.warnings, *facts.warnings],
    }
