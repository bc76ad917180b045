"""What a backend is told of a model: ByteMLPerf's `model_info`.

Input: a `ModelInfo` and where the model is. Output: the dictionary that stands in
``configs["model_info"]``.
"""

from __future__ import annotations

from typing import Any

import msgspec

from bytemlperf.model_zoo.prepare import PreparedModel
from bytemlperf.model_zoo.schema import ModelInfo

__all__ = ["backend_model_info"]


def backend_model_info(
    info: ModelInfo, prepared: PreparedModel | None
) -> dict[str, Any]:
    """Describe a model to a backend.

    Parameters
    ----------
    info : ModelInfo
        From the model file.
    prepared : PreparedModel or None
        Where it is; None for a backend that wants no model.

    Returns
    -------
    dict
        Plain JSON values. The keys of ByteMLPerf's model files as they were
        (`inputs`, `outputs` and `input_type` are comma strings, `input_shape` maps
        names to lists), with `model_path` the real path; then `tensors`,
        `output_tensors` (lists of dicts), `parameters`, `weights` and `sha256`.
    """
    # Through JSON, so that it is the same dictionary on either end of a pipe.
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(info))
    for ours in (
        "builder", "seed", "source", "licence", "reference_scores", "preprocess",
        "training",
    ):  # fmt: skip
        del plain[ours]
    plain["model_path"] = prepared.model_path if prepared else ""
    plain["weights"] = prepared.weights if prepared else "none"
    plain["sha256"] = prepared.sha256 if prepared else ""
    return plain
