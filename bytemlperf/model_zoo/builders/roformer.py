"""RoFormer that says how alike two texts are.

Input: nothing, or smaller sizes for tests. Output: an `Architecture`. The encoder's
module is that of transformers; the head is the one of RoFormer's own code for the legal
texts of CAIL2019-SCM: the mean over all tokens and one sigmoid. Token 0 is padding, and
is neither attended to nor counted. Su et al., "RoFormer", 2021.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from bytemlperf.model_zoo.builders.span import SpanEncoder
from bytemlperf.model_zoo.builders.transformer import fit_for_tracing
from bytemlperf.model_zoo.weights import Draw, Weights

if TYPE_CHECKING:
    import tensorflow as tf
    import torch

__all__ = ["Roformer", "roformer_base"]

Array = npt.NDArray[Any]
POSITIONS = "roformer.encoder.embed_positions.weight"


def roformer_base() -> Roformer:
    """Return RoFormer-base for pairs of texts of 1024 tokens together.

    Returns
    -------
    Roformer
        123,458,305 parameters.
    """
    return Roformer(
        vocabulary=50000, width=768, layers=12, heads=12, inner=3072, length=1024
    )


class Roformer(SpanEncoder):
    """RoFormer with a head of one probability; parameters as `SpanEncoder`."""

    source_modules: ClassVar[tuple[str, ...]] = (
        *SpanEncoder.source_modules,
        __name__,
        "bytemlperf.model_zoo.builders.encoder_tensorflow",
        "bytemlperf.model_zoo.builders.roformer_tensorflow",
        "bytemlperf.model_zoo.builders.tensorflow_table",
    )

    def torch_module(self) -> torch.nn.Module:
        """Make the module; see `Architecture.torch_module`.

        Returns
        -------
        torch.nn.Module
            Segment and token ids, integers (batch, length) -> probability (batch, 1).
        """
        import torch
        from transformers import RoFormerConfig, RoFormerModel

        config = RoFormerConfig(
            vocab_size=self.vocabulary,
            hidden_size=self.width,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            intermediate_size=self.inner,
            max_position_embeddings=self.length,
            attn_implementation="eager",
        )

        class Network(torch.nn.Module):  # type: ignore[misc]  # nn has no types here
            def __init__(self) -> None:
                super().__init__()
                self.roformer = fit_for_tracing(RoFormerModel(config))
                self.classifier = torch.nn.Linear(config.hidden_size, 1)

            def forward(
                self, input_segment: torch.Tensor, input_token: torch.Tensor
            ) -> torch.Tensor:
                mask = (input_token > 0).to(self.classifier.weight.dtype)
                states = self.roformer(
                    input_ids=input_token,
                    attention_mask=mask,
                    token_type_ids=input_segment,
                ).last_hidden_state
                total = (states * mask[:, :, None]).sum(1)
                mean = total / mask.sum(1, keepdim=True)
                return torch.sigmoid(self.classifier(mean))

        return Network().eval()

    def draw(self, draw: Draw) -> Array:
        """Draw one tensor; see `SpanEncoder.draw`.

        Parameters
        ----------
        draw : Draw
            Knows the tensor's name and shape.

        Returns
        -------
        ndarray
            float32. The table of positions is computed: sines, then cosines.
        """
        if draw.name == POSITIONS:
            return rotation_table(*draw.shape)
        if draw.name == "classifier.weight":
            # Logits of about 1: a sigmoid that is full says the same to every text.
            return draw.normal(draw.shape[1] ** -0.5)
        return super().draw(draw)

    def example(self, batch_size: int, seed: int = 0) -> dict[str, Array]:
        """Draw token ids with padding; see `SpanEncoder.example`.

        Parameters
        ----------
        batch_size : int
            Samples, each of another length.
        seed : int
            Of the values.

        Returns
        -------
        dict of str to ndarray
            ``input_segment``, ``input_token``, int64.
        """
        drawn = super().example(batch_size, seed)
        return {
            "input_segment": drawn["token_type_ids"],
            "input_token": drawn["input_ids"],
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
            ``input_segment``, ``input_token``, float32 (batch, length): whole numbers,
            as in the original -> ``Identity``, probability (batch, 1).
        """
        from bytemlperf.model_zoo.builders.roformer_tensorflow import make_roformer

        return make_roformer(weights, self.layers, heads=self.heads, length=self.length)

    def twin_inputs(self, feeds: dict[str, torch.Tensor]) -> list[torch.Tensor]:
        """Turn floats into ids; see `Architecture.twin_inputs`.

        Parameters
        ----------
        feeds : dict of str to torch.Tensor
            ``input_segment``, ``input_token``.

        Returns
        -------
        list of torch.Tensor
            int64.
        """
        return [feeds[name].long() for name in ("input_segment", "input_token")]

    def twin_outputs(
        self, results: tuple[torch.Tensor, ...]
    ) -> dict[str, torch.Tensor]:
        """Name the probability; see `Architecture.twin_outputs`.

        Parameters
        ----------
        results : tuple of torch.Tensor
            The probability.

        Returns
        -------
        dict of str to torch.Tensor
            ``Identity``.
        """
        return {"Identity": results[0]}


def rotation_table(positions: int, size: int) -> Array:
    """Compute by how much each pair of a head's numbers is turned at each position.

    Parameters
    ----------
    positions, size : int
        Rows, and numbers of a head.

    Returns
    -------
    ndarray
        float32 (positions, size): the sines of ``position / 10000 ** (2 i / size)`` in
        the first half, their cosines in the second. Vaswani et al. 2017, section 3.5.
    """
    angles = np.arange(positions)[:, None] / np.power(
        10000.0, np.arange(0, size, 2) / size
    )
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)
