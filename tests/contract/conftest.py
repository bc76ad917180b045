"""The conformance suite's model in every format, and every backend that can run it."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from bytemlperf.backends import BackendInfo, create_backend, find_backend
from bytemlperf.engine.conformance import probe

SUPPORT = Path(__file__).parents[1] / "support"
BATCH_SIZES = [1, 2, 4]


class Case(msgspec.Struct, frozen=True):
    """A backend with a model for it."""

    info: BackendInfo
    configs: dict[str, Any]
    computes: bool

    def compiled(self):
        """Return a fresh instance that has compiled the model, and what it said."""
        backend = create_backend(self.info)
        return backend, backend.compile(self.configs, None)


@pytest.fixture(scope="session")
def feeds() -> Callable[..., dict[str, np.ndarray]]:
    """Return a maker of feeds for a batch, different for every seed."""
    return probe.make_feeds


@pytest.fixture(scope="session")
def expected() -> Callable[..., dict[str, np.ndarray]]:
    """Return what the model answers, computed by numpy."""
    return probe.expected


def _torch_export(folder: Path) -> Path:
    import torch

    module, example = probe.torch_module()
    batch = torch.export.Dim("batch", min=1, max=64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(
            module, example, dynamic_shapes=({0: batch}, {0: batch})
        )
        torch.export.save(program, folder / "probe.pt2")
    return folder / "probe.pt2"


def _no_model(folder: Path) -> Path:
    return folder


# Case name: hardware type, model's framework, maker of the model file.
CASES = {
    "CPU-torchscript": ("CPU", "Pytorch", probe.torchscript),
    "CPU-torch-export": ("CPU", "Pytorch", _torch_export),
    "CPU-tensorflow": ("CPU", "Tensorflow", probe.saved_model),
    "CPU-onnx": ("CPU", "Onnx", probe.onnx_file),
    "NULL": ("NULL", "Pytorch", _no_model),
    "GOYA": ("GOYA", "Pytorch", probe.torchscript),
    "OPENVINO-torchscript": ("OPENVINO", "Pytorch", probe.torchscript),
    "OPENVINO-torch-export": ("OPENVINO", "Pytorch", _torch_export),
    "OPENVINO-tensorflow": ("OPENVINO", "Tensorflow", probe.saved_model),
    "OPENVINO-onnx": ("OPENVINO", "Onnx", probe.onnx_file),
    "ONNXRUNTIME": ("ONNXRUNTIME", "Onnx", probe.onnx_file),
    "INDUCTOR-torchscript": ("INDUCTOR", "Pytorch", probe.torchscript),
    "INDUCTOR-torch-export": ("INDUCTOR", "Pytorch", _torch_export),
    "GPU-torchscript": ("GPU", "Pytorch", probe.torchscript),
    "GPU-onnx": ("GPU", "Onnx", probe.onnx_file),
}


@pytest.fixture(
    scope="session",
    params=[
        pytest.param(name, marks=[] if name == "NULL" else [pytest.mark.frameworks])
        for name in CASES
    ],
)
def case(request, tmp_path_factory) -> Case:
    """One backend with its model, made once."""
    hardware_type, framework, make = CASES[request.param]
    if hardware_type == "GPU":
        torch = pytest.importorskip("torch")
        if not torch.cuda.is_available():
            pytest.skip("no CUDA device: torch.cuda.is_available() is False")
    folder = tmp_path_factory.mktemp(request.param)
    if hardware_type == "GOYA":
        shutil.copytree(SUPPORT / "GOYA", folder / "GOYA")
        info = find_backend("goya", folder)
    else:
        info = find_backend(hardware_type)
    model_info = probe.model_info(framework, make(folder))
    configs = {
        "workload": {"model": "probe", "batch_sizes": BATCH_SIZES},
        "model_info": model_info,
        "interact_info": {},
    }
    return Case(info=info, configs=configs, computes=hardware_type != "NULL")


@pytest.fixture
def covered_hardware_types() -> set[str]:
    """Hardware types that have a case."""
    return {hardware_type for hardware_type, _, _ in CASES.values()}
