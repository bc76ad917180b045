"""The small ResNets of CIFAR-10: three stages of plain blocks on 32 x 32 pixels.

Input: nothing, or fewer blocks for tests. Output: an `Architecture`. `CifarResNet` is
that of He et al. 2015, section 4.2, with shortcuts that add no parameter, under the
names of the well-known PyTorch checkpoints.
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

__all__ = ["CifarResNet", "resnet20", "resnet32"]

Array = npt.NDArray[Any]
IMAGE_SIZE = 32
CLASS_COUNT = 10
WIDTHS = (16, 32, 64)
RESIDUAL_GAIN = 0.2
LOGIT_DEVIATION = 1.0


def resnet20() -> CifarResNet:
    """Return ResNet-20 for CIFAR-10.

    Returns
    -------
    CifarResNet
        269,722 parameters.
    """
    return CifarResNet(blocks=3)


def resnet32() -> CifarResNet:
    """Return ResNet-32 for CIFAR-10.

    Returns
    -------
    CifarResNet
        464,154 parameters.
    """
    return CifarResNet(blocks=5)


class CifarResNet(Architecture):
    """A ResNet of 6n + 2 layers.

    Parameters
    ----------
    blocks : int
        n: blocks in each of the three stages.
    """

    source_modules: ClassVar[tuple[str, ...]] = (
        __name__,
        "bytemlperf.model_zoo.builders.cifar_resnet_tensorflow",
        "bytemlperf.model_zoo.builders.pictures",
        "bytemlperf.model_zoo.builders.settling",
    )

    def __init__(self, *, blocks: int) -> None:
        self.blocks = blocks

    def torch_module(self) -> torch.nn.Module:
        """Make the module; see `Architecture.torch_module`.

        Returns
        -------
        torch.nn.Module
            float (batch, 3, 32, 32), NCHW -> logits (batch, 10).
        """
        return _torch_resnet(self.blocks).eval()

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
        if draw.name.startswith("linear."):
            return draw.uniform(WIDTHS[-1] ** -0.5)
        if draw.name.endswith("bn2.weight"):
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
        pictures = draw_pictures(16, IMAGE_SIZE, seed)
        logits = settle_statistics(module, pictures, weights).numpy()
        settle_head(logits, weights, head="linear", deviation=LOGIT_DEVIATION)

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
            ``image``, float32 (batch, 3, 32, 32).
        """
        return {"image": draw_pictures(batch_size, IMAGE_SIZE, seed)}

    def tensorflow_module(self, weights: Weights) -> tf.Module:
        """Make the TensorFlow twin; see `Architecture.tensorflow_module`.

        Parameters
        ----------
        weights : mapping of str to ndarray
            By canonical name.

        Returns
        -------
        tf.Module
            ``image`` float32 (batch, 32, 32, 3), NHWC -> ``logits`` (batch, 10).
        """
        from bytemlperf.model_zoo.builders.cifar_resnet_tensorflow import (
            make_cifar_resnet,
        )

        return make_cifar_resnet(weights, self.blocks)

    def twin_inputs(self, feeds: dict[str, torch.Tensor]) -> list[torch.Tensor]:
        """Move the channels; see `Architecture.twin_inputs`.

        Parameters
        ----------
        feeds : dict of str to torch.Tensor
            ``image``, NHWC.

        Returns
        -------
        list of torch.Tensor
            NCHW.
        """
        return [feeds["image"].permute(0, 3, 1, 2)]

    def twin_outputs(
        self, results: tuple[torch.Tensor, ...]
    ) -> dict[str, torch.Tensor]:
        """Name the logits; see `Architecture.twin_outputs`.

        Parameters
        ----------
        results : tuple of torch.Tensor
            The logits.

        Returns
        -------
        dict of str to torch.Tensor
            ``logits``.
        """
        return {"logits": results[0]}


def _torch_resnet(blocks: int) -> torch.nn.Module:
    """Make the module. The classes are in here because their base is PyTorch's."""
    from torch import nn

    class Block(nn.Module):  # type: ignore[misc]  # nn has no types here
        def __init__(self, before: int, after: int, stride: int) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(before, after, 3, stride, padding=1, bias=False)
            self.bn1 = nn.BatchNorm2d(after)
            self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
            self.bn2 = nn.BatchNorm2d(after)
            self.stride = stride
            self.added = (after - before) // 2

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = nn.functional.relu(self.bn1(self.conv1(x)))
            y = self.bn2(self.conv2(y))
            if self.stride > 1:
                # Every other pixel, and channels of zeros on both sides.
                x = x[:, :, :: self.stride, :: self.stride]
                x = nn.functional.pad(x, (0, 0, 0, 0, self.added, self.added))
            return nn.functional.relu(y + x)

    class Network(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(3, WIDTHS[0], 3, padding=1, bias=False)
            self.bn1 = nn.BatchNorm2d(WIDTHS[0])
            before = WIDTHS[0]
            for stage, width in enumerate(WIDTHS):
                chain = []
                for index in range(blocks):
                    stride = 2 if stage > 0 and index == 0 else 1
                    chain.append(Block(before, width, stride))
                    before = width
                setattr(self, f"layer{stage + 1}", nn.Sequential(*chain))
            self.linear = nn.Linear(before, CLASS_COUNT)

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            x = nn.functional.relu(self.bn1(self.conv1(image)))
            x = self.layer3(self.layer2(self.layer1(x)))
            logits: torch.Tensor = self.linear(x.mean((2, 3)))
            return logits

    return Network()
