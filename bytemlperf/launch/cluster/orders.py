"""What the driver and a machine of the cluster say to each other.

Input: values. Output: MessagePack bytes, so that no type of ours is pickled. Orders are
few and small; of a measurement only its journal crosses the wire, which holds counters
and encoded histograms, never a query.
"""

from __future__ import annotations

import msgspec

__all__ = [
    "GateAsked",
    "JournalGrew",
    "NodeFacts",
    "NodeNews",
    "TaskEnded",
    "TaskOrder",
]


class NodeFacts(msgspec.Struct, frozen=True, tag="node_facts"):
    """What a machine is.

    Parameters
    ----------
    host : str
        Its name.
    cores : int
        Logical cores.
    bytemlperf_version, python_version : str
        What it runs.
    """

    host: str
    cores: int
    bytemlperf_version: str
    python_version: str


class TaskOrder(msgspec.Struct, frozen=True, tag="task_order"):
    """Measure one task on one hardware type, or go on with it.

    Parameters
    ----------
    request : bytes
        ``request.json`` of a command with this one task.
    journal : bytes
        Whole records of what other machines have measured; empty: begin.
    hardware_type, task : str
        Which; they name the folder of the results.
    answers : bytes or None
        The file of answers to the backend's questions.
    has_gate : bool
        Whether each point waits for a common start.
    """

    request: bytes
    journal: bytes
    hardware_type: str
    task: str
    answers: bytes | None
    has_gate: bool


class JournalGrew(msgspec.Struct, frozen=True, tag="journal_grew"):
    """More bytes of the task's journal are on the machine's disk."""

    data: bytes


class GateAsked(msgspec.Struct, frozen=True, tag="gate_asked"):
    """A point is warm and waits for the common start."""

    batch_size: int


class TaskEnded(msgspec.Struct, frozen=True, tag="task_ended"):
    """The command on the machine has ended.

    Parameters
    ----------
    exit_code : int
        Its exit code.
    said : str
        The end of what it said.
    log : bytes
        The end of the worker's log.
    """

    exit_code: int
    said: str
    log: bytes


NodeNews = JournalGrew | GateAsked | TaskEnded
