"""What importing costs and promises: no frameworks, no side effects, real names."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys

import pytest

import bytemlperf

FRAMEWORKS = (
    *("torch", "tensorflow", "keras", "onnx", "onnxruntime", "transformers"),
    "openvino",
)
# Only these files may import a framework when they are imported themselves.
FRAMEWORK_MODULES = tuple(
    f"bytemlperf.backends.{name}"
    for name in (
        *("runtimes.onnx_session", "runtimes.saved_model"),
        *("runtimes.torch_model", "runtimes.torch_program", "runtimes.onnx_split"),
        *(f"OPENVINO.{name}" for name in ("_compiled", "_conversion", "_placement")),
        "OPENVINO._requests",
        "INDUCTOR._program",
    )
)
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(bytemlperf.__path__, "bytemlperf.")
    if not module.name.endswith("__main__") and module.name not in FRAMEWORK_MODULES
)
# What is imported before anything has been measured, in the user's own process.
LIGHT = [
    name
    for name in ("bytemlperf", *MODULES)
    if name.count(".") <= 1 and "model_zoo" not in name
]

CHECK = """
import importlib, os, signal, sys, threading, asyncio
def state():
    handlers = [signal.getsignal(number) for number in signal.valid_signals()]
    places = os.getcwd(), sys.path[:]
    return handlers, dict(os.environ), threading.active_count(), places
before = state()
policy = asyncio.events._event_loop_policy
importlib.import_module(sys.argv[1])
assert state() == before, "the import changed global state"
assert asyncio.events._event_loop_policy is policy, "the import set a loop policy"
found = [name for name in sys.argv[2].split(",") if name in sys.modules]
assert not found, f"the import brought {found}"
"""


@pytest.mark.parametrize("name", LIGHT)
def test_import_brings_no_framework_and_changes_nothing(name):
    """Each room can be imported by an embedder who has no framework at all."""
    done = subprocess.run(
        [sys.executable, "-c", CHECK, name, ",".join(FRAMEWORKS)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def public_names(name: str) -> list[str]:
    """Import a module and return its public names, each looked up."""
    module = importlib.import_module(name)
    names = list(module.__all__)
    assert len(set(names)) == len(names), f"{name}.__all__ names something twice"
    for public in names:
        assert hasattr(module, public), f"{name}.__all__ names {public}"
    return names


@pytest.mark.parametrize("name", MODULES)
def test_public_names_exist(name):
    """Each module says what is public, and has it."""
    module = importlib.import_module(name)
    if hasattr(module, "__path__") and not hasattr(module, "__all__"):
        # A package that only holds files, such as a hardware folder.
        assert not [n for n in vars(module) if isinstance(vars(module)[n], type)]
        return
    if not module.__file__.endswith(".py"):
        return  # Cython: the .pyi file beside it says what is public
    assert public_names(name)


@pytest.mark.frameworks
@pytest.mark.parametrize("name", FRAMEWORK_MODULES)
def test_public_names_of_framework_modules_exist(name):
    """The runtimes of the CPU backend, which need their frameworks."""
    assert public_names(name)
