"""What each process did, as a person reads it."""

from __future__ import annotations

from rich.console import Console
from support.sample_results import make_point

from bytemlperf.engine.merge import merge_points
from bytemlperf.engine.placement import Placement
from bytemlperf.report.parts_table import parts_table


def drawn(points) -> str:
    console = Console(width=160, no_color=True)
    with console.capture() as captured:
        console.print(parts_table(points))
    return captured.get()


def merged(count: int):
    shares = [
        make_point(8, query_count=500 + number, seed=number) for number in range(count)
    ]
    placements = [
        Placement((number, number + 1, 9), (0,), {"CUDA_VISIBLE_DEVICES": str(number)})
        for number in range(count)
    ]
    return merge_points(shares, placements=placements, clients=3 * count, min_queries=7)


def test_each_process_has_a_row():
    """With what it was held to, and its own figures."""
    text = drawn([make_point(4), merged(2)])
    rows = [line.split("  ") for line in text.splitlines() if "CUDA" in line]
    assert len(rows) == 2
    assert "0: cores 0-1,9, CUDA_VISIBLE_DEVICES=0" in text
    assert " 500 " in text
    assert " 501 " in text


def test_a_page_is_not_filled_with_processes():
    """The rest is in the result, which is said."""
    assert "and 4 more, in the result" in drawn([merged(20)])


def test_one_process_needs_no_table():
    assert parts_table([make_point(4)]) is None
