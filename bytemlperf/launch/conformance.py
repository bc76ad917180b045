"""Try the conformance rules on a backend, whatever it does to its process.

Input: a backend's name. Output: a `ConformanceReport`, rewritten on disk after each
rule. A rule that ends the worker, or hangs, is broken; a new worker goes on.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from bytemlperf.backends import BackendInfo, find_backend
from bytemlperf.engine.conformance import RULES, rule_outcome
from bytemlperf.engine.conformance.probe import model_info
from bytemlperf.engine.messages import (
    CheckJob,
    Event,
    ProbeJob,
    ProbesBuilt,
    RuleChecked,
)
from bytemlperf.errors import BackendError, InternalError
from bytemlperf.launch.answers import answer_questions, check_names, read_answers
from bytemlperf.launch.command import command_finder
from bytemlperf.launch.hardware import CommandFinder, Hardware, open_hardware
from bytemlperf.launch.interruption import Interruption
from bytemlperf.launch.observer import Observer
from bytemlperf.launch.task_run import (
    STARTUP_DEADLINE_SECONDS,
    WorkerCommand,
    show_event,
)
from bytemlperf.launch.worker import run_worker
from bytemlperf.report.schema import (
    SCHEMA_VERSION,
    ConformanceReport,
    Failure,
    RuleOutcome,
)
from bytemlperf.report.storage import OutFolder, write_json_atomic

__all__ = ["ConformanceRequest", "check_conformance", "grade"]

REPORT_NAME = "conformance.json"
PROBE_HARDWARE_TYPE = "CPU"
# Without these nothing that is measured means anything.
ESSENTIAL = ("load", "answers", "correct")


class ConformanceRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Which backend to check, and where things are.

    Parameters
    ----------
    hardware_type : str
        Its name.
    backend_path : Path or None
        A hardware folder, or a folder of them, that goes before the package's.
    out_dir : Path
        The report goes to ``<out_dir>/<hardware_type>/conformance.json``.
    cache_dir : Path
        Where environments are.
    answers : Path or None
        JSON object of answers to the backend's questions; others get their default.
    wheels : Path or None
        Folder that an environment is installed from, instead of an index.
    """

    hardware_type: str
    backend_path: Path | None
    out_dir: Path
    cache_dir: Path
    answers: Path | None = None
    wheels: Path | None = None


def check_conformance(
    request: ConformanceRequest,
    observer: Observer,
    *,
    find_command: CommandFinder | None = None,
) -> tuple[ConformanceReport, Path]:
    """Try every rule on a backend.

    Parameters
    ----------
    request : ConformanceRequest
        Which.
    observer : Observer
        Told of each rule as it begins.
    find_command : callable, optional
        As in `bytemlperf.launch.session.run_session`.

    Returns
    -------
    ConformanceReport
        What was found.
    Path
        Where it is on disk.

    Raises
    ------
    ConfigError
        The backend, its answers or the output folder is not as it should be.
    BackendError
        The backend cannot be imported, or no environment can be made for it.
    KeyboardInterrupt
        It was interrupted; rules tried until then are on disk.
    """
    info = find_backend(request.hardware_type, request.backend_path)
    given = read_answers(request.answers)
    out = OutFolder.prepare(request.out_dir)
    finder = find_command or command_finder(
        request.cache_dir, observer.message, request.wheels
    )
    with (
        Interruption() as interruption,
        interruption.held(),
        tempfile.TemporaryDirectory(prefix="bytemlperf-probe-") as scratch,
    ):
        trial = _Trial(info, request, observer, out, interruption, finder)
        hardware = trial.open()
        check_names(given, hardware.questions)
        answers = answer_questions(hardware.questions, given, info.hardware_type)
        infos = trial.probes(Path(scratch), hardware)
        return trial.run(hardware, infos, answers)


def grade(outcomes: Sequence[RuleOutcome]) -> Literal["A", "B", "C", "F"]:
    """Sum up the rules in one letter.

    Parameters
    ----------
    outcomes : sequence of RuleOutcome
        Of all rules.

    Returns
    -------
    {"A", "B", "C", "F"}
        As defined in `ConformanceReport`.
    """
    broken = [outcome for outcome in outcomes if outcome.status == "broken"]
    compiled = any(
        outcome.rule.startswith("compile-") and outcome.status == "passed"
        for outcome in outcomes
        if outcome.rule != "compile-again"
    )
    if not compiled or any(outcome.rule in ESSENTIAL for outcome in broken):
        return "F"
    if any(outcome.must for outcome in broken):
        return "C"
    return "B" if broken else "A"


