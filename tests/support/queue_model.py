"""How takers of `BatchQueue` sleep and are woken, for all interleavings.

What happens under the mutex is one step. Marks such as Q1 stand beside the same step in
`batch_queue.pyx`. A taker that has a batch may be busy for ever: whoever sleeps must be
woken all the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

from interleavings import Found, Step, explore

READY, BLOCKED, TIMED, WOKEN, BUSY, ENDED = [
    "ready",
    "blocked",
    "timed",
    "woken",
    "busy",
    "ended",
]


class Broken(Enum):
    """What can be done wrong, to see that it matters."""

    NOTHING = "nothing"
    NEVER_BACK = "who returns from a wait is still counted as signalled"  # Q4
    NO_REST = "nobody is woken for the rows that a taker leaves"  # Q5
    FIRST_ONLY = "a full batch wakes nobody, only the first row does"  # Q2
    NO_DEADLINE = "a taker sleeps without regard to the oldest row"  # Q3
    SILENT_CLOSE = "closing wakes nobody"  # Q6


class _State(NamedTuple):
    takers: tuple[str, ...]
    puts: tuple[int, ...]  # rows of each put that is still to come
    queued: int = 0
    is_old: bool = False  # the oldest row has waited long enough
    waiting: int = 0
    signalled: int = 0
    closed: bool = False


class QueueModel:
    """Some takers, and one putter that closes the queue in the end.

    Parameters
    ----------
    takers : int
        Threads that take batches.
    puts : tuple of int
        Rows put at once, one after the other: 1 is `c_put`, more is `c_put_many`. The
        queue is closed when they have been taken.
    max_batch : int
        Rows of a batch at most.
    delays : bool
        Whether a batch waits for company.
    broken : Broken
        What is done wrong.
    """

    def __init__(
        self,
        takers: int,
        puts: tuple[int, ...],
        max_batch: int,
        *,
        delays: bool,
        broken: Broken = Broken.NOTHING,
    ) -> None:
        self._initial = _State((READY,) * takers, puts)
        self._max_batch = max_batch
        self._delays = delays
        self._broken = broken

    def explore(self) -> Found:
        """Look for a state in which a taker sleeps although there is work for it."""
        return explore(
            self._initial,
            self._steps,
            lambda state: set(state.takers) <= {BUSY, ENDED},
        )

    def _steps(self, state: _State) -> Iterator[Step]:
        if state.puts:
            yield from self._put(state)
        elif not state.closed and not state.queued:
            yield Step("close", self._close(state))  # Q6
        if state.queued and self._delays and not state.is_old:
            # A full batch must be taken without that.
            yield Step(
                "the oldest row grows old",
                state._replace(is_old=True),
                is_certain=state.queued < self._max_batch,
            )
        for index, taker in enumerate(state.takers):
            if taker in {READY, WOKEN}:
                yield from self._take(state, index)
            elif taker in {BLOCKED, TIMED}:
                woken = _set(state, index, WOKEN)
                is_due = taker == TIMED and state.is_old
                yield Step(f"{index} wakes up by itself", woken, is_due)
            elif taker == BUSY:
                yield Step(f"{index} is back", _set(state, index, READY), False)

    def _close(self, state: _State) -> _State:
        state = state._replace(closed=True)
        if self._broken is Broken.SILENT_CLOSE:
            return state
        return state._replace(
            takers=tuple(
                WOKEN if taker in {BLOCKED, TIMED} else taker for taker in state.takers
            )
        )

    def _put(self, state: _State) -> Iterator[Step]:
        rows, *rest = state.puts
        queued = state.queued + rows
        state = state._replace(puts=tuple(rest), queued=queued)
        is_full = queued >= self._max_batch and self._broken is not Broken.FIRST_ONLY
        if rows > 1 or queued == 1 or is_full or not self._delays:  # Q2
            yield from self._wake(state, f"put {rows}")
        else:
            yield Step(f"put {rows} quietly", state)

    def _wake(self, state: _State, label: str) -> Iterator[Step]:
        # `_wake_taker`: the kernel chooses who it is.
        if state.waiting <= state.signalled:  # Q1
            yield Step(f"{label}, somebody is on the way", state)
            return
        state = state._replace(signalled=state.signalled + 1)
        asleep = [
            i for i, taker in enumerate(state.takers) if taker in {BLOCKED, TIMED}
        ]
        if not asleep:
            yield Step(f"{label}, nobody is asleep any more", state)
        for index in asleep:
            yield Step(f"{label}, wake {index}", _set(state, index, WOKEN))

    def _take(self, state: _State, index: int) -> Iterator[Step]:
        if state.takers[index] == WOKEN:  # Q4
            signalled = state.signalled
            if signalled and self._broken is not Broken.NEVER_BACK:
                signalled -= 1
            state = state._replace(waiting=state.waiting - 1, signalled=signalled)
        is_closable = state.queued and (
            state.closed
            or not self._delays
            or state.is_old
            or state.queued >= self._max_batch
        )
        if not is_closable:
            if state.closed:
                yield Step(f"{index} ends", _set(state, index, ENDED))
                return
            has_deadline = state.queued and self._broken is not Broken.NO_DEADLINE
            state = state._replace(waiting=state.waiting + 1)
            sleeping = TIMED if has_deadline else BLOCKED  # Q3
            yield Step(f"{index} sleeps, {sleeping}", _set(state, index, sleeping))
            return
        left = max(0, state.queued - self._max_batch)
        state = _set(state._replace(queued=left, is_old=False), index, BUSY)
        if left and self._broken is not Broken.NO_REST:  # Q5
            yield from self._wake(state, f"{index} takes, {left} left")
        else:
            yield Step(f"{index} takes, {left} left", state)


def _set(state: _State, index: int, taker: str) -> _State:
    takers = (*state.takers[:index], taker, *state.takers[index + 1 :])
    return state._replace(takers=takers)
