"""Models of several segments, run by the framework tensor by tensor name."""

from __future__ import annotations

import io

import msgspec
import numpy as np
import pytest

from bytemlperf.backends import Backend, parse_compile_result
from bytemlperf.engine.compilation import compile_model
from bytemlperf.engine.coverage import (
    artefact_bytes,
    claim_warnings,
    measure_coverage,
)
from bytemlperf.engine.emitter import Emitter
from bytemlperf.engine.segments import chain_segments, is_chained
from bytemlperf.errors import BackendError, CompileError, PredictError


def segment(index, inputs, outputs, obj="goya.bin", *, is_fallback=False):
    return {
        "sg_idx": index,
        "is_fallback": is_fallback,
        "input_tensor_map": {key: [-1, 2] for key in inputs.split(",")},
        "output_tensor_map": {key: [-1, 2] for key in outputs.split(",")},
        "compiled_model": [{"compiled_bs": 1, "compiled_obj": obj}],
    }


def raw_result(*segments, **fields):
    return {
        "model": "m",
        "framework": "Onnx",
        "compile_precision": "fp32",
        "input_type": ["FLOAT32"],
        "max_batch_size": 8,
        "compile_status": "success",
        "sg_percent": 100,
        "segments": list(segments),
    } | fields


class Stages(Backend):
    """Three segments: y = x + 1, z = x * y, and y - z; each counts its calls."""

    RAW = raw_result(
        segment(2, "y,z", "out"), segment(0, "x", "y"), segment(1, "x,y", "z")
    )

    def __init__(self, placement=None) -> None:
        super().__init__()
        self.hardware_type = "GOYA"
        self.seen: list[tuple[int, tuple[str, ...]]] = []
        self.placement = placement

    def compile(self, configs, dataloader=None):
        return self.RAW

    def predict_segment(self, sg_idx, data):
        self.seen.append((sg_idx, tuple(data)))
        if sg_idx == 0:
            return {"y": data["x"] + 1}
        if sg_idx == 1:
            return {"z": data["x"] * data["y"]}
        return {"out": data["y"] - data["z"]}

    def get_op_placement(self):
        return self.placement


def parsed(raw):
    return parse_compile_result(raw, "GOYA")


def test_tensors_are_handed_on_by_name():
    """Order of the list means nothing; each segment gets what it names, no more."""
    backend = Stages()
    predict = chain_segments(backend, parsed(backend.RAW), ("x",), ("out",))
    x = np.arange(4, dtype=np.float32).reshape(2, 2)

    out = predict({"x": x})

    np.testing.assert_array_equal(out["out"], (x + 1) - x * (x + 1))
    assert list(out) == ["out"]
    assert backend.seen == [(0, ("x",)), (1, ("x", "y")), (2, ("y", "z"))]


def test_output_that_is_an_input_is_a_copy():
    """The pool may overwrite the input as soon as predict has returned."""
    backend = Stages()
    predict = chain_segments(backend, parsed(backend.RAW), ("x",), ("out", "x"))
    x = np.ones((2, 2), np.float32)
    assert not np.shares_memory(predict({"x": x})["x"], x)


def test_a_backend_that_chains_by_itself_is_left_alone():
    """Without predict_segment, predict runs whatever there is."""

    class Whole(Backend):
        def predict(self, data):
            return dict(data)

    whole = Whole()
    result = parsed(Stages.RAW)
    assert not is_chained(whole, result)
    assert chain_segments(whole, result, ("x",), ("out",)) == whole.predict


@pytest.mark.parametrize(
    ("segments", "complaint"),
    [
        ([segment(0, "x", "y"), segment(0, "y", "out")], r"are \[0, 0\], expected 0"),
        ([segment(0, "x", "y"), segment(2, "y", "out")], r"are \[0, 2\], expected 0"),
        ([segment(0, "x,w", "y"), segment(1, "y", "out")], r"\[0\] reads w, which"),
        ([segment(0, "y", "x1"), segment(1, "x", "y")], r"\[0\] reads y, which"),
        ([segment(0, "x", "y"), segment(1, "y", "z")], "output out"),
        (
            [segment(0, "x", "y"), segment(1, "y", "out", is_fallback=True)],
            r"\[1\] falls back to 'goya.bin': expected an .onnx",
        ),
    ],
)
def test_segments_that_do_not_fit_are_named(segments, complaint):
    """Found when compiled, not in the middle of a measurement."""
    with pytest.raises(CompileError, match=complaint):
        chain_segments(Stages(), parsed(raw_result(*segments)), ("x",), ("out",))


