"""What every architecture can say of itself, and what follows from that.

Input: an architecture of any width. Output: weights, and PyTorch modules that hold
them.
"""

from __future__ import annotations

import abc
import importlib
import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from bytemlperf.model_zoo.weights import Draw, Weights, check_names, check_shape

if TYPE_CHECKING:
    import tensorflow as tf
    import torch

__all__ = ["Architecture", "load_weights"]

Array = npt.NDArray[Any]
# A counter that training keeps and nothing that answers ever reads.
_COUNTER = "num_batches_tracked"


class Architecture(abc.ABC):
    """One architecture at one size.

    Attributes
    ----------
    source_modules : tuple of str
        Modules whose text decides what is built: it is in the cache's key.
    packages : tuple of str
        Distributions whose versions do, beside those of the format.
    """

    source_modules: ClassVar[tuple[str, ...]] = ()
    packages: ClassVar[tuple[str, ...]] = ("torch", "numpy")

    @abc.abstractmethod
    def torch_module(self) -> torch.nn.Module:
        """Make the module, in evaluation mode, with whatever weights.

        Returns
        -------
        torch.nn.Module
            `forward` takes the model's inputs in the order of the model file (floats
            in the module's own precision) and returns one tensor, or a tuple in the
            order of the model file's outputs.
        """

    @abc.abstractmethod
    def draw(self, draw: Draw) -> Array:
        """Draw the initial value of one tensor, as training would start from it.

        Parameters
        ----------
        draw : Draw
            Knows the tensor's name and shape.

        Returns
        -------
        ndarray
            float32, of that shape.
        """

    @abc.abstractmethod
    def example(self, batch_size: int, seed: int = 0) -> dict[str, Array]:
        """Draw inputs to trace the module with.

        Parameters
        ----------
        batch_size : int
            Samples.
        seed : int
            Of the values.

        Returns
        -------
        dict of str to ndarray
            By plain argument name, in the order of `forward`.
        """

    def settle(self, weights: dict[str, Array], seed: int) -> None:
        """Change drawn weights in place so that numbers stay in range.

        Parameters
        ----------
        weights : dict of str to ndarray
            As drawn.
        seed : int
            Of the model.
        """
        del weights, seed

    def translate(self, checkpoint: Weights) -> dict[str, Array]:
        """Rename the tensors of a checkpoint to the canonical names.

        Parameters
        ----------
        checkpoint : mapping of str to ndarray
            As read.

        Returns
        -------
        dict of str to ndarray
            Renamed.
        """
        return {n: a for n, a in checkpoint.items() if not n.endswith(_COUNTER)}

    def tensorflow_module(self, weights: Weights) -> tf.Module:
        """Make the TensorFlow twin, with the same weights.

        Parameters
        ----------
        weights : mapping of str to ndarray
            By canonical name.

        Returns
        -------
        tf.Module
            Its `serve` takes the inputs by plain name and returns a dict of outputs.

        Raises
        ------
        NotImplementedError
            The architecture is not sold as a SavedModel.
        """
        raise NotImplementedError(f"{type(self).__name__} has no TensorFlow twin")

    def twin_inputs(self, feeds: dict[str, torch.Tensor]) -> list[torch.Tensor]:
        """Turn the TensorFlow twin's inputs into those of the PyTorch module.

        Parameters
        ----------
        feeds : dict of str to torch.Tensor
            By the twin's plain names.

        Returns
        -------
        list of torch.Tensor
            In the order of `forward`.

        Raises
        ------
        NotImplementedError
            There is no twin.
        """
        raise NotImplementedError(f"{type(self).__name__} has no TensorFlow twin")

    def twin_outputs(
        self, results: tuple[torch.Tensor, ...]
    ) -> dict[str, torch.Tensor]:
        """Turn the PyTorch module's results into the TensorFlow twin's outputs.

        Parameters
        ----------
        results : tuple of torch.Tensor
            As `forward` returned them.

        Returns
        -------
        dict of str to torch.Tensor
            By the twin's plain names.

        Raises
        ------
        NotImplementedError
            There is no twin.
        """
        raise NotImplementedError(f"{type(self).__name__} has no TensorFlow twin")

    def seeded_weights(self, seed: int) -> dict[str, Array]:
        """Draw all weights.

        Parameters
        ----------
        seed : int
            The same seed gives the same bits, in any process.

        Returns
        -------
        dict of str to ndarray
            float32, by canonical name.
        """
        weights = {
            name: self.draw(Draw(seed, name, shape))
            for name, shape in self.weight_shapes().items()
        }
        self.settle(weights, seed)
        return weights

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of every tensor that has to be stored.

        Returns
        -------
        dict of str to tuple of int
            By canonical name.
        """
        import torch

        with torch.device("meta"):
            module = self.torch_module()
        return {name: tuple(tensor.shape) for name, tensor in stored(module).items()}

    def parameter_count(self) -> int:
        """Count the trainable numbers.

        Returns
        -------
        int
            Shared parameters count once.
        """
        import torch

        with torch.device("meta"):
            module = self.torch_module()
        return sum(p.numel() for p in module.parameters() if p.requires_grad)

    def source_text(self) -> str:
        """Return the text of everything here that decides what is built.

        Returns
        -------
        str
            Concatenated sources.
        """
        names = ("bytemlperf.model_zoo.weights", __name__, *self.source_modules)
        return "".join(inspect.getsource(importlib.import_module(n)) for n in names)


def stored(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return the tensors of a module that a checkpoint must have.

    Parameters
    ----------
    module : torch.nn.Module
        Any.

    Returns
    -------
    dict of str to torch.Tensor
        Parameters and persistent buffers, without training's counters.
    """
    state: Mapping[str, torch.Tensor] = module.state_dict()
    return {n: t for n, t in state.items() if not n.endswith(_COUNTER)}


def load_weights(
    module: torch.nn.Module, weights: Weights, origin: str
) -> torch.nn.Module:
    """Fill a module with weights, all of them and nothing else.

    Parameters
    ----------
    module : torch.nn.Module
        Of the architecture; its precision is kept.
    weights : mapping of str to ndarray
        By canonical name.
    origin : str
        Where they came from, for the error.

    Returns
    -------
    torch.nn.Module
        The same module.

    Raises
    ------
    PrepareError
        A name is missing or too many, or a shape differs.
    """
    import torch

    state = stored(module)
    check_names(weights, state, origin)
    with torch.no_grad():
        for name, tensor in state.items():
            check_shape(name, weights[name], tuple(tensor.shape), origin)
            tensor.copy_(torch.from_numpy(np.array(weights[name])))
    return module
