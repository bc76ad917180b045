"""What a script reports: figures of its contenders, and the bars it can judge."""

from __future__ import annotations

import os
import platform
import sysconfig
from importlib import metadata
from pathlib import Path
from typing import Literal

import msgspec

from benchmarks.bars import BARS
from benchmarks.windows import Figures, Spread, spread_of

__all__ = ["Cost", "Machine", "Reached", "ScriptResult", "Verdict", "read_machine"]

Verdict = Literal["met", "not met", "not built", "not measured", "not judged"]

_BAR_BY_KEY = {bar.key: bar for bar in BARS}
_PACKAGES = ("numpy", "uvloop", "anyio", "hdrhistogram", "mlcommons-loadgen",
             "onnxruntime")  # fmt: skip


class Reached(msgspec.Struct, frozen=True, kw_only=True):
    """What was reached of one bar.

    Parameters
    ----------
    bar : str
        Key of the bar.
    verdict : str
        ``"not built"`` and ``"not measured"`` come without figures, never with zeros;
        ``"not judged"`` with figures that mean nothing.
    value, low, high : float or None
        Median and range over the windows, in the bar's unit.
    quietest, by_cpu : float or None
        See `Spread`; the verdict is by the median all the same.
    windows : int
        How many.
    note : str
        What the reader has to know about this figure.
    """

    bar: str
    verdict: Verdict
    value: float | None = None
    low: float | None = None
    high: float | None = None
    quietest: float | None = None
    by_cpu: float | None = None
    windows: int = 0
    note: str = ""

    @classmethod
    def of(cls, bar: str, spread: Spread, *, windows: int, note: str = "") -> Reached:
        """Judge a measured figure.

        Parameters
        ----------
        bar : str
            Key of the bar.
        spread : Spread
            In the bar's unit.
        windows : int
            Windows behind it.
        note : str, optional
            What the reader has to know.

        Returns
        -------
        Reached
            Met or not met, by the median.
        """
        is_met = _BAR_BY_KEY[bar].is_met(spread.median)
        return cls(
            bar=bar,
            verdict="met" if is_met else "not met",
            value=spread.median,
            low=spread.low,
            high=spread.high,
            quietest=spread.quietest,
            by_cpu=spread.by_cpu,
            windows=windows,
            note=note,
        )


class Cost(msgspec.Struct, frozen=True):
    """What a query of one contender cost, ns, over the windows."""

    wall_ns: Spread
    cpu_ns: Spread
    queries: int
    windows: int


class Machine(msgspec.Struct, frozen=True):
    """Where it was measured, as far as it matters to ratios."""

    python: str
    is_optimized_python: bool
    kernel: str
    clocksource: str
    processors: int
    load_average: float
    packages: dict[str, str]


class ScriptResult(msgspec.Struct, kw_only=True):
    """All that one script found.

    Parameters
    ----------
    script : str
        Its name.
    scale : str
        How much it measured.
    windows : int
        Rounds of windows.
    costs : dict of str to Cost
        By contender.
    details : dict of str to float
        Figures beside the bars; the unit ends the name.
    reached : list of Reached
        The bars it judges.
    machine : Machine
        Where.
    """

    script: str
    scale: str
    windows: int
    costs: dict[str, Cost]
    details: dict[str, float]
    reached: list[Reached]
    machine: Machine

    def add_costs(self, figures: Figures) -> None:
        """Report what queries cost.

        Parameters
        ----------
        figures : Figures
            Of contenders not reported before.
        """
        for name, taken in figures.windows.items():
            self.costs[name] = Cost(
                spread_of(figures.ns_per_query(name, "wall")),
                spread_of(figures.ns_per_query(name, "cpu")),
                sum(window.queries for window in taken),
                len(taken),
            )

    def judge(
        self, bar: str, spread: Spread, note: str = "", *, windows: int | None = None
    ) -> None:
        """Report a bar's figure.

        Parameters
        ----------
        bar : str
            Its key.
        spread : Spread
            In its unit.
        note : str, optional
            What the reader has to know.
        windows : int, optional
            Windows behind it; None: as many as the script takes.
        """
        reached = Reached.of(bar, spread, windows=windows or self.windows, note=note)
        if self.scale == "tiny":
            reached = msgspec.structs.replace(reached, verdict="not judged")
        self.reached.append(reached)

    def excuse(
        self, bar: str, verdict: Literal["not built", "not measured"], note: str
    ) -> None:
        """Report that there is no figure.

        Parameters
        ----------
        bar : str
            Its key.
        verdict : "not built" or "not measured"
            Whether our code or something else is missing.
        note : str
            What is missing.
        """
        self.reached.append(Reached(bar=bar, verdict=verdict, note=note))


def read_machine() -> Machine:
    """Describe this machine.

    Returns
    -------
    Machine
        With the load average of the last minute.
    """
    source = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")
    packages = {}
    for name in _PACKAGES:
        try:
            packages[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            packages[name] = "absent"
    options = sysconfig.get_config_var("CONFIG_ARGS") or ""
    return Machine(
        python=platform.python_version(),
        is_optimized_python="--enable-optimizations" in options,
        kernel=platform.release(),
        clocksource=source.read_text().strip() if source.exists() else "unknown",
        processors=os.cpu_count() or 0,
        load_average=os.getloadavg()[0],
        packages=packages,
    )
