"""Every error the package raises, sorted by whose fault it is.

::

    BytemlperfError
    |-- ConfigError (ValueError)     the request is wrong; nothing ran      exit 2
    |   `-- UnknownNameError         names the nearest match and what exists
    |-- BackendError                 the system under test failed           exit 3
    |   |-- BackendUnavailableError  known, but its packages are missing
    |   |-- CompileError             compile failed or returned nonsense
    |   |-- LoadError                load failed
    |   `-- PredictError             predict raised, or answered wrongly
    |-- PrepareError                 a model or dataset cannot be had       exit 3
    |-- WorkerError                  a worker process died, hung or lied    exit 3
    |-- StorageError (OSError)       a result cannot be written             exit 3
    |-- ResourceError                a queue or pool was misused or overrun
    |   |-- QueueFullError
    |   |-- QueueClosedError
    |   `-- PoolExhaustedError
    |-- InvalidRunError              it ran, but is not a measurement       exit 4
    `-- InternalError                our own bug                            exit 70

Input: nothing. Output: classes. This module imports nothing of the project.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar

import msgspec

__all__ = [
    "MALFORMED",
    "BackendError",
    "BackendUnavailableError",
    "BytemlperfError",
    "CompileError",
    "ConfigError",
    "InternalError",
    "InvalidRunError",
    "LoadError",
    "PoolExhaustedError",
    "PredictError",
    "PrepareError",
    "QueueClosedError",
    "QueueFullError",
    "ResourceError",
    "StorageError",
    "UnknownNameError",
    "WorkerError",
]


# What reading somebody else's JSON may raise: not JSON or of another form, not UTF-8,
# or nested deeper than the interpreter's stack.
MALFORMED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

# Below it a guess at what was meant is noise.
MIN_LIKENESS = 0.5


class BytemlperfError(Exception):
    """Root of all errors of this package.

    Parameters
    ----------
    message : str
        What was expected, what came, and where.
    detail : str, optional
        More of the cause, on a line of its own (a log tail, a path).
    hint : str, optional
        What to do about it, on a line of its own.
    """

    exit_code: ClassVar[int] = 3

    def __init__(
        self, message: str, *, detail: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail
        self.hint = hint

    def __str__(self) -> str:
        lines = [self.message]
        if self.detail:
            lines.append(f"detail: {self.detail}")
        if self.hint:
            lines.append(f"hint: {self.hint}")
        return "\n".join(lines)


class ConfigError(BytemlperfError, ValueError):
    """The request is wrong; nothing ran."""

    exit_code = 2


class UnknownNameError(ConfigError):
    """A name that does not exist was asked for.

    Parameters
    ----------
    kind : str
        What kind of thing was named, such as ``"task"``.
    name : str
        The name that came.
    known : Iterable of str
        The names that exist.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        self.kind = kind
        self.name = name
        self.known = sorted(known)
        self.nearest = _nearest(name, self.known)
        hint = f"did you mean {self.nearest!r}? " if self.nearest else ""
        super().__init__(
            f"unknown {kind} {name!r}",
            hint=f"{hint}{kind}s that exist: {', '.join(self.known) or 'none'}",
        )


def _nearest(name: str, known: list[str]) -> str | None:
    """Return the most similar known name; what is typed may be only its beginning."""
    typed = name.casefold()

    def likeness(known_name: str) -> tuple[float, float]:
        folded = known_name.casefold()
        whole = difflib.SequenceMatcher(None, typed, folded).ratio()
        start = difflib.SequenceMatcher(None, typed, folded[: len(typed)]).ratio()
        return max(whole, start), whole

    nearest = max(known, key=likeness, default=None)
    return nearest if nearest and likeness(nearest)[0] >= MIN_LIKENESS else None


class BackendError(BytemlperfError):
    """The system under test failed."""


class BackendUnavailableError(BackendError):
    """The backend is known, but what it needs is not installed."""


class CompileError(BackendError):
    """``Backend.compile`` failed, or its result breaks the contract."""


class LoadError(BackendError):
    """``Backend.load`` failed."""


class PredictError(BackendError):
    """``Backend.predict`` raised, or answered with something wrong."""


class PrepareError(BytemlperfError):
    """A model or a dataset cannot be had: not built, not found or not intact."""


class WorkerError(BytemlperfError):
    """A worker process died, hung, or broke the message protocol."""


class StorageError(BytemlperfError, OSError):
    """A result, journal or cache entry cannot be written or read."""


class ResourceError(BytemlperfError):
    """A queue or a pool was misused or overrun."""


class QueueFullError(ResourceError):
    """``put_nowait`` found the queue full."""


class QueueClosedError(ResourceError):
    """The queue is closed, and drained if it was being read."""


class PoolExhaustedError(ResourceError):
    """``acquire_nowait`` found no free slot."""


class InvalidRunError(BytemlperfError):
    """It ran to the end, but it is not a valid measurement."""

    exit_code = 4


class InternalError(BytemlperfError):
    """An invariant of this package is broken: please report it."""

    exit_code = 70
