"""Encoders that point at an answer's start and end: what they have in common.

Input: sizes. Output: an `Architecture` that lacks its PyTorch module. Attention is
written out as products and a softmax: the graph that every compiler of TorchScript
knows, and one whose branches do not depend on what the mask of the traced example held.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from bytemlperf.model_zoo.builders.architecture import Architecture
from bytemlperf.model_zoo.builders.transformer import draw_transformer_weight
from bytemlperf.model_zoo.weights import Draw

if TYPE_CHECKING:
    import torch

__all__ = ["SpanEncoder", "with_three_inputs"]

Array = npt.NDArray[Any]


class SpanEncoder(Architecture):
    """An encoder of tokens with a span head.

    Parameters
    ----------
    vocabulary : int
        Token ids.
    width, layers, heads, inner : int
        Hidden size, layers, attention heads, hidden size of the feed-forward part.
    length : int
        Tokens of a sample.

    Attributes
    ----------
    padding_id : int
        The token that stands behind the end; its embedding is drawn as 0.
    segment_count : int
        Sentences of a sample that are told apart; with 1, all segment ids are 0.
    """

    source_modules: ClassVar[tuple[str, ...]] = (
        __name__,
        "bytemlperf.model_zoo.builders.transformer",
    )
    packages: ClassVar[tuple[str, ...]] = ("torch", "numpy", "transformers")
    padding_id: ClassVar[int] = 0
    segment_count: ClassVar[int] = 2

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
            values[self.padding_id] = 0.0
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
            "input_ids": np.where(
                mask == 1,
                random.integers(self.padding_id + 1, self.vocabulary, shape),
                self.padding_id,
            ),
            "attention_mask": mask,
            "token_type_ids": (position >= self.length // 8)
            * mask
            * (self.segment_count - 1),
        }


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