class _Trial:
    """One check in flight."""

    def __init__(
        self,
        info: BackendInfo,
        request: ConformanceRequest,
        observer: Observer,
        out: OutFolder,
        interruption: Interruption,
        find_command: CommandFinder,
    ) -> None:
        self._info = info
        self._request = request
        self._observer = observer
        self._folder = out.hardware(info.hardware_type)
        self._interruption = interruption
        self._find_command = find_command
        self._outcomes: list[RuleOutcome] = []

    def open(self) -> Hardware:
        """Make the backend's environment, and ask what it wants."""
        hardware = open_hardware(
            self._info,
            backend_path=self._path(),
            folder=self._folder,
            find_command=self._find_command,
            observer=self._observer,
            interruption=self._interruption,
        )
        self._stop_if_asked()
        if hardware.failure is not None:
            raise BackendError(hardware.failure.message, detail=hardware.failure.detail)
        return hardware

    def probes(self, scratch: Path, hardware: Hardware) -> dict[str, dict[str, Any]]:
        """Build the model in every format; a backend that wants none gets none."""
        if hardware.described is not None and not hardware.described.need_model:
            return {"Onnx": model_info("Onnx", None)}
        built: list[ProbesBuilt] = []

        def take(event: Event) -> None:
            show_event(self._observer, event)
            if isinstance(event, ProbesBuilt):
                built.append(event)

        with self._interruption.released():
            info = find_backend(PROBE_HARDWARE_TYPE)
            command = self._find_command(info.requirements_path)
        failure = self._work(command, ProbeJob(str(scratch)), "probe.log", take)
        if failure is not None or not built:
            raise BackendError(
                "the probe model could not be built in the CPU environment",
                detail=failure.message if failure is not None else None,
                hint=f"see {self._folder / 'probe.log'}",
            )
        return built[0].model_infos

    def run(
        self,
        hardware: Hardware,
        infos: dict[str, dict[str, Any]],
        answers: dict[str, Any],
    ) -> tuple[ConformanceReport, Path]:
        """Try the rules, in as many workers as it takes."""
        described = hardware.described
        if hardware.command is None or described is None:
            raise InternalError(f"{self._info.hardware_type} is half open")
        path = self._folder / REPORT_NAME

        def report() -> ConformanceReport:
            return ConformanceReport(
                schema_version=SCHEMA_VERSION,
                hardware_type=self._info.hardware_type,
                backend_version=described.version,
                grade=grade(self._outcomes),
                outcomes=self._outcomes,
                interact_info=answers,
            )

        def take(event: Event) -> None:
            show_event(self._observer, event)
            if isinstance(event, RuleChecked):
                self._outcomes.append(event.outcome)
                write_json_atomic(path, report())

        for _ in RULES:
            # A worker tries all that are left; one more for each that was its end.
            if len(self._outcomes) == len(RULES):
                break
            job = CheckJob(
                hardware_type=self._info.hardware_type,
                backend_path=self._path(),
                model_infos=infos,
                interact_info=answers,
                computes=described.need_model,
                outcomes={each.rule: each.status for each in self._outcomes},
            )
            failure = self._work(hardware.command, job, "conformance.log", take)
            if failure is not None:
                self._blame(failure)
                write_json_atomic(path, report())
        return report(), path

    def _blame(self, failure: Failure) -> None:
        """Count the worker's end as broken by the rule that was being tried."""
        tried = {outcome.rule for outcome in self._outcomes}
        rule = next(rule for rule in RULES if rule.name not in tried)
        detail = "\n".join(part for part in (failure.detail, failure.log_tail) if part)
        self._outcomes.append(
            rule_outcome(rule, "broken", failure.message, detail=detail or None)
        )

    def _work(
        self,
        command: WorkerCommand,
        job: ProbeJob | CheckJob,
        log: str,
        take: Any,
    ) -> Failure | None:
        outcome = run_worker(
            command.argv,
            job,
            env=command.env,
            log_path=self._folder / log,
            on_event=take,
            startup_deadline_seconds=STARTUP_DEADLINE_SECONDS,
            interruption=self._interruption,
        )
        self._stop_if_asked()
        return outcome.failure

    def _stop_if_asked(self) -> None:
        if self._interruption.is_requested:
            raise KeyboardInterrupt

    def _path(self) -> str | None:
        path = self._request.backend_path
        return None if path is None else os.path.abspath(path.expanduser())
