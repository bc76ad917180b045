"""What the models are, and how to get them.

Input: a name. Output: a model on the disk in its source format, and what it ought
to answer. It refuses to know backends, datasets and load; importing it imports no
framework.
"""

from __future__ import annotations

from bytemlperf.model_zoo.calibration import CalibrationSamples
from bytemlperf.model_zoo.catalog import (
    bundled_artefact,
    hash_model_info,
    list_models,
    load_model_info,
)
from bytemlperf.model_zoo.legacy_fields import plain_name
from bytemlperf.model_zoo.prepare import PreparedModel, prepare_model
from bytemlperf.model_zoo.reference import (
    forget_reference,
    reference_key,
    reference_outputs,
)
from bytemlperf.model_zoo.schema import (
    Checkpoint,
    ModelInfo,
    ReferenceScore,
    parse_model_info,
)
from bytemlperf.model_zoo.substructure_models import list_substructure_models
from bytemlperf.model_zoo.training import TrainingSamples
from bytemlperf.model_zoo.view import backend_model_info

__all__ = [
    "CalibrationSamples",
    "Checkpoint",
    "ModelInfo",
    "PreparedModel",
    "ReferenceScore",
    "TrainingSamples",
    "backend_model_info",
    "bundled_artefact",
    "forget_reference",
    "hash_model_info",
    "list_models",
    "list_substructure_models",
    "load_model_info",
    "parse_model_info",
    "plain_name",
    "prepare_model",
    "reference_key",
    "reference_outputs",
]
