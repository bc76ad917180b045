"""Wide & Deep for Criteo: a linear model and a network, added.

Input: nothing, or smaller sizes for tests. Output: an `Architecture`. The shape is that
of the TensorFlow model whose tensors ByteMLPerf names: 26 hashed fields in two fused
tables that are looked up by (field, bucket) pairs, and one logit, of which the other
class's is fixed at zero. Cheng et al., "Wide & Deep Learning", 2016.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from bytemlperf.model_zoo.builders.architecture import Architecture
from bytemlperf.model_zoo.weights import Draw, Weights

if TYPE_CHECKING:
    import tensorflow as tf
    import torch

__all__ = ["WideDeep", "wide_deep", "wide_deep_small"]

Array = npt.NDArray[Any]


def wide_deep() -> WideDeep:
    """Return Wide & Deep for Criteo.

    Returns
    -------
    WideDeep
        2,380,690 parameters.
    """
    return WideDeep(
        fields=26, buckets=1000, embedding=32, numbers=13, hidden=(1024, 512, 256)
    )


def wide_deep_small() -> WideDeep:
    """Return a Wide & Deep that 1,399 rows can train.

    Returns
    -------
    WideDeep
        585,106 parameters.
    """
    return WideDeep(
        fields=26, buckets=1000, embedding=16, numbers=13, hidden=(256, 128)
    )


class WideDeep(Architecture):
    """Wide & Deep.

    Parameters
    ----------
    fields, buckets : int
        Categorical fields, and hash buckets of each.
    embedding : int
        Numbers a bucket is embedded in.
    numbers : int
        Numeric fields.
    hidden : tuple of int
        Widths of the network's layers.
    """

    source_modules: ClassVar[tuple[str, ...]] = (
        __name__,
        "bytemlperf.model_zoo.builders.wide_deep_tensorflow",
        "bytemlperf.model_zoo.builders.tensorflow_table",
    )

    def __init__(
        self,
        *,
        fields: int,
        buckets: int,
        embedding: int,
        numbers: int,
        hidden: tuple[int, ...],
    ) -> None:
        self.fields = fields
        self.buckets = buckets
        self.embedding = embedding
        self.numbers = numbers
        self.hidden = hidden

    def torch_module(self) -> torch.nn.Module:
        """Make the module; see `Architecture.torch_module`.

        Returns
        -------
        torch.nn.Module
            int64 (fields * batch, 2) and float (batch, numbers) -> probabilities
            (batch, 2).
        """
        return _torch_wide_deep(self).eval()

    def draw(self, draw: Draw) -> Array:
        """Draw one tensor as TensorFlow's estimator does; see `Architecture.draw`.

        Parameters
        ----------
        draw : Draw
            Knows the tensor's name and shape.

        Returns
        -------
        ndarray
            float32. The linear part, which an estimator starts from zero, is drawn
            too: a part of zeros cannot show that it is computed wrongly.
        """
        if draw.name == "embedding":
            return draw.normal(self.embedding**-0.5, cut=2.0)
        if draw.name == "linear":
            return draw.normal(0.1)
        if len(draw.shape) == 2:
            return draw.uniform((6.0 / sum(draw.shape)) ** 0.5)
        return draw.fill(0.0)

    def example(self, batch_size: int, seed: int = 0) -> dict[str, Array]:
        """Draw rows; see `Architecture.example`.

        Parameters
        ----------
        batch_size : int
            Rows of Criteo.
        seed : int
            Of the values.

        Returns
        -------
        dict of str to ndarray
            ``new_categorical_placeholder`` int64 (fields * batch, 2) and
            ``new_numeric_placeholder`` float32 (batch, numbers).
        """
        random = np.random.Generator(np.random.PCG64(seed))
        field = np.tile(np.arange(self.fields), batch_size)
        bucket = random.integers(0, self.buckets, field.shape)
        return {
            "new_categorical_placeholder": np.stack([field, bucket], axis=1),
            "new_numeric_placeholder": random.random(
                (batch_size, self.numbers), dtype=np.float32
            ),
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
            The inputs of `example` -> ``import/head/predictions/probabilities``
            (batch, 2).
        """
        from bytemlperf.model_zoo.builders.wide_deep_tensorflow import make_wide_deep

        return make_wide_deep(weights, self.numbers)

    def twin_inputs(self, feeds: dict[str, torch.Tensor]) -> list[torch.Tensor]:
        """Put the inputs in order; see `Architecture.twin_inputs`.

        Parameters
        ----------
        feeds : dict of str to torch.Tensor
            As `example`.

        Returns
        -------
        list of torch.Tensor
            Pairs, numbers.
        """
        return [
            feeds["new_categorical_placeholder"],
            feeds["new_numeric_placeholder"],
        ]

    def twin_outputs(
        self, results: tuple[torch.Tensor, ...]
    ) -> dict[str, torch.Tensor]:
        """Name the probabilities; see `Architecture.twin_outputs`.

        Parameters
        ----------
        results : tuple of torch.Tensor
            The probabilities.

        Returns
        -------
        dict of str to torch.Tensor
            ``import/head/predictions/probabilities``.
        """
        return {"import/head/predictions/probabilities": results[0]}


def _torch_wide_deep(size: WideDeep) -> torch.nn.Module:
    """Make the module. The class is in here because its base is PyTorch's."""
    import torch
    from torch import nn

    class Network(nn.Module):  # type: ignore[misc]  # nn has no types here
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Parameter(torch.empty(size.fields, size.buckets))
            self.linear_bias = nn.Parameter(torch.empty(1))
            self.embedding = nn.Parameter(
                torch.empty(size.fields, size.buckets, size.embedding)
            )
            widths = (size.fields * size.embedding + size.numbers, *size.hidden)
            self.hidden = nn.ModuleList(
                nn.Linear(before, after) for before, after in itertools.pairwise(widths)
            )
            self.logit = nn.Linear(widths[-1], 1)

        def forward(self, pairs: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
            field, bucket = pairs.unbind(1)
            wide = self.linear[field, bucket].reshape(-1, size.fields)
            embedded = self.embedding[field, bucket]
            deep = torch.cat(
                [embedded.reshape(-1, size.fields * size.embedding), numbers], dim=1
            )
            for layer in self.hidden:
                deep = torch.relu(layer(deep))
            logit = self.logit(deep) + wide.sum(1, keepdim=True) + self.linear_bias
            return torch.cat([torch.zeros_like(logit), logit], dim=1).softmax(1)

    return Network()
