"""ALBERT that points at an answer's start and end: one layer, applied twelve times.

Input: nothing, or smaller sizes for tests. Output: an `Architecture`.
Lan et al., "ALBERT", 2019.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from bytemlperf.model_zoo.builders.architecture import Architecture
from bytemlperf.model_zoo.builders.bert import Bert, with_three_inputs
from bytemlperf.model_zoo.builders.transformer import fit_for_tracing
from bytemlperf.model_zoo.weights import Weights

if TYPE_CHECKING:
    import tensorflow as tf
    import torch

__all__ = ["Albert", "albert_base"]


def albert_base() -> Albert:
    """Return ALBERT-base for SQuAD.

    Returns
    -------
    Albert
        11,094,530 parameters, those of the one layer that is applied twelve times.
    """
    return Albert(
        vocabulary=30000, width=768, layers=12, heads=12, inner=3072, length=384
    )


class Albert(Bert):
    """ALBERT with a span head; parameters as `Bert`, embeddings a sixth as wide."""

    source_modules: ClassVar[tuple[str, ...]] = (*Bert.source_modules, __name__)

    def torch_module(self) -> torch.nn.Module:
        """Make the module; see `Bert.torch_module`.

        Returns
        -------
        torch.nn.Module
            With the same inputs and outputs.
        """
        from transformers import AlbertConfig, AlbertForQuestionAnswering

        config = AlbertConfig(
            vocab_size=self.vocabulary,
            embedding_size=self.width // 6,
            hidden_size=self.width,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            intermediate_size=self.inner,
            attn_implementation="eager",
        )
        return fit_for_tracing(with_three_inputs(AlbertForQuestionAnswering)(config))

    def tensorflow_module(self, weights: Weights) -> tf.Module:
        """Refuse: ALBERT is sold as TorchScript only.

        Parameters
        ----------
        weights : mapping of str to ndarray
            Not used.

        Raises
        ------
        NotImplementedError
            Always.
        """
        return Architecture.tensorflow_module(self, weights)
