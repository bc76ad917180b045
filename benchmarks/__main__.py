"""Run every script, each in a process of its own, and print what was reached.

python -m benchmarks [--thorough | --tiny] [--windows N] [--only NAME ...] [--json]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from benchmarks.results import Machine, ScriptResult, read_machine
from benchmarks.script import add_options
from benchmarks.table import format_bars, format_costs, format_details

_SCRIPTS = tuple(sorted(path.stem for path in Path(__file__).parent.glob("bench_*.py")))


class Report(msgspec.Struct):
    """All results of one call.

    Parameters
    ----------
    before, after : Machine
        The machine at both ends.
    seconds : float
        From end to end.
    results : list of ScriptResult
        One for each script.
    """

    before: Machine
    after: Machine
    seconds: float
    results: list[ScriptResult]


def _run(script: str, options: list[str]) -> ScriptResult:
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{script}", "--json", *options],
        check=True,
        stdout=subprocess.PIPE,
    )
    return msgspec.json.decode(done.stdout, type=ScriptResult)


def _choose(names: list[str] | None) -> list[str]:
    if not names:
        return list(_SCRIPTS)
    chosen = [name if name.startswith("bench_") else f"bench_{name}" for name in names]
    unknown = sorted(set(chosen) - set(_SCRIPTS))
    if unknown:
        sys.exit(f"there is no {', '.join(unknown)}; there are {', '.join(_SCRIPTS)}")
    return chosen


def _describe(machine: Machine) -> str:
    build = "optimized" if machine.is_optimized_python else "not optimized"
    packages = ", ".join(f"{name} {is_}" for name, is_ in machine.packages.items())
    return (
        f"CPython {machine.python} ({build} build), {machine.processors} processors, "
        f"kernel {machine.kernel}, clock {machine.clocksource}\n{packages}"
    )


def _disturbance(results: list[ScriptResult]) -> str:
    """Say how long bare loops took for each second of processor time they got."""
    shares = [
        cost.wall_ns.median / cost.cpu_ns.median
        for result in results
        for name, cost in result.costs.items()
        if name.startswith("bare") and cost.cpu_ns.median
    ]
    if not shares:
        return ""
    return (
        f"bare loops took {min(shares):.1f} to {max(shares):.1f} times the processor "
        "time they got; 1.0 is an undisturbed machine\n"
    )


def main() -> None:
    """Be the program."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser)
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", help=f"of {', '.join(_SCRIPTS)}"
    )
    asked = parser.parse_args()
    options = [f"--{name}" for name in ("thorough", "tiny") if getattr(asked, name)]
    if asked.windows:
        options += ["--windows", str(asked.windows)]
    before = read_machine()
    begun = time.perf_counter()
    results = []
    for script in _choose(asked.only):
        began = time.perf_counter()
        result = _run(script, options)
        results.append(result)
        if not asked.json:
            heading = f"{script} ({time.perf_counter() - began:.0f} s)"
            print(f"{heading}\n{'=' * len(heading)}\n")
            for text in (format_costs(result.costs), format_details(result.details)):
                if text:
                    print(text, end="\n\n", flush=True)
    seconds = time.perf_counter() - begun
    report = Report(before, read_machine(), seconds, results)
    if asked.json:
        print(msgspec.json.format(msgspec.json.encode(report)).decode())
        return
    print(format_bars([bar for result in results for bar in result.reached]))
    print(
        f"\n{_describe(report.before)}\n"
        f"load average {report.before.load_average:.1f} before, "
        f"{report.after.load_average:.1f} after; {seconds:.0f} s\n"
        f"{_disturbance(results)}"
        "reached: median of the ratios of windows taken in turns; spread: their range "
        "(and how many);\nquietest: ratio of the best windows of both sides; by CPU: "
        "ratio of processor times"
    )


if __name__ == "__main__":
    main()
