"""Tensor names, dtypes and shapes as ``configs["model_info"]`` spells them.

Input: the dictionary a backend is given. Output: typed values. Both spellings load:
names as a comma string with ``input_shape`` and ``input_type`` beside it, and a list
of tensors with name, dtype and shape each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from bytemlperf.errors import ConfigError

__all__ = ["TensorInfo", "tensor_infos"]


class TensorInfo(msgspec.Struct, frozen=True):
    """What a model's description says of one tensor.

    Parameters
    ----------
    name : str
        Under which `predict` receives or returns it.
    dtype : str or None
        A numpy dtype name, such as ``"float32"``, if known.
    shape : tuple of int or str, or None
        Of one sample: axis 0 is the rows a sample takes. A string or -1 is dynamic.
    """

    name: str
    dtype: str | None = None
    shape: tuple[int | str, ...] | None = None

    @property
    def rows_per_sample(self) -> int:
        """Rows on axis 0 for each sample of a batch; 1 if the shape does not say."""
        first = self.shape[0] if self.shape else 1
        return first if isinstance(first, int) and first > 0 else 1

    @property
    def batch_shape(self) -> list[int]:
        """Shape with -1 for the batch axis and for every dynamic one."""
        tail = (self.shape or ())[1:]
        return [-1, *(size if isinstance(size, int) else -1 for size in tail)]


def tensor_infos(
    model_info: Mapping[str, Any], side: Literal["input", "output"]
) -> tuple[TensorInfo, ...]:
    """Read the inputs or the outputs of a model's description.

    Typed tensors (``tensors``, ``output_tensors``) go before names.

    Parameters
    ----------
    model_info : mapping
        ``configs["model_info"]``.
    side : {"input", "output"}
        Which keys to read: ``tensors``, or ``inputs`` with ``input_shape`` and
        ``input_type``; likewise ``output_tensors``, or ``outputs`` and so on.

    Returns
    -------
    tuple of TensorInfo
        In the order of the description; empty if it names none.

    Raises
    ------
    ConfigError
        The field is neither a string nor a list of names or tensors.
    """
    typed = "tensors" if side == "input" else "output_tensors"
    field = typed if model_info.get(typed) else f"{side}s"
    entries = model_info.get(field)
    if entries is None:
        return ()
    if isinstance(entries, str):
        entries = [name.strip() for name in entries.split(",") if name.strip()]
    if not isinstance(entries, Sequence):
        raise ConfigError(
            f"model_info.{field}: expected a comma string or a list, "
            f"came {type(entries).__name__}"
        )
    shapes = model_info.get(f"{side}_shape") or {}
    dtypes = model_info.get(f"{side}_type") or []
    if isinstance(dtypes, str):
        dtypes = [name.strip() for name in dtypes.split(",")]
    return tuple(
        _tensor_info(
            entry,
            f"model_info.{field}[{index}]",
            shapes,
            dtypes[index] if index < len(dtypes) else None,
        )
        for index, entry in enumerate(entries)
    )


def _tensor_info(
    entry: object, where: str, shapes: Mapping[str, Sequence[int]], dtype: str | None
) -> TensorInfo:
    if isinstance(entry, msgspec.Struct):
        entry = msgspec.structs.asdict(entry)
    if isinstance(entry, Mapping):
        shape = entry.get("shape")
        return TensorInfo(
            name=str(entry["name"]),
            dtype=entry.get("dtype"),
            shape=None if shape is None else tuple(shape),
        )
    if isinstance(entry, str):
        shape = shapes.get(entry)
        return TensorInfo(
            name=entry,
            dtype=None if dtype is None else _numpy_name(dtype),
            shape=None if shape is None else tuple(shape),
        )
    raise ConfigError(f"{where}: expected a name or a tensor, came {entry!r}")


def _numpy_name(dtype: str) -> str:
    """Return numpy's name of a type in the old upper-case spelling."""
    return {"LONG": "int64", "FLOAT": "float32"}.get(dtype.upper(), dtype.lower())
