"""The three networks of Stable Diffusion 1.x besides its text encoder.

Input: nothing, or smaller sizes for tests. Output: an `Architecture`: the denoising
U-Net, and the encoder and decoder between pictures and latents. Tensor names are those
of the diffusers library's checkpoints, so that one could be loaded.
Rombach et al., "High-Resolution Image Synthesis with Latent Diffusion Models", 2021.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from bytemlperf.model_zoo.builders.architecture import Architecture
from bytemlperf.model_zoo.builders.layers import draw_layer_weight
from bytemlperf.model_zoo.builders.pictures import draw_pictures
from bytemlperf.model_zoo.weights import Draw

if TYPE_CHECKING:
    import torch

__all__ = ["Unet", "VaeDecoder", "VaeEncoder", "unet", "vae_decoder", "vae_encoder"]

Array = npt.NDArray[Any]
LATENT_CHANNELS = 4
# A picture is eight times as high and wide as its latents.
LATENT_SCALE = 8


def unet() -> Unet:
    """Return the U-Net of Stable Diffusion 1.x, for pictures of 256 pixels.

    Returns
    -------
    Unet
        859,520,964 parameters.
    """
    return Unet(
        channels=(320, 640, 1280, 1280), heads=8, groups=32, text=(77, 768), size=32
    )


def vae_encoder() -> VaeEncoder:
    """Return the encoder of Stable Diffusion 1.x, for pictures of 256 pixels.

    Returns
    -------
    VaeEncoder
        34,163,664 parameters.
    """
    return VaeEncoder(channels=(128, 256, 512, 512), groups=32, size=32)


def vae_decoder() -> VaeDecoder:
    """Return the decoder of Stable Diffusion 1.x, for pictures of 256 pixels.

    Returns
    -------
    VaeDecoder
        49,490,199 parameters.
    """
    return VaeDecoder(channels=(128, 256, 512, 512), groups=32, size=32)


class Unet(Architecture):
    """A denoising U-Net that is told the time and a text.

    Parameters
    ----------
    channels : tuple of int
        Of each level; the last has no attention.
    heads, groups : int
        Attention heads, and groups of a normalisation.
    text : tuple of int
        Tokens of a text, and width of a token.
    size : int
        Height and width of the latents.
    """

    source_modules: ClassVar[tuple[str, ...]] = (
        __name__,
        "bytemlperf.model_zoo.builders.diffusion_torch",
        "bytemlperf.model_zoo.builders.layers",
        "bytemlperf.model_zoo.builders.pictures",
    )

    def __init__(
        self,
        *,
        channels: tuple[int, ...],
        heads: int,
        groups: int,
        text: tuple[int, int],
        size: int,
    ) -> None:
        self.channels = channels
        self.heads = heads
        self.groups = groups
        self.text = text
        self.size = size

    def torch_module(self) -> torch.nn.Module:
        """Make the module; see `Architecture.torch_module`.

        Returns
        -------
        torch.nn.Module
            Latents (batch, 4, size, size), timestep int64 (batch), text (batch, tokens,
            width) -> noise, of the shape of the latents.
        """
        from bytemlperf.model_zoo.builders.diffusion_torch import make_unet

        return make_unet(self.channels, self.heads, self.groups, self.text[1]).eval()

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
        """Draw latents, a timestep and a text; see `Architecture.example`.

        Parameters
        ----------
        batch_size : int
            Samples.
        seed : int
            Of the values.

        Returns
        -------
        dict of str to ndarray
            ``sample``, ``timestep``, ``encoder_hidden_states``.
        """
        random = np.random.Generator(np.random.PCG64(seed))
        latents = (batch_size, LATENT_CHANNELS, self.size, self.size)
        return {
            "sample": random.standard_normal(latents, dtype=np.float32),
            "timestep": random.integers(0, 1000, batch_size),
            "encoder_hidden_states": random.standard_normal(
                (batch_size, *self.text), dtype=np.float32
            ),
        }


class _Vae(Architecture):
    """Sizes and draws of encoder and decoder.

    Parameters
    ----------
    channels : tuple of int
        Of each level.
    groups : int
        Groups of a normalisation.
    size : int
        Height and width of the latents.
    """

    source_modules: ClassVar[tuple[str, ...]] = Unet.source_modules

    def __init__(self, *, channels: tuple[int, ...], groups: int, size: int) -> None:
        self.channels = channels
        self.groups = groups
        self.size = size

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


class VaeEncoder(_Vae):
    """From a picture to the mean of its latents; parameters as `VaeDecoder`."""

    def torch_module(self) -> torch.nn.Module:
        """Make the module; see `Architecture.torch_module`.

        Returns
        -------
        torch.nn.Module
            Pictures (batch, 3, 8 * size, 8 * size) -> latents (batch, 4, size, size).
            The original draws around this mean; a benchmark needs one answer.
        """
        from bytemlperf.model_zoo.builders.diffusion_torch import make_vae_encoder

        return make_vae_encoder(self.channels, self.groups).eval()

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
            ``sample``, float32.
        """
        return {"sample": draw_pictures(batch_size, self.size * LATENT_SCALE, seed)}


class VaeDecoder(_Vae):
    """From latents to a picture.

    Parameters
    ----------
    channels : tuple of int
        Of each level, as the encoder has them.
    groups : int
        Groups of a normalisation.
    size : int
        Height and width of the latents.
    """

    def torch_module(self) -> torch.nn.Module:
        """Make the module; see `Architecture.torch_module`.

        Returns
        -------
        torch.nn.Module
            Latents (batch, 4, size, size) -> pictures (batch, 3, 8 * size, 8 * size).
        """
        from bytemlperf.model_zoo.builders.diffusion_torch import make_vae_decoder

        return make_vae_decoder(self.channels, self.groups).eval()

    def example(self, batch_size: int, seed: int = 0) -> dict[str, Array]:
        """Draw latents; see `Architecture.example`.

        Parameters
        ----------
        batch_size : int
            Pictures.
        seed : int
            Of the values.

        Returns
        -------
        dict of str to ndarray
            ``latent_sample``, float32.
        """
        random = np.random.Generator(np.random.PCG64(seed))
        latents = (batch_size, LATENT_CHANNELS, self.size, self.size)
        return {"latent_sample": random.standard_normal(latents, dtype=np.float32)}
