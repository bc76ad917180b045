"""WaveGlow: from a mel spectrogram and noise to a waveform.

Input: nothing, or smaller sizes for tests. Output: an `Architecture`. Names are those
of NVIDIA's checkpoints with weight normalisation folded in. ByteMLPerf announced this
model and never published it: the names of the inputs are ours.
Prenger et al., "WaveGlow", 2018.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from bytemlperf.model_zoo.builders.architecture import Architecture
from bytemlperf.model_zoo.builders.layers import draw_layer_weight
from bytemlperf.model_zoo.builders.settling import round_bits
from bytemlperf.model_zoo.weights import Draw, Weights

if TYPE_CHECKING:
    import tensorflow as tf
    import torch

__all__ = ["Waveglow", "waveglow_256"]

Array = npt.NDArray[Any]
MELS = 80
HOP = 256
WINDOW = 1024
# Samples of the waveform that go through the flows side by side.
GROUP = 8
# After so many flows, so many channels of noise come in.
EARLY_EVERY, EARLY_SIZE = 4, 2


def waveglow_256() -> Waveglow:
    """Return WaveGlow of 256 channels, for 80 frames: 0.93 s of speech at 22,050 Hz.

    Returns
    -------
    Waveglow
        87,731,816 parameters.
    """
    return Waveglow(flows=12, layers=8, width=256, frames=80)


class Waveglow(Architecture):
    """A flow of affine couplings, run backwards.

    Parameters
    ----------
    flows, layers, width : int
        Flows, layers in each, channels of a layer.
    frames : int
        Of the spectrogram.
    """

    source_modules: ClassVar[tuple[str, ...]] = (
        __name__,
        "bytemlperf.model_zoo.builders.layers",
        "bytemlperf.model_zoo.builders.settling",
        "bytemlperf.model_zoo.builders.tensorflow_table",
        "bytemlperf.model_zoo.builders.waveglow_tensorflow",
    )

    def __init__(self, *, flows: int, layers: int, width: int, frames: int) -> None:
        self.flows = flows
        self.layers = layers
        self.width = width
        self.frames = frames

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels that each flow works on; noise comes in where their number rises."""
        return tuple(
            GROUP - EARLY_SIZE * (flow // EARLY_EVERY) for flow in range(self.flows)
        )

    def torch_module(self) -> torch.nn.Module:
        """Make the module; see `Architecture.torch_module`.

        Returns
        -------
        torch.nn.Module
            Logarithms of a mel spectrogram (batch, 80, frames) and noise (batch, 8, 32
            * frames) -> waveform (batch, 256 * frames).
        """
        return _torch_waveglow(self).eval()

    def draw(self, draw: Draw) -> Array:
        """Draw one tensor as PyTorch starts it, see `Architecture.draw`.

        Parameters
        ----------
        draw : Draw
            Knows the tensor's name and shape.

        Returns
        -------
        ndarray
            float32. The mixing matrices are orthogonal, as the original starts them.
        """
        if draw.name.startswith("convinv"):
            square = draw.normal(1.0)[:, :, 0].astype(np.float64)
            return round_bits(np.linalg.qr(square)[0])[:, :, None]
        return draw_layer_weight(draw)

    def example(self, batch_size: int, seed: int = 0) -> dict[str, Array]:
        """Draw spectrograms and noise; see `Architecture.example`.

        Parameters
        ----------
        batch_size : int
            Samples.
        seed : int
            Of the values.

        Returns
        -------
        dict of str to ndarray
            ``mel``, ``z``, float32.
        """
        random = np.random.Generator(np.random.PCG64(seed))
        mel = random.random((batch_size, MELS, self.frames), dtype=np.float32)
        noise = (batch_size, GROUP, self.frames * HOP // GROUP)
        return {
            "mel": mel * np.float32(10) - np.float32(8),
            "z": random.standard_normal(noise, dtype=np.float32) * np.float32(0.6),
        }

    def tensorflow_module(self, weights: Weights) -> tf.Module:
        """Make the TensorFlow twin; see `Architecture.tensorflow_module`.

        Parameters
        ----------
        weights : mapping of str to ndarray
            By canonical name.

        Returns
        -------
        tf.Module
            ``mel``, ``z`` -> ``audio``, float32.
        """
        from bytemlperf.model_zoo.builders.waveglow_tensorflow import make_waveglow

        return make_waveglow(weights, self.channels, self.layers, self.frames)

    def twin_inputs(self, feeds: dict[str, torch.Tensor]) -> list[torch.Tensor]:
        """Put the inputs in order; see `Architecture.twin_inputs`.

        Parameters
        ----------
        feeds : dict of str to torch.Tensor
            ``mel``, ``z``.

        Returns
        -------
        list of torch.Tensor
            The same.
        """
        return [feeds["mel"], feeds["z"]]

    def twin_outputs(
        self, results: tuple[torch.Tensor, ...]
    ) -> dict[str, torch.Tensor]:
        """Name the waveform; see `Architecture.twin_outputs`.

        Parameters
        ----------
        results : tuple of torch.Tensor
            The waveform.

        Returns
        -------
        dict of str to torch.Tensor
            ``audio``.
        """
        return {"audio": results[0]}


def _torch_waveglow(size: Waveglow) -> torch.nn.Module:
    """Make the module. The classes are in here because their base is PyTorch's."""
    import torch
    from torch import nn

    width, layers = size.width, size.layers

    class Coupling(nn.Module):  # type: ignore[misc]  # nn has no types here
        def __init__(self, half: int) -> None:
            super().__init__()
            self.start = nn.Conv1d(half, width, 1)
            self.cond_layer = nn.Conv1d(MELS * GROUP, 2 * width * layers, 1)
            self.in_layers = nn.ModuleList()
            self.res_skip_layers = nn.ModuleList()
            for index in range(layers):
                self.in_layers.append(
                    nn.Conv1d(width, 2 * width, 3, padding=2**index, dilation=2**index)
                )
                out = 2 * width if index < layers - 1 else width
                self.res_skip_layers.append(nn.Conv1d(width, out, 1))
            self.end = nn.Conv1d(width, 2 * half, 1)

        def forward(
            self, x: torch.Tensor, mel: torch.Tensor
        ) -> tuple[torch.Tensor, torch.Tensor]:
            x = self.start(x)
            told = self.cond_layer(mel).chunk(layers, dim=1)
            total = torch.zeros_like(x)
            for index in range(layers):
                wave, gate = (self.in_layers[index](x) + told[index]).chunk(2, dim=1)
                y = self.res_skip_layers[index](wave.tanh() * gate.sigmoid())
                if index < layers - 1:
                    x = x + y[:, :width]
                    y = y[:, width:]
                total = total + y
            shift, log_scale = self.end(total).chunk(2, dim=1)
            return shift, log_scale

    class Mixing(nn.Module):  # type: ignore[misc]
        def __init__(self, channels: int) -> None:
            super().__init__()
            self.conv = nn.Conv1d(channels, channels, 1, bias=False)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            inverse = torch.linalg.inv(self.conv.weight[:, :, 0])
            return torch.einsum("oc,bct->bot", inverse, x)

    class Network(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.upsample = nn.ConvTranspose1d(MELS, MELS, WINDOW, stride=HOP)
            self.WN = nn.ModuleList([Coupling(c // 2) for c in size.channels])
            self.convinv = nn.ModuleList([Mixing(c) for c in size.channels])

        def forward(self, mel: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
            # What the window adds at the end is cut off.
            x = self.upsample(mel)[:, :, : HOP - WINDOW]
            x = x.reshape(x.shape[0], MELS, -1, GROUP).transpose(2, 3).flatten(1, 2)
            used = size.channels[-1]
            audio = z[:, :used]
            for flow in reversed(range(size.flows)):
                kept, changed = audio.chunk(2, dim=1)
                shift, log_scale = self.WN[flow](kept, x)
                changed = (changed - shift) / log_scale.exp()
                audio = self.convinv[flow](torch.cat([kept, changed], dim=1))
                if flow and size.channels[flow - 1] > size.channels[flow]:
                    audio = torch.cat([z[:, used : used + EARLY_SIZE], audio], dim=1)
                    used += EARLY_SIZE
            return audio.transpose(1, 2).flatten(1)

    return Network()
