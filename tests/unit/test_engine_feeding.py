"""How many samples a performance run holds."""

from __future__ import annotations

import numpy as np

from bytemlperf.engine import feeding
from bytemlperf.engine.feeding import resident


def arrays(count):
    return {
        "a": np.arange(count * 2, dtype=np.float32).reshape(-1, 1),
        "b": np.arange(count, dtype=np.float32).reshape(-1, 1),
    }


def test_few_samples_are_repeated_whole():
    """Three samples fill a batch of four twice over; inputs stay together."""
    found = resident(arrays(3), 3, 4)
    assert found["a"][:, 0].tolist() == [0, 1, 2, 3, 4, 5] * 2
    assert found["b"][:, 0].tolist() == [0, 1, 2] * 2


def test_many_samples_are_cut_to_what_fits(monkeypatch):
    """Twelve bytes a sample: of ten, 40 bytes hold the first three, a batch five."""
    monkeypatch.setattr(feeding, "MAX_RESIDENT_BYTES", 40)
    every = arrays(10)
    found = resident(every, 10, 1)
    assert found["a"][:, 0].tolist() == [0, 1, 2, 3, 4, 5]
    assert found["b"][:, 0].tolist() == [0, 1, 2]
    # A view: nothing of a memory map is read.
    assert np.shares_memory(found["a"], every["a"])
    assert len(resident(every, 10, 5)["b"]) == 5
    monkeypatch.setattr(feeding, "MAX_RESIDENT_BYTES", 1000)
    assert len(resident(every, 10, 1)["b"]) == 10
