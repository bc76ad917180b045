"""EfficientNet-lite in TensorFlow, on the weights of the PyTorch one.

Input: weights by PyTorch's names. Output: a `tf.Module`, NHWC.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from bytemlperf.model_zoo.weights import Weights

if TYPE_CHECKING:
    import tensorflow as tf

    from bytemlperf.model_zoo.builders.efficientnet_lite import Stage

__all__ = ["make_efficientnet_lite"]

EPSILON = 1e-3


def make_efficientnet_lite(
    weights: Weights, stages: Iterable[Stage], image_size: int
) -> tf.Module:
    """Make the module.

    Parameters
    ----------
    weights : mapping of str to ndarray
        By PyTorch's names.
    stages : iterable of Stage
        The body.
    image_size : int
        Height and width of a picture.

    Returns
    -------
    tf.Module
        ``images`` float32 (batch, size, size, 3) -> ``logits`` float32 (batch,
        classes).
    """
    import tensorflow as tf

    strides = [
        1 if index else stage.stride
        for stage in stages
        for index in range(stage.repeats)
    ]

    class Network(tf.Module):  # type: ignore[misc]  # tf has no types here
        def __init__(self) -> None:
            super().__init__()
            self.table = {}
            for name, array in weights.items():
                if array.ndim == 4:
                    # PyTorch keeps (out, in, height, width); of a depthwise kernel
                    # "in" is the one output of each channel.
                    depthwise = name.endswith("_depthwise_conv.weight")
                    array = array.transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0))
                elif array.ndim == 2:
                    array = array.T
                # A name must not begin with an underscore here.
                self.table[name] = tf.Variable(
                    array, name=name.lstrip("_"), trainable=False
                )

        def normalise(self, x: tf.Tensor, norm: str) -> tf.Tensor:
            return tf.raw_ops.FusedBatchNormV3(
                x=x,
                scale=self.table[f"{norm}.weight"],
                offset=self.table[f"{norm}.bias"],
                mean=self.table[f"{norm}.running_mean"],
                variance=self.table[f"{norm}.running_var"],
                epsilon=EPSILON,
                is_training=False,
            ).y

        def convolve(
            self, x: tf.Tensor, conv: str, norm: str, stride: int = 1
        ) -> tf.Tensor:
            kernel = self.table[f"{conv}.weight"]
            return self.normalise(tf.nn.conv2d(x, kernel, stride, "SAME"), norm)

        def block(self, x: tf.Tensor, path: str, stride: int) -> tf.Tensor:
            y = x
            if f"{path}._expand_conv.weight" in self.table:
                y = tf.nn.relu6(
                    self.convolve(y, f"{path}._expand_conv", f"{path}._bn0")
                )
            y = tf.nn.depthwise_conv2d(
                y,
                self.table[f"{path}._depthwise_conv.weight"],
                strides=(1, stride, stride, 1),
                padding="SAME",
            )
            y = tf.nn.relu6(self.normalise(y, f"{path}._bn1"))
            y = self.convolve(y, f"{path}._project_conv", f"{path}._bn2")
            return x + y if stride == 1 and x.shape[-1] == y.shape[-1] else y

        @tf.function(  # type: ignore[untyped-decorator]
            input_signature=[
                tf.TensorSpec(
                    (None, image_size, image_size, 3), tf.float32, name="images"
                )
            ]
        )
        def serve(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
            x = tf.nn.relu6(self.convolve(images, "_conv_stem", "_bn0", 2))
            for index, stride in enumerate(strides):
                x = self.block(x, f"_blocks.{index}", stride)
            x = tf.nn.relu6(self.convolve(x, "_conv_head", "_bn1"))
            x = tf.reduce_mean(x, axis=(1, 2))
            logits = tf.nn.bias_add(
                tf.matmul(x, self.table["_fc.weight"]), self.table["_fc.bias"]
            )
            return {"logits": logits}

    return Network()
