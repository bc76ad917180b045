"""Open a model in its source format, whatever its framework.

Input: a `RuntimeRequest` and a framework's name, or a file that tells it. Output: a
runtime on this machine's processor. Only that framework is imported.
"""

from __future__ import annotations

from pathlib import Path

from bytemlperf.backends.runtimes.runtime import Runtime, RuntimeRequest
from bytemlperf.errors import BackendUnavailableError, CompileError

__all__ = ["framework_of", "open_source_model"]


def open_source_model(framework: str, request: RuntimeRequest) -> Runtime:
    """Open a model with the runtime of its framework.

    Parameters
    ----------
    framework : str
        ``Pytorch``, ``Tensorflow`` or ``Onnx``.
    request : RuntimeRequest
        The file, its declared tensors and the threads.

    Returns
    -------
    Runtime
        Ready to predict.

    Raises
    ------
    BackendUnavailableError
        The framework is not installed in this environment.
    CompileError
        The framework is unknown, or the file is not one of its models.
    """
    try:
        match framework.casefold():
            case "pytorch" | "torch":
                from bytemlperf.backends.runtimes.torch_model import TorchRuntime

                return TorchRuntime(request)
            case "tensorflow" | "tf":
                from bytemlperf.backends.runtimes.saved_model import TensorflowRuntime

                return TensorflowRuntime(request)
            case "onnx" | "onnxruntime":
                from bytemlperf.backends.runtimes.onnx_session import (
                    OnnxruntimeRuntime,
                )

                return OnnxruntimeRuntime(request)
    except ImportError as error:
        raise BackendUnavailableError(
            f"{Path(request.model_path).name} is a model of {framework}, and "
            f"{error.name or 'its runtime'} is not installed",
            hint="list it in the backend's requirements.txt",
        ) from error
    raise CompileError(
        "model_info.framework: expected Pytorch, Tensorflow or Onnx, "
        f"came {framework!r}"
    )


def framework_of(path: Path) -> str | None:
    """Tell the framework of a model file by its form.

    Parameters
    ----------
    path : Path
        A file or a folder.

    Returns
    -------
    str or None
        None for a form that none of the three frameworks has, or nothing there.
    """
    if path.is_dir():
        return "Tensorflow" if (path / "saved_model.pb").is_file() else None
    if not path.is_file():
        return None
    return {".onnx": "Onnx", ".pt": "Pytorch", ".pt2": "Pytorch"}.get(path.suffix)
