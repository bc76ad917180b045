"""Beginning at the same moment as other machines: a warm point asks when.

Input: a local socket, where whoever coordinates the machines listens. Output: a moment
of this machine's monotonic clock.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from functools import partial

from bytemlperf.errors import WorkerError
from bytemlperf.runtime.clock import now_ns

__all__ = ["ask_start", "start_gate"]

MAX_ANSWER_BYTES = 64


def ask_start(path: str, batch_size: int) -> int:
    """Say that a point is warm, and wait to be told when it begins.

    Parameters
    ----------
    path : str
        The socket.
    batch_size : int
        Of the point.

    Returns
    -------
    int
        Nanoseconds of the monotonic clock.

    Raises
    ------
    WorkerError
        Nobody listens, or the answer is not a moment.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
            channel.connect(path)
            channel.sendall(f"{batch_size}\n".encode())
            answer = channel.makefile("rb").readline(MAX_ANSWER_BYTES)
        return int(answer)
    except (OSError, ValueError) as error:
        raise WorkerError(
            f"expected the common start of batch size {batch_size} from {path}: {error}"
        ) from error


def start_gate(path: str | None, batch_size: int) -> Callable[[], object] | None:
    """Return what a run calls between its warm-up and its measured part.

    Parameters
    ----------
    path : str or None
        The socket; None: the point begins when it is warm.
    batch_size : int
        Of the point.

    Returns
    -------
    callable or None
        Returns at the common start; raises what `ask_start` raises.
    """
    return None if path is None else partial(_wait_for_start, path, batch_size)


def _wait_for_start(path: str, batch_size: int) -> None:
    start_ns = ask_start(path, batch_size)
    threading.Event().wait(max(0, start_ns - now_ns()) / 1e9)
