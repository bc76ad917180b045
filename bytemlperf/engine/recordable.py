"""What can be put on record: known before it is sent, so that it costs only itself.

Input: events, and whatever a vendor's exception said. Output: the same text in a form
that can be sent, or an error that names what cannot.
"""

from __future__ import annotations

import msgspec

from bytemlperf.engine.messages import MAX_FRAME_BYTES, Event
from bytemlperf.errors import WorkerError

__all__ = ["check_recordable", "printable"]

# More than any traceback that somebody reads.
MAX_TEXT_CHARS = 1 << 16

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Event)
_json_decoder = msgspec.json.Decoder(Event)


def check_recordable(event: Event) -> None:
    """See whether the journal can keep an event and a result show it.

    Parameters
    ----------
    event : Event
        Before it is sent: the launcher takes what it cannot read for a broken worker.

    Raises
    ------
    WorkerError
        Something in it has no form in MessagePack or JSON (an object, a number beyond
        64 bits, NaN where a number must be, text that is not Unicode), is of another
        type than it should be, or is beyond 256 MiB.
    """
    try:
        body = _encoder.encode(event)
        _decoder.decode(body)
        _json_decoder.decode(msgspec.json.encode(event))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise WorkerError(
            f"{type(event).__name__} cannot be put on record: {printable(str(error))}"
        ) from error
    if len(body) > MAX_FRAME_BYTES:
        raise WorkerError(
            f"{type(event).__name__} cannot be put on record: expected at most "
            f"{MAX_FRAME_BYTES} bytes, got {len(body)}"
        )


def printable(text: str) -> str:
    """Return text that can be sent, whatever an exception of a vendor said.

    Parameters
    ----------
    text : str
        Any, also with bytes of file names that are not Unicode.

    Returns
    -------
    str
        At most `MAX_TEXT_CHARS`, the middle left out; what is not Unicode as escapes.
    """
    clean = text.encode("utf-8", "backslashreplace").decode()
    if len(clean) <= MAX_TEXT_CHARS:
        return clean
    half = MAX_TEXT_CHARS // 2
    left_out = len(clean) - 2 * half
    return f"{clean[:half]}\n... {left_out} characters left out ...\n{clean[-half:]}"
