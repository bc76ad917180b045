"""The example that serves a model over HTTP, on both event loops, without sockets."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import threading
from pathlib import Path

import httpx
import numpy as np
import pytest
from loops import LOOPS, on_loop

from bytemlperf.runtime import Batching
from bytemlperf.tensor_spec import TensorSpec

EXAMPLE = Path(__file__).parents[2] / "examples" / "batching_server.py"
INPUTS = [TensorSpec("x", "float32", (1, 2))]


@pytest.fixture(scope="module")
def server():
    """Load the example, which is no package."""
    spec = importlib.util.spec_from_file_location("batching_server", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=LOOPS)
def execute(request):
    with on_loop(request.param) as run:
        yield run


class Model:
    """Doubles its input, refuses negative numbers, and can be held up.

    Must be made on the loop.
    """

    def __init__(self, *, held=False):
        self._loop = asyncio.get_running_loop()
        self._go = threading.Event()
        self.entered = asyncio.Event()
        self.batch_sizes = []
        if not held:
            self._go.set()

    def __call__(self, feeds):
        x = feeds["x"]
        self.batch_sizes.append(len(x))
        self._loop.call_soon_threadsafe(self.entered.set)
        assert self._go.wait(60)
        if (x < 0).any():
            raise ValueError("a negative number")
        return {"y": x * 2}

    def release(self):
        self._go.set()


@contextlib.asynccontextmanager
async def serving(app):
    """Run an application, and talk to it."""  # noqa: DOC402
    async with app.router.lifespan_context(app) as state:
        transport = httpx.ASGITransport(_with_state(app, state))
        async with httpx.AsyncClient(
            transport=transport, base_url="http://x"
        ) as client:
            yield client


def _with_state(app, state):
    """Hand over the lifespan's state with each request, as servers do."""

    async def wrapped(scope, receive, send):
        await app({**scope, "state": dict(state)}, receive, send)

    return wrapped


async def ask(client, first, second=0.0):
    return await client.post("/predict", json={"x": [[first, second]]})


async def queued(client, count):
    """Wait until so many requests are queued."""
    while (await client.get("/health")).json()["queued"] != count:  # noqa: ASYNC110
        await asyncio.sleep(0)


def test_concurrent_requests_share_batches(server, execute):
    """What waits while predict is busy becomes one batch, and each gets its own row."""

    async def main():
        model = Model(held=True)
        app = server.make_app(model, INPUTS, batching=Batching(max_batch=16))
        async with serving(app) as client:
            first = asyncio.create_task(ask(client, 100.0))
            await model.entered.wait()
            others = [asyncio.create_task(ask(client, i, 0.5)) for i in range(10)]
            await queued(client, 10)
            model.release()
            answers = await asyncio.gather(first, *others)
        assert model.batch_sizes == [1, 10]
        assert [each.status_code for each in answers] == [200] * 11
        assert answers[0].json() == {"y": [[200.0, 0.0]]}
        for i, each in enumerate(answers[1:]):
            assert each.json() == {"y": [[2.0 * i, 1.0]]}

    execute(main())


def test_predict_error_reaches_its_batch_only(server, execute):
    """A batch that fails answers 500 with the reason; the next one is served."""

    async def main():
        model = Model()
        app = server.make_app(model, INPUTS, batching=Batching(max_batch=1))
        async with serving(app) as client:
            failed = await ask(client, -1.0)
            assert failed.status_code == 500
            assert "a negative number" in failed.json()["error"]
            assert "ValueError" in failed.json()["error"]
            assert (await ask(client, 1.0)).json() == {"y": [[2.0, 0.0]]}

    execute(main())


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"not json", "not a JSON object"),
        (b"[1, 2]", "not a JSON object"),
        (b"{}", "has the inputs"),
        (b'{"z": [[1, 2]]}', "has the inputs"),
        (b'{"x": [[1, 2]], "z": 1}', "has the inputs"),
        (b'{"x": [[1], [2, 3]]}', "regular list"),
        (b'{"x": "12"}', "regular list"),
        (b'{"x": [[1, 2, 3]]}', "of shape"),
        (b'{"x": [1, 2]}', "of shape"),
    ],
)
def test_wrong_request_is_told_so(server, body, reason):
    """A body that is no sample is refused with 400 and what was expected."""

    async def main():
        app = server.make_app(Model(), INPUTS, batching=Batching(max_batch=4))
        async with serving(app) as client:
            answer = await client.post("/predict", content=body)
            assert answer.status_code == 400
            assert reason in answer.json()["error"]

    with on_loop("asyncio") as execute:
        execute(main())


def test_fractions_are_not_cut_off(server):
    """Numbers that do not fit the input's type are refused, not bent into it."""

    async def main():
        inputs = [TensorSpec("x", "int32", (1, 1))]
        app = server.make_app(Model(), inputs, batching=Batching(max_batch=4))
        async with serving(app) as client:
            for wrong in (b"0.5", b"3000000000"):
                body = b'{"x": [[%s]]}' % wrong
                answer = await client.post("/predict", content=body)
                assert answer.status_code == 400
            right = await client.post("/predict", content=b'{"x": [[3]]}')
            assert right.json() == {"y": [[6]]}

    with on_loop("asyncio") as execute:
        execute(main())


