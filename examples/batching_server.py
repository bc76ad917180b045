"""Serve one model over HTTP, and batch the requests that come at the same time.

A whole Starlette application around `bytemlperf.runtime.Scheduler`. Every request
brings one sample; the scheduler makes batches of whatever waits when a predict thread
is free. A request that is slow, or whose client has gone, leaves at once; the rest of
its batch is answered as if nothing had happened.

To serve an ONNX model::

    pip install bytemlperf starlette uvicorn onnxruntime
    MODEL=model.onnx uvicorn --factory examples.batching_server:onnx_app

    curl localhost:8000/predict -d '{"x": [[0.1, 0.2]]}'
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import anyio
import msgspec
import numpy as np
import numpy.typing as npt
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bytemlperf.errors import (
    ConfigError,
    PredictError,
    QueueClosedError,
    QueueFullError,
)
from bytemlperf.runtime import Batching, Scheduler
from bytemlperf.tensor_spec import TensorSpec

__all__ = ["make_app", "onnx_app"]

Feeds = Mapping[str, npt.NDArray[Any]]

# Not a standard code; log readers know it from other servers.
_CLIENT_CLOSED_REQUEST = 499

_DTYPES = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(uint8)": "uint8",
    "tensor(bool)": "bool",
}


def make_app(
    predict: Callable[[dict[str, npt.NDArray[Any]]], Feeds],
    inputs: list[TensorSpec],
    *,
    batching: Batching,
    timeout_seconds: float = 10.0,
) -> Starlette:
    """Make an application that answers ``POST /predict``.

    Parameters
    ----------
    predict : callable
        ``predict(feeds) -> outputs``, called in predict threads with whole batches.
    inputs : list of TensorSpec
        What a sample is, a fixed shape for each input; the first dimension is its rows.
    batching : Batching
        How requests become batches. `Batching.max_queued` bounds what may wait: beyond
        it requests are refused with 503.
    timeout_seconds : float, default 10.0
        A request that waits longer is answered with 504.

    Returns
    -------
    Starlette
        The scheduler lives as long as the application does; at its end all that was
        accepted is answered.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[dict[str, Scheduler]]:
        async with Scheduler(predict, inputs, batching=batching) as scheduler:
            yield {"scheduler": scheduler}

    async def answer(scheduler: Scheduler, sample: Feeds) -> Response:
        try:
            with anyio.fail_after(timeout_seconds):
                outputs = await scheduler.submit_nowait(sample)
        except ConfigError as error:
            return _refusal(400, error)
        except PredictError as error:
            return _refusal(500, error)
        except (QueueFullError, QueueClosedError) as error:
            return _refusal(503, error, {"Retry-After": "1"})
        except TimeoutError:
            return _refusal(504, f"no answer within {timeout_seconds} s")
        return JSONResponse({name: rows.tolist() for name, rows in outputs.items()})

    async def handle(request: Request) -> Response:
        try:
            sample = _read_sample(await request.body(), inputs)
        except ConfigError as error:
            return _refusal(400, error)
        except ClientDisconnect:
            return Response(status_code=_CLIENT_CLOSED_REQUEST)
        response = Response(status_code=_CLIENT_CLOSED_REQUEST)
        async with anyio.create_task_group() as group:
            group.start_soon(_cancel_on_disconnect, request, group.cancel_scope)
            response = await answer(request.state.scheduler, sample)
            group.cancel_scope.cancel()
        return response

    async def health(request: Request) -> Response:
        return JSONResponse({"queued": request.state.scheduler.queued_count})

    return Starlette(
        routes=[
            Route("/predict", handle, methods=["POST"]),
            Route("/health", health),
        ],
        lifespan=lifespan,
    )


async def _cancel_on_disconnect(request: Request, scope: anyio.CancelScope) -> None:
    """Wait until the client is gone. Servers only say so to those who listen."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


def _read_sample(body: bytes, inputs: list[TensorSpec]) -> Feeds:
    """Turn a body into arrays of the right types; the scheduler checks their shapes.

    Raises
    ------
    ConfigError
        It is not an object with a regular list for each input.
    """
    try:
        given = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise ConfigError("the body is not a JSON object", detail=str(error)) from error
    types = {spec.name: spec.dtype for spec in inputs}
    unknown = sorted(given.keys() - types.keys())
    if unknown or len(given) != len(types):
        raise ConfigError(f"a sample has the inputs {list(types)}, not {list(given)}")
    sample = {}
    for name, value in given.items():
        dtype = np.dtype(types[name])
        try:
            # First as it is: numpy would cut fractions off without a word.
            found = np.asarray(value).dtype
            if not np.can_cast(found, dtype, "same_kind"):
                raise TypeError(f"it holds {found}")
            sample[name] = np.asarray(value, dtype=dtype)
        except (ValueError, TypeError, OverflowError) as error:
            raise ConfigError(
                f"input {name!r} is not a regular list of {dtype}",
                detail=str(error),
            ) from error
    return sample


def _refusal(
    status: int, error: object, headers: Mapping[str, str] | None = None
) -> Response:
    return JSONResponse({"error": str(error)}, status_code=status, headers=headers)


def onnx_app() -> Starlette:
    """Make an application that serves the ONNX model named by ``MODEL``.

    Returns
    -------
    Starlette
        With the model's inputs and outputs; its first dimension is the batch.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(
        os.environ["MODEL"], providers=["CPUExecutionProvider"]
    )
    inputs = [_spec(declared) for declared in session.get_inputs()]
    names = [declared.name for declared in session.get_outputs()]

    def predict(feeds: Feeds) -> Feeds:
        return dict(zip(names, session.run(names, feeds), strict=True))

    return make_app(predict, inputs, batching=Batching(max_batch=32, max_queued=1024))


def _spec(declared: Any) -> TensorSpec:
    """Say what a sample of a model's input is: a batch of one.

    Raises
    ------
    ConfigError
        The model cannot be batched, or has inputs of a type that is not plain data.
    """
    rows, *rest = declared.shape
    if not (rows is None or isinstance(rows, str)):
        raise ConfigError(
            f"input {declared.name!r} has the fixed shape {declared.shape}",
            hint="export the model with a dynamic first dimension",
        )
    if declared.type not in _DTYPES:
        raise ConfigError(
            f"input {declared.name!r} is of type {declared.type}, not one of "
            f"{', '.join(_DTYPES)}"
        )
    return TensorSpec(declared.name, _DTYPES[declared.type], (1, *rest))
