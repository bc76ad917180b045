"""A result on consoles of every width."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from support.sample_results import make_point, make_result

from bytemlperf.report.console import invocation_report, open_console, task_report
from bytemlperf.report.live import PlainObserver, RichObserver, SilentObserver
from bytemlperf.report.schema import (
    SCHEMA_VERSION,
    AccuracyReport,
    Failure,
    InvocationIndex,
    TaskEntry,
    TaskResult,
)

RESULT_FILE = Path("reports/CPU/resnet50-torch-fp32/result.json")


def show(result: TaskResult, width: int | None = None) -> str:
    stream = io.StringIO()
    open_console(stream, width=width).print(task_report(result, RESULT_FILE))
    return stream.getvalue()


@pytest.mark.parametrize("width", [40, 60, 80, 100, 160, 250])
def test_no_line_is_wider_than_the_console(width: int) -> None:
    """At every width every line fits and no figure is cut with an ellipsis."""
    text = show(make_result(), width)
    assert max(cell_len(line) for line in text.splitlines()) <= width
    assert "…" not in text
    for figure in ("64.4 ms", "85.4 ms", "43.2 ms", "1.21 GiB", "197%"):
        assert figure in text


def test_a_wide_console_has_one_table_and_a_narrow_one_two() -> None:
    """The row of batch size 8 is one line at 160 columns, two at 80."""
    rows = [
        [
            line
            for line in show(make_result(), width).splitlines()
            if line[:8] == "      8 "
        ]
        for width in (160, 80)
    ]
    assert [len(found) for found in rows] == [1, 2]
    assert rows[0][0].split()[0] == "8"
    assert rows[0][0].split()[-1] == "VALID"


def test_a_pipe_gets_whole_rows_without_colour_or_padding() -> None:
    """No escape code, no blanks at the end of a line, the one-table layout."""
    text = show(make_result())
    assert "\x1b" not in text
    assert all(line == line.rstrip() for line in text.splitlines())
    assert any("46.7" in line and "1.21 GiB" in line for line in text.splitlines())


def test_percentiles_without_samples_are_not_numbers() -> None:
    """300 queries carry p90, not p99."""
    row = next(
        line for line in show(make_result()).splitlines() if line[:8] == "      1 "
    )
    assert "n<459" in row
    assert "n<4603" in row
    assert "72.0 ms" in row


def test_everything_a_reader_must_know_is_there() -> None:
    """Weights, origin, verdict reasons, skipped and failed points, files."""
    text = " ".join(show(make_result(), 80).split())
    for words in (
        "FAILED",
        "weights: seeded (seed 0)",
        "open_imagenet, real, 200 samples",
        "not meaningful: seeded weights",
        "max diff 7.15e-06",
        "cosine 0.9999999",
        "INVALID too few samples: 30 queries",
        "batch 128 skipped one batch would take about 2.4 times",
        "predicted: 24.4 s a batch",
        "FAILED the worker was killed by SIGKILL",
        "probably out of memory",
        "| allocating 9.2 GB",
        "load average was 1.8",
        str(RESULT_FILE),
        "worker.log",
    ):
        assert words in text


def test_scores_are_shown_with_interval_and_count() -> None:
    """Left-out units are not hidden."""
    accuracy = AccuracyReport(
        status="scored",
        metric="top_k",
        values={"top1": 0.7613},
        interval_95={"top1": (0.7012, 0.8123)},
        n=200,
        unit="images",
        sample_count=200,
        nonfinite_count=2,
    )
    text = " ".join(show(make_result(accuracy=accuracy)).split())
    assert "top1 0.7613 [0.7012, 0.8123]" in text
    assert "on 200 images, 2 not finite" in text


def test_a_result_of_nothing_is_still_a_report() -> None:
    """A task that failed before anything was known."""
    result = make_result(
        backend_version=None,
        model=None,
        dataset=None,
        compile=None,
        accuracy=None,
        numeric=None,
        points=[],
        skipped=[],
        failures=[Failure("start", "exited", "the worker exited with code 1")],
        warnings=[],
        provenance=None,
        log_file=None,
    )
    text = show(result, 80)
    assert "FAILED the worker exited with code 1" in text
    assert "log " not in text


HOSTILE = "[bold]<script>\x1b[2J\x1b]0;x\x07 :smile: \u202e" + "y" * 400


def test_foreign_text_stays_text() -> None:
    """Markup, emoji names, escape codes: shown or dropped, never obeyed."""
    result = make_result(
        backend_version=HOSTILE,
        failures=[Failure(HOSTILE, "x", HOSTILE, detail=HOSTILE, log_tail=HOSTILE)],
        warnings=[HOSTILE],
        points=[make_point(1, invalid_reasons=[HOSTILE], errors=[HOSTILE])],
        vendor_benchmark={HOSTILE: HOSTILE},
    )
    text = show(result, 80)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "[bold]<script>" in text
    assert ":smile:" in text
    assert max(cell_len(line) for line in text.splitlines()) <= 80


def test_an_invocation_is_one_row_a_task() -> None:
    """Also for tasks that were not reached; the best valid rate is named."""
    entries = [
        TaskEntry("resnet50-torch-fp32", "CPU", "failed", "x", 3, 1, 1, 306.2),
        TaskEntry("bert-torch-fp32", "CPU", "interrupted", None, 0, 0, 0, 0.0),
    ]
    index = InvocationIndex(
        SCHEMA_VERSION, "id", [], "start", "end", "interrupted", 130, entries
    )
    stream = io.StringIO()
    report = invocation_report(index, [make_result()], Path("reports/index.json"))
    open_console(stream, width=80).print(report)
    rows = [line.split() for line in stream.getvalue().splitlines() if "-fp32" in line]
    assert rows[0][:6] == ["resnet50-torch-fp32", "failed", "3", "1", "1", "53.0"]
    assert rows[1][:4] == ["bert-torch-fp32", "not", "reached", "-"]
    assert "reports/index.json" in stream.getvalue()


class Terminal(io.StringIO):
    """A stream that says it is a terminal and remembers each write."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[str] = []

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.frames.append(text)
        return super().write(text)


