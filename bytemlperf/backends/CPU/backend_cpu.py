"""Run a model on this machine's processor in the framework it was made in.

Input: a TorchScript or torch.export file, a SavedModel folder or an ``.onnx`` file.
Output: predictions. The framework of the model, and only that, is imported at compile
time. Nothing is converted: coverage is 100 % because the source runtime runs it.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from bytemlperf.backends.runtimes.source_backend import SourceBackend

__all__ = ["BackendCPU"]


class BackendCPU(SourceBackend):
    """The processor, through PyTorch, TensorFlow or ONNX Runtime.

    ``configs["interact_info"]`` may hold ``instance_count`` (predict calls at once,
    default 1) and ``intra_op_threads`` (threads of one call, default: available cores
    // instance_count).
    """

    profile: ClassVar[Path] = Path(__file__).with_name("cpu.json")
    distributions: ClassVar[tuple[str, ...]] = (
        *("torch", "tensorflow", "tensorflow-cpu", "onnxruntime"),
    )

    def __init__(self) -> None:
        super().__init__()
        self.hardware_type = "CPU"
