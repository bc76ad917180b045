"""Open a built model in its own framework, and run it by the model file's names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy.typing as npt

from bytemlperf.model_zoo import plain_name
from bytemlperf.model_zoo.schema import ModelInfo

__all__ = ["OPEN", "Feeds", "Run"]

Feeds = dict[str, npt.NDArray[Any]]
Run = Callable[[Feeds], Feeds]


def open_torchscript(path: Path, info: ModelInfo) -> Run:
    import torch

    module = torch.jit.load(path)

    def run(feeds: Feeds) -> Feeds:
        with torch.inference_mode():
            found = module(
                *(torch.from_numpy(feeds[n].copy()) for n in info.input_names)
            )
        found = found if isinstance(found, tuple) else (found,)
        return {n: t.numpy() for n, t in zip(info.output_names, found, strict=True)}

    return run


def open_saved_model(path: Path, info: ModelInfo) -> Run:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    signature = loaded.signatures["serving_default"]

    def run(feeds: Feeds) -> Feeds:
        found = signature(**{plain_name(n): tf.constant(a) for n, a in feeds.items()})
        assert loaded is not None  # the signature does not keep its variables alive
        return {name: found[plain_name(name)].numpy() for name in info.output_names}

    return run


def open_onnx(path: Path, info: ModelInfo) -> Run:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert [value.name for value in session.get_inputs()] == list(info.input_names)
    assert [value.name for value in session.get_outputs()] == list(info.output_names)

    def run(feeds: Feeds) -> Feeds:
        names = list(info.output_names)
        return dict(zip(names, session.run(names, feeds), strict=True))

    return run


OPEN = {"pt": open_torchscript, "saved_model": open_saved_model, "onnx": open_onnx}
