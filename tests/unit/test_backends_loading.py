"""Importing a vendor's file: what is accepted, and how its mistakes are reported."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bytemlperf.backends import (
    Backend,
    create_backend,
    find_backend,
    load_backend_class,
    registry,
)
from bytemlperf.errors import BackendError, BackendUnavailableError

HEAD = "from bytemlperf.backends import Backend\n"


@pytest.fixture
def vendor(tmp_path, monkeypatch):
    """Return a maker of a vendor's folder; the interpreter is put back afterwards.

    Yields
    ------
    callable
        From the entry file's text, the name and other files to a `BackendInfo`.
    """
    monkeypatch.setattr(sys, "path", list(sys.path))

    def make(text: str, name: str = "GOYA", **others: str) -> registry.BackendInfo:
        folder = tmp_path / name
        folder.mkdir()
        (folder / f"backend_{name.lower()}.py").write_text(text)
        for stem, content in others.items():
            (folder / f"{stem}.py").write_text(content)
        return find_backend(name, folder)

    yield make
    for module in [m for m in sys.modules if m.startswith("bytemlperf_backend_")]:
        del sys.modules[module]


def test_init_without_super_is_complete(vendor):
    """The original README's class never calls super: no attribute may be missing."""
    backend = create_backend(
        vendor(
            HEAD + "class BackendGOYA(Backend):\n"
            "    def __init__(self):\n        self.need_quant = True\n"
        )
    )
    assert isinstance(backend, Backend)
    assert backend.hardware_type == "GOYA"
    assert (backend.need_reload, backend.need_quant, backend.need_model) == (
        False,
        True,
        True,
    )


def test_missing_methods_have_defaults(vendor):
    """Optional methods do nothing; required ones say that they are missing."""
    backend = create_backend(vendor(HEAD + "class BackendGOYA(Backend):\n    pass\n"))
    assert backend.pre_optimize({}) is None
    assert backend.segment({}) is None
    assert backend.tuning({}) is None
    assert backend.get_interact_profile({}) is None
    assert backend.get_best_batch_size() is None
    assert backend.load(1) is None
    assert backend.benchmark(None) is None
    for call in (backend.version, backend.get_loaded_batch_size):
        with pytest.raises(NotImplementedError, match="Backend"):
            call()
    with pytest.raises(NotImplementedError, match=r"Backend\.compile"):
        backend.compile({})
    with pytest.raises(NotImplementedError, match=r"Backend\.predict"):
        backend.predict({})


def test_hardware_type_of_the_class_is_kept(vendor):
    """What ``__init__`` sets wins over the folder's name."""
    info = vendor(HEAD + "class BackendGOYA(Backend):\n    hardware_type = 'Goya-2'\n")
    assert create_backend(info).hardware_type == "Goya-2"


@pytest.mark.parametrize(
    "text",
    [
        "class backendgoya(Backend): pass\n",
        "class Accelerator(Backend): pass\n",
        "class Common(Backend): pass\nclass BackendGOYA(Common): pass\n",
    ],
)
def test_class_is_found_by_name_or_as_the_only_one(vendor, text):
    """``Backend<HW>`` in any case, or else the only subclass."""
    found = load_backend_class(vendor(HEAD + text))
    assert issubclass(found, Backend)
    assert found.__name__ != "Common"


def test_files_beside_the_entry_file_can_be_imported(vendor):
    """Relative and plain imports both reach the folder's other files."""
    info = vendor(
        HEAD + "from . import goya_near\nfrom .goya_near import FOUND\n"
        "import goya_plain_xyz\n"
        "class BackendGOYA(Backend):\n"
        "    def version(self):\n"
        "        from .goya_late import LATE\n"
        "        return FOUND + goya_plain_xyz.FOUND + LATE\n",
        goya_near="FOUND = 'near '\n",
        goya_plain_xyz="FOUND = 'plain '\n",
        goya_late="LATE = 'late'\n",
    )
    before = list(sys.path)
    assert create_backend(info).version() == "near plain late"
    # At the end: nothing that is installed can be hidden by a vendor's file.
    assert sys.path == [*before, str(info.folder)]


