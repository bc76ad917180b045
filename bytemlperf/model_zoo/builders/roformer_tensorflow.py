"""RoFormer in TensorFlow, on the weights of the PyTorch one.

Input: weights by canonical name. Output: a `tf.Module`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bytemlperf.model_zoo.builders.encoder_tensorflow import BERT_LAYER, Encoder
from bytemlperf.model_zoo.weights import Weights

if TYPE_CHECKING:
    import tensorflow as tf

__all__ = ["make_roformer"]


def make_roformer(
    weights: Weights, layers: int, *, heads: int, length: int
) -> tf.Module:
    """Make the module.

    Parameters
    ----------
    weights : mapping of str to ndarray
        By canonical name.
    layers, heads, length : int
        Layers, attention heads, tokens of a sample.

    Returns
    -------
    tf.Module
        ``input_segment``, ``input_token``, float32 (batch, length) -> ``Identity``
        float32 (batch, 1).
    """
    import tensorflow as tf

    encoder = Encoder(
        weights,
        "roformer.encoder.layer",
        BERT_LAYER,
        (layers, heads, length),
        turned_by="roformer.encoder.embed_positions.weight",
    )
    ids = (None, length)

    class Network(tf.Module):  # type: ignore[misc]  # tf has no types here
        def __init__(self) -> None:
            super().__init__()
            self.table = encoder.table

        @tf.function(  # type: ignore[untyped-decorator]
            input_signature=[
                tf.TensorSpec(ids, tf.float32, name="input_segment"),
                tf.TensorSpec(ids, tf.float32, name="input_token"),
            ]
        )
        def serve(
            self, input_segment: tf.Tensor, input_token: tf.Tensor
        ) -> dict[str, tf.Tensor]:
            tokens = tf.cast(input_token, tf.int32)
            segments = tf.cast(input_segment, tf.int32)
            mask = tf.cast(tokens > 0, tf.float32)
            x = encoder.embed("roformer.embeddings", tokens, segments)
            x = tf.reshape(encoder.encode(x, mask), (-1, length, encoder.width))
            total = tf.reduce_sum(x * mask[:, :, None], axis=1)
            mean = total / tf.reduce_sum(mask, axis=1, keepdims=True)
            return {"Identity": tf.sigmoid(encoder.dense(mean, "classifier"))}

    return Network()
