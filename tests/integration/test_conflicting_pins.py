"""Two backends that need two versions of numpy, in one command and without a network.

The wheels of what the package itself needs are packed from what is installed here; of
numpy another version is fetched if there is an index, and else a package that the test
writes is pinned in its place.
"""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from bytemlperf.launch.environment import _core_dependencies
from bytemlperf.report.storage import read_result

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
BACKEND = """
    import importlib

    import numpy as np

    from bytemlperf.backends import Backend


    class Backend{name}(Backend):
        def __init__(self):
            super().__init__()
            self.hardware_type = "{name}"
            self.need_model = False

        def version(self):
            return importlib.import_module("{module}").__version__

        def compile(self, configs, dataloader=None):
            info = configs["model_info"]
            self.outputs = info["outputs"].split(",")
            return {{
                "model": info["model"],
                "framework": "none",
                "compile_precision": "none",
                "input_type": ["FLOAT32"],
                "max_batch_size": 4,
                "compile_status": "success",
                "sg_percent": 100,
                "segments": [
                    {{
                        "sg_idx": 0,
                        "is_fallback": False,
                        "input_tensor_map": {{}},
                        "output_tensor_map": {{}},
                        "compiled_model": [{{"compiled_bs": 4, "compiled_obj": ""}}],
                    }}
                ],
            }}

        def load(self, batch_size):
            self.batch_size = batch_size

        def get_loaded_batch_size(self):
            return self.batch_size

        def predict(self, data):
            rows = len(next(iter(data.values())))
            return {{name: np.zeros((rows, 1), np.float32) for name in self.outputs}}
"""


def pack_installed(name: str, folder: Path) -> None:
    """Write a wheel of a distribution that is installed."""
    found = metadata.distribution(name)
    wheel = found.read_text("WHEEL") or ""
    tags = [
        line.removeprefix("Tag: ").strip().split("-")
        for line in wheel.splitlines()
        if line.startswith("Tag: ")
    ]
    # Such as py2.py3-none-any: all that any of its tags names.
    tag = "-".join(".".join(dict.fromkeys(part)) for part in zip(*tags, strict=True))
    stem = f"{found.metadata['Name'].replace('-', '_')}-{found.version}"
    paths = [
        path
        for path in found.files or []
        # Scripts lie elsewhere, and are not needed.
        if ".." not in path.parts and path.suffix != ".pyc" and path.name != "RECORD"
    ]
    record = next(p for p in found.files or [] if p.name == "RECORD")
    with zipfile.ZipFile(folder / f"{stem}-{tag}.whl", "w") as archive:
        for path in paths:
            archive.write(str(found.locate_file(path)), str(path))
        archive.writestr(str(record), "".join(f"{p},,\n" for p in [*paths, record]))


def closure(names: list[str]) -> set[str]:
    """Name distributions and all that they need."""
    found: set[str] = set()
    waiting = [Requirement(text) for text in names]
    while waiting:
        wanted = waiting.pop()
        if wanted.name.casefold() in found:
            continue
        found.add(wanted.name.casefold())
        for text in metadata.requires(wanted.name) or []:
            needed = Requirement(text)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                waiting.append(needed)
    return found


def pins(wheels: Path) -> tuple[str, list[str]]:
    """Return a module and two versions of it that lie in the folder."""
    installed = metadata.version("numpy")
    try:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pip", "download", "--no-deps", "--quiet"),
                *("--only-binary", ":all:", "-d", str(wheels)),
                *("--retries", "0", "--timeout", "15", f"numpy>=2,<{installed}"),
            ],
            check=False,
            capture_output=True,
            timeout=120,
        )
        has_failed = done.returncode != 0
    except subprocess.TimeoutExpired:
        has_failed = True
    others = {each.name.split("-")[1] for each in wheels.glob("numpy-*.whl")}
    others.discard(installed)
    if others and not has_failed:
        return "numpy", [installed, others.pop()]
    for version in ("1.0", "2.0"):
        info = f"goya_sdk-{version}.dist-info"
        files = {
            "goya_sdk.py": f"__version__ = {version!r}\n",
            f"{info}/METADATA": (
                f"Metadata-Version: 2.1\nName: goya_sdk\nVersion: {version}\n"
            ),
            f"{info}/WHEEL": (
                "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\n"
                "Tag: py3-none-any\n"
            ),
        }
        files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in files)
        wheel = wheels / f"goya_sdk-{version}-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            for path, text in files.items():
                archive.writestr(path, text)
    return "goya_sdk", ["1.0", "2.0"]


def test_two_versions_of_numpy_in_one_command(tmp_path):
    """Each backend gets an environment of its own, and both are measured."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    for name in closure(_core_dependencies()):
        pack_installed(name, wheels)
    module, versions = pins(wheels)
    for name, version in zip(("PINA", "PINB"), versions, strict=True):
        folder = tmp_path / "backends" / name
        folder.mkdir(parents=True)
        code = textwrap.dedent(BACKEND).format(name=name, module=module)
        (folder / f"backend_{name.lower()}.py").write_text(code)
        (folder / "requirements.txt").write_text(f"{module}=={version}\n")
    (tmp_path / "small.json").write_text(
        json.dumps(
            {
                "model": "widedeep-tf-fp32",
                "batch_sizes": [4],
                "clients": 1,
                "iterations": 20,
                "test_accuracy": False,
                "test_numeric": False,
            }
        )
    )
    done = subprocess.run(
        [
            *(sys.executable, "-m", "bytemlperf", "--tasks", "small.json"),
            *("--hardware_type", "PINA,PINB", "--iterations", "20"),
            *("--backend_path", "backends", "--wheels", "wheels"),
            *("--cache", "cache", "--out", "out", "--ui", "plain"),
        ],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode in (0, 4), done.stdout + done.stderr
    results = [
        read_result(tmp_path / "out" / name / "small" / "result.json")
        for name in ("PINA", "PINB")
    ]
    assert [result.backend_version for result in results] == versions
    # The first may be satisfied by what is installed here; the second never is.
    assert results[1].provenance.environment_kind == "venv"
    assert [result.points[0].query_count for result in results] == [20, 20]
