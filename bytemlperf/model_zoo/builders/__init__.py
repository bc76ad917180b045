"""Architectures, by the name that a model file's `builder` says.

Input: a name. Output: an `Architecture`, which knows its PyTorch module, how its
weights are drawn, and, where it is sold as a SavedModel, its TensorFlow twin.
Frameworks are imported when something is built, never by importing this room.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, cast

from bytemlperf.errors import UnknownNameError
from bytemlperf.model_zoo.builders.architecture import Architecture
from bytemlperf.substructures import SUBSTRUCTURES

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Architecture", "find_architecture", "list_architectures"]

# Name, module and function of each; the module is imported when it is asked for.
_ARCHITECTURES = {
    "albert_base": ("albert", "albert_base"),
    "bert_base": ("bert", "bert_base"),
    "clip_text_large": ("clip", "clip_text_large"),
    "clip_vit_b32": ("clip", "clip_vit_b32"),
    "conformer_medium": ("conformer", "conformer_medium"),
    "deberta_base": ("deberta", "deberta_base"),
    "distilbert_base": ("distilbert", "distilbert_base"),
    "efficientnet_lite0": ("efficientnet_lite", "efficientnet_lite0"),
    "minilm_l6": ("minilm", "minilm_l6"),
    "resnet20": ("cifar_resnet", "resnet20"),
    "resnet32": ("cifar_resnet", "resnet32"),
    "resnet50": ("resnet", "resnet50"),
    "resnet8": ("tiny_resnet", "resnet8"),
    "roberta_base": ("roberta", "roberta_base"),
    "roformer_base": ("roformer", "roformer_base"),
    "swin_large": ("swin", "swin_large"),
    "unet": ("diffusion", "unet"),
    "vae_decoder": ("diffusion", "vae_decoder"),
    "vae_encoder": ("diffusion", "vae_encoder"),
    "vit_base": ("vit", "vit_base"),
    "waveglow_256": ("waveglow", "waveglow_256"),
    "wide_deep": ("wide_deep", "wide_deep"),
    "wide_deep_small": ("wide_deep", "wide_deep_small"),
    "xlnet_base": ("xlnet", "xlnet_base"),
    "yolov5n": ("yolov5", "yolov5n"),
    "yolov5s": ("yolov5", "yolov5s"),
}


def list_architectures() -> list[str]:
    """Return the names of all architectures, sorted.

    Returns
    -------
    list of str
        What a model file's `builder` may say.
    """
    return sorted(_ARCHITECTURES)


def find_architecture(name: str) -> Architecture:
    """Return an architecture at its true size.

    Parameters
    ----------
    name : str
        One of `list_architectures`, or a part of `bytemlperf.substructures`.

    Returns
    -------
    Architecture
        Nothing is built yet.

    Raises
    ------
    UnknownNameError
        There is none of this name.
    """
    if name in SUBSTRUCTURES:
        from bytemlperf.model_zoo.builders.substructure import Part

        return Part(SUBSTRUCTURES[name])
    if name not in _ARCHITECTURES:
        raise UnknownNameError("builder", name, _ARCHITECTURES)
    module, function = _ARCHITECTURES[name]
    make = getattr(importlib.import_module(f"{__name__}.{module}"), function)
    return cast("Callable[[], Architecture]", make)()
