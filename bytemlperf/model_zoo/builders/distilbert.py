"""DistilBERT that points at an answer's start and end.

Input: nothing, or smaller sizes for tests. Output: an `Architecture`.
Sanh et al., "DistilBERT", 2019.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy.typing as npt

from bytemlperf.model_zoo.builders.bert import Bert
from bytemlperf.model_zoo.builders.transformer import fit_for_tracing
from bytemlperf.model_zoo.weights import Weights

if TYPE_CHECKING:
    import tensorflow as tf
    import torch

__all__ = ["DistilBert", "distilbert_base"]

Array = npt.NDArray[Any]


def distilbert_base() -> DistilBert:
    """Return DistilBERT-base for SQuAD.

    Returns
    -------
    DistilBert
        66,364,418 parameters.
    """
    return DistilBert(
        vocabulary=30522, width=768, layers=6, heads=12, inner=3072, length=384
    )


class DistilBert(Bert):
    """DistilBERT with a span head; parameters as `Bert`. It has no segments."""

    source_modules: ClassVar[tuple[str, ...]] = (*Bert.source_modules, __name__)

    def torch_module(self) -> torch.nn.Module:
        """Make the module; see `Architecture.torch_module`.

        Returns
        -------
        torch.nn.Module
            Attention mask and token ids, integers (batch, length) -> logits of start
            and end, (batch, length) each.
        """
        from transformers import DistilBertConfig, DistilBertForQuestionAnswering

        base: Any = DistilBertForQuestionAnswering

        # The name ends like those of transformers, which reads a loss from it.
        class PlainForQuestionAnswering(base):  # type: ignore[misc]
            def forward(
                self, attention_mask: torch.Tensor, input_ids: torch.Tensor
            ) -> tuple[torch.Tensor, torch.Tensor]:
                found = super().forward(
                    input_ids=input_ids, attention_mask=attention_mask
                )
                return found.start_logits, found.end_logits

        config = DistilBertConfig(
            vocab_size=self.vocabulary,
            dim=self.width,
            n_layers=self.layers,
            n_heads=self.heads,
            hidden_dim=self.inner,
            attn_implementation="eager",
        )
        return fit_for_tracing(PlainForQuestionAnswering(config))

    def example(self, batch_size: int, seed: int = 0) -> dict[str, Array]:
        """Draw token ids with padding; see `Bert.example`.

        Parameters
        ----------
        batch_size : int
            Samples, each of another length.
        seed : int
            Of the values.

        Returns
        -------
        dict of str to ndarray
            ``attention_mask``, ``input_ids``, int64.
        """
        drawn = super().example(batch_size, seed)
        return {name: drawn[name] for name in ("attention_mask", "input_ids")}

    def tensorflow_module(self, weights: Weights) -> tf.Module:
        """Make the TensorFlow twin; see `Architecture.tensorflow_module`.

        Parameters
        ----------
        weights : mapping of str to ndarray
            By canonical name.

        Returns
        -------
        tf.Module
            ``attention_mask``, ``input_ids``, int32 (batch, length) -> ``output_0``
            and ``output_1``, logits of start and end, (batch, length) each.
        """
        from bytemlperf.model_zoo.builders.encoder_tensorflow import make_distilbert

        return make_distilbert(
            weights, self.layers, heads=self.heads, length=self.length
        )

    def twin_inputs(self, feeds: dict[str, torch.Tensor]) -> list[torch.Tensor]:
        """Put the inputs in order; see `Architecture.twin_inputs`.

        Parameters
        ----------
        feeds : dict of str to torch.Tensor
            ``attention_mask``, ``input_ids``.

        Returns
        -------
        list of torch.Tensor
            int64.
        """
        return [feeds[name].long() for name in ("attention_mask", "input_ids")]

    def twin_outputs(
        self, results: tuple[torch.Tensor, ...]
    ) -> dict[str, torch.Tensor]:
        """Name start and end; see `Architecture.twin_outputs`.

        Parameters
        ----------
        results : tuple of torch.Tensor
            Logits of start and end.

        Returns
        -------
        dict of str to torch.Tensor
            ``output_0``, ``output_1``.
        """
        return {"output_0": results[0], "output_1": results[1]}
