"""Sweeps, searches, repeats and A/B runs as a user types them, on the NULL backend."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest

from bytemlperf.report.schema.comparison import Comparison
from bytemlperf.report.schema.variants import VariantsResult

pytestmark = pytest.mark.slow

# NULL leaves little but the harness to measure: valid or not, it ran.
RAN = {0, 4}
UNLUCKY = Path(__file__).parents[1] / "support" / "UNLUCKY"


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """One cache for all tests here: samples are made once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def run(cache, tmp_path):
    """Run a verb on a small workload and the NULL backend."""
    path = tmp_path / "small.json"
    fields = {"model": "widedeep-tf-fp32", "iterations": 30, "batch_sizes": [4]}
    path.write_text(json.dumps(fields))

    def run(*arguments, out="out", hardware_type="NULL"):
        return subprocess.run(
            [
                sys.executable, "-m", "bytemlperf", *arguments, "--tasks", str(path),
                "--hardware_type", hardware_type, "--out", str(tmp_path / out),
            ],
            env=os.environ | {"BYTEMLPERF_CACHE": str(cache)},
            capture_output=True, text=True, timeout=110, check=False,
        )  # fmt: skip

    return run


def read(tmp_path, out="out"):
    body = (tmp_path / out / "variants.json").read_bytes()
    return msgspec.json.decode(body, type=VariantsResult)


def test_a_sweep_measures_every_combination_and_resumes(run, tmp_path):
    """Two numbers of clients by two of threads; a second command runs nothing again."""
    asked = ("sweep", "--axis", "clients=1,2", "--axis", "instance_count=1,2")
    done = run(*asked)
    assert done.returncode in RAN, done.stderr
    result = read(tmp_path)
    assert result.is_complete
    assert [each.settings for each in result.variants] == [
        {"clients": clients, "instance_count": count}
        for clients in "12"
        for count in "12"
    ]
    assert "clients  instance_count" in done.stdout
    cell = tmp_path / "out" / "clients=2,instance_count=2" / "NULL" / "small"
    point = json.loads((cell / "result.json").read_bytes())["points"][0]
    assert (point["clients"], point["predict_threads"]) == (2, 2)

    again = run(*asked, "--resume")
    assert again.stderr.count("was ended before") == 4
    assert read(tmp_path).variants == result.variants


def test_ab_runs_in_turn_and_compares(run, tmp_path):
    """A B B A A B; the comparison pairs three runs a side."""
    path = tmp_path / "comparison.json"
    done = run(
        "ab", "--b", "clients=6", "--rounds", "3", "--format", "json",
        "--comparison", str(path), "--metrics", "qps,p50",
    )  # fmt: skip
    assert done.returncode in RAN, done.stderr
    order = [line for line in done.stderr.splitlines() if "variant " in line]
    assert [line.split("variant ")[1] for line in order] == [
        "a1", "b1", "b2", "a2", "a3", "b3",
    ]  # fmt: skip
    found = msgspec.json.decode(path.read_bytes(), type=Comparison)
    assert (found.base, found.others) == ("A", ["B"])
    assert found.points[0].run_counts == (3, 3)
    assert [each.metric for each in found.points[0].metrics] == ["qps", "p50"]


def test_tune_keeps_to_its_runs_and_says_that_nothing_is_usable(run, tmp_path):
    """No run answers within 1 ns, so that there is no best: exit code 1, a table."""
    done = run("tune", "--axis", "clients=1,2", "--max_runs", "2", "--slo", "p50<=1ns")
    assert done.returncode == 1, done.stderr
    assert read(tmp_path).best is None
    assert "none of them is valid" in done.stdout


def test_search_finds_the_highest_rate_that_may_be_tried(run, tmp_path):
    """NULL meets one second at any rate: where its probes are VALID, it is the limit.

    How many are on a busy machine is not ours to say; that only those count, is.
    """
    done = run(
        "search", "--slo", "p50<=1s", "--start_rate", "300", "--max_rate", "300",
        "--max_probes", "2", "--point_seconds", "0.3",
    )  # fmt: skip
    result = read(tmp_path)
    assert result.capacity is not None, done.stderr
    seeds = [each.settings["schedule_seed"] for each in result.variants]
    assert len(set(seeds)) == len(seeds), "every probe draws a schedule of its own"
    if result.capacity.rate is None:
        assert result.best is None
        assert done.returncode == (4 if "undecided: probe-0" in done.stdout else 1)
    else:
        assert result.capacity.rate == 300
        assert result.capacity.ended_by == "limit"
        assert result.best == result.variants[-1].name
        assert result.variants[-1].status == "ok"
        assert "300 queries/s meet the objectives" in done.stdout


