"""Real trained weights, in every framework that carries them, on real pictures.

A few hundred samples with a count that is known; docs/models.md has the full scores.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from open_models import OPEN, Run

from bytemlperf.datasets import (
    ModelHints,
    PreparedSamples,
    find_data_root,
    open_arrays,
    open_labels,
    prepare_samples,
)
from bytemlperf.model_zoo import ModelInfo, load_model_info, prepare_model
from bytemlperf.quality import AccuracyScore, score

pytestmark = [
    pytest.mark.frameworks,
    pytest.mark.slow,
    pytest.mark.data,
    pytest.mark.filterwarnings("ignore"),
]

PICTURES = 200
# Of 16 pictures; 0.522 and 0.340 of all 128.
MAP50, MAP50_95 = 0.494, 0.310
# Pictures of the 200 that are recognised. One that stands between two classes may fall
# to either side on another machine.
RIGHT = {
    "resnet20-onnx-fp32": 166,
    "resnet20-tf-fp32": 166,
    "resnet20-torch-fp32": 166,
    "resnet32-onnx-fp32": 170,
    "resnet8-onnx-fp32": 149,
    "resnet8-tf-fp32": 149,
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("trained")


@pytest.fixture(scope="module")
def data_root() -> Path:
    root = find_data_root()
    if root is None:
        pytest.skip("no sample data: BYTEMLPERF_DATA is not set, ../shared/data absent")
    return root


@pytest.fixture(autouse=True)
def _no_framework_warnings() -> Iterator[None]:
    """Keep what frameworks say of themselves on import out of the verdict.

    Yields
    ------
    None
        For the test.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def open_trained(name: str, cache: Path, data_root: Path) -> tuple[ModelInfo, Run]:
    info = load_model_info(name)
    prepared = prepare_model(info, cache / "models", data_root=data_root)
    assert prepared.weights == "trained"
    assert prepared.weights_licence == info.weights[0].licence
    if info.framework == "Pytorch":
        import torch

        # Two threads wait for each other longer than these networks take.
        torch.set_num_threads(1)
    return info, OPEN[info.model_format](Path(prepared.model_path), info)


def samples_of(
    info: ModelInfo, cache: Path, data_root: Path, count: int
) -> PreparedSamples:
    raw = {"model": info.model, "framework": info.framework, "layout": info.layout}
    return prepare_samples(
        info.dataset_name,
        specs=info.tensors,
        model=msgspec.convert(raw | (info.preprocess or {}), ModelHints),
        cache_dir=cache / "samples",
        data_root=data_root,
        max_samples=count,
        seed=0,
    )


def score_at(run: Run, samples: PreparedSamples, batch_size: int) -> AccuracyScore:
    """Predict in batches, the last one shorter, and score."""
    arrays = open_arrays(samples)
    parts: list[dict[str, npt.NDArray[Any]]] = []
    for start in range(0, samples.count, batch_size):
        stop = min(start + batch_size, samples.count)
        feeds = {n: np.ascontiguousarray(a[start:stop]) for n, a in arrays.items()}
        parts.append(run(feeds))
    assert samples.metric is not None
    return score(
        samples.metric,
        {name: np.concatenate([part[name] for part in parts]) for name in parts[0]},
        open_labels(samples),
        np.arange(samples.count),
        output_roles=samples.output_roles,
    )


@pytest.mark.parametrize("name", sorted(RIGHT))
def test_cifar_networks_recognise_what_they_should(
    name: str, cache: Path, data_root: Path
) -> None:
    """The same pictures are right in each framework, and at batch 1, 3 and 8."""
    info, run = open_trained(name, cache, data_root)
    samples = samples_of(info, cache, data_root, PICTURES)
    scores = [score_at(run, samples, size) for size in (8, 3, 1)]
    right = [round(each.figure("top1").value * each.n) for each in scores]
    assert [each.n for each in scores] == [PICTURES] * 3
    assert right == [right[0]] * 3
    assert abs(right[0] - RIGHT[name]) <= 1


def test_yolov5n_finds_what_is_in_the_pictures(cache: Path, data_root: Path) -> None:
    """Average precision over 16 pictures, the tail of a batch of 3 included."""
    info, run = open_trained("yolov5n-onnx-fp32", cache, data_root)
    samples = samples_of(info, cache, data_root, 16)
    three, eight = (score_at(run, samples, size) for size in (3, 8))
    assert three.figure("map50").value == eight.figure("map50").value
    assert three.figure("map50").value == pytest.approx(MAP50, abs=5e-3)
    assert three.figure("map50_95").value == pytest.approx(MAP50_95, abs=5e-3)
