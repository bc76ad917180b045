"""Two machines on one: Ray over a network of two namespaces, which is then cut.

``python tests/reliability/two_hosts.py`` as root. Each namespace has an address, a
route and a Ray node of its own; the command runs in the first. A task is loaded by both
together, then another one while the cable is pulled, and its points are measured by the
node that is left.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    sys.path.insert(0, str(Path(__file__).parents[2]))

from reliability.command import Command

from bytemlperf.report.storage import read_index, read_result

NAMES = ("bytemlperf-a", "bytemlperf-b")
ADDRESSES = ("10.213.77.1", "10.213.77.2")
PORT = 6399
START_SECONDS = 60
# A lost node is noticed after so many of these; Ray's own defaults take half a minute.
HEALTH = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "5",
}


def ip(*words: str) -> None:
    """Run ``ip``."""
    subprocess.run(["ip", *words], check=True)


@contextlib.contextmanager
def network() -> Iterator[None]:
    """Make two namespaces and a cable between them.

    Yields
    ------
    None
        While they are there.
    """
    try:
        for name in NAMES:
            ip("netns", "add", name)
        ip("link", "add", "bmp0", "netns", NAMES[0], "type", "veth",
           "peer", "name", "bmp1", "netns", NAMES[1])  # fmt: skip
        for number, (name, address) in enumerate(zip(NAMES, ADDRESSES, strict=True)):
            ip("-n", name, "addr", "add", f"{address}/24", "dev", f"bmp{number}")
            for link in ("lo", f"bmp{number}"):
                ip("-n", name, "link", "set", link, "up")
        yield
    finally:
        for name in NAMES:
            subprocess.run(["ip", "netns", "del", name], check=False)


def inside(number: int) -> list[str]:
    """Return what runs the command behind it in a namespace."""
    return ["ip", "netns", "exec", NAMES[number]]


@contextlib.contextmanager
def node(number: int, folder: Path) -> Iterator[None]:
    """Run a Ray node in a namespace.

    Yields
    ------
    None
        While it runs.
    """
    ray = shutil.which("ray", path=os.path.dirname(sys.executable)) or "ray"
    role = (
        ["--head", f"--port={PORT}", "--include-dashboard=false",
         f"--temp-dir={folder}"]
        if number == 0
        else [f"--address={ADDRESSES[0]}:{PORT}"]
    )  # fmt: skip
    log = (folder / f"node-{number}.log").open("w")
    process = subprocess.Popen(
        [
            *inside(number), ray, "start", *role, "--block", "--num-cpus=1",
            f"--node-ip-address={ADDRESSES[number]}",
            "--object-store-memory=100000000",
        ],
        env=os.environ | HEALTH | {"PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=log,
        stderr=log,
        start_new_session=True,
    )  # fmt: skip
    try:
        _wait_for(folder / f"node-{number}.log", "Ray runtime started", process)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
        for pid in _left_in(number):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _left_in(number: int) -> list[int]:
    """Return the processes of a namespace, which are all ours."""
    found = subprocess.run(
        ["ip", "netns", "pids", NAMES[number]], capture_output=True, check=False
    )
    return [int(word) for word in found.stdout.split()]


def _wait_for(path: Path, text: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(START_SECONDS * 10):
        if text in path.read_text():
            return
        if process.poll() is not None:
            break
        threading.Event().wait(0.1)
    raise RuntimeError(f"{' '.join(map(str, process.args))}:\n{path.read_text()}")


def load(folder: Path, cut_at: str | None) -> None:
    """Load one task from both namespaces, and print what each did."""
    folder.mkdir()
    command = Command(folder, folder.parent / "cache")
    command.prepare({"predict:8": "slow=0.05"})
    command.within = inside(0)
    if cut_at is not None:
        command.at(cut_at, lambda: ip("-n", NAMES[1], "link", "set", "bmp1", "down"))
    code = command.run(
        *command.arguments,
        *("--launcher", "ray", "--address", f"{ADDRESSES[0]}:{PORT}", "--spread"),
    )
    if code not in (0, 4):
        raise RuntimeError(f"exit code {code}:\n{command.said}")
    for each in read_index(command.out / "index.json").nodes:
        print(
            f"  node {each.name}: clock offset {each.clock_offset_ns / 1e3:+.1f} us, "
            f"known to {each.clock_round_trip_ns / 2e3:.1f} us"
            + (", lost" if each.is_lost else "")
        )
    result = read_result(command.result)
    for point in result.points:
        shares = ", ".join(
            f"{part.host}: {part.query_count} queries, began "
            f"{part.start_offset_ns / 1e3:.0f} us later"
            for part in point.parts
        )
        print(f"  batch {point.batch_size}: {point.query_count} queries; {shares}")
    for warning in result.warnings:
        print(f"  warning: {warning}")
    assert [point.batch_size for point in result.points] == [4, 8, 2]
    assert {point.query_count for point in result.points} == {60}


def main() -> int:
    """Run both."""
    folder = Path(tempfile.mkdtemp(prefix="bmp-", dir="/tmp"))
    try:
        with network(), node(0, folder), node(1, folder):
            print("both machines:")
            load(folder / "whole", None)
            print("the cable is pulled in batch 8:")
            load(folder / "cut", "batch 4:")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
