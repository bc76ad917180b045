"""Where the bytes lie: from the loaded samples through the pool into the frameworks."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from onnx_models import linear_onnx, nonzero_onnx

from bytemlperf.backends import create_backend, find_backend
from bytemlperf.engine.fitting import FittedPredict
from bytemlperf.runtime import (
    ArraySamples,
    Batching,
    ClosedLoop,
    Scheduler,
    WarmUp,
    run_sync,
)

pytestmark = pytest.mark.frameworks


def address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


def aligned(count: int, offset: int = 0) -> np.ndarray:
    """Return writable float32 that starts `offset` bytes past a 64-byte boundary."""
    raw = np.zeros(4 * count + 128, np.uint8)
    start = -address(raw) % 64 + offset
    return raw[start : start + 4 * count].view(np.float32)


def compiled_onnx(path: Path):
    backend = create_backend(find_backend("CPU"))
    backend.compile(
        {
            "workload": {"model": "m", "batch_sizes": [1, 4]},
            "model_info": {"model": "m", "framework": "Onnx", "model_path": str(path)},
            "interact_info": {},
        }
    )
    backend.load(4)
    return backend


def run_and_look(arrays, *, clients, batch, **scenario):
    """Run a closed loop; each batch's address and first value, and the recording."""
    seen = []

    def predict(feeds):
        seen.append((address(feeds["x"]), feeds["x"][0, 0]))
        return {"y": feeds["x"] + 1}

    recording = run_sync(
        predict,
        ArraySamples({"x": arrays}),
        scenario=ClosedLoop(clients=clients, iterations=20, **scenario),
        batching=Batching(max_batch=batch),
        warm_up=WarmUp(max_seconds=0),
    )
    return seen, recording


def test_neighbours_reach_predict_as_views_of_the_library():
    """A query of whole aligned samples is a view: all addresses are the library's."""
    samples = np.repeat(np.arange(64, dtype=np.float32)[:, None], 16, axis=1)
    seen, recording = run_and_look(samples, clients=1, batch=4, samples_per_query=4)
    assert recording.view_count == len(seen) == 20
    assert recording.gather_count == 0
    # Sample i lies i times 64 bytes after the first: there is one library, and no copy.
    assert len({where - 64 * int(first) for where, first in seen}) == 1
    assert len({where for where, _ in seen}) > 1


@pytest.mark.parametrize("width", [1, 3, 16, 17])
def test_no_misaligned_address_reaches_predict(width):
    """Whatever a sample's size, what predict gets begins at a multiple of 64 bytes."""
    samples = np.zeros((96, width), np.float32)
    seen, recording = run_and_look(samples, clients=3, batch=3)
    assert all(where % 64 == 0 for where, _ in seen)
    assert recording.view_count + recording.gather_count == len(seen)


def test_gathered_batches_lie_in_the_pool():
    """Samples that are brought are laid out in the predict thread's own slot."""
    seen = []

    def predict(feeds):
        seen.append(address(feeds["x"]))
        return {"y": feeds["x"] + 1}

    async def use():
        example = {"x": np.zeros((1, 3), np.float32)}
        async with Scheduler(predict, example, batching=Batching(max_batch=4)) as front:
            await asyncio.gather(*(front.submit(example) for _ in range(9)))
            return front._predictor.pool.address(0)

    slot = asyncio.run(use())
    assert set(seen) == {slot}


def test_onnx_reads_the_feed_and_answers_in_the_pool(tmp_path):
    """What is written to the feed's memory between two runs is seen by the second."""
    backend = compiled_onnx(linear_onnx(tmp_path / "m.onnx", width=4))
    feed = aligned(8).reshape(2, 4)
    backend.predict({"x": feed})  # shapes are learnt
    feed[...] = 1
    first = backend.predict({"x": feed})["y"]
    bound = backend._runtime._sessions.get()
    backend._runtime._sessions.put(bound)
    (binding,) = bound._bindings.values()
    assert binding._addresses == [address(feed)]
    feed[...] = 3
    second = backend.predict({"x": feed})["y"]
    np.testing.assert_array_equal(second, 3 * first)
    slots = [binding._pool.address(slot) for slot in range(binding._pool.slot_count)]
    assert {address(first), address(second)} <= set(slots)
    assert address(first) != address(second)
    (output,) = binding._binding.get_outputs()
    assert output.data_ptr() == address(second)
    assert backend.get_copied_inputs() == (0, 0)


def test_onnx_answers_are_kept_as_long_as_somebody_holds_them(tmp_path):
    """A slot is used again only when the answer in it, and every view, has gone."""
    backend = compiled_onnx(linear_onnx(tmp_path / "m.onnx", width=4))
    held = [
        backend.predict({"x": np.full((2, 4), value, np.float32)})["y"][:1]
        for value in range(8)
    ]
    for value, answer in enumerate(held):
        np.testing.assert_array_equal(answer, value * held[1])
    assert len({address(answer) for answer in held}) == 8
    del held, answer
    feed = np.ones((2, 4), np.float32)
    assert len({address(backend.predict({"x": feed})["y"]) for _ in range(5)}) == 1


def test_onnx_shapes_that_depend_on_data_are_not_bound(tmp_path):
    """Outputs whose size nobody knows beforehand are answered all the same."""
    backend = compiled_onnx(nonzero_onnx(tmp_path / "m.onnx"))
    for ones in (1, 3, 2):
        x = np.zeros((1, 4), np.float32)
        x[0, :ones] = 1
        assert backend.predict({"x": x})["y"].shape == (2, ones)


def test_onnx_copies_are_counted(tmp_path):
    """A strided feed is copied, and the report is told of it."""
    backend = compiled_onnx(linear_onnx(tmp_path / "m.onnx", width=4))
    strided = np.ones((2, 8), np.float32)[:, ::2]
    plain = backend.predict({"x": np.ones((2, 4), np.float32)})["y"]
    np.testing.assert_array_equal(backend.predict({"x": strided})["y"], plain)
    assert backend.get_copied_inputs() == (1, 32)
    fitted = FittedPredict(
        backend, rows_per_sample={"x": 1}, output_names=("y",), loaded_batch_size=4
    )
    assert fitted.copied_inputs() == (1, 32)


def test_tensorflow_sees_aligned_memory_in_place_and_copies_the_rest():
    """A misaligned address would end the process: it is copied, and counted."""
    from bytemlperf.backends.runtimes.copied_inputs import CopiedInputs
    from bytemlperf.backends.runtimes.saved_model import _tensor

    copied = CopiedInputs()
    array = aligned(16)
    tensor = _tensor(array, copied)
    array[:] = 7
    assert tensor.numpy().tolist() == [7] * 16
    assert copied.so_far == (0, 0)
    for offset in (4, 16, 32):
        misaligned = aligned(16, offset)
        tensor = _tensor(misaligned, copied)
        misaligned[:] = 7
        assert tensor.numpy().tolist() == [0] * 16
    assert copied.so_far == (3, 3 * 64)
