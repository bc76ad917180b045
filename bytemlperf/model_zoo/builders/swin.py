"""Swin Transformer that sorts a picture into classes.

Input: nothing, or smaller sizes for tests. Output: an `Architecture`.
Liu et al., "Swin Transformer", 2021.
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

__all__ = ["Swin", "swin_large"]

Array = npt.NDArray[Any]


def swin_large() -> Swin:
    """Return Swin-L with windows of 12 for ImageNet at 384 pixels.

    Returns
    -------
    Swin
        196,735,516 parameters.
    """
    return Swin(
        image_size=384,
        width=192,
        depths=(2, 2, 18, 2),
        heads=(6, 12, 24, 48),
        window=12,
        class_count=1000,
    )


class Swin(Architecture):
    """A Swin Transformer with patches of 4 by 4.

    Parameters
    ----------
    image_size : int
        Height and width.
    width : int
        Hidden size of the first stage; it doubles with each stage.
    depths, heads : tuple of int
        Layers and attention heads of each stage.
    window : int
        Patches on a side of a window.
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
        depths: tuple[int, ...],
        heads: tuple[int, ...],
        window: int,
        class_count: int,
    ) -> None:
        self.image_size = image_size
        self.width = width
        self.depths = depths
        self.heads = heads
        self.window = window
        self.class_count = class_count

    def torch_module(self) -> torch.nn.Module:
        """Make the module; see `Architecture.torch_module`.

        Returns
        -------
        torch.nn.Module
            float (batch, 3, size, size), NCHW -> logits (batch, class_count).
        """
        from transformers import SwinConfig, SwinForImageClassification

        base: Any = SwinForImageClassification

        # The name ends like those of transformers, which reads a loss from it.
        class PlainForImageClassification(base):  # type: ignore[misc]
            def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
                logits: torch.Tensor = super().forward(pixel_values=pixel_values).logits
                return logits

        config = SwinConfig(
            image_size=self.image_size,
            embed_dim=self.width,
            depths=list(self.depths),
            num_heads=list(self.heads),
            window_size=self.window,
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
