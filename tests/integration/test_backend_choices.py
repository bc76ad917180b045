"""What backends that stand on a framework's runtime may be asked for."""

from __future__ import annotations

import pytest

from bytemlperf.backends import create_backend, find_backend
from bytemlperf.engine.conformance import probe
from bytemlperf.errors import BackendUnavailableError, CompileError

pytestmark = [
    pytest.mark.frameworks,
    pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning"),
]


def compiled(hardware_type, framework, path, **answers):
    backend = create_backend(find_backend(hardware_type))
    model_info = {
        "model": "probe",
        "framework": framework,
        "model_path": str(path),
        "inputs": "a,b",
        "outputs": "weighted,mixed,echo",
        "input_shape": {"a": [1, 4], "b": [1, 4]},
        "input_type": "FLOAT32,INT64",
    }
    workload = {"model": "probe", "batch_sizes": [1]}
    configs = {"workload": workload, "model_info": model_info, "interact_info": answers}
    return backend, backend.compile(configs)


def test_onnx_runtime_is_told_how_to_optimise(tmp_path):
    """The choices reach the session, and its word on operators is the coverage."""
    path = probe.onnx_file(tmp_path)
    backend, raw = compiled(
        "ONNXRUNTIME", "Onnx", path, graph_optimization_level="disable", parallel=True
    )
    did = raw["optimizations"]
    assert did["graph_optimization_level"] == "ORT_DISABLE_ALL"
    assert did["execution_mode"] == "ORT_PARALLEL"
    assert did["execution_providers"] == ["CPUExecutionProvider"]
    assert backend.get_op_placement()["ONNXRUNTIME"]["MatMul"] == 1


@pytest.mark.parametrize(
    ("answers", "error", "complaint"),
    [
        (
            {"execution_provider": "NoSuchProvider"},
            BackendUnavailableError,
            "has no No",
        ),
        ({"provider_options": "arena"}, CompileError, "expected name=value"),
    ],
)
def test_choices_that_are_none_are_named(tmp_path, answers, error, complaint):
    """Nothing falls back to the processor in silence."""
    with pytest.raises(error, match=complaint):
        compiled("ONNXRUNTIME", "Onnx", probe.onnx_file(tmp_path), **answers)


@pytest.mark.parametrize(
    ("hardware_type", "framework", "make", "complaint"),
    [
        ("ONNXRUNTIME", "Pytorch", probe.torchscript, "runs ONNX models, not"),
        ("INDUCTOR", "Onnx", probe.onnx_file, "compiles PyTorch models, not Onnx"),
    ],
)
def test_models_that_a_backend_does_not_take_are_named(
    tmp_path, hardware_type, framework, make, complaint
):
    """An unsupported task is a sentence, not a traceback of some library."""
    with pytest.raises(CompileError, match=complaint):
        compiled(hardware_type, framework, make(tmp_path))


def test_a_device_that_is_not_there_is_named(tmp_path):
    """Without CUDA the report says so; nothing is measured on the processor instead."""
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises(BackendUnavailableError, match="sees no device 'cuda:0'"):
        compiled("GPU", "Pytorch", probe.torchscript(tmp_path))
