"""Which declared tensor is which tensor of the graph.

Input: names from the model's description and names from the loaded graph. Output:
pairs, fixed once at compile time. Order never decides where names can.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy.typing as npt

from bytemlperf.errors import CompileError, PredictError

__all__ = ["bind", "feed", "plain_name"]


def plain_name(name: str) -> str:
    """Return a tensor's name without TensorFlow's output number (``:0``)."""
    stem, colon, number = name.rpartition(":")
    return stem if colon and number.isdigit() else name


def bind(
    declared: Sequence[str], actual: Sequence[str], what: str, *, may_lack: bool = False
) -> dict[str, str]:
    """Pair the graph's names with the declared ones.

    Parameters
    ----------
    declared : sequence of str
        Names of the model's description; empty takes the graph's own.
    actual : sequence of str
        Names in the graph.
    what : str
        Named in the error, such as ``"inputs of the ONNX graph"``.
    may_lack : bool, default False
        True if the graph may lack declared names (an exporter prunes inputs that
        nothing reads); False if each must be there.

    Returns
    -------
    dict of str to str
        Declared name by actual name, in the graph's order. One tensor on each side is
        a pair whatever the names are: there is no other choice.

    Raises
    ------
    CompileError
        A name on one side has no partner on the other.
    """
    if not declared:
        return {name: name for name in actual}
    if len(declared) == 1 and len(actual) == 1:
        return {actual[0]: declared[0]}
    by_plain = {plain_name(name): name for name in declared}
    pairs = {
        name: by_plain[plain_name(name)]
        for name in actual
        if plain_name(name) in by_plain
    }
    unknown = [name for name in actual if name not in pairs]
    absent = [name for name in declared if name not in pairs.values()]
    if unknown or (absent and not may_lack):
        raise CompileError(
            f"the {what} do not match the model's description",
            detail=f"graph: {', '.join(actual)}; description: {', '.join(declared)}",
            hint="correct `inputs` and `outputs` in the model json",
        )
    return pairs


def feed(data: Mapping[str, npt.NDArray[Any]], name: str) -> npt.NDArray[Any]:
    """Return a declared input from the feeds.

    Parameters
    ----------
    data : mapping of str to ndarray
        As `predict` got it.
    name : str
        The declared name.

    Returns
    -------
    ndarray
        The feed of this name, with or without ``:0``.

    Raises
    ------
    PredictError
        It is not there.
    """
    array = data.get(name)
    if array is not None:
        return array
    for key, value in data.items():
        if plain_name(key) == plain_name(name):
            return value
    raise PredictError(
        f"input {name!r} is missing; feeds came for {', '.join(sorted(data)) or 'none'}"
    )
