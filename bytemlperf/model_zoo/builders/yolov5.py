"""YOLOv5 v6 and v7: a network that finds boxes at three scales.

Input: nothing, or smaller widths for tests. Output: an `Architecture`. Written from the
published description of the layers; names are those of the official checkpoints.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from bytemlperf.model_zoo.builders.architecture import Architecture, load_weights
from bytemlperf.model_zoo.builders.pictures import draw_pictures
from bytemlperf.model_zoo.weights import Draw

if TYPE_CHECKING:
    import torch

__all__ = ["YoloV5", "yolov5n", "yolov5s"]

Array = npt.NDArray[Any]
STRIDES = (8, 16, 32)
# Width and height of three anchors for each stride, pixels.
ANCHORS = (
    ((10, 13), (16, 30), (33, 23)),
    ((30, 61), (62, 45), (59, 119)),
    ((116, 90), (156, 198), (373, 326)),
)
DETECT = "model.24"


def yolov5s() -> YoloV5:
    """Return YOLOv5s for COCO at 640 pixels.

    Returns
    -------
    YoloV5
        7,235,389 parameters, of which the official count leaves the 18 anchors out.
    """
    return YoloV5(width=32, image_size=640, class_count=80)


def yolov5n() -> YoloV5:
    """Return YOLOv5n for COCO at 640 pixels.

    Returns
    -------
    YoloV5
        1,872,157 parameters.
    """
    return YoloV5(width=16, image_size=640, class_count=80)


class YoloV5(Architecture):
    """YOLOv5 of the depth that n and s have.

    Parameters
    ----------
    width : int
        Channels of the stem: 16 is n, 32 is s.
    image_size : int
        Height and width, a multiple of 32.
    class_count : int
        Classes.
    """

    source_modules: ClassVar[tuple[str, ...]] = (
        __name__,
        "bytemlperf.model_zoo.builders.pictures",
        "bytemlperf.model_zoo.builders.settling",
    )

    def __init__(self, *, width: int, image_size: int, class_count: int) -> None:
        self.width = width
        self.image_size = image_size
        self.class_count = class_count

    def torch_module(self) -> torch.nn.Module:
        """Make the module; see `Architecture.torch_module`.

        Returns
        -------
        torch.nn.Module
            float (batch, 3, size, size), NCHW, 0 to 1 -> boxes (batch, boxes,
            5 + class_count), and the three maps they were decoded from (batch, 3,
            size / stride, size / stride, 5 + class_count).
        """
        return _torch_yolo(self).eval()

    def draw(self, draw: Draw) -> Array:
        """Draw one tensor as training starts from it; see `Architecture.draw`.

        Parameters
        ----------
        draw : Draw
            Knows the tensor's name and shape.

        Returns
        -------
        ndarray
            float32. The biases of the heads say that boxes are rare.
        """
        if len(draw.shape) == 4:
            return draw.uniform(draw.fan("in") ** -0.5)
        if draw.name == f"{DETECT}.anchors":
            scale = np.array(STRIDES, dtype=np.float32).reshape(3, 1, 1)
            return np.array(ANCHORS, dtype=np.float32) / scale
        if draw.name.startswith(DETECT):
            stride = STRIDES[int(draw.name.split(".")[3])]
            bias = np.zeros((3, 5 + self.class_count), dtype=np.float32)
            bias[:, 4] = math.log(8 / (640 / stride) ** 2)
            bias[:, 5:] = math.log(0.6 / (self.class_count - 0.99))
            return bias.reshape(-1)
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
        settle_statistics(module, self.example(2, seed)["images"], weights)

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
            ``images``, float32 (batch, 3, size, size), 0 to 1.
        """
        pictures = draw_pictures(batch_size, self.image_size, seed)
        return {"images": np.clip(pictures * np.float32(0.25) + np.float32(0.45), 0, 1)}


