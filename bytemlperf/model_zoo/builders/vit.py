"""ViT-B/16: pictures cut into patches, then a transformer.

Input: nothing, or smaller sizes for tests. Output: an `Architecture`.
Dosovitskiy et al., "An Image is Worth 16x16 Words", 2020.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy.typing as npt

from bytemlperf.model_zoo.builders.architecture import Architecture
from bytemlperf.model_zoo.builders.pictures import draw_pictures
from bytemlperf.model_zoo.builders.transformer import (
    draw_transformer_weight,
    fit_for_tracing,
)
from bytemlperf.model_zoo.weights import Draw

if TYPE_CHECKING:
    import torch

__all__ = ["Vit", "vit_base"]

Array = npt.NDArray[Any]


def vit_base() -> Vit:
    """Return ViT-B/16 for ImageNet at 224 pixels.

    Returns
    -------
    Vit
        86,567,656 parameters.
    """
    return Vit(
        image_size=224, width=768, layers=12, heads=12, inner=3072, class_count=1000
    )


class Vit(Architecture):
    """A vision transformer with patches of 16 by 16.

    Parameters
    ----------
    image_size : int
        Height and width.
    width, layers, heads, inner : int
        Hidden size, layers, attention heads, hidden size of the feed-forward part.
    class_count : int
        Outputs.
    """

    source_modules: ClassVar[tuple[str, ...]] = (
        __name__,
        "bytemlperf.model_zoo.builders.pictures",
        "bytemlperf.model_zoo.builders.transformer",
    )
    packages: ClassVar[tuple[str, ...]] = ("torch", "numpy", "transformers")

    def __init__(
        self,
        *,
        image_size: int,
        width: int,
        layers: int,
        heads: int,
        inner: int,
        class_count: int,
    ) -> None:
        self.image_size = image_size
        self.width = width
        self.layers = layers
        self.heads = heads
        self.inner = inner
        self.class_count = class_count

    def torch_module(self) -> torch.nn.Module:
        """Make the module; see `Architecture.torch_module`.

        Returns
        -------
        torch.nn.Module
            float (batch, 3, size, size), NCHW -> logits (batch, class_count).
        """
        from transformers import ViTConfig, ViTForImageClassification

        base: Any = ViTForImageClassification

        # The name ends like those of transformers, which reads a loss from it.
        class PlainForImageClassification(base):  # type: ignore[misc]
            def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
                logits: torch.Tensor = super().forward(pixel_values=pixel_values).logits
                return logits

        config = ViTConfig(
            image_size=self.image_size,
            hidden_size=self.width,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            intermediate_size=self.inner,
            num_labels=self.class_count,
            attn_implementation="eager",
        )
        return fit_for_tracing(PlainForImageClassification(config))

    def draw(self, draw: Draw) -> Array:
        """Draw one tensor: normal of deviation 0.02, see `Architecture.draw`.

        Parameters
        ----------
        draw : Draw
            Knows the tensor's name and shape.

        Returns
        -------
        ndarray
            float32.
        """
        return draw_transformer_weight(draw)

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
            ``pixel_values``, float32 (batch, 3, size, size).
        """
        return {"pixel_values": draw_pictures(batch_size, self.image_size, seed)}
