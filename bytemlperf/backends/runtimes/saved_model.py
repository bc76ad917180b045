"""TensorFlow SavedModels on the processor.

Input: a SavedModel folder with a serving signature. Output: arrays by name. Inputs
whose memory is 64-byte aligned are seen in place through DLPack; others are copied,
because TensorFlow aborts the process on misaligned memory.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy.typing as npt
import tensorflow as tf
from tensorflow.python.framework import convert_to_constants

from bytemlperf.backends import Feeds
from bytemlperf.backends.runtimes.binding import bind, feed
from bytemlperf.backends.runtimes.copied_inputs import CopiedInputs
from bytemlperf.backends.runtimes.lending import unmarked
from bytemlperf.backends.runtimes.runtime import (
    ModelFacts,
    RuntimeRequest,
    fixed_batch,
    mixed_name,
    precision_name,
)
from bytemlperf.backends.runtimes.threads import ThreadPlan
from bytemlperf.errors import CompileError

__all__ = ["TensorflowRuntime"]

ALIGNMENT_BYTES = 64
SERVING = "serving_default"
# Freezing copies the weights many times over while it works: a BERT of 436 MB left
# 9 GB resident, one of 219 MB 5.4. It pays where batch norms fold into convolutions,
# and those models are small.
MAX_FROZEN_BYTES = 128 * 1024 * 1024
DLPACK_KINDS = "fiub"
PRODUCTS = frozenset(
    {"Conv1D", "Conv2D", "Conv3D", "DepthwiseConv2dNative"}
    | {"MatMul", "BatchMatMul", "BatchMatMulV2", "Einsum"}
)
# Bookkeeping of the graph, not work on tensors.
NOT_OPERATORS = frozenset(
    {"Const", "Placeholder", "Identity", "IdentityN", "NoOp"}
    | {"ReadVariableOp", "VarHandleOp", "PartitionedCall", "StatefulPartitionedCall"}
)


class TensorflowRuntime:
    """A SavedModel, ready to answer.

    Parameters
    ----------
    request : RuntimeRequest
        The folder, its declared tensors and the threads.

    Raises
    ------
    CompileError
        It is no SavedModel, has no signature to serve, or other tensors than declared.

    Notes
    -----
    Thread-safety: `predict` may be called from several threads at once. TensorFlow has
    one thread pool a process, so it gets the threads of all instances together.
    """

    def __init__(self, request: RuntimeRequest) -> None:
        warning = _set_threads(request.threads)
        self.copied = CopiedInputs()
        signature = _signature(request.model_path)
        specs = signature.structured_input_signature[1]
        results = signature.structured_outputs
        self._inputs = bind(
            [info.name for info in request.inputs],
            list(specs),
            "inputs of the SavedModel's signature",
            may_lack=True,
        )
        declared = [info.name for info in request.outputs]
        wanted = [name for name in results if name in _plain(declared)]
        self._outputs = bind(
            declared, wanted or list(results), "outputs of the SavedModel's signature"
        )
        weights = Counter[str]()
        for variable in signature.variables:
            size = variable.dtype.size * (variable.shape.num_elements() or 0)
            weights[variable.dtype.name] += size
        operators = _operators(signature)
        arithmetic = _arithmetic(signature)
        self._call, optimizations = _compile(
            signature, specs, list(self._outputs), sum(weights.values())
        )
        # The variables are in reference cycles; as constants they are here again.
        gc.collect()
        self.facts = ModelFacts(
            framework_version=f"tensorflow {tf.__version__}",
            precision=mixed_name(precision_name(weights), arithmetic),
            arithmetic=arithmetic,
            op_count=operators.total(),
            run_op_count=operators.total(),
            # Of a graph on the processor: an operator without a kernel is an error.
            placement={"TensorFlow": dict(operators)},
            executor="TensorFlow",
            input_dtypes=tuple(spec.dtype.name for spec in specs.values()),
            inputs={self._inputs[name]: _shape(spec) for name, spec in specs.items()},
            outputs={
                declared: _shape(results[name])
                for name, declared in self._outputs.items()
            },
            fixed_batch_size=fixed_batch(
                {self._inputs[name]: _rows(spec) for name, spec in specs.items()},
                request.inputs,
            ),
            optimizations={
                **optimizations,
                # The pool that starts operators serves all instances too.
                "inter_op_threads": request.threads.instance_count,
                "zero_copy_inputs": True,
                "zero_copy_alignment_bytes": ALIGNMENT_BYTES,
                "intra_op_pool_threads": _pool_threads(request.threads),
            },
            warnings=(warning,) if warning else (),
        )

    def predict(self, data: Feeds) -> dict[str, npt.NDArray[Any]]:
        """Run one batch.

        Parameters
        ----------
        data : mapping of str to ndarray
            By declared name, in any order.

        Returns
        -------
        dict of str to ndarray
            By declared name.

        Raises
        ------
        PredictError
            An input is missing.
        """
        tensors = [
            _tensor(feed(data, name), self.copied) for name in self._inputs.values()
        ]
        answers = self._call(*tensors)
        # numpy() copies: nothing that is returned can alias an input.
        return {
            name: answer.numpy()
            for name, answer in zip(self._outputs.values(), answers, strict=True)
        }


def _set_threads(threads: ThreadPlan) -> str | None:
    """Apply the plan; say so if TensorFlow was already started with another one."""
    intra, inter = _pool_threads(threads), threads.instance_count
    try:
        tf.config.set_visible_devices([], "GPU")
        tf.config.threading.set_intra_op_parallelism_threads(intra)
        tf.config.threading.set_inter_op_parallelism_threads(inter)
    except RuntimeError:
        now = (
            tf.config.threading.get_intra_op_parallelism_threads(),
            tf.config.threading.get_inter_op_parallelism_threads(),
        )
        return (
            f"TensorFlow keeps {now[0]} intra-op and {now[1]} inter-op threads instead "
            f"of {intra} and {inter}: it was already running"
        )
    return None


def _pool_threads(threads: ThreadPlan) -> int:
    """Return the size of the process's one pool: the threads of all instances."""
    return threads.intra_op_threads * threads.instance_count


