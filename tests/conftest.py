"""What holds for every test."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True, scope="session")
def _own_history(tmp_path_factory):
    """Keep the runs of tests out of the user's history.

    Yields
    ------
    None
        Until the last test.
    """
    with pytest.MonkeyPatch.context() as patch:
        path = tmp_path_factory.mktemp("history") / "history.sqlite"
        patch.setenv("BYTEMLPERF_HISTORY", str(path))
        yield
