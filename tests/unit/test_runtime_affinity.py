"""Threads are where they were asked to be: as the kernel reads it back."""

from __future__ import annotations

import _thread
import os
import threading

import numpy as np
import pytest

from bytemlperf.errors import ConfigError
from bytemlperf.runtime import (
    Affinity,
    ArraySamples,
    Batching,
    ClosedLoop,
    Server,
    WarmUp,
    parse_affinity,
    run_sync,
)
from bytemlperf.runtime.affinity import (
    allowed_cpus,
    check_affinity,
    cpu_list_text,
    parse_cpu_list,
)
from bytemlperf.runtime.open_loop import may_be_real_time
from bytemlperf.runtime.thread_use import (
    ThreadReading,
    read_thread,
    read_threads,
    thread_uses,
)

BRIEF = WarmUp(max_queries=5)


def library():
    return ArraySamples({"x": np.zeros((8, 4), np.float32)})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("loop=0", Affinity(loop=(0,))),
        ("loop=0,predict=1", Affinity(loop=(0,), predict=(1,))),
        ("intra_op=1-3,5", Affinity(intra_op=(1, 2, 3, 5))),
        ("intra-op=2,2,1 , pacer = 0", Affinity(intra_op=(1, 2), pacer=(0,))),
        ("", Affinity()),
        (None, Affinity()),
    ],
)
def test_words_become_processors(text, expected):
    """Roles are divided by the same commas as their processors."""
    found = parse_affinity(text)
    assert found == expected
    assert parse_affinity(str(found)) == found
    assert bool(found) == bool(text)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("lop=0", "no role 'lop', only loop, pacer, predict, intra_op"),
        ("0-1", "expected a role"),
        ("loop=0,loop=1", "'loop' is given twice"),
        ("loop=", "expected processors after loop="),
        ("loop=0,,1", "expected processors"),
        ("loop=a", "'a' is no processor"),
        ("loop=-1", "'-1' is no processor"),
        ("loop=3-1", "'3-1' is no range"),
        ("loop=0-99999999", "no range of processors"),
    ],
)
def test_other_words_are_refused(text, match):
    """Each says what was wrong with it."""
    with pytest.raises(ConfigError, match=match):
        parse_affinity(text)


def test_lists_are_the_kernels():
    """Both ways; an empty list is none."""
    assert parse_cpu_list("0-2,7\n") == [0, 1, 2, 7]
    assert parse_cpu_list("") == []
    assert cpu_list_text([7, 0, 1, 2, 1]) == "0-2,7"
    assert cpu_list_text([]) == ""


def test_roles_go_with_others():
    """What is left out follows the role that it serves."""
    affinity = Affinity(loop=(0,), predict=(1, 2))
    assert affinity.cpus_of("pacer") == (0,)
    assert affinity.cpus_of("intra_op") == (1, 2)
    assert affinity.cpus_of("other") == ()
    assert Affinity(pacer=(3,), loop=(0,)).cpus_of("pacer") == (3,)


def test_processors_that_are_not_ours_are_refused():
    """The message names the role, and the hint what is allowed."""
    with pytest.raises(ConfigError, match="predict=5: this process may not use 5") as e:
        check_affinity(Affinity(predict=(5,)), (0, 1))
    assert e.value.hint == "allowed are 0-1"
    check_affinity(Affinity(predict=(0, 1)), (0, 1))
    beyond = max(allowed_cpus()) + 1
    with pytest.raises(ConfigError, match="may not use"):
        run_sync(
            lambda feeds: feeds,
            library(),
            scenario=ClosedLoop(1, 1),
            batching=Batching(max_batch=1),
            affinity=Affinity(loop=(beyond,)),
        )


def test_a_pacer_does_not_starve_what_shares_its_only_processor():
    """It goes before all others only if they have a processor beside it."""
    assert may_be_real_time(100, (0, 1))
    assert may_be_real_time(100, (0, 1), Affinity(loop=(0,), predict=(1,)))
    assert may_be_real_time(100, (0, 1), Affinity(loop=(0,), predict=(0, 1)))
    assert not may_be_real_time(100, (0, 1), Affinity(loop=(0,), predict=(0,)))
    assert not may_be_real_time(100, (0,))


