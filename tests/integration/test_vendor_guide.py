"""The vendor guide's example is complete: taken out of the page, it runs."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bytemlperf.backends import (
    Backend,
    CompileResult,
    create_backend,
    find_backend,
    parse_compile_result,
)
from bytemlperf.launch.answers import answer_questions, parse_profile
from bytemlperf.launch.environment import resolve_environment
from bytemlperf.report.storage import read_result

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "vendor_guide.md").read_text()
FILE_BLOCK = re.compile(r"^`(ACME/[\w.]+)`\n\n```\w*\n(.*?)^```", re.M | re.S)


@pytest.fixture
def acme(tmp_path) -> Path:
    """Write the guide's files as the guide names them."""
    for name, text in FILE_BLOCK.findall(GUIDE):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return tmp_path


@pytest.fixture
def model(tmp_path) -> dict:
    """Save a model that has something to optimise, and describe it."""
    from onnx import TensorProto, helper, numpy_helper, save

    def tensor(name: str, width: int):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", width])

    graph = helper.make_graph(
        [
            helper.make_node("Identity", ["x"], ["same"]),
            helper.make_node("MatMul", ["same", "W"], ["y"]),
        ],
        "g",
        [tensor("x", 4)],
        [tensor("y", 2)],
        [numpy_helper.from_array(np.ones((4, 2), np.float32), "W")],
    )
    opset = [helper.make_opsetid("", 17)]
    path = tmp_path / "m.onnx"
    save(helper.make_model(graph, opset_imports=opset, ir_version=9), path)
    return {
        "model": "sum-onnx-fp32",
        "model_path": str(path),
        "framework": "Onnx",
        "inputs": "x",
        "outputs": "y",
        "input_shape": {"x": [1, 4]},
        "input_type": "FLOAT32",
    }


@pytest.mark.frameworks
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_example_is_measured_from_an_empty_folder(acme):
    """As the page says it: the files, one command, and the answers are the model's."""
    fields = {"model": "widedeep-trained-onnx-fp32", "batch_sizes": [4]}
    (acme / "small.json").write_text(json.dumps(fields))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "bytemlperf", "--tasks", "small.json"),
            *("--hardware_type", "ACME", "--backend_path", ".", "--iterations", "20"),
            *("--cache", "cache", "--ui", "plain"),
        ],
        cwd=acme,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 4), done.stdout + done.stderr
    result = read_result(acme / "reports" / "ACME" / "small" / "result.json")
    assert result.failures == []
    assert result.backend_version.startswith("acme-1.0")
    assert result.compile.optimizations["nodes_before"] > 0
    assert result.provenance.interact_info == {"threads": 1}
    assert all(check.is_met for check in result.numeric.targets)
    (point,) = result.points
    # Asked for whatever the number of clients is: 20 queries of each.
    assert point.query_count == 20 * point.clients
    assert not any("keeps its input" in each for each in point.warnings)


@pytest.mark.frameworks
def test_example_runs(acme, model, tmp_path):
    """Found, asked, compiled, loaded; its answer is right and its claims are true."""
    info = find_backend("ACME", acme)
    current = resolve_environment(info.requirements_path, cache_dir=tmp_path / "cache")
    assert current.kind == "current"
    backend = create_backend(info)
    assert backend.version().startswith("acme-1.0")
    questions = parse_profile(backend.get_interact_profile({}), "ACME")
    configs = {
        "workload": {"model": "sum-onnx-fp32", "batch_sizes": [1, 4]},
        "model_info": model,
        "interact_info": answer_questions(questions, {"threads": 2}, "ACME"),
    }
    result = parse_compile_result(backend.compile(configs, None), "ACME")
    assert backend.threads == 2
    assert result.optimizations == {"nodes_before": 2, "nodes_after": 1}
    assert Path(result.segments[0].compiled_model[0].compiled_obj).is_file()
    for batch_size in (1, 4):
        backend.load(batch_size)
        assert backend.get_loaded_batch_size() == batch_size
        x = np.arange(4 * batch_size, dtype=np.float32).reshape(batch_size, 4)
        answer = backend.predict({"x": x})["y"]
        np.testing.assert_allclose(answer, x.sum(axis=1, keepdims=True).repeat(2, 1))
    backend.folder.cleanup()


@pytest.mark.frameworks
def test_example_refuses_what_it_cannot_run(acme, model):
    """The page shows how to refuse a model: by raising."""
    backend = create_backend(find_backend("ACME", acme))
    configs = {"workload": {}, "model_info": {**model, "framework": "Pytorch"}}
    with pytest.raises(ValueError, match="ACME runs Onnx models, not Pytorch"):
        backend.compile(configs, None)
    backend.folder.cleanup()


def test_compile_result_of_the_page_parses():
    """The dictionary that vendors copy is a valid one, with every key there is."""
    (block,) = re.findall(r"### The compile result\n\n```python\n(.*?)```", GUIDE, re.S)
    raw = ast.literal_eval(block)
    parse_compile_result(raw, "GOYA")
    assert set(raw) == set(CompileResult.__struct_fields__)


def test_error_of_the_page_is_the_real_one():
    """The quoted message for a missing key is what a vendor will see."""
    (block,) = re.findall(r"### The compile result\n\n```python\n(.*?)```", GUIDE, re.S)
    raw = ast.literal_eval(block)
    del raw["segments"][0]["sg_idx"]
    (quoted,) = re.findall(r"such\s+as `` (.*?) ``", GUIDE, re.S)
    with pytest.raises(Exception, match=re.escape(quoted)):
        parse_compile_result(raw, "GOYA")


def test_every_method_is_in_the_page():
    """A method that is added to the contract is explained, or this fails."""
    methods = [
        name
        for name, value in vars(Backend).items()
        if callable(value) and not name.startswith("_")
    ]
    assert [name for name in methods if f"`{name}(" not in GUIDE] == []
    attributes = [n for n in Backend.__annotations__ if n != "hardware_type"]
    assert [name for name in attributes if f"`{name} =" not in GUIDE] == []


def test_every_key_of_a_question_is_in_the_page():
    """The table of questions has the keys that our own profiles use."""
    (questions,) = [
        json.loads(info.profile_path.read_text())
        for info in [find_backend("CPU")]
        if info.profile_path
    ]
    for key in {key for question in questions for key in question}:
        assert f"| `{key}` |" in GUIDE
