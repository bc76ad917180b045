"""Samples drawn from a seed, true to what each tensor means.

Token ids are ids of the vocabulary, masks are prefixes of ones with the spread of
lengths that text has, segments agree with masks, pictures have the spectrum of pictures
rather than white noise. Every sample is drawn from (seed, index) alone: it is the same
whatever the count, and no two are alike.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bytemlperf.datasets.draft import Draft, Progress, Request, Written
from bytemlperf.datasets.sample_cache import SampleWriter
from bytemlperf.errors import PrepareError
from bytemlperf.tensor_spec import TensorSpec, last_segment

__all__ = ["draft"]

DEFAULT_COUNT = 256
MAX_DEFAULT_BYTES = 256 << 20

_TEXT = ("token_ids", "attention_mask", "segment_ids")


def draft(request: Request) -> Draft:
    """Draft synthetic samples for any model.

    Parameters
    ----------
    request : Request
        `max_samples` None means 256 samples, or as many as fit into 256 MiB (but at
        least 8).

    Returns
    -------
    Draft
        Without labels or metric.

    Raises
    ------
    PrepareError
        If a spec has a range or shape that no sample can satisfy.
    """
    shapes = {spec.name: request.shape(spec) for spec in request.specs}
    for spec in request.specs:
        _check(request.hints.model, spec, shapes[spec.name])
    count = request.max_samples or _default_count(request.specs, shapes)

    def write(out: SampleWriter, progress: Progress) -> Written:
        arrays = {
            spec.name: out.add_input(
                spec.name,
                count=count,
                dtype=spec.dtype,
                sample_shape=shapes[spec.name],
            )
            for spec in request.specs
        }
        for index in range(count):
            bits = np.random.PCG64(np.random.SeedSequence([request.seed, index]))
            _draw_sample(request.specs, arrays, index, np.random.Generator(bits))
            for spec in request.specs:
                if spec.shared:
                    arrays[spec.name][index] = arrays[spec.name][0]
            progress("drawing samples", index + 1, count)
        return Written(
            count=count, subset=f"{count} samples drawn from seed {request.seed}"
        )

    return Draft(
        unit="samples",
        transform="drawn in the range and meaning of each input",
        licence="none needed",
        write=write,
        parameters={"count": count},
    )


def _default_count(
    specs: tuple[TensorSpec, ...], shapes: dict[str, tuple[int, ...]]
) -> int:
    sample_bytes = sum(
        int(np.prod(shapes[spec.name])) * np.dtype(spec.dtype).itemsize
        for spec in specs
    )
    return max(8, min(DEFAULT_COUNT, MAX_DEFAULT_BYTES // max(1, sample_bytes)))


def _check(model: str, spec: TensorSpec, shape: tuple[int, ...]) -> None:
    where = f"{model}: input {spec.name!r}"
    low, high = _bounds(spec)
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise PrepareError(f"{where} has the empty range [{low}, {high})")
    if spec.semantics in ("token_ids", "category_pairs") and not (
        low.is_integer() and high.is_integer()
    ):
        raise PrepareError(f"{where} has the range [{low}, {high}), not of integers")
    if spec.semantics == "category_pairs" and (len(shape) != 2 or shape[1] != 2):
        raise PrepareError(f"{where} holds category pairs: shape (fields, 2), {shape}")


def _bounds(spec: TensorSpec) -> tuple[float, float]:
    """Give the spec's range, with the defaults of its meaning and dtype."""
    low: float
    high: float
    if spec.semantics in ("token_ids", "category_pairs"):
        low, high = 0, 1000
    elif np.dtype(spec.dtype) == np.bool_:
        low, high = 0, 2
    elif np.dtype(spec.dtype).kind == "u" and spec.semantics == "image":
        low, high = 0, 255
    elif np.dtype(spec.dtype).kind in "iu":
        low, high = 0, 1000
    elif spec.semantics == "image":
        low, high = 0, 1
    else:
        low, high = -1, 1
    low = low if spec.low is None else spec.low
    high = high if spec.high is None else spec.high
    return float(low), float(high)


