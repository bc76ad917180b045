"""Samples in memory, and the order in which they are asked for."""

from __future__ import annotations

import numpy as np
import pytest

from bytemlperf.errors import ConfigError, ResourceError
from bytemlperf.runtime import ArraySamples, SampleLibrary
from bytemlperf.runtime.plan import SampleOrder
from bytemlperf.runtime.samples import aligned_step


def library(count=10):
    return ArraySamples(
        {
            "ids": np.arange(count * 3, dtype=np.int64).reshape(count, 3),
            "pairs": np.arange(count * 4 * 2, dtype=np.float32).reshape(count * 4, 2),
        },
        {"pairs": 4},
    )


def test_spec_tells_rows_of_a_sample():
    """The first dimension of a spec is what a sample takes on axis 0."""
    samples = library()
    assert isinstance(samples, SampleLibrary)
    assert samples.count == 10
    assert [(each.name, each.dtype, each.shape) for each in samples.spec] == [
        ("ids", "int64", (1, 3)),
        ("pairs", "float32", (4, 2)),
    ]


def test_load_copies_the_chosen_in_order():
    """Loaded arrays hold whole samples, aligned, contiguous and read-only."""
    samples = library()
    loaded = samples.load([7, 0, 7])
    assert loaded["ids"].tolist() == [[21, 22, 23], [0, 1, 2], [21, 22, 23]]
    assert loaded["pairs"].shape == (12, 2)
    assert loaded["pairs"][4:8].ravel().tolist() == list(range(8))
    for array in loaded.values():
        assert array.ctypes.data % 64 == 0
        assert array.flags.c_contiguous
        assert not array.flags.writeable
    assert repr(samples) == "<ArraySamples [3 loaded of 10 | ids, pairs]>"


def test_loads_nest():
    """The same samples are loaded once however often, others not at the same time."""
    samples = library()
    first = samples.load(range(4))
    assert samples.load(range(4))["ids"] is first["ids"]
    with pytest.raises(ResourceError, match="4 other samples are loaded"):
        samples.load([1])
    samples.unload(range(4))
    assert samples.load(range(4))["ids"] is first["ids"]
    samples.unload(range(4))
    samples.unload(range(4))
    with pytest.raises(ResourceError, match="not loaded: 4 given, 0 loaded"):
        samples.unload(range(4))


def test_memory_maps_load(tmp_path):
    """An array that lives in a file is a source like any other."""
    path = tmp_path / "x.npy"
    np.save(path, np.arange(12, dtype=np.float32).reshape(6, 2))
    samples = ArraySamples({"x": np.load(path, mmap_mode="r")})
    assert samples.load([5])["x"].tolist() == [[10, 11]]


@pytest.mark.parametrize(
    ("arrays", "rows", "message"),
    [
        ({}, None, "at least one input"),
        ({"x": np.zeros((3, 1))}, {"y": 2}, "names 'y', but the inputs are"),
        ({"x": np.zeros((3, 1))}, {"x": 2}, "3 rows, which is not a whole number"),
        ({"x": np.zeros((3, 1))}, {"x": 0}, "at least 1 row, not 0"),
        ({"x": np.zeros((3, 1)), "y": np.zeros((2, 1))}, None, "inputs disagree"),
        ({"x": np.array([None, 1])}, None, "not plain data"),
        ({"x": np.zeros((4, 4)).T[:, 1:]}, None, "C-contiguous"),
        ({"x": np.zeros((4, 0))}, None, "holds no data"),
    ],
)
def test_refuses_arrays_that_cannot_be_samples(arrays, rows, message):
    """What is wrong with an array is said with its name and shape."""
    with pytest.raises(ConfigError, match=message):
        ArraySamples(arrays, rows)


@pytest.mark.parametrize(
    ("indices", "message"), [([], "nothing to load"), ([10], "sample 10 does not")]
)
def test_refuses_samples_that_do_not_exist(indices, message):
    """Only samples that exist are loaded, and at least one."""
    with pytest.raises(ConfigError, match=message):
        library().load(indices)


def test_aligned_step():
    """Every input must begin at a multiple of 64 bytes, step by step."""
    assert aligned_step([64, 128]) == 1
    assert aligned_step([4]) == 16
    assert aligned_step([48, 32]) == 4
    assert aligned_step([1, 640]) == 64


def test_order_is_a_function_of_the_seed():
    """The same seed draws the same samples, another one others."""
    drawn = [SampleOrder(100, 2, step=1, seed=seed).draw() for seed in (3, 3, 4)]
    assert np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])
    assert drawn[0].min() == 0
    assert drawn[0].max() == 98


def test_order_is_pinned():
    """The generator is PCG64, whose numbers are the same everywhere."""
    assert SampleOrder(1000, 1, step=1, seed=0).draw()[:5].tolist() == [
        850, 636, 511, 269, 307,
    ]  # fmt: skip


def test_order_is_aligned_only_if_every_sample_is_drawn():
    """Alignment is given up where it would leave samples out."""
    aligned = SampleOrder(100, 16, step=16, seed=0).draw()
    assert set(aligned % 16) == {0}
    anywhere = SampleOrder(100, 8, step=16, seed=0).draw()
    assert len(set(anywhere)) == 93


def test_order_needs_enough_samples():
    """A query larger than the library cannot be drawn."""
    with pytest.raises(ConfigError, match="takes 8 samples, but only 7"):
        SampleOrder(7, 8, step=1, seed=0)
    with pytest.raises(ConfigError, match="must be >= 0, not -1"):
        SampleOrder(7, 7, step=1, seed=-1)
