"""What can go wrong, and what must be left of the run afterwards.

Each fault is one real command with something done to it. Three batch sizes are asked
for, 4, 8 and 2; faults of a point hit 8, the one in the middle.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from reliability.command import Command

ALL = (4, 8, 2)
OTHERS = (4, 2)
OK = (0, 4)


@dataclass(frozen=True)
class Fault:
    """One way for a run to go wrong.

    Parameters
    ----------
    name : str
        What is done.
    exit_codes : tuple of int
        The truthful ones; -9 is a command that was killed.
    points : tuple of int
        Batch sizes that must have been measured, whole.
    backend : dict
        The backend's ``faults.json``.
    act : callable or None
        What is done to the command while it runs.
    resumes : bool
        Whether ``--resume`` must then come to a complete end.
    statuses : tuple of str
        Of the task, afterwards.
    takes_minutes : bool
        Whether it has to wait for a deadline.
    """

    name: str
    exit_codes: tuple[int, ...]
    points: tuple[int, ...]
    statuses: tuple[str, ...]
    backend: dict[str, str] = field(default_factory=dict)
    act: Callable[[Command], None] | None = None
    resumes: bool = False
    takes_minutes: bool = False


def _worker_faults() -> list[Fault]:
    failed = ((3,), OTHERS, ("failed",))
    fine = (OK, ALL, ("ok", "invalid"))
    faults = [
        Fault(f"{what} in predict", *failed, backend={"predict:8": what})
        for what in ("segfault", "kill", "exit=0", "exit=5", "raise", "memory")
    ]
    faults += [
        Fault(f"{what} in load", *failed, backend={"load:8": what})
        for what in ("segfault", "kill", "raise")
    ]
    faults += [
        Fault(f"{what} in compile", (3,), (), ("failed",), backend={"compile": what})
        for what in ("segfault", "kill", "raise", "exit=0")
    ]
    faults += [
        Fault(
            "one query in ten raises",
            (3,),
            OTHERS,
            ("failed",),
            backend={"predict:8": "sometimes=0.1"},
        ),
        Fault(
            "predict hangs until its deadline",
            *failed,
            backend={"predict:8": "hang"},
            takes_minutes=True,
        ),
        Fault("slow predict", *fine, {"predict:8": "slow=0.05"}),
        Fault("load leaves a child", *fine, {"load:8": "child"}),
        Fault("predict prints binary noise", *fine, {"predict:8": "noise=100"}),
    ]
    return faults


def _sending(name: str, place: str) -> Callable[[Command], None]:
    return lambda command: command.signal_at(place, name)


def _signal_faults() -> list[Fault]:
    faults = []
    for place, points in (
        ("prepare", ()),
        ("compile", ()),
        ("load, batch 8", (4,)),
        ("perf, batch 8", (4,)),
    ):
        backend = {
            "compile": {"compile": "hang"},
            "load, batch 8": {"load:8": "hang"},
            "perf, batch 8": {"predict:8": "hang"},
        }.get(place, {})
        faults += [
            Fault(
                f"{name} in {place}",
                (130,),
                points,
                ("interrupted",),
                backend,
                _sending(name, place),
                resumes=True,
            )
            for name in ("SIGINT", "SIGTERM", "SIGHUP")
        ]
        faults.append(
            Fault(
                f"SIGKILL of the command in {place}",
                (-9,),
                points,
                ("interrupted",),
                backend,
                _sending("SIGKILL", place),
                resumes=True,
            )
        )
    faults.append(
        Fault(
            "SIGKILL of the worker in perf, batch 8",
            (3,),
            OTHERS,
            ("failed",),
            {"predict:8": "hang"},
            lambda command: command.kill_worker_at("perf, batch 8"),
        )
    )
    faults.append(
        Fault(
            "worker stopped for a second, then continued",
            OK,
            ALL,
            ("ok", "invalid"),
            {"predict:8": "slow=0.1"},
            lambda command: command.freeze_worker_at("perf, batch 8"),
        )
    )
    return faults


def _surroundings() -> list[Fault]:
    return [
        Fault(
            "another command on the same folder",
            OK,
            ALL,
            ("ok", "invalid"),
            {"predict:8": "slow=0.1"},
            lambda command: command.start_another_at("perf, batch 8"),
        ),
        Fault(
            "the clock steps an hour, back and forth",
            OK,
            ALL,
            ("ok", "invalid"),
            {},
            Command.with_stepping_clock,
        ),
        Fault(
            "the disk fills up",
            (3,),
            (4,),
            ("interrupted",),
            {},
            lambda command: command.fill_disk_at("perf, batch 8"),
            resumes=True,
        ),
        Fault(
            "the journal's tail is cut and garbled",
            (-9,),
            (4,),
            ("interrupted",),
            {"predict:8": "hang"},
            lambda command: command.garble_journal_at("perf, batch 8"),
            resumes=True,
        ),
    ]


FAULTS: tuple[Fault, ...] = (*_worker_faults(), *_signal_faults(), *_surroundings())
