"""Which processors each kind of thread may use, and holding threads to them.

Input: words such as ``loop=0,predict=1-3``. Output: an `Affinity`; and while a run
lasts, threads that are where it says. What they used is read by `thread_use`.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import msgspec

from bytemlperf.errors import ConfigError

__all__ = [
    "ROLES",
    "Affinity",
    "ThreadPlaces",
    "allowed_cpus",
    "check_affinity",
    "cpu_list_text",
    "hold_this_thread",
    "native_threads",
    "parse_affinity",
    "parse_cpu_list",
]

ROLES = ("loop", "pacer", "predict", "intra_op")
TASKS = Path("/proc/self/task")
_EXAMPLE = "for example --affinity loop=0,predict=1,intra_op=1-3"


class Affinity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Processors of each kind of thread; an empty one leaves them where they are.

    Parameters
    ----------
    loop : tuple of int
        Of the event loop, and of native clients that have a thread of their own.
    pacer : tuple of int
        Of the thread that issues an open loop's queries; empty: as `loop`.
    predict : tuple of int
        Of the threads that call predict.
    intra_op : tuple of int
        Of all threads of the process that Python did not make: those that frameworks
        work with inside an operator; empty: as `predict`. A framework that has the
        caller take part in the work does so in the predict thread, on its processors.
    """

    loop: tuple[int, ...] = ()
    pacer: tuple[int, ...] = ()
    predict: tuple[int, ...] = ()
    intra_op: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.loop or self.pacer or self.predict or self.intra_op)

    def cpus_of(self, role: str) -> tuple[int, ...]:
        """Return where threads of a role are held; empty: anywhere.

        Parameters
        ----------
        role : str
            One of `ROLES`; others are held nowhere.

        Returns
        -------
        tuple of int
            Its own, or those of the role that it goes with.
        """
        if role == "pacer":
            return self.pacer or self.loop
        if role == "intra_op":
            return self.intra_op or self.predict
        return {"loop": self.loop, "predict": self.predict}.get(role, ())

    def __str__(self) -> str:
        return ",".join(
            f"{role}={cpu_list_text(cpus)}"
            for role in ROLES
            if (cpus := getattr(self, role))
        )


def parse_cpu_list(text: str) -> list[int]:
    """Read the kernel's way of writing a set of processors.

    Parameters
    ----------
    text : str
        Such as ``"0-3,8"``; empty for none.

    Returns
    -------
    list of int
        In the order written.

    Raises
    ------
    ConfigError
        It is not such a list.
    """
    numbers: list[int] = []
    for piece in text.strip().split(","):
        if not piece:
            continue
        first, dash, last = piece.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise ConfigError(
                f"{piece!r} is no processor: expected numbers and ranges",
                hint="for example 0-3,8",
            )
        if int(last or first) < int(first) or int(last or first) > 65_535:
            raise ConfigError(f"{piece!r} is no range of processors")
        numbers += range(int(first), int(last or first) + 1)
    return numbers


def cpu_list_text(cpus: Iterable[int]) -> str:
    """Write a set of processors the kernel's way.

    Parameters
    ----------
    cpus : iterable of int
        In any order.

    Returns
    -------
    str
        Such as ``"0-3,8"``.
    """
    runs: list[list[int]] = []
    for cpu in sorted(set(cpus)):
        if runs and cpu == runs[-1][1] + 1:
            runs[-1][1] = cpu
        else:
            runs.append([cpu, cpu])
    return ",".join(f"{a}" if a == b else f"{a}-{b}" for a, b in runs)


