"""Where model files are, by name.

Input: a name or a path. Output: a checked `ModelInfo`.
"""

from __future__ import annotations

from pathlib import Path

from bytemlperf.errors import ConfigError, UnknownNameError
from bytemlperf.model_zoo.schema import ModelInfo, parse_model_info

__all__ = ["list_models", "load_model_info"]

FOLDER = Path(__file__).parent


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
        A name of `list_models`, or the path of a ``.json`` file.
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
    if text.endswith(".json") or "/" in text:
        path = Path(text)
    elif text in (names := list_models(folder)):
        path = folder / f"{text}.json"
    else:
        raise UnknownNameError("model", text, names)
    try:
        body = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read model {path}: {error.strerror}") from error
    return parse_model_info(body, str(path))
