"""WaveGlow in TensorFlow, on the weights of the PyTorch one.

Input: weights by canonical name. Output: a `tf.Module`. Time is on axis 1 here, where
TensorFlow's convolutions are fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bytemlperf.model_zoo.builders.tensorflow_table import make_table
from bytemlperf.model_zoo.weights import Weights

if TYPE_CHECKING:
    import tensorflow as tf

__all__ = ["make_waveglow"]


def make_waveglow(
    weights: Weights, channels: tuple[int, ...], layers: int, frames: int
) -> tf.Module:
    """Make the module.

    Parameters
    ----------
    weights : mapping of str to ndarray
        By canonical name.
    channels : tuple of int
        Channels that each flow works on.
    layers, frames : int
        Layers of a flow, frames of a spectrogram.

    Returns
    -------
    tf.Module
        ``mel`` float32 (batch, mels, frames) and ``z`` float32 (batch, group, groups)
        -> ``audio`` float32 (batch, group * groups).
    """
    import tensorflow as tf

    mels, _, window = weights["upsample.weight"].shape
    width = len(weights["WN.0.start.weight"])
    group = len(weights["convinv.0.conv.weight"])
    # Each flow is told `mels * group` numbers, which come of `hop` samples a frame.
    hop = window // 4
    length = frames * hop
    padded_length = (frames - 1) * hop + window
    groups = length // group

    class Network(tf.Module):  # type: ignore[misc]  # tf has no types here
        def __init__(self) -> None:
            super().__init__()
            self.table = make_table(weights, _lay_out)

        def convolve(self, x: tf.Tensor, path: str, dilation: int = 1) -> tf.Tensor:
            y = tf.nn.conv1d(
                x, self.table[f"{path}.weight"], 1, "SAME", dilations=dilation
            )
            return tf.nn.bias_add(y, self.table[f"{path}.bias"])

        def couple(
            self, x: tf.Tensor, mel: tf.Tensor, path: str
        ) -> tuple[tf.Tensor, tf.Tensor]:
            x = self.convolve(x, f"{path}.start")
            told = tf.split(self.convolve(mel, f"{path}.cond_layer"), layers, axis=-1)
            total = tf.zeros_like(x)
            for index in range(layers):
                y = self.convolve(x, f"{path}.in_layers.{index}", 2**index)
                wave, gate = tf.split(y + told[index], 2, axis=-1)
                y = self.convolve(
                    tf.tanh(wave) * tf.sigmoid(gate), f"{path}.res_skip_layers.{index}"
                )
                if index < layers - 1:
                    x += y[:, :, :width]
                    y = y[:, :, width:]
                total += y
            shift, log_scale = tf.split(self.convolve(total, f"{path}.end"), 2, axis=-1)
            return shift, log_scale

        @tf.function(  # type: ignore[untyped-decorator]
            input_signature=[
                tf.TensorSpec((None, mels, frames), tf.float32, name="mel"),
                tf.TensorSpec((None, group, groups), tf.float32, name="z"),
            ]
        )
        def serve(self, mel: tf.Tensor, z: tf.Tensor) -> dict[str, tf.Tensor]:
            x = tf.nn.conv1d_transpose(
                tf.transpose(mel, (0, 2, 1)),
                self.table["upsample.weight"],
                (tf.shape(mel)[0], padded_length, mels),
                hop,
                "VALID",
            )
            x = tf.nn.bias_add(x, self.table["upsample.bias"])[:, :length]
            x = tf.transpose(tf.reshape(x, (-1, groups, group, mels)), (0, 1, 3, 2))
            x = tf.reshape(x, (-1, groups, mels * group))
            noise = tf.transpose(z, (0, 2, 1))
            used = channels[-1]
            audio = noise[:, :, :used]
            for flow in reversed(range(len(channels))):
                kept, changed = tf.split(audio, 2, axis=-1)
                shift, log_scale = self.couple(kept, x, f"WN.{flow}")
                changed = (changed - shift) / tf.exp(log_scale)
                audio = tf.concat([kept, changed], axis=-1)
                inverse = self.table[f"convinv.{flow}.conv.weight"]
                audio = tf.einsum("btc,co->bto", audio, inverse)
                if flow and channels[flow - 1] > channels[flow]:
                    more = channels[flow - 1] - channels[flow]
                    audio = tf.concat([noise[:, :, used : used + more], audio], axis=-1)
                    used += more
            return {"audio": tf.reshape(audio, (-1, length))}

    return Network()


def _lay_out(name: str, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Turn PyTorch's (out, in, time) into (time, in, out); matrices are inverted."""
    if name.startswith("convinv"):
        # What trained forwards is run backwards; inverted once, in double precision.
        square = np.linalg.inv(array[:, :, 0].astype(np.float64))
        return square.T.astype(np.float32)
    return array.transpose(2, 1, 0) if array.ndim == 3 else array
