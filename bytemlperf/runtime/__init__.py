"""The load generator and scheduler: public, embeddable, for any asyncio program.

`run` load-tests a predict function and hands back a `Recording`; `search`, `sweep`,
`tune` and `ab` make several such runs and say what they show; `Scheduler` batches the
concurrent calls of a long-lived program. It knows no model, report or framework.
"""

from bytemlperf._native.client import Client
from bytemlperf.runtime.affinity import Affinity, parse_affinity
from bytemlperf.runtime.client_tasks import ClientTask, client_task_factory, spawn
from bytemlperf.runtime.clock import cpu_time_ns, now_ns, utc_now
from bytemlperf.runtime.compare import SideComparison, ab, compare
from bytemlperf.runtime.load_record import LoadRecording
from bytemlperf.runtime.measured import Measured
from bytemlperf.runtime.open_scenario import (
    Burst,
    ConstantRate,
    Gamma,
    Offline,
    OpenScenario,
    Ramp,
    Server,
    Trace,
)
from bytemlperf.runtime.pacing import Arrival, pace
from bytemlperf.runtime.plan import RNG_NAME, check_scenario
from bytemlperf.runtime.progress import Progress
from bytemlperf.runtime.recorder import (
    Block,
    Failure,
    Histogram,
    Recording,
    Second,
    WarmUpRecording,
)
from bytemlperf.runtime.run import run, run_sync
from bytemlperf.runtime.samples import ArraySamples, SampleLibrary
from bytemlperf.runtime.scenario import (
    Batching,
    ClosedLoop,
    Limits,
    MultiStream,
    Scenario,
    SingleStream,
    WarmUp,
    scenario_name,
)
from bytemlperf.runtime.scheduler import Scheduler
from bytemlperf.runtime.search import RateSearch, search
from bytemlperf.runtime.session import check_outputs
from bytemlperf.runtime.sweep import Tuning, sweep, tune
from bytemlperf.runtime.thread_use import ThreadUse
from bytemlperf.runtime.timeline import TIMELINE_DTYPE
from bytemlperf.runtime.trace import read_trace

__all__ = [
    "RNG_NAME",
    "TIMELINE_DTYPE",
    "Affinity",
    "ArraySamples",
    "Arrival",
    "Batching",
    "Block",
    "Burst",
    "Client",
    "ClientTask",
    "ClosedLoop",
    "ConstantRate",
    "Failure",
    "Gamma",
    "Histogram",
    "Limits",
    "LoadRecording",
    "Measured",
    "MultiStream",
    "Offline",
    "OpenScenario",
    "Progress",
    "Ramp",
    "RateSearch",
    "Recording",
    "SampleLibrary",
    "Scenario",
    "Scheduler",
    "Second",
    "Server",
    "SideComparison",
    "SingleStream",
    "ThreadUse",
    "Trace",
    "Tuning",
    "WarmUp",
    "WarmUpRecording",
    "ab",
    "check_outputs",
    "check_scenario",
    "client_task_factory",
    "compare",
    "cpu_time_ns",
    "now_ns",
    "pace",
    "parse_affinity",
    "read_trace",
    "run",
    "run_sync",
    "scenario_name",
    "search",
    "spawn",
    "sweep",
    "tune",
    "utc_now",
]