def test_full_queue_refuses(server, execute):
    """Beyond max_queued a request gets 503 at once; those before it are answered."""

    async def main():
        model = Model(held=True)
        batching = Batching(max_batch=1, max_queued=2)
        app = server.make_app(model, INPUTS, batching=batching)
        async with serving(app) as client:
            tasks = [asyncio.create_task(ask(client, 0.0))]
            await model.entered.wait()
            tasks += [asyncio.create_task(ask(client, i)) for i in (1.0, 2.0)]
            await queued(client, 2)
            refused = await ask(client, 3.0)
            assert refused.status_code == 503
            assert refused.headers["retry-after"] == "1"
            model.release()
            answers = await asyncio.gather(*tasks)
        assert [each.status_code for each in answers] == [200] * 3

    execute(main())


def test_slow_request_times_out_alone(server, execute):
    """A request over its time gets 504; the server goes on serving."""

    async def main():
        model = Model(held=True)
        app = server.make_app(
            model, INPUTS, batching=Batching(max_batch=8), timeout_seconds=0.02
        )
        async with serving(app) as client:
            late = await ask(client, 1.0)
            assert late.status_code == 504
            assert "0.02" in late.json()["error"]
            model.release()
            answers = await asyncio.gather(*(ask(client, i) for i in range(3)))
        # The machine may be slow too; whoever was answered was answered rightly.
        for i, each in enumerate(answers):
            assert each.status_code in {200, 504}
            if each.status_code == 200:
                assert each.json() == {"y": [[2.0 * i, 0.0]]}

    execute(main())


def test_client_that_gives_up_leaves_the_batch_alone(server, execute):
    """Cancelling one request's task frees it at once; its batch mates are answered."""

    async def main():
        model = Model(held=True)
        app = server.make_app(model, INPUTS, batching=Batching(max_batch=8))
        async with serving(app) as client:
            first = asyncio.create_task(ask(client, 0.0))
            await model.entered.wait()
            gone = asyncio.create_task(ask(client, 1.0))
            stays = asyncio.create_task(ask(client, 2.0))
            await queued(client, 2)
            gone.cancel()
            with pytest.raises(asyncio.CancelledError):
                await gone
            model.release()
            assert (await first).status_code == 200
            assert (await stays).json() == {"y": [[4.0, 0.0]]}

    execute(main())


def test_disconnect_ends_the_request(server, execute):
    """When the server reports a disconnect, the handler stops waiting for predict."""

    async def main():
        model = Model(held=True)
        app = server.make_app(model, INPUTS, batching=Batching(max_batch=8))
        async with app.router.lifespan_context(app) as state:
            asked = asyncio.Event()
            disconnected = asyncio.Event()
            sent = []

            async def receive():
                if not asked.is_set():
                    asked.set()
                    body = json.dumps({"x": [[1.0, 2.0]]}).encode()
                    return {"type": "http.request", "body": body, "more_body": False}
                await disconnected.wait()
                return {"type": "http.disconnect"}

            async def send(message):
                sent.append(message)

            scope = {
                "type": "http",
                "asgi": {"version": "3.0"},
                "http_version": "1.1",
                "method": "POST",
                "path": "/predict",
                "query_string": b"",
                "headers": [],
                "state": dict(state),
            }
            request = asyncio.create_task(app(scope, receive, send))
            await model.entered.wait()
            disconnected.set()
            await request
            assert sent[0]["status"] == 499
            assert model.batch_sizes == [1]
            model.release()

    execute(main())


def test_shutdown_answers_what_was_accepted(server, execute):
    """Leaving the lifespan waits for queued requests, and then refuses new ones."""

    async def main():
        model = Model(held=True)
        app = server.make_app(model, INPUTS, batching=Batching(max_batch=8))
        async with serving(app) as client:
            first = asyncio.create_task(ask(client, 1.0))
            await model.entered.wait()
            second = asyncio.create_task(ask(client, 2.0))
            await queued(client, 1)
            asyncio.get_running_loop().call_soon(model.release)
            transport = client._transport
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as late:
            refused = await ask(late, 3.0)
        assert refused.status_code == 503
        assert (await first).json() == {"y": [[2.0, 0.0]]}
        assert (await second).json() == {"y": [[4.0, 0.0]]}

    execute(main())


@pytest.mark.frameworks
def test_onnx_model_is_served(server, execute, tmp_path, monkeypatch):
    """A real model answers concurrent requests as it answers them one by one."""
    from onnx import TensorProto, helper, numpy_helper, save
    from onnxruntime import InferenceSession

    generator = np.random.default_rng(0)
    weights = generator.standard_normal((4, 3)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "w"], ["h"]),
            helper.make_node("Softmax", ["h"], ["y"]),
        ],
        "served",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 3])],
        [numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    path = tmp_path / "model.onnx"
    save(model, path)
    monkeypatch.setenv("MODEL", str(path))
    samples = generator.standard_normal((20, 1, 4)).astype(np.float32)
    session = InferenceSession(str(path), providers=["CPUExecutionProvider"])
    expected = [session.run(None, {"x": each})[0] for each in samples]

    async def main():
        async with serving(server.onnx_app()) as client:
            answers = await asyncio.gather(
                *(
                    client.post("/predict", json={"x": each.tolist()})
                    for each in samples
                )
            )
        for answer, wanted in zip(answers, expected, strict=True):
            np.testing.assert_allclose(answer.json()["y"], wanted, rtol=1e-5)

    execute(main())


@pytest.mark.frameworks
def test_model_of_fixed_batch_is_refused(server, tmp_path, monkeypatch):
    """A model whose batch cannot vary is refused when the server starts."""
    from onnx import TensorProto, helper, save

    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "fixed",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 4])],
    )
    path = tmp_path / "model.onnx"
    save(
        helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
        ),
        path,
    )
    monkeypatch.setenv("MODEL", str(path))
    with pytest.raises(ValueError, match="fixed shape"):
        server.onnx_app()
