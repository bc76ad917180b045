"""BERT that points at an answer's start and end.

Input: nothing, or smaller sizes for tests. Output: an `Architecture`. The PyTorch
module is that of transformers. Devlin et al., "BERT", 2018.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from bytemlperf.model_zoo.builders.span import SpanEncoder, with_three_inputs
from bytemlperf.model_zoo.builders.transformer import fit_for_tracing
from bytemlperf.model_zoo.weights import Weights

if TYPE_CHECKING:
    import tensorflow as tf
    import torch

__all__ = ["Bert", "bert_base"]


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


class Bert(SpanEncoder):
    """BERT with a span head; parameters as `SpanEncoder`."""

    source_modules: ClassVar[tuple[str, ...]] = (
        *SpanEncoder.source_modules,
        __name__,
        "bytemlperf.model_zoo.builders.encoder_tensorflow",
        "bytemlperf.model_zoo.builders.tensorflow_table",
    )

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
