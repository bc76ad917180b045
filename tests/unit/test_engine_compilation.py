"""The vendor's calls around compile, in their order and with their errors."""

from __future__ import annotations

import io

import pytest

from bytemlperf.backends import Backend
from bytemlperf.engine.compilation import compile_model
from bytemlperf.engine.compile_report import compile_report
from bytemlperf.engine.emitter import Emitter
from bytemlperf.errors import BackendError, CompileError

GOOD = {
    "model": "m",
    "framework": "Pytorch",
    "compile_precision": "fp32",
    "input_type": ["FLOAT32"],
    "max_batch_size": 8,
    "compile_status": "success",
    "sg_percent": 100,
    "segments": [
        {
            "sg_idx": 0,
            "is_fallback": False,
            "input_tensor_map": {"x": [-1, 4]},
            "output_tensor_map": {"y": [-1, 4]},
            "compiled_model": [{"compiled_bs": 1, "compiled_obj": "x.obj"}],
        }
    ],
}


class Recorder(Backend):
    """Writes down which calls came, and answers from `answers`."""

    def __init__(self, **answers) -> None:
        super().__init__()
        self.hardware_type = "GOYA"
        self.answers = answers
        self.calls: list[str] = []

    def _answer(self, name, default):
        self.calls.append(name)
        answer = self.answers.get(name, default)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def pre_optimize(self, configs):
        return self._answer("pre_optimize", None)

    def segment(self, configs):
        return self._answer("segment", None)

    def compile(self, configs, dataloader=None):
        return self._answer("compile", GOOD)

    def tuning(self, configs):
        return self._answer("tuning", None)

    def get_best_batch_size(self):
        return self._answer("get_best_batch_size", None)


def configs() -> dict:
    return {"workload": {}, "model_info": {}, "interact_info": {}}


def compiled_by(backend, batch_sizes=(1, 4)):
    return compile_model(backend, configs(), batch_sizes, None, Emitter(io.BytesIO()))


def test_calls_come_in_the_guides_order():
    """A vendor may rely on the order the guide states."""
    backend = Recorder()

    compiled = compiled_by(backend)

    assert backend.calls == [
        "pre_optimize", "segment", "compile", "tuning", "get_best_batch_size",
    ]  # fmt: skip
    assert compiled.batch_sizes == (1, 4)
    assert not compiled.pre_optimized


def test_tuning_compiles_again():
    """Changed configs from tuning are compiled, and the report says so."""
    backend = Recorder(tuning=configs())

    compiled = compiled_by(backend)

    assert backend.calls.count("compile") == 2
    assert compiled.tuned


def test_own_batch_sizes_win():
    """A backend's best batch sizes replace the workload's, each once."""
    assert compiled_by(Recorder(get_best_batch_size=[8, 2, 8])).batch_sizes == (8, 2)


@pytest.mark.parametrize(
    ("answers", "error", "complaint"),
    [
        ({"compile": None}, CompileError, "returned NoneType, expected a dict"),
        (
            {"compile": GOOD | {"segments": [{}]}},
            CompileError,
            r"missing required field `sg_idx` - at `\$.segments\[0\]`",
        ),
        ({"compile": GOOD | {"sg_percent": 101}}, CompileError, "0 to 100"),
        ({"compile": GOOD | {"segments": []}}, CompileError, "no segments"),
        ({"compile": GOOD | {"compile_status": "failed"}}, CompileError, "'failed'"),
        ({"compile": ValueError("bad op")}, CompileError, "raised ValueError: bad op"),
        ({"pre_optimize": 3}, CompileError, "pre_optimize returned int"),
        (
            {"pre_optimize": configs() | {"model_info": {"model_path": "/nowhere"}}},
            CompileError,
            "'/nowhere': not there",
        ),
        ({"get_best_batch_size": [0]}, BackendError, r"returned \[0\], expected None"),
        ({"segment": KeyError("x")}, BackendError, "segment raised KeyError"),
    ],
)
def test_what_breaks_the_contract_is_named(answers, error, complaint):
    """Each call's failure names the call and what came."""
    with pytest.raises(error, match=complaint):
        compiled_by(Recorder(**answers))


def test_report_shows_what_json_cannot_say_as_text():
    """A compiled object in memory does not stop the result from being written."""
    raw = GOOD | {"optimizations": {"graph": object, "threads": 2}}

    report = compile_report(
        compiled_by(Recorder(compile=raw)), load_ns=1, first_predict_ns=2
    )

    assert report.optimizations["threads"] == 2
    assert "object" in report.optimizations["graph"]
