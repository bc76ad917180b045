"""RoBERTa that points at an answer's start and end.

Input: nothing, or smaller sizes for tests. Output: an `Architecture`.
Liu et al., "RoBERTa", 2019.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from bytemlperf.model_zoo.builders.span import SpanEncoder, with_three_inputs
from bytemlperf.model_zoo.builders.transformer import fit_for_tracing

if TYPE_CHECKING:
    import torch

__all__ = ["Roberta", "roberta_base"]

EPSILON = 1e-5


def roberta_base() -> Roberta:
    """Return RoBERTa-base for SQuAD.

    Returns
    -------
    Roberta
        124,056,578 parameters, of them 514 positions for sequences of up to 512.
    """
    return Roberta(
        vocabulary=50265, width=768, layers=12, heads=12, inner=3072, length=384
    )


class Roberta(SpanEncoder):
    """RoBERTa with a span head. It has one segment: all segment ids are 0."""

    source_modules: ClassVar[tuple[str, ...]] = (*SpanEncoder.source_modules, __name__)
    padding_id: ClassVar[int] = 1
    segment_count: ClassVar[int] = 1

    def torch_module(self) -> torch.nn.Module:
        """Make the module; see `Architecture.torch_module`.

        Returns
        -------
        torch.nn.Module
            Token ids, attention mask and segment ids, integers (batch, length) ->
            logits of start and end, (batch, length) each. Positions are counted from
            behind the padding's id, over tokens that are not it.
        """
        from transformers import RobertaConfig, RobertaForQuestionAnswering

        config = RobertaConfig(
            vocab_size=self.vocabulary,
            hidden_size=self.width,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            intermediate_size=self.inner,
            max_position_embeddings=514,
            type_vocab_size=self.segment_count,
            pad_token_id=self.padding_id,
            layer_norm_eps=EPSILON,
            attn_implementation="eager",
        )
        return fit_for_tracing(with_three_inputs(RobertaForQuestionAnswering)(config))
