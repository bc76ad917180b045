"""Messages out of a stream in pieces."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bytemlperf.errors import WorkerError
from bytemlperf.launch.frames import FrameBuffer, frame


@settings(deadline=None, derandomize=True)
@given(st.lists(st.binary(max_size=40)), st.integers(1, 17))
def test_any_cutting_gives_the_same_messages(bodies: list[bytes], step: int) -> None:
    """What a pipe does to a stream does not matter."""
    stream = b"".join(frame(body) for body in bodies)
    buffer = FrameBuffer()
    got = []
    for start in range(0, len(stream), step):
        got += buffer.feed(stream[start : start + step])
    assert got == bodies
    assert buffer.pending_bytes == 0


def test_a_message_cut_short_is_pending() -> None:
    """The caller can tell a clean end from a torn one."""
    buffer = FrameBuffer()
    assert list(buffer.feed(frame(b"whole") + frame(b"cut")[:-1])) == [b"whole"]
    assert buffer.pending_bytes == 6


def test_an_absurd_length_is_not_waited_for() -> None:
    """Text on the pipe is noticed at its first four bytes."""
    with pytest.raises(WorkerError, match="expected the length of a message"):
        list(FrameBuffer().feed(b"Traceback"))


def test_messages_before_nonsense_are_not_lost() -> None:
    """A finished point may stand in the same piece as what broke the stream."""
    bodies = FrameBuffer().feed(frame(b"point") + b"Traceback")
    assert next(bodies) == b"point"
    with pytest.raises(WorkerError, match="expected the length of a message"):
        next(bodies)
