"""BERT that points at an answer's start and end.

Input: nothing, or smaller sizes for tests. Output: an `Architecture`. The PyTorch
module is that of transformers, with attention written out as products and a softmax:
the graph that every compiler of TorchScript knows, and one whose branches do not depend
on what the mask of the traced example held. Devlin et al., "BERT", 2018.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from bytemlperf.model_zoo.builders.architecture import Architecture
from bytemlperf.model_zoo.builders.transformer import (
    draw_transformer_weight,
    fit_for_tracing,
)
from bytemlperf.model_zoo.weights import Draw, Weights

if TYPE_CHECKING:
    import tensorflow as tf
    import torch

__all__ = ["Bert", "bert_base", "with_three_inputs"]

Array = npt.NDArray[Any]


def bert_base() -> Bert:
    """Return BERT-base for SQuAD.

    Returns
    -------
    Bert
        108,893,186 parameters.
    """
    return Bert(
        vocabulary=30522, width=768, layers=12, heads=12, inner=3072, length=384
    )


class Bert(Architecture):
    """BERT with a span head.

    Parameters
    ----------
    vocabulary : int
        Token ids.
    width, layers, heads, inner : int
        Hidden size, layers, attention heads, hidden size of the feed-forward part.
    length : int
        Tokens of a sample.
    """

    source_modules: ClassVar[tuple[str, ...]] = (
        __name__,
        "bytemlperf.model_zoo.builders.encoder_tensorflow",
        "bytemlperf.model_zoo.builders.transformer",
    )
    packages: ClassVar[tuple[str, ...]] = ("torch", "numpy", "transformers")

    def __init__(
        self,
        *,
        vocabulary: int,
        width: int,
        layers: int,
        heads: int,
        inner: int,
        length: int,
    ) -> None:
        self.vocabulary = vocabulary
        self.width = width
        self.layers = layers
        self.heads = heads
        self.inner = inner
        self.length = length

    def torch_module(self) -> torch.nn.Module:
        """Make the module; see `Architecture.torch_module`.

        Returns
        -------
        torch.nn.Module
            Token ids, attention mask and segment ids, integers (batch, length) ->
            logits of start and end, (batch, length) each.
        """
        from transformers import BertConfig, BertForQuestionAnswering

        config = BertConfig(
            vocab_size=self.vocabulary,
            hidden_size=self.width,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            intermediate_size=self.inner,
            attn_implementation="eager",
        )
        return fit_for_tracing(with_three_inputs(BertForQuestionAnswering)(config))

    def draw(self, draw: Draw) -> Array:
        """Draw one tensor: normal of deviation 0.02, see `Architecture.draw`.

        Parameters
        ----------
        draw : Draw
            Knows the tensor's name and shape.

        Returns
        -------
        ndarray
            float32.
        """
        values = draw_transformer_weight(draw)
        if draw.name.endswith("word_embeddings.weight"):
            values[0] = 0.0  # the padding token
        return values

    def example(self, batch_size: int, seed: int = 0) -> dict[str, Array]:
        """Draw token ids with padding; see `Architecture.example`.

        Parameters
        ----------
        batch_size : int
            Samples, each of another length.
        seed : int
            Of the values.

        Returns
        -------
        dict of str to ndarray
            ``input_ids``, ``attention_mask``, ``token_type_ids``, int64.
        """
        random = np.random.Generator(np.random.PCG64(seed))
        shape = (batch_size, self.length)
        lengths = random.integers(self.length // 4, self.length + 1, (batch_size, 1))
        position = np.arange(self.length)
        mask = (position < lengths).astype(np.int64)
        return {
            "input_ids": random.integers(1, self.vocabulary, shape) * mask,
            "attention_mask": mask,
            "token_type_ids": (position >= self.length // 8) * mask,
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
            ``input_ids``, ``input_mask``, ``segment_ids``, int32 (batch, length) ->
            ``logits`` (batch, length, 2).
        """
        from bytemlperf.model_zoo.builders.encoder_tensorflow import make_bert

        return make_bert(weights, self.layers, heads=self.heads, length=self.length)

    def twin_inputs(self, feeds: dict[str, torch.Tensor]) -> list[torch.Tensor]:
        """Put the inputs in order; see `Architecture.twin_inputs`.

        Parameters
        ----------
        feeds : dict of str to torch.Tensor
            ``input_ids``, ``input_mask``, ``segment_ids``.

        Returns
        -------
        list of torch.Tensor
            int64.
        """
        return [feeds[n].long() for n in ("input_ids", "input_mask", "segment_ids")]

    def twin_outputs(
        self, results: tuple[torch.Tensor, ...]
    ) -> dict[str, torch.Tensor]:
        """Put start and end side by side; see `Architecture.twin_outputs`.

        Parameters
        ----------
        results : tuple of torch.Tensor
            Logits of start and end.

        Returns
        -------
        dict of str to torch.Tensor
            ``logits``.
        """
        import torch

        return {"logits": torch.stack(results, dim=-1)}


def with_three_inputs(base: Any) -> Any:
    """Give a class of transformers positional inputs and a plain tuple of results.

    Parameters
    ----------
    base : type
        A class for question answering.

    Returns
    -------
    type
        Whose `forward` takes token ids, attention mask and segment ids, and returns
        logits of start and end.
    """

    # The name ends like those of transformers, which reads a loss from it.
    class PlainForQuestionAnswering(base):  # type: ignore[misc]
        def forward(
            self,
            input_ids: torch.Tensor,
            attention_mask: torch.Tensor,
            token_type_ids: torch.Tensor,
        ) -> tuple[torch.Tensor, torch.Tensor]:
            found = super().forward(
                input_ids=input_ids,
                attention_mask=attention_mask,
                token_type_ids=token_type_ids,
            )
            return found.start_logits, found.end_logits

    return PlainForQuestionAnswering
