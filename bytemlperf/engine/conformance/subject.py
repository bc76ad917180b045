"""The backend under trial: compiled and loaded as the rules need it.

Input: a `CheckJob`. Output: instances, feeds and answers. Rules raise `RuleBrokenError`
when the backend breaks them, and `NotApplicableError` when there is nothing to try.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bytemlperf.backends import (
    Backend,
    CompileResult,
    create_backend,
    find_backend,
    parse_compile_result,
)
from bytemlperf.engine.calibration import CalibrationData
from bytemlperf.engine.conformance.probe import Arrays, expected, make_feeds
from bytemlperf.engine.messages import CheckJob

__all__ = ["BATCH_SIZES", "NotApplicableError", "RuleBrokenError", "Subject"]

BATCH_SIZES = [1, 2, 4]
# Of the answers, by what the backend says it computes in; other precisions get the
# widest. Relative to the largest expected value, since a quantized format has one step
# for all of them.
TOLERANCES = {"fp64": 1e-5, "fp32": 1e-4, "tf32": 2e-3, "fp16": 1e-2, "bf16": 3e-2}
WIDEST_TOLERANCE = 0.15


class RuleBrokenError(Exception):
    """The backend did not do what the rule asks; the text says what it did."""


class NotApplicableError(Exception):
    """There is nothing to try; the text says why."""


class Subject:
    """A backend on trial.

    Parameters
    ----------
    job : CheckJob
        Which backend, with which models and answers.
    """

    def __init__(self, job: CheckJob) -> None:
        self.job = job
        path = Path(job.backend_path) if job.backend_path else None
        self.info = find_backend(job.hardware_type, path)
        self._loaded: Backend | None = None
        self._result: CompileResult | None = None

    @property
    def frameworks(self) -> list[str]:
        """The frameworks whose model it compiled, at least one."""
        compiled = [
            framework
            for framework in self.job.model_infos
            if self.job.outcomes.get(f"compile-{framework.lower()}") == "passed"
        ]
        if not compiled:
            raise NotApplicableError("it compiled the model in no format")
        return compiled

    @property
    def framework(self) -> str:
        """The one that all rules are tried with, unless they say otherwise."""
        return self.frameworks[0]

    def fresh(self) -> Backend:
        """Return a new instance."""
        return create_backend(self.info)

    def configs(self, framework: str | None = None) -> dict[str, Any]:
        """Return configs with the model in a framework's format."""
        return {
            "workload": {"model": "probe", "batch_sizes": list(BATCH_SIZES)},
            "model_info": dict(self.job.model_infos[framework or self.framework]),
            "interact_info": dict(self.job.interact_info),
        }

    def compile(self, backend: Backend, framework: str | None = None) -> Any:
        """Run what comes before `load`, as a measurement does; the raw result."""
        configs = self.configs(framework)
        for method in (backend.pre_optimize, backend.segment):
            configs = method(configs) or configs
        data = None
        if backend.need_quant:
            rows = {"a": 1, "b": 1}
            data = CalibrationData(dict(make_feeds(8, seed=8)), rows)
        return backend.compile(configs, data)

    def loaded(self, batch_size: int) -> Backend:
        """Return one instance, compiled once, with this batch size loaded."""
        if self._loaded is None:
            backend = self.fresh()
            raw = self.compile(backend)
            self._result = parse_compile_result(raw, self.job.hardware_type)
            self._loaded = backend
        self._loaded.load(batch_size)
        return self._loaded

    @property
    def result(self) -> CompileResult:
        """What `compile` returned for the instance of `loaded`."""
        self.loaded(BATCH_SIZES[-1])
        assert self._result is not None
        return self._result

    def samples(self, backend: Backend) -> int:
        """Return how many samples one `predict` takes now."""
        return int(backend.get_loaded_batch_size())

    def tolerance(self) -> float:
        """Return the largest difference allowed, as a share of the largest value."""
        precision = self.result.compile_precision.lower()
        return TOLERANCES.get(precision, WIDEST_TOLERANCE)

    def compare(self, answer: Arrays, feeds: Arrays, who: str = "predict") -> None:
        """Hold an answer against what the model computes.

        Raises
        ------
        RuleBrokenError
            An output is missing, of another shape, or further away than allowed.
        """
        if not self.job.computes:
            return
        for name, wanted in expected(feeds).items():
            came = np.asarray(answer[name], dtype=np.float64)
            if came.shape != wanted.shape:
                raise RuleBrokenError(
                    f"{who}: {name!r} has shape {came.shape}, expected {wanted.shape}"
                )
            scale = float(np.abs(wanted).max()) or 1.0
            worst = float(np.abs(came - wanted).max())
            if not worst <= self.tolerance() * scale:
                allowed = self.tolerance() * scale
                raise RuleBrokenError(
                    f"{who}: {name!r} is off by {worst:.3g}, at most {allowed:.3g} for "
                    f"{self.result.compile_precision}"
                )


def same(first: Arrays, second: Arrays) -> str | None:
    """Return how two answers differ, bit for bit; None if they do not."""
    for name, array in first.items():
        if name not in second:
            return f"{name!r} is missing"
        if not np.array_equal(array, second[name], equal_nan=array.dtype.kind == "f"):
            return f"{name!r} differs by {_largest(array, second[name])}"
    return None


def kept(answer: Arrays) -> dict[str, npt.NDArray[Any]]:
    """Copy an answer."""
    return {name: np.array(array) for name, array in answer.items()}


def _largest(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> str:
    if first.shape != second.shape:
        return f"its shape, {first.shape} and {second.shape}"
    difference = np.abs(first.astype(np.float64) - second.astype(np.float64))
    return f"{float(np.nanmax(difference)):.3g}"
