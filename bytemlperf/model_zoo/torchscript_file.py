"""Write a traced module so that the same module is the same bytes.

Input: an example and a module. Output: the bytes of a TorchScript file, without the
record of where on this machine each operation was written. What PyTorch cannot be kept
from writing is a number in the name of each class, which counts on from whatever this
process traced before: the first trace of a process is the same bytes everywhere.
"""

from __future__ import annotations

import io
import struct
import warnings
import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

__all__ = ["trace_to_bytes"]

# Tensors start at multiples of this, as PyTorch's own writer has it, so that a file can
# be mapped into memory.
ALIGNMENT_BYTES = 64
LOCAL_HEADER_BYTES = 30
PADDING_MARK = b"FB"


def trace_to_bytes(
    module: torch.nn.Module, example: tuple[torch.Tensor, ...]
) -> bytes | memoryview:
    """Trace a module, check the trace against it, and serialise.

    Parameters
    ----------
    module : torch.nn.Module
        In evaluation mode.
    example : tuple of torch.Tensor
        Its inputs.

    Returns
    -------
    bytes or memoryview
        What ``torch.jit.load`` reads.
    """
    import torch

    with warnings.catch_warnings(), torch.no_grad():
        # TorchScript is what backends in the field read, deprecated or not.
        warnings.filterwarnings("ignore", ".*torch.jit.*", DeprecationWarning)
        # Sizes that are constants of the architecture are constants of the trace.
        warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)
        # Tracing reads every property of a module, deprecated ones too.
        warnings.filterwarnings("ignore", category=FutureWarning)
        traced = torch.jit.trace(module, example)
        written = io.BytesIO()
        torch.jit.save(traced, written)
    return _strip(written)


def _strip(written: io.BytesIO) -> memoryview:
    """Copy an archive without its debugging records."""
    kept = io.BytesIO()
    with zipfile.ZipFile(written) as source, zipfile.ZipFile(kept, "w") as target:
        for record in source.infolist():
            if record.filename.endswith(".debug_pkl"):
                continue
            entry = zipfile.ZipInfo(record.filename)
            name_bytes = len(record.filename.encode())
            start = kept.tell() + LOCAL_HEADER_BYTES + name_bytes
            padding = -(start + 4) % ALIGNMENT_BYTES
            entry.extra = PADDING_MARK + struct.pack("<H", padding) + b"Z" * padding
            target.writestr(entry, source.read(record))
    return kept.getbuffer()
