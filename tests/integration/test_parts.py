"""Several processes on one point, as a user asks for them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from reliability.command import Command, adopt_orphans

from bytemlperf.report.storage import read_result
from bytemlperf.runtime import Server
from bytemlperf.runtime.arrivals import due_times, schedule_sha256

pytestmark = pytest.mark.slow


def run(
    tmp_path: Path, faults: dict[str, str], *more: str, **variables: str
) -> tuple[int, Command]:
    command = Command(tmp_path, tmp_path / "cache")
    command.set_variables(variables)
    command.prepare(faults)
    fields = json.loads((tmp_path / "small.json").read_text())
    (tmp_path / "small.json").write_text(json.dumps(fields | {"processes": 2}))
    arguments = list(command.arguments)
    if "--scenario" in more:
        # Those are of clients.
        place = arguments.index("--iterations")
        del arguments[place : place + 2]
    return command.run(*arguments, *more), command


def test_two_processes_share_the_clients(tmp_path: Path) -> None:
    """3 clients: two in one process, one in the other, and all queries counted."""
    adopt_orphans()
    code, command = run(tmp_path, {}, "--keep_timeline")
    assert code in (0, 4), command.said
    result = read_result(command.out / "UNLUCKY" / "small" / "result.json")
    assert [point.query_count for point in result.points] == [60, 60, 60]
    for point in result.points:
        assert [part.clients for part in point.parts] == [2, 1]
        assert [part.query_count for part in point.parts] == [40, 20]
        assert point.latency.count == 60
        assert min(part.start_offset_ns for part in point.parts) == 0
        rows = [np.load(part.timeline_file) for part in point.parts]
        assert [int((each["warm_up"] == 0).sum()) for each in rows] == [40, 20]
        # One clock: the rows themselves show that the windows began together.
        begins = [
            int(each["scheduled_ns"][each["warm_up"] == 0].min()) for each in rows
        ]
        offsets = [part.start_offset_ns for part in point.parts]
        assert begins[0] - begins[1] == offsets[0] - offsets[1]
        if len(os.sched_getaffinity(0)) >= 2:
            first, second = (set(part.cores) for part in point.parts)
            assert first
            assert not first & second
    assert command.orphans() == []


def test_each_process_sees_its_own_devices(tmp_path: Path) -> None:
    """Shared out before the backend's code begins, told to it, and in the report."""
    code, command = run(
        tmp_path, {"load:4": "show=CUDA_VISIBLE_DEVICES"}, CUDA_VISIBLE_DEVICES="5,3"
    )
    assert code in (0, 4), command.said
    folder = command.out / "UNLUCKY" / "small"
    first = read_result(folder / "result.json").points[0]
    assert [part.devices for part in first.parts] == [
        {"CUDA_VISIBLE_DEVICES": "5"},
        {"CUDA_VISIBLE_DEVICES": "3"},
    ]
    shown = set((folder / "worker.log").read_text().split("\n"))
    assert {"part 0: 5", "part 1: 3"} <= shown


@pytest.mark.parametrize("fault", ["kill", "raise", "exit=0"])
def test_a_process_that_fails_costs_its_point(tmp_path: Path, fault: str) -> None:
    """The others are ended with it, and new ones measure the rest."""
    adopt_orphans()
    code, command = run(tmp_path, {"predict:8": fault})
    assert code == 3, command.said
    result = read_result(command.out / "UNLUCKY" / "small" / "result.json")
    whole = [point for point in result.points if point.query_count == 60]
    assert [point.batch_size for point in whole] == [4, 2]
    assert command.orphans() == []


def test_more_processes_than_clients_is_a_usage_error(tmp_path: Path) -> None:
    """Said before anything runs."""
    command = Command(tmp_path, tmp_path / "cache")
    command.prepare({})
    code = command.run(
        "--tasks", str(tmp_path / "small.json"), "--hardware_type", "NULL",
        "--processes", "4",
    )  # fmt: skip
    assert code == 2
    assert "at most clients = 3" in command.said


def test_processes_share_one_schedule(tmp_path: Path) -> None:
    """Together they issue the whole of it: moment for moment, sample for sample."""
    adopt_orphans()
    code, command = run(
        tmp_path, {}, "--keep_timeline", "--scenario", "server", "--rate", "400",
        "--duration", "0.5", "--schedule_seed", "3",
    )  # fmt: skip
    assert code in (0, 4), command.said
    result = read_result(command.out / "UNLUCKY" / "small" / "result.json")
    planned = due_times(Server(400, 0.5), 3)
    assert len(result.points) == 3
    for point in result.points:
        assert [part.query_count for part in point.parts] == [100, 100]
        assert point.load.scheduled_count == point.load.issued_count == 200
        assert point.load.offered_qps == point.load.requested_qps == 400
        assert point.load.lag.count == point.latency.count == 200
        assert point.load.schedule_sha256 == schedule_sha256(planned)
        assert point.ended_by == "schedule"
        rows = np.concatenate([np.load(part.timeline_file) for part in point.parts])
        rows = np.sort(rows[rows["warm_up"] == 0], order="client")
        # A row's place in the schedule is the whole one's.
        assert rows["client"].tolist() == list(range(200))
        moments = rows["scheduled_ns"] - rows["scheduled_ns"][0]
        np.testing.assert_array_equal(moments, planned - planned[0])
    assert command.orphans() == []
