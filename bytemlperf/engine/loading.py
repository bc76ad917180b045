"""Load a batch size and predict a few times, outside the clock, with real samples.

Input: a compiled backend. Output: `Loaded`, with the durations that everything after it
is predicted from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import numpy.typing as npt

from bytemlperf.backends import Backend
from bytemlperf.engine.emitter import Emitter
from bytemlperf.engine.fitting import FittedPredict
from bytemlperf.engine.loan import Loan
from bytemlperf.engine.vendor_calls import vendor_call
from bytemlperf.errors import LoadError
from bytemlperf.runtime.clock import now_ns

__all__ = ["DEADLINE_BATCHES", "Loaded", "load_batch_size", "pilot_count"]

LOAD_DEADLINE_SECONDS = 1800.0
# A just-in-time compiler may work in the first two calls: the third tells the truth.
# Slow models are not asked so often.
PILOT_PREDICTS = 3
MIN_PILOT_PREDICTS = 2
MAX_PILOT_NS = 2_000_000_000
# Silence of this many predicted batches means a hang, however slow the model is.
DEADLINE_BATCHES = 20


class Loaded(msgspec.Struct, frozen=True):
    """A backend ready for one batch size.

    Parameters
    ----------
    predict : FittedPredict
        Answers queries of `batch_size` samples.
    batch_size : int
        As asked.
    load_ns : int
        Duration of `Backend.load`.
    first_predict_ns, batch_ns : int
        Durations of the first predict and of the last pilot.
    warnings : list of str
        What the framework had to do to fit the batch size, and what the backend does
        with memory that is not its own.
    """

    predict: FittedPredict
    batch_size: int
    load_ns: int
    first_predict_ns: int
    batch_ns: int
    warnings: list[str]


def load_batch_size(
    backend: Backend,
    batch_size: int,
    *,
    samples: Mapping[str, npt.NDArray[Any]],
    rows_per_sample: Mapping[str, int],
    output_names: tuple[str, ...],
    predicted_batch_ns: int,
    emitter: Emitter,
    phase: str = "load",
    predict: Callable[[Mapping[str, npt.NDArray[Any]]], dict[str, npt.NDArray[Any]]]
    | None = None,
    shared: tuple[str, ...] = (),
) -> Loaded:
    """Load a batch size and predict a few times, checking the answers.

    Parameters
    ----------
    backend : Backend
        Compiled.
    batch_size : int
        Samples per query.
    samples : mapping of str to ndarray
        At least one query's samples, rows on axis 0.
    rows_per_sample : mapping of str to int
        Rows of one sample, by input name.
    output_names : tuple of str
        Outputs that must come.
    predicted_batch_ns : int
        How long a predict may be expected to take, for the deadline; 0: unknown.
    emitter : Emitter
        Told of the phase.
    phase : str
        Its name.
    predict : callable, optional
        Runs one batch, such as a chain of segments; default: the backend's `predict`.
    shared : tuple of str
        Inputs that are fed one sample's rows whatever the batch.

    Returns
    -------
    Loaded
        Ready.

    Raises
    ------
    LoadError
        `load` raised, or the loaded batch size is not a count.
    PredictError
        `predict` raised, answered wrongly or wrote to its inputs.
    """
    who = backend.hardware_type
    deadline = LOAD_DEADLINE_SECONDS + DEADLINE_BATCHES * predicted_batch_ns / 1e9
    emitter.phase(phase, deadline, batch_size=batch_size)
    start_ns = now_ns()
    vendor_call(who, "load", lambda: backend.load(batch_size), LoadError)
    load_ns = now_ns() - start_ns
    loaded: Any = vendor_call(
        who, "get_loaded_batch_size", backend.get_loaded_batch_size, LoadError
    )
    if not isinstance(loaded, int) or loaded < 1:
        raise LoadError(
            f"{who}.get_loaded_batch_size returned {loaded!r}, expected an int >= 1"
        )
    fitted = FittedPredict(
        backend,
        rows_per_sample=rows_per_sample,
        output_names=output_names,
        loaded_batch_size=loaded,
        predict=predict,
        shared=shared,
    )
    loan = Loan(
        {
            name: array[: batch_size * rows_per_sample[name]]
            for name, array in samples.items()
        },
        rows_per_sample,
        who,
    )
    durations_ns: list[int] = []
    answers: list[dict[str, npt.NDArray[Any]]] = []
    while len(durations_ns) < MIN_PILOT_PREDICTS or (
        len(durations_ns) < PILOT_PREDICTS and sum(durations_ns) < MAX_PILOT_NS
    ):
        feeds = loan.feeds
        start_ns = now_ns()
        answers.append(fitted.checked(feeds))
        durations_ns.append(now_ns() - start_ns)
        loan.check_untouched()
        # The two last ones, which is as many as a run holds of a predict thread.
        del answers[:-2]
    shared_memory = loan.answer_warnings(*answers)
    del answers, feeds
    return Loaded(
        predict=fitted,
        batch_size=batch_size,
        load_ns=load_ns,
        first_predict_ns=durations_ns[0],
        batch_ns=durations_ns[-1],
        warnings=[
            *_fit_warnings(who, fitted, batch_size),
            *shared_memory,
            *loan.end(),
        ],
    )


def pilot_count(batch_ns: int) -> int:
    """Return how many pilot predicts a batch of this duration gets.

    Parameters
    ----------
    batch_ns : int
        Duration of one, >= 0.

    Returns
    -------
    int
        2 or 3.
    """
    is_slow = MIN_PILOT_PREDICTS * batch_ns >= MAX_PILOT_NS
    return MIN_PILOT_PREDICTS if is_slow else PILOT_PREDICTS


def _fit_warnings(who: str, predict: FittedPredict, batch_size: int) -> list[str]:
    """Say what the framework does because the backend loaded another batch size."""
    loaded = predict.loaded_batch_size
    if loaded == batch_size:
        return []
    calls = predict.predict_count(batch_size)
    padded = calls * loaded - batch_size
    text = f"{who} loaded batch size {loaded}: a query of {batch_size} takes {calls}"
    text += " predict" + ("s" if calls > 1 else "")
    if padded:
        text += f" with {padded} padded sample" + ("s" if padded > 1 else "")
    return [text]
