"""Inputs of text models: token ids, and perhaps a mask and segments of their length.

Input: a request. Output: the inputs by their meaning. It refuses to know any text.
"""

from __future__ import annotations

from bytemlperf.datasets.draft import Request
from bytemlperf.errors import PrepareError
from bytemlperf.tensor_spec import TensorSpec

__all__ = ["text_specs"]

_TEXT_SEMANTICS = ("token_ids", "attention_mask", "segment_ids")


def text_specs(request: Request, dataset: str) -> dict[str, TensorSpec]:
    """Sort the inputs of a text model by their meaning.

    Parameters
    ----------
    request : Request
        With one token-id input, and at most one mask and one segment input.
    dataset : str
        For messages.

    Returns
    -------
    dict of str to TensorSpec
        Semantics to input; ``"token_ids"`` is always there.

    Raises
    ------
    PrepareError
        If the inputs are others, or of different lengths.
    """
    specs: dict[str, TensorSpec] = {}
    for spec in request.specs:
        shape = request.shape(spec)
        if spec.semantics not in _TEXT_SEMANTICS or spec.semantics in specs:
            raise PrepareError(
                f"{request.hints.model}: {dataset} fills one input each of "
                f"{', '.join(_TEXT_SEMANTICS)}; {spec.name!r} is another "
                f"{spec.semantics}"
            )
        if len(shape) != 2 or shape[0] != 1:
            raise PrepareError(
                f"{request.hints.model}: input {spec.name!r} should have shape "
                f"(1, tokens), it has {shape}"
            )
        specs[spec.semantics] = spec
    if "token_ids" not in specs or len({request.shape(s) for s in request.specs}) != 1:
        raise PrepareError(
            f"{request.hints.model}: {dataset} needs token ids, and a mask and "
            f"segments of the same length; the inputs are "
            f"{[(s.name, s.semantics, request.shape(s)) for s in request.specs]}"
        )
    return specs
