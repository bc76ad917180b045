"""BERT and DistilBERT in TensorFlow, on the weights of the PyTorch ones.

Input: weights by the names of transformers. Output: `tf.Module` objects, written in the
operations of the original: two-dimensional products, a bias, a mask that is added.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bytemlperf.model_zoo.builders.tensorflow_table import make_table
from bytemlperf.model_zoo.weights import Weights

if TYPE_CHECKING:
    import tensorflow as tf

__all__ = ["make_bert", "make_distilbert"]

EPSILON = 1e-12
# Added to the scores of padding: its exponential is 0 in float32.
MASKED = -10000.0

_BERT_LAYER = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "joined": "attention.output.dense",
    "joined_norm": "attention.output.LayerNorm",
    "inner": "intermediate.dense",
    "outer": "output.dense",
    "outer_norm": "output.LayerNorm",
}
_DISTILBERT_LAYER = {
    "query": "attention.q_lin",
    "key": "attention.k_lin",
    "value": "attention.v_lin",
    "joined": "attention.out_lin",
    "joined_norm": "sa_layer_norm",
    "inner": "ffn.lin1",
    "outer": "ffn.lin2",
    "outer_norm": "output_layer_norm",
}


def make_bert(weights: Weights, layers: int, *, heads: int, length: int) -> tf.Module:
    """Make BERT with a span head.

    Parameters
    ----------
    weights : mapping of str to ndarray
        By the names of transformers' `BertForQuestionAnswering`.
    layers, heads, length : int
        Layers, attention heads, tokens of a sample.

    Returns
    -------
    tf.Module
        ``input_ids``, ``input_mask``, ``segment_ids``, int32 (batch, length) ->
        ``logits`` float32 (batch, length, 2).
    """
    import tensorflow as tf

    encoder = _Encoder(
        weights, "bert.encoder.layer", _BERT_LAYER, (layers, heads, length)
    )
    ids = (None, length)

    class Network(tf.Module):  # type: ignore[misc]  # tf has no types here
        def __init__(self) -> None:
            super().__init__()
            self.table = encoder.table

        @tf.function(  # type: ignore[untyped-decorator]
            input_signature=[
                tf.TensorSpec(ids, tf.int32, name="input_ids"),
                tf.TensorSpec(ids, tf.int32, name="input_mask"),
                tf.TensorSpec(ids, tf.int32, name="segment_ids"),
            ]
        )
        def serve(
            self, input_ids: tf.Tensor, input_mask: tf.Tensor, segment_ids: tf.Tensor
        ) -> dict[str, tf.Tensor]:
            x = encoder.embed("bert.embeddings", input_ids, segment_ids)
            return {"logits": encoder.answer(x, input_mask)}

    return Network()


def make_distilbert(
    weights: Weights, layers: int, *, heads: int, length: int
) -> tf.Module:
    """Make DistilBERT with a span head.

    Parameters
    ----------
    weights : mapping of str to ndarray
        By the names of transformers' `DistilBertForQuestionAnswering`.
    layers, heads, length : int
        Layers, attention heads, tokens of a sample.

    Returns
    -------
    tf.Module
        ``attention_mask``, ``input_ids``, int32 (batch, length) -> ``output_0`` and
        ``output_1``, float32 (batch, length): logits of start and end.
    """
    import tensorflow as tf

    encoder = _Encoder(
        weights,
        "distilbert.transformer.layer",
        _DISTILBERT_LAYER,
        (layers, heads, length),
    )
    ids = (None, length)

    class Network(tf.Module):  # type: ignore[misc]  # tf has no types here
        def __init__(self) -> None:
            super().__init__()
            self.table = encoder.table

        @tf.function(  # type: ignore[untyped-decorator]
            input_signature=[
                tf.TensorSpec(ids, tf.int32, name="attention_mask"),
                tf.TensorSpec(ids, tf.int32, name="input_ids"),
            ]
        )
        def serve(
            self, attention_mask: tf.Tensor, input_ids: tf.Tensor
        ) -> dict[str, tf.Tensor]:
            x = encoder.embed("distilbert.embeddings", input_ids, None)
            start, end = tf.unstack(encoder.answer(x, attention_mask), axis=-1)
            return {"output_0": start, "output_1": end}

    return Network()


class _Encoder:
    """The part that both models share, under either's names."""

    def __init__(
        self,
        weights: Weights,
        prefix: str,
        names: dict[str, str],
        sizes: tuple[int, int, int],
    ) -> None:

        self.prefix = prefix
        self.names = names
        self.layers, self.heads, self.length = sizes
        self.width = len(weights["qa_outputs.weight"][0])
        self.table = make_table(
            weights,
            # PyTorch keeps the matrices of layers as (out, in), those of embeddings
            # as (id, width).
            lambda name, array: (
                array.T if array.ndim == 2 and "embeddings" not in name else array
            ),
        )

    def embed(self, path: str, ids: tf.Tensor, segments: tf.Tensor | None) -> tf.Tensor:
        """Look tokens up; (batch, length) -> (batch * length, width)."""
        import tensorflow as tf

        x = self.table.rows(f"{path}.word_embeddings.weight", ids)
        x += self.table[f"{path}.position_embeddings.weight"][: self.length]
        if segments is not None:
            x += self.table.rows(f"{path}.token_type_embeddings.weight", segments)
        return self._norm(tf.reshape(x, (-1, self.width)), f"{path}.LayerNorm")

    def answer(self, x: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        """Run all layers and the head; -> (batch, length, 2)."""
        import tensorflow as tf

        bias = (1.0 - tf.cast(mask[:, None, None, :], tf.float32)) * MASKED
        for index in range(self.layers):
            path = {
                part: f"{self.prefix}.{index}.{name}"
                for part, name in self.names.items()
            }
            joined = self._dense(self._attend(x, bias, path), path["joined"])
            x = self._norm(x + joined, path["joined_norm"])
            inner = self._dense(x, path["inner"])
            # The exact one, spelled out: graph optimisers know this pattern.
            inner = 0.5 * inner * (1.0 + tf.math.erf(inner * 0.5**0.5))
            x = self._norm(x + self._dense(inner, path["outer"]), path["outer_norm"])
        return tf.reshape(self._dense(x, "qa_outputs"), (-1, self.length, 2))

    def _attend(self, x: tf.Tensor, bias: tf.Tensor, path: dict[str, str]) -> tf.Tensor:
        """Attend; (batch * length, width) -> the same."""
        import tensorflow as tf

        size = self.width // self.heads

        def split(name: str) -> tf.Tensor:
            y = tf.reshape(
                self._dense(x, path[name]), (-1, self.length, self.heads, size)
            )
            return tf.transpose(y, (0, 2, 1, 3))

        scores = tf.matmul(split("query"), split("key"), transpose_b=True) * size**-0.5
        mixed = tf.matmul(tf.nn.softmax(scores + bias), split("value"))
        return tf.reshape(tf.transpose(mixed, (0, 2, 1, 3)), (-1, self.width))

    def _dense(self, x: tf.Tensor, path: str) -> tf.Tensor:
        """Multiply and add."""
        import tensorflow as tf

        product = tf.matmul(x, self.table[f"{path}.weight"])
        return tf.nn.bias_add(product, self.table[f"{path}.bias"])

    def _norm(self, x: tf.Tensor, path: str) -> tf.Tensor:
        """Normalise each row."""
        import tensorflow as tf

        mean, variance = tf.nn.moments(x, axes=-1, keepdims=True)
        return tf.nn.batch_normalization(
            x,
            mean,
            variance,
            self.table[f"{path}.bias"],
            self.table[f"{path}.weight"],
            EPSILON,
        )
