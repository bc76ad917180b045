"""Several tasks prepared at once, by workers that do nothing."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from support.recording_observer import RecordingObserver
from support.sessions import finder, make_request, make_task

from bytemlperf.errors import ConfigError, StorageError
from bytemlperf.launch import parallel_preparation
from bytemlperf.launch.interruption import Interruption
from bytemlperf.launch.parallel_preparation import (
    BYTES_PER_PARAMETER,
    WORKER_BYTES,
    needed_bytes,
    prepare_together,
)
from bytemlperf.launch.preparation import Preparation

NAMES = ("first", "second", "third", "fourth")
LOTS = 1 << 50


@pytest.fixture
def request_of_four(tmp_path: Path):
    return make_request(tmp_path, *(make_task(name) for name in NAMES))


class Stage:
    """A stand-in for `into_cache` that counts who is in it, and lets them meet."""

    def __init__(self, parties: int) -> None:
        self.barrier = threading.Barrier(parties, timeout=60)
        self.lock = threading.Lock()
        self.inside = 0
        self.peak = 0
        self.done: list[str] = []

    def __call__(self, preparation: Preparation, task) -> None:
        with self.lock:
            self.inside += 1
            self.peak = max(self.peak, self.inside)
        self.barrier.wait()
        with self.lock:
            self.inside -= 1
            self.done.append(task.name)


def prepare(request, *, jobs: int, free_bytes: int = LOTS, find=None):
    observer = RecordingObserver()
    with Interruption(is_listening=False) as interruption, interruption.held():
        failures = prepare_together(
            request,
            (find or finder())(None),
            jobs=jobs,
            observer=observer,
            interruption=interruption,
            free_bytes=free_bytes,
        )
    return failures, observer


def test_two_at_once_and_no_more(request_of_four, monkeypatch) -> None:
    """Each waits for another one: one at a time would never end."""
    stage = Stage(2)
    monkeypatch.setattr(Preparation, "into_cache", lambda self, task: stage(self, task))
    failures, observer = prepare(request_of_four, jobs=2)
    assert failures == []
    assert stage.peak == 2
    assert sorted(stage.done) == sorted(NAMES)
    started = observer.named("task_started")
    assert [index for _, _, index, _ in started] == [1, 2, 3, 4]


def test_one_at_a_time_where_memory_is_short(request_of_four, monkeypatch) -> None:
    """And one in any case, however little there is."""
    stage = Stage(1)
    monkeypatch.setattr(Preparation, "into_cache", lambda self, task: stage(self, task))
    failures, _ = prepare(request_of_four, jobs=4, free_bytes=WORKER_BYTES)
    assert failures == []
    assert stage.peak == 1
    assert stage.done == list(NAMES)


def test_what_is_needed_grows_with_the_model() -> None:
    """From the count in the model file; an unknown model is an error before all."""
    needed = needed_bytes(make_task("any", model="unet-onnx-fp32"))
    assert needed == WORKER_BYTES + BYTES_PER_PARAMETER * 859_520_964
    with pytest.raises(ConfigError):
        needed_bytes(make_task("any", model="nothing-torch-fp32"))


@pytest.mark.slow
def test_one_failure_stops_no_other(request_of_four) -> None:
    """Each is told with the name of its task, and all are returned."""
    failing = finder({"prepare model": "exit=1"})
    failures, observer = prepare(request_of_four, jobs=2, find=failing)
    assert len(failures) == 4
    told = sorted(
        failure.message.partition(":")[0] for failure in observer.named("failure")
    )
    assert told == sorted(NAMES)


def test_a_full_disk_stops_all_of_it(request_of_four, monkeypatch) -> None:
    """What is running is asked to stop, nothing more begins, and the error is told."""
    begun: list[str] = []
    stopped = threading.Event()

    def into_cache(self, task) -> None:
        begun.append(task.name)
        if task.name == "first":
            raise StorageError("no space left")
        # What a worker's watch does: it waits until somebody asks to stop.
        import select

        ready, _, _ = select.select([self._interruption], [], [], 60)
        if ready:
            stopped.set()

    monkeypatch.setattr(Preparation, "into_cache", into_cache)
    with pytest.raises(StorageError, match="no space left"):
        prepare(request_of_four, jobs=2)
    assert "third" not in begun[:2]
    assert stopped.is_set()


def test_a_wish_to_stop_reaches_every_worker(request_of_four, monkeypatch) -> None:
    """Those that run end, the others are not begun."""
    import select

    begun = threading.Barrier(3, timeout=60)
    ended: list[str] = []

    def into_cache(self, task) -> None:
        begun.wait()
        ready, _, _ = select.select([self._interruption], [], [], 60)
        assert ready
        assert self._interruption.signal_name == "SIGTERM"
        ended.append(task.name)

    monkeypatch.setattr(Preparation, "into_cache", into_cache)
    monkeypatch.setattr(parallel_preparation, "WAKE_SECONDS", 0.01)
    with Interruption(is_listening=False) as interruption, interruption.held():

        def ask() -> None:
            begun.wait()
            interruption.request("SIGTERM")

        asking = threading.Thread(target=ask)
        asking.start()
        prepare_together(
            request_of_four,
            finder()(None),
            jobs=2,
            observer=RecordingObserver(),
            interruption=interruption,
            free_bytes=LOTS,
        )
        asking.join()
    assert sorted(ended) == ["first", "second"]
