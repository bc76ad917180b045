"""Rules about what a prediction says."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bytemlperf.engine.conformance.probe import OUTPUT_WIDTHS, aligned, make_feeds
from bytemlperf.engine.conformance.subject import (
    BATCH_SIZES,
    NotApplicableError,
    RuleBrokenError,
    Subject,
    kept,
    same,
)

__all__ = [
    "batch_invariant",
    "by_name",
    "correct",
    "deterministic",
    "nan",
    "shapes",
]

# Other batch sizes take other kernels: the last bits may differ.
INVARIANCE = 1e-3


def shapes(subject: Subject) -> str:
    """Look at names, kinds and shapes."""
    for batch_size in BATCH_SIZES:
        backend = subject.loaded(batch_size)
        rows = subject.samples(backend)
        answer: Any = backend.predict(make_feeds(rows))
        if not isinstance(answer, dict):
            raise RuleBrokenError(
                f"it returned {type(answer).__name__}, expected a dict of arrays"
            )
        missing = [name for name in OUTPUT_WIDTHS if name not in answer]
        if missing:
            raise RuleBrokenError(f"it left out {', '.join(missing)}")
        for name, width in OUTPUT_WIDTHS.items():
            value = answer[name]
            if not isinstance(value, np.ndarray):
                raise RuleBrokenError(
                    f"{name!r} is {type(value).__name__}, expected a numpy array"
                )
            if value.shape != (rows, width):
                raise RuleBrokenError(
                    f"{name!r} has shape {value.shape} for {rows} samples, expected "
                    f"{(rows, width)}"
                )
    return f"batch sizes {', '.join(map(str, BATCH_SIZES))}"


def correct(subject: Subject) -> str:
    """Compare with numpy, in every format that it compiled."""
    if not subject.job.computes:
        raise NotApplicableError("it computes nothing, and says so")
    for framework in subject.frameworks:
        backend = subject.fresh()
        subject.compile(backend, framework)
        for batch_size in BATCH_SIZES:
            backend.load(batch_size)
            feeds = make_feeds(subject.samples(backend), seed=batch_size)
            who = f"{framework}, batch {batch_size}"
            subject.compare(backend.predict(feeds), feeds, who)
    names = ", ".join(subject.frameworks)
    return f"{names}: within {subject.tolerance():g} of the largest value"


def by_name(subject: Subject) -> None:
    """Hand the inputs over in another order."""
    backend = subject.loaded(BATCH_SIZES[-1])
    feeds = make_feeds(subject.samples(backend), seed=7)
    forward = kept(backend.predict(feeds))
    backward = backend.predict({name: feeds[name] for name in reversed(feeds)})
    difference = same(forward, backward)
    if difference:
        raise RuleBrokenError(f"with the inputs in another order, {difference}")


def batch_invariant(subject: Subject) -> str:
    """Predict each sample alone and among others."""
    backend = subject.loaded(BATCH_SIZES[-1])
    size = subject.samples(backend)
    feeds = make_feeds(size, seed=11)
    together = kept(backend.predict(feeds))
    backend = subject.loaded(1)
    small = subject.samples(backend)
    # With one batch size only, a sample is among copies of itself, at another place.
    how = "alone in a padded batch" if small == size else f"in a batch of {small}"
    for row in range(size):
        repeated = {
            name: aligned(np.repeat(array[row : row + 1], small, axis=0))
            for name, array in feeds.items()
        }
        answer = backend.predict(repeated)
        for name, array in together.items():
            alone = np.asarray(answer[name], dtype=np.float64)[0]
            scale = float(np.abs(array).max()) or 1.0
            worst = float(np.abs(alone - array[row].astype(np.float64)).max())
            if not worst <= INVARIANCE * scale:
                raise RuleBrokenError(
                    f"sample {row}, {name!r}: {how} it is off by {worst:.3g} from its "
                    f"answer in a batch of {size}"
                )
    return how


def deterministic(subject: Subject) -> None:
    """Ask twice."""
    backend = subject.loaded(BATCH_SIZES[-1])
    feeds = make_feeds(subject.samples(backend), seed=13)
    first = kept(backend.predict(feeds))
    for _ in range(3):
        difference = same(first, backend.predict(feeds))
        if difference:
            raise RuleBrokenError(f"asked again, {difference}")


def nan(subject: Subject) -> None:
    """Put NaN into the first sample."""
    if not subject.job.computes:
        raise NotApplicableError("it computes nothing, and says so")
    backend = subject.loaded(BATCH_SIZES[-1])
    size = subject.samples(backend)
    if size < 2:
        raise NotApplicableError("it takes one sample at a time")
    clean = make_feeds(size, seed=17)
    before = kept(backend.predict(clean))
    poisoned: npt.NDArray[Any] = np.array(clean["a"])
    poisoned[0, 0] = np.nan
    answer = backend.predict({"a": aligned(poisoned), "b": clean["b"]})
    for name, array in before.items():
        if not np.allclose(answer[name][1:], array[1:], rtol=INVARIANCE, atol=1e-3):
            raise RuleBrokenError(f"NaN in sample 0 changed {name!r} of other samples")
    if not np.isnan(np.asarray(answer["mixed"], dtype=np.float64)[0, 0]):
        raise RuleBrokenError(
            f"2 a - b with a = NaN came as {answer['mixed'][0, 0]!r}: NaN was replaced"
        )
