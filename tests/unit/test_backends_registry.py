"""Finding backends: where they are looked for, in which order, without importing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bytemlperf.backends import BackendInfo, find_backend, list_backends, registry
from bytemlperf.errors import BackendError, ConfigError, UnknownNameError


def make_backend(folder: Path, text: str = "raise RuntimeError('imported')") -> Path:
    """Write a hardware folder whose entry file must not be imported."""
    folder.mkdir(parents=True)
    (folder / f"backend_{folder.name.lower()}.py").write_text(text)
    return folder


@pytest.fixture
def entry_point(monkeypatch, tmp_path):
    """Return a maker of an installed distribution that names a backend."""

    def make(name: str, value: str) -> None:
        installed = tmp_path / "goya_plugin-1.0.dist-info"
        installed.mkdir()
        (installed / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: goya-plugin\nVersion: 1.0\n"
        )
        (installed / "entry_points.txt").write_text(
            f"[{registry.ENTRY_POINT_GROUP}]\n{name} = {value}\n"
        )
        monkeypatch.syspath_prepend(str(tmp_path))

    return make


def test_package_backends_are_listed_by_name():
    """CPU and NULL come with the package, complete."""
    infos = {info.hardware_type: info for info in list_backends()}
    assert list(infos) == sorted(infos, key=str.casefold)
    assert {"CPU", "NULL"} <= set(infos)
    cpu = infos["CPU"]
    assert cpu.origin == "package"
    assert cpu.entry_file == cpu.folder / "backend_cpu.py"
    assert cpu.requirements_path == cpu.folder / "requirements.txt"
    assert cpu.profile_path == cpu.folder / "cpu.json"


def test_listing_imports_no_backend(tmp_path):
    """A backend whose import fails is listed like any other."""
    make_backend(tmp_path / "GOYA")
    program = (
        "import sys, pathlib; from bytemlperf.backends import list_backends;"
        "names = [i.hardware_type for i in list_backends(pathlib.Path(sys.argv[1]))];"
        "assert 'GOYA' in names, names;"
        "assert not [m for m in sys.modules if 'backend_' in m], sys.modules"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True)


@pytest.mark.parametrize("given", ["", "GOYA"])
def test_backend_path_is_a_folder_or_a_folder_of_folders(tmp_path, given):
    """Both the hardware folder itself and its parent may be named."""
    folder = make_backend(tmp_path / "GOYA")
    assert find_backend("GOYA", tmp_path / given) == BackendInfo(
        hardware_type="GOYA",
        folder=folder,
        entry_file=folder / "backend_goya.py",
        profile_path=None,
        requirements_path=None,
        origin="path",
    )


def test_lookup_ignores_case_and_returns_the_exact_name(tmp_path):
    """`goya` finds `GOYA`."""
    make_backend(tmp_path / "GOYA")
    assert find_backend("gOyA", tmp_path).hardware_type == "GOYA"
    assert find_backend("cpu").hardware_type == "CPU"


def test_given_folder_goes_before_the_package(tmp_path):
    """A vendor's edited copy of a packaged backend is the one that runs."""
    folder = make_backend(tmp_path / "cpu")
    info = find_backend("CPU", tmp_path)
    assert (info.origin, info.folder, info.hardware_type) == ("path", folder, "cpu")
    names = [info.hardware_type.casefold() for info in list_backends(tmp_path)]
    assert names.count("cpu") == 1


def test_entry_point_is_found_without_importing_it(entry_point, tmp_path):
    """An installed plug-in is located on disk; its package is not run."""
    package = tmp_path / "goya_plugin"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "backend_goya.py").write_text("raise RuntimeError('imported')")
    (package / "requirements.txt").write_text("nonexistent")
    entry_point("GOYA", "goya_plugin.backend_goya:BackendGOYA")
    info = find_backend("goya")
    assert info.origin == "entry_point"
    assert info.entry_file == package / "backend_goya.py"
    assert info.entry_point == "goya_plugin.backend_goya:BackendGOYA"
    # Its distribution brought what it needs; a venv would lack the plug-in itself.
    assert info.requirements_path is None


def test_entry_point_of_a_removed_module_is_still_listed(entry_point):
    """A broken installation does not hide the other backends."""
    entry_point("GOYA", "goya_plugin_that_is_gone.backend")
    assert {"CPU", "GOYA"} <= {info.hardware_type for info in list_backends()}


def test_package_goes_before_entry_points(entry_point):
    """A plug-in cannot take the name of a packaged backend."""
    entry_point("CPU", "goya_plugin")
    assert find_backend("CPU").origin == "package"


def test_unknown_name_lists_what_exists(tmp_path):
    """The error names the nearest match and all that exist."""
    make_backend(tmp_path / "GOYA")
    with pytest.raises(UnknownNameError, match="unknown hardware_type 'GOYB'") as error:
        find_backend("GOYB", tmp_path)
    assert error.value.nearest == "GOYA"
    assert error.value.known == sorted(error.value.known)
    assert {"CPU", "GOYA", "NULL"} <= set(error.value.known)


def test_folder_without_entry_file_says_what_is_missing(tmp_path):
    """A misnamed entry file is the commonest mistake: name the right one."""
    make_backend(tmp_path / "GOYA")
    folder = tmp_path / "HPU"
    folder.mkdir()
    (folder / "hpu_backend.py").touch()
    with pytest.raises(BackendError, match=r"expected backend_hpu\.py") as error:
        find_backend("HPU", tmp_path)
    assert error.value.detail == "it holds hpu_backend.py"


def test_empty_backend_path_is_an_error(tmp_path):
    """A path that holds nothing is not passed over in silence."""
    with pytest.raises(ConfigError, match="holds no backend"):
        list_backends(tmp_path)


@pytest.mark.parametrize(
    ("name", "what"), [("gone", "does not exist"), ("f", "a file")]
)
def test_backend_path_must_be_a_folder(tmp_path, name, what):
    """A mistyped path is reported as such."""
    (tmp_path / "f").touch()
    with pytest.raises(ConfigError, match=what):
        list_backends(tmp_path / name)
