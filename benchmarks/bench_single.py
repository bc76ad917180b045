"""What one client at batch 1 costs: the hand-over between threads, or none.

Measures
    A query of one closed-loop client at batch 1 with a null predict: ours through the
    hand-over to a predict thread, ours in a lane (the client runs on the predict
    thread), ByteMLPerf's timed loop, and LoadGen's SingleStream with an answer in the
    issuing callback and from a worker thread. LoadGen's figures are its own.

Does not measure
    Many clients. The hand-over depends on how fast this machine wakes a sleeping
    processor, which a virtual machine decides: look at its spread.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

from benchmarks.contenders import bare, loadgen, ours
from benchmarks.results import ScriptResult
from benchmarks.script import Settings, enter_ours, run_script
from benchmarks.windows import measure_in_turns


def measure(settings: Settings, result: ScriptResult) -> None:
    """Measure all of them in turns.

    Parameters
    ----------
    settings : Settings
        How much.
    result : ScriptResult
        Where to report.
    """
    cheap = settings.pick(1000, 50_000, 200_000)
    handed = settings.pick(200, 3000, 20_000)
    missing: dict[str, str] = {}
    with ExitStack() as stack:
        timed = bare.byte_mlperf_loop(cheap)
        hand_over = stack.enter_context(ours.hand_over(handed))
        contenders = [bare.predict_loop(cheap), timed, hand_over]
        lane = enter_ours(
            stack, partial(ours.lane, cheap), missing, "lane/loadgen", "lane/timed"
        )
        if lane is not None:
            contenders.append(lane)
        if loadgen.is_installed():
            inline = stack.enter_context(loadgen.single_stream_inline(cheap))
            worker = stack.enter_context(loadgen.single_stream_thread(handed * 4))
            contenders += [inline, worker]
        figures = measure_in_turns(contenders, settings.windows)
    result.add_costs(figures)

    if not loadgen.is_installed():
        for bar in ("lane/loadgen", "handover/loadgen"):
            missing.pop(bar, None)
            result.excuse(bar, "not measured", loadgen.LOADGEN_ABSENT)
    else:
        result.judge(
            "handover/loadgen",
            figures.ratio(worker.name, hand_over.name, is_cpu_comparable=False),
            "predict is `dict`: C code that needs the interpreter's lock",
        )
        result.details["hand-over against SingleStream inline, x"] = figures.ratio(
            inline.name, hand_over.name
        ).median
        if lane is not None:
            result.judge(
                "lane/loadgen",
                figures.ratio(inline.name, lane.name, is_cpu_comparable=False),
            )
    if lane is not None:
        result.judge("lane/timed", figures.ratio(lane.name, timed.name))
    for bar, why in missing.items():
        result.excuse(bar, "not built", why)


if __name__ == "__main__":
    run_script(__file__, __doc__, measure)
