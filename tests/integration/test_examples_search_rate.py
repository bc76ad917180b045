"""The example that searches, sweeps and compares, with short runs of the real thing."""

from __future__ import annotations

import asyncio
import importlib.util
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "search_rate.py"


def test_the_example_says_what_it_found(capsys):
    """Whatever the machine can do: every setting, every metric and the rates tried."""
    spec = importlib.util.spec_from_file_location("search_rate", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    asyncio.run(
        module.main(objective="p50<=20ms", queries=320, seconds=0.05, max_probes=2)
    )
    said = capsys.readouterr().out
    for max_batch in (1, 4, 16):
        assert f"max_batch {max_batch}: " in said
    assert "max_batch 16 against 1: qps x" in said
    assert "max_batch 16 against 1: p50 x" in said
    assert "schedule_seed 1: " in said
    assert said.splitlines()[-1].startswith("p50<=20ms: met twice at ")
