"""EfficientNet-lite0: inverted bottlenecks without gates, ReLU6, padded as TensorFlow.

Input: nothing, or fewer stages for tests. Output: an `Architecture`. Names are those of
the published PyTorch conversion. Tan and Le, "EfficientNet", 2019; the lite variant is
described with its TensorFlow release.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy.typing as npt

from bytemlperf.model_zoo.builders.architecture import Architecture, load_weights
from bytemlperf.model_zoo.builders.pictures import draw_pictures
from bytemlperf.model_zoo.weights import Draw, Weights

if TYPE_CHECKING:
    import tensorflow as tf
    import torch

__all__ = ["EfficientNetLite", "Stage", "efficientnet_lite0"]

Array = npt.NDArray[Any]
EPSILON = 1e-3
RESIDUAL_GAIN = 0.2
LOGIT_DEVIATION = 1.0


class Stage(NamedTuple):
    """Blocks of one width.

    Parameters
    ----------
    repeats, kernel, stride, expansion : int
        Blocks; side of the depthwise kernel; stride of the first block; channels
        inside a block over those before it.
    channels : int
        Channels after it.
    """

    repeats: int
    kernel: int
    stride: int
    expansion: int
    channels: int


LITE0 = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)


def efficientnet_lite0() -> EfficientNetLite:
    """Return EfficientNet-lite0 for ImageNet.

    Returns
    -------
    EfficientNetLite
        4,652,008 parameters.
    """
    return EfficientNetLite(LITE0, stem=32, head=1280, class_count=1000, image_size=224)


class EfficientNetLite(Architecture):
    """An EfficientNet without squeeze and excitation.

    Parameters
    ----------
    stages : tuple of Stage
        The body.
    stem, head : int
        Channels before and after it.
    class_count : int
        Outputs.
    image_size : int
        Height and width, a multiple of 32.
    """

    source_modules: ClassVar[tuple[str, ...]] = (
        __name__,
        "bytemlperf.model_zoo.builders.efficientnet_lite_tensorflow",
        "bytemlperf.model_zoo.builders.pictures",
        "bytemlperf.model_zoo.builders.settling",
    )

    def __init__(
        self,
        stages: tuple[Stage, ...],
        *,
        stem: int,
        head: int,
        class_count: int,
        image_size: int,
    ) -> None:
        self.stages = stages
        self.stem = stem
        self.head = head
        self.class_count = class_count
        self.image_size = image_size

    def torch_module(self) -> torch.nn.Module:
        """Make the module; see `Architecture.torch_module`.

        Returns
        -------
        torch.nn.Module
            float (batch, 3, size, size), NCHW -> logits (batch, class_count).
        """
        return _torch_network(self).eval()

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
        if draw.name.startswith("_fc."):
            return draw.uniform(self.head**-0.5)
        if draw.name.endswith("_bn2.weight"):
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
        settle_head(logits, weights, head="_fc", deviation=LOGIT_DEVIATION)

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
            ``images``, float32 (batch, 3, size, size), about -1 to 1.
        """
        return {"images": draw_pictures(batch_size, self.image_size, seed) / 2}

    def tensorflow_module(self, weights: Weights) -> tf.Module:
        """Make the TensorFlow twin; see `Architecture.tensorflow_module`.

        Parameters
        ----------
        weights : mapping of str to ndarray
            By canonical name.

        Returns
        -------
        tf.Module
            ``images`` float32 (batch, size, size, 3), NHWC -> ``logits`` (batch,
            class_count).
        """
        from bytemlperf.model_zoo.builders.efficientnet_lite_tensorflow import (
            make_efficientnet_lite,
        )

        return make_efficientnet_lite(weights, self.stages, self.image_size)

    def twin_inputs(self, feeds: dict[str, torch.Tensor]) -> list[torch.Tensor]:
        """Move the channels; see `Architecture.twin_inputs`.

        Parameters
        ----------
        feeds : dict of str to torch.Tensor
            ``images``, NHWC.

        Returns
        -------
        list of torch.Tensor
            NCHW.
        """
        return [feeds["images"].permute(0, 3, 1, 2)]

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


def _torch_network(size: EfficientNetLite) -> torch.nn.Module:
    """Make the module. The classes are in here because their base is PyTorch's."""
    from torch import nn

    class Conv(nn.Conv2d):  # type: ignore[misc]  # nn has no types here
        """A convolution that pads as TensorFlow: at the end first, when it strides."""

        def __init__(
            self, before: int, after: int, kernel: int, stride: int, groups: int = 1
        ) -> None:
            super().__init__(before, after, kernel, stride, groups=groups, bias=False)
            # Sizes are multiples of the stride, so the padding does not depend on them.
            side = kernel - stride
            self.sides = (side // 2, side - side // 2) * 2 if side > 0 else None

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if self.sides is not None:
                x = nn.functional.pad(x, self.sides)
            found: torch.Tensor = super().forward(x)
            return found

    def norm(channels: int) -> torch.nn.Module:
        return nn.BatchNorm2d(channels, eps=EPSILON)

    class Block(nn.Module):  # type: ignore[misc]
        def __init__(self, before: int, stage: Stage, stride: int) -> None:
            super().__init__()
            inside = before * stage.expansion
            self.has_expansion = stage.expansion > 1
            if self.has_expansion:
                self._expand_conv = Conv(before, inside, 1, 1)
                self._bn0 = norm(inside)
            self._depthwise_conv = Conv(inside, inside, stage.kernel, stride, inside)
            self._bn1 = norm(inside)
            self._project_conv = Conv(inside, stage.channels, 1, 1)
            self._bn2 = norm(stage.channels)
            self.is_residual = stride == 1 and before == stage.channels

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = x
            if self.has_expansion:
                y = nn.functional.relu6(self._bn0(self._expand_conv(y)))
            y = nn.functional.relu6(self._bn1(self._depthwise_conv(y)))
            y = self._bn2(self._project_conv(y))
            return x + y if self.is_residual else y

    class Network(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self._conv_stem = Conv(3, size.stem, 3, 2)
            self._bn0 = norm(size.stem)
            blocks, before = [], size.stem
            for stage in size.stages:
                for index in range(stage.repeats):
                    blocks.append(Block(before, stage, 1 if index else stage.stride))
                    before = stage.channels
            self._blocks = nn.ModuleList(blocks)
            self._conv_head = Conv(before, size.head, 1, 1)
            self._bn1 = norm(size.head)
            self._fc = nn.Linear(size.head, size.class_count)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            x = nn.functional.relu6(self._bn0(self._conv_stem(images)))
            for block in self._blocks:
                x = block(x)
            x = nn.functional.relu6(self._bn1(self._conv_head(x)))
            logits: torch.Tensor = self._fc(x.mean((2, 3)))
            return logits

    return Network()
