"""The weights of a TensorFlow twin, by canonical name.

Input: arrays. Output: variables that answer in float32 whatever they are stored in:
half-precision weights are halves on the disk and in memory, and are widened where they
are used, because processors without half arithmetic emulate it many times slower.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from bytemlperf.model_zoo.weights import Weights

if TYPE_CHECKING:
    import tensorflow as tf

__all__ = ["make_table"]

Array = npt.NDArray[Any]


def make_table(weights: Weights, lay_out: Callable[[str, Array], Array]) -> tf.Module:
    """Make variables of weights.

    Parameters
    ----------
    weights : mapping of str to ndarray
        By canonical name, float32 or float16.
    lay_out : callable
        Takes a name and its array as PyTorch keeps it, returns it as TensorFlow does.

    Returns
    -------
    tf.Module
        ``table[name]`` is a float32 tensor, ``table.rows(name, ids)`` are rows of one,
        ``name in table`` says whether there is one. As an attribute of a module it
        saves its variables with it.
    """
    import tensorflow as tf

    class Table(tf.Module):  # type: ignore[misc]  # tf has no types here
        def __init__(self) -> None:
            super().__init__()
            self.kept = {
                name: tf.Variable(lay_out(name, array), name=name, trainable=False)
                for name, array in weights.items()
            }

        def __getitem__(self, name: str) -> tf.Tensor:
            variable = self.kept[name]
            return (
                variable
                if variable.dtype == tf.float32
                else tf.cast(variable, tf.float32)
            )

        def rows(self, name: str, ids: tf.Tensor) -> tf.Tensor:
            # Widened after they are looked up: a table of words is large.
            return tf.cast(tf.gather(self.kept[name], ids), tf.float32)

        def __contains__(self, name: str) -> bool:
            return name in self.kept

    return Table()
