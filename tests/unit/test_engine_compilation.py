"""The vendor's calls around compile, in their order and with their errors."""

from __future__ import annotations

import io

import numpy as np
import pytest

from bytemlperf.backends import Backend
from bytemlperf.engine.compilation import compile_model
from bytemlperf.engine.compile_report import compile_report
from bytemlperf.engine.emitter import Emitter
from bytemlperf.errors import BackendError, CompileError, LoadError, PredictError

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


class Tuner(Recorder):
    """Tunes by what it is told of the pilot: doubles an option while that is slow."""

    def __init__(self, **answers) -> None:
        super().__init__(**answers)
        self.told: list[dict] = []
        self.compiled_with: list[dict] = []

    def compile(self, configs, dataloader=None):
        self.compiled_with.append(dict(configs["interact_info"]))
        return super().compile(configs, dataloader)

    def load(self, batch_size):
        self._answer(f"load {batch_size}", None)

    def get_loaded_batch_size(self):
        return 2

    def predict(self, data):
        return self._answer("predict", {"y": data["x"] * 2})

    def tuning(self, configs):
        self._answer("tuning", None)
        self.told.append(configs["tuning_info"])
        return {**configs, "interact_info": {"tile": 8}}


def tuned_by(backend):
    return compile_model(
        backend,
        configs() | {"model_info": {"inputs": "x", "outputs": "y"}},
        (1, 4),
        None,
        Emitter(io.BytesIO()),
        sample={"x": np.ones((1, 4), np.float32)},
    )


def test_tuning_is_told_how_a_pilot_went_and_is_compiled_with():
    """Compiled, loaded, run twice, asked; then compiled again with what it changed."""
    backend = Tuner()

    compiled = tuned_by(backend)

    assert backend.calls == [
        "pre_optimize", "segment", "compile", "load 1", "predict", "predict",
        "tuning", "compile", "get_best_batch_size",
    ]  # fmt: skip
    (told,) = backend.told
    assert told["compile_result"] == GOOD
    assert told["batch_size"] == 2
    assert told["batch_ns"] > 0
    assert backend.compiled_with == [{}, {"tile": 8}]
    assert compiled.tuned
    report = compile_report(compiled, load_ns=1, first_predict_ns=2)
    assert report.first_compile_ns is not None
    assert report.first_compile_ns >= 0


@pytest.mark.parametrize(
    ("answers", "error", "complaint"),
    [
        ({"load 1": OSError("no device")}, LoadError, "load raised OSError: no device"),
        (
            {"predict": RuntimeError("lost")},
            PredictError,
            "raised RuntimeError .* lost",
        ),
        ({"predict": {"z": np.ones((2, 4))}}, PredictError, "left out y"),
        ({"tuning": ValueError("no plan")}, BackendError, "tuning raised ValueError"),
    ],
)
def test_a_pilot_that_fails_is_named(answers, error, complaint):
    """Before tuning is asked, and by the name of the call that failed."""
    backend = Tuner(**answers)
    with pytest.raises(error, match=complaint):
        tuned_by(backend)
    assert backend.told == []


class Prompter(Tuner):
    """Scores samples against prompts, of which every batch has one set."""

    def predict(self, data):
        if data["prompts"].shape != (3, 4):
            raise ValueError(f"{data['prompts'].shape[0]} prompts, compiled for 3")
        return self._answer("predict", {"y": data["x"] @ data["prompts"].T})


def test_a_pilot_is_fed_what_samples_share_once():
    """Whatever batch is loaded: as in every later phase."""
    backend = Prompter()
    compile_model(
        backend,
        configs() | {"model_info": {"inputs": "x,prompts", "outputs": "y"}},
        (1, 4),
        None,
        Emitter(io.BytesIO()),
        sample={
            "x": np.ones((1, 4), np.float32),
            "prompts": np.ones((3, 4), np.float32),
        },
        shared=("prompts",),
    )
    (told,) = backend.told
    assert told["batch_size"] == 2


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
