"""Which kind of client asks the queries of a closed loop, and why that kind.

Values and a rule. It makes no client.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Literal, NamedTuple

from bytemlperf._native.client import Client
from bytemlperf._native.client_task import why_unavailable

__all__ = ["ClientBody", "ClientChoice", "ClientKind", "ClientPath", "choose_clients"]

ClientPath = Literal["auto", "task", "bare"]
ClientKind = Literal["task", "bare", "stock"]
ClientBody = Callable[[Client], Coroutine[Any, Any, object]]


class ClientChoice(NamedTuple):
    """What asks the queries of a run.

    Parameters
    ----------
    kind : "task", "bare" or "stock"
        A coroutine in a `ClientTask`; a coroutine without a task; a coroutine in the
        event loop's own task.
    reason : str
        Why this kind.
    """

    kind: ClientKind
    reason: str


def choose_clients(path: ClientPath, body: ClientBody | None) -> ClientChoice:
    """Choose the kind of client.

    Parameters
    ----------
    path : "auto", "task" or "bare"
        What was asked for.
    body : callable or None
        What each client does, if the caller says so.

    Returns
    -------
    ClientChoice
        With its reason.
    """
    if path == "bare":
        return ClientChoice("bare", "asked for")
    unavailable = why_unavailable()
    if unavailable is not None:
        return ClientChoice("stock", unavailable)
    if path == "task":
        return ClientChoice("task", "asked for")
    if body is not None:
        return ClientChoice("task", "the clients have a body of their own")
    return ClientChoice("task", "clients are tasks unless asked otherwise")
