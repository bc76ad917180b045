"""The verbs around a report as a user types them, on a run of their own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bytemlperf.report.formats.importing import import_path
from bytemlperf.report.storage import read_index, read_result

pytestmark = pytest.mark.slow
# A backend that does nothing is nearly always harness-limited: not on a busy machine.
MEASURED = {0, 4}

LOADGEN_RUN = """
import sys, threading, time
import mlperf_loadgen as lg

def issue(queries):
    def answer():
        for query in queries:
            time.sleep(0.0005)
            lg.QuerySamplesComplete([lg.QuerySampleResponse(query.id, 0, 0)])
    threading.Thread(target=answer).start()

settings = lg.TestSettings()
settings.scenario = getattr(lg.TestScenario, sys.argv[1])
settings.mode = lg.TestMode.PerformanceOnly
settings.min_duration_ms = 100
settings.min_query_count = 60
settings.server_target_qps = 300
settings.server_target_latency_ns = 50_000_000
settings.offline_expected_qps = 1000
settings.multi_stream_samples_per_query = 4
output = lg.LogOutputSettings()
output.outdir = sys.argv[2]
output.copy_summary_to_stdout = False
logs = lg.LogSettings()
logs.log_output = output
sut = lg.ConstructSUT(issue, lambda: None)
qsl = lg.ConstructQSL(16, 16, lambda _: None, lambda _: None)
lg.StartTestWithLogSettings(sut, qsl, settings, logs)
lg.DestroyQSL(qsl)
lg.DestroySUT(sut)
"""


def bytemlperf(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bytemlperf", *map(str, arguments)],
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Measure the null backend once for all tests here."""
    folder = tmp_path_factory.mktemp("run")
    workload = folder / "small.json"
    workload.write_text(
        json.dumps(
            {
                "model": "widedeep-tf-fp32",
                "clients": 3,
                "iterations": 40,
                "batch_sizes": [2, 4],
            }
        )
    )
    out = folder / "first"
    done = bytemlperf(
        "--tasks", workload, "--hardware_type", "NULL", "--seed", 5, "--out", out,
        "--cache", folder / "cache", "--ui", "none",
    )  # fmt: skip
    assert done.returncode in MEASURED, done.stderr
    assert done.stdout == f"{out / 'index.json'}\n"
    return out


def test_report_writes_where_the_results_are(run):
    """And says so; standard output is the path alone."""
    done = bytemlperf("report", run)
    assert (done.returncode, done.stderr) == (0, "")
    page = Path(done.stdout.strip())
    assert page == run / "report.html"
    assert "small on NULL" in page.read_text()


def test_rerun_measures_the_same_again(run, tmp_path):
    """Same workload, seed and samples, elsewhere; both are put side by side."""
    out = tmp_path / "again"
    done = bytemlperf(
        "rerun", run / "NULL/small/result.json", "--out", out,
        "--cache", run.parent / "cache",
    )  # fmt: skip
    assert done.returncode in MEASURED, done.stderr
    old = read_result(run / "NULL/small/result.json")
    new = read_result(out / "NULL/small/result.json")
    assert new.workload == old.workload
    assert new.dataset == old.dataset
    assert new.provenance.seed == 5
    assert [point.query_count for point in new.points] == [120, 120]
    assert "changed: " not in done.stdout
    beside = done.stdout.partition("\nbefore: ")[2]
    assert "batch 2" in beside
    assert re.search("undecided|same|faster|slower", beside)


def test_a_report_that_fails_does_not_fail_the_run(run, tmp_path):
    """Exit code and results are as they would be; the last lines say what and how."""
    out = tmp_path / "out"
    (out / "report.html").mkdir(parents=True)
    done = bytemlperf(
        "--tasks", run.parent / "small.json", "--hardware_type", "NULL",
        "--batch_sizes", 2, "--out", out, "--cache", run.parent / "cache",
    )  # fmt: skip
    # Whatever the measurement says, the report has no part in it.
    assert done.returncode == read_index(out / "index.json").exit_code in MEASURED
    result = read_result(out / "NULL/small/result.json")
    assert [point.batch_size for point in result.points] == [2]
    said = " ".join(done.stdout.split())
    assert "report not written: StorageError" in said
    assert "try again with: python -m bytemlperf report" in said


