"""The rules of the contract: what each asks, why it matters, and how to mend it.

Input: nothing. Output: `RULES`, in the order in which they are tried. The checks
themselves are in the modules beside this one, one function a rule.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from bytemlperf.engine.conformance import answers, conduct, contract, resources
from bytemlperf.engine.conformance.subject import Subject

__all__ = ["RULES", "Rule"]

Check = Callable[[Subject], str | None]


class Rule(msgspec.Struct, frozen=True):
    """One rule.

    Parameters
    ----------
    name : str
        Short and unique.
    asks : str
        What a backend has to do.
    why : str
        Which number goes wrong otherwise.
    mend : str
        What to change.
    check : callable
        Tries it; returns what was seen, or raises.
    must : bool
        Whether breaking it makes measurements wrong; otherwise they are only worse.
    deadline_seconds : float
        Longer silence is a hang.
    """

    name: str
    asks: str
    why: str
    mend: str
    check: Check
    must: bool = True
    deadline_seconds: float = 120.0


COMPILE_SECONDS = 1800.0
FRAMEWORKS = ("Onnx", "Pytorch", "Tensorflow")


def _compiles(framework: str) -> Rule:
    return Rule(
        name=f"compile-{framework.lower()}",
        asks=f"compiles a model in the {framework} format, or refuses it by raising",
        why="model coverage counts what is compiled; a wrong result describes nothing",
        mend="return the dictionary of the vendor guide, with the declared names",
        check=contract.compiles(framework),
        deadline_seconds=COMPILE_SECONDS,
    )


RULES: tuple[Rule, ...] = (
    Rule(
        "version",
        "version() returns a text that is not empty",
        "a report that does not say what was measured cannot be compared",
        "return your compiler's version and the driver's",
        contract.version,
    ),
    Rule(
        "attributes",
        "hardware_type, need_reload, need_quant and need_model are set",
        "the framework decides by them what to load and what to hand over",
        "set them in __init__; hardware_type is the folder's name",
        contract.attributes,
    ),
    Rule(
        "profile",
        "questions have the keys of a profile, and their defaults fit them",
        "a run without a terminal takes the defaults",
        "see the table of keys in the vendor guide",
        contract.profile,
    ),
    *map(_compiles, FRAMEWORKS),
    Rule(
        "coverage",
        "sg_percent agrees with the segments that fall back",
        "coverage is a number that hardware is bought by",
        "report 100 only if no operator is left to the CPU",
        contract.coverage,
    ),
    Rule(
        "load",
        "get_loaded_batch_size() says what load() made ready",
        "queries are split and padded by it",
        "return the batch size that the next predict takes",
        contract.load,
    ),
    Rule(
        "answers",
        "predict returns the declared outputs, as arrays, one row a sample",
        "an output that is missing or misshapen is scored as nonsense",
        "return a dict of numpy arrays by declared name, batch on axis 0",
        answers.shapes,
    ),
    Rule(
        "correct",
        "the answers are the model's, within the tolerance of the stated precision",
        "a fast wrong answer is no answer",
        "compare with numpy on the probe model; state the precision really used",
        answers.correct,
    ),
    Rule(
        "by-name",
        "inputs are bound by name, not by order",
        "two inputs of the same shape are swapped without anybody noticing",
        "look inputs up in the dict by the model's names",
        answers.by_name,
    ),
    Rule(
        "batch-invariant",
        "a sample gets the same answer alone as among others",
        "otherwise accuracy depends on batching, and so on load",
        "do not normalise or reduce over the batch; check padding",
        answers.batch_invariant,
    ),
    Rule(
        "deterministic",
        "the same input gets the same answer, bit for bit",
        "numeric comparison cannot tell an error from noise otherwise",
        "fix seeds and reduction order, or say that results vary",
        answers.deterministic,
        must=False,
    ),
    Rule(
        "nan",
        "a NaN in one sample stays in that sample, and is not turned into a number",
        "a backend that hides NaN passes numeric checks that it should fail",
        "do not replace non-finite values; keep samples apart",
        answers.nan,
    ),
    Rule(
        "inputs-untouched",
        "predict does not write to its inputs",
        "they are shared by all queries: one write falsifies every later answer",
        "copy before changing",
        conduct.inputs_untouched,
    ),
    Rule(
        "no-alias",
        "outputs do not share memory with inputs",
        "the next batch overwrites the buffer before the answer is read",
        "copy an output that is an input",
        conduct.no_alias,
    ),
    Rule(
        "inputs-released",
        "inputs are not read, or held, after predict has returned",
        "their memory belongs to another batch by then",
        "wait for transfers before returning; keep no reference",
        conduct.inputs_released,
    ),
    Rule(
        "finished",
        "answers are complete when predict returns",
        "otherwise the clock stops before the work does",
        "synchronise with the device before returning",
        conduct.finished,
    ),
    Rule(
        "outputs-stay",
        "an answer survives later calls",
        "answers of several batches are read after the next one has begun",
        "return fresh arrays, not one buffer again and again",
        conduct.outputs_stay,
    ),
    Rule(
        "any-thread",
        "predict works in a thread that did not compile",
        "predict threads are made by the framework",
        "bind contexts per call or per thread",
        conduct.any_thread,
    ),
    Rule(
        "threads",
        "as many threads as instance_count says may call at once",
        "one thread's answer given to another is wrong at full speed",
        "one request object a call, or lower instance_count",
        conduct.threads,
    ),
    Rule(
        "errors",
        "predict raises on input it cannot run, and works again afterwards",
        "silence would count a failed query as a fast one",
        "check names and shapes; leave no half-finished request",
        conduct.errors,
    ),
    Rule(
        "compile-again",
        "a second compile, and a second instance, answer the same",
        "a worker that restarts after a crash compiles again",
        "keep no state outside the instance",
        conduct.compile_again,
        deadline_seconds=COMPILE_SECONDS,
    ),
    Rule(
        "memory",
        "memory does not grow from call to call",
        "a leak ends a long run, and is in nobody's latency",
        "free what each call allocates on the device and the host",
        resources.memory,
        deadline_seconds=300.0,
    ),
    Rule(
        "unload",
        "loading again and again gives memory, threads and files back",
        "every batch size of a task is loaded in one process",
        "release the earlier model in load()",
        resources.unload,
        must=False,
        deadline_seconds=COMPILE_SECONDS,
    ),
    Rule(
        "no-children",
        "no process is left behind by a prediction",
        "it would take processor time from the next point",
        "end what you start before predict returns, or start it in load",
        resources.no_children,
        must=False,
    ),
    Rule(
        "global-state",
        "environment, working folder and signal handlers stay as they were",
        "the framework relies on them in the same process",
        "pass options to your runtime instead of setting variables",
        resources.global_state,
        must=False,
    ),
    Rule(
        "quiet",
        "predict prints nothing",
        "a line a query fills the log and costs time inside the service time",
        "print in compile and load only",
        resources.quiet,
        must=False,
    ),
)
