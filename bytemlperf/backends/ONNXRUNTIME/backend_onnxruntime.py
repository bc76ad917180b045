"""ONNX models under ONNX Runtime, with the execution provider the user asks for.

Input: an ``.onnx`` file. Output: predictions. Coverage is ONNX Runtime's own assignment
of operators to execution providers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import msgspec

from bytemlperf.backends.runtimes.runtime import RuntimeRequest, SessionChoices
from bytemlperf.backends.runtimes.source_backend import SourceBackend
from bytemlperf.backends.runtimes.source_model import framework_of
from bytemlperf.errors import CompileError

__all__ = ["BackendONNXRUNTIME"]


class BackendONNXRUNTIME(SourceBackend):
    """ONNX Runtime; ``onnxruntime.json`` says what ``interact_info`` may hold."""

    profile: ClassVar[Path] = Path(__file__).with_name("onnxruntime.json")
    distributions: ClassVar[tuple[str, ...]] = (
        *("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino"),
    )

    def __init__(self) -> None:
        super().__init__()
        self.hardware_type = "ONNXRUNTIME"

    def refine(
        self, request: RuntimeRequest, answers: dict[str, Any]
    ) -> RuntimeRequest:
        """Choose the execution provider and how the graph is optimised.

        Parameters
        ----------
        request : RuntimeRequest
            For the processor.
        answers : dict
            ``configs["interact_info"]``.

        Returns
        -------
        RuntimeRequest
            With the choices.

        Raises
        ------
        CompileError
            The model is not ONNX, or an option is not ``name=value``.
        """
        if framework_of(Path(request.model_path)) != "Onnx":
            raise CompileError(
                f"ONNXRUNTIME runs ONNX models, not {Path(request.model_path).name}",
                hint="measure an ONNX variant of the model, or another hardware type",
            )
        choices = SessionChoices(
            providers=(
                str(answers.get("execution_provider") or "CPUExecutionProvider"),
            ),
            provider_options=_options(answers.get("provider_options")),
            graph_optimization_level=str(
                answers.get("graph_optimization_level") or "all"
            ),
            is_parallel=bool(answers.get("parallel")),
        )
        return msgspec.structs.replace(request, session=choices)


def _options(answer: object) -> dict[str, str]:
    """Read ``name=value`` pairs."""
    pairs = [part.partition("=") for part in str(answer or "").split(",") if part]
    if any(not equals for _, equals, _ in pairs):
        raise CompileError(
            f"interact_info.provider_options: expected name=value, came {answer!r}"
        )
    return {name.strip(): value.strip() for name, _, value in pairs}
