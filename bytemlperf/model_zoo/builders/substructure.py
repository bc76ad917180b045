"""Blocks of transformers, convolutions and recurrences, each alone.

Input: a row of the table of parts. Output: an `Architecture`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from bytemlperf.model_zoo.builders.architecture import Architecture
from bytemlperf.model_zoo.builders.layers import draw_layer_weight
from bytemlperf.model_zoo.weights import Draw
from bytemlperf.substructures import Substructure

if TYPE_CHECKING:
    import torch

__all__ = ["Part"]

Array = npt.NDArray[Any]
# Its exponential is 0 in float32.
MASKED = -1e9


class Part(Architecture):
    """One part of a model.

    Parameters
    ----------
    row : Substructure
        What it is, and its sizes.
    """

    source_modules: ClassVar[tuple[str, ...]] = (
        __name__,
        "bytemlperf.model_zoo.builders.layers",
        "bytemlperf.substructures",
    )

    def __init__(self, row: Substructure) -> None:
        self.kind = row.kind
        self.sizes = row.sizes

    def torch_module(self) -> torch.nn.Module:
        """Make the module; see `Architecture.torch_module`.

        Returns
        -------
        torch.nn.Module
            Encoder block: states (batch, length, width) and attention mask (batch,
            length) -> states. Decoder block: states and the encoder's, both (batch,
            length, width) -> states. Convolution: NCHW -> NCHW. Recurrence: states ->
            the outputs of all steps, and the last one.
        """
        make = {
            "encoder_block": _encoder_block,
            "decoder_block": _decoder_block,
            "convolution": _convolution,
            "gru": _recurrence,
            "lstm": _recurrence,
        }[self.kind]
        return make(self).eval()

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
        """Draw inputs; see `Architecture.example`.

        Parameters
        ----------
        batch_size : int
            Samples.
        seed : int
            Of the values.

        Returns
        -------
        dict of str to ndarray
            float32, and an int64 mask for an encoder block.
        """
        random = np.random.Generator(np.random.PCG64(seed))
        sizes = self.sizes
        if self.kind == "convolution":
            shape = (batch_size, sizes["channels_in"], sizes["side"], sizes["side"])
            return {"input": random.random(shape, dtype=np.float32) * 2 - 1}
        length = sizes["length"]
        shape3 = (batch_size, length, sizes["width"])
        drawn: dict[str, Array] = {
            "hidden_states": random.random(shape3, dtype=np.float32) * 2 - 1
        }
        if self.kind == "encoder_block":
            lengths = random.integers(length // 4, length + 1, (batch_size, 1))
            drawn["attention_mask"] = (np.arange(length) < lengths).astype(np.int64)
        if self.kind == "decoder_block":
            drawn["memory"] = random.random(shape3, dtype=np.float32) * 2 - 1
        return drawn


def _attention(sizes: dict[str, int]) -> torch.nn.Module:
    """Make attention with several heads, written out."""
    from torch import nn

    width, heads = sizes["width"], sizes["heads"]

    class Attention(nn.Module):  # type: ignore[misc]  # nn has no types here
        def __init__(self) -> None:
            super().__init__()
            self.query = nn.Linear(width, width)
            self.key = nn.Linear(width, width)
            self.value = nn.Linear(width, width)
            self.joined = nn.Linear(width, width)

        def forward(
            self, x: torch.Tensor, other: torch.Tensor, bias: torch.Tensor | None
        ) -> torch.Tensor:
            def split(y: torch.Tensor) -> torch.Tensor:
                y = y.reshape(y.shape[0], y.shape[1], heads, width // heads)
                return y.transpose(1, 2)

            scores = split(self.query(x)) @ split(self.key(other)).transpose(2, 3)
            scores = scores * (width // heads) ** -0.5
            if bias is not None:
                scores = scores + bias
            mixed = scores.softmax(-1) @ split(self.value(other))
            out: torch.Tensor = self.joined(mixed.transpose(1, 2).flatten(2))
            return out

    return Attention()


def _feed_forward(sizes: dict[str, int]) -> torch.nn.Module:
    """Make the two layers behind attention."""
    from torch import nn

    width, inner = sizes["width"], sizes["inner"]
    return nn.Sequential(nn.Linear(width, inner), nn.GELU(), nn.Linear(inner, width))


def _encoder_block(part: Part) -> torch.nn.Module:
    """Make an encoder's layer: attention to all tokens that are no padding."""
    from torch import nn

    class Block(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.attention = _attention(part.sizes)
            self.attention_norm = nn.LayerNorm(part.sizes["width"])
            self.feed_forward = _feed_forward(part.sizes)
            self.output_norm = nn.LayerNorm(part.sizes["width"])

        def forward(
            self, hidden_states: torch.Tensor, attention_mask: torch.Tensor
        ) -> torch.Tensor:
            x = hidden_states
            bias = (1.0 - attention_mask[:, None, None, :].to(x.dtype)) * MASKED
            x = self.attention_norm(x + self.attention(x, x, bias))
            out: torch.Tensor = self.output_norm(x + self.feed_forward(x))
            return out

    return Block()


def _decoder_block(part: Part) -> torch.nn.Module:
    """Make a decoder's layer: attention to earlier tokens, then to the encoder's."""
    import torch
    from torch import nn

    length = part.sizes["length"]

    class Block(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.attention = _attention(part.sizes)
            self.attention_norm = nn.LayerNorm(part.sizes["width"])
            self.cross = _attention(part.sizes)
            self.cross_norm = nn.LayerNorm(part.sizes["width"])
            self.feed_forward = _feed_forward(part.sizes)
            self.output_norm = nn.LayerNorm(part.sizes["width"])
            later = torch.ones(length, length).triu(1) * MASKED
            self.register_buffer("later", later, persistent=False)

        def forward(
            self, hidden_states: torch.Tensor, memory: torch.Tensor
        ) -> torch.Tensor:
            x = hidden_states
            x = self.attention_norm(x + self.attention(x, x, self.later))
            x = self.cross_norm(x + self.cross(x, memory, None))
            out: torch.Tensor = self.output_norm(x + self.feed_forward(x))
            return out

    return Block()


def _convolution(part: Part) -> torch.nn.Module:
    """Make one convolution that keeps height and width."""
    from torch import nn

    sizes = part.sizes

    class Convolution(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(
                sizes["channels_in"],
                sizes["channels_out"],
                sizes["kernel"],
                padding=sizes["kernel"] // 2,
                groups=sizes["groups"],
            )

        def forward(self, input: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.conv(input)
            return out

    return Convolution()


def _recurrence(part: Part) -> torch.nn.Module:
    """Make one layer of a recurrent network."""
    from torch import nn

    width = part.sizes["width"]
    layer = {"gru": nn.GRU, "lstm": nn.LSTM}[part.kind]

    class Recurrence(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer(width, width, batch_first=True)

        def forward(
            self, hidden_states: torch.Tensor
        ) -> tuple[torch.Tensor, torch.Tensor]:
            output, _ = self.layer(hidden_states)
            return output, output[:, -1]

    return Recurrence()
