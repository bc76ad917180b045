"""Where model files are, by name.

Input: a name or a path. Output: a checked `ModelInfo`. The parts that models are made
of have no files: they are described by one table.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from bytemlperf.errors import ConfigError, UnknownNameError
from bytemlperf.model_zoo.schema import ModelInfo, parse_model_info
from bytemlperf.model_zoo.substructure_models import (
    hash_substructures,
    list_substructure_models,
    substructure_model,
)
from bytemlperf.plug_ins import module_folder, plug_ins

__all__ = ["bundled_artefact", "hash_model_info", "list_models", "load_model_info"]

FOLDER = Path(__file__).parent
# Model files of plug-ins lie in the folder ``models`` of their workloads' package.
ENTRY_POINT_GROUP = "bytemlperf.workloads"


def list_models(folder: Path = FOLDER) -> list[str]:
    """Return the names of all models, sorted.

    Parameters
    ----------
    folder : Path
        Where the files are.

    Returns
    -------
    list of str
        File stems.
    """
    return sorted(path.stem for path in folder.glob("*.json"))


def load_model_info(name_or_path: str | Path, folder: Path = FOLDER) -> ModelInfo:
    """Read a model file.

    Parameters
    ----------
    name_or_path : str or Path
        A name of `list_models` or `list_substructure_models`, or the path of a
        ``.json`` file.
    folder : Path
        Where named models are.

    Returns
    -------
    ModelInfo
        Checked, with typed tensors.

    Raises
    ------
    UnknownNameError
        No model has this name.
    ConfigError
        The file cannot be read or is malformed.
    """
    text = str(name_or_path)
    part = substructure_model(text)
    if part is not None:
        return part
    path = _path(text, folder)
    try:
        body = path.read_bytes()
    except (OSError, ValueError) as error:
        # A null character in a path is no error of the operating system.
        why = getattr(error, "strerror", error)
        raise ConfigError(f"cannot read model {path}: {why}") from error
    return parse_model_info(body, str(path))


def hash_model_info(name_or_path: str | Path, folder: Path = FOLDER) -> str:
    """Hash what describes a model.

    Parameters
    ----------
    name_or_path : str or Path
        As for `load_model_info`, which accepted it.
    folder : Path
        Where named models are.

    Returns
    -------
    str
        sha256 of the file, or of the table that a part is described by.

    Raises
    ------
    UnknownNameError
        No model has this name.
    """
    text = str(name_or_path)
    if substructure_model(text) is not None:
        return hash_substructures()
    return hashlib.sha256(_path(text, folder).read_bytes()).hexdigest()


def _path(text: str, folder: Path) -> Path:
    """Return the file of a name, or of a path."""
    if text.endswith(".json") or "/" in text:
        return Path(text)
    files = {name: folder / f"{name}.json" for name in list_models(folder)}
    for point in plug_ins(ENTRY_POINT_GROUP):
        for path in sorted((module_folder(point) / "models").glob("*.json")):
            files.setdefault(path.stem, path)
    if text not in files:
        raise UnknownNameError("model", text, [*files, *list_substructure_models()])
    return files[text]


def bundled_artefact(name_or_path: str | Path, info: ModelInfo) -> Path | None:
    """Return the model that lies beside a model file which names no builder.

    Parameters
    ----------
    name_or_path : str or Path
        As for `load_model_info`, which returned `info`.
    info : ModelInfo
        With a `model_path` relative to its own file.

    Returns
    -------
    Path or None
        None if the model is built, or if there is nothing at that path.
    """
    if info.builder is not None or not info.model_path:
        return None
    if substructure_model(str(name_or_path)) is not None:
        return None
    path = _path(str(name_or_path), FOLDER).parent / info.model_path
    return path if path.exists() else None
