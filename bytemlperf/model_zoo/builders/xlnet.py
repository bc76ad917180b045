"""XLNet that points at an answer's start and end.

Input: nothing, or smaller sizes for tests. Output: an `Architecture`. The span head is
the plain one of two logits a token; XLNet's own beam search over spans is no network.
Yang et al., "XLNet", 2019.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from bytemlperf.model_zoo.builders.span import SpanEncoder, with_three_inputs
from bytemlperf.model_zoo.builders.transformer import fit_for_tracing

if TYPE_CHECKING:
    import torch

__all__ = ["Xlnet", "xlnet_base"]


def xlnet_base() -> Xlnet:
    """Return XLNet-base for SQuAD.

    Returns
    -------
    Xlnet
        116,719,874 parameters.
    """
    return Xlnet(
        vocabulary=32000, width=768, layers=12, heads=12, inner=3072, length=384
    )


class Xlnet(SpanEncoder):
    """XLNet with a span head; positions are relative, segments are compared."""

    source_modules: ClassVar[tuple[str, ...]] = (*SpanEncoder.source_modules, __name__)

    def torch_module(self) -> torch.nn.Module:
        """Make the module; see `Architecture.torch_module`.

        Returns
        -------
        torch.nn.Module
            Token ids, attention mask and segment ids, integers (batch, length) ->
            logits of start and end, (batch, length) each.
        """
        from transformers import XLNetConfig, XLNetForQuestionAnsweringSimple

        config = XLNetConfig(
            vocab_size=self.vocabulary,
            d_model=self.width,
            n_layer=self.layers,
            n_head=self.heads,
            d_inner=self.inner,
            # A memory of earlier segments is a second output that nobody here asks for.
            use_mems_eval=False,
        )
        plain = with_three_inputs(XLNetForQuestionAnsweringSimple)
        return fit_for_tracing(plain(config))
