"""What a report says about the way of queries and of their data."""

from __future__ import annotations

import msgspec
from support.sample_results import make_point

from bytemlperf.report.path_words import input_words, path_words
from bytemlperf.report.schema.hand_over import (
    HandOverReport,
    InputReport,
    WaitReport,
)


def point(**changes):
    return msgspec.structs.replace(make_point(1), **changes)


def test_a_lane_waits_for_nobody():
    """In a lane there is only the rule that chose it."""
    lane = point(predict_path="lane", path_reason="nobody thinks")
    assert path_words([lane]) == "lane, because nobody thinks"
    assert path_words([point()]) is None


def test_waits_of_both_sides_are_summed_over_points():
    """Spins, sleeps and the processor time that spinning took."""
    waits = HandOverReport(
        clients=WaitReport(1000, 20, 15, 0, 30_000_000, 0),
        predict=WaitReport(2, 3, 0, 1, 10_000_000, 0),
    )
    told = point(
        predict_path="hand-over",
        path_reason="lanes were ruled out",
        hand_over=waits,
        window_ns=400_000_000,
    )
    assert path_words([told, told]) == (
        "hand-over, because lanes were ruled out; waits for answers: 2,000 spun, "
        "40 slept; for queries: 4 spun, 6 slept (10.0% of a processor spun, "
        "2 times cut short)"
    )


def test_copies_are_named():
    """Views and gathers are ours; what the backend copies is told apart."""
    views = point(view_count=3, gather_count=0)
    assert input_words([views]) == "3 of 3 batches are views of the samples"
    in_place = msgspec.structs.replace(views, inputs=InputReport(0, 0))
    assert input_words([in_place]) == (
        "3 of 3 batches are views of the samples; the framework reads them in place"
    )
    copied = point(view_count=1, gather_count=2, inputs=InputReport(6, 4096))
    assert input_words([copied]) == (
        "1 of 3 batches are views of the samples, the others were gathered; "
        "the backend copied 6 arrays (4.00 KiB) for its framework"
    )
    assert input_words([point(view_count=0, gather_count=0)]) is None
