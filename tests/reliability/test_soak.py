"""A short version of the soak: seconds instead of hours, the same bounds."""

from __future__ import annotations

import pytest
from reliability.soak import MAX_GROWTH_BYTES, soak_clients, soak_load

pytestmark = pytest.mark.slow


def test_load_does_not_grow() -> None:
    """Some hundred thousand queries: memory, threads and descriptors stay."""
    assert soak_load(5.0, lambda _: None) <= MAX_GROWTH_BYTES


def test_many_clients_are_all_answered() -> None:
    """Fifty thousand at once, three answers each."""
    assert soak_clients(50_000, lambda _: None) == 0