def tell(observer: Any, clock: list[int]) -> None:
    """Live through a task."""
    result = make_result()
    invalid = make_point(
        32,
        query_count=30,
        service_ns=611_000_000,
        seed=12,
        invalid_reasons=["too few samples"],
    )
    with observer:
        observer.phase("environment", "CPU", None)
        observer.task_started("resnet50-torch-fp32", "CPU", 1, 2)
        observer.phase("perf", "", 8)
        for done in range(1, 101):
            clock[0] += 10_000_000
            observer.progress(done, 100, "measuring 46.9 samples/s")
        observer.point(invalid)
        observer.skipped(result.skipped[0])
        observer.failure(result.failures[0])
        observer.warning("careful")
        observer.message("starting another worker")
        observer.task_finished(result, RESULT_FILE)


def test_plain_lines_follow_the_life_cycle() -> None:
    """One line an event and none for progress."""
    lines: list[str] = []
    tell(PlainObserver(lines.append), [0])
    assert lines == [
        "  environment, CPU ...",
        "[1/2] resnet50-torch-fp32 on CPU",
        "  perf, batch 8 ...",
        "  batch 32: 55.1 QPS, p50 1.79 s, max 2.21 s, INVALID (too few samples)",
        "  batch 128 skipped: one batch would take about 2.4 times the point's time",
        "  FAILED the worker was killed by SIGKILL, in phase 'perf' at batch size 64",
        "  warning: careful",
        "  starting another worker",
        f"  failed after 5 min 06 s: {RESULT_FILE}",
    ]


def test_the_bar_is_drawn_at_most_four_times_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """100 reports in one second: five frames of them, with figures and a place."""
    monkeypatch.setenv("TERM", "xterm")
    terminal, clock = Terminal(), [0]
    console = open_console(terminal, width=100)
    tell(RichObserver(console, lambda: clock[0]), clock)
    frames = [frame for frame in terminal.frames if "measuring" in frame]
    texts = {frame.split("measuring")[0].split()[-1] for frame in frames}
    assert 2 <= len(texts) <= 5
    assert any("[1/2]" in frame and "perf, batch 8" in frame for frame in frames)
    assert "batch 32: 55.1 QPS" in terminal.getvalue()


def test_silence_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing on either stream."""
    tell(SilentObserver(), [0])
    assert capsys.readouterr() == ("", "")
