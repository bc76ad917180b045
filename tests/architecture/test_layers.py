"""Imports go one way: the machine that says so passes, and fails when it should."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "bytemlperf"
PROGRAM = (
    "import sys; from importlinter.cli import lint_imports;"
    "sys.exit(lint_imports(no_cache=True))"
)
# The Cython rooms stand above these, and above nothing else.
BELOW_NATIVE = ("_native", "tensor_spec", "errors")


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter on a checkout."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
    )


@pytest.fixture
def copy(tmp_path):
    """Copy what import-linter reads of the checkout."""
    shutil.copytree(
        PACKAGE,
        tmp_path / "bytemlperf",
        ignore=lambda folder, names: [
            name
            for name in names
            if not (Path(folder) / name).is_dir() and not name.endswith(".py")
        ],
    )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_layers_are_kept():
    """Every module imports only from below."""
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("runtime/clock.py", "bytemlperf.cli"),
        ("report/__init__.py", "bytemlperf.engine"),
        ("errors.py", "bytemlperf.tensor_spec"),
        ("backends/base.py", "bytemlperf.runtime.clock"),
        ("_native/__init__.py", "bytemlperf.runtime"),
    ],
)
def test_import_from_above_or_beside_fails(copy, importer, imported):
    """One line in the wrong direction is enough, and is named."""
    module = copy / "bytemlperf" / importer
    module.write_text(f"{module.read_text()}\nimport {imported}\n")
    done = lint_imports(copy)
    assert done.returncode != 0
    assert imported in done.stdout


def test_module_without_a_layer_fails(copy):
    """A new room has to be given its place before it can be built."""
    (copy / "bytemlperf" / "stray.py").write_text("")
    done = lint_imports(copy)
    assert done.returncode != 0
    assert "stray" in done.stdout


@pytest.mark.parametrize(
    "importer", ["cli/request.py", "launch/__init__.py", "report/__init__.py"]
)
def test_framework_in_a_room_that_knows_none_fails(copy, importer):
    """An import inside a function escapes ruff, but not import-linter."""
    module = copy / "bytemlperf" / importer
    module.write_text(f"{module.read_text()}\n\ndef f():\n    import torch\n")
    done = lint_imports(copy)
    assert done.returncode != 0
    assert "torch" in done.stdout


def cython_imports(text: str) -> set[str]:
    """Return the modules of this package that Cython source imports or cimports."""
    text = re.sub(r"#.*", "", text)
    found = set(re.findall(r"^\s*from\s+([\w.]+)\s+c?import\b", text, re.MULTILINE))
    for names in re.findall(r"^\s*c?import\s+([^\n]+)", text, re.MULTILINE):
        found.update(name.split()[0] for name in names.split(",") if name.strip())
    for package, names in re.findall(
        r"^\s*from\s+(\.*|bytemlperf)\s+c?import\s+([\w, ]+)", text, re.MULTILINE
    ):
        prefix = "bytemlperf._native" if package.startswith(".") else "bytemlperf"
        found.discard(package)
        found.update(f"{prefix}.{name.strip()}" for name in names.split(","))
    absolute = {re.sub(r"^\.", "bytemlperf._native.", name) for name in found}
    return {name for name in absolute if name.split(".")[0] == "bytemlperf"}


def wrong_imports(text: str) -> set[str]:
    """Return the imports of Cython source that its layer may not have."""
    return {
        name
        for name in cython_imports(text)
        if [*name.split("."), ""][1] not in BELOW_NATIVE
    }


def test_cython_imports_only_from_below():
    """import-linter cannot read Cython, so this test does."""
    sources = sorted((PACKAGE / "_native").glob("*.p[xy][xdi]*"))
    wrong = {
        source.name: found
        for source in sources
        if source.suffix in {".pyx", ".pxd"}
        and (found := wrong_imports(source.read_text()))
    }
    assert wrong == {}


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("from bytemlperf.runtime.clock import now_ns", {"bytemlperf.runtime.clock"}),
        ("from bytemlperf.runtime cimport clock", {"bytemlperf.runtime"}),
        ("import os, bytemlperf.engine as e", {"bytemlperf.engine"}),
        ("cimport bytemlperf.report.thing", {"bytemlperf.report.thing"}),
        ("    from bytemlperf import cli, errors", {"bytemlperf.cli"}),
        ("from bytemlperf.errors import QueueFullError", set()),
        ("from bytemlperf._native.layout cimport row_t", set()),
        ("from .layout cimport row_t", set()),
        ("from . cimport layout", set()),
        ("from libc.stdint cimport int64_t  # bytemlperf.cli", set()),
        ("# import bytemlperf.cli", set()),
    ],
)
def test_cython_reader_sees_what_it_should(line, wrong):
    """The reader itself: each form of an import, right and wrong."""
    assert wrong_imports(f"# cython: language_level=3\n{line}\n") == wrong


def test_layers_name_every_room():
    """The contract in pyproject.toml and the folders agree, both ways."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    layers = project["tool"]["importlinter"]["contracts"][0]["layers"]
    named = {room.strip() for layer in layers for room in layer.split("|")}
    rooms = {
        entry.stem
        for entry in PACKAGE.iterdir()
        if (entry.suffix == ".py" or (entry / "__init__.py").is_file())
        and entry.stem != "__init__"
    }
    assert rooms == named
