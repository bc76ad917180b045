"""A model that `pre_optimize` changed is run in its own framework, in a process."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from bytemlperf.backends import Backend
from bytemlperf.engine.compilation import compile_model
from bytemlperf.engine.conformance.probe import make_feeds, model_info, onnx_file
from bytemlperf.engine.emitter import Emitter
from bytemlperf.engine.preoptimized import check_preoptimized
from bytemlperf.errors import CompileError

pytestmark = [pytest.mark.frameworks, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def info(tmp_path):
    """Return the probe model's description, in ONNX."""
    return model_info("Onnx", onnx_file(tmp_path))


def renamed(path: str, folder: Path) -> Path:
    """Change a model, but not what it computes: its nodes get names."""
    import onnx

    model = onnx.load(path)
    for index, node in enumerate(model.graph.node):
        node.name = f"goya_{index}"
    target = folder / "optimized.onnx"
    onnx.save(model, target)
    return target


class Optimizer(Backend):
    """Compiles whatever `pre_optimize` is told to make of the model."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.hardware_type = "GOYA"
        self.path = path

    def pre_optimize(self, configs):
        info = configs["model_info"] | {"model_path": str(self.path)}
        return {**configs, "model_info": info}

    def compile(self, configs, dataloader=None):
        self.compiled = configs["model_info"]["model_path"]
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
                    "sg_idx": 0,
                    "is_fallback": False,
                    "input_tensor_map": {"a": [-1, 4], "b": [-1, 4]},
                    "output_tensor_map": {"mixed": [-1, 4]},
                    "compiled_model": [{"compiled_bs": 4, "compiled_obj": "none"}],
                }
            ],
        }


def test_a_changed_model_that_still_runs_is_compiled(info, tmp_path):
    """The report says where it was run and what it answered."""
    path = renamed(info["model_path"], tmp_path)
    backend = Optimizer(path)
    compiled = compile_model(
        backend,
        {"workload": {}, "model_info": info, "interact_info": {}},
        (1,),
        None,
        Emitter(io.BytesIO()),
        sample=make_feeds(1),
    )
    assert backend.compiled == str(path)
    assert compiled.model_info["model_path"] == str(path)
    assert str(compiled.pre_optimized).startswith("still loads and runs in Onnx: ")
    for name in ("weighted", "mixed", "echo"):
        assert name in str(compiled.pre_optimized)


def test_a_model_that_its_framework_cannot_load_any_more_is_refused(info, tmp_path):
    """It has the right name, and the framework's own words are in the error."""
    path = tmp_path / "broken.onnx"
    path.write_bytes(Path(info["model_path"]).read_bytes()[:-40])
    with pytest.raises(CompileError, match=r"cannot load and run broken\.onnx") as told:
        check_preoptimized(
            "GOYA", info, info | {"model_path": str(path)}, make_feeds(1)
        )
    assert told.value.detail
    assert "not its format" in str(told.value)


def test_another_format_is_refused_without_a_process(info, tmp_path):
    """The original's rule: a model stays in the format it came in."""
    (tmp_path / "model.bin").write_bytes(b"goya")
    changed = info | {"model_path": str(tmp_path / "model.bin")}
    with pytest.raises(CompileError, match=r"changed the model's format from Onnx"):
        check_preoptimized("GOYA", info, changed, make_feeds(1))
    with pytest.raises(CompileError, match="framework from Onnx to Pytorch"):
        check_preoptimized("GOYA", info, info | {"framework": "Pytorch"}, None)
