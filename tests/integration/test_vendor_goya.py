"""A vendor who has read the original README, and nothing else, gets measured."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest

from bytemlperf.backends import (
    create_backend,
    find_backend,
    list_backends,
    parse_compile_result,
)
from bytemlperf.launch.environment import resolve_environment

pytestmark = [
    pytest.mark.frameworks,
    pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning"),
]

GOYA = Path(__file__).parents[1] / "support" / "GOYA"


@pytest.fixture
def folder(tmp_path):
    """Copy the vendor's folder to a place of its own, as a vendor would have it."""
    return Path(shutil.copytree(GOYA, tmp_path / "backends" / "GOYA"))


@pytest.fixture
def configs(tmp_path):
    """Return configs for a small model with two inputs and one output."""
    import torch

    class Scale(torch.nn.Module):
        def forward(self, x, factor):
            return x * factor

    path = tmp_path / "scale.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(Scale(), (torch.ones(2, 3), torch.ones(2, 1))).save(str(path))
    return {
        "workload": {
            "model": "scale-torch-fp32",
            "test_perf": True,
            "test_accuracy": False,
            "test_numeric": False,
            "clients": 1,
            "iterations": 1,
            "batch_sizes": [1, 2],
            "data_percent": 1,
            "compile_only": False,
        },
        "model_info": {
            "model": "scale-torch-fp32",
            "model_path": str(path),
            "framework": "Pytorch",
            "inputs": "x,factor",
            "outputs": "scaled",
            "input_shape": {"x": [1, 3], "factor": [1, 1]},
            "input_type": "FLOAT32,FLOAT32",
        },
        "interact_info": {},
    }


def test_folder_is_the_readmes_and_stands_outside_the_package(folder):
    """Three files, one of them empty, and no trace of them in the package."""
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    assert names == ["backend_goya.py", "goya.json", "requirements.txt"]
    assert (folder / "goya.json").read_bytes() == b""
    assert "super()" not in (folder / "backend_goya.py").read_text().split('"""')[2]
    assert "GOYA" not in {info.hardware_type for info in list_backends()}


def test_backend_runs_from_its_folder(folder, configs, capfd):
    """Found, imported, compiled, loaded and asked, in the framework's order."""
    info = find_backend("goya", folder.parent)
    assert info.hardware_type == "GOYA"
    backend = create_backend(info)
    assert backend.get_interact_profile(configs) is None
    configs = backend.pre_optimize(configs) or configs
    assert backend.segment(configs) is None
    result = parse_compile_result(backend.compile(configs, None), "GOYA")
    assert (result.compile_status, result.max_batch_size) == ("success", 2)
    assert backend.tuning(configs) is None
    # A vendor may print: a worker's output goes to its log.
    assert "compiling scale.pt" in capfd.readouterr().out
    for batch_size in result.segments[0].compiled_model:
        backend.load(batch_size.compiled_bs)
        size = backend.get_loaded_batch_size()
        x = np.arange(3 * size, dtype=np.float32).reshape(size, 3)
        factor = np.full((size, 1), 2, np.float32)
        answer = backend.predict({"factor": factor, "x": x})
        np.testing.assert_array_equal(answer["scaled"], x * 2)


def test_its_requirements_are_met_by_this_interpreter(folder, tmp_path):
    """The vendor lists torch; where torch is, nothing is installed."""
    info = find_backend("GOYA", folder)
    found = resolve_environment(info.requirements_path, cache_dir=tmp_path / "cache")
    assert found.kind == "current"
