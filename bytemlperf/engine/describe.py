"""Import a backend in its own environment and say what it wants.

Input: a `DescribeJob`. Output: `BackendDescribed`.
"""

from __future__ import annotations

from pathlib import Path

from bytemlperf.backends import create_backend, find_backend
from bytemlperf.engine.emitter import Emitter
from bytemlperf.engine.messages import BackendDescribed, DescribeJob
from bytemlperf.engine.vendor_calls import vendor_call

__all__ = ["describe_backend"]

DESCRIBE_DEADLINE_SECONDS = 300.0


def describe_backend(job: DescribeJob, emitter: Emitter) -> None:
    """Describe a backend.

    Parameters
    ----------
    job : DescribeJob
        Which backend.
    emitter : Emitter
        Gets the answer.

    Raises
    ------
    BackendError
        The backend cannot be imported, or one of its methods raised.
    """
    emitter.phase("describe", DESCRIBE_DEADLINE_SECONDS, job.hardware_type)
    path = Path(job.backend_path) if job.backend_path else None
    backend = create_backend(find_backend(job.hardware_type, path))
    profile = vendor_call(
        job.hardware_type,
        "get_interact_profile",
        lambda: backend.get_interact_profile({}),
    )
    emitter.emit(
        BackendDescribed(
            version=str(vendor_call(job.hardware_type, "version", backend.version)),
            need_model=backend.need_model,
            need_reload=backend.need_reload,
            need_quant=backend.need_quant,
            interact_profile=list(profile or []),
        )
    )
