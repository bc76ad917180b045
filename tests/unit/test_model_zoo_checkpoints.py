"""Where trained weights are taken from, and what is refused."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile

import numpy as np
import pytest

from bytemlperf.errors import ConfigError, PrepareError
from bytemlperf.model_zoo import load_model_info, parse_model_info
from bytemlperf.model_zoo.checkpoints import checkpoint_file, choose_checkpoint
from bytemlperf.model_zoo.schema import Checkpoint
from bytemlperf.model_zoo.weights import read_checkpoint
from bytemlperf.model_zoo.wheel_download import download_wheel

BODY = b"weights"
SHA256 = hashlib.sha256(BODY).hexdigest()


def silent(stage, done, total):
    del stage, done, total


def info_with(**fields):
    """Describe ResNet-8 with one checkpoint of given origin."""
    raw = json.loads(json.dumps(_raw()))
    raw["weights"] = [
        {"bytes": len(BODY), "sha256": SHA256, "format": "torch", "licence": "MIT"}
        | fields
    ]
    return parse_model_info(json.dumps(raw).encode(), "x.json")


def _raw():
    import msgspec

    raw = msgspec.to_builtins(load_model_info("resnet8-torch-fp32"))
    return {name: value for name, value in raw.items() if value is not None}


def choose(info, cache, weights="auto", data_root=None, offline=True):
    return choose_checkpoint(
        info, cache, weights, data_root=data_root, offline=offline, progress=silent
    )


def test_a_file_of_the_data_folder_goes_before_a_download(tmp_path):
    """It needs no asking; without the folder there are no trained weights."""
    info = info_with(file="a/w.th", url="https://host/w.th")
    assert choose(info, tmp_path) is None
    data = tmp_path / "data" / "a" / "w.th"
    data.parent.mkdir(parents=True)
    data.write_bytes(BODY)
    chosen = choose(info, tmp_path, data_root=tmp_path / "data")
    assert chosen is not None
    assert chosen.path == str(data)
    kept = checkpoint_file(info.weights[0], tmp_path)
    kept.parent.mkdir()
    kept.write_bytes(BODY)
    chosen = choose(info, tmp_path)
    assert chosen is not None
    assert chosen.path == str(kept)
    assert choose(info, tmp_path, "seeded", data_root=tmp_path / "data") is None


def test_what_cannot_be_downloaded_is_named(tmp_path):
    """The file, and the folder in which it would be taken."""
    info = info_with(file="a/w.th")
    with pytest.raises(PrepareError, match=r"expected a/w\.th in the folder of real"):
        choose(info, tmp_path, "download")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "expected a url, a package or a file"),
        ({"package": "x==1"}, "expected the member of the package"),
        ({"package": "x>=1", "member": "w"}, r"weights\[0\]\.package: .*regex"),
        ({"package": "x==1 --index-url=y", "member": "w"}, "package: .*regex"),
        ({"url": "file:///etc/passwd"}, r"weights\[0\]\.url: .*regex"),
    ],
)
def test_an_origin_that_is_none_is_refused(fields, message):
    """A checkpoint says where it is; a package is one exact version, and no option."""
    with pytest.raises(ConfigError, match=message):
        info_with(**fields)


@pytest.mark.frameworks
@pytest.mark.filterwarnings("ignore")
def test_training_wraps_are_taken_off(tmp_path):
    """A state_dict beside a score, names with "module.", inside a zip: one tensor."""
    import torch

    body = io.BytesIO()
    state = {"module.a": torch.ones(2, dtype=torch.float16)}
    torch.save({"best_prec1": 91.7, "state_dict": state}, body)
    path = tmp_path / "w.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("p/w.th", body.getvalue())
    checkpoint = Checkpoint(
        bytes=1, sha256=SHA256, format="torch", licence="MIT", file="x", member="p/w.th"
    )
    arrays = read_checkpoint(path, checkpoint)
    assert list(arrays) == ["a"]
    assert arrays["a"].dtype == np.float32
    other = Checkpoint(
        bytes=1, sha256=SHA256, format="torch", licence="MIT", file="x", member="p/no"
    )
    with pytest.raises(PrepareError, match=r"expected torch tensors in .*w\.whl"):
        read_checkpoint(path, other)


@pytest.mark.frameworks
@pytest.mark.filterwarnings("ignore")
def test_a_keras_file_is_read_array_by_array(tmp_path):
    """By path; its configuration, which could run code, is never parsed."""
    import h5py

    path = tmp_path / "m.h5"
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = "not even JSON"
        kernel = np.arange(6, dtype=np.float32).reshape(2, 3)
        file["model_weights/dense/dense/kernel:0"] = kernel
    checkpoint = Checkpoint(
        bytes=1, sha256=SHA256, format="keras_h5", licence="MIT", file="x"
    )
    arrays = read_checkpoint(path, checkpoint)
    assert list(arrays) == ["dense/dense/kernel"]
    assert arrays["dense/dense/kernel"].tolist() == kernel.tolist()
    path.write_bytes(b"no h5")
    with pytest.raises(PrepareError, match="expected keras_h5 tensors"):
        read_checkpoint(path, checkpoint)


def make_wheel(folder):
    """Write a wheel of one data file, the way pip wants it."""
    path = folder / "tiny_weights-1.0-py3-none-any.whl"
    info = "tiny_weights-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny_weights/w.th", BODY)
        archive.writestr(
            f"{info}/METADATA",
            "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n",
        )
        archive.writestr(
            f"{info}/WHEEL",
            "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\n"
            "Tag: py3-none-any\n",
        )
        archive.writestr(f"{info}/RECORD", "")
    return path


@pytest.mark.slow
def test_a_wheel_is_fetched_with_pip_and_checked(tmp_path, monkeypatch):
    """From a folder that pip is told of; a wrong hash leaves nothing."""
    links = tmp_path / "links"
    links.mkdir()
    wheel = make_wheel(links)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(links))
    sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
    target = tmp_path / "cache" / "w.whl"
    download_wheel("tiny-weights==1.0", target, sha256=sha256, progress=silent)
    assert target.read_bytes() == wheel.read_bytes()
    other = tmp_path / "cache" / "other.whl"
    with pytest.raises(PrepareError, match="pip ended with 1") as caught:
        download_wheel("tiny-weights==1.0", other, sha256="0" * 64, progress=silent)
    assert "hash" in str(caught.value.detail).lower()
    with pytest.raises(PrepareError, match=r"tiny-weights==2\.0: pip ended"):
        download_wheel("tiny-weights==2.0", other, sha256=sha256, progress=silent)
    assert [path.name for path in target.parent.iterdir()] == ["w.whl"]
