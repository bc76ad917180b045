"""Models on a CUDA device, in the framework they were made in.

Input: a TorchScript or torch.export file, or an ``.onnx`` file. Output: predictions. It
is the processor's code with a device; copies to and from the device are in the times.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import msgspec

from bytemlperf.backends.runtimes.runtime import RuntimeRequest, SessionChoices
from bytemlperf.backends.runtimes.source_backend import SourceBackend
from bytemlperf.backends.runtimes.source_model import framework_of
from bytemlperf.errors import CompileError

__all__ = ["BackendGPU"]


class BackendGPU(SourceBackend):
    """PyTorch and ONNX Runtime on CUDA; ``gpu.json`` says what may be asked for."""

    profile: ClassVar[Path] = Path(__file__).with_name("gpu.json")
    distributions: ClassVar[tuple[str, ...]] = ("torch", "onnxruntime-gpu")

    def __init__(self) -> None:
        super().__init__()
        self.hardware_type = "GPU"

    def refine(
        self, request: RuntimeRequest, answers: dict[str, Any]
    ) -> RuntimeRequest:
        """Put the model on the device.

        Parameters
        ----------
        request : RuntimeRequest
            For the processor.
        answers : dict
            ``configs["interact_info"]``.

        Returns
        -------
        RuntimeRequest
            With the device, and the CUDA execution provider on it.

        Raises
        ------
        CompileError
            The model is a SavedModel: TensorFlow is not run here.
        """
        if framework_of(Path(request.model_path)) == "Tensorflow":
            raise CompileError(
                "GPU runs PyTorch and ONNX models, not SavedModels",
                hint="measure another variant of the model",
            )
        device = str(answers.get("device") or "cuda:0")
        _, _, index = device.partition(":")
        return msgspec.structs.replace(
            request,
            device=device,
            session=SessionChoices(
                providers=("CUDAExecutionProvider",),
                provider_options={"device_id": index or "0"},
            ),
        )
