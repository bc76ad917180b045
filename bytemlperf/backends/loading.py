"""From a backend's description to its class and an instance.

Input: a `BackendInfo`. Output: the vendor's class, imported for the first time here.
Whatever goes wrong in vendor code is named with its file, line and cause.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import re
import sys
import traceback
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

from bytemlperf.backends.base import Backend
from bytemlperf.backends.registry import BackendInfo
from bytemlperf.errors import BackendError, BackendUnavailableError

__all__ = ["create_backend", "load_backend_class"]


def create_backend(info: BackendInfo) -> Backend:
    """Import a backend and make an instance of its class.

    Parameters
    ----------
    info : BackendInfo
        From `find_backend`.

    Returns
    -------
    Backend
        Fresh, with ``hardware_type`` set even where its ``__init__`` did not.

    Raises
    ------
    BackendUnavailableError
        Something it imports is not installed.
    BackendError
        Its file is broken, its class is missing, or its ``__init__`` raised.
    """
    backend_class = load_backend_class(info)
    try:
        backend = backend_class()
    except (Exception, SystemExit) as error:
        raise _explain(info, error, f"{backend_class.__name__}()") from error
    if backend.hardware_type == Backend.hardware_type:
        backend.hardware_type = info.hardware_type
    return backend


def load_backend_class(info: BackendInfo) -> type[Backend]:
    """Import a backend's entry file and return its class.

    Parameters
    ----------
    info : BackendInfo
        From `find_backend`.

    Returns
    -------
    type of Backend
        ``Backend<HW>``, or the only subclass of `Backend` in the entry file.

    Raises
    ------
    BackendUnavailableError
        Something it imports is not installed.
    BackendError
        The file is broken, or holds no such class, or several.

    Notes
    -----
    A folder outside the package is mounted under a module name of its own, so that
    its relative imports work and two vendors' files never meet. It also goes to the
    *end* of ``sys.path``: packages that a vendor keeps beside the entry file can be
    imported by name, and none of them hides an installed one.
    """
    try:
        module = importlib.import_module(_module_name(info))
        if info.entry_point is not None and ":" in info.entry_point:
            return _named_class(module, info)
    except (Exception, SystemExit) as error:
        if isinstance(error, BackendError):
            raise
        raise _explain(info, error, f"import of {info.entry_file.name}") from error
    return _only_class(module, info)


def _module_name(info: BackendInfo) -> str:
    """Return the name to import the entry file under, mounting its folder first."""
    if info.entry_point is not None:
        return info.entry_point.partition(":")[0]
    if info.origin == "package":
        return f"{__package__}.{info.folder.name}.{info.entry_file.stem}"
    if str(info.folder) not in sys.path:
        sys.path.append(str(info.folder))
    return f"{_mount(info.folder)}.{info.entry_file.stem}"


def _mount(folder: Path) -> str:
    """Make a folder a package, under a name that follows from its path."""
    digest = hashlib.sha256(str(folder).encode()).hexdigest()[:12]
    label = re.sub(r"\W", "_", folder.name)
    name = f"bytemlperf_backend_{label}_{digest}"
    if name in sys.modules:
        return name
    init = folder / "__init__.py"
    if init.is_file():
        spec = importlib.util.spec_from_file_location(
            name, init, submodule_search_locations=[str(folder)]
        )
        assert spec is not None  # a .py file always has a loader
    else:
        spec = ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = [str(folder)]
    package = importlib.util.module_from_spec(spec)
    sys.modules[name] = package
    if spec.loader is not None:
        try:
            spec.loader.exec_module(package)
        except BaseException:
            del sys.modules[name]
            raise
    return name


def _named_class(module: ModuleType, info: BackendInfo) -> type[Backend]:
    """Return the class that an entry point names."""
    assert info.entry_point is not None
    found: object = module
    for part in info.entry_point.partition(":")[2].split("[")[0].strip().split("."):
        found = getattr(found, part)
    if not (isinstance(found, type) and issubclass(found, Backend)):
        raise BackendError(
            f"entry point {info.hardware_type} = {info.entry_point!r} names {found!r}, "
            "expected a subclass of bytemlperf.backends.Backend"
        )
    return found


def _only_class(module: ModuleType, info: BackendInfo) -> type[Backend]:
    """Return ``Backend<HW>``, or the one subclass of `Backend` of a module."""
    wanted = f"Backend{info.hardware_type}"
    classes = {
        name: value for name, value in vars(module).items() if isinstance(value, type)
    }
    named = [value for name, value in classes.items() if _same(name, wanted)]
    for value in named:
        if issubclass(value, Backend) and value is not Backend:
            return value
    if named:
        raise BackendError(
            f"{info.entry_file}: class {named[0].__name__} is no subclass of Backend",
            hint="from bytemlperf.backends import Backend",
        )
    subclasses = {
        value
        for value in classes.values()
        if issubclass(value, Backend) and value.__module__ == module.__name__
    }
    if len(subclasses) == 1:
        return subclasses.pop()
    names = ", ".join(sorted(value.__name__ for value in subclasses)) or "none"
    raise BackendError(
        f"{info.entry_file}: expected class {wanted}, or one subclass of Backend; "
        f"subclasses found: {names}",
        hint=f"class {wanted}(Backend): ...",
    )


def _same(name: str, wanted: str) -> bool:
    return name.casefold() == wanted.casefold()


def _explain(info: BackendInfo, error: BaseException, doing: str) -> BackendError:
    """Turn an exception of vendor code into ours, naming file, line and cause."""
    cause = f"{type(error).__name__}: {error}"
    where = _where(info, error)
    if isinstance(error, ImportError):
        missing = f" ({error.name} is missing)" if error.name else ""
        hint = (
            f"list it in {info.folder / 'requirements.txt'}"
            if info.entry_point is None
            else "reinstall the distribution that brings this backend"
        )
        return BackendUnavailableError(
            f"backend {info.hardware_type}: {doing} failed{missing}",
            detail=f"{where}: {cause}",
            hint=hint,
        )
    return BackendError(
        f"backend {info.hardware_type}: {doing} failed", detail=f"{where}: {cause}"
    )


def _where(info: BackendInfo, error: BaseException) -> str:
    """Return ``file:line`` of the vendor's line that led to an error."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [
        frame for frame in frames if Path(frame.filename).is_relative_to(info.folder)
    ]
    if not theirs:
        return str(info.entry_file)
    return f"{theirs[-1].filename}:{theirs[-1].lineno}"
