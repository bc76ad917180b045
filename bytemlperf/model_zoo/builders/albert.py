"""ALBERT that points at an answer's start and end: one layer, applied twelve times.

Input: nothing, or smaller sizes for tests. Output: an `Architecture`.
Lan et al., "ALBERT", 2019.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from bytemlperf.model_zoo.builders.span import SpanEncoder, with_three_inputs
from bytemlperf.model_zoo.builders.transformer import fit_for_tracing

if TYPE_CHECKING:
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


class Albert(SpanEncoder):
    """ALBERT with a span head, and embeddings a sixth as wide as the rest."""

    source_modules: ClassVar[tuple[str, ...]] = (*SpanEncoder.source_modules, __name__)

    def torch_module(self) -> torch.nn.Module:
        """Make the module; see `Architecture.torch_module`.

        Returns
        -------
        torch.nn.Module
            Token ids, attention mask and segment ids, integers (batch, length) ->
            logits of start and end, (batch, length) each.
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
