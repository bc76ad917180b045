"""Modules of Stable Diffusion 1.x.

Input: sizes. Output: PyTorch modules. Attention is written out as products and a
softmax. Functions make the classes, because their base is PyTorch's.

It is long because three models are here, which are put together from the same blocks.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

__all__ = ["make_unet", "make_vae_decoder", "make_vae_encoder"]

UNET_EPSILON = 1e-5
VAE_EPSILON = 1e-6
LATENT_CHANNELS = 4
LAYERS = 2
LONGEST_PERIOD = 10000.0


def make_unet(
    channels: tuple[int, ...], heads: int, groups: int, text_width: int
) -> torch.nn.Module:
    """Make the U-Net.

    Parameters
    ----------
    channels : tuple of int
        Of each level; the last has no attention.
    heads, groups : int
        Attention heads, and groups of a normalisation.
    text_width : int
        Of a token.

    Returns
    -------
    torch.nn.Module
        (latents, timestep, text) -> noise.
    """
    import torch
    from torch import nn

    time_width = 4 * channels[0]
    last = len(channels) - 1

    def resnet(before: int, after: int) -> nn.Module:
        return _resnet(before, after, groups, UNET_EPSILON, time_width)

    def attention(width: int) -> nn.Module:
        return _picture_transformer(width, heads, groups, text_width)

    def level(resnets: list[nn.Module], width: int, attended: bool) -> nn.Module:
        part = nn.Module()
        part.resnets = nn.ModuleList(resnets)
        if attended:
            part.attentions = nn.ModuleList([attention(width) for _ in resnets])
        return part

    class Network(nn.Module):  # type: ignore[misc]  # nn has no types here
        def __init__(self) -> None:
            super().__init__()
            self.conv_in = nn.Conv2d(LATENT_CHANNELS, channels[0], 3, padding=1)
            self.time_embedding = nn.Module()
            self.time_embedding.linear_1 = nn.Linear(channels[0], time_width)
            self.time_embedding.linear_2 = nn.Linear(time_width, time_width)
            kept, now = [channels[0]], channels[0]
            self.down_blocks = nn.ModuleList()
            for index, width in enumerate(channels):
                resnets = [
                    resnet(now if n == 0 else width, width) for n in range(LAYERS)
                ]
                block = level(resnets, width, index < last)
                kept += [width] * LAYERS
                if index < last:
                    block.downsamplers = nn.ModuleList([_downsample(width, padding=1)])
                    kept.append(width)
                self.down_blocks.append(block)
                now = width
            self.mid_block = nn.Module()
            self.mid_block.attentions = nn.ModuleList([attention(now)])
            self.mid_block.resnets = nn.ModuleList([resnet(now, now) for _ in range(2)])
            self.up_blocks = nn.ModuleList()
            for index, width in enumerate(reversed(channels)):
                resnets = []
                for _ in range(LAYERS + 1):
                    resnets.append(resnet(now + kept.pop(), width))
                    now = width
                block = level(resnets, width, index > 0)
                if index < last:
                    block.upsamplers = nn.ModuleList([_upsample(width)])
                self.up_blocks.append(block)
            self.conv_norm_out = nn.GroupNorm(groups, now, eps=UNET_EPSILON)
            self.conv_out = nn.Conv2d(now, LATENT_CHANNELS, 3, padding=1)
            half = channels[0] // 2
            exponents = -math.log(LONGEST_PERIOD) * torch.arange(half) / half
            self.register_buffer("frequencies", exponents.exp(), persistent=False)

        def embed_time(
            self, timestep: torch.Tensor, dtype: torch.dtype
        ) -> torch.Tensor:
            angles = timestep[:, None].to(dtype) * self.frequencies.to(dtype)
            waves = torch.cat([angles.cos(), angles.sin()], dim=-1)
            first = nn.functional.silu(self.time_embedding.linear_1(waves))
            time: torch.Tensor = self.time_embedding.linear_2(first)
            return time

        def forward(
            self,
            sample: torch.Tensor,
            timestep: torch.Tensor,
            encoder_hidden_states: torch.Tensor,
        ) -> torch.Tensor:
            text = encoder_hidden_states
            time = self.embed_time(timestep, sample.dtype)
            x = self.conv_in(sample)
            kept = [x]
            for block in self.down_blocks:
                for index, layer in enumerate(block.resnets):
                    x = layer(x, time)
                    if hasattr(block, "attentions"):
                        x = block.attentions[index](x, text)
                    kept.append(x)
                if hasattr(block, "downsamplers"):
                    x = block.downsamplers[0](x)
                    kept.append(x)
            x = self.mid_block.resnets[0](x, time)
            x = self.mid_block.attentions[0](x, text)
            x = self.mid_block.resnets[1](x, time)
            for block in self.up_blocks:
                for index, layer in enumerate(block.resnets):
                    x = layer(torch.cat([x, kept.pop()], dim=1), time)
                    if hasattr(block, "attentions"):
                        x = block.attentions[index](x, text)
                if hasattr(block, "upsamplers"):
                    x = block.upsamplers[0](x)
            noise: torch.Tensor = self.conv_out(
                nn.functional.silu(self.conv_norm_out(x))
            )
            return noise

    return Network()


def make_vae_encoder(channels: tuple[int, ...], groups: int) -> torch.nn.Module:
    """Make the encoder.

    Parameters
    ----------
    channels : tuple of int
        Of each level.
    groups : int
        Groups of a normalisation.

    Returns
    -------
    torch.nn.Module
        Pictures -> the mean of their latents.
    """
    from torch import nn

    class Encoder(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.conv_in = nn.Conv2d(3, channels[0], 3, padding=1)
            self.down_blocks = nn.ModuleList()
            now = channels[0]
            for index, width in enumerate(channels):
                block = _vae_level(now, width, LAYERS, groups)
                if index < len(channels) - 1:
                    block.downsamplers = nn.ModuleList([_downsample(width, padding=0)])
                self.down_blocks.append(block)
                now = width
            self.mid_block = _vae_middle(now, groups)
            self.conv_norm_out = nn.GroupNorm(groups, now, eps=VAE_EPSILON)
            # Means and logarithms of variances.
            self.conv_out = nn.Conv2d(now, 2 * LATENT_CHANNELS, 3, padding=1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.conv_in(x)
            for block in self.down_blocks:
                for layer in block.resnets:
                    x = layer(x)
                if hasattr(block, "downsamplers"):
                    x = block.downsamplers[0](x)
            x = self.mid_block(x)
            out: torch.Tensor = self.conv_out(nn.functional.silu(self.conv_norm_out(x)))
            return out

    class Network(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.encoder = Encoder()
            self.quant_conv = nn.Conv2d(2 * LATENT_CHANNELS, 2 * LATENT_CHANNELS, 1)

        def forward(self, sample: torch.Tensor) -> torch.Tensor:
            moments: torch.Tensor = self.quant_conv(self.encoder(sample))
            return moments[:, :LATENT_CHANNELS]

    return Network()


def make_vae_decoder(channels: tuple[int, ...], groups: int) -> torch.nn.Module:
    """Make the decoder.

    Parameters
    ----------
    channels : tuple of int
        Of each level, as the encoder has them.
    groups : int
        Groups of a normalisation.

    Returns
    -------
    torch.nn.Module
        Latents -> pictures.
    """
    from torch import nn

    class Decoder(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            now = channels[-1]
            self.conv_in = nn.Conv2d(LATENT_CHANNELS, now, 3, padding=1)
            self.mid_block = _vae_middle(now, groups)
            self.up_blocks = nn.ModuleList()
            for index, width in enumerate(reversed(channels)):
                block = _vae_level(now, width, LAYERS + 1, groups)
                if index < len(channels) - 1:
                    block.upsamplers = nn.ModuleList([_upsample(width)])
                self.up_blocks.append(block)
                now = width
            self.conv_norm_out = nn.GroupNorm(groups, now, eps=VAE_EPSILON)
            self.conv_out = nn.Conv2d(now, 3, 3, padding=1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.mid_block(self.conv_in(x))
            for block in self.up_blocks:
                for layer in block.resnets:
                    x = layer(x)
                if hasattr(block, "upsamplers"):
                    x = block.upsamplers[0](x)
            out: torch.Tensor = self.conv_out(nn.functional.silu(self.conv_norm_out(x)))
            return out

    class Network(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.post_quant_conv = nn.Conv2d(LATENT_CHANNELS, LATENT_CHANNELS, 1)
            self.decoder = Decoder()

        def forward(self, latent_sample: torch.Tensor) -> torch.Tensor:
            pictures: torch.Tensor = self.decoder(self.post_quant_conv(latent_sample))
            return pictures

    return Network()


def _vae_level(before: int, width: int, layers: int, groups: int) -> torch.nn.Module:
    """Make the residual blocks of one level."""
    from torch import nn

    part = nn.Module()
    part.resnets = nn.ModuleList(
        [
            _resnet(before if index == 0 else width, width, groups, VAE_EPSILON, None)
            for index in range(layers)
        ]
    )
    return part


def _vae_middle(width: int, groups: int) -> torch.nn.Module:
    """Make the level between: a block, attention with one head, a block."""
    from torch import nn

    class Attention(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.group_norm = nn.GroupNorm(groups, width, eps=VAE_EPSILON)
            self.to_q = nn.Linear(width, width)
            self.to_k = nn.Linear(width, width)
            self.to_v = nn.Linear(width, width)
            self.to_out = nn.ModuleList([nn.Linear(width, width)])

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            batch, _, height, wide = x.shape
            y = self.group_norm(x).flatten(2).transpose(1, 2)
            y = self.to_out[0](_attend(self.to_q(y), self.to_k(y), self.to_v(y), 1))
            return x + y.transpose(1, 2).reshape(batch, width, height, wide)

    class Middle(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.attentions = nn.ModuleList([Attention()])
            self.resnets = nn.ModuleList(
                [_resnet(width, width, groups, VAE_EPSILON, None) for _ in range(2)]
            )

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.attentions[0](self.resnets[0](x))
            out: torch.Tensor = self.resnets[1](x)
            return out

    return Middle()


def _resnet(
    before: int, after: int, groups: int, epsilon: float, time_width: int | None
) -> torch.nn.Module:
    """Make a residual block, told the time or not."""
    from torch import nn

    silu = nn.functional.silu

    class Block(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.norm1 = nn.GroupNorm(groups, before, eps=epsilon)
            self.conv1 = nn.Conv2d(before, after, 3, padding=1)
            if time_width is not None:
                self.time_emb_proj = nn.Linear(time_width, after)
            self.norm2 = nn.GroupNorm(groups, after, eps=epsilon)
            self.conv2 = nn.Conv2d(after, after, 3, padding=1)
            self.conv_shortcut = (
                nn.Conv2d(before, after, 1) if before != after else nn.Identity()
            )

        def forward(
            self, x: torch.Tensor, time: torch.Tensor | None = None
        ) -> torch.Tensor:
            y = self.conv1(silu(self.norm1(x)))
            if time is not None:
                y = y + self.time_emb_proj(silu(time))[:, :, None, None]
            out: torch.Tensor = self.conv2(silu(self.norm2(y))) + self.conv_shortcut(x)
            return out

    return Block()


def _picture_transformer(
    width: int, heads: int, groups: int, text_width: int
) -> torch.nn.Module:
    """Make attention over the places of a picture, then over a text."""
    from torch import nn

    class Attention(nn.Module):  # type: ignore[misc]
        def __init__(self, other_width: int) -> None:
            super().__init__()
            self.to_q = nn.Linear(width, width, bias=False)
            self.to_k = nn.Linear(other_width, width, bias=False)
            self.to_v = nn.Linear(other_width, width, bias=False)
            self.to_out = nn.ModuleList([nn.Linear(width, width)])

        def forward(self, x: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
            mixed = _attend(self.to_q(x), self.to_k(other), self.to_v(other), heads)
            out: torch.Tensor = self.to_out[0](mixed)
            return out

    class Gated(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.proj = nn.Linear(width, 8 * width)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            value, gate = self.proj(x).chunk(2, dim=-1)
            out: torch.Tensor = value * nn.functional.gelu(gate)
            return out

    class Layer(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.norm1 = nn.LayerNorm(width)
            self.attn1 = Attention(width)
            self.norm2 = nn.LayerNorm(width)
            self.attn2 = Attention(text_width)
            self.norm3 = nn.LayerNorm(width)
            self.ff = nn.Module()
            self.ff.net = nn.ModuleList(
                [Gated(), nn.Identity(), nn.Linear(4 * width, width)]
            )

        def forward(self, x: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
            y = self.norm1(x)
            x = x + self.attn1(y, y)
            x = x + self.attn2(self.norm2(x), text)
            out: torch.Tensor = x + self.ff.net[2](self.ff.net[0](self.norm3(x)))
            return out

    class Transformer(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.GroupNorm(groups, width, eps=VAE_EPSILON)
            self.proj_in = nn.Conv2d(width, width, 1)
            self.transformer_blocks = nn.ModuleList([Layer()])
            self.proj_out = nn.Conv2d(width, width, 1)

        def forward(self, x: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
            batch, _, height, wide = x.shape
            y = self.proj_in(self.norm(x)).flatten(2).transpose(1, 2)
            y = self.transformer_blocks[0](y, text)
            y = y.transpose(1, 2).reshape(batch, width, height, wide)
            out: torch.Tensor = x + self.proj_out(y)
            return out

    return Transformer()


def _attend(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, heads: int
) -> torch.Tensor:
    """Attend with several heads; (batch, places, width) -> that of the query."""

    def split(x: torch.Tensor) -> torch.Tensor:
        batch, places, width = x.shape
        return x.reshape(batch, places, heads, width // heads).transpose(1, 2)

    query, key, value = split(query), split(key), split(value)
    scores = query @ key.transpose(2, 3) * query.shape[-1] ** -0.5
    mixed: torch.Tensor = scores.softmax(-1) @ value
    return mixed.transpose(1, 2).flatten(2)


def _downsample(width: int, padding: int) -> torch.nn.Module:
    """Make a convolution that halves height and width."""
    from torch import nn

    class Halve(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(width, width, 3, stride=2, padding=padding)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if not padding:
                # One row below and one column to the right: as it was trained.
                x = nn.functional.pad(x, (0, 1, 0, 1))
            out: torch.Tensor = self.conv(x)
            return out

    return Halve()


def _upsample(width: int) -> torch.nn.Module:
    """Make a convolution of a picture of twice the height and width."""
    from torch import nn

    class Double(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(width, width, 3, padding=1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.conv(
                nn.functional.interpolate(x, scale_factor=2.0, mode="nearest")
            )
            return out

    return Double()
