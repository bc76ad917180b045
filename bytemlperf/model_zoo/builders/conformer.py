"""A Conformer encoder that reads lines of text from pictures.

Input: nothing, or smaller sizes for tests. Output: an `Architecture`. ByteMLPerf sold
an encoder of this interface (a picture of 64 by 512 pixels, a padding mask over 128
places) and never said its sizes; here they are those of the medium Conformer: 16
layers of 256, 4 heads, kernels of 31. Gulati et al., "Conformer", 2020; its relative
positions are of Dai et al., "Transformer-XL", 2019, section 3.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from bytemlperf.model_zoo.builders.architecture import Architecture
from bytemlperf.model_zoo.builders.layers import draw_layer_weight
from bytemlperf.model_zoo.weights import Draw

if TYPE_CHECKING:
    import torch

__all__ = ["Conformer", "conformer_medium"]

Array = npt.NDArray[Any]
# Two convolutions of stride 2 come before the encoder.
STRIDE = 4
LONGEST_PERIOD = 10000.0


def conformer_medium() -> Conformer:
    """Return the encoder for pictures of 64 by 512 pixels.

    Returns
    -------
    Conformer
        27,069,952 parameters.
    """
    return Conformer(height=64, length=512, width=256, layers=16, heads=4, kernel=31)


class Conformer(Architecture):
    """A Conformer over the columns of a picture.

    Parameters
    ----------
    height, length : int
        Pixels of a picture.
    width, layers, heads : int
        Hidden size, layers, attention heads.
    kernel : int
        Places that a depthwise convolution sees; odd.
    """

    source_modules: ClassVar[tuple[str, ...]] = (
        __name__,
        "bytemlperf.model_zoo.builders.layers",
    )

    def __init__(
        self,
        *,
        height: int,
        length: int,
        width: int,
        layers: int,
        heads: int,
        kernel: int,
    ) -> None:
        self.height = height
        self.length = length
        self.width = width
        self.layers = layers
        self.heads = heads
        self.kernel = kernel

    def torch_module(self) -> torch.nn.Module:
        """Make the module; see `Architecture.torch_module`.

        Returns
        -------
        torch.nn.Module
            Pictures, float (batch, 3, height, length), and a mask, bool (batch, length
            / 4), true where there is padding -> (batch, length / 4, width).
        """
        return _torch_conformer(self).eval()

    def draw(self, draw: Draw) -> Array:
        """Draw one tensor as PyTorch starts it, see `Architecture.draw`.

        Parameters
        ----------
        draw : Draw
            Knows the tensor's name and shape.

        Returns
        -------
        ndarray
            float32.
        """
        return draw_layer_weight(draw)

    def example(self, batch_size: int, seed: int = 0) -> dict[str, Array]:
        """Draw pictures and their padding; see `Architecture.example`.

        Parameters
        ----------
        batch_size : int
            Pictures.
        seed : int
            Of the values.

        Returns
        -------
        dict of str to ndarray
            ``src`` float32, ``src_pad_mask`` bool.
        """
        random = np.random.Generator(np.random.PCG64(seed))
        places = self.length // STRIDE
        shape = (batch_size, 3, self.height, self.length)
        lengths = random.integers(places // 2, places + 1, (batch_size, 1))
        return {
            "src": random.random(shape, dtype=np.float32) * 2 - 1,
            "src_pad_mask": np.arange(places) >= lengths,
        }


def _torch_conformer(size: Conformer) -> torch.nn.Module:
    """Make the module. The classes are in here because their base is PyTorch's."""
    import torch
    from torch import nn

    width, heads = size.width, size.heads
    silu = nn.functional.silu

    class FeedForward(nn.Module):  # type: ignore[misc]  # nn has no types here
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.LayerNorm(width)
            self.inner = nn.Linear(width, 4 * width)
            self.outer = nn.Linear(4 * width, width)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = self.outer(silu(self.inner(self.norm(x))))
            return y

    class Attention(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.LayerNorm(width)
            self.query = nn.Linear(width, width)
            self.key = nn.Linear(width, width)
            self.value = nn.Linear(width, width)
            self.position = nn.Linear(width, width, bias=False)
            self.content_bias = nn.Parameter(torch.empty(heads, width // heads))
            self.position_bias = nn.Parameter(torch.empty(heads, width // heads))
            self.joined = nn.Linear(width, width)

        def forward(
            self, x: torch.Tensor, waves: torch.Tensor, padding: torch.Tensor
        ) -> torch.Tensor:
            batch, places, _ = x.shape
            y = self.norm(x)

            def split(z: torch.Tensor) -> torch.Tensor:
                return z.reshape(z.shape[0], -1, heads, width // heads).transpose(1, 2)

            query, key = split(self.query(y)), split(self.key(y))
            far = split(self.position(waves)[None])
            content = (query + self.content_bias[:, None]) @ key.transpose(2, 3)
            position = (query + self.position_bias[:, None]) @ far.transpose(2, 3)
            scores = (content + _shift(position)) * (width // heads) ** -0.5
            scores = scores.masked_fill(padding[:, None, None, :], -1e9)
            mixed = (scores.softmax(-1) @ split(self.value(y))).transpose(1, 2)
            out: torch.Tensor = self.joined(mixed.reshape(batch, places, width))
            return out

    class Convolution(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.LayerNorm(width)
            self.gated = nn.Conv1d(width, 2 * width, 1)
            self.depthwise = nn.Conv1d(
                width, width, size.kernel, padding=size.kernel // 2, groups=width
            )
            self.batch_norm = nn.BatchNorm1d(width)
            self.pointwise = nn.Conv1d(width, width, 1)

        def forward(self, x: torch.Tensor, padding: torch.Tensor) -> torch.Tensor:
            y = nn.functional.glu(self.gated(self.norm(x).transpose(1, 2)), dim=1)
            # What stands in the padding must not reach its neighbours.
            y = y.masked_fill(padding[:, None, :], 0.0)
            y = self.pointwise(silu(self.batch_norm(self.depthwise(y))))
            out: torch.Tensor = y.transpose(1, 2)
            return out

    class Layer(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.first = FeedForward()
            self.attention = Attention()
            self.convolution = Convolution()
            self.second = FeedForward()
            self.norm = nn.LayerNorm(width)

        def forward(
            self, x: torch.Tensor, waves: torch.Tensor, padding: torch.Tensor
        ) -> torch.Tensor:
            x = x + 0.5 * self.first(x)
            x = x + self.attention(x, waves, padding)
            x = x + self.convolution(x, padding)
            out: torch.Tensor = self.norm(x + 0.5 * self.second(x))
            return out

    class Network(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(3, width, 3, stride=2, padding=1)
            self.conv2 = nn.Conv2d(width, width, 3, stride=2, padding=1)
            self.columns = nn.Linear(width * size.height // STRIDE, width)
            self.layers = nn.ModuleList([Layer() for _ in range(size.layers)])
            distance = torch.arange(
                size.length // STRIDE - 1, -size.length // STRIDE, -1
            )
            self.register_buffer("waves", _waves(distance, width), persistent=False)

        def forward(
            self, src: torch.Tensor, src_pad_mask: torch.Tensor
        ) -> torch.Tensor:
            x = torch.relu(self.conv2(torch.relu(self.conv1(src))))
            x = self.columns(x.flatten(1, 2).transpose(1, 2))
            waves = self.waves.to(x.dtype)
            for layer in self.layers:
                x = layer(x, waves, src_pad_mask)
            return x

    return Network()


def _waves(distance: torch.Tensor, width: int) -> torch.Tensor:
    """Describe distances by sines and cosines; (distances, width), double."""
    import torch

    steps = torch.arange(0, width, 2, dtype=torch.float64)
    angles = distance[:, None] * LONGEST_PERIOD ** (-steps / width)
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def _shift(scores: torch.Tensor) -> torch.Tensor:
    """Turn scores by distance into scores by place.

    Row i of (..., places, 2 * places - 1) holds the distances from places - 1 down to
    1 - places; wanted, at place j of (..., places, places), is that of distance i - j.
    """
    from torch import nn

    batch, heads, places, _ = scores.shape
    padded = nn.functional.pad(scores, (1, 0)).reshape(batch, heads, 2 * places, places)
    return padded[:, :, 1:].reshape(batch, heads, places, -1)[..., :places]
