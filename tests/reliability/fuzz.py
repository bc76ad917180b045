"""Fuzz by coverage: ``python tests/reliability/fuzz.py TARGET --seconds 600``.

Needs Atheris (``pip install atheris``). A finding is printed with its bytes and ends
the run with exit code 77; memory is bounded at 2 GiB and one input at 10 s.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    sys.path.insert(0, str(Path(__file__).parents[2]))

with atheris.instrument_imports(include=["bytemlperf", "cyclopts", "hdrh"]):
    from reliability.fuzz_targets import TARGETS, seeds

from reliability.fuzz_mutation import BINARY, TEXT, changed_bytes

MAX_BYTES = 1 << 16
# The rest is damaged as bytes: the parser is fuzzed as well.
TREE_SHARE = 0.8


def mutator(target: str) -> Callable[[bytes, int, int], bytes]:
    """Return what changes a target's input."""

    def mutate(data: bytes, max_size: int, seed: int) -> bytes:
        dice = random.Random(seed)
        if dice.random() < TREE_SHARE:
            changed = changed_bytes(target, data, dice)
            if changed is not None and len(changed) <= max_size:
                return changed
        return bytes(atheris.Mutate(data, max_size))

    return mutate


def main() -> None:
    """Fuzz one target until the time is over or something is found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=sorted(TARGETS))
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--corpus", type=Path, default=None, help="kept between runs")
    arguments = parser.parse_args()
    corpus = arguments.corpus or Path(tempfile.mkdtemp(prefix="bytemlperf-corpus-"))
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(arguments.target)):
        (corpus / f"seed-{number}").write_bytes(seed)
    options = {}
    if arguments.target in TEXT | BINARY:
        options["custom_mutator"] = mutator(arguments.target)
    atheris.Setup(
        [
            sys.argv[0],
            f"-max_total_time={arguments.seconds}",
            "-rss_limit_mb=2048",
            "-timeout=10",
            f"-max_len={MAX_BYTES}",
            "-len_control=0",
            "-print_final_stats=1",
            "-reload=0",
            f"-artifact_prefix={corpus}/",
            str(corpus),
        ],
        TARGETS[arguments.target],
        **options,
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
