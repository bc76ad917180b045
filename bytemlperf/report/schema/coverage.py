"""How much of a model was compiled, and into what."""

from __future__ import annotations

import msgspec

__all__ = ["ArtefactReport", "CoverageReport", "SegmentReport"]


class CoverageReport(msgspec.Struct, frozen=True):
    """Operators by who runs them, as the framework found out.

    Parameters
    ----------
    basis : str
        ``"op_placement"``: the compiler says of each operator where it runs.
        ``"fallback_segments"``: operators were counted in the model and in the segments
        that fell back.
    percent : float
        Compiled operators of all, 0 to 100.
    op_count, compiled_op_count : int
        Operators of the graph that was counted, and those compiled.
    fallback_ops : dict of str to int
        Operators that fell back, by type.
    executors : dict of str to int
        Operators by who runs them.
    """

    basis: str
    percent: float
    op_count: int
    compiled_op_count: int
    fallback_ops: dict[str, int]
    executors: dict[str, int]


class ArtefactReport(msgspec.Struct, frozen=True):
    """One compiled product.

    Parameters
    ----------
    batch_size : int
        It was compiled for.
    name : str
        File, or what the backend calls it.
    bytes : int or None
        On disk, with what lies beside it under the same stem; None if it is no file.
    """

    batch_size: int
    name: str
    bytes: int | None


class SegmentReport(msgspec.Struct, frozen=True):
    """One subgraph.

    Parameters
    ----------
    sg_idx : int
        Order of execution, from 0.
    is_fallback : bool
        Whether it runs on the CPU in its source format.
    inputs, outputs : dict of str to list of int
        Shape by tensor name; -1: the batch, or dynamic.
    artefacts : list of ArtefactReport
        One for every compiled batch size.
    """

    sg_idx: int
    is_fallback: bool
    inputs: dict[str, list[int]]
    outputs: dict[str, list[int]]
    artefacts: list[ArtefactReport]
