"""The result of a task: raw numbers with units in their names, and their origin.

Input: nothing. Output: msgspec structs that are the JSON on disk, versioned.
Every duration is an int in nanoseconds unless the name says otherwise; every field is
defined in docs/measurement.md. Formatting happens elsewhere, at the very edge.
"""

from __future__ import annotations

from bytemlperf.report.schema.compilation import CompileReport
from bytemlperf.report.schema.conformance import ConformanceReport, RuleOutcome
from bytemlperf.report.schema.coverage import (
    ArtefactReport,
    CoverageReport,
    SegmentReport,
)
from bytemlperf.report.schema.distribution import Distribution, SeriesSecond
from bytemlperf.report.schema.ease_of_use import (
    BackendFacts,
    EaseOfUse,
    TaskTrouble,
)
from bytemlperf.report.schema.hardware_card import HardwareCard
from bytemlperf.report.schema.imported import ImportedFrom
from bytemlperf.report.schema.invocation import InvocationIndex, NodeEntry, TaskEntry
from bytemlperf.report.schema.load import LoadReport
from bytemlperf.report.schema.overhead import OverheadReport
from bytemlperf.report.schema.point import (
    Point,
    PointPart,
    SkippedPoint,
    WarmUpReport,
)
from bytemlperf.report.schema.provenance import Host, Provenance
from bytemlperf.report.schema.quality import (
    AccuracyReport,
    NumericOutput,
    NumericReport,
    WorstSample,
)
from bytemlperf.report.schema.statistics import LatencyBlock, RunStatistics
from bytemlperf.report.schema.subject import DatasetReport, ModelReport
from bytemlperf.report.schema.target import DifferenceBins, TargetCheck
from bytemlperf.report.schema.task import Failure, Status, TaskResult
from bytemlperf.report.schema.threads import ThreadGroup
from bytemlperf.report.schema.wall_time import PhaseTime

__all__ = [
    "SCHEMA_VERSION",
    "AccuracyReport",
    "ArtefactReport",
    "BackendFacts",
    "EaseOfUse",
    "TaskTrouble",
    "CompileReport",
    "ConformanceReport",
    "CoverageReport",
    "DatasetReport",
    "DifferenceBins",
    "Distribution",
    "Failure",
    "HardwareCard",
    "Host",
    "ImportedFrom",
    "InvocationIndex",
    "LoadReport",
    "LatencyBlock",
    "ModelReport",
    "NodeEntry",
    "NumericOutput",
    "NumericReport",
    "OverheadReport",
    "PhaseTime",
    "Point",
    "PointPart",
    "Provenance",
    "RunStatistics",
    "RuleOutcome",
    "SegmentReport",
    "SeriesSecond",
    "SkippedPoint",
    "Status",
    "TargetCheck",
    "TaskEntry",
    "TaskResult",
    "ThreadGroup",
    "WarmUpReport",
    "WorstSample",
]

SCHEMA_VERSION = 1
