"""What `history` shows.

Input: what was asked. Output: text, a page, an exit code.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

import bytemlperf
from bytemlperf.errors import ConfigError
from bytemlperf.report.collect import collect_results
from bytemlperf.report.history.store import add_results, history_path, read_series
from bytemlperf.report.history.view import reading_figure, reading_lines
from bytemlperf.report.storage import make_folder, write_bytes_atomic
from bytemlperf.runtime.clock import utc_now

__all__ = ["show_history"]


def show_history(
    *,
    task: str,
    hardware_type: str,
    metric: str,
    last: int,
    add: Sequence[Path],
    html: Path | None,
) -> int:
    """Add, read, print, and draw."""
    if last < 1:
        raise ConfigError(f"--last {last}: expected at least 1")
    path = history_path()
    if path is None:
        raise ConfigError("there is no history: BYTEMLPERF_HISTORY is off")
    if add:
        print(f"added {add_results(path, collect_results(add))} results to {path}")
    found = read_series(path, metric, task=task, hardware_type=hardware_type)
    # Changes are looked for in what is shown: an older level is not this one's news.
    readings = [
        msgspec.structs.replace(each, entries=each.entries[-last:]) for each in found
    ]
    for reading in readings:
        print("\n".join(reading_lines(reading)))
        print()
    if not readings:
        print(f"no run of {task!r} on {hardware_type!r} with {metric} in {path}")
    if html is not None:
        from bytemlperf.report.site.pages import history_page

        page = history_page(
            [
                reading_figure(reading, f"series-{index}")
                for index, reading in enumerate(readings)
            ],
            metric=metric,
            generated_at_utc=f"{utc_now():%Y-%m-%d %H:%M:%S} UTC",
            version=bytemlperf.__version__,
        )
        make_folder(html.absolute().parent)
        write_bytes_atomic(html, page.encode("utf-8", "replace"))
        print(html)
    return 0