@pytest.mark.parametrize(
    ("scenario", "roles"),
    [
        (Server(400, 0.05), {"loop", "pacer", "predict", "intra_op"}),
        (ClosedLoop(2, 10), {"loop", "predict", "intra_op"}),
        (ClosedLoop(2, 10, 1, 100_000), {"loop", "predict", "intra_op"}),
    ],
)
def test_every_thread_is_read_back_where_it_was_asked(scenario, roles):
    """Also one that Python knows nothing of; afterwards all are where they were."""
    cpus = allowed_cpus()
    first, last = cpus[:1], cpus[-1:]
    numbers, done = [], threading.Event()
    begun = threading.Event()

    def work():
        numbers.append(threading.get_native_id())
        begun.set()
        done.wait()

    _thread.start_new_thread(work, ())
    assert begun.wait(30)
    try:
        recording = run_sync(
            lambda feeds: {"y": feeds["x"]},
            library(),
            scenario=scenario,
            batching=Batching(max_batch=2, predict_threads=2),
            warm_up=BRIEF,
            affinity=Affinity(loop=first, predict=last),
        )
        assert os.sched_getaffinity(numbers[0]) == set(cpus)
    finally:
        done.set()
    assert allowed_cpus() == cpus
    asked = recording.affinity
    assert asked == Affinity(loop=first, predict=last)
    found = [each for each in recording.threads if each.role != "other"]
    assert {each.role for each in found} == roles
    assert sum(each.role == "predict" for each in found) == 2
    for each in found:
        assert each.cpus == asked.cpus_of(each.role), each
        assert each.cpu_ns >= 0
        assert each.involuntary_switches >= 0


def test_without_affinity_nothing_is_moved():
    """Threads are read all the same."""
    recording = run_sync(
        lambda feeds: {"y": feeds["x"]},
        library(),
        scenario=ClosedLoop(2, 10),
        batching=Batching(max_batch=2),
        warm_up=BRIEF,
    )
    assert not recording.affinity
    assert {each.cpus for each in recording.threads if each.role == "predict"} == {
        allowed_cpus()
    }


def test_differences_are_taken_thread_by_thread(tmp_path):
    """A thread that began in between counts from 0; one that ended is left out."""
    before = {
        1: ThreadReading("a", (0,), 100, 10, 1),
        2: ThreadReading("b", (0,), 5, None, 0),
        9: ThreadReading("gone", (0,), 5, 1, 0),
    }
    after = {
        1: ThreadReading("a", (0,), 150, 30, 4),
        2: ThreadReading("b", (1,), 6, None, 0),
        3: ThreadReading("c", (0, 1), 7, 8, 9),
    }
    uses = thread_uses(before, after, {1: "loop"})
    assert [
        (each.role, each.name, each.cpus, each.cpu_ns, each.run_delay_ns,
         each.involuntary_switches)
        for each in uses
    ] == [
        ("loop", "a", (0,), 50, 20, 3),
        ("intra_op", "b", (1,), 1, None, 0),
        ("intra_op", "c", (0, 1), 7, 8, 9),
    ]  # fmt: skip


def test_a_kernel_that_tells_less_is_not_guessed_at(tmp_path):
    """No /proc, no thread, or a field that is missing: nothing."""
    assert read_threads(tmp_path / "absent") == {}
    folder = tmp_path / "7"
    folder.mkdir()
    (folder / "stat").write_text("7 (odd) name) R " + " ".join(["1"] * 40))
    (folder / "status").write_text("Name:\todd) name\n")
    assert read_thread(7, tmp_path) is None
    (folder / "status").write_text(
        "Name:\todd) name\nCpus_allowed_list:\t0-1\nnonvoluntary_ctxt_switches:\t3\n"
    )
    read = read_thread(7, tmp_path)
    assert read == ThreadReading(
        "odd) name", (0, 1), 2 * (1_000_000_000 // os.sysconf("SC_CLK_TCK")), None, 3
    )
    (folder / "schedstat").write_text("12345 678 9\n")
    read = read_thread(7, tmp_path)
    assert (read.cpu_ns, read.run_delay_ns) == (12345, 678)
