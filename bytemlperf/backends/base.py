"""The contract between the framework and a hardware vendor.

Input: a `configs` dictionary (workload, model_info, interact_info) and feeds.
Output: a compile result and predictions. A backend never times itself.

A vendor writes one class::

    from bytemlperf.backends import Backend

    class BackendGOYA(Backend):
        def __init__(self):
            super().__init__()
            self.hardware_type = "GOYA"

        def version(self): ...
        def compile(self, configs, dataloader=None): ...
        def get_loaded_batch_size(self): ...
        def predict(self, data): ...
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt

__all__ = ["Backend", "Feeds"]

Feeds = Mapping[str, npt.NDArray[Any]]


class Backend:
    """What a vendor implements to be measured.

    `configs` is a dictionary with three keys, the same in every call:

    ``workload``
        The workload's fields (`model`, `clients`, `batch_sizes`, ...).
    ``model_info``
        The model's fields (`framework`, `inputs`, `input_shape`, ...). ``model_path``
        is a local path to the model in its source format: a TorchScript file, a
        SavedModel folder or an ``.onnx`` file.
    ``interact_info``
        Answers to `get_interact_profile`, by name; empty when nothing was asked.

    Attributes
    ----------
    hardware_type : str
        The folder's name, such as ``"GOYA"``.
    need_reload : bool
        True if every batch size needs a `load` of its own.
    need_quant : bool
        True if `compile` wants the dataloader for calibration.
    need_model : bool
        False if no model file is wanted at all (a backend that answers without one).

    Notes
    -----
    The attributes also exist on the class, so that a subclass whose ``__init__`` does
    not call ``super().__init__()`` is complete.

    Thread-safety: all methods but `predict` are called from one thread. `predict` is
    called from ``instance_count`` threads at once (1 unless compile's result says
    more).
    """

    hardware_type: str = "UnKnown"
    need_reload: bool = False
    need_quant: bool = False
    need_model: bool = True

    def version(self) -> str:
        """Return the version of the backend, with the runtime it stands on.

        Returns
        -------
        str
            For example ``"goya-1.2 (driver 5.0)"``.
        """
        raise NotImplementedError("Backend.version")

    def pre_optimize(self, configs: dict[str, Any]) -> dict[str, Any] | None:
        """Change the model before compilation, keeping its format.

        Parameters
        ----------
        configs : dict
            See the class.

        Returns
        -------
        dict or None
            Changed configs, usually with another ``model_info["model_path"]``; None
            means unchanged.
        """
        return None

    def compile(
        self, configs: dict[str, Any], dataloader: Any | None = None
    ) -> dict[str, Any]:
        """Compile the model; any format may come out.

        Parameters
        ----------
        configs : dict
            See the class.
        dataloader : CalibrationData or None
            Real preprocessed samples for calibration, only if `need_quant`.

        Returns
        -------
        dict
            See `bytemlperf.backends.CompileResult` for keys and types. It is
            validated when it arrives.
        """
        raise NotImplementedError("Backend.compile")

    def tuning(self, configs: dict[str, Any]) -> dict[str, Any] | None:
        """Improve compile options after a first compilation and run.

        Returns
        -------
        dict or None
            Changed configs to compile again with; None means no change.
        """
        return None

    def segment(self, configs: dict[str, Any]) -> dict[str, Any] | None:
        """Split the model into segments before compilation.

        Returns
        -------
        dict or None
            Changed configs; None means that `compile` splits by itself.
        """
        return None

    def get_interact_profile(
        self, config: dict[str, Any]
    ) -> list[dict[str, Any]] | None:
        """Return the questions to ask the user, usually read from ``<hw>.json``.

        Returns
        -------
        list of dict or None
            Keys `name, note, dialog_type, type, default, depends, options`; None or
            an empty list asks nothing.
        """
        return None

    def get_best_batch_size(self) -> list[int] | None:
        """Return the batch sizes to measure instead of the workload's.

        Returns
        -------
        list of int or None
            None keeps the workload's.
        """
        return None

    def load(self, batch_size: int) -> None:
        """Make the compiled model ready to answer batches of `batch_size` samples.

        Parameters
        ----------
        batch_size : int
            Samples per batch, >= 1.
        """

    def get_loaded_batch_size(self) -> int:
        """Return the batch size the loaded model takes.

        Returns
        -------
        int
            Samples per `predict`, >= 1.
        """
        raise NotImplementedError("Backend.get_loaded_batch_size")

    def predict(self, data: Feeds) -> dict[str, npt.NDArray[Any]]:
        """Run the compiled model on one batch.

        Parameters
        ----------
        data : mapping of str to ndarray
            C-contiguous views by input name, never to be written to, 64-byte aligned
            unless a batch had to be cut or padded; axis 0 has ``batch_size *
            rows_per_sample`` rows. Valid until this returns.

        Returns
        -------
        dict of str to ndarray
            By output name, on the host; axis 0 belongs to the batch. The arrays must
            not alias the inputs.
        """
        raise NotImplementedError("Backend.predict")

    def predict_segment(self, sg_idx: int, data: Feeds) -> dict[str, npt.NDArray[Any]]:
        """Run one compiled segment on one batch.

        Override it, and the framework runs a model of several segments: it hands on
        tensors by name, and runs those with ``is_fallback`` on the CPU. A backend that
        does not override it chains its segments in `predict` by itself.

        Parameters
        ----------
        sg_idx : int
            As in the compile result, never one with ``is_fallback``.
        data : mapping of str to ndarray
            The segment's inputs by the names of its ``input_tensor_map``; otherwise as
            for `predict`.

        Returns
        -------
        dict of str to ndarray
            By the names of its ``output_tensor_map``, as for `predict`.
        """
        raise NotImplementedError("Backend.predict_segment")

    def get_op_placement(self) -> dict[str, dict[str, int]] | None:
        """Say which operators run where, as the compiler itself tells it.

        Asked after `compile`. The framework computes the coverage from it, beside the
        ``sg_percent`` that the compile result claims.

        Returns
        -------
        dict of str to dict of str to int, or None
            Operators by type, by who runs them: the hardware type's own name for those
            that were compiled, any other name (``"CPU"``) for those that fell back.
            None means that it is not known.
        """
        return None

    def get_copied_inputs(self) -> tuple[int, int] | None:
        """Say how many input arrays had to be copied for the framework so far.

        Asked before and after a point. Moving inputs to a device is work, not a copy.

        Returns
        -------
        tuple of int, or None
            Arrays copied since `compile`, and their bytes together; None means that it
            is not known.
        """
        return None

    def benchmark(self, dataloader: Any) -> dict[str, Any] | None:
        """Return the vendor's own figures, shown beside ours and never instead.

        Returns
        -------
        dict or None
            Free keys with JSON values; None means that there are none.
        """
        return None
