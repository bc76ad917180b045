"""A short version of the fuzzing: seeded damage to good input, and worse by hand."""

from __future__ import annotations

import base64
import random
import resource
import zlib

import pytest
from reliability.fuzz_mutation import changed_bytes
from reliability.fuzz_targets import TARGETS, seeds

from bytemlperf.errors import ConfigError
from bytemlperf.runtime import Histogram

ROUNDS = 300
# The command line's own library takes 20 ms for each.
SLOW_ROUNDS = {"command_line": 60}
WORDS = (
    b"null", b"-1", b"1e999", b'"', b"{", b"[" * 40, b"\xff", b"\x00", b"9" * 30,
)  # fmt: skip


def damaged(name: str, data: bytes, dice: random.Random) -> bytes:
    """Return data changed as a tree, or with a few cuts, repeats and foreign words."""
    if dice.random() < 0.5:
        changed = changed_bytes(name, data, dice)
        if changed is not None:
            return changed
    for _ in range(dice.randint(1, 4)):
        start = dice.randint(0, len(data))
        end = min(len(data), start + dice.randint(0, 12))
        piece = dice.choice([b"", data[start:end] * 2, dice.choice(WORDS)])
        data = data[:start] + piece + data[end:]
    return data


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_damaged_input_is_refused_or_read(name: str) -> None:
    """Never an error of another kind, whatever the bytes."""
    dice = random.Random(name)
    good = seeds(name)
    for _ in range(SLOW_ROUNDS.get(name, ROUNDS)):
        TARGETS[name](damaged(name, dice.choice(good), dice))
    for data in (b"", b"[" * 100_000, b"null", bytes(range(256))):
        TARGETS[name](data)


def test_good_input_is_read() -> None:
    """The seeds are not all refused: the targets reach what they are to test."""
    for name, target in TARGETS.items():
        assert any(target(seed) is not None for seed in seeds(name)), name


def test_a_histogram_cannot_fill_memory() -> None:
    """100 MB of zeros packed into 100 kB are refused before they are unpacked."""
    bomb = zlib.compress(b"\0" * 100_000_000, 9)
    envelope = (0x1C849304).to_bytes(4, "big") + len(bomb).to_bytes(4, "big")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ConfigError, match="unpacks to more than"):
        Histogram.decode(base64.b64encode(envelope + bomb))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000