def test_a_segment_that_leaves_out_an_output_is_named():
    """The vendor reads which segment and which tensor."""
    backend = Stages()
    raw = raw_result(segment(0, "x", "y,extra"), segment(1, "y", "out"))
    predict = chain_segments(backend, parsed(raw), ("x",), ("out",))
    with pytest.raises(PredictError, match="segment 0: left out extra; it returned y"):
        predict({"x": np.zeros((1, 2), np.float32)})


def test_compile_model_brings_the_chain():
    """What is measured is the chain, and the report says who runs it."""
    configs = {
        "workload": {},
        "model_info": {"inputs": "x", "outputs": "out"},
        "interact_info": {},
    }
    compiled = compile_model(Stages(), configs, (1,), None, Emitter(io.BytesIO()))
    assert compiled.is_chained
    assert compiled.predict({"x": np.zeros((1, 2))})["out"].tolist() == [[1, 1]]


def test_coverage_is_counted_by_who_runs_what():
    """The hardware type's own operators are the compiled ones."""
    backend = Stages(
        {"goya": {"MatMul": 6, "Relu": 2}, "CPU": {"NonMaxSuppression": 2}}
    )
    report = measure_coverage(backend, parsed(backend.RAW), {})
    assert report is not None
    assert (report.percent, report.op_count, report.basis) == (80, 10, "op_placement")
    assert report.fallback_ops == {"NonMaxSuppression": 2}
    assert report.executors == {"goya": 8, "CPU": 2}


def test_coverage_nobody_can_count_is_none():
    """A claim alone stays a claim."""
    backend = Stages()
    assert measure_coverage(backend, parsed(backend.RAW), {"model_path": ""}) is None


@pytest.mark.parametrize("placement", [3, {"GOYA": 3}, {"GOYA": {"MatMul": -1}}])
def test_placement_that_is_none_is_named(placement):
    """The contract of an optional method is checked as well."""
    with pytest.raises(BackendError, match="get_op_placement"):
        measure_coverage(Stages(placement), parsed(Stages.RAW), {})


def test_a_claim_is_held_against_the_count():
    """Who claims 100 % with four of ten operators on the CPU is told so, in public."""
    backend = Stages({"GOYA": {"MatMul": 6}, "CPU": {"Softmax": 4}})
    result = parsed(backend.RAW)
    report = measure_coverage(backend, result, {})
    (text,) = claim_warnings("GOYA", result, report)
    assert "claims that 100 % of operators" in text
    assert "counted were 60.0 % (6 of 10)" in text
    honest = parsed(backend.RAW | {"sg_percent": 60})
    assert claim_warnings("GOYA", honest, report) == []


def test_a_claim_against_the_segments_is_seen_too():
    """Segments that fell back contradict a claim of everything."""
    raw = raw_result(segment(0, "x", "y"), segment(1, "y", "z", is_fallback=True))
    (text,) = claim_warnings("GOYA", parsed(raw), None)
    assert "names segments that fell back" in text
    nothing = raw_result(segment(0, "x", "y", is_fallback=True), sg_percent=0)
    (text,) = claim_warnings("GOYA", parsed(nothing), None)
    assert "compiled no segment at all" in text


def test_artefacts_are_weighed_with_their_weights(tmp_path):
    """An .xml of a kilobyte is not the whole product."""
    (tmp_path / "model.xml").write_bytes(b"x" * 10)
    (tmp_path / "model.bin").write_bytes(b"x" * 100)
    (tmp_path / "other.bin").write_bytes(b"x" * 1000)
    assert artefact_bytes(str(tmp_path / "model.xml")) == 110
    assert artefact_bytes(tmp_path) == 1110
    assert artefact_bytes("goya.obj") is None
    assert artefact_bytes(object()) is None


def test_an_uncompiled_model_is_on_record_all_the_same():
    """The report of a compilation that cannot run says what it was."""

    class Refused(Stages):
        RAW = msgspec.json.decode(msgspec.json.encode(Stages.RAW)) | {
            "compile_status": "failed",
            "sg_percent": 12.5,
        }

    refused = []
    configs = {"workload": {}, "model_info": {}, "interact_info": {}}
    with pytest.raises(CompileError, match="compile_status is 'failed'"):
        compile_model(
            Refused(),
            configs,
            (1,),
            None,
            Emitter(io.BytesIO()),
            on_refused=refused.append,
        )
    assert refused[0].result.sg_percent == 12.5
