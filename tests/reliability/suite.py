"""Run faults and judge what each leaves: ``python tests/reliability/suite.py``.

Prints a table: fault, times tried, points lost, orphan processes, locks and half
files left behind, and whether exit code and verdict were the truth.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from reliability.command import (
    CLIENTS,
    ITERATIONS,
    CannotRunError,
    Command,
    adopt_orphans,
    listen_to_signals,
)
from reliability.faults import ALL, FAULTS, Fault

from bytemlperf.errors import BytemlperfError
from bytemlperf.report.schema import TaskResult
from bytemlperf.report.storage import read_index, read_result


@dataclass
class Outcome:
    """What one fault left, over several tries."""

    fault: str
    tries: int = 0
    lost_points: int = 0
    orphans: int = 0
    locks: int = 0
    leftovers: int = 0
    untruths: list[str] = field(default_factory=list)
    not_run: str | None = None

    @property
    def is_good(self) -> bool:
        """Whether nothing was lost, left behind or misreported."""
        return not (
            self.lost_points
            or self.orphans
            or self.locks
            or self.leftovers
            or self.untruths
        )


def try_fault(fault: Fault, folder: Path, cache: Path, outcome: Outcome) -> None:
    """Run a fault once in an empty folder, and add what it left to the outcome."""
    command = Command(folder, cache)
    command.prepare(fault.backend, fault.workload)
    try:
        if fault.act is not None:
            try:
                fault.act(command)
            except CannotRunError as error:
                outcome.not_run = str(error)
                return
        code = command.run(*command.arguments, *fault.arguments)
        command.join_sibling()
        outcome.tries += 1
        _judge(fault, command, code, outcome)
        if fault.resumes:
            _resume(fault, command, outcome)
        outcome.orphans += len(command.orphans())
        outcome.locks += len(command.locks())
    finally:
        command.close()


def _judge(fault: Fault, command: Command, code: int, outcome: Outcome) -> None:
    """Hold exit code, verdicts and points against the truth."""
    outcome.orphans += len(command.orphans())
    outcome.locks += len(command.locks())
    if code >= 0:
        outcome.leftovers += len(command.leftovers())
    outcome.untruths += command.notes + command.unreached
    if code not in fault.exit_codes:
        outcome.untruths.append(f"exit code {code}: {command.said[-300:]}")
    try:
        index = read_index(command.out / "index.json")
        if not fault.is_begun:
            said = {index.status, *(task.status for task in index.tasks)}
            if not said <= {*fault.statuses, "interrupted"}:
                outcome.untruths.append(f"the index says {said}")
            return
        result = read_result(command.result)
    except BytemlperfError as error:
        outcome.untruths.append(f"unreadable: {error}")
        outcome.lost_points += len(fault.points)
        return
    measured = {
        point.batch_size
        for point in result.points
        if point.query_count == CLIENTS * ITERATIONS
        or (fault.workload and point.query_count)
    }
    outcome.lost_points += len(set(fault.points) - measured)
    if result.status not in fault.statuses:
        outcome.untruths.append(f"status {result.status}")
    if index.tasks[0].status != result.status and code >= 0:
        outcome.untruths.append(f"the index says {index.tasks[0].status}")
    if not fault.resumes:
        _check_said(fault, result, outcome)


def _check_said(fault: Fault, result: TaskResult, outcome: Outcome) -> None:
    """See whether the result names the cause."""
    texts = [*result.warnings]
    for point in result.points:
        texts += [*point.warnings, *point.invalid_reasons]
    for failure in result.failures:
        texts += [failure.message, failure.detail or ""]
    if not any(fault.says in text for text in [*texts, ""]):
        outcome.untruths.append(f"nothing says {fault.says!r}: {texts}")


def _resume(fault: Fault, command: Command, outcome: Outcome) -> None:
    """Go on; what was measured stays the same bytes, and the rest is measured."""
    before = json.loads(command.result.read_bytes())["points"] if fault.is_begun else []
    command.mend()
    code = command.run("--resume", str(command.out), "--ui", "plain")
    if code not in (0, 4):
        outcome.untruths.append(f"resumed: exit code {code}: {command.said[-300:]}")
        return
    after = json.loads(command.result.read_bytes())["points"]
    if after[: len(before)] != before:
        outcome.untruths.append("resumed: points changed")
    sizes = {point["batch_size"] for point in after}
    outcome.lost_points += len(set(ALL) - sizes)
    _check_said(fault, read_result(command.result), outcome)


def run_suite(faults: list[Fault], tries: int, folder: Path) -> list[Outcome]:
    """Try each fault several times.

    Parameters
    ----------
    faults : list of Fault
        In this order.
    tries : int
        Times each, >= 1.
    folder : Path
        For the runs; each gets a folder of its own.

    Returns
    -------
    list of Outcome
        One for each fault.
    """
    adopt_orphans()
    listen_to_signals()
    cache = folder / "cache"
    outcomes = []
    for number, fault in enumerate(faults):
        outcome = Outcome(fault.name)
        for attempt in range(tries):
            place = folder / f"{number}-{attempt}"
            place.mkdir()
            try_fault(fault, place, cache, outcome)
        outcomes.append(outcome)
        print(_row(outcome), flush=True)
    return outcomes


HEADER = (
    "| fault | tried | lost points | orphans | locks | half files | untruths |\n"
    "| --- | ---: | ---: | ---: | ---: | ---: | --- |"
)


def _row(outcome: Outcome) -> str:
    if outcome.not_run is not None:
        return f"| {outcome.fault} | not run: {outcome.not_run} | | | | | |"
    untruths = "; ".join(outcome.untruths).replace("\n", " ") or "none"
    return (
        f"| {outcome.fault} | {outcome.tries} | {outcome.lost_points} | "
        f"{outcome.orphans} | {outcome.locks} | {outcome.leftovers} | {untruths} |"
    )


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tries", type=int, default=5, help="times each fault")
    parser.add_argument("--only", default="", help="faults whose name contains this")
    parser.add_argument(
        "--network", action="store_true", help="also those that install packages"
    )
    arguments = parser.parse_args()
    chosen = [
        fault
        for fault in FAULTS
        if arguments.only in fault.name
        and (arguments.network or not fault.needs_network)
    ]
    print(HEADER)
    with tempfile.TemporaryDirectory(prefix="bytemlperf-faults-") as folder:
        outcomes = run_suite(chosen, arguments.tries, Path(folder))
    bad = [outcome.fault for outcome in outcomes if not outcome.is_good]
    print(f"\n{len(outcomes) - len(bad)} of {len(outcomes)} faults left nothing behind")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
