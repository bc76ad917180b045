"""How much is prepared for a task."""

from __future__ import annotations

import pytest

from bytemlperf.engine.reference_file import MAX_REFERENCE_OPS, reference_count


@pytest.mark.parametrize(
    ("wanted", "ops", "count"),
    [
        (16, None, 16),
        (16, 0, 16),
        (16, 70_000_000_000, 16),
        (16, MAX_REFERENCE_OPS // 7, 7),
        (16, MAX_REFERENCE_OPS, 2),
        (1, MAX_REFERENCE_OPS, 1),
    ],
)
def test_a_giant_model_has_few_reference_samples(
    wanted: int, ops: int | None, count: int
) -> None:
    """The reference costs a bounded time, and is never of no sample."""
    assert reference_count(wanted, ops) == count
