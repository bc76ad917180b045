"""What a model that was brought along ought to answer, as far as that can be known.

Input: the user's file and samples. Output: outputs of another precision and another way
to run than any backend's, and words that say which. Where there is no such way it says
so: a run is never held against itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import numpy.typing as npt

from bytemlperf.backends.runtimes.binding import bind, plain_name
from bytemlperf.engine.onnx_double import DoubleModel
from bytemlperf.errors import PrepareError
from bytemlperf.model_zoo import ModelInfo

if TYPE_CHECKING:
    import torch

__all__ = ["UserReference", "open_user_reference"]

Arrays = dict[str, npt.NDArray[Any]]
Feeds = Mapping[str, npt.NDArray[Any]]

# Two ways to run one model in float32 and float64 differ by rounding. Far more than
# that means that one of them is wrong, and nobody can say which.
MIN_AGREEMENT_DB = 30.0
# Numbers of torch's dtypes float16 and float32 in a TorchScript graph.
NARROW_DTYPES = (5, 6)


class UserReference(msgspec.Struct, frozen=True):
    """A way to run a user's model that no backend has.

    Parameters
    ----------
    run : callable
        From one sample's inputs, by declared name, to its outputs, by declared name.
    words : str
        What it is, for the report.
    """

    run: Callable[[Feeds], Arrays]
    words: str


def open_user_reference(
    info: ModelInfo, path: Path, sample: Feeds
) -> UserReference | str:
    """Find a reference for a model of the user's own.

    Parameters
    ----------
    info : ModelInfo
        Says its framework, inputs and outputs.
    path : Path
        The file.
    sample : mapping of str to ndarray
        Inputs of one sample, to try with.

    Returns
    -------
    UserReference or str
        Or the reason why there is none.
    """
    if info.framework == "Onnx":
        return _onnx(info, path, sample)
    if info.model_format == "saved_model":
        return (
            "no reference: a SavedModel has its precisions in its graph, and weights "
            "of the user's own have no float64 twin"
        )
    if path.suffix == ".pt2":
        return (
            "no reference: a torch.export program has its precisions in its graph, "
            "and weights of the user's own have no float64 twin"
        )
    return _torchscript(info, path, sample)


def _onnx(info: ModelInfo, path: Path, sample: Feeds) -> UserReference | str:
    """Prefer float64 by ONNX's reference operators; else plain float32."""
    try:
        plain = _onnx_plain(info, path)
        expected = plain(sample)
    except Exception as error:
        # The user's file in a library whose exceptions share no base of their own: a
        # reference is a help, and a run without one is as good.
        return (
            "no reference: ONNX Runtime does not run the file: "
            f"{type(error).__name__}: {_first_line(error)}"
        )
    try:
        wide, narrowing = _onnx_double(info, path, sample)
        found = wide(sample)
    except Exception as error:
        # Operators raise anything; without them there is still the plain way.
        why = f"float64 cannot be had: {type(error).__name__}: {_first_line(error)}"
        return UserReference(plain, f"ONNX Runtime, float32, unoptimised ({why})")
    agreement = _agreement_db(found, expected)
    if agreement < MIN_AGREEMENT_DB:
        why = (
            f"ONNX's reference operators agree with it to {agreement:.0f} dB only, so "
            "one of them is wrong"
        )
        return UserReference(plain, f"ONNX Runtime, float32, unoptimised ({why})")
    words = "float64 by ONNX's reference operators, the same file"
    if narrowing:
        words += f"; in float32: {', '.join(narrowing)}"
    return UserReference(wide, words)


def _onnx_double(
    info: ModelInfo, path: Path, sample: Feeds
) -> tuple[Callable[[Feeds], Arrays], list[str]]:
    """Open the file in float64, and see what is not."""
    model = DoubleModel(path)
    feed_names = bind(
        info.input_names, model.inputs, "inputs of the ONNX graph", may_lack=True
    )
    answer_names = bind(info.output_names, model.outputs, "outputs of the ONNX graph")

    def widened(feeds: Feeds) -> Arrays:
        return {name: _wide(feeds[ours]) for name, ours in feed_names.items()}

    def answer(feeds: Feeds) -> Arrays:
        found = model.run(widened(feeds))
        return {ours: found[name] for name, ours in answer_names.items()}

    return answer, model.narrowing_operators(widened(sample))


