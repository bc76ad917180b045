"""Rules about what is returned before the first prediction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bytemlperf.backends import parse_compile_result
from bytemlperf.engine.conformance.probe import OUTPUT_WIDTHS
from bytemlperf.engine.conformance.subject import (
    BATCH_SIZES,
    NotApplicableError,
    RuleBrokenError,
    Subject,
)
from bytemlperf.errors import CompileError

__all__ = ["attributes", "compiles", "coverage", "load", "profile", "version"]

KEYS = ("name", "note", "dialog_type", "type", "default", "depends")
DIALOGS = ("Yes/No Dialog", "Input Dialog", "Radiolist Dialog")
TYPES: dict[str, tuple[type, ...]] = {
    "bool": (bool,),
    "int": (int,),
    "float": (int, float),
    "str": (str,),
}


def version(subject: Subject) -> str:
    """Ask for the version."""
    answer: object = subject.fresh().version()
    if not isinstance(answer, str) or not answer.strip():
        raise RuleBrokenError(f"it returned {answer!r}")
    return answer


def attributes(subject: Subject) -> str:
    """Read the attributes."""
    backend = subject.fresh()
    name = subject.info.hardware_type
    if backend.hardware_type != name:
        raise RuleBrokenError(
            f"hardware_type is {backend.hardware_type!r}, expected {name!r}"
        )
    for attribute in ("need_reload", "need_quant", "need_model"):
        value: object = getattr(backend, attribute)
        if not isinstance(value, bool):
            raise RuleBrokenError(f"{attribute} is {value!r}, expected a bool")
    return ", ".join(
        f"{name}={getattr(backend, name)}" for name in ("need_reload", "need_quant")
    )


def profile(subject: Subject) -> str:
    """Read the questions."""
    questions: Any = subject.fresh().get_interact_profile({}) or []
    if not isinstance(questions, list):
        raise RuleBrokenError(f"it is {type(questions).__name__}, expected a list")
    for index, question in enumerate(questions):
        where = f"question {index}"
        missing = [key for key in KEYS if key not in question]
        if missing:
            raise RuleBrokenError(f"{where} has no {', '.join(missing)}")
        where = f"question {question['name']!r}"
        if question["dialog_type"] not in DIALOGS:
            raise RuleBrokenError(
                f"{where}: dialog_type {question['dialog_type']!r}, expected one of "
                f"{', '.join(DIALOGS)}"
            )
        wanted = TYPES.get(str(question["type"]).lower())
        default = question["default"]
        if wanted and default is not None and type(default) not in wanted:
            raise RuleBrokenError(
                f"{where}: default {default!r} is no {question['type']}"
            )
        options = question.get("options")
        if options and default is not None and default not in options:
            raise RuleBrokenError(f"{where}: default {default!r} is not an option")
    return f"{len(questions)} question{'' if len(questions) == 1 else 's'}"


def compiles(framework: str) -> Callable[[Subject], str]:
    """Return the check for one model format."""

    def check(subject: Subject) -> str:
        if framework not in subject.job.model_infos:
            raise NotApplicableError("not asked for")
        backend = subject.fresh()
        try:
            raw = subject.compile(backend, framework)
        except Exception as error:
            # To refuse a format is allowed; that some format works is a rule below.
            raise NotApplicableError(
                f"refused: {type(error).__name__}: {_first_line(error)}"
            ) from error
        try:
            result = parse_compile_result(raw, subject.job.hardware_type)
        except CompileError as error:
            raise RuleBrokenError(error.message) from error
        if result.compile_status != "success":
            raise NotApplicableError(f"compile_status {result.compile_status!r}")
        inputs = {name for s in result.segments for name in s.input_tensor_map}
        outputs = {name for s in result.segments for name in s.output_tensor_map}
        if not {"a", "b"} <= inputs or not set(OUTPUT_WIDTHS) <= outputs:
            raise RuleBrokenError(
                f"its segments take {', '.join(sorted(inputs))} and return "
                f"{', '.join(sorted(outputs))}; the model takes a, b and returns "
                f"{', '.join(OUTPUT_WIDTHS)}"
            )
        return f"{result.compile_precision}, {len(result.segments)} segment(s)"

    return check


def coverage(subject: Subject) -> str:
    """Compare the claimed coverage with the segments."""
    result = subject.result
    fallbacks = sum(segment.is_fallback for segment in result.segments)
    if fallbacks and result.sg_percent >= 100:
        raise RuleBrokenError(
            f"sg_percent is {result.sg_percent:g}, but {fallbacks} of "
            f"{len(result.segments)} segments fall back to the CPU"
        )
    if not fallbacks and result.sg_percent < 100:
        raise RuleBrokenError(
            f"sg_percent is {result.sg_percent:g}, but no segment falls back: where "
            "are the other operators run?"
        )
    return f"{result.sg_percent:g} %, {fallbacks} fallback segment(s), as claimed"


def load(subject: Subject) -> str:
    """Load every batch size."""
    sizes = []
    for batch_size in BATCH_SIZES:
        backend = subject.loaded(batch_size)
        loaded: object = backend.get_loaded_batch_size()
        if not isinstance(loaded, int) or isinstance(loaded, bool) or loaded < 1:
            raise RuleBrokenError(
                f"after load({batch_size}) it returned {loaded!r}, expected an int >= 1"
            )
        sizes.append(loaded)
    if sizes == BATCH_SIZES:
        return "as asked"
    return f"asked for {BATCH_SIZES}, loaded {sizes}: queries are split and padded"


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    return lines[0][:200]
