"""Wide & Deep in TensorFlow, on the weights of the PyTorch one.

Input: weights by canonical name. Output: a `tf.Module`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bytemlperf.model_zoo.builders.tensorflow_table import make_table
from bytemlperf.model_zoo.weights import Weights

if TYPE_CHECKING:
    import tensorflow as tf

__all__ = ["make_wide_deep"]

PROBABILITIES = "import/head/predictions/probabilities"


def make_wide_deep(weights: Weights, numbers: int) -> tf.Module:
    """Make the module.

    Parameters
    ----------
    weights : mapping of str to ndarray
        By canonical name.
    numbers : int
        Numeric fields.

    Returns
    -------
    tf.Module
        ``new_categorical_placeholder`` int64 (fields * batch, 2) and
        ``new_numeric_placeholder`` float32 (batch, numbers) ->
        ``import/head/predictions/probabilities`` float32 (batch, 2).
    """
    import tensorflow as tf

    fields, _, embedding = weights["embedding"].shape
    hidden_count = sum(name.startswith("hidden.") for name in weights) // 2

    class Network(tf.Module):  # type: ignore[misc]  # tf has no types here
        def __init__(self) -> None:
            super().__init__()
            self.table = make_table(
                weights,
                # PyTorch keeps the matrices of layers as (out, in).
                lambda name, array: array.T if name.endswith(".weight") else array,
            )

        def dense(self, x: tf.Tensor, path: str) -> tf.Tensor:
            product = tf.matmul(x, self.table[f"{path}.weight"])
            return tf.nn.bias_add(product, self.table[f"{path}.bias"])

        @tf.function(  # type: ignore[untyped-decorator]
            input_signature=[
                tf.TensorSpec((None, 2), tf.int64, name="new_categorical_placeholder"),
                tf.TensorSpec(
                    (None, numbers), tf.float32, name="new_numeric_placeholder"
                ),
            ]
        )
        def serve(
            self,
            new_categorical_placeholder: tf.Tensor,
            new_numeric_placeholder: tf.Tensor,
        ) -> dict[str, tf.Tensor]:
            wide = tf.gather_nd(self.table["linear"], new_categorical_placeholder)
            wide = tf.reduce_sum(tf.reshape(wide, (-1, fields)), axis=1, keepdims=True)
            deep = tf.gather_nd(self.table["embedding"], new_categorical_placeholder)
            deep = tf.reshape(deep, (-1, fields * embedding))
            deep = tf.concat([deep, new_numeric_placeholder], axis=1)
            for index in range(hidden_count):
                deep = tf.nn.relu(self.dense(deep, f"hidden.{index}"))
            wide = tf.nn.bias_add(wide, self.table["linear_bias"])
            logit = self.dense(deep, "logit") + wide
            both = tf.concat([tf.zeros_like(logit), logit], axis=1)
            return {PROBABILITIES: tf.nn.softmax(both)}

    return Network()
