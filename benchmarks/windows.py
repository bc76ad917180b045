"""Windows of several contenders, taken in turns, and the ratios between them.

A machine that is shared drifts: what is measured a minute later is measured on another
machine. So every round measures a window of each contender, the order changes from
round to round, and a ratio is the median of the ratios within rounds.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import msgspec

__all__ = [
    "Contender",
    "Figures",
    "Spread",
    "Stopwatch",
    "Window",
    "measure_in_turns",
    "spread_of",
]

Basis = Literal["wall", "cpu"]


class Window(NamedTuple):
    """What one window of one contender took.

    Parameters
    ----------
    queries : int
        Queries answered.
    wall_ns : int
        Wall time, ns.
    cpu_ns : int
        Time on a processor, all threads of the process, ns.
    """

    queries: int
    wall_ns: int
    cpu_ns: int


class Contender(NamedTuple):
    """Something that can be measured window by window.

    Parameters
    ----------
    name : str
        Under which its figures are printed.
    measure : callable
        Measures one window; called again and again, in turns with others.
    """

    name: str
    measure: Callable[[], Window]


class Spread(msgspec.Struct, frozen=True):
    """Median and range over windows.

    Parameters
    ----------
    median, low, high : float
        Over the windows.
    quietest : float or None
        A ratio between the best windows of both sides: what is left when a busy
        machine disturbs most windows. None if it is not a ratio of times.
    by_cpu : float or None
        The same ratio between processor times, which other people's load touches
        least. None if the two sides' processor times are not of the same work.
    """

    median: float
    low: float
    high: float
    quietest: float | None = None
    by_cpu: float | None = None


class Stopwatch:
    """Reads both clocks at its making, and again at `window`."""

    def __init__(self) -> None:
        self._cpu_ns = time.process_time_ns()
        self._wall_ns = time.perf_counter_ns()

    def window(self, queries: int) -> Window:
        """Stop.

        Parameters
        ----------
        queries : int
            Queries answered since it was made.

        Returns
        -------
        Window
            Of these queries.
        """
        wall_ns = time.perf_counter_ns() - self._wall_ns
        return Window(queries, wall_ns, time.process_time_ns() - self._cpu_ns)


def spread_of(values: Sequence[float]) -> Spread:
    """Summarise values.

    Parameters
    ----------
    values : sequence of float
        At least one.

    Returns
    -------
    Spread
        Their median and range.
    """
    return Spread(statistics.median(values), min(values), max(values))


class Figures:
    """Windows of all contenders, round by round.

    Parameters
    ----------
    windows : dict of str to list of Window
        For each contender one window a round.
    """

    def __init__(self, windows: dict[str, list[Window]]) -> None:
        self.windows = windows

    def ns_per_query(self, name: str, basis: Basis = "wall") -> list[float]:
        """List what a query cost, round by round.

        Parameters
        ----------
        name : str
            Which contender.
        basis : "wall" or "cpu"
            Which time.

        Returns
        -------
        list of float
            ns.
        """
        field = f"{basis}_ns"
        return [getattr(each, field) / each.queries for each in self.windows[name]]

    def ratio(
        self,
        over: str,
        under: str,
        basis: Basis = "wall",
        *,
        is_cpu_comparable: bool = True,
    ) -> Spread:
        """Divide the costs of two contenders, round by round.

        Parameters
        ----------
        over, under : str
            Numerator and denominator.
        basis : "wall" or "cpu"
            Which time.
        is_cpu_comparable : bool, default True
            Whether both sides' processor time is that of the window's queries only.

        Returns
        -------
        Spread
            Of the ratios within rounds.
        """
        above = self.ns_per_query(over, basis)
        below = self.ns_per_query(under, basis)
        ratios = [a / b for a, b in zip(above, below, strict=True)]
        by_cpu = None
        if is_cpu_comparable:
            pairs = zip(
                self.ns_per_query(over, "cpu"),
                self.ns_per_query(under, "cpu"),
                strict=True,
            )
            by_cpu = statistics.median(a / b for a, b in pairs)
        return Spread(
            statistics.median(ratios),
            min(ratios),
            max(ratios),
            quietest=min(above) / min(below),
            by_cpu=by_cpu,
        )

    def has(self, *names: str) -> bool:
        """Tell whether all of these contenders were measured.

        Parameters
        ----------
        *names : str
            Contenders.

        Returns
        -------
        bool
            Whether there are windows of each.
        """
        return all(name in self.windows for name in names)


def measure_in_turns(
    contenders: Sequence[Contender], windows: int, *, warm_up: bool = True
) -> Figures:
    """Measure windows of several contenders in turns.

    Garbage is collected between windows
    and not during them, for every contender alike: that favours those that allocate.

    Parameters
    ----------
    contenders : sequence of Contender
        With different names.
    windows : int
        Rounds to keep, >= 1.
    warm_up : bool, default True
        Whether a round goes before them and is thrown away.

    Returns
    -------
    Figures
        Of all of them.
    """
    taken: dict[str, list[Window]] = {each.name: [] for each in contenders}
    if len(taken) != len(contenders):
        raise ValueError(
            f"contenders share a name: {[each.name for each in contenders]}"
        )
    for turn in range(0 if warm_up else 1, windows + 1):
        first = turn % max(len(contenders), 1)
        for contender in [*contenders[first:], *contenders[:first]]:
            gc.collect()
            gc.disable()
            try:
                window = contender.measure()
            finally:
                gc.enable()
            if turn:
                taken[contender.name].append(window)
    return Figures(taken)
