"""ResNet v1.5 in TensorFlow, on the weights of the PyTorch one.

Input: weights by PyTorch's names. Output: a `tf.Module`, NHWC.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bytemlperf.model_zoo.builders.tensorflow_table import make_table
from bytemlperf.model_zoo.weights import Weights

if TYPE_CHECKING:
    import tensorflow as tf

__all__ = ["make_resnet"]

EPSILON = 1e-5


def make_resnet(
    weights: Weights, blocks: tuple[int, ...], image_size: int
) -> tf.Module:
    """Make the module.

    Parameters
    ----------
    weights : mapping of str to ndarray
        By PyTorch's names.
    blocks : tuple of int
        Blocks in each stage.
    image_size : int
        Height and width of a picture.

    Returns
    -------
    tf.Module
        ``input_tensor`` float32 (batch, size, size, 3) -> ``softmax_tensor``
        float32 (batch, classes).
    """
    import tensorflow as tf

    class Network(tf.Module):  # type: ignore[misc]  # tf has no types here
        def __init__(self) -> None:
            super().__init__()
            # PyTorch keeps (out, in, height, width) and (out, in).
            orders = {4: (2, 3, 1, 0), 2: (1, 0), 1: (0,)}
            self.table = make_table(
                weights, lambda name, array: array.transpose(orders[array.ndim])
            )

        def convolve(
            self, x: tf.Tensor, conv: str, norm: str, stride: int
        ) -> tf.Tensor:
            kernel = self.table[f"{conv}.weight"]
            side = kernel.shape[0] // 2
            if side:
                # TensorFlow's own "SAME" pads more at the end when the stride is 2.
                x = tf.pad(x, [[0, 0], [side, side], [side, side], [0, 0]])
            x = tf.nn.conv2d(x, kernel, strides=stride, padding="VALID")
            # The public wrapper refuses an epsilon as small as PyTorch's.
            return tf.raw_ops.FusedBatchNormV3(
                x=x,
                scale=self.table[f"{norm}.weight"],
                offset=self.table[f"{norm}.bias"],
                mean=self.table[f"{norm}.running_mean"],
                variance=self.table[f"{norm}.running_var"],
                epsilon=EPSILON,
                is_training=False,
            ).y

        def block(self, x: tf.Tensor, path: str, stride: int) -> tf.Tensor:
            y = tf.nn.relu(self.convolve(x, f"{path}.conv1", f"{path}.bn1", 1))
            y = tf.nn.relu(self.convolve(y, f"{path}.conv2", f"{path}.bn2", stride))
            y = self.convolve(y, f"{path}.conv3", f"{path}.bn3", 1)
            if f"{path}.downsample.0.weight" in self.table:
                x = self.convolve(
                    x, f"{path}.downsample.0", f"{path}.downsample.1", stride
                )
            return tf.nn.relu(y + x)

        @tf.function(  # type: ignore[untyped-decorator]
            input_signature=[
                tf.TensorSpec(
                    (None, image_size, image_size, 3), tf.float32, name="input_tensor"
                )
            ]
        )
        def serve(self, input_tensor: tf.Tensor) -> dict[str, tf.Tensor]:
            x = tf.nn.relu(self.convolve(input_tensor, "conv1", "bn1", 2))
            # What comes out of a ReLU is never below the zeros padded here.
            x = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])
            x = tf.nn.max_pool2d(x, ksize=3, strides=2, padding="VALID")
            for stage, count in enumerate(blocks):
                for index in range(count):
                    stride = 2 if stage > 0 and index == 0 else 1
                    x = self.block(x, f"layer{stage + 1}.{index}", stride)
            x = tf.reduce_mean(x, axis=(1, 2))
            logits = tf.nn.bias_add(
                tf.matmul(x, self.table["fc.weight"]), self.table["fc.bias"]
            )
            return {"softmax_tensor": tf.nn.softmax(logits)}

    return Network()
