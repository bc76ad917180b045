"""Whole messages out of a byte stream that arrives in pieces.

Input: whatever a non-blocking read returned. Output: message bodies, in order. It is
the reading half of `bytemlperf.engine.messages` for a process that must never wait.
"""

from __future__ import annotations

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

    def feed(self, piece: bytes) -> list[bytes]:
        """Take a piece of the stream.

        Parameters
        ----------
        piece : bytes
            Any number of bytes.

        Returns
        -------
        list of bytes
            Bodies of the messages that this piece completed.

        Raises
        ------
        WorkerError
            A length is absurd: this is not a message stream.
        """
        self._pending += piece
        bodies = []
        start = 0
        while len(self._pending) - start >= HEAD_BYTES:
            body_start = start + HEAD_BYTES
            head = bytes(self._pending[start:body_start])
            length = int.from_bytes(head, "big")
            if length > MAX_FRAME_BYTES:
                raise WorkerError(
                    f"expected the length of a message, at most {MAX_FRAME_BYTES} "
                    f"bytes; got the bytes {head!r}"
                )
            if len(self._pending) - body_start < length:
                break
            start = body_start + length
            bodies.append(bytes(self._pending[body_start:start]))
        del self._pending[:start]
        return bodies