def _draw_sample(
    specs: tuple[TensorSpec, ...],
    arrays: dict[str, npt.NDArray[Any]],
    index: int,
    random: np.random.Generator,
) -> None:
    # One length and one sentence boundary a sample, shared by its ids, mask and
    # segments. Without a mask the model cannot know padding, so nothing is padded.
    has_mask = any(spec.semantics == "attention_mask" for spec in specs)
    # The beta distribution has the mean and spread of SQuAD's features at 384 tokens.
    fraction = random.beta(2.0, 2.3) if has_mask else 1.0
    boundary = random.uniform(0.05, 0.2)
    for spec in specs:
        slot = arrays[spec.name][index]
        if spec.semantics in _TEXT:
            slot[...] = _draw_text(spec, slot.shape, fraction, boundary, random)
        elif spec.semantics == "image":
            slot[...] = _draw_image(spec, slot.shape, random)
        elif spec.semantics == "category_pairs":
            low, high = _bounds(spec)
            slot[:, 0] = np.arange(slot.shape[0])
            slot[:, 1] = random.integers(int(low), int(high), slot.shape[0])
        else:
            slot[...] = _draw_real(spec, slot.shape, random)


def _draw_text(
    spec: TensorSpec,
    shape: tuple[int, ...],
    fraction: float,
    boundary: float,
    random: np.random.Generator,
) -> npt.NDArray[np.int64]:
    longest = shape[-1]
    shortest = min(longest, 8)
    length = shortest + round(fraction * (longest - shortest))
    values = np.zeros(shape, np.int64)
    if spec.semantics == "token_ids":
        low, high = (int(bound) for bound in _bounds(spec))
        # Padding is id 0 where 0 is an id, else the lowest id.
        values[...] = low if low > 0 or high <= 0 else 0
        values[..., :length] = random.integers(low, high, (*shape[:-1], length))
    elif spec.semantics == "attention_mask":
        values[..., :length] = 1
    else:
        values[..., max(1, round(boundary * length)) : length] = last_segment(spec)
    return values


def _draw_image(
    spec: TensorSpec, shape: tuple[int, ...], random: np.random.Generator
) -> npt.NDArray[np.float32]:
    # Noise at several scales added up falls off towards high frequencies, as pictures
    # do; white noise would be the one picture no camera takes.
    picture = random.standard_normal(shape, dtype=np.float32) * np.float32(0.25)
    for cell in (4, 16, 64):
        coarse_shape = [side if side <= 4 else -(-side // cell) for side in shape]
        coarse = random.standard_normal(coarse_shape, dtype=np.float32)
        for axis, side in enumerate(shape):
            if side > 4:
                coarse = np.repeat(coarse, cell, axis=axis)
                coarse = np.take(coarse, range(side), axis=axis)
        picture += coarse * np.float32(0.5)
    low, high = _bounds(spec)
    # Four standard deviations wide: the ends of the range occur, few values are cut.
    picture = picture / np.float32(4 * 0.9) + np.float32(0.5)
    values: npt.NDArray[np.float32] = picture * np.float32(high - low) + np.float32(low)
    return values.clip(low, high)


def _draw_real(
    spec: TensorSpec, shape: tuple[int, ...], random: np.random.Generator
) -> npt.NDArray[Any]:
    low, high = _bounds(spec)
    dtype = np.dtype(spec.dtype)
    if dtype.kind in "biu":
        return random.integers(int(low), int(high), shape)
    drawn = random.random(shape, dtype=np.float64) * (high - low) + low
    cast = drawn.astype(dtype)
    # Rounding to a narrow float may land on `high`, which is not in the range.
    cast[cast >= high] = dtype.type(low)
    return cast
