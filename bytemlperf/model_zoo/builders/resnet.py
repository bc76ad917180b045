"""ResNet-50 v1.5: the stride of a block is on its 3x3 convolution.

Input: nothing, or smaller widths for tests. Output: an `Architecture`. Names are those
of the well-known PyTorch checkpoint, so that it can be loaded.
He et al., "Deep Residual Learning for Image Recognition", 2015.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy.typing as npt

from bytemlperf.model_zoo.builders.architecture import Architecture, load_weights
from bytemlperf.model_zoo.builders.pictures import draw_pictures
from bytemlperf.model_zoo.weights import Draw, Weights

if TYPE_CHECKING:
    import tensorflow as tf
    import torch

__all__ = ["ResNet", "resnet50"]

Array = npt.NDArray[Any]
EXPANSION = 4
# Sixteen residual branches of unit variance would add up to logits in the hundreds and
# a softmax of ones and zeros; trained networks have small gains there, too.
RESIDUAL_GAIN = 0.2
# About that of a trained network on photographs, which vary three times as much.
LOGIT_DEVIATION = 1.0


def resnet50() -> ResNet:
    """Return ResNet-50 for ImageNet.

    Returns
    -------
    ResNet
        25,557,032 parameters.
    """
    return ResNet(blocks=(3, 4, 6, 3), width=64, class_count=1000, image_size=224)


class ResNet(Architecture):
    """A ResNet of bottleneck blocks.

    Parameters
    ----------
    blocks : tuple of int
        Blocks in each stage.
    width : int
        Channels of the stem, and inside the blocks of the first stage.
    class_count : int
        Outputs.
    image_size : int
        Height and width to trace with.
    """

    source_modules: ClassVar[tuple[str, ...]] = (
        __name__,
        "bytemlperf.model_zoo.builders.pictures",
        "bytemlperf.model_zoo.builders.resnet_tensorflow",
        "bytemlperf.model_zoo.builders.settling",
        "bytemlperf.model_zoo.builders.tensorflow_table",
    )

    def __init__(
        self, blocks: tuple[int, ...], width: int, class_count: int, image_size: int
    ) -> None:
        self.blocks = blocks
        self.width = width
        self.class_count = class_count
        self.image_size = image_size

    def torch_module(self) -> torch.nn.Module:
        """Make the module; see `Architecture.torch_module`.

        Returns
        -------
        torch.nn.Module
            float (batch, 3, size, size), NCHW -> logits (batch, class_count).
        """
        return _torch_resnet(self).eval()

    def draw(self, draw: Draw) -> Array:
        """Draw one tensor: He's initialisation, see `Architecture.draw`.

        Parameters
        ----------
        draw : Draw
            Knows the tensor's name and shape.

        Returns
        -------
        ndarray
            float32.
        """
        if len(draw.shape) == 4:
            return draw.normal((2.0 / draw.fan("out")) ** 0.5)
        if draw.name.startswith("fc."):
            return draw.uniform(
                (EXPANSION * self.width * 2 ** (len(self.blocks) - 1)) ** -0.5
            )
        if draw.name.endswith("bn3.weight"):
            return draw.fill(RESIDUAL_GAIN)
        return draw.fill(1.0 if draw.name.endswith((".weight", "_var")) else 0.0)

    def settle(self, weights: dict[str, Array], seed: int) -> None:
        """Set statistics and the last layer from one seeded batch of pictures.

        Parameters
        ----------
        weights : dict of str to ndarray
            As drawn; changed in place.
        seed : int
            Of the model.
        """
        from bytemlperf.model_zoo.builders.settling import (
            settle_head,
            settle_statistics,
        )

        module = load_weights(self.torch_module(), weights, "drawn weights")
        pictures = draw_pictures(4, self.image_size, seed)
        logits = settle_statistics(module, pictures, weights).numpy()
        settle_head(logits, weights, head="fc", deviation=LOGIT_DEVIATION)

    def example(self, batch_size: int, seed: int = 0) -> dict[str, Array]:
        """Draw pictures; see `Architecture.example`.

        Parameters
        ----------
        batch_size : int
            Pictures.
        seed : int
            Of the values.

        Returns
        -------
        dict of str to ndarray
            One input, float32 (batch, 3, size, size).
        """
        return {"input_1": draw_pictures(batch_size, self.image_size, seed)}

    def tensorflow_module(self, weights: Weights) -> tf.Module:
        """Make the TensorFlow twin; see `Architecture.tensorflow_module`.

        Parameters
        ----------
        weights : mapping of str to ndarray
            By canonical name.

        Returns
        -------
        tf.Module
            ``input_tensor`` float32 (batch, size, size, 3), NHWC -> ``softmax_tensor``,
            probabilities (batch, class_count).
        """
        from bytemlperf.model_zoo.builders.resnet_tensorflow import make_resnet

        return make_resnet(weights, self.blocks, self.image_size)

    def twin_inputs(self, feeds: dict[str, torch.Tensor]) -> list[torch.Tensor]:
        """Move the channels; see `Architecture.twin_inputs`.

        Parameters
        ----------
        feeds : dict of str to torch.Tensor
            ``input_tensor``, NHWC.

        Returns
        -------
        list of torch.Tensor
            NCHW.
        """
        return [feeds["input_tensor"].permute(0, 3, 1, 2)]

    def twin_outputs(
        self, results: tuple[torch.Tensor, ...]
    ) -> dict[str, torch.Tensor]:
        """Turn logits into probabilities; see `Architecture.twin_outputs`.

        Parameters
        ----------
        results : tuple of torch.Tensor
            The logits.

        Returns
        -------
        dict of str to torch.Tensor
            ``softmax_tensor``.
        """
        return {"softmax_tensor": results[0].softmax(-1)}


def _torch_resnet(size: ResNet) -> torch.nn.Module:
    """Make the module. The classes are in here because their base is PyTorch's."""
    from torch import nn

    class Bottleneck(nn.Module):  # type: ignore[misc]  # nn has no types here
        def __init__(self, channels: int, width: int, stride: int) -> None:
            super().__init__()
            out = width * EXPANSION
            self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(width)
            self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
            self.bn2 = nn.BatchNorm2d(width)
            self.conv3 = nn.Conv2d(width, out, 1, bias=False)
            self.bn3 = nn.BatchNorm2d(out)
            self.relu = nn.ReLU()
            self.downsample = (
                nn.Sequential(
                    nn.Conv2d(channels, out, 1, stride, bias=False),
                    nn.BatchNorm2d(out),
                )
                if stride != 1 or channels != out
                else nn.Identity()
            )

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.relu(self.bn1(self.conv1(x)))
            y = self.relu(self.bn2(self.conv2(y)))
            y = self.bn3(self.conv3(y))
            return self.relu(y + self.downsample(x))

    class Network(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            channels = size.width
            self.conv1 = nn.Conv2d(3, channels, 7, 2, padding=3, bias=False)
            self.bn1 = nn.BatchNorm2d(channels)
            self.relu = nn.ReLU()
            self.maxpool = nn.MaxPool2d(3, 2, padding=1)
            for stage, count in enumerate(size.blocks):
                width = size.width * 2**stage
                blocks = []
                for index in range(count):
                    stride = 2 if stage > 0 and index == 0 else 1
                    blocks.append(Bottleneck(channels, width, stride))
                    channels = width * EXPANSION
                setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
            self.fc = nn.Linear(channels, size.class_count)

        def forward(self, input_1: torch.Tensor) -> torch.Tensor:
            x = self.maxpool(self.relu(self.bn1(self.conv1(input_1))))
            for stage in range(len(size.blocks)):
                x = getattr(self, f"layer{stage + 1}")(x)
            logits: torch.Tensor = self.fc(x.mean((2, 3)))
            return logits

    return Network()
