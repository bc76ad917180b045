"""FarmHash Fingerprint64 of short strings: TensorFlow's `to_hash_bucket_fast`.

Input: at most 16 bytes. Output: the 64-bit fingerprint Google's FarmHash defines, which
it promises never to change. Longer strings take other branches, which Criteo's hashed
categories (8 characters) never need.
"""

from __future__ import annotations

from bytemlperf.errors import PrepareError

__all__ = ["MAX_BYTES", "fingerprint64", "hash_bucket"]

MAX_BYTES = 16

_MASK = (1 << 64) - 1
_K0 = 0xC3A5C85C97CB3127
_K2 = 0x9AE16A3B2F90404F


def hash_bucket(text: str, buckets: int) -> int:
    """Assign a text to a bucket as ``tf.strings.to_hash_bucket_fast`` does.

    Parameters
    ----------
    text : str
        At most 16 bytes in UTF-8.
    buckets : int, > 0
        Number of buckets.

    Returns
    -------
    int
        In ``[0, buckets)``.

    Raises
    ------
    PrepareError
        If the text is longer.
    """
    return fingerprint64(text.encode()) % buckets


def fingerprint64(content: bytes) -> int:
    """Give FarmHash's Fingerprint64 of up to 16 bytes.

    Parameters
    ----------
    content : bytes
        At most 16.

    Returns
    -------
    int
        In ``[0, 2**64)``.

    Raises
    ------
    PrepareError
        If there are more.
    """
    length = len(content)
    if length > MAX_BYTES:
        raise PrepareError(
            f"a category should have at most {MAX_BYTES} bytes, it has {length}",
            detail=repr(content[:64]),
        )
    if length >= 8:
        multiplier = _K2 + length * 2
        first = int.from_bytes(content[:8], "little") + _K2
        last = int.from_bytes(content[-8:], "little")
        high = (_rotate(last, 37) * multiplier + first) & _MASK
        low = ((_rotate(first & _MASK, 25) + last) * multiplier) & _MASK
        return _mix_pair(high, low, multiplier)
    if length >= 4:
        first = int.from_bytes(content[:4], "little")
        last = int.from_bytes(content[-4:], "little")
        return _mix_pair(length + (first << 3), last, _K2 + length * 2)
    if length:
        low = content[0] + (content[length >> 1] << 8)
        high = length + (content[-1] << 2)
        return _fold((low * _K2 ^ high * _K0) & _MASK) * _K2 & _MASK
    return _K2


def _mix_pair(high: int, low: int, multiplier: int) -> int:
    mixed = _fold((high ^ low) * multiplier & _MASK)
    return _fold((low ^ mixed) * multiplier & _MASK) * multiplier & _MASK


def _fold(value: int) -> int:
    return value ^ value >> 47


def _rotate(value: int, places: int) -> int:
    return (value >> places | value << (64 - places)) & _MASK
