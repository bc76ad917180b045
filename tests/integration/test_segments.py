"""An ONNX model cut in pieces, some compiled, some left to ONNX Runtime."""

from __future__ import annotations

import io

import numpy as np
import pytest

from bytemlperf.backends import Backend, create_backend, find_backend
from bytemlperf.engine.compilation import compile_model
from bytemlperf.engine.conformance import probe
from bytemlperf.engine.coverage import measure_coverage
from bytemlperf.engine.emitter import Emitter
from bytemlperf.errors import CompileError

pytestmark = pytest.mark.frameworks


@pytest.fixture(scope="module")
def model_info(tmp_path_factory):
    return {
        "model": "probe",
        "framework": "Onnx",
        "model_path": str(probe.onnx_file(tmp_path_factory.mktemp("probe"))),
        "inputs": "a,b",
        "outputs": "weighted,mixed,echo",
        "input_shape": {"a": [1, 4], "b": [1, 4]},
        "input_type": "FLOAT32,INT64",
    }


@pytest.fixture
def feeds():
    rng = np.random.default_rng(0)
    return {
        "a": rng.normal(size=(4, 4)).astype(np.float32),
        "b": rng.integers(-9, 9, size=(4, 4)),
    }


def compiled_by(backend, model_info, **answers):
    configs = {
        "workload": {"model": "probe", "batch_sizes": [1, 4]},
        "model_info": model_info,
        "interact_info": answers,
    }
    return compile_model(backend, configs, (1, 4), None, Emitter(io.BytesIO()))


@pytest.mark.parametrize(
    ("excluded", "percent"), [("Relu", 500 / 6), ("MatMul,Cast", 400 / 6)]
)
def test_openvino_leaves_operators_to_onnx_runtime(
    model_info, feeds, excluded, percent
):
    """The answers are the whole model's, and the coverage is what is left."""
    pytest.importorskip("openvino")
    backend = create_backend(find_backend("OPENVINO"))
    compiled = compiled_by(backend, model_info, exclude_ops=excluded)
    backend.load(4)

    answer = compiled.predict(feeds)

    assert compiled.is_chained
    assert compiled.result.compile_status == "partial"
    for name, array in probe.expected(feeds).items():
        np.testing.assert_allclose(answer[name], array, rtol=1e-5, atol=1e-6)
    report = measure_coverage(backend, compiled.result, model_info)
    assert report is not None
    assert report.percent == pytest.approx(percent)
    assert set(report.fallback_ops) == set(excluded.split(","))


@pytest.mark.parametrize(
    ("excluded", "complaint"),
    [
        ("Softmax", "has no operator Softmax to exclude"),
        ("Relu,MatMul,Cast,Add,Sub,Identity", "nothing is left to compile"),
    ],
)
def test_exclusions_that_make_no_sense_are_named(model_info, excluded, complaint):
    """A typing error does not quietly measure the whole model."""
    pytest.importorskip("openvino")
    backend = create_backend(find_backend("OPENVINO"))
    with pytest.raises(CompileError, match=complaint):
        compiled_by(backend, model_info, exclude_ops=excluded)


def test_any_vendor_gets_fallback_segments(model_info, feeds, tmp_path):
    """A vendor who names an ONNX file as a fallback need not know how to run it."""
    from bytemlperf.backends.runtimes.onnx_split import split_onnx

    pieces = split_onnx(model_info["model_path"], ["Relu"], tmp_path)

    class GoyaBackend(Backend):
        hardware_type = "GOYA"

        def compile(self, configs, dataloader=None):
            return {
                "model": "probe",
                "framework": "Onnx",
                "compile_precision": "fp32",
                "input_type": ["FLOAT32", "INT64"],
                "max_batch_size": 4,
                "compile_status": "success",
                "sg_percent": 100,
                "segments": [
                    {
                        "sg_idx": index,
                        "is_fallback": True,
                        "input_tensor_map": piece.inputs,
                        "output_tensor_map": piece.outputs,
                        "compiled_model": [
                            {"compiled_bs": 4, "compiled_obj": str(piece.path)}
                        ],
                    }
                    for index, piece in enumerate(pieces)
                ],
            }

    backend = GoyaBackend()
    compiled = compiled_by(backend, model_info)
    answer = compiled.predict(feeds)
    for name, array in probe.expected(feeds).items():
        np.testing.assert_allclose(answer[name], array, rtol=1e-5, atol=1e-6)
    report = measure_coverage(backend, compiled.result, model_info)
    assert report is not None
    assert (report.basis, report.percent) == ("fallback_segments", 0)
