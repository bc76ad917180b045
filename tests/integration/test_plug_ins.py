"""A third party's wheel brings a backend, a workload, its model and its dataset."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from bytemlperf.engine.conformance import probe
from bytemlperf.report.storage import read_result

pytestmark = [pytest.mark.slow, pytest.mark.frameworks]

PROJECT = """
    [build-system]
    requires = ["setuptools"]
    build-backend = "setuptools.build_meta"

    [project]
    name = "acme-bytemlperf"
    version = "1.0"

    [project.entry-points."bytemlperf.backends"]
    ACME = "acme_bytemlperf.backend_acme:BackendACME"

    [project.entry-points."bytemlperf.workloads"]
    acme = "acme_bytemlperf.tasks"

    [project.entry-points."bytemlperf.datasets"]
    acme_pairs = "acme_bytemlperf.pairs:draft"

    [tool.setuptools]
    packages = ["acme_bytemlperf", "acme_bytemlperf.tasks"]

    [tool.setuptools.package-data]
    acme_bytemlperf = ["tasks/*.json", "tasks/models/*"]
"""

PAIRS = """
    from bytemlperf.datasets import Draft, Unavailable, Written

    COUNT = 40


    def draft(request):
        def write(out, progress):
            for spec in request.specs:
                array = out.add_input(
                    spec.name,
                    count=COUNT,
                    dtype=spec.dtype,
                    sample_shape=request.shape(spec),
                )
                array[:] = 3
            return Written(COUNT, "all threes")

        return Draft(unit="sample", transform="none", licence="MIT", write=write)
"""

WORKLOAD = {
    "model": "acme-onnx-fp32",
    "test_perf": True,
    "test_accuracy": False,
    "test_numeric": False,
    "clients": 2,
    "iterations": 20,
    "batch_sizes": [1, 4],
    "data_percent": 100,
    "compile_only": False,
}

BACKEND = """
    import numpy as np
    import onnx

    from bytemlperf.backends import Backend


    class BackendACME(Backend):
        def __init__(self):
            super().__init__()
            self.hardware_type = "ACME"
            self.batch_size = 0

        def version(self):
            return "acme-1.0"

        def compile(self, configs, dataloader=None):
            info = configs["model_info"]
            graph = onnx.load(info["model_path"]).graph
            (weights,) = graph.initializer
            self.weights = onnx.numpy_helper.to_array(weights)
            outputs = info["outputs"].split(",")
            return {
                "model": info["model"],
                "framework": info["framework"],
                "compile_precision": "fp32",
                "input_type": ["FLOAT32", "INT64"],
                "max_batch_size": 8,
                "compile_status": "success",
                "sg_percent": 100,
                "segments": [
                    {
                        "sg_idx": 0,
                        "is_fallback": False,
                        "input_tensor_map": {"a": [-1, 4], "b": [-1, 4]},
                        "output_tensor_map": {name: [-1, 4] for name in outputs},
                        "compiled_model": [{"compiled_bs": 8, "compiled_obj": "numpy"}],
                    }
                ],
            }

        def load(self, batch_size):
            self.batch_size = batch_size

        def get_loaded_batch_size(self):
            return self.batch_size

        def predict(self, data):
            a, b = data["a"], data["b"]
            if not (a == 3).all() or not (b == 3).all():
                raise ValueError("these are not the samples of acme_pairs")
            return {
                "weighted": np.maximum(a, 0) @ self.weights,
                "mixed": 2 * a - b,
                "echo": a.copy(),
            }
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """Return a folder that the built wheel is installed into."""
    root = tmp_path_factory.mktemp("plug_in")
    package = root / "project" / "acme_bytemlperf"
    models = package / "tasks" / "models"
    models.mkdir(parents=True)
    (root / "project" / "pyproject.toml").write_text(textwrap.dedent(PROJECT))
    (package / "tasks" / "__init__.py").touch()
    (package / "__init__.py").write_text("")
    (package / "pairs.py").write_text(textwrap.dedent(PAIRS))
    (package / "backend_acme.py").write_text(textwrap.dedent(BACKEND))
    (package / "tasks" / "acme-onnx-fp32.json").write_text(json.dumps(WORKLOAD))
    probe.onnx_file(models)
    info = probe.model_info("Onnx", None) | {
        "model": "acme-onnx-fp32",
        "model_path": "probe.onnx",
        "dataset_name": "acme_pairs",
    }
    del info["output_shape"]
    (models / "acme-onnx-fp32.json").write_text(json.dumps(info))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    offline = ["--no-deps", "--no-index"]
    subprocess.run(
        [*pip, "wheel", "--no-build-isolation", *offline, "-w", root, root / "project"],
        check=True,
    )
    (wheel,) = root.glob("*.whl")
    subprocess.run(
        [*pip, "install", *offline, "--target", root / "site", wheel], check=True
    )
    return root / "site"


def command(installed, *words):
    root = Path(__file__).parents[2]
    path = os.pathsep.join((str(root), str(installed)))
    return subprocess.run(
        [sys.executable, "-m", "bytemlperf", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=110,
        env={**os.environ, "PYTHONPATH": path},
        check=False,
    )


def test_what_a_wheel_brings_is_listed(installed):
    """Its task and its hardware type are there; `all` is still the package's own."""
    tasks = command(installed, "--show_task_list").stdout.splitlines()
    assert tasks[-2:] == ["# from installed plug-ins", "acme-onnx-fp32"]
    assert "ACME" in command(installed, "--show_hardware_list").stdout.splitlines()


def test_what_a_wheel_brings_is_measured(installed, tmp_path):
    """One command measures its model, with its samples, on its hardware."""
    words = ("--tasks", "acme*", "--hardware_type", "ACME", "--out", tmp_path / "out")
    done = command(installed, *words, "--cache", tmp_path / "cache")
    # 4: answering takes a microsecond, so that most of the round trip is our own.
    assert done.returncode in {0, 4}, done.stdout + done.stderr
    result = read_result(tmp_path / "out" / "ACME" / "acme-onnx-fp32" / "result.json")
    assert [point.query_count for point in result.points] == [40, 40]
    assert result.dataset.name == "acme_pairs"
    assert (result.dataset.origin, result.dataset.sample_count) == ("real", 40)
    assert result.model.weights == "user"
    assert result.backend_version == "acme-1.0"