def test_rerun_needs_the_paths_that_were_recorded(run, tmp_path):
    """What cannot be repeated is said, and nothing runs."""
    result = json.loads((run / "NULL/small/result.json").read_text())
    result["provenance"]["command_line"] += ["--data_path", "/no/such/folder"]
    moved = tmp_path / "result.json"
    moved.write_text(json.dumps(result))
    done = bytemlperf("rerun", moved, "--out", tmp_path / "again")
    assert done.returncode == 2
    said = " ".join(done.stderr.split())
    assert "--data_path /no/such/folder" in said
    assert "give --data_path" in said
    assert not (tmp_path / "again").exists()


def test_rerun_does_not_replace_what_it_repeats(run):
    """The old result is still there, and nothing ran."""
    result = run / "NULL/small/result.json"
    before = result.read_bytes()
    done = bytemlperf("rerun", result, "--out", run)
    assert done.returncode == 2
    assert "would be replaced" in done.stderr
    assert result.read_bytes() == before


@pytest.mark.parametrize("form", ["csv", "hlog", "openmetrics", "junit"])
def test_text_formats_go_to_standard_output(run, form):
    """So that they can be piped."""
    done = bytemlperf("export", run, "--format", form)
    assert done.returncode == 0, done.stderr
    assert "small" in done.stdout


def test_formats_that_are_no_text_need_a_place(run, tmp_path):
    """One file a task, below a folder."""
    assert bytemlperf("export", run, "--format", "byte_mlperf").returncode == 2
    done = bytemlperf("export", run, "--format", "byte_mlperf", "--out", tmp_path)
    assert done.stdout.split() == [str(tmp_path / "NULL/small/result-none.json")]


def test_a_result_keeps_to_its_schema(run):
    """What `schema` prints accepts what a run wrote, and refuses what it did not."""
    jsonschema = pytest.importorskip("jsonschema")
    found = json.loads(bytemlperf("schema").stdout)
    result = json.loads((run / "NULL/small/result.json").read_text())
    jsonschema.validate(result, found)
    del result["points"][0]["latency"]
    with pytest.raises(jsonschema.ValidationError, match="latency"):
        jsonschema.validate(result, found)


@pytest.mark.parametrize(
    ("scenario", "samples"),
    [("SingleStream", 1), ("MultiStream", 4), ("Server", 1), ("Offline", None)],
)
def test_loadgen_logs_are_read(tmp_path, scenario, samples):
    """Real logs of each scenario; our figures are those of LoadGen's own summary."""
    pytest.importorskip("mlperf_loadgen")
    logs = tmp_path / "logs"
    logs.mkdir()
    subprocess.run(
        [sys.executable, "-c", LOADGEN_RUN, scenario, str(logs)], check=True, timeout=60
    )

    done = bytemlperf("import", logs, "--out", tmp_path / "out")

    assert done.returncode == 0, done.stderr
    result = read_result(Path(done.stdout.strip()))
    (point,) = result.points
    summary = (logs / "mlperf_log_summary.txt").read_text()
    assert f"{point.latency.p90_ns}" in summary
    assert bool(point.invalid_reasons) == ("INVALID" in summary)
    if samples is not None:
        assert point.batch_size == samples
        assert point.latency.count == point.query_count >= 60
    assert point.throughput_samples_per_s > 100
    # Without the detail log there is no count, and so no percentile.
    (logs / "mlperf_log_detail.txt").unlink()
    if scenario != "MultiStream":
        (bare,) = import_path(logs)[0].points
        assert bare.latency.count == 0
        assert bare.throughput_samples_per_s == pytest.approx(
            point.throughput_samples_per_s, rel=1e-4
        )
