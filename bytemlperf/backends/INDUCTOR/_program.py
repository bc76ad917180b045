"""A PyTorch model compiled by TorchInductor for one batch size.

Input: a TorchScript or torch.export file. Output: a callable, and who runs its
operators. Nothing is left to the first query: compiling calls the model.
"""

from __future__ import annotations

import warnings
from collections import Counter
from typing import Any

import torch
from torch._inductor import config as inductor_config
from torch._inductor import lowering

from bytemlperf.errors import CompileError

__all__ = ["compile_program", "operator_placement", "read_program"]


def read_program(path: str, example: tuple[Any, ...]) -> Any:
    """Read a model as a torch.export program.

    Parameters
    ----------
    path : str
        ``.pt2`` for torch.export, anything else for TorchScript.
    example : tuple of Tensor
        Its arguments for one batch; TorchScript is traced for these shapes.

    Returns
    -------
    torch.export.ExportedProgram
        With all branches taken.

    Raises
    ------
    CompileError
        It cannot be read, or PyTorch cannot turn it into such a program.
    """
    with warnings.catch_warnings():
        # TorchScript is deprecated, and it is the format these models come in.
        warnings.simplefilter("ignore")
        try:
            if path.endswith(".pt2"):
                return torch.export.load(path)
            from torch._export.converter import TS2EPConverter

            script = torch.jit.load(path, map_location="cpu").eval()
            return TS2EPConverter(script, example).convert()
        except Exception as error:  # the converter's errors share no other base
            raise CompileError(
                f"PyTorch cannot turn {path} into a torch.export program",
                detail=f"{type(error).__name__}: {error}".splitlines()[0],
            ) from error


def compile_program(program: Any, example: tuple[Any, ...], *, freezing: bool) -> Any:
    """Compile a program, and call it so that the compiler has really run.

    Parameters
    ----------
    program : torch.export.ExportedProgram
        From `read_program`.
    example : tuple of Tensor
        Arguments of one batch; the code is compiled for these shapes alone.
    freezing : bool
        Whether weights become constants.

    Returns
    -------
    callable
        From tensors to tensors.

    Raises
    ------
    CompileError
        The compiler failed, such as for lack of a C++ compiler.
    """
    compiled = torch.compile(program.module(), fullgraph=True, dynamic=False)
    try:
        # Twice: the first call compiles, the second shows that it is done.
        with (
            warnings.catch_warnings(),
            inductor_config.patch(freezing=freezing),
            torch.inference_mode(),
        ):
            # PyTorch's compiler uses what PyTorch itself has deprecated.
            warnings.simplefilter("ignore")
            compiled(*example)
            compiled(*example)
    except Exception as error:  # dynamo and inductor share no other base
        raise CompileError(
            "TorchInductor cannot compile the model",
            detail=f"{type(error).__name__}: {error}",
            hint="it takes a C++ compiler on the PATH, or in CXX",
        ) from error
    return compiled


def operator_placement(program: Any) -> dict[str, dict[str, int]]:
    """Return operators by whether Inductor has a lowering for them.

    Parameters
    ----------
    program : torch.export.ExportedProgram
        After it was compiled: fallbacks register themselves then.

    Returns
    -------
    dict of str to dict of str to int
        ``"INDUCTOR"``: generated code or its own choice of kernel library. ``"ATen"``:
        handed to PyTorch's eager kernels, because there is no lowering.
    """
    own: Counter[str] = Counter()
    eager: Counter[str] = Counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graph = program.run_decompositions().graph
    for node in graph.nodes:
        if node.op == "call_function" and hasattr(node.target, "overloadpacket"):
            side = eager if node.target in lowering.fallbacks else own
            side[str(node.target.overloadpacket).removeprefix("aten.")] += 1
    return {"INDUCTOR": dict(own), "ATen": dict(eager)}