def _onnx_plain(info: ModelInfo, path: Path) -> Callable[[Feeds], Arrays]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = (
        onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    )
    session = onnxruntime.InferenceSession(
        path, options, providers=["CPUExecutionProvider"]
    )
    inputs = [value.name for value in session.get_inputs()]
    outputs = [value.name for value in session.get_outputs()]
    feed_names = bind(
        info.input_names, inputs, "inputs of the ONNX graph", may_lack=True
    )
    answer_names = bind(info.output_names, outputs, "outputs of the ONNX graph")

    def answer(feeds: Feeds) -> Arrays:
        found = session.run(
            list(answer_names), {name: feeds[ours] for name, ours in feed_names.items()}
        )
        return dict(zip(answer_names.values(), found, strict=True))

    return answer


def _torchscript(info: ModelInfo, path: Path, sample: Feeds) -> UserReference | str:
    """Run the module with its parameters and inputs in float64."""
    import torch

    try:
        module = torch.jit.load(path, map_location="cpu").eval().double()
        order = _argument_order(module, info.input_names)
        casts = _narrowing_casts(module)

        def answer(feeds: Feeds) -> Arrays:
            tensors = [torch.from_numpy(_wide(feeds[name])) for name in order]
            # Profiling and fusing are what backends do.
            with torch.inference_mode(), torch.jit.optimized_execution(False):
                return _named(module(*tensors), info.output_names)

        found = answer(sample)
    except Exception as error:
        # The user's module runs its own code, which raises anything.
        return (
            "no reference: the TorchScript module does not run in float64: "
            f"{type(error).__name__}: {_first_line(error)}"
        )
    kept = [name for name, array in found.items() if array.dtype == np.float32]
    if kept:
        return (
            "no reference: the TorchScript module answers in float32 even with "
            f"float64 parameters ({', '.join(kept)})"
        )
    words = "float64 parameters and inputs, the same TorchScript, unoptimised"
    if casts:
        words += f"; {casts} of its own casts to less are left as they are"
    return UserReference(answer, words)


def _argument_order(
    module: torch.jit.ScriptModule, declared: tuple[str, ...]
) -> tuple[str, ...]:
    """Order the inputs as the module takes them: by name, else as described."""
    actual = [argument.name for argument in module.forward.schema.arguments[1:]]
    if {plain_name(name) for name in declared} == set(actual):
        pairs = bind(declared, actual, "inputs of the PyTorch model")
        return tuple(pairs[name] for name in actual)
    if len(declared) != len(actual):
        raise PrepareError(
            f"the model takes {len(actual)} inputs, described are {len(declared)}"
        )
    return declared


def _narrowing_casts(module: torch.jit.ScriptModule) -> int:
    """Count what makes float16 or float32 whatever it gets."""
    import torch

    def nodes(block: Any) -> Any:
        for node in block.nodes():
            yield node
            for inner in node.blocks():
                yield from nodes(inner)

    count = 0
    for node in nodes(module.inlined_graph):
        if node.schema() == "(no schema)":
            continue
        arguments = torch._C.parse_schema(node.schema()).arguments
        for argument, value in zip(arguments, node.inputs(), strict=False):
            if argument.name == "dtype" and value.toIValue() in NARROW_DTYPES:
                count += 1
    return count


def _named(answer: Any, names: Sequence[str]) -> Arrays:
    """Name what a module returned: by its own keys, or in the declared order."""
    if isinstance(answer, Mapping):
        return {name: answer[name].numpy() for name in names}
    tensors = list(answer) if isinstance(answer, tuple | list) else [answer]
    return {name: tensor.numpy() for name, tensor in zip(names, tensors, strict=True)}


def _wide(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Copy an array, in float64 if it holds floating-point numbers."""
    return np.array(array, np.float64 if array.dtype.kind == "f" else array.dtype)


def _agreement_db(one: Arrays, other: Arrays) -> float:
    """Return the worst output's signal-to-noise ratio, in dB."""
    worst = np.inf
    for name, wanted in one.items():
        noise = float(np.sum(np.square(wanted - other[name].astype(np.float64))))
        signal = float(np.sum(np.square(wanted.astype(np.float64))))
        if noise > 0:
            worst = min(worst, 10 * np.log10(signal / noise) if signal else -np.inf)
        elif np.isnan(noise):
            return -np.inf
    return float(worst)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["no message"])[0][:200]
