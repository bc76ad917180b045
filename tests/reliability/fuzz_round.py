"""Fuzz every target in turn: ``python tests/reliability/fuzz_round.py --seconds 300``.

Each target has a process and a share of time of its own, so that none can take
another's. Prints a table; a target that finds something, or that does not start, ends
the round with exit code 1 after all the others had their time.
"""

from __future__ import annotations

import argparse
import re
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    sys.path.insert(0, str(Path(__file__).parents[2]))

from reliability.fuzz_targets import TARGETS

FUZZ = Path(__file__).with_name("fuzz.py")
# To import and instrument the package, and to end, on a machine that is busy elsewhere:
# a bound for what hangs, which the fuzzer itself should have noticed.
START_SECONDS = 1800
TAIL_CHARS = 2_000

EXECUTIONS = re.compile(r"^stat::number_of_executed_units:\s+(\d+)", re.MULTILINE)
COVERAGE = re.compile(r"\bcov: (\d+) ft: (\d+) corp: (\d+)")


@dataclass(frozen=True)
class FuzzRun:
    """What became of one target.

    Parameters
    ----------
    target : str
        Its name.
    executions : int
        Inputs tried; 0 if it never started.
    edges, features, corpus : int
        Covered edges of the code, libFuzzer's features, and inputs worth keeping.
    wall_seconds, cpu_seconds : float
        Spent on it.
    fault : str
        What went wrong, or "".
    """

    target: str
    executions: int
    edges: int
    features: int
    corpus: int
    wall_seconds: float
    cpu_seconds: float
    fault: str

    def row(self) -> str:
        """Write it as a line of a table."""
        return (
            f"| {self.target} | {self.executions:,} | {self.edges:,} | "
            f"{self.features:,} | {self.corpus:,} | {self.wall_seconds / 60:.1f} | "
            f"{self.cpu_seconds / 60:.1f} | {self.fault or 'nothing'} |"
        )


HEADER = (
    "| target | executions | edges | features | corpus | minutes | CPU minutes "
    "| found |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |"
)


def judge(target: str, code: int | None, said: str) -> FuzzRun:
    """Read what a fuzzer said.

    Parameters
    ----------
    target : str
        Its name.
    code : int or None
        Its exit code; None if it had to be ended.
    said : str
        Its output.

    Returns
    -------
    FuzzRun
        With no time spent yet.
    """
    executed = EXECUTIONS.search(said)
    covered = COVERAGE.findall(said)
    edges, features, corpus = map(int, covered[-1]) if covered else (0, 0, 0)
    count = int(executed[1]) if executed else 0
    fault = ""
    if code is None:
        fault = "it did not end in time"
    elif code != 0:
        fault = f"exit code {code}: {said[-TAIL_CHARS:]}"
    elif count == 0:
        fault = f"it did not start: {said[-TAIL_CHARS:]}"
    return FuzzRun(target, count, edges, features, corpus, 0.0, 0.0, fault)


def fuzz(target: str, seconds: int, corpus: Path) -> FuzzRun:
    """Fuzz one target in a process of its own.

    Parameters
    ----------
    target : str
        One of `TARGETS`.
    seconds : int
        Of fuzzing, > 0.
    corpus : Path
        Folder that is kept; gets one for each target.

    Returns
    -------
    FuzzRun
        What became of it.
    """
    log = corpus / f"{target}.log"
    command = [
        sys.executable, str(FUZZ), target,
        "--seconds", str(seconds), "--corpus", str(corpus / target),
    ]  # fmt: skip
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    # To a file: nobody would read a pipe while waiting with a time limit.
    with log.open("wb") as stream:
        try:
            code: int | None = subprocess.run(
                command,
                stdout=stream,
                stderr=subprocess.STDOUT,
                timeout=seconds + START_SECONDS,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            code = None
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = judge(target, code, log.read_text(errors="replace"))
    return FuzzRun(
        run.target, run.executions, run.edges, run.features, run.corpus,
        time.monotonic() - start,
        after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        run.fault,
    )  # fmt: skip


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=300, help="for each target")
    parser.add_argument("--corpus", type=Path, default=None, help="kept between runs")
    parser.add_argument("--targets", nargs="+", choices=sorted(TARGETS), default=None)
    arguments = parser.parse_args()
    corpus = arguments.corpus or Path(tempfile.mkdtemp(prefix="bytemlperf-corpus-"))
    corpus.mkdir(parents=True, exist_ok=True)
    print(HEADER, flush=True)
    runs = []
    for target in arguments.targets or sorted(TARGETS):
        runs.append(fuzz(target, arguments.seconds, corpus))
        print(runs[-1].row().replace("\n", " "), flush=True)
    hours = sum(run.wall_seconds for run in runs) / 3600
    executions = sum(run.executions for run in runs)
    print(f"\n{hours:.2f} h, {executions:,} executions; logs and inputs: {corpus}")
    return int(any(run.fault for run in runs))


if __name__ == "__main__":
    sys.exit(main())
