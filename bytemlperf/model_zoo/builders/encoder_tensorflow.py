"""BERT and its kin in TensorFlow, on the weights of the PyTorch ones.

Input: weights by the names of transformers. Output: `tf.Module` objects, written in the
operations of the original: two-dimensional products, a bias, a mask that is added.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bytemlperf.model_zoo.builders.tensorflow_table import make_table
from bytemlperf.model_zoo.weights import Weights

if TYPE_CHECKING:
    import tensorflow as tf

__all__ = ["BERT_LAYER", "Encoder", "make_bert", "make_distilbert"]

EPSILON = 1e-12
# Added to the scores of padding: its exponential is 0 in float32.
MASKED = -10000.0

BERT_LAYER = {
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

    encoder = Encoder(
        weights, "bert.encoder.layer", BERT_LAYER, (layers, heads, length)
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

    encoder = Encoder(
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


class Encoder:
    """The part that all of them share, under any one's names.

    Parameters
    ----------
    weights : mapping of str to ndarray
        By canonical name.
    prefix : str
        What the names of a layer begin with, before its number.
    names : dict of str to str
        What each part of a layer is called.
    sizes : tuple of int
        Layers, attention heads, tokens of a sample.
    turned_by : str, optional
        Name of the table that queries and keys are turned by, position by position;
        without one, positions are added to the tokens.
    """

    def __init__(
        self,
        weights: Weights,
        prefix: str,
        names: dict[str, str],
        sizes: tuple[int, int, int],
        turned_by: str | None = None,
    ) -> None:
        self.turned_by = turned_by
        self.prefix = prefix
        self.names = names
        self.layers, self.heads, self.length = sizes
        self.width = len(weights[f"{prefix}.0.{names['query']}.weight"])
        self.table = make_table(
            weights,
            # PyTorch keeps the matrices of layers as (out, in), those of embeddings
            # as (id, width).
            lambda name, array: (
                array.T if array.ndim == 2 and "embed" not in name else array
            ),
        )

    def embed(self, path: str, ids: tf.Tensor, segments: tf.Tensor | None) -> tf.Tensor:
        """Look tokens up; (batch, length) -> (batch * length, width)."""
        import tensorflow as tf

        x = self.table.rows(f"{path}.word_embeddings.weight", ids)
        if self.turned_by is None:
            x += self.table[f"{path}.position_embeddings.weight"][: self.length]
        if segments is not None:
            x += self.table.rows(f"{path}.token_type_embeddings.weight", segments)
        return self._norm(tf.reshape(x, (-1, self.width)), f"{path}.LayerNorm")

    def answer(self, x: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        """Run all layers and the head; -> (batch, length, 2)."""
        import tensorflow as tf

        x = self.dense(self.encode(x, mask), "qa_outputs")
        return tf.reshape(x, (-1, self.length, 2))

    def encode(self, x: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        """Run all layers; (batch * length, width) -> the same."""
        import tensorflow as tf

        bias = (1.0 - tf.cast(mask[:, None, None, :], tf.float32)) * MASKED
        for index in range(self.layers):
            path = {
                part: f"{self.prefix}.{index}.{name}"
                for part, name in self.names.items()
            }
            joined = self.dense(self._attend(x, bias, path), path["joined"])
            x = self._norm(x + joined, path["joined_norm"])
            inner = self.dense(x, path["inner"])
            # The exact one, spelled out: graph optimisers know this pattern.
            inner = 0.5 * inner * (1.0 + tf.math.erf(inner * 0.5**0.5))
            x = self._norm(x + self.dense(inner, path["outer"]), path["outer_norm"])
        return x

    def _attend(self, x: tf.Tensor, bias: tf.Tensor, path: dict[str, str]) -> tf.Tensor:
        """Attend; (batch * length, width) -> the same."""
        import tensorflow as tf

        size = self.width // self.heads

        def split(name: str) -> tf.Tensor:
            y = tf.reshape(
                self.dense(x, path[name]), (-1, self.length, self.heads, size)
            )
            return tf.transpose(y, (0, 2, 1, 3))

        query, key = self._turn(split("query")), self._turn(split("key"))
        scores = tf.matmul(query, key, transpose_b=True) * size**-0.5
        mixed = tf.matmul(tf.nn.softmax(scores + bias), split("value"))
        return tf.reshape(tf.transpose(mixed, (0, 2, 1, 3)), (-1, self.width))

    def _turn(self, x: tf.Tensor) -> tf.Tensor:
        """Turn each pair of numbers by its position's angle, if there is a table."""
        import tensorflow as tf

        if self.turned_by is None:
            return x
        sine, cosine = tf.split(self.table[self.turned_by], 2, axis=-1)
        sine, cosine = tf.repeat(sine, 2, axis=-1), tf.repeat(cosine, 2, axis=-1)
        turned = tf.stack([-x[..., 1::2], x[..., ::2]], axis=-1)
        return x * cosine + tf.reshape(turned, tf.shape(x)) * sine

    def dense(self, x: tf.Tensor, path: str) -> tf.Tensor:
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
