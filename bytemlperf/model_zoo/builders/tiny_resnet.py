"""ResNet-8 of MLPerf Tiny: one block a stage, padded as Keras pads.

Input: nothing. Output: an `Architecture`. It takes pixels from 0 to 255 as they are,
and answers probabilities. The names are our own; those of the published Keras file are
numbered in the order in which its layers were made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from bytemlperf.model_zoo.builders.architecture import Architecture, load_weights
from bytemlperf.model_zoo.builders.pictures import draw_pictures
from bytemlperf.model_zoo.weights import Draw, Weights

if TYPE_CHECKING:
    import tensorflow as tf
    import torch

__all__ = ["TinyResNet", "resnet8"]

Array = npt.NDArray[Any]
IMAGE_SIZE = 32
CLASS_COUNT = 10
WIDTHS = (16, 32, 64)
EPSILON = 1e-3

# Our names, in the order of the Keras file's layers.
_CONVOLUTIONS = (
    "conv",
    "stages.0.conv1",
    "stages.0.conv2",
    "stages.1.conv1",
    "stages.1.conv2",
    "stages.1.shortcut",
    "stages.2.conv1",
    "stages.2.conv2",
    "stages.2.shortcut",
)
_NORMS = (
    "bn",
    "stages.0.bn1",
    "stages.0.bn2",
    "stages.1.bn1",
    "stages.1.bn2",
    "stages.2.bn1",
    "stages.2.bn2",
)
_NORM_PARTS = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def resnet8() -> TinyResNet:
    """Return ResNet-8 for CIFAR-10.

    Returns
    -------
    TinyResNet
        78,186 parameters.
    """
    return TinyResNet()


class TinyResNet(Architecture):
    """MLPerf Tiny's image classifier."""

    source_modules: ClassVar[tuple[str, ...]] = (
        __name__,
        "bytemlperf.model_zoo.builders.cifar_resnet_tensorflow",
        "bytemlperf.model_zoo.builders.pictures",
        "bytemlperf.model_zoo.builders.settling",
    )

    def torch_module(self) -> torch.nn.Module:
        """Make the module; see `Architecture.torch_module`.

        Returns
        -------
        torch.nn.Module
            float (batch, 3, 32, 32), NCHW, 0 to 255 -> probabilities (batch, 10).
        """
        return _torch_resnet().eval()

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
            return draw.normal((2.0 / draw.fan("in")) ** 0.5)
        if draw.name == "head.weight":
            return draw.normal((2.0 / WIDTHS[-1]) ** 0.5)
        return draw.fill(1.0 if draw.name.endswith((".weight", "_var")) else 0.0)

    def settle(self, weights: dict[str, Array], seed: int) -> None:
        """Set the normalisations' statistics from one seeded batch of pictures.

        Parameters
        ----------
        weights : dict of str to ndarray
            As drawn; changed in place.
        seed : int
            Of the model.
        """
        from bytemlperf.model_zoo.builders.settling import settle_statistics

        module = load_weights(self.torch_module(), weights, "drawn weights")
        settle_statistics(module, self.example(16, seed)["image"], weights)

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
            ``image``, float32 (batch, 3, 32, 32), 0 to 255.
        """
        pictures = draw_pictures(batch_size, IMAGE_SIZE, seed)
        return {"image": np.clip(pictures * np.float32(64) + np.float32(120), 0, 255)}

    def translate(self, checkpoint: Weights) -> dict[str, Array]:
        """Rename the arrays of the published Keras file, and turn them as PyTorch does.

        Parameters
        ----------
        checkpoint : mapping of str to ndarray
            As read: ``layer/layer/part``. Names that are not of it stay as they are.

        Returns
        -------
        dict of str to ndarray
            Renamed.
        """
        table = {"dense": "head"}
        for names, layer in (
            (_CONVOLUTIONS, "conv2d"),
            (_NORMS, "batch_normalization"),
        ):
            for index, name in enumerate(names):
                table[f"{layer}_{index}" if index else layer] = name
        parts = {"kernel": "weight", "bias": "bias"} | _NORM_PARTS
        renamed = {}
        for path, array in checkpoint.items():
            layer, _, part = path.rpartition("/")
            layer = layer.partition("/")[0]
            if layer not in table or part not in parts:
                renamed[path] = array
                continue
            order = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}[array.ndim]
            renamed[f"{table[layer]}.{parts[part]}"] = np.ascontiguousarray(
                array.transpose(order)
            )
        return super().translate(renamed)

    def tensorflow_module(self, weights: Weights) -> tf.Module:
        """Make the TensorFlow twin; see `Architecture.tensorflow_module`.

        Parameters
        ----------
        weights : mapping of str to ndarray
            By canonical name.

        Returns
        -------
        tf.Module
            ``image`` float32 (batch, 32, 32, 3), NHWC -> ``probabilities`` (batch, 10).
        """
        from bytemlperf.model_zoo.builders.cifar_resnet_tensorflow import (
            make_tiny_resnet,
        )

        return make_tiny_resnet(weights)

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
        """Name the probabilities; see `Architecture.twin_outputs`.

        Parameters
        ----------
        results : tuple of torch.Tensor
            The probabilities.

        Returns
        -------
        dict of str to torch.Tensor
            ``probabilities``.
        """
        return {"probabilities": results[0]}


def _torch_resnet() -> torch.nn.Module:
    """Make the module. The classes are in here because their base is PyTorch's."""
    from torch import nn

    class Conv(nn.Conv2d):  # type: ignore[misc]  # nn has no types here
        """A convolution that pads at the end only when its stride is 2, as Keras."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            side = self.kernel_size[0] - self.stride[0]
            if side > 0:
                x = nn.functional.pad(x, (side // 2, side - side // 2) * 2)
            found: torch.Tensor = super().forward(x)
            return found

    class Stage(nn.Module):  # type: ignore[misc]
        def __init__(self, before: int, after: int) -> None:
            super().__init__()
            stride = 1 if before == after else 2
            self.conv1 = Conv(before, after, 3, stride)
            self.bn1 = nn.BatchNorm2d(after, eps=EPSILON)
            self.conv2 = Conv(after, after, 3)
            self.bn2 = nn.BatchNorm2d(after, eps=EPSILON)
            self.shortcut = (
                nn.Identity() if stride == 1 else Conv(before, after, 1, stride)
            )

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = nn.functional.relu(self.bn1(self.conv1(x)))
            y = self.bn2(self.conv2(y))
            return nn.functional.relu(y + self.shortcut(x))

    class Network(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.conv = Conv(3, WIDTHS[0], 3)
            self.bn = nn.BatchNorm2d(WIDTHS[0], eps=EPSILON)
            self.stages = nn.ModuleList(
                Stage(WIDTHS[max(0, index - 1)], width)
                for index, width in enumerate(WIDTHS)
            )
            self.head = nn.Linear(WIDTHS[-1], CLASS_COUNT)

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            x = nn.functional.relu(self.bn(self.conv(image)))
            for stage in self.stages:
                x = stage(x)
            probabilities: torch.Tensor = self.head(x.mean((2, 3))).softmax(-1)
            return probabilities

    return Network()