def _signature(path: str) -> Any:
    """Load a SavedModel and return its serving signature, or its only one."""
    try:
        loaded = tf.saved_model.load(path)
    except (OSError, ValueError) as error:
        raise CompileError(
            f"model_info.model_path: {path} is not a SavedModel folder",
            detail=str(error).splitlines()[0],
        ) from error
    signatures = dict(loaded.signatures)
    if SERVING in signatures:
        signature = signatures[SERVING]
    elif len(signatures) == 1:
        signature = next(iter(signatures.values()))
    else:
        raise CompileError(
            f"{path}: expected a signature {SERVING!r}, found "
            f"{', '.join(signatures) or 'none'}"
        )
    # The signature does not keep the variables alive by itself.
    signature._bytemlperf_owner = loaded
    return signature


def _compile(
    signature: Any, specs: dict[str, Any], outputs: list[str], weight_bytes: int
) -> tuple[Callable[..., Any], dict[str, Any]]:
    """Turn the signature into a function of tensors in the order of `specs`.

    Weights become constants, so that batch norms fold into convolutions: measured on
    ResNet-50 (one thread), 11 to 13 % less time at a difference of 2e-10.
    """
    names = list(specs)

    def positional(*tensors: Any) -> list[Any]:
        answers = signature(**dict(zip(names, tensors, strict=True)))
        return [answers[name] for name in outputs]

    function = tf.function(
        positional,
        input_signature=[
            tf.TensorSpec(spec.shape, spec.dtype, name=f"input_{index}")
            for index, spec in enumerate(specs.values())
        ],
        autograph=False,
    ).get_concrete_function()
    if weight_bytes > MAX_FROZEN_BYTES:
        return function, {
            "graph_optimization_level": "grappler",
            "graph_optimization_refused": f"{weight_bytes} bytes of weights are not "
            f"frozen (at most {MAX_FROZEN_BYTES})",
        }
    frozen = convert_to_constants.convert_variables_to_constants_v2(function)
    return frozen, {"graph_optimization_level": "freeze, grappler"}


def _operators(signature: Any) -> Counter[str]:
    """Count operators by type, those of a function at each of its calls."""
    definition = signature.graph.as_graph_def()
    bodies = {
        function.signature.name: function.node_def
        for function in definition.library.function
    }

    def count(nodes: Any) -> Counter[str]:
        total: Counter[str] = Counter()
        for node in nodes:
            if node.op not in NOT_OPERATORS:
                total[node.op] += 1
            for value in node.attr.values():
                for called in (value.func, *value.list.func):
                    total.update(count(bodies.get(called.name, ())))
        return total

    return count(definition.node)


def _arithmetic(signature: Any) -> str:
    """Name what most products and convolutions of a signature are computed in."""
    definition = signature.graph.as_graph_def()
    bodies = (definition.node, *(f.node_def for f in definition.library.function))
    counted = Counter(
        tf.as_dtype(node.attr["T"].type).name
        for body in bodies
        for node in body
        if node.op in PRODUCTS
    )
    return precision_name(counted) if counted else ""


def _tensor(array: npt.NDArray[Any], copied: CopiedInputs) -> Any:
    """Make a tensor of an array, without a copy if TensorFlow can bear its address.

    Of an address that is no multiple of 64 its DLPack ends the process.
    """
    address = array.__array_interface__["data"][0]
    if (
        array.dtype.kind not in DLPACK_KINDS
        or not array.nbytes
        or not array.flags.c_contiguous
        or address % ALIGNMENT_BYTES
    ):
        copied.add(array.nbytes)
        return tf.constant(array)
    # TensorFlow's DLPack cannot mark memory read-only, so numpy refuses to lend it.
    return tf.experimental.dlpack.from_dlpack(unmarked(array).__dlpack__())


def _plain(names: list[str]) -> set[str]:
    return {name.partition(":")[0] for name in names}


def _rows(spec: Any) -> int | None:
    return spec.shape[0] if spec.shape.rank else None


def _shape(spec: Any) -> list[int]:
    return [-1 if size is None else size for size in spec.shape]
