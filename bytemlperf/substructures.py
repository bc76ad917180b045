"""The parts that models are made of, one row each: blocks, convolutions, recurrences.

Input: nothing. Output: the one table that both their models and their workloads are
made from. It refuses to know how a part is built. Sizes are those of well-known
models, so that a figure can be held against theirs.
"""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["FRAMEWORKS", "SUBSTRUCTURES", "Substructure", "find_substructure"]

FRAMEWORKS = ("onnx", "torch")
"""What each part exists in; a task is named ``<part>-<framework>-fp32``."""

Kind = Literal["encoder_block", "decoder_block", "convolution", "gru", "lstm"]


class Substructure(msgspec.Struct, frozen=True):
    """One part.

    Parameters
    ----------
    kind : str
        What it is.
    sizes : dict of str to int
        Of a block: ``length`` tokens, ``width``, ``heads``, ``inner``; of a
        convolution: ``channels_in``, ``channels_out``, ``side`` of the picture,
        ``kernel``, ``groups``; of a recurrence: ``length``, ``width``.
    batch_sizes : tuple of int
        That its workload measures.
    origin : str
        The model that its sizes are of.
    """

    kind: Kind
    sizes: dict[str, int]
    batch_sizes: tuple[int, ...]
    origin: str


def _block(kind: Kind, length: int, *batch_sizes: int) -> Substructure:
    sizes = {"length": length, "width": 768, "heads": 12, "inner": 3072}
    return Substructure(kind, sizes, batch_sizes, "BERT-base")


def _convolution(
    channels: tuple[int, int], side: int, kernel: int, groups: int, origin: str
) -> Substructure:
    sizes = {
        "channels_in": channels[0],
        "channels_out": channels[1],
        "side": side,
        "kernel": kernel,
        "groups": groups,
    }
    return Substructure("convolution", sizes, (1, 8, 32), origin)


def _recurrence(kind: Kind, length: int, width: int, origin: str) -> Substructure:
    return Substructure(kind, {"length": length, "width": width}, (1, 8, 32), origin)


SUBSTRUCTURES: dict[str, Substructure] = {
    "encoder_block_s64": _block("encoder_block", 64, 1, 8, 32),
    "encoder_block_s128": _block("encoder_block", 128, 1, 8, 32),
    "encoder_block_s384": _block("encoder_block", 384, 1, 4, 16),
    "encoder_block_s1024": _block("encoder_block", 1024, 1, 4),
    "decoder_block_s64": _block("decoder_block", 64, 1, 8, 32),
    "decoder_block_s128": _block("decoder_block", 128, 1, 8, 32),
    "decoder_block_s384": _block("decoder_block", 384, 1, 4, 16),
    "decoder_block_s1024": _block("decoder_block", 1024, 1, 4),
    "conv_dense_k3": _convolution((128, 128), 28, 3, 1, "ResNet-50, stage 2"),
    "conv_group_k3": _convolution((128, 128), 56, 3, 32, "ResNeXt-50 32x4d, stage 1"),
    "conv_depthwise_k3": _convolution((192, 192), 28, 3, 192, "MobileNetV2, stage 3"),
    "conv_depthwise_k5": _convolution(
        (240, 240), 28, 5, 240, "EfficientNet-B0, stage 4"
    ),
    "conv_pointwise": _convolution((256, 512), 28, 1, 1, "MobileNetV1, stage 4"),
    "gru_s128": _recurrence("gru", 128, 512, "a translation encoder's layer"),
    "lstm_s128": _recurrence("lstm", 128, 1024, "GNMT, one encoder layer"),
}


def find_substructure(name: str) -> tuple[str, str] | None:
    """Read the name of a part's model or task.

    Parameters
    ----------
    name : str
        Such as ``"encoder_block_s128-torch-fp32"``.

    Returns
    -------
    tuple of (str, str) or None
        Key of `SUBSTRUCTURES` and framework; None if it is not such a name.
    """
    part, _, rest = name.partition("-")
    framework = rest.removesuffix("-fp32")
    if part in SUBSTRUCTURES and framework in FRAMEWORKS and rest != framework:
        return part, framework
    return None
