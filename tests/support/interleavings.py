"""Every interleaving of a few short threads, on a machine that delays stores.

`explore` walks all states that can be reached and looks for one from which the threads
can no longer finish. `Machine` supplies the states of small programs: each thread has a
store buffer, as on x86 (total store order: a store is seen by its own thread at once,
by the others later, in order), so that a missing fence shows. What the kernel does (an
eventfd's counter) happens under a lock of its own, and so after the thread's stores.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

S = TypeVar("S", bound=Hashable)


class Step(NamedTuple):
    """One atomic step of one thread.

    `is_certain` is False for what may happen but must not be relied upon: a wake-up
    without a cause, or a time-out.
    """

    label: str
    state: Any
    is_certain: bool = True


class Found(NamedTuple):
    """What was found: how many states there are, and the way to the first stuck one."""

    state_count: int
    trace: tuple[str, ...] | None


def explore(
    initial: S,
    steps: Callable[[S], Iterable[Step]],
    is_done: Callable[[S], bool],
    *,
    max_states: int = 400_000,
) -> Found:
    """Look for a state from which no certain steps lead to the end.

    Parameters
    ----------
    initial : hashable
        Where all threads begin.
    steps : callable
        The steps possible in a state.
    is_done : callable
        Whether all threads have finished in it.
    max_states : int
        Give up beyond that.

    Returns
    -------
    Found
        ``trace`` is None if every state, however it came about, leads to the end.
    """
    parents: dict[S, tuple[S, str] | None] = {initial: None}
    causes: dict[S, list[S]] = {}
    ends: list[S] = []
    queue = deque([initial])
    while queue:
        state = queue.popleft()
        if is_done(state):
            ends.append(state)
            continue
        can_go_on = False
        for label, following, is_certain in steps(state):
            can_go_on |= is_certain
            if is_certain:
                causes.setdefault(following, []).append(state)
            if following not in parents:
                parents[following] = (state, label)
                queue.append(following)
        if not can_go_on:
            return Found(len(parents), _way_to(state, parents))
        assert len(parents) <= max_states, "the model is too large to be explored"
    good = set(ends)
    while ends:
        for state in causes.get(ends.pop(), ()):
            if state not in good:
                good.add(state)
                ends.append(state)
    for state in parents:  # in the order found: the first has a shortest way
        if state not in good:
            return Found(len(parents), _way_to(state, parents))
    return Found(len(parents), None)


def _way_to(state: S, parents: Mapping[S, tuple[S, str] | None]) -> tuple[str, ...]:
    trace = []
    came = parents[state]
    while came is not None:
        trace.append(came[1])
        came = parents[came[0]]
    return tuple(reversed(trace))


class Op(NamedTuple):
    """An instruction: what it does, on what, and what it is called in a trace."""

    kind: str
    name: str = ""
    value: int | str = 0
    register: str = ""
    target: str = ""
    relation: str = ""


def store(variable: str, value: int | str) -> Op:
    """Write a number or a register, seen by the others some time later."""
    return Op("store", variable, value)


def load(variable: str, register: str) -> Op:
    """Read into a register."""
    return Op("load", variable, register=register)


def fence() -> Op:
    """Wait until the others have seen all stores of this thread."""
    return Op("fence")


def exchange(variable: str, value: int, register: str) -> Op:
    """Read and write as one, after all stores of this thread."""
    return Op("exchange", variable, value, register)


def write(descriptor: str) -> Op:
    """Make an eventfd readable; how often it was written makes no difference."""
    return Op("write", descriptor)


def read(descriptor: str) -> Op:
    """Take back what was written to an eventfd."""
    return Op("read", descriptor)


def wait(variable: str, at_least: int = 1) -> Op:
    """Sleep until the variable is so large; it may also wake up without a cause."""
    return Op("wait", variable, at_least)


def wait_or_time_out(variable: str) -> Op:
    """Sleep likewise; a time-out is sure to come."""
    return Op("wait or time out", variable, 1)


def keep(register: str, value: int | str) -> Op:
    """Put a number or a register into a register."""
    return Op("keep", value=value, register=register)


def go(target: str) -> Op:
    """Go on at a label."""
    return Op("go", target=target)


def when(register: str, relation: str, value: int | str, target: str) -> Op:
    """Go on at a label if the register is ``==``, ``!=`` or ``<`` that."""
    return Op("when", value=value, register=register, target=target, relation=relation)


def maybe(target: str) -> Op:
    """Go on at a label, or not: both must be right."""
    return Op("maybe", target=target)


class _State(NamedTuple):
    places: tuple[int, ...]
    registers: tuple[tuple[int, ...], ...]
    buffers: tuple[tuple[tuple[int, int], ...], ...]
    memory: tuple[int, ...]


class Machine:
    """Threads that run programs on shared memory.

    Parameters
    ----------
    programs : mapping of str to sequence of Op or str
        For each thread what it runs; a str is a label.
    memory : mapping of str to int
        All variables, with what they hold at first.
    """

    def __init__(
        self, programs: Mapping[str, Sequence[Op | str]], memory: Mapping[str, int]
    ) -> None:
        self._names = list(programs)
        self._variables = list(memory)
        self._codes: list[list[Op]] = []
        self._labels: list[dict[str, int]] = []
        self._registers: list[list[str]] = []
        for program in programs.values():
            code: list[Op] = []
            labels: dict[str, int] = {}
            for item in program:
                if isinstance(item, str):
                    labels[item] = len(code)
                else:
                    code.append(item)
            self._codes.append(code)
            self._labels.append(labels)
            self._registers.append(sorted({op.register for op in code} - {""}))
        count = len(self._codes)
        self.initial = _State(
            (0,) * count,
            tuple((0,) * len(names) for names in self._registers),
            ((),) * count,
            tuple(memory.values()),
        )
        for thread in range(count):
            self.initial = self._settle(self.initial, thread)

    def explore(self) -> Found:
        """Look for a state from which the threads cannot all finish."""
        ends = tuple(len(code) for code in self._codes)
        return explore(
            self.initial,
            self._steps,
            lambda state: state.places == ends,
        )

    def _steps(self, state: _State) -> Iterable[Step]:
        for thread, place in enumerate(state.places):
            if state.buffers[thread]:
                (variable, value), *rest = state.buffers[thread]
                yield Step(
                    f"{self._names[thread]}'s {self._variables[variable]} is seen",
                    state._replace(
                        memory=_put(state.memory, variable, value),
                        buffers=_put(state.buffers, thread, tuple(rest)),
                    ),
                )
            if place < len(self._codes[thread]):
                for step in self._run(state, thread, place):
                    yield step._replace(state=self._settle(step.state, thread))

    def _settle(self, state: _State, thread: int) -> _State:
        """Take the steps that no other thread can see."""
        code = self._codes[thread]
        place = state.places[thread]
        while place < len(code) and code[place].kind in {"go", "when", "keep"}:
            op = code[place]
            place += 1
            if op.kind == "keep":
                value = self._value(state, thread, op.value)
                state = self._keep(state, thread, op, value)
            elif op.kind == "go" or self._is_so(state, thread, op):
                place = self._labels[thread][op.target]
        return state._replace(places=_put(state.places, thread, place))

    def _run(self, state: _State, thread: int, place: int) -> Iterable[Step]:
        op = self._codes[thread][place]
        memory, buffer = state.memory, state.buffers[thread]
        label = f"{self._names[thread]}: {op.kind} {op.name or op.target}".rstrip()
        following = state._replace(places=_put(state.places, thread, place + 1))
        if op.kind == "maybe":
            target = self._labels[thread][op.target]
            yield Step(
                label, following._replace(places=_put(state.places, thread, target))
            )
            yield Step(f"{label} not", following)
            return
        if op.kind == "fence":
            if not buffer:
                yield Step(label, following)
            return
        variable = self._variables.index(op.name)
        if op.kind == "store":
            value = self._value(state, thread, op.value)
            yield Step(
                f"{label} {value}",
                following._replace(
                    buffers=_put(state.buffers, thread, (*buffer, (variable, value)))
                ),
            )
        elif op.kind == "load":
            seen = memory[variable]
            for stored, value in buffer:
                if stored == variable:
                    seen = value
            yield Step(f"{label} {seen}", self._keep(following, thread, op, seen))
        elif op.kind in {"wait", "wait or time out"}:
            is_there = memory[variable] >= int(op.value)
            if is_there or op.kind == "wait or time out":
                yield Step(f"{label} ends", following)
            else:
                yield Step(f"{label} ends without cause", following, is_certain=False)
        elif not buffer:  # the rest is seen at once, and after all stores
            old = memory[variable]
            new = {"exchange": op.value, "write": 1, "read": 0}
            following = following._replace(
                memory=_put(memory, variable, int(new[op.kind]))
            )
            if op.kind == "exchange":
                following = self._keep(following, thread, op, old)
            yield Step(f"{label} was {old}", following)

    def _is_so(self, state: _State, thread: int, op: Op) -> bool:
        left = self._value(state, thread, op.register)
        right = self._value(state, thread, op.value)
        return {"==": left == right, "!=": left != right, "<": left < right}[
            op.relation
        ]

    def _value(self, state: _State, thread: int, value: int | str) -> int:
        if isinstance(value, int):
            return value
        return state.registers[thread][self._registers[thread].index(value)]

    def _keep(self, state: _State, thread: int, op: Op, value: int) -> _State:
        mine = _put(
            state.registers[thread], self._registers[thread].index(op.register), value
        )
        return state._replace(registers=_put(state.registers, thread, mine))


def _put(values: tuple[Any, ...], index: int, value: object) -> tuple[Any, ...]:
    return (*values[:index], value, *values[index + 1 :])
