"""What a person sees: progress on standard error, results on standard output.

Input: a request. Output: text and an exit code. Alone with its package, it prints.
"""

from __future__ import annotations

import sys
from pathlib import Path

from bytemlperf.backends import list_backends
from bytemlperf.cli.auto_report import leave_report, remember
from bytemlperf.cli.dialogs import TerminalDialogs, can_ask
from bytemlperf.cli.options import Cluster, Ui
from bytemlperf.launch.cluster import run_cluster_session
from bytemlperf.launch.conformance import ConformanceRequest, check_conformance
from bytemlperf.launch.index_file import exit_code
from bytemlperf.launch.merge_results import merge_results
from bytemlperf.launch.request import SessionRequest
from bytemlperf.launch.session import prepare_session, run_session
from bytemlperf.report.conformance_text import conformance_view
from bytemlperf.report.console import invocation_report, open_console, task_report
from bytemlperf.report.ease_of_use import ease_view
from bytemlperf.report.live import PlainObserver, RichObserver, SilentObserver
from bytemlperf.report.storage import (
    OutFolder,
    make_folder,
    read_ease,
    read_result,
    write_json_atomic,
)
from bytemlperf.runtime.clock import now_ns
from bytemlperf.workloads import list_ops, list_plug_ins, list_workloads

__all__ = [
    "progress_observer",
    "show_conformance",
    "show_lists",
    "show_measurement",
    "show_merged",
    "show_preparation",
]

EXIT_NOT_CONFORMING = 3


def show_measurement(
    request: SessionRequest,
    ui: Ui | None,
    cluster: Cluster = Cluster(),
    *,
    ask: bool | None = False,
) -> int:
    """Run, then print what a person wants to read: results on standard output."""
    with progress_observer(ui) as observer:
        if cluster.launcher == "ray":
            index = run_cluster_session(
                request, observer, address=cluster.address, spread=cluster.spread
            )
        else:
            asker = None
            if ask is not False and can_ask(ui):
                # Ours have defaults that fit: a command that is left alone should not
                # wait for an answer that nobody cares about.
                own = frozenset(
                    info.hardware_type
                    for info in list_backends(request.backend_path)
                    if info.origin == "package"
                )
                asker = TerminalDialogs(observer.paused, frozenset() if ask else own)
            index = run_session(request, observer, ask=asker)
    out = OutFolder(request.out_dir)
    page, forgotten = leave_report(out.path), remember(out.path)
    if ui == "none":
        print(out.index)
        return index.exit_code
    console = open_console(sys.stdout)
    results = []
    for entry in index.tasks:
        if entry.result_file is not None:
            path = out.path / entry.result_file
            results.append(read_result(path))
            console.print(task_report(results[-1], path))
            console.print()
    console.print(invocation_report(index, results, out.index))
    console.print(f"  report {page}")
    if forgotten is not None:
        console.print(f"  history {forgotten}")
    for hardware_type in dict.fromkeys(entry.hardware_type for entry in index.tasks):
        path = out.ease(hardware_type)
        # Interrupted commands have none; one task says nothing about a zoo.
        if path.exists() and len(index.tasks) > 1:
            console.print()
            console.print(ease_view(read_ease(path)))
    return index.exit_code


def show_merged(paths: list[Path], out: Path) -> int:
    """Merge, write, and print what is now one result."""
    result = merge_results([read_result(path) for path in paths])
    make_folder(out.absolute().parent)
    write_json_atomic(out, result)
    open_console(sys.stdout).print(task_report(result, out))
    return exit_code([result.status])


def show_preparation(
    request: SessionRequest, ui: Ui | None, *, jobs: int | None = None
) -> int:
    """Prepare, and return the exit code."""
    with progress_observer(ui) as observer:
        return prepare_session(request, observer, jobs=jobs)


def show_conformance(request: ConformanceRequest, ui: Ui | None) -> int:
    """Check a backend, and print every rule with what was seen."""
    with progress_observer(ui) as observer:
        report, path = check_conformance(request, observer)
    if ui == "none":
        print(path)
    else:
        open_console(sys.stdout).print(conformance_view(report, str(path)))
    return 0 if report.grade in {"A", "B"} else EXIT_NOT_CONFORMING


def progress_observer(ui: Ui | None) -> PlainObserver | SilentObserver:
    """Return what shows the progress: a bar on a terminal, else plain lines."""
    if ui == "none":
        return SilentObserver()
    if ui == "rich" or (ui is None and sys.stderr.isatty()):
        return RichObserver(open_console(sys.stderr), now_ns)
    return PlainObserver(lambda line: print(line, file=sys.stderr, flush=True))


def show_lists(tasks: bool, hardware: bool, backend_path: Path | None) -> int:
    """Print what exists, one name a line; lines of other kinds begin with #."""
    if tasks:
        for name in list_workloads():
            print(name)
        print("# --tasks ops: the parts that models are made of")
        for name in list_ops():
            print(name)
        brought = list_plug_ins()
        if brought:
            print("# from installed plug-ins")
        for name in brought:
            print(name)
    if hardware:
        for info in list_backends(backend_path):
            print(info.hardware_type)
    return 0
