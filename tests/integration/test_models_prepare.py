"""From a model file to a model on the disk and its reference, at true size.

Wide & Deep stands for all where size is not the point; ResNet-50 and YOLOv5 are built
once more at theirs.
"""

from __future__ import annotations

import functools
import hashlib
import http.server
import io
import json
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bytemlperf.errors import ConfigError, PrepareError, StorageError
from bytemlperf.model_zoo import (
    ModelInfo,
    PreparedModel,
    forget_reference,
    load_model_info,
    parse_model_info,
    prepare_model,
    reference_outputs,
)
from bytemlperf.model_zoo.builders import find_architecture

pytestmark = [pytest.mark.frameworks, pytest.mark.slow, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
ZOO = ROOT / "bytemlperf" / "model_zoo"
WIDE_DEEP = "widedeep-tf-fp32"
PAIRS = "new_categorical_placeholder:0"
NUMBERS = "new_numeric_placeholder:0"


@pytest.fixture(autouse=True)
def _quiet_and_small() -> Iterator[None]:
    """Keep frameworks' own warnings out, and no model in memory after a test.

    Yields
    ------
    None
        For the test.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    forget_reference()


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """Serve a folder on the loopback interface.

    Yields
    ------
    tuple of (Path, str)
        The folder, and the URL of it.
    """
    folder = tmp_path_factory.mktemp("site")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    handler = functools.partial(Handler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def changed(name: str, **changes: Any) -> ModelInfo:
    raw = json.loads((ZOO / f"{name}.json").read_text())
    return parse_model_info(json.dumps(raw | changes).encode(), f"{name}.json")


def with_checkpoint(site: tuple[Path, str], name: str, body: bytes) -> ModelInfo:
    """Describe Wide & Deep with a checkpoint that the site serves."""
    folder, url = site
    (folder / name).write_bytes(body)
    checkpoint = {
        "url": f"{url}/{name}",
        "bytes": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
        "format": "safetensors" if name.endswith("safetensors") else "torch",
        "licence": "Apache-2.0",
    }
    return changed(WIDE_DEEP, weights=[checkpoint])


def trained_state() -> dict[str, Any]:
    import torch

    weights = find_architecture("wide_deep").seeded_weights(41)
    return {name: torch.from_numpy(array) for name, array in weights.items()}


def saved(state: object) -> bytes:
    import torch

    body = io.BytesIO()
    torch.save(state, body)
    return body.getvalue()


def rows(count: int) -> dict[str, Any]:
    drawn = find_architecture("wide_deep").example(count, seed=9)
    return {f"{name}:0": array for name, array in drawn.items()}


def run_saved_model(prepared: PreparedModel, feeds: dict[str, Any]) -> Any:
    import tensorflow as tf

    loaded = tf.saved_model.load(prepared.model_path)
    found = loaded.signatures["serving_default"](
        **{name.removesuffix(":0"): tf.constant(a) for name, a in feeds.items()}
    )
    return found["import/head/predictions/probabilities"].numpy()


def test_a_model_is_built_once_and_described(cache: Path) -> None:
    """The second call finds what the first one built, and says so."""
    info = load_model_info(WIDE_DEEP)
    ticks = iter(range(0, 10**12, 10**9))
    seen: list[tuple[str, int, int]] = []
    first = prepare_model(
        info,
        cache,
        progress=lambda *step: seen.append(step),
        now_ns=lambda: next(ticks),
    )
    again = prepare_model(info, cache)
    assert not first.cached
    assert again.cached
    assert first.build_seconds == again.build_seconds == 1.0
    assert (first.weights, first.weights_source) == ("seeded", "seed 0")
    assert first.parameter_count == 2_380_690
    assert 9.5e6 < first.bytes < 11e6
    assert Path(first.model_path).is_absolute()
    assert (Path(first.model_path) / "saved_model.pb").is_file()
    assert again.sha256 == first.sha256
    assert seen[0][0] == "drawing weights"
    assert all(0 <= done <= total for _, done, total in seen)


def test_the_reference_is_the_same_weights_in_double_precision(cache: Path) -> None:
    """Rows come back in order under the model file's names, within float32's reach."""
    info = load_model_info(WIDE_DEEP)
    prepared = prepare_model(info, cache)
    feeds = rows(5)
    expected = reference_outputs(info, prepared, feeds)
    assert list(expected) == list(info.output_names)
    probabilities = expected[info.output_names[0]]
    assert probabilities.shape == (5, 2)
    assert probabilities.dtype == np.float64
    assert probabilities.std(axis=0).min() > 0.01
    found = run_saved_model(prepared, feeds)
    np.testing.assert_allclose(found, probabilities, atol=1e-6)
    # Not float32 in a float64 coat.
    assert (probabilities != probabilities.astype(np.float32)).any()


@pytest.mark.parametrize(
    ("feeds", "message"),
    [
        ({PAIRS: (26, 2)}, "expected feeds .* got"),
        ({PAIRS: (26, 2), NUMBERS: (1, 13), "x": (1,)}, "expected feeds .* got"),
        ({PAIRS: (26, 2), NUMBERS: (2, 13)}, "same whole number of samples"),
        ({PAIRS: (27, 2), NUMBERS: (1, 13)}, "same whole number of samples"),
        ({PAIRS: (0, 2), NUMBERS: (0, 13)}, "same whole number of samples"),
    ],
)
def test_feeds_that_do_not_fit_are_refused(
    cache: Path, feeds: dict[str, tuple[int, ...]], message: str
) -> None:
    """Missing, unknown and uneven inputs are named."""
    info = load_model_info(WIDE_DEEP)
    prepared = prepare_model(info, cache)
    arrays = {name: np.zeros(shape) for name, shape in feeds.items()}
    with pytest.raises(ConfigError, match=message):
        reference_outputs(info, prepared, arrays)


def test_a_reference_of_other_weights_is_refused(cache: Path) -> None:
    """Weights drawn now must be those that the artefact was built from."""
    info = load_model_info(WIDE_DEEP)
    prepared = prepare_model(info, cache)
    forget_reference()
    other = changed(WIDE_DEEP, seed=1)
    with pytest.raises(PrepareError, match="was built from weights"):
        reference_outputs(other, prepared, rows(1))


def test_another_seed_is_another_entry(cache: Path) -> None:
    """The key holds everything that the artefact depends on."""
    one = prepare_model(load_model_info(WIDE_DEEP), cache)
    two = prepare_model(changed(WIDE_DEEP, seed=1), cache)
    assert one.model_path != two.model_path
    assert one.weights_sha256 != two.weights_sha256
    assert one.sha256 != two.sha256


def test_two_processes_share_one_build(tmp_path: Path) -> None:
    """Of two at once, one builds, and both get the same model."""
    code = (
        "import sys, warnings; warnings.simplefilter('ignore');"
        "from pathlib import Path;"
        "from bytemlperf.model_zoo import load_model_info, prepare_model;"
        f"p = prepare_model(load_model_info('{WIDE_DEEP}'), Path(sys.argv[1]));"
        "print(p.cached, p.sha256)"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
        )
        for _ in range(2)
    ]
    answers = [process.communicate()[0].split() for process in processes]
    assert sorted(cached for cached, _ in answers) == ["False", "True"]
    assert len({sha256 for _, sha256 in answers}) == 1


@pytest.mark.parametrize("format_name", ["torch", "safetensors"])
def test_a_checkpoint_is_downloaded_only_when_asked(
    site: tuple[Path, str], tmp_path: Path, format_name: str
) -> None:
    """Auto draws from the seed until "download" has brought the file."""
    if format_name == "torch":
        info = with_checkpoint(site, "wide_deep.pth", saved(trained_state()))
    else:
        from safetensors.torch import save

        info = with_checkpoint(site, "wide_deep.safetensors", save(trained_state()))
    assert prepare_model(info, tmp_path).weights == "seeded"
    with pytest.raises(PrepareError, match="and downloads are off"):
        prepare_model(info, tmp_path, weights="download", offline=True)
    stages: list[str] = []
    prepared = prepare_model(
        info,
        tmp_path,
        weights="download",
        progress=lambda stage, done, total: stages.append(stage),
    )
    assert "downloading" in stages
    assert (prepared.weights, prepared.weights_source) == (
        "trained",
        info.weights[0].url,
    )
    for choice, trained in (("auto", True), ("download", True), ("seeded", False)):
        again = prepare_model(info, tmp_path, weights=choice, offline=True)
        assert again.cached
        assert (again.weights == "trained") is trained
    feeds = rows(2)
    expected = reference_outputs(info, prepared, feeds)[info.output_names[0]]
    np.testing.assert_allclose(run_saved_model(prepared, feeds), expected, atol=1e-6)
    forget_reference()
    next((tmp_path / "checkpoints").glob("*wide_deep.*[hs]")).unlink()
    with pytest.raises(PrepareError, match="is gone since the model was built"):
        reference_outputs(info, prepared, feeds)
    assert prepare_model(info, tmp_path).weights == "seeded"


def test_a_checkpoint_that_was_changed_is_refused(
    site: tuple[Path, str], tmp_path: Path
) -> None:
    """The hash is checked again when the file is read."""
    info = with_checkpoint(site, "changed.pth", saved(trained_state()))
    file = tmp_path / "checkpoints" / f"{info.weights[0].sha256[:16]}-changed.pth"
    file.parent.mkdir()
    file.write_bytes(bytes(info.weights[0].bytes))
    with pytest.raises(PrepareError, match=f"expected sha256 {info.weights[0].sha256}"):
        prepare_model(info, tmp_path)


class Bomb:
    """What a pickle would run."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("bomb",)


def test_a_checkpoint_cannot_run_code(
    site: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pickle of anything but tensors is refused before it does anything."""
    monkeypatch.chdir(tmp_path)
    info = with_checkpoint(site, "bomb.pth", saved({"embedding": Bomb()}))
    with pytest.raises(PrepareError, match=r"expected torch tensors in .*bomb\.pth"):
        prepare_model(info, tmp_path / "cache", weights="download")
    assert not (tmp_path / "bomb").exists()


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"embedding": 3}, "expected a tensor at 'embedding'"),
        ([1, 2], "expected a dictionary of tensors"),
        ({}, r"other\.pth: 11 of 11 tensors are missing, 0 are unknown"),
    ],
)
def test_a_checkpoint_of_something_else_is_refused(
    site: tuple[Path, str], tmp_path: Path, state: object, message: str
) -> None:
    """What is in the file must be this architecture's tensors."""
    info = with_checkpoint(site, "other.pth", saved(state))
    with pytest.raises(PrepareError, match=message):
        prepare_model(info, tmp_path, weights="download")
    assert not list(tmp_path.glob(f"{WIDE_DEEP}-*/"))


def test_a_model_without_checkpoints_cannot_be_downloaded(cache: Path) -> None:
    """The error says what can be done instead."""
    with pytest.raises(PrepareError, match="no trained checkpoint of it is known"):
        prepare_model(load_model_info(WIDE_DEEP), cache, weights="download")


def test_a_user_s_model_is_used_as_it_is(cache: Path, tmp_path: Path) -> None:
    """It is hashed, not copied; and nothing is claimed of its weights."""
    info = load_model_info(WIDE_DEEP)
    built = Path(prepare_model(info, cache).model_path)
    mine = prepare_model(info, tmp_path, model_path=built)
    assert mine.model_path == str(built)
    assert (mine.weights, mine.parameter_count) == ("user", None)
    assert mine.sha256 == prepare_model(info, cache).sha256
    assert mine.bytes == prepare_model(info, cache).bytes
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(PrepareError, match="no reference for a model that was brought"):
        reference_outputs(info, mine, rows(1))


def test_a_user_s_model_of_the_wrong_kind_is_refused(tmp_path: Path) -> None:
    """What was expected and what is there is said, before anything is loaded."""
    (tmp_path / "model.onnx").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    for name, path, message in (
        (WIDE_DEEP, "none", "does not exist"),
        (WIDE_DEEP, "model.onnx", r"expected a SavedModel folder .* a \.onnx file"),
        (WIDE_DEEP, "folder", "expected a SavedModel folder .* found a folder"),
        ("bert-torch-fp32", "model.onnx", r"expected a Pytorch file \(\.pt\)"),
        ("yolov5-onnx-fp32", "folder", r"expected a Onnx file .* found a folder"),
    ):
        with pytest.raises(ConfigError, match=message):
            prepare_model(load_model_info(name), tmp_path, model_path=tmp_path / path)


def test_what_cannot_be_built_is_refused(tmp_path: Path) -> None:
    """No builder, a wrong count, a wrong choice, no room: each has its own words."""
    with pytest.raises(PrepareError, match="names no builder"):
        prepare_model(changed(WIDE_DEEP, builder=None), tmp_path)
    with pytest.raises(ConfigError, match="unknown builder 'wide_deap'"):
        prepare_model(changed(WIDE_DEEP, builder="wide_deap"), tmp_path)
    with pytest.raises(PrepareError, match=r"\$\.parameters says 7, but builder"):
        prepare_model(changed(WIDE_DEEP, parameters=7), tmp_path)
    with pytest.raises(ConfigError, match="weights: expected auto, seeded or download"):
        prepare_model(load_model_info(WIDE_DEEP), tmp_path, weights="best")  # type: ignore[arg-type]
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="cannot write"):
        prepare_model(load_model_info(WIDE_DEEP), tmp_path / "file")


def test_a_disk_without_room_is_told_before_building(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes needed and bytes free are in the error."""
    import shutil

    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(StorageError, match="needs 14,284,140 bytes in"):
        prepare_model(load_model_info(WIDE_DEEP), tmp_path)


def test_resnet50_is_itself_in_both_frameworks(cache: Path) -> None:
    """TorchScript, SavedModel and float64 agree at true size on one set of weights."""
    import tensorflow as tf
    import torch

    torch_info = load_model_info("resnet50-torch-fp32")
    tf_info = load_model_info("resnet50-tf-fp32")
    torch_model = prepare_model(torch_info, cache)
    tf_model = prepare_model(tf_info, cache)
    assert torch_model.weights_sha256 == tf_model.weights_sha256
    pictures = find_architecture("resnet50").example(2, seed=4)["input_1"]
    expected = reference_outputs(torch_info, torch_model, {"input_1.1": pictures})
    logits = expected["softmax_tensor:0"]
    with torch.inference_mode():
        found = torch.jit.load(torch_model.model_path)(torch.from_numpy(pictures))
    np.testing.assert_allclose(found.numpy(), logits, atol=2e-4)

    channels_last = np.ascontiguousarray(pictures.transpose(0, 2, 3, 1))
    expected = reference_outputs(tf_info, tf_model, {"input_tensor:0": channels_last})
    loaded = tf.saved_model.load(tf_model.model_path)
    answer = loaded.signatures["serving_default"](
        input_tensor=tf.constant(channels_last)
    )
    probabilities = answer["softmax_tensor"].numpy()
    np.testing.assert_allclose(
        probabilities, expected["softmax_tensor:0"], rtol=1e-3, atol=1e-7
    )
    softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(expected["softmax_tensor:0"], softmax, rtol=1e-9)


def test_yolov5s_finds_boxes_where_the_reference_does(cache: Path) -> None:
    """ONNX Runtime and float64 agree at true size, over all four outputs."""
    import onnxruntime

    info = load_model_info("yolov5-onnx-fp32")
    prepared = prepare_model(info, cache)
    feeds = find_architecture("yolov5s").example(1, seed=4)
    expected = reference_outputs(info, prepared, feeds)
    session = onnxruntime.InferenceSession(
        prepared.model_path, providers=["CPUExecutionProvider"]
    )
    found = dict(
        zip(info.output_names, session.run(list(info.output_names), feeds), strict=True)
    )
    for spec in info.output_tensors:
        assert found[spec.name].shape == spec.shape == expected[spec.name].shape
        scale = np.abs(expected[spec.name]).max()
        np.testing.assert_allclose(
            found[spec.name], expected[spec.name], rtol=0, atol=1e-4 * scale
        )