def test_folder_may_be_a_package(vendor):
    """An ``__init__.py`` in the folder runs first, once."""
    info = vendor(
        HEAD + "from . import NAME\nclass BackendGOYA(Backend):\n"
        "    def version(self):\n        return NAME\n",
        __init__="NAME = 'from init'\n",
    )
    assert create_backend(info).version() == "from init"


def test_two_vendors_files_never_meet(vendor):
    """Two folders with a file of the same name each get their own."""
    text = HEAD + "from .same import WHO\nclass B(Backend):\n    who = WHO\n"
    one = load_backend_class(vendor(text, "ONE", same="WHO = 1\n"))
    two = load_backend_class(vendor(text, "TWO", same="WHO = 2\n"))
    assert (one.who, two.who) == (1, 2)


def test_missing_package_is_unavailable(vendor):
    """A missing import names the package, the line, and where to list it."""
    info = vendor(HEAD + "import goya_sdk_that_is_not_there\n")
    with pytest.raises(
        BackendUnavailableError, match="goya_sdk_that_is_not_there is missing"
    ) as error:
        load_backend_class(info)
    assert f"{info.entry_file}:2" in error.value.detail
    assert "requirements.txt" in error.value.hint
    assert isinstance(error.value.__cause__, ModuleNotFoundError)


def test_syntax_error_names_file_and_line(vendor):
    """The broken line may be in a file that the entry file imports."""
    info = vendor(HEAD + "from . import broken\n", broken="x = 1\ndef f(:\n")
    with pytest.raises(BackendError, match="import of backend_goya") as error:
        load_backend_class(info)
    assert f"{info.folder / 'broken.py'}:2: SyntaxError" in error.value.detail


@pytest.mark.parametrize(
    "line", ["raise RuntimeError('no device')", "import sys; sys.exit('no device')"]
)
def test_failing_import_names_the_vendors_line(vendor, line):
    """Whatever the file raises is reported, an exit as well."""
    info = vendor(f"{HEAD}\n{line}\n")
    with pytest.raises(BackendError, match="GOYA: import of") as error:
        load_backend_class(info)
    assert f"{info.entry_file}:3: " in error.value.detail
    assert "no device" in error.value.detail


def test_failing_init_names_the_vendors_line(vendor):
    """A constructor that fails is not an unknown backend."""
    info = vendor(
        HEAD + "class BackendGOYA(Backend):\n"
        "    def __init__(self):\n        raise OSError('device busy')\n"
    )
    with pytest.raises(BackendError, match=r"BackendGOYA\(\) failed") as error:
        create_backend(info)
    assert error.value.detail == f"{info.entry_file}:4: OSError: device busy"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\n", "subclasses found: none"),
        ("class A(Backend): pass\nclass B(Backend): pass\n", "found: A, B"),
        ("class BackendGOYA: pass\n", "BackendGOYA is no subclass of Backend"),
    ],
)
def test_missing_class_is_explained(vendor, text, message):
    """The error says what was looked for, and what was found."""
    with pytest.raises(BackendError, match=message):
        load_backend_class(vendor(HEAD + text))


def plugin(folder: Path, value: str) -> registry.BackendInfo:
    """Describe a plug-in module as the registry would."""
    return registry.BackendInfo(
        hardware_type="GOYA",
        folder=folder,
        entry_file=folder / "goya_plug.py",
        profile_path=None,
        requirements_path=None,
        origin="entry_point",
        entry_point=value,
    )


def test_entry_point_names_its_class(tmp_path, monkeypatch):
    """``module:Class`` is taken at its word, ``module`` follows the file rule."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "goya_plug.py").write_text(
        HEAD + "class A(Backend): pass\nclass BackendGOYA(Backend): pass\nx = 1\n"
    )
    assert load_backend_class(plugin(tmp_path, "goya_plug:A")).__name__ == "A"
    named = load_backend_class(plugin(tmp_path, "goya_plug"))
    assert named.__name__ == "BackendGOYA"
    with pytest.raises(BackendError, match="names 1, expected a subclass"):
        load_backend_class(plugin(tmp_path, "goya_plug:x"))
    with pytest.raises(BackendError, match="GOYA: import of"):
        load_backend_class(plugin(tmp_path, "goya_plug:Gone"))
    with pytest.raises(BackendUnavailableError, match="goya_gone is missing"):
        load_backend_class(plugin(tmp_path, "goya_gone:A"))
