"""What predicting leaves behind is found after the point."""

from __future__ import annotations

import contextlib
import ctypes
import random
import subprocess

import numpy as np
import pytest

from bytemlperf.engine.left_behind import LeftBehind, growth_warning
from bytemlperf.runtime import ArraySamples

MIB = 1 << 20
QUARTER_NS = 250_000_000


@pytest.fixture
def samples():
    return ArraySamples({"x": np.arange(64, dtype=np.float32).reshape(4, 16)})


def looks(sizes):
    return [(index * QUARTER_NS, size) for index, size in enumerate(sizes)]


def test_a_sample_that_was_written_to_spoils_the_point(samples):
    """The library is compared with what it was made of."""
    with contextlib.closing(LeftBehind(samples, "GOYA")) as left:
        assert left.reasons() == []
        lent = samples.load(range(4))["x"]
        ctypes.memset(lent[2:].ctypes.data, 1, 4)
        samples.unload(range(4))
        (reason,) = left.reasons()
    assert reason.startswith("GOYA.predict wrote to its input 'x' (row 2 has changed)")


def test_samples_are_let_go(samples):
    """Holding them is no leak of our own."""
    LeftBehind(samples, "GOYA").close()
    assert "0 loaded" in repr(samples)


def test_a_process_that_is_left_is_named(samples):
    """Those from before the point are not its fault."""
    with contextlib.ExitStack() as stack:
        old = stack.enter_context(subprocess.Popen(["sleep", "600"]))
        stack.callback(old.kill)
        left = stack.enter_context(contextlib.closing(LeftBehind(samples, "GOYA")))
        assert left.warnings(1) == []
        new = stack.enter_context(subprocess.Popen(["sleep", "600"]))
        stack.callback(new.kill)
        (warning,) = left.warnings(1)
    assert f"left 1 process(es) behind (pid {new.pid}" in warning


def test_memory_is_read_when_looked(samples):
    """A look costs one line of the kernel's, and files' pages do not count."""
    with contextlib.closing(LeftBehind(samples, "GOYA")) as left:
        for index in range(12):
            left.look(index * QUARTER_NS)
        assert left.warnings(1000) == []


def test_a_leak_is_told_by_its_rate():
    """1 MiB in each look is 4 MiB a second; 40 looks over 390 predicts."""
    warning = growth_warning("GOYA", looks(i * MIB for i in range(40)), 390)
    assert warning is not None
    assert "by 4.00 MiB a second or 102 KiB a predict" in warning


@pytest.mark.parametrize(
    "sizes",
    [
        [0] * 40,
        # An allocator's step, early and late.
        [0] * 5 + [500 * MIB] * 35,
        [0] * 30 + [500 * MIB] * 10,
        # Filling a cache, then level.
        [min(i, 20) * MIB for i in range(40)],
        # Less than anybody would miss.
        [i * 1024 for i in range(40)],
        # Too short to tell.
        [i * MIB for i in range(9)],
        # Shrinking.
        [-i * MIB for i in range(40)],
    ],
    ids=["level", "early", "late", "cache", "little", "short", "shrinking"],
)
def test_what_is_no_leak(sizes):
    """Memory that grows once, or hardly, is none."""
    assert growth_warning("GOYA", looks(sizes), 390) is None


def test_noise_is_seldom_taken_for_a_leak():
    """Of 1000 windows in which memory only moves about, few warn."""
    rng = random.Random(3)
    warned = sum(
        growth_warning("GOYA", looks(rng.gauss(0, 50 * MIB) for _ in range(40)), 9)
        is not None
        for _ in range(1000)
    )
    assert warned < 10
