"""A real cluster of two nodes on this machine, one of which is killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from reliability.command import ROOT, Command

from bytemlperf.report.schema import TaskResult
from bytemlperf.report.storage import read_index, read_result

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ray_cluster = pytest.importorskip("ray.cluster_utils", reason="Ray is not installed")


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Start a head and a second node that says it has the hardware MARKED.

    Yields
    ------
    Cluster
        Running.
    """
    # The nodes' processes import this checkout, whatever is installed.
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    made = ray_cluster.Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    made.second = made.add_node(num_cpus=1, resources={"hardware_MARKED": 1})
    made.wait_for_nodes()
    yield made
    made.shutdown()


def run(
    command: Command,
    cluster: Any,
    *more: str,
    at: str = "never",
    then: Callable[[], None] = lambda: None,
) -> int:
    """Run on the cluster; do something when a line begins with `at`."""
    if at != "never":
        command.at(at, then)
    arguments = [*command.arguments, "--launcher", "ray"]
    arguments += ["--address", cluster.address, *more]
    return command.run(*arguments)


def result(command: Command, task: str = "small") -> TaskResult:
    return read_result(command.out / "UNLUCKY" / task / "result.json")


def test_a_lost_node_costs_only_what_it_had_not_sent(tmp_path: Path, cluster: Any):
    """Two tasks on two nodes, one killed: its task goes on, its points stay."""
    command = Command(tmp_path, tmp_path / "cache")
    command.prepare({"predict:8": "slow=0.02"})
    (tmp_path / "other.json").write_text((tmp_path / "small.json").read_text())
    both = f"{tmp_path / 'small.json'},{tmp_path / 'other.json'}"
    arguments = list(command.arguments)
    arguments[arguments.index("--tasks") + 1] = both
    arguments[arguments.index("--iterations") + 1] = "60"
    command.at(
        "batch 4",
        lambda: cluster.remove_node(cluster.second, allow_graceful=False),
    )
    code = command.run(*arguments, "--launcher", "ray", "--address", cluster.address)
    assert code in (0, 4), command.said
    for task in ("small", "other"):
        measured = result(command, task)
        assert [point.batch_size for point in measured.points] == [4, 8, 2]
        assert {point.query_count for point in measured.points} == {180}
        assert measured.failures == []
    index = read_index(command.out / "index.json")
    assert sorted(node.is_lost for node in index.nodes) == [False, True]
    assert any(
        "was lost" in text
        for task in ("small", "other")
        for text in result(command, task).warnings
    )


def test_all_nodes_load_one_point_together(tmp_path: Path, cluster: Any):
    """Shares of the clients, one clock, and the loss of a node in the middle."""
    command = Command(tmp_path, tmp_path / "cache")
    command.prepare({"predict:8": "slow=0.02"})
    code = run(
        command,
        cluster,
        "--spread",
        at="batch 4",
        then=lambda: cluster.remove_node(cluster.second, allow_graceful=False),
    )
    assert code in (0, 4), command.said
    first, *rest = result(command).points
    assert [part.clients for part in first.parts] == [2, 1]
    assert len({part.host for part in first.parts}) == 2
    assert [part.query_count for part in first.parts] == [40, 20]
    assert [point.batch_size for point in rest] == [8, 2]
    for point in rest:
        assert [part.clients for part in point.parts] == [3]
        assert point.query_count == 60


def test_hardware_runs_where_a_node_says_it_is(tmp_path: Path, cluster: Any):
    """A label of one node keeps its hardware's tasks off the others."""
    command = Command(tmp_path, tmp_path / "cache")
    command.prepare({})
    marked = tmp_path / "MARKED"
    (tmp_path / "UNLUCKY").rename(marked)
    source = (marked / "backend_unlucky.py").read_text()
    (marked / "backend_unlucky.py").unlink()
    (marked / "backend_marked.py").write_text(source.replace("UNLUCKY", "MARKED"))
    done = subprocess.run(
        [
            sys.executable, "-m", "bytemlperf", "--tasks", tmp_path / "small.json",
            "--hardware_type", "MARKED", "--backend_path", marked,
            "--out", tmp_path / "out", "--ui", "plain", "--iterations", "20",
            "--launcher", "ray", "--address", cluster.address,
        ],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"BYTEMLPERF_CACHE": str(tmp_path / "cache")},
    )  # fmt: skip
    assert done.returncode in (0, 4), done.stderr
    assert cluster.second.node_id[:8] in done.stderr
    index = json.loads((tmp_path / "out" / "index.json").read_bytes())
    assert len(index["nodes"]) == 2


def test_an_address_without_a_cluster_is_a_usage_error(tmp_path: Path):
    """Said in a sentence, with no traceback."""
    command = Command(tmp_path, tmp_path / "cache")
    command.prepare({})
    code = command.run(
        *command.arguments, "--launcher", "ray", "--address", "127.0.0.1:1"
    )
    assert code == 2, command.said
    assert "no Ray cluster answers" in command.said
