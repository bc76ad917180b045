"""One call for a load test: warm up, measure, and hand back what was recorded.

Samples and predict come in, a `Recording` goes out. It refuses to know models, files
(but for the timeline it is told to keep), reports and frameworks.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

from bytemlperf._native.timeline import Timeline
from bytemlperf.errors import ConfigError
from bytemlperf.runtime.affinity import Affinity, allowed_cpus, check_affinity
from bytemlperf.runtime.client_path import ClientBody, ClientPath
from bytemlperf.runtime.predictor import InputLayout, Predict
from bytemlperf.runtime.progress import Progress, ProgressTeller
from bytemlperf.runtime.recorder import Recording
from bytemlperf.runtime.samples import Array, SampleLibrary
from bytemlperf.runtime.scenario import Batching, Limits, Scenario, WarmUp
from bytemlperf.runtime.session import Check, Session, check_outputs
from bytemlperf.runtime.timeline import CHUNK_ROWS, TimelineWriter

__all__ = ["run", "run_sync"]


async def run(
    predict: Predict,
    samples: SampleLibrary,
    *,
    scenario: Scenario,
    batching: Batching,
    seed: int = 0,
    schedule_seed: int = 0,
    limits: Limits = Limits(),
    warm_up: WarmUp = WarmUp(),
    timeline_path: str | Path | None = None,
    on_progress: Callable[[Progress], object] | None = None,
    check: Check = check_outputs,
    indices: Sequence[int] | None = None,
    start_gate: Callable[[], object] | None = None,
    client_path: ClientPath = "auto",
    client_body: ClientBody | None = None,
    affinity: Affinity = Affinity(),
    share: tuple[int, int] = (0, 1),
) -> Recording:
    """Load-test `predict` on the running event loop.

    Parameters
    ----------
    predict : callable
        ``predict(feeds) -> outputs``, called in `batching.predict_threads` threads at
        once. The feeds are read-only, 64-byte aligned and valid until it returns; each
        has the rows of the batch's samples on axis 0.
    samples : SampleLibrary
        Where samples come from; they are loaded before the clock starts, on the loop.
    scenario : Scenario
        How load arrives: `SingleStream`, `MultiStream` or `ClosedLoop`, whose clients
        wait for answers; `Offline`, `Server`, `ConstantRate`, `Gamma`, `Burst`, `Ramp`
        or `Trace`, which do not.
    batching : Batching
        How queries become batches.
    seed : int, default 0
        Of the order of samples, >= 0.
    schedule_seed : int, default 0
        Of the moments of an open loop, >= 0; of no effect in a closed one.
    limits : Limits
        When the run ends early.
    warm_up : WarmUp
        What goes before measuring.
    timeline_path : str or Path, optional
        Keep every row in this .npy file (warm-up too, flagged).
    on_progress : callable, optional
        Told at most four times a second, in a thread of its own.
    check : callable
        ``check(outputs, sample_count)`` is called once, outside the timed path, with a
        copy of what the first batch answered; it raises if that is wrong.
    indices : sequence of int, optional
        Which samples to load; None: all.
    start_gate : callable, optional
        Called in a thread of its own between the warm-up and the measured part, which
        begins when it returns: how several processes begin at the same moment. If it
        returns a whole number, an open loop's schedule counts from that moment, ns on
        the clock of `now_ns`, a few milliseconds ahead.
    client_path : "auto", "native", "task" or "bare", default "auto"
        What a client is. Native: no Python at all. A task: a coroutine in a task of its
        own, with all that tasks promise. Bare: a coroutine that may await anything, but
        has no task and no context variables of its own. "auto" is native, unless the
        clients have a body or must wait for room in the queue.
        `Recording.client_kind` says what it was, `Recording.path_reason` why.
    client_body : callable, optional
        ``await client_body(client)`` is what each client does; ``await client`` in it
        asks one query, and ``client.is_open`` tells whether it may ask another. None:
        clients ask, think and ask again.
    affinity : Affinity
        Processors of each kind of thread; see `parse_affinity`. Those that frameworks
        make are moved between the warm-up and the measured part, and all are back where
        they were at the end. `Recording.threads` says what was read back.
    share : (int, int), default (0, 1)
        Which of how many processes this one is: it issues every so many queries of an
        open loop's schedule, so that all together issue the whole of it.

    Returns
    -------
    Recording
        What was measured. If predict raised, `Recording.ended_by` is ``"failed"`` and
        `Recording.error` is the `PredictError`, with the original as its cause.

    Raises
    ------
    ConfigError
        The request is wrong; nothing ran.
    PredictError
        The first batch's outputs did not pass `check`.
    StorageError
        The timeline cannot be written.

    Notes
    -----
    Cancelling it waits for the batch that predict is working on, then ends all threads.
    """
    check_affinity(affinity, allowed_cpus())
    chosen = range(samples.count) if indices is None else indices
    max_batch = batching.queries_per_batch(scenario.samples_per_query)
    if scenario.samples_per_query > len(chosen):
        raise ConfigError(
            f"a query takes {scenario.samples_per_query} samples, but the library "
            f"brings only {len(chosen)}",
            hint="bring more samples, or lower samples_per_query",
        )
    library = samples.load(chosen)
    try:
        with contextlib.ExitStack() as stack:
            writer = None
            if timeline_path is not None:
                writer = stack.enter_context(
                    contextlib.closing(TimelineWriter(Path(timeline_path)))
                )
            timeline = Timeline(
                scenario.samples_per_query,
                max_batch,
                settle_batches=warm_up.settle_batches,
                settle_windows=warm_up.settle_windows,
                settle_tolerance=warm_up.settle_tolerance,
                chunk_rows=CHUNK_ROWS if writer else 0,
                on_chunk=writer.append if writer else None,
            )
            session = Session(
                predict,
                library,
                len(chosen),
                [_layout(spec.name, library, spec.shape[0]) for spec in samples.spec],
                scenario=scenario,
                batching=batching,
                seed=seed,
                schedule_seed=schedule_seed,
                limits=limits,
                warm_up=warm_up,
                timeline=timeline,
                check=check,
                start_gate=start_gate,
                client_path=client_path,
                body=client_body,
                affinity=affinity,
                share=share,
            )
            if on_progress is None:
                return await session.run()
            with ProgressTeller(
                timeline, on_progress, on_error=session.stop_soon
            ) as teller:
                recording = await session.run()
            if teller.error is not None:
                raise teller.error
            return recording
    finally:
        samples.unload(chosen)


def _layout(name: str, library: Mapping[str, Array], rows: int | str) -> InputLayout:
    if not isinstance(rows, int):
        raise ConfigError(f"input {name!r} has no fixed number of rows per sample")
    array = library[name]
    return InputLayout(name, array.dtype, rows, array.shape[1:])


def run_sync(predict: Predict, samples: SampleLibrary, **options: Any) -> Recording:
    """Run a load test from code that has no event loop.

    It uses uvloop, or asyncio where uvloop is not installed; `Recording.loop` says
    which. The global event loop policy is left alone.

    Parameters
    ----------
    predict : callable
        See `run`.
    samples : SampleLibrary
        See `run`.
    **options
        See `run`.

    Returns
    -------
    Recording
        See `run`.
    """
    try:
        import uvloop
    except ImportError:
        factory = asyncio.new_event_loop
    else:
        factory = uvloop.new_event_loop
    coroutine: Coroutine[Any, Any, Recording] = run(predict, samples, **options)
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(coroutine)
