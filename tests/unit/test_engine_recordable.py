"""What cannot be put on record is found before it is sent, and named."""

from __future__ import annotations

import io
from typing import Any

import msgspec
import numpy as np
import pytest
from support.sample_results import make_point

from bytemlperf.engine.emitter import Emitter
from bytemlperf.engine.messages import (
    Event,
    PointDone,
    VendorBenchmark,
    Warned,
    read_frame,
)
from bytemlperf.engine.recordable import MAX_TEXT_CHARS, check_recordable, printable
from bytemlperf.errors import WorkerError


@pytest.mark.parametrize(
    "figures",
    [
        {"qps": object()},
        {"qps": np.float32(1)},
        {1: "a number as a key"},
        {"count": 1 << 64},
        {"path": "/dev/\udcff"},
    ],
)
def test_what_cannot_be_written_is_refused_unsent(figures: dict[Any, Any]) -> None:
    """The launcher would take it for a broken worker, and end the task."""
    pipe = io.BytesIO()
    with pytest.raises(WorkerError, match="VendorBenchmark cannot be put on record"):
        Emitter(pipe).record(VendorBenchmark(figures))
    assert pipe.getvalue() == b""


def test_a_nested_abyss_is_refused() -> None:
    """Deeper than the stack: an error, not a crash."""
    deep: dict[str, Any] = {}
    for _ in range(100_000):
        deep = {"x": deep}
    with pytest.raises(WorkerError, match="cannot be put on record"):
        check_recordable(VendorBenchmark(deep))
    # Taken apart by hand: the interpreter's own way down is as deep.
    while deep:
        deep = deep.pop("x")


def test_a_number_that_is_none_is_refused() -> None:
    """JSON has no NaN: a result with one could not be read again."""
    point = make_point(4, query_count=10)
    wrong = msgspec.structs.replace(point, throughput_samples_per_s=float("nan"))
    check_recordable(PointDone(point))
    with pytest.raises(
        WorkerError, match=r"PointDone cannot .*throughput_samples_per_s"
    ):
        check_recordable(PointDone(wrong))


def test_text_of_any_bytes_can_be_sent() -> None:
    """What is not Unicode stays readable."""
    text = printable("cannot read /dev/\udcff")
    assert text == r"cannot read /dev/\udcff"
    pipe = io.BytesIO()
    Emitter(pipe).emit(Warned(text))
    pipe.seek(0)
    body = read_frame(pipe)
    assert body is not None
    assert msgspec.msgpack.decode(body, type=Event) == Warned(text)


def test_text_without_end_is_cut_in_the_middle() -> None:
    """Its beginning and its end are what somebody looks for."""
    text = printable("a" * MAX_TEXT_CHARS + "b" * MAX_TEXT_CHARS)
    assert len(text) < MAX_TEXT_CHARS + 100
    assert (text[0], text[-1]) == ("a", "b")
    assert f"{MAX_TEXT_CHARS} characters left out" in text
