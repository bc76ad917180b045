"""The runs of one command that runs a request several times: on disk after each.

Input: a request, and settings by run. Output: a `VariantsResult`, its file, its table
and its page.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from bytemlperf.cli.auto_report import leave_report
from bytemlperf.cli.options import Ui
from bytemlperf.cli.variants_options import command_line
from bytemlperf.launch.index_file import EXIT_CODES
from bytemlperf.launch.observer import Observer
from bytemlperf.launch.request import SessionRequest
from bytemlperf.launch.variants import (
    InterruptedVariantError,
    run_variant,
    with_settings,
)
from bytemlperf.report.console import open_console
from bytemlperf.report.schema import TaskResult
from bytemlperf.report.schema.variants import (
    VARIANTS_VERSION,
    Variant,
    VariantsResult,
)
from bytemlperf.report.storage import (
    VARIANTS_NAME,
    OutFolder,
    write_json_atomic,
)
from bytemlperf.report.variants_table import variants_view

__all__ = ["VariantRuns", "interruptible"]


class VariantRuns:
    """The variants of one command, on disk after every run."""

    def __init__(
        self,
        request: SessionRequest,
        kind: Literal["sweep", "tune", "search", "repeat"],
        observer: Observer,
        *,
        goal: str = "",
        axes: Mapping[str, Sequence[str]] | None = None,
        resume: bool,
    ) -> None:
        self.request = request
        self.observer = observer
        self.resume = resume
        self._folder = OutFolder.prepare(request.out_dir).path
        self.page = ""
        self.result = VariantsResult(
            variants_version=VARIANTS_VERSION,
            kind=kind,
            command_line=command_line(),
            goal=goal,
            axes={name: list(values) for name, values in (axes or {}).items()},
            variants=[],
        )

    @property
    def path(self) -> Path:
        """Where the result is."""
        return self._folder / VARIANTS_NAME

    def check(self, cells: Sequence[Mapping[str, str]]) -> None:
        """Refuse malformed settings before the first run."""
        for settings in cells:
            with_settings(self.request, settings, self._folder / "check")

    def run(
        self, settings: Mapping[str, str], name: str | None = None
    ) -> tuple[Variant, list[TaskResult]]:
        """Run one, and put all of them on disk."""
        variant, results = run_variant(
            self.request,
            settings,
            self._folder,
            self.observer,
            name=name,
            resume=self.resume,
        )
        self.update(variants=[*self.result.variants, variant])
        return variant, results

    def update(self, **changes: object) -> None:
        """Change the result, here and on disk."""
        self.result = msgspec.structs.replace(self.result, **changes)
        write_json_atomic(self.path, self.result)

    def show(self, ui: Ui | None) -> None:
        """Leave a page, and print the table."""
        self.page = leave_report(self._folder)
        if ui == "none":
            print(self.path)
            return
        console = open_console(sys.stdout)
        if self.result.variants:
            console.print(variants_view(self.result))
        console.print(f"  result  {self.path}")
        console.print(f"  report  {self.page}")

    def exit_code(self) -> int:
        """Return the code for the worst of all variants."""
        codes = [EXIT_CODES[each.status] for each in self.result.variants]
        for code in (EXIT_CODES["failed"], EXIT_CODES["invalid"]):
            if code in codes:
                return code
        return EXIT_CODES["ok"]


def interruptible(work: Callable[[VariantRuns], None], runs: VariantRuns) -> bool:
    """Do the work; return whether somebody asked to stop."""
    try:
        work(runs)
    except InterruptedVariantError:
        return True
    return False
