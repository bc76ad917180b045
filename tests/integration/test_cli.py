"""The command line as a user types it: real processes, real files, exit codes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bytemlperf.report.storage import read_index, read_result

pytestmark = pytest.mark.slow

SUPPORT = Path(__file__).parents[1] / "support"


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    """One cache for all tests here: models and samples are made once."""
    return tmp_path_factory.mktemp("cache")


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "bytemlperf", *map(str, arguments)]


def bytemlperf(cache: Path, *arguments: object, timeout: float = 110):
    return subprocess.run(
        command(*arguments),
        env=os.environ | {"BYTEMLPERF_CACHE": str(cache)},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


@pytest.fixture
def workload(tmp_path):
    """Write a workload of the smallest model into a file of its own."""
    path = tmp_path / "small.json"
    fields = {
        "model": "widedeep-tf-fp32",
        "clients": 3,
        "iterations": 20,
        "batch_sizes": [4, 8],
    }
    path.write_text(json.dumps(fields))
    return path


def test_null_counts_what_was_asked(cache, workload, tmp_path):
    """3 clients x 20 iterations are 60 queries a point; the parts make the whole."""
    out = tmp_path / "out"

    done = bytemlperf(
        cache, "--tasks", workload, "--hardware_type", "null", "--iterations", 20,
        "--keep_timeline", "--out", out,
    )  # fmt: skip

    # Nothing but the harness is left to measure, and the verdict says so; not always
    # on a machine that is so busy that its own waiting is most of the time.
    assert done.returncode in (0, 4), done.stderr
    result = read_result(out / "NULL" / "small" / "result.json")
    assert [point.query_count for point in result.points] == [60, 60]
    assert [point.sample_count for point in result.points] == [240, 480]
    assert {point.ended_by for point in result.points} == {"iterations"}
    for point in result.points:
        assert point.timeline_file is not None
        rows = np.load(point.timeline_file)
        rows = rows[rows["warm_up"] == 0]
        assert len(rows) == 60
        parts = (
            (rows["issued_ns"] - rows["scheduled_ns"])
            + (rows["batched_ns"] - rows["issued_ns"])
            + (rows["started_ns"] - rows["batched_ns"])
            + (rows["done_ns"] - rows["started_ns"])
        )
        np.testing.assert_array_equal(rows["done_ns"] - rows["scheduled_ns"], parts)
        assert (parts >= 0).all()
        assert point.latency.count == 60
        assert point.latency.min_ns == (rows["done_ns"] - rows["scheduled_ns"]).min()
    assert ("harness-limited" in done.stdout) == (done.returncode == 4)
    assert str(out / "index.json") in done.stdout


@pytest.mark.frameworks
@pytest.mark.timeout(400)
def test_an_open_loop_says_what_it_offered(cache, workload, tmp_path):
    """Poisson arrivals: the schedule's count, its rate, and a hash to compare by.

    Its threads are held to the last processor that there is, and read back there.
    """
    out = tmp_path / "out"
    cpu = max(os.sched_getaffinity(0))
    affinity = f"predict={cpu},intra_op={cpu}"
    done = bytemlperf(
        cache,
        *("--tasks", workload, "--hardware_type", "NULL", "--out", out),
        *("--scenario", "server", "--rate", 200, "--duration", 0.5),
        *("--schedule_seed", 7, "--no_test_accuracy", "--no_test_numeric"),
        *("--affinity", affinity),
    )

    assert done.returncode in (0, 4), done.stderr  # the machine may be too busy
    result = read_result(out / "NULL" / "small" / "result.json")
    assert [point.batch_size for point in result.points] == [4, 8]
    for point in result.points:
        assert point.query_count == point.load.scheduled_count == 100
        assert point.ended_by == "schedule"
        assert point.load.offered_qps == point.load.requested_qps == 200
        assert (point.load.samples_per_query, point.max_batch) == (1, point.batch_size)
        assert point.load.lag.count == 100
        assert point.affinity == affinity
        held = {each.role: each for each in point.threads if each.is_as_asked}
        assert held["predict"].cpus == held["intra_op"].cpus == [cpu]
    assert result.workload["affinity"] == affinity  # which `rerun` repeats
    assert f"affinity {affinity} (read back)" in done.stdout
    first, second = result.points
    assert first.load.schedule_sha256 == second.load.schedule_sha256
    assert "server, 200 queries/s for 0.5 s (seed 7)" in done.stdout
    assert "offered" in done.stdout


@pytest.mark.frameworks
@pytest.mark.timeout(900)  # an empty cache, and perhaps a busy machine
def test_a_backend_from_the_readme_alone_runs(cache, workload, tmp_path):
    """A GOYA folder written from the original README is measured, untouched."""
    # It compiles TorchScript files, as a vendor's first version would.
    fields = json.loads(workload.read_text()) | {"model": "resnet50-torch-fp32"}
    workload.write_text(json.dumps(fields))
    vendor = tmp_path / "vendor"
    shutil.copytree(SUPPORT / "GOYA", vendor / "GOYA")
    out = tmp_path / "out"

    done = bytemlperf(
        cache, "--tasks", workload, "--hardware_type", "GOYA",
        "--backend_path", vendor, "--iterations", 3, "--batch-sizes", "1,2",
        "--out", out, "--ui", "plain", timeout=880,
    )  # fmt: skip

    result = read_result(out / "GOYA" / "small" / "result.json")
    assert done.returncode in (0, 4), done.stderr
    assert result.failures == []
    assert len(result.points) == 2
    assert result.compile is not None
    assert result.numeric is not None


@pytest.mark.frameworks
@pytest.mark.timeout(400)
def test_cpu_is_faithful_and_says_that_weights_are_seeded(cache, workload, tmp_path):
    """TensorFlow agrees with float64 PyTorch, and no accuracy is made up."""
    out = tmp_path / "out"

    done = bytemlperf(
        cache, "--tasks", workload, "--hardware_type", "CPU",
        "--iterations", 20, "--batch_sizes", "8", "--out", out, "--ui", "none",
        "--weights", "seeded", timeout=390,
    )  # fmt: skip

    assert done.returncode in (0, 4), done.stderr
    assert done.stdout.strip() == str(out / "index.json")
    result = read_result(out / "CPU" / "small" / "result.json")
    assert result.numeric is not None
    assert result.numeric.overall is not None
    assert result.numeric.overall.max_diff < 1e-5
    assert result.accuracy is not None
    assert result.accuracy.values == {}
    assert result.model is not None
    assert result.model.weights == "seeded"
    assert [check.is_met for check in result.numeric.targets] == [True, True]


def test_a_missed_target_is_exit_code_1(cache, workload, tmp_path):
    """All is measured and kept; the figure, its bound and its origin are named."""
    out = tmp_path / "out"

    done = bytemlperf(
        cache, "--tasks", workload, "--hardware_type", "CPU", "--no_test_perf",
        "--weights", "seeded", "--min_snr_db", 300, "--out", out, "--ui", "plain",
        timeout=390,
    )  # fmt: skip

    assert done.returncode == 1, done.stdout + done.stderr
    assert "expected at least 300 (min_snr_db of the workload)" in done.stdout
    result = read_result(out / "CPU" / "small" / "result.json")
    assert result.status == "off_target"
    assert result.numeric is not None
    assert result.numeric.status == "compared"


VENDOR_FAULTS = {
    "raises": ("raise RuntimeError('device lost')", "device lost"),
    "kills": ("os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL"),
    "segfaults": ("ctypes.string_at(0)", "SIGSEGV"),
    "exits": ("os._exit(5)", "code 5"),
    "wrong shape": ("return {n: np.zeros((3, 1)) for n in self.outputs}", "(3, 1)"),
    "missing": ("return {}", "left out"),
}


@pytest.mark.parametrize("fault", VENDOR_FAULTS)
def test_a_fault_costs_its_own_point(cache, tmp_path, workload, fault):
    """Batch size 8 fails in some way; 4 before it and 2 after it are measured."""
    statement, cause = VENDOR_FAULTS[fault]
    folder = tmp_path / "FLAKY"
    folder.mkdir()
    (folder / "backend_flaky.py").write_text(
        FLAKY.replace("FAULT", statement), encoding="utf-8"
    )
    out = tmp_path / "out"

    done = bytemlperf(
        cache, "--tasks", workload, "--hardware_type", "FLAKY",
        "--backend_path", folder, "--batch_sizes", "4,8,2", "--out", out,
    )  # fmt: skip

    assert done.returncode == 3, done.stderr
    result = read_result(out / "FLAKY" / "small" / "result.json")
    assert [point.batch_size for point in result.points] == [4, 2]
    failed = [failure for failure in result.failures if failure.batch_size == 8]
    assert failed, result.failures
    said = " ".join(
        f"{failure.message} {failure.detail} {failure.log_tail}" for failure in failed
    )
    assert cause in said
    assert "batch 8" in done.stdout or "batch size 8" in done.stdout


def test_interrupting_keeps_what_was_measured(cache, workload, tmp_path):
    """SIGINT in the second point: exit 130, the first one on disk, no worker left."""
    out = tmp_path / "out"
    process = subprocess.Popen(
        command(
            "--tasks",
            workload,
            "--hardware_type",
            "NULL",
            "--batch_sizes",
            "4,8",
            "--iterations",
            100_000_000,
            "--point_seconds",
            # The signal must come within the second point, however busy the machine.
            4,
            "--out",
            out,
            "--ui",
            "plain",
        ),
        env=os.environ | {"BYTEMLPERF_CACHE": str(cache)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "perf, batch 8" in line:
            process.send_signal(signal.SIGINT)
            break
    process.communicate(timeout=60)

    assert process.returncode == 130
    index = read_index(out / "index.json")
    assert index.status == "interrupted"
    result = read_result(out / "NULL" / "small" / "result.json")
    assert result.status == "interrupted"
    assert 4 in [point.batch_size for point in result.points]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--tasks", "all"], "--hardware_type is required"),
        (["--tasks", "bart", "--hardware_type", "CPU"], "did you mean 'bert-t"),
        (
            ["--hardware_type", "GPV"],
            "did you mean 'GPU'? hardware_types that exist: CPU",
        ),
        (["--hardware_type", "CPU", "--batch_sizes", "4,x"], "--batch_sizes '4,x'"),
        (["--hardware_type", "CPU", "--clients", "0"], "--clients"),
        (["--hardware_type", "NULL", "--scenario", "server"], "server needs rate"),
        (["--hardware_type", "NULL", "--rate", "5"], "rate is about the scenario"),
        (["--hardware_type", "NULL", "--trace", "/nowhere.csv"], "/nowhere.csv"),
        (
            ["--hardware_type", "NULL", "--scenario", "offline", "--iterations", "3"],
            "--iterations is about clients",
        ),
        (
            [
                "--hardware_type",
                "NULL",
                "--scenario",
                "offline",
                "--launcher",
                "ray",
                "--spread",
            ],
            "--spread shares clients",
        ),
        (["--hardware_type", "NULL", "--affinity", "lop=0"], "no role 'lop'"),
        (["--hardware_type", "NULL", "--affinity", "loop=9999"], "hint: allowed are"),
        (
            ["--hardware_type", "NULL", "--affinity", "loop=0", "--processes", "2"],
            "about the threads of one process",
        ),
        (
            ["--hardware_type", "NULL", "--affinity", "predict=0", "--launcher", "ray"],
            "names processors of one machine",
        ),
        (["--hardware_type", "CPU", "--no-such"], "Unknown option"),
        (["--hardware_type", "NULL", "--out", "/proc/x"], "/proc/x"),
        (["--hardware_type", "CPU", "--model_path", "/nowhere"], "--model_path"),
    ],
)
def test_bad_requests_are_usage_errors(cache, arguments, complaint):
    """Exit 2 with what was wrong and what to do, no traceback, nothing started."""
    done = bytemlperf(cache, *arguments)

    assert done.returncode == 2, done.stderr
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr


def test_a_malformed_workload_names_the_field(cache, tmp_path):
    """The path of the field, what was expected, what came."""
    path = tmp_path / "bad.json"
    path.write_text('{"model": "bert-torch-fp32", "clients": "3"}')

    done = bytemlperf(cache, "--tasks", path, "--hardware_type", "NULL")

    assert done.returncode == 2
    assert "Expected `int`, got `str` - at `$.clients`" in done.stderr


def test_both_spellings_and_lists():
    """Dashes and underscores are one; lists are one name a line."""
    for flag in ("--show_task_list", "--show-task-list"):
        done = subprocess.run(command(flag), capture_output=True, text=True, check=True)
        assert "bert-torch-fp32\n" in done.stdout
    done = subprocess.run(
        command("--show_hardware_list"), capture_output=True, text=True, check=True
    )
    listed = done.stdout.split()
    assert listed == sorted(listed)
    assert {"CPU", "NULL", "OPENVINO"} <= set(listed)


FLAKY = """
import ctypes, os, signal
import numpy as np
from bytemlperf.backends import Backend

class BackendFLAKY(Backend):
    def __init__(self):
        super().__init__()
        self.hardware_type = "FLAKY"
        self.need_model = False
        self.loaded = 1

    def version(self):
        return "1"

    def compile(self, configs, dataloader=None):
        self.outputs = configs["model_info"]["outputs"].split(",")
        return {
            "model": "m", "framework": "Tensorflow", "compile_precision": "fp32",
            "input_type": ["FLOAT32"], "max_batch_size": 64,
            "compile_status": "success", "sg_percent": 100,
            "segments": [{
                "sg_idx": 0, "is_fallback": False, "input_tensor_map": {},
                "output_tensor_map": {}, "compiled_model": [],
            }],
        }

    def load(self, batch_size):
        self.loaded = batch_size

    def get_loaded_batch_size(self):
        return self.loaded

    def predict(self, data):
        if self.loaded == 8:
            FAULT
        sum(range(200000))  # some work, so that the harness is not all there is
        return {name: np.zeros((self.loaded, 2)) for name in self.outputs}
"""