def parse_affinity(text: str | None) -> Affinity:
    """Read which processors each kind of thread may use.

    Parameters
    ----------
    text : str or None
        ``role=processors``, several divided by commas, such as
        ``"loop=0,predict=1-3,5"``; None or empty: nothing is asked.

    Returns
    -------
    Affinity
        As asked; nobody has looked whether this machine has them.

    Raises
    ------
    ConfigError
        A role does not exist or is given twice, or has no processors.
    """
    asked: dict[str, list[int]] = {}
    role = ""
    for piece in (text or "").split(","):
        name, sign, cpus = piece.partition("=")
        if sign:
            role = name.strip().replace("-", "_")
            if role not in ROLES or role in asked:
                raise ConfigError(
                    f"affinity {text!r}: {role!r} is given twice"
                    if role in asked
                    else f"affinity {text!r}: there is no role {role!r}, only "
                    f"{', '.join(ROLES)}",
                    hint=_EXAMPLE,
                )
            asked[role] = []
        else:
            cpus = name
        if not cpus.strip():
            if not text:
                break
            raise ConfigError(
                f"affinity {text!r}: expected processors after {role or 'a role'}=",
                hint=_EXAMPLE,
            )
        if not role:
            raise ConfigError(
                f"affinity {text!r}: expected a role and its processors",
                hint=_EXAMPLE,
            )
        try:
            asked[role] += parse_cpu_list(cpus)
        except ConfigError as error:
            raise ConfigError(
                f"affinity {text!r}: {error.message}", hint=_EXAMPLE
            ) from error
    return Affinity(**{name: tuple(sorted(set(cpus))) for name, cpus in asked.items()})


def allowed_cpus() -> tuple[int, ...]:
    """Return the processors that the calling thread may use, ascending."""
    return tuple(sorted(os.sched_getaffinity(0)))


def check_affinity(affinity: Affinity, allowed: Collection[int]) -> None:
    """Refuse processors that this process may not use.

    Parameters
    ----------
    affinity : Affinity
        As asked.
    allowed : collection of int
        What `allowed_cpus` said before anything was held.

    Raises
    ------
    ConfigError
        Naming the role, the processors and those that are allowed.
    """
    for role in ROLES:
        missing = set(getattr(affinity, role)) - set(allowed)
        if missing:
            raise ConfigError(
                f"affinity {role}={cpu_list_text(getattr(affinity, role))}: this "
                f"process may not use {cpu_list_text(missing)}",
                hint=f"allowed are {cpu_list_text(allowed)}",
            )


@contextlib.contextmanager
def hold_this_thread(cpus: Collection[int]) -> Iterator[None]:
    """Hold the calling thread to processors while the block runs.

    Parameters
    ----------
    cpus : collection of int
        Empty: it stays as it is. Threads that it makes meanwhile inherit them.

    Yields
    ------
    None
        Held.
    """
    before = os.sched_getaffinity(0)
    if cpus:
        os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        if cpus:
            os.sched_setaffinity(0, before)


def native_threads() -> set[int]:
    """Return the kernel's numbers of this process's threads that Python did not make.

    Returns
    -------
    set of int
        Empty where there is no /proc.
    """
    known = {thread.native_id for thread in threading.enumerate()}
    try:
        return {int(task) for task in os.listdir(TASKS)} - known
    except OSError:
        return set()


class ThreadPlaces:
    """Holds the calling thread, and threads that Python did not make, for a while.

    Parameters
    ----------
    affinity : Affinity
        Where to.
    role : str, default "loop"
        Of the calling thread.

    Notes
    -----
    A context manager of one thread. Threads that we make ourselves hold themselves.
    At its end all threads are back where they were.
    """

    def __init__(self, affinity: Affinity, role: str = "loop") -> None:
        self._affinity = affinity
        self._role = role
        self._before: dict[int, set[int]] = {}

    def __enter__(self) -> ThreadPlaces:
        self._move(threading.get_native_id(), self._affinity.cpus_of(self._role))
        return self

    def move_native(self) -> None:
        """Hold the threads that frameworks have made by now."""
        cpus = self._affinity.cpus_of("intra_op")
        for number in native_threads() if cpus else ():
            self._move(number, cpus)

    def _move(self, number: int, cpus: tuple[int, ...]) -> None:
        if not cpus:
            return
        # A thread may end at any moment.
        with contextlib.suppress(ProcessLookupError):
            before = os.sched_getaffinity(number)
            os.sched_setaffinity(number, cpus)
            self._before.setdefault(number, before)

    def __exit__(self, *_: object) -> None:
        for number, cpus in self._before.items():
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(number, cpus)
