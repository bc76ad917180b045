"""What holds for every test."""

from __future__ import annotations

from pathlib import Path

import pytest
from reliability.command import listen_to_signals

# These start processes, sockets and clusters on a machine shared with others.
_ON_THE_MACHINE = ("integration", "reliability")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give a test that starts processes one second try, which the summary tells.

    Failing twice is a failure. What passes only the second time is shown as RERUN
    with what went wrong, and is to be mended: unit and native tests get no second try.

    Parameters
    ----------
    items
        What was collected; markers are added in place.
    """
    here = Path(__file__).parent
    for item in items:
        if item.path.relative_to(here).parts[0] in _ON_THE_MACHINE:
            item.add_marker(pytest.mark.flaky(reruns=1))


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


@pytest.fixture(autouse=True, scope="session")
def _signals_are_heard():
    """Take back what ``nohup`` and background jobs of shells pass on: signals ignored.

    The command keeps them ignored, as it should, and tests that send one would wait.
    """
    listen_to_signals()
