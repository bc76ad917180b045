"""What the framework relies on, asked of every backend there is."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from bytemlperf.backends import list_backends, parse_compile_result

# A vendor's own code may load TorchScript without silencing its deprecation.
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")

OUTPUT_WIDTHS = {"weighted": 3, "mixed": 4, "echo": 4}


@pytest.fixture(scope="module")
def loaded(case):
    """Return a compiled instance, loaded for a batch of four."""
    backend, _ = case.compiled()
    backend.load(4)
    return backend


def test_every_registered_backend_is_tested_here(covered_hardware_types):
    """A backend that is added to the package gets a case, or this fails."""
    packaged = {b.hardware_type for b in list_backends() if b.origin == "package"}
    assert packaged <= covered_hardware_types


def test_version_is_a_string(case):
    """The report names what was measured, before anything is compiled."""
    backend, _ = case.compiled()
    assert isinstance(backend.version(), str)
    assert backend.version()


def test_attributes_are_there(loaded, case):
    """The framework reads four attributes, whatever ``__init__`` did."""
    assert loaded.hardware_type == case.info.hardware_type
    assert isinstance(loaded.need_reload, bool)
    assert isinstance(loaded.need_quant, bool)
    assert isinstance(loaded.need_model, bool)


def test_compile_result_keeps_the_contract(case):
    """The result parses, and names the tensors that were declared."""
    backend, raw = case.compiled()
    result = parse_compile_result(raw, backend.hardware_type)
    assert result.compile_status == "success"
    assert result.max_batch_size == 4
    (segment,) = result.segments
    assert set(segment.input_tensor_map) == {"a", "b"}
    assert set(segment.output_tensor_map) == set(OUTPUT_WIDTHS)


def test_predict_answers_by_name(loaded, feeds):
    """Outputs are arrays by declared name, with the batch on axis 0."""
    answer = loaded.predict(feeds(4))
    assert {name: array.shape for name, array in answer.items()} == {
        name: (4, width) for name, width in OUTPUT_WIDTHS.items()
    }
    assert all(array.dtype == np.float32 for array in answer.values())


def test_predict_computes_the_model(loaded, case, feeds, expected):
    """The answer is the model's, not merely of its shape."""
    if not case.computes:
        assert all((array == 0).all() for array in loaded.predict(feeds(4)).values())
        return
    data = feeds(4, seed=3)
    answer = loaded.predict(data)
    for name, array in expected(data).items():
        np.testing.assert_allclose(answer[name], array, rtol=1e-5, atol=1e-6)


def test_inputs_are_bound_by_name(loaded, feeds):
    """The order of the feeds does not matter."""
    data = feeds(4)
    shuffled = {name: data[name] for name in reversed(data)}
    forward, backward = loaded.predict(data), loaded.predict(shuffled)
    for name, array in forward.items():
        np.testing.assert_array_equal(array, backward[name])


def test_answer_does_not_depend_on_the_batch(loaded, case, feeds):
    """A sample gets the same answer alone as among others."""
    data = feeds(4)
    together = loaded.predict(data)
    single, _ = case.compiled()
    single.load(1)
    for row in range(4):
        alone = single.predict({k: v[row : row + 1].copy() for k, v in data.items()})
        for name, array in alone.items():
            np.testing.assert_allclose(array[0], together[name][row], rtol=1e-5)


def test_predict_is_deterministic(loaded, feeds):
    """The same feeds get the same answer, bit for bit."""
    first, second = loaded.predict(feeds(4)), loaded.predict(feeds(4))
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name])


def test_outputs_do_not_alias_inputs(loaded, feeds):
    """The pool may overwrite a buffer as soon as predict has returned."""
    data = feeds(4)
    answer = loaded.predict(data)
    for array in answer.values():
        assert not any(np.shares_memory(array, value) for value in data.values())


def test_inputs_are_left_as_they_were(loaded, feeds):
    """Read-only feeds are accepted, and nothing is written to them."""
    data, untouched = feeds(4, seed=5), feeds(4, seed=5)
    loaded.predict(data)
    for name, array in data.items():
        assert not array.flags.writeable
        np.testing.assert_array_equal(array, untouched[name])


def test_earlier_answers_survive_later_calls(loaded, feeds):
    """An answer is not a buffer that the next call fills again."""
    first = loaded.predict(feeds(4, seed=1))
    kept = {name: array.copy() for name, array in first.items()}
    loaded.predict(feeds(4, seed=2))
    for name, array in first.items():
        np.testing.assert_array_equal(array, kept[name])


def test_load_is_seen(case):
    """The loaded batch size is the one that was asked for."""
    backend, _ = case.compiled()
    for batch_size in (1, 4, 2):
        backend.load(batch_size)
        assert backend.get_loaded_batch_size() == batch_size


def test_predict_runs_in_another_thread(loaded, feeds):
    """Predict threads are not the thread that compiled."""
    answers = []
    thread = threading.Thread(target=lambda: answers.append(loaded.predict(feeds(4))))
    thread.start()
    thread.join(timeout=60)
    (answer,) = answers
    for name, array in loaded.predict(feeds(4)).items():
        np.testing.assert_array_equal(array, answer[name])


def test_compile_twice_is_compile_once(loaded, case, feeds):
    """A second compilation replaces the first and answers the same."""
    backend, _ = case.compiled()
    backend.compile(case.configs, None)
    backend.load(4)
    for name, array in loaded.predict(feeds(4)).items():
        np.testing.assert_array_equal(array, backend.predict(feeds(4))[name])


def test_questions_have_the_keys_of_a_profile(case):
    """None, or entries that a user can be asked and whose defaults are enough."""
    backend, _ = case.compiled()
    for question in backend.get_interact_profile(case.configs) or []:
        assert {"name", "note", "dialog_type", "type", "default", "depends"} <= set(
            question
        )
    answers = {
        question["name"]: question["default"]
        for question in backend.get_interact_profile(case.configs) or []
    }
    raw = backend.compile({**case.configs, "interact_info": answers}, None)
    assert parse_compile_result(raw, backend.hardware_type).instance_count == 1


def test_instances_answer_at_once(case, feeds):
    """As many threads as the result says may call; none gets another's answer."""
    backend, _ = case.compiled()
    if backend.get_interact_profile(case.configs):
        answers = {"instance_count": 2, "intra_op_threads": 1}
        raw = backend.compile({**case.configs, "interact_info": answers}, None)
        assert parse_compile_result(raw, "hw").instance_count == 2
    backend.load(4)
    batches = [feeds(4, seed=seed) for seed in range(2)]
    expected = [backend.predict(batch) for batch in batches]
    answers_of: list[list] = [[], []]

    def call(index: int) -> None:
        answers_of[index] = [backend.predict(batches[index]) for _ in range(30)]

    threads = [threading.Thread(target=call, args=(index,)) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    for index, answers in enumerate(answers_of):
        assert len(answers) == 30
        for answer in answers:
            for name, array in answer.items():
                np.testing.assert_array_equal(array, expected[index][name])
