"""Whole messages out of a byte stream that arrives in pieces.

Input: whatever a non-blocking read returned. Output: message bodies, in order. It is
the reading half of `bytemlperf.engine.messages` for a process that must never wait.
"""

from __future__ import annotations

from collections.abc import Iterator

from bytemlperf.engine.messages import MAX_FRAME_BYTES
from bytemlperf.errors import WorkerError

__all__ = ["FrameBuffer", "frame"]

HEAD_BYTES = 4


def frame(body: bytes) -> bytes:
    """Put the length before a message's body.

    Parameters
    ----------
    body : bytes
        At most 256 MiB.

    Returns
    -------
    bytes
        What goes onto the pipe.
    """
    return len(body).to_bytes(HEAD_BYTES, "big") + body


class FrameBuffer:
    """Collect bytes and give out the messages that are complete.

    Notes
    -----
    Thread-safety: one thread.
    """

    def __init__(self) -> None:
        self._pending = bytearray()

    @property
    def pending_bytes(self) -> int:
        """Bytes of a message that is not complete yet."""
        return len(self._pending)

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Take a piece of the stream; the messages come as they are asked for.

        Parameters
        ----------
        piece : bytes
            Any number of bytes.

        Yields
        ------
        bytes
            Body of a message that this piece completed. Those before nonsense come
            before the error.

        Raises
        ------
        WorkerError
            A length is absurd: this is not a message stream.
        """
        self._pending += piece
        while len(self._pending) >= HEAD_BYTES:
            head = bytes(self._pending[:HEAD_BYTES])
            length = int.from_bytes(head, "big")
            if length > MAX_FRAME_BYTES:
                raise WorkerError(
                    f"expected the length of a message, at most {MAX_FRAME_BYTES} "
                    f"bytes; got the bytes {head!r}"
                )
            end = HEAD_BYTES + length
            if len(self._pending) < end:
                return
            body = bytes(self._pending[HEAD_BYTES:end])
            del self._pending[:end]
            yield body
