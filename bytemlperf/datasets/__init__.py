"""Datasets: raw data in, per-input ``.npy`` files and label columns out.

A *prepare* process calls `prepare_samples`; a *measure* process, which may have nothing
but numpy and msgspec, calls `open_arrays` and `open_labels`. This room knows no metric
and no backend.
"""

from bytemlperf.datasets.downloads import DataFile, data_files, missing_files
from bytemlperf.datasets.draft import Draft, Progress, Request, Unavailable, Written
from bytemlperf.datasets.prepare import DATASETS, find_data_root, prepare_samples
from bytemlperf.datasets.prepared import (
    Metric,
    ModelHints,
    PreparedSamples,
    load_prepared,
    open_arrays,
    open_labels,
)
from bytemlperf.datasets.sample_cache import SampleWriter

__all__ = [
    "DATASETS",
    "DataFile",
    "Draft",
    "Metric",
    "ModelHints",
    "PreparedSamples",
    "Progress",
    "Request",
    "SampleWriter",
    "Unavailable",
    "Written",
    "data_files",
    "find_data_root",
    "load_prepared",
    "missing_files",
    "open_arrays",
    "open_labels",
    "prepare_samples",
]
