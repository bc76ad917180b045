"""DeBERTa that points at an answer's start and end.

Input: nothing, or smaller sizes for tests. Output: an `Architecture`.
He et al., "DeBERTa", 2020.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from bytemlperf.model_zoo.builders.span import SpanEncoder, with_three_inputs
from bytemlperf.model_zoo.builders.transformer import fit_for_tracing

if TYPE_CHECKING:
    import torch

__all__ = ["Deberta", "deberta_base"]

EPSILON = 1e-7


def deberta_base() -> Deberta:
    """Return DeBERTa-base for SQuAD.

    Returns
    -------
    Deberta
        138,603,266 parameters.
    """
    return Deberta(
        vocabulary=50265, width=768, layers=12, heads=12, inner=3072, length=384
    )


class Deberta(SpanEncoder):
    """DeBERTa with a span head. Its graph has segment ids and does not use them."""

    source_modules: ClassVar[tuple[str, ...]] = (*SpanEncoder.source_modules, __name__)

    def torch_module(self) -> torch.nn.Module:
        """Make the module; see `Architecture.torch_module`.

        Returns
        -------
        torch.nn.Module
            Token ids, attention mask and segment ids, integers (batch, length) ->
            logits of start and end, (batch, length) each. Attention sees content by
            content, content by position and position by content.
        """
        from transformers import DebertaConfig, DebertaForQuestionAnswering

        config = DebertaConfig(
            vocab_size=self.vocabulary,
            hidden_size=self.width,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            intermediate_size=self.inner,
            type_vocab_size=0,
            relative_attention=True,
            pos_att_type=["c2p", "p2c"],
            position_biased_input=False,
            layer_norm_eps=EPSILON,
        )
        return fit_for_tracing(with_three_inputs(DebertaForQuestionAnswering)(config))
