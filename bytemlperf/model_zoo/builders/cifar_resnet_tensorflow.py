"""The small ResNets of CIFAR-10 in TensorFlow, on the weights of the PyTorch ones.

Input: weights by PyTorch's names. Output: a `tf.Module`, NHWC.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bytemlperf.model_zoo.weights import Weights

if TYPE_CHECKING:
    import tensorflow as tf

__all__ = ["make_cifar_resnet", "make_tiny_resnet"]

EPSILON = 1e-5
# Keras' default.
TINY_EPSILON = 1e-3


def make_cifar_resnet(weights: Weights, blocks: int) -> tf.Module:
    """Make a ResNet of 6n + 2 layers.

    Parameters
    ----------
    weights : mapping of str to ndarray
        By PyTorch's names.
    blocks : int
        Blocks in each stage.

    Returns
    -------
    tf.Module
        ``image`` float32 (batch, 32, 32, 3) -> ``logits`` float32 (batch, 10).
    """
    import tensorflow as tf

    layers = _layers(weights, EPSILON)

    def answer(image: tf.Tensor) -> dict[str, tf.Tensor]:
        x = tf.nn.relu(layers.convolve(image, "conv1", "bn1", 1, side=1))
        for stage in (1, 2, 3):
            for index in range(blocks):
                path = f"layer{stage}.{index}"
                stride = 2 if stage > 1 and index == 0 else 1
                y = layers.convolve(x, f"{path}.conv1", f"{path}.bn1", stride, side=1)
                y = layers.convolve(
                    tf.nn.relu(y), f"{path}.conv2", f"{path}.bn2", 1, side=1
                )
                if stride > 1:
                    added = (y.shape[-1] - x.shape[-1]) // 2
                    x = tf.pad(
                        x[:, ::stride, ::stride],
                        [[0, 0], [0, 0], [0, 0], [added, added]],
                    )
                x = tf.nn.relu(y + x)
        return {"logits": layers.classify(x, "linear")}

    return _served(layers, answer)


def make_tiny_resnet(weights: Weights) -> tf.Module:
    """Make MLPerf Tiny's ResNet-8.

    Parameters
    ----------
    weights : mapping of str to ndarray
        By PyTorch's names.

    Returns
    -------
    tf.Module
        ``image`` float32 (batch, 32, 32, 3), 0 to 255 -> ``probabilities`` float32
        (batch, 10).
    """
    import tensorflow as tf

    layers = _layers(weights, TINY_EPSILON)

    def answer(image: tf.Tensor) -> dict[str, tf.Tensor]:
        x = tf.nn.relu(layers.convolve(image, "conv", "bn", 1))
        for stage in range(3):
            path, stride = f"stages.{stage}", 2 if stage else 1
            y = layers.convolve(x, f"{path}.conv1", f"{path}.bn1", stride)
            y = layers.convolve(tf.nn.relu(y), f"{path}.conv2", f"{path}.bn2", 1)
            if stage:
                x = layers.convolve(x, f"{path}.shortcut", None, stride)
            x = tf.nn.relu(y + x)
        return {"probabilities": tf.nn.softmax(layers.classify(x, "head"))}

    return _served(layers, answer)


def _layers(weights: Weights, epsilon: float) -> tf.Module:
    """Hold the weights and know the layers."""
    import tensorflow as tf

    class Layers(tf.Module):  # type: ignore[misc]  # tf has no types here
        def __init__(self) -> None:
            super().__init__()
            self.table = {}
            for name, array in weights.items():
                # PyTorch keeps (out, in, height, width) and (out, in).
                order = {4: (2, 3, 1, 0), 2: (1, 0), 1: (0,)}[array.ndim]
                self.table[name] = tf.Variable(
                    array.transpose(order), name=name, trainable=False
                )

        def convolve(
            self,
            x: tf.Tensor,
            conv: str,
            norm: str | None,
            stride: int,
            *,
            side: int | None = None,
        ) -> tf.Tensor:
            if side is not None:
                # TensorFlow's own "SAME" pads more at the end when the stride is 2.
                x = tf.pad(x, [[0, 0], [side, side], [side, side], [0, 0]])
            x = tf.nn.conv2d(
                x,
                self.table[f"{conv}.weight"],
                strides=stride,
                padding="SAME" if side is None else "VALID",
            )
            if f"{conv}.bias" in self.table:
                x = tf.nn.bias_add(x, self.table[f"{conv}.bias"])
            if norm is None:
                return x
            # The public wrapper refuses an epsilon as small as PyTorch's.
            return tf.raw_ops.FusedBatchNormV3(
                x=x,
                scale=self.table[f"{norm}.weight"],
                offset=self.table[f"{norm}.bias"],
                mean=self.table[f"{norm}.running_mean"],
                variance=self.table[f"{norm}.running_var"],
                epsilon=epsilon,
                is_training=False,
            ).y

        def classify(self, x: tf.Tensor, head: str) -> tf.Tensor:
            x = tf.reduce_mean(x, axis=(1, 2))
            return tf.nn.bias_add(
                tf.matmul(x, self.table[f"{head}.weight"]), self.table[f"{head}.bias"]
            )

    return Layers()


def _served(layers: tf.Module, answer: object) -> tf.Module:
    """Give the layers the signature that is saved."""
    import tensorflow as tf

    spec = tf.TensorSpec((None, 32, 32, 3), tf.float32, name="image")
    layers.serve = tf.function(answer, input_signature=[spec])
    return layers
