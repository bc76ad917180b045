"""How the CPU backend shares the cores it may use."""

from __future__ import annotations

import pytest

from bytemlperf.backends.runtimes import threads
from bytemlperf.backends.runtimes.threads import available_cores, plan_threads
from bytemlperf.errors import CompileError


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Return a maker of a machine with an affinity mask and control groups."""

    def make(cores: int, membership: str = "", **files: str) -> None:
        monkeypatch.setattr(threads.os, "sched_getaffinity", lambda pid: range(cores))
        root = tmp_path / "cgroup"
        for name, text in files.items():
            path = root / name.replace("__", "/").replace("cpu_", "cpu.")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        process = tmp_path / "membership"
        process.write_text(membership)
        monkeypatch.setattr(threads, "CGROUP_ROOT", root)
        monkeypatch.setattr(threads, "PROCESS_CGROUP", process)

    return make


def test_affinity_bounds_the_cores(machine):
    """Without a quota, the mask counts."""
    machine(6)
    assert available_cores() == 6


@pytest.mark.parametrize(
    ("limit", "cores"), [("250000 100000", 2), ("max 100000", 8), ("50000 100000", 1)]
)
def test_quota_bounds_the_cores(machine, limit, cores):
    """A container's quota is rounded down, and is at least one core."""
    machine(8, "0::/\n", cpu_max=limit)
    assert available_cores() == cores


def test_outer_group_bounds_the_inner(machine):
    """The smallest quota on the way up holds."""
    machine(
        8,
        "0::/outer/inner\n",
        outer__cpu_max="300000 100000",
        outer__inner__cpu_max="max 100000",
    )
    assert available_cores() == 3


def test_first_version_of_control_groups(machine):
    """Older kernels keep quota and period apart."""
    machine(
        8,
        "4:cpu,cpuacct:/job\n3:memory:/job\n",
        cpu__job__cpu_cfs_quota_us="400000\n",
        cpu__job__cpu_cfs_period_us="100000\n",
    )
    assert available_cores() == 4


@pytest.mark.parametrize(
    ("answers", "instances", "threads"),
    [
        ({}, 1, 8),
        ({"instance_count": 2}, 2, 4),
        ({"instance_count": 16}, 16, 1),
        ({"instance_count": "2", "intra_op_threads": "3"}, 2, 3),
        ({"intra_op_threads": ""}, 1, 8),
    ],
)
def test_cores_are_shared_among_instances(machine, answers, instances, threads):
    """Answers of a dialog are strings; empty ones take the default."""
    machine(8)
    plan = plan_threads(answers)
    assert (plan.instance_count, plan.intra_op_threads) == (instances, threads)
    assert plan.inter_op_threads == 1


def test_oversubscription_is_reported(machine):
    """More threads than cores is allowed, and said."""
    machine(2)
    assert plan_threads({"instance_count": 2}).warnings == ()
    (warning,) = plan_threads({"instance_count": 2, "intra_op_threads": 2}).warnings
    assert warning == "oversubscribed: 2 instances x 2 threads on 2 available cores"


@pytest.mark.parametrize("answer", ["two", 0, -1, 1.5])
def test_nonsense_is_refused(machine, answer):
    """The error names the question."""
    machine(2)
    with pytest.raises(CompileError, match=r"interact_info\.intra_op_threads"):
        plan_threads({"intra_op_threads": answer})
