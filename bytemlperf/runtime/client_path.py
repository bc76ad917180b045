"""Which clients ask the queries of a closed loop, and where predict is called.

Values and two rules; what they choose, and why, is part of every recording.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Literal, NamedTuple

from bytemlperf._native.client import Client
from bytemlperf._native.client_task import why_unavailable
from bytemlperf.errors import ConfigError
from bytemlperf.runtime.scenario import Batching, ClosedLoop

__all__ = [
    "OPEN_LOOP_PATH",
    "ClientBody",
    "ClientKind",
    "ClientPath",
    "PathChoice",
    "PredictPath",
    "choose_path",
]

ClientPath = Literal["auto", "native", "task", "bare"]
ClientKind = Literal["native", "task", "bare", "stock"]
PredictPath = Literal["hand-over", "lane", "loop lane"]
ClientBody = Callable[[Client], Coroutine[Any, Any, object]]


class PathChoice(NamedTuple):
    """How queries of a closed loop are asked and answered.

    Parameters
    ----------
    clients : "native", "task", "bare" or "stock"
        Native code; a coroutine in a `ClientTask`; a coroutine without a task; a
        coroutine in the event loop's own kind of task.
    predict : "hand-over", "lane" or "loop lane"
        Clients hand queries over to predict threads; predict threads ask for their
        clients themselves; the event loop's thread calls predict.
    reason : str
        Why both.
    """

    clients: ClientKind
    predict: PredictPath
    reason: str


OPEN_LOOP_PATH = PathChoice(
    "task", "hand-over", "nobody waits for the answers of an open loop"
)


def choose_path(
    path: ClientPath,
    body: ClientBody | None,
    scenario: ClosedLoop,
    batching: Batching,
) -> PathChoice:
    """Choose clients and lanes.

    Parameters
    ----------
    path : "auto", "native", "task" or "bare"
        Which clients were asked for.
    body : callable or None
        What each client does, if the caller says so.
    scenario : ClosedLoop
        What they are to do, and whether lanes were asked for.
    batching : Batching
        How predict is called.

    Returns
    -------
    PathChoice
        With its reasons.

    Raises
    ------
    ConfigError
        What was asked for cannot be had together.
    """
    kind, why_kind = _choose_clients(path, body, scenario, batching)
    if kind == "native":
        predict, why = _choose_native_lanes(scenario)
    else:
        predict, why = _choose_loop_lane(scenario, batching)
    return PathChoice(kind, predict, f"{why_kind}; {why}")


def _choose_clients(
    path: ClientPath,
    body: ClientBody | None,
    scenario: ClosedLoop,
    batching: Batching,
) -> tuple[ClientKind, str]:
    is_narrow = (batching.max_queued or scenario.clients) < scenario.clients
    if path == "native":
        if body is not None:
            raise ConfigError(
                "native clients have no body of their own",
                hint='leave client_body out, or ask for "task" or "bare" clients',
            )
        if is_narrow:
            raise ConfigError(
                f"{scenario.clients} native clients do not wait for room in a queue of "
                f"{batching.max_queued}",
                hint="raise max_queued, or ask for task clients",
            )
        return "native", "native clients were asked for"
    if path == "bare":
        return "bare", "bare clients were asked for"
    if path == "auto" and body is None and not is_narrow:
        return "native", "clients that only ask and think need no Python"
    unavailable = why_unavailable()
    if unavailable is not None:
        return "stock", f"client tasks cannot be had: {unavailable}"
    if path == "task":
        return "task", "task clients were asked for"
    if body is not None:
        return "task", "the clients have a body of their own"
    return "task", "the queue has no room for all clients, and tasks can wait for it"


def _choose_native_lanes(scenario: ClosedLoop) -> tuple[PredictPath, str]:
    thinks = scenario.think_time_ns > 0
    if scenario.lanes and thinks:
        raise ConfigError(
            "clients that think must ask while predict is at work, so a predict thread "
            "cannot ask for them",
            hint="leave lanes or think_time_ns out",
        )
    if scenario.lanes is False:
        return "hand-over", "lanes were ruled out"
    if thinks:
        return "hand-over", "they think while predict is at work"
    return "lane", "without think time nothing happens while predict is at work"


def _choose_loop_lane(
    scenario: ClosedLoop, batching: Batching
) -> tuple[PredictPath, str]:
    if not scenario.lanes:
        return "hand-over", "predict on the event loop was not asked for"
    if batching.predict_threads != 1 or batching.max_delay_us:
        raise ConfigError(
            "a lane on the event loop has one thread and does not wait for company, "
            f"not {batching.predict_threads} and {batching.max_delay_us} us",
            hint="leave predict_threads and max_delay_us out, or use native clients",
        )
    return "loop lane", "predict on the event loop was asked for"
