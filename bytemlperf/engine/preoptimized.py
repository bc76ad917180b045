"""Check that a pre-optimised model is still what it was: its format, and that it runs.

Input: the model's description before and after. Output: a sentence, or an error. The
model is loaded and run by the CPU backend in a process of its own, so that neither that
framework nor its memory is in the process that is measured.

``python -m bytemlperf.engine.preoptimized`` is that process; not meant for people.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bytemlperf.backends import create_backend, find_backend
from bytemlperf.backends.runtimes.source_model import framework_of
from bytemlperf.errors import BackendUnavailableError, BytemlperfError, CompileError

__all__ = ["check_preoptimized"]

CHECK_SECONDS = 600.0
MODEL_INFO = "model_info.json"
SAMPLE = "sample.npz"


def check_preoptimized(
    who: str,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    sample: Mapping[str, npt.NDArray[Any]] | None,
) -> str:
    """Check what `pre_optimize` has made of a model.

    Parameters
    ----------
    who : str
        The hardware type, for errors.
    before, after : mapping
        ``configs["model_info"]`` as it was and as it was returned.
    sample : mapping of str to ndarray or None
        Rows of one sample to run it on; None: only its format is looked at.

    Returns
    -------
    str
        What was checked, for the report.

    Raises
    ------
    CompileError
        The framework or the file format has changed, or the source framework cannot
        load and run it any more.
    """
    if before.get("framework") != after.get("framework"):
        raise _changed(who, "framework", before.get("framework"), after["framework"])
    old, new = str(before.get("model_path") or ""), str(after.get("model_path") or "")
    if not new:
        return "changed the configs, not the model"
    formats = [_format(Path(path)) for path in (old, new)]
    if formats[0] != formats[1]:
        raise _changed(who, "format", *formats)
    if sample is None:
        return f"still {formats[1]}"
    with tempfile.TemporaryDirectory(prefix="preoptimized-") as folder:
        job = Path(folder) / MODEL_INFO
        job.write_text(json.dumps({**after, "model_path": new}, default=str))
        arrays: dict[str, Any] = dict(sample)
        np.savez(Path(folder) / SAMPLE, **arrays)
        try:
            done = subprocess.run(
                [sys.executable, "-m", "bytemlperf.engine.preoptimized", folder],
                capture_output=True,
                text=True,
                errors="replace",
                timeout=CHECK_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise CompileError(
                f"{who}.pre_optimize: its source framework did not load and run "
                f"{Path(new).name} within {CHECK_SECONDS:g} s"
            ) from error
    said = done.stdout.strip().splitlines()
    if done.returncode != 0:
        raise CompileError(
            f"{who}.pre_optimize: {after.get('framework')} cannot load and run "
            f"{Path(new).name} any more",
            detail="\n".join((*said, *done.stderr.strip().splitlines())[-4:]),
            hint="it may change the model, not its format",
        )
    return said[-1] if said else "not checked"


def _changed(who: str, what: str, old: object, new: object) -> CompileError:
    return CompileError(
        f"{who}.pre_optimize changed the model's {what} from {old} to {new}",
        hint="change the format in compile; pre_optimize has to keep it",
    )


def _format(path: Path) -> str:
    """Name a file's format by its form."""
    framework = framework_of(path)
    return f"{framework} {path.suffix or 'folder'}" if framework else f"{path.suffix!r}"


def _main(folder: Path) -> int:
    """Load and run; say what was done, or what went wrong."""
    model_info = json.loads((folder / MODEL_INFO).read_text())
    framework = model_info["framework"]
    try:
        backend = create_backend(find_backend("CPU"))
        backend.compile(
            {"workload": {}, "model_info": model_info, "interact_info": {}}, None
        )
        backend.load(1)
        answer = backend.predict(dict(np.load(folder / SAMPLE, allow_pickle=False)))
    except BackendUnavailableError as error:
        sys.stdout.write(f"not checked: {error.message}\n")
        return 0
    except BytemlperfError as error:
        sys.stdout.write(f"{error}\n")
        return 1
    sys.stdout.write(f"still loads and runs in {framework}: {', '.join(answer)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(_main(Path(sys.argv[1])))
