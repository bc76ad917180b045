"""What a client that waits for an answer occupies, all told.

Measures
    Resident memory of a fresh process in which N clients wait at once, less that of
    one in which a few wait, for each client: our own kinds, and beside them a stock
    task that awaits a Future, an anyio task group's child, and a thread. "All told"
    means rows, rings, tasks, coroutines and whatever the allocators keep.

Does not measure
    What clients hold of their own, the buffers of batches (they belong to predict
    threads), address space that was never touched.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import get_args

import anyio

from benchmarks.contenders import ours
from benchmarks.contenders.loops import make_runner
from benchmarks.results import ScriptResult
from benchmarks.script import Settings, run_script
from benchmarks.windows import spread_of

_FEW = 1000
_OTHERS = ("future", "anyio", "thread")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def resident_bytes() -> int:
    """Read how much memory of this process is resident.

    Returns
    -------
    int
        Bytes.
    """
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


async def _settled() -> int:
    """Wait until memory stays as it is; how much it is."""
    last = -1
    while (now := resident_bytes()) != last:
        last = now
        await asyncio.sleep(0.1)
    gc.collect()
    return resident_bytes()


async def _ours(kind: ours.ClientKind, clients: int) -> int:
    resident: list[int] = []

    async def on_waiting() -> None:
        resident.append(await _settled())

    await ours.wait_with_clients(kind, clients, on_waiting)
    return resident[0]


async def _futures(clients: int) -> int:
    loop = asyncio.get_running_loop()
    answers: list[asyncio.Future[None]] = []

    async def client() -> None:
        answer = loop.create_future()
        answers.append(answer)
        await answer

    tasks = [loop.create_task(client()) for _ in range(clients)]
    resident = await _settled()
    for answer in answers:
        answer.set_result(None)
    await asyncio.gather(*tasks)
    return resident


async def _anyio_children(clients: int) -> int:
    answered = anyio.Event()
    async with anyio.create_task_group() as group:
        for _ in range(clients):
            group.start_soon(answered.wait)
        resident = await _settled()
        answered.set()
    return resident


async def _threads(clients: int) -> int:
    answered = threading.Event()
    threads = [threading.Thread(target=answered.wait) for _ in range(clients)]
    for thread in threads:
        thread.start()
    resident = await _settled()
    answered.set()
    for thread in threads:
        thread.join()
    return resident


def _wait_in_this_process(kind: str, clients: int) -> None:
    """Be the process that is measured: print its resident bytes, or why not."""
    others: dict[str, Callable[[int], Awaitable[int]]] = {
        "future": _futures,
        "anyio": _anyio_children,
        "thread": _threads,
    }
    with make_runner("uvloop") as runner:
        try:
            if kind in others:
                resident = runner.run(_run(others[kind], clients))
            else:
                resident = runner.run(_run_ours(kind, clients))
        except ours.NotBuiltError as error:
            print(json.dumps({"not_built": str(error)}))
            return
    print(json.dumps({"resident": resident}))


async def _run(wait: Callable[[int], Awaitable[int]], clients: int) -> int:
    return await wait(clients)


async def _run_ours(kind: str, clients: int) -> int:
    for known in get_args(ours.ClientKind):
        if known == kind:
            return await _ours(known, clients)
    raise ValueError(f"there are no {kind!r} clients")


def _ask_process(kind: str, clients: int) -> int | str:
    command = [sys.executable, "-m", "benchmarks.bench_memory"]
    answer = subprocess.run(
        [*command, "--wait", kind, str(clients)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    said = json.loads(answer.stdout)
    return str(said["not_built"]) if "not_built" in said else int(said["resident"])


def _bytes_per_client(kind: str, few: int, many: int) -> float | str:
    base = _ask_process(kind, few)
    if isinstance(base, str):
        return base
    full = _ask_process(kind, many)
    assert isinstance(full, int)
    return (full - base) / (many - few)


def measure(settings: Settings, result: ScriptResult) -> None:
    """Measure every kind of client in processes of its own.

    Parameters
    ----------
    settings : Settings
        How much.
    result : ScriptResult
        Where to report.
    """
    wait = settings.options.wait
    if wait is not None:
        _wait_in_this_process(wait[0], int(wait[1]))
        sys.exit()
    few = settings.pick(10, _FEW, _FEW)
    many = settings.pick(200, 200_000, 1_000_000)
    for kind in get_args(ours.ClientKind):
        bar = f"memory/{kind}"
        found: list[float] = []
        why = ""
        # Bytes hardly vary: three processes are as good as eleven.
        for _ in range(min(settings.windows, 3)):
            answer = _bytes_per_client(kind, few, many)
            if isinstance(answer, str):
                why = answer
                break
            found.append(answer)
        if why:
            result.excuse(bar, "not built", why)
        else:
            result.judge(
                bar,
                spread_of(found),
                f"{many:,} clients less {few:,}",
                windows=len(found),
            )
    for kind in _OTHERS:
        share = settings.pick(1, 10, 10) if kind == "anyio" else 1
        count = settings.pick(50, 1500, 3000) if kind == "thread" else many // share
        answer = _bytes_per_client(kind, min(few, count // 3), count)
        assert isinstance(answer, float)
        result.details[f"stock, {kind}, B"] = answer


def _add_own(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--wait", nargs=2, metavar=("KIND", "CLIENTS"), help=argparse.SUPPRESS
    )


if __name__ == "__main__":
    run_script(__file__, __doc__, measure, _add_own)