def test_a_search_takes_no_invalid_probe_as_met(run, tmp_path):
    """In time, but of samples that were overwritten: repeated, then undecided.

    A batch of one sample is never gathered: what predict is lent is the sample itself.
    So few queries cannot be taken for an overload, however busy the machine is.
    """
    folder = shutil.copytree(UNLUCKY, tmp_path / "UNLUCKY")
    (folder / "faults.json").write_text(json.dumps({"predict:1": "write"}))
    done = run(
        "search", "--slo", "p50<=60s", "--start_rate", "20", "--max_rate", "20",
        "--max_probes", "2", "--point_seconds", "0.2", "--backend_path", str(folder),
        "--batch_sizes", "1", "--max_batch", "1", hardware_type="UNLUCKY",
    )  # fmt: skip
    assert done.returncode == 4, done.stderr
    result = read(tmp_path)
    assert {each.verdict for each in result.capacity.probes} == {"not shown"}
    assert (result.capacity.rate, result.best) == (None, None)
    assert [each.settings["rate"] for each in result.variants] == ["20", "20"]
    for each in result.variants:
        assert any(
            "wrote to its input" in why for why in each.points[0].invalid_reasons
        )
    assert "undecided: probe-01, probe-02 INVALID" in done.stdout


def test_an_objective_nothing_can_meet_is_refused(run):
    """A nanosecond is less than any answer takes: exit code 2, with the fastest."""
    done = run(
        "search", "--slo", "p50<=1ns", "--start_rate", "200", "--max_probes", "2",
        "--point_seconds", "0.2",
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "nothing can meet p50<=1ns" in done.stderr


def test_repeats_are_runs_of_their_own_and_resume(run, tmp_path):
    """Two repeats, a table of their spread; --resume finds both done."""
    done = run("--repeat", "2")
    assert done.returncode in RAN, done.stderr
    assert "spread" in done.stdout
    assert [each.name for each in read(tmp_path).variants] == ["repeat-1", "repeat-2"]
    again = subprocess.run(
        [sys.executable, "-m", "bytemlperf", "--resume", str(tmp_path / "out")],
        capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip
    assert again.returncode == done.returncode, again.stderr
    assert again.stderr.count("was ended before") == 2


@pytest.mark.timeout(300)
def test_a_calibration_is_kept_and_used_by_compare(run, cache, tmp_path):
    """Three A/A runs; compare then knows this host's noise, and JUnit says the same."""
    done = run(
        "system", "show", "--calibrate", "--runs", "3", "--point_seconds", "1",
        "--iterations", "1000000000",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "3 runs of small on NULL" in done.stdout
    (path,) = (cache / "hosts").glob("*.json")
    noise = json.loads(path.read_bytes())
    assert noise["run_count"] == 3
    assert noise["detectable"].keys() == noise["run_noise"].keys()
    assert {"qps", "mean"} <= noise["detectable"].keys()

    def verb(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "bytemlperf", *map(str, arguments)],
            env=os.environ | {"BYTEMLPERF_CACHE": str(cache)},
            capture_output=True, text=True, timeout=110, check=False,
        )  # fmt: skip

    assert "3 runs of small on NULL" in verb("system", "show").stdout
    first, second = (tmp_path / "out" / f"aa-{number}" for number in (1, 2))
    compared = verb(
        "compare", first, second, "--force", "--metrics", "qps,p50",
        "--format", "json", "--junit", tmp_path / "compared.xml",
        "--fail_on", "qps<-99%",
    )  # fmt: skip
    assert compared.returncode == 0, compared.stderr
    found = msgspec.json.decode(compared.stdout.encode(), type=Comparison)
    assert found.detectable == noise["detectable"]
    assert not found.is_noise_assumed
    for each in found.points[0].metrics:
        assert each.margin == max(0.02, noise["detectable"].get(each.metric, 0))
    cases = ElementTree.parse(tmp_path / "compared.xml").iter("testcase")
    assert [each.get("name") for each in cases] == ["qps", "p50", "gate qps<-99%"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("system", "show", "--calibrate", "--runs", "2"), "--runs is 3 or more"),
        (("sweep", "--axis", "clients"), "expected a name and different values"),
        (("sweep", "--axis", "clients=1,0"), "clients"),
        (("sweep", "--axis", "clients=1,1"), "different values"),
        (("ab", "--rounds", "0"), "--rounds is 1 or more"),
        (("ab", "--b", "max_batch"), "expected name=value"),
        (("search",), "needs an objective"),
        (("search", "--slo", "p99<=20"), "with a unit"),
        (("search", "--slo", "p50<=1s", "--rate", "5"), "--rate was given"),
        (
            ("search", "--slo", "p50<=1s", "--start_rate", "-1"),
            "--start_rate is above 0",
        ),
        (("tune", "--axis", "clients=1,2", "--goal", "p100"), "below 100"),
        (("--repeat", "0"), "--repeat is 1 or more"),
        (("--percentiles", "50,100"), "below 100"),
        (("--slo", "p99<=0ms"), "cannot be met by anything"),
    ],
)
def test_bad_requests_end_before_anything_runs(run, arguments, complaint):
    """Exit code 2, and a sentence with what is allowed."""
    done = run(*arguments)
    assert done.returncode == 2, done.stderr
    assert complaint in done.stderr