def _torch_yolo(size: YoloV5) -> torch.nn.Module:
    """Make the module. The classes are in here because their base is PyTorch's."""
    import torch
    from torch import nn

    class Conv(nn.Module):  # type: ignore[misc]  # nn has no types here
        def __init__(
            self, before: int, after: int, kernel: int, stride: int = 1, pad: int = -1
        ) -> None:
            super().__init__()
            pad = kernel // 2 if pad < 0 else pad
            self.conv = nn.Conv2d(before, after, kernel, stride, pad, bias=False)
            self.bn = nn.BatchNorm2d(after, eps=1e-3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.silu(self.bn(self.conv(x)))

    class Bottleneck(nn.Module):  # type: ignore[misc]
        def __init__(self, width: int, residual: bool) -> None:
            super().__init__()
            self.cv1 = Conv(width, width, 1)
            self.cv2 = Conv(width, width, 3)
            self.residual = residual

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = self.cv2(self.cv1(x))
            return x + y if self.residual else y

    class C3(nn.Module):  # type: ignore[misc]
        def __init__(
            self, before: int, after: int, count: int = 1, residual: bool = True
        ) -> None:
            super().__init__()
            half = after // 2
            self.cv1 = Conv(before, half, 1)
            self.cv2 = Conv(before, half, 1)
            self.cv3 = Conv(2 * half, after, 1)
            self.m = nn.Sequential(*(Bottleneck(half, residual) for _ in range(count)))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = torch.cat([self.m(self.cv1(x)), self.cv2(x)], 1)
            found: torch.Tensor = self.cv3(y)
            return found

    class Pooling(nn.Module):  # type: ignore[misc]
        def __init__(self, width: int) -> None:
            super().__init__()
            self.cv1 = Conv(width, width // 2, 1)
            self.cv2 = Conv(width * 2, width, 1)
            self.m = nn.MaxPool2d(5, 1, padding=2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            levels = [self.cv1(x)]
            for _ in range(3):
                levels.append(self.m(levels[-1]))
            found: torch.Tensor = self.cv2(torch.cat(levels, 1))
            return found

    class Detect(nn.Module):  # type: ignore[misc]
        def __init__(self, widths: tuple[int, ...]) -> None:
            super().__init__()
            self.fields = 5 + size.class_count
            self.register_buffer("anchors", torch.empty(3, 3, 2))
            self.m = nn.ModuleList(nn.Conv2d(w, 3 * self.fields, 1) for w in widths)
            for index, stride in enumerate(STRIDES):
                cells = torch.arange(size.image_size // stride, dtype=torch.float32)
                y, x = torch.meshgrid(cells, cells, indexing="ij")
                grid = torch.stack([x, y], -1)[None, None] - 0.5
                self.register_buffer(f"grid{index}", grid, persistent=False)

        def forward(self, levels: list[torch.Tensor]) -> tuple[torch.Tensor, ...]:
            boxes, maps = [], []
            for index, stride in enumerate(STRIDES):
                cells = size.image_size // stride
                raw = self.m[index](levels[index])
                # Constants, so that the batch is the only dimension left open.
                raw = raw.reshape(-1, 3, self.fields, cells, cells)
                raw = raw.permute(0, 1, 3, 4, 2).contiguous()
                maps.append(raw)
                xy, wh, rest = raw.sigmoid().split((2, 2, self.fields - 4), -1)
                anchor = self.anchors[index].reshape(1, 3, 1, 1, 2) * stride
                xy = (xy * 2 + getattr(self, f"grid{index}")) * stride
                wh = (wh * 2) ** 2 * anchor
                found = torch.cat([xy, wh, rest], -1)
                boxes.append(found.reshape(-1, 3 * cells * cells, self.fields))
            return (torch.cat(boxes, 1), *maps)

    class Network(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            w = size.width
            enlarge = nn.Upsample(scale_factor=2, mode="nearest")
            join = nn.Identity()
            self.model = nn.ModuleList(
                [
                    Conv(3, w, 6, 2, 2),
                    Conv(w, 2 * w, 3, 2),
                    C3(2 * w, 2 * w),
                    Conv(2 * w, 4 * w, 3, 2),
                    C3(4 * w, 4 * w, 2),
                    Conv(4 * w, 8 * w, 3, 2),
                    C3(8 * w, 8 * w, 3),
                    Conv(8 * w, 16 * w, 3, 2),
                    C3(16 * w, 16 * w),
                    Pooling(16 * w),
                    Conv(16 * w, 8 * w, 1),
                    enlarge,
                    join,  # with 6
                    C3(16 * w, 8 * w, residual=False),
                    Conv(8 * w, 4 * w, 1),
                    enlarge,
                    join,  # with 4
                    C3(8 * w, 4 * w, residual=False),
                    Conv(4 * w, 4 * w, 3, 2),
                    join,  # with 14
                    C3(8 * w, 8 * w, residual=False),
                    Conv(8 * w, 8 * w, 3, 2),
                    join,  # with 10
                    C3(16 * w, 16 * w, residual=False),
                    Detect((4 * w, 8 * w, 16 * w)),
                ]
            )

        def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
            joined = {12: 6, 16: 4, 19: 14, 22: 10}
            kept: list[torch.Tensor] = []
            x = images
            for index, layer in enumerate(self.model[:-1]):
                if index in joined:
                    x = torch.cat([x, kept[joined[index]]], 1)
                x = layer(x)
                kept.append(x)
            found: tuple[torch.Tensor, ...] = self.model[-1](
                [kept[17], kept[20], kept[23]]
            )
            return found

    return Network()
