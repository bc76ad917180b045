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
    arguments : tuple of str
        Added to the command line.
    workload : dict
        How load arrives, if not as a closed loop.
    says : str
        Must be in what the failures or warnings of the result say.
    is_begun : bool
        Whether the task has results; else only the index speaks of it.
    needs_network : bool
        Whether an environment is made, from the package index.
    """

    name: str
    exit_codes: tuple[int, ...]
    points: tuple[int, ...]
    statuses: tuple[str, ...]
    backend: dict[str, str] = field(default_factory=dict)
    act: Callable[[Command], None] | None = None
    resumes: bool = False
    arguments: tuple[str, ...] = ()
    workload: dict[str, object] = field(default_factory=dict)
    says: str = ""
    is_begun: bool = True
    needs_network: bool = False


FAILED = ((3,), OTHERS, ("failed",))
FINE = (OK, ALL, ("ok", "invalid"))
# Longer than a start on a busy machine, shorter than the patience of a test.
SILENCE = ("--silence_seconds", "15")


def _worker_faults() -> list[Fault]:
    faults = [
        Fault(f"{what} in predict", *FAILED, backend={"predict:8": what})
        for what in ("segfault", "kill", "exit=0", "exit=5", "raise", "memory")
    ]
    faults += [
        Fault(f"{what} in load", *FAILED, backend={"load:8": what})
        for what in ("segfault", "kill", "raise")
    ]
    faults += [
        Fault(f"{what} in compile", (3,), (), ("failed",), backend={"compile": what})
        for what in ("segfault", "kill", "raise", "exit=0")
    ]
    faults += [
        Fault(
            f"{what} in numeric",
            (3,),
            ALL,
            ("failed",),
            backend={"model": "yes", "predict:4": what, "once": "predict:4"},
        )
        for what in ("segfault", "raise")
    ]
    faults += [
        Fault(
            f"{what} in vendor_benchmark", (3,), ALL, ("failed",), {"benchmark": what}
        )
        for what in ("segfault", "raise")
    ]
    faults += [
        Fault(
            "the kernel's out-of-memory killer strikes in predict",
            *FAILED,
            {"predict:8": "eat"},
            Command.limit_memory,
            says="out-of-memory killer struck",
        ),
        Fault(
            "predict says what is not Unicode",
            *FAILED,
            {"predict:8": "unsayable"},
            says="cannot read /dev/",
        ),
        Fault(
            "compile says what is not Unicode",
            (3,),
            (),
            ("failed",),
            {"compile": "unsayable"},
            says="cannot read /dev/",
        ),
        Fault(
            "figures of the vendor that cannot be written",
            (3,),
            ALL,
            ("failed",),
            {"benchmark": "figures"},
            says="VendorBenchmark cannot be put on record",
        ),
        Fault("one query in ten raises", *FAILED, {"predict:8": "sometimes=0.1"}),
        Fault("slow predict", *FINE, {"predict:8": "slow=0.05"}),
        Fault("load leaves a child", *FINE, {"load:8": "child"}),
        Fault("predict forks", *FINE, {"predict:8": "fork"}, says="process(es) behind"),
        Fault("predict prints binary noise", *FINE, {"predict:8": "noise=100"}),
    ]
    return faults


def _hangs() -> list[Fault]:
    return [
        Fault("hang in compile", (3,), (), ("failed",), {"compile": "hang"},
              arguments=SILENCE, says="hung"),
        Fault("hang in load", *FAILED, {"load:8": "hang"},
              arguments=SILENCE, says="hung"),
        Fault("hang in predict", *FAILED, {"predict:8": "hang"},
              arguments=SILENCE, says="hung"),
        Fault("one of two predict threads is stuck", *FAILED,
              {"predict:8": "hang", "once": "predict:8", "threads": "2"},
              arguments=SILENCE, says="hung"),
        Fault("hang in vendor_benchmark", (3,), ALL, ("failed",), {"benchmark": "hang"},
              arguments=SILENCE, says="hung"),
    ]  # fmt: skip


def _parts() -> list[Fault]:
    two = ("--processes", "2")
    faults = [
        Fault(f"{what} in one of two processes", *FAILED,
              {"predict:8": what, "once": "predict:8"}, arguments=two)
        for what in ("segfault", "kill", "raise")
    ]  # fmt: skip
    return [
        *faults,
        Fault("hang in one of two processes", *FAILED,
              {"predict:8": "hang", "once": "predict:8"},
              arguments=(*two, *SILENCE), says="hung"),
        Fault("SIGKILL of the command with two processes", (-9,), (4,),
              ("interrupted",), {"predict:8": "hang"},
              _sending("SIGKILL", "perf, batch 8"), resumes=True, arguments=two),
    ]  # fmt: skip


def _open_loops() -> list[Fault]:
    load = {"scenario": "server", "rate": 100, "point_seconds": 0.5}
    faults = [
        Fault(f"{what} in predict of an open loop", *FAILED, {"predict:8": what},
              workload=load)
        for what in ("segfault", "raise")
    ]  # fmt: skip
    return [
        *faults,
        Fault("hang in predict of an open loop", *FAILED, {"predict:8": "hang"},
              arguments=SILENCE, workload=load, says="hung"),
        *(
            Fault(f"{name} in an open loop", (code,), (4,), ("interrupted",),
                  {"predict:8": "hang"}, _sending(name, "perf, batch 8"),
                  resumes=True, workload=load)
            for name, code in (("SIGINT", 130), ("SIGKILL", -9))
        ),
    ]  # fmt: skip


def _sending(name: str, place: str) -> Callable[[Command], None]:
    return lambda command: command.signal_at(place, name)


# Where a signal comes, what makes the run stay there, and what is measured by then.
PLACES: tuple[tuple[str, dict[str, str], tuple[int, ...]], ...] = (
    ("environment", {}, ()),
    ("describe", {}, ()),
    ("prepare", {}, ()),
    ("import", {}, ()),
    ("compile", {"compile": "hang"}, ()),
    ("load, batch 8", {"load:8": "hang"}, (4,)),
    ("numeric", {"model": "yes", "predict:4": "hang"}, ()),
    ("perf, batch 8", {"predict:8": "hang"}, (4,)),
    ("vendor_benchmark", {"benchmark": "hang"}, ALL),
)
NOT_BEGUN = ("environment", "describe")


def _signal_faults() -> list[Fault]:
    faults = [
        Fault(
            f"{name} in {place}",
            (130,),
            points,
            ("interrupted",),
            backend,
            _sending(name, place),
            resumes=True,
            is_begun=place not in NOT_BEGUN,
        )
        for place, backend, points in PLACES
        for name in ("SIGINT", "SIGTERM", "SIGHUP")
    ]
    faults += [
        Fault(
            f"SIGKILL of the command in {place}",
            (-9,),
            points,
            ("interrupted",),
            backend,
            _sending("SIGKILL", place),
            resumes=True,
            is_begun=place not in NOT_BEGUN,
        )
        for place, backend, points in PLACES
    ]
    return [
        *faults,
        Fault(
            "SIGSEGV of the command in perf, batch 8",
            (-11,),
            (4,),
            ("interrupted",),
            {"predict:8": "hang"},
            _sending("SIGSEGV", "perf, batch 8"),
            resumes=True,
        ),
        Fault(
            "SIGINT three times in a row",
            # A shell calls both 130; the third may come when all is on disk.
            (130, -2),
            (4,),
            ("interrupted",),
            {"predict:8": "hang"},
            lambda command: command.insist_at("perf, batch 8"),
            resumes=True,
        ),
        Fault(
            "SIGKILL of the worker in perf, batch 8",
            *FAILED,
            {"predict:8": "hang"},
            lambda command: command.kill_worker_at("perf, batch 8"),
        ),
        Fault(
            "worker stopped for a second, then continued",
            *FINE,
            {"predict:8": "slow=0.1"},
            lambda command: command.freeze_worker_at("perf, batch 8"),
        ),
    ]


def _surroundings() -> list[Fault]:
    hang = {"predict:8": "hang"}
    return [
        Fault(
            "another command on the same folder",
            *FINE,
            {"predict:8": "slow=0.05"},
            lambda command: command.start_another_at("perf, batch 8"),
        ),
        Fault(
            "another command on the same empty cache",
            *FINE,
            {},
            lambda command: command.start_sibling_at("environment"),
        ),
        Fault(
            "the clock steps an hour, back and forth",
            *FINE,
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
            "the cache's disk is full",
            (3,),
            (),
            ("failed",),
            {},
            Command.with_full_cache,
            says="No space left",
        ),
        Fault(
            "the disk becomes read-only",
            (3,),
            (4,),
            ("interrupted",),
            {},
            lambda command: command.read_only_at("perf, batch 8"),
            resumes=True,
        ),
        Fault(
            "the journal's tail is cut and garbled",
            (-9,),
            (4,),
            ("interrupted",),
            hang,
            lambda command: command.garble_journal_at("perf, batch 8"),
            resumes=True,
            says="torn or damaged",
        ),
        Fault(
            "SIGKILL while an environment is made",
            (-9,),
            (),
            ("interrupted",),
            {},
            lambda command: command.kill_environment_at("installing"),
            resumes=True,
            is_begun=False,
            needs_network=True,
        ),
        Fault(
            "SIGTERM while an environment is made",
            (130,),
            (),
            ("interrupted",),
            {},
            lambda command: command.kill_environment_at("installing", "SIGTERM"),
            resumes=True,
            is_begun=False,
            needs_network=True,
        ),
    ]


FAULTS: tuple[Fault, ...] = (
    *_worker_faults(),
    *_hangs(),
    *_parts(),
    *_open_loops(),
    *_signal_faults(),
    *_surroundings(),
)
