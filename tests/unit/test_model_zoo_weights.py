"""Drawn weights: the same bits everywhere, of the distribution they say."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bytemlperf.errors import PrepareError
from bytemlperf.model_zoo.builders.pictures import draw_pictures
from bytemlperf.model_zoo.weights import Draw, check_names, hash_weights


def test_bits_depend_on_seed_and_name_alone() -> None:
    """The same name gives the same numbers, another name or seed gives others."""
    one = Draw(0, "fc.weight", (3, 4)).normal(1.0)
    assert np.array_equal(one, Draw(0, "fc.weight", (3, 4)).normal(1.0))
    assert not np.array_equal(one, Draw(0, "fc2.weight", (3, 4)).normal(1.0))
    assert not np.array_equal(one, Draw(1, "fc.weight", (3, 4)).normal(1.0))


def test_bits_are_the_same_in_another_process() -> None:
    """Hash seeds and import order change nothing."""
    code = (
        "from bytemlperf.model_zoo.weights import Draw;"
        "import hashlib; d = Draw(7, 'a.b', (64, 64));"
        "print(hashlib.sha256(d.normal(0.02).tobytes()).hexdigest())"
    )
    root = Path(__file__).parents[2]
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            check=True,
            cwd=root,
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    here = Draw(7, "a.b", (64, 64)).normal(0.02)
    assert found == {hashlib.sha256(here.tobytes()).hexdigest()}


def test_draws_have_the_stated_distribution() -> None:
    """Deviation, cut, bounds, mean; always float32."""
    shape = (400, 250)
    normal = Draw(0, "n", shape).normal(0.02)
    assert normal.dtype == np.float32
    assert normal.std() == pytest.approx(0.02, rel=0.02)
    assert abs(normal.mean()) < 2e-4
    assert np.abs(Draw(0, "c", shape).normal(0.5, cut=2.0)).max() <= 1.0
    uniform = Draw(0, "u", shape).uniform(0.3)
    assert uniform.dtype == np.float32
    assert uniform.min() >= -0.3
    assert uniform.max() < 0.3
    assert uniform.std() == pytest.approx(0.3 / 3**0.5, rel=0.02)
    assert Draw(0, "f", (2,)).fill(1.0).tolist() == [1.0, 1.0]


def test_fans_are_those_of_a_convolution() -> None:
    """Out and in channels times the kernel."""
    draw = Draw(0, "conv", (8, 3, 5, 5))
    assert (draw.fan("in"), draw.fan("out")) == (75, 200)


def test_the_hash_sees_names_shapes_and_bits_but_no_order() -> None:
    """Two dictionaries hash alike if they are alike."""
    a, b = np.arange(6, dtype=np.float32), np.ones(2, dtype=np.float32)
    base = hash_weights({"a": a, "b": b})
    assert hash_weights({"b": b, "a": a}) == base
    assert hash_weights({"a": a.reshape(2, 3), "b": b}) != base
    assert hash_weights({"a": b, "b": a}) != base
    assert hash_weights({"a": a, "b": -b}) != base
    transposed = np.arange(6, dtype=np.float32).reshape(2, 3).T
    assert hash_weights({"a": transposed}) == hash_weights({"a": transposed.copy()})


def test_wrong_names_are_counted_and_shown() -> None:
    """A checkpoint of something else is refused with examples."""
    check_names(["a", "b"], ["b", "a"], "x.pth")
    with pytest.raises(PrepareError, match=r"x\.pth: 1 of 2 tensors are missing"):
        check_names(["a", "c"], ["a", "b"], "x.pth")


def test_pictures_are_normalised_and_not_alike() -> None:
    """Mean about 0, deviation about 1, smooth, and each another."""
    pictures = draw_pictures(8, 64, seed=3)
    assert pictures.shape == (8, 3, 64, 64)
    assert pictures.dtype == np.float32
    assert pictures.std() == pytest.approx(1.0, abs=0.3)
    assert not np.array_equal(pictures[0], pictures[1])
    # Neighbours agree more than strangers, as in photographs.
    steps = np.abs(np.diff(pictures, axis=-1)).mean()
    assert steps < 0.75 * np.abs(pictures[:4] - pictures[4:]).mean()
