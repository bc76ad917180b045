"""What docs/security.md promises of files that somebody else made."""

from __future__ import annotations

import hashlib
import json
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from bytemlperf.datasets import ModelHints, open_arrays, prepare_samples
from bytemlperf.datasets.image_source import ImageSource
from bytemlperf.errors import ConfigError, PrepareError
from bytemlperf.model_zoo.catalog import load_model_info
from bytemlperf.model_zoo.schema import Checkpoint, parse_model_info
from bytemlperf.model_zoo.weights import read_checkpoint
from bytemlperf.tensor_spec import TensorSpec
from bytemlperf.workloads import find_workloads
from bytemlperf.workloads.schema import parse_workload

ROOT = Path(__file__).parents[2]


class Trap:
    """Pickled, it makes a file when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_the_trap_works(tmp_path: Path) -> None:
    """Or the tests below could not fail."""
    pickle.loads(pickle.dumps(Trap(tmp_path / "sprung")))  # noqa: S301
    assert (tmp_path / "sprung").exists()


@pytest.mark.slow
@pytest.mark.frameworks
@pytest.mark.parametrize("is_archived", [False, True])
def test_a_checkpoint_cannot_run_code(tmp_path: Path, is_archived: bool) -> None:
    """Not as the file itself and not as the object in PyTorch's own archive."""
    path = tmp_path / "weights.pt"
    if is_archived:
        import torch

        torch.save({"w": Trap(tmp_path / "sprung")}, path)
    else:
        path.write_bytes(pickle.dumps({"w": Trap(tmp_path / "sprung")}))
    body = path.read_bytes()
    checkpoint = Checkpoint(
        bytes=len(body),
        sha256=hashlib.sha256(body).hexdigest(),
        format="torch",
        licence="none",
        file="weights.pt",
    )
    with pytest.raises(PrepareError, match="expected torch tensors in"):
        read_checkpoint(path, checkpoint)
    assert not (tmp_path / "sprung").exists()


def test_an_array_of_objects_is_refused(tmp_path: Path) -> None:
    """The same bait in numpy's format, where samples are kept."""
    prepared = prepare_samples(
        None,
        specs=(TensorSpec("x", "float32", (1, 4)),),
        model=ModelHints(model="tiny", framework="Pytorch"),
        cache_dir=tmp_path,
        data_root=None,
        max_samples=1,
        seed=0,
    )
    bait = np.array([[Trap(tmp_path / "sprung")]], dtype=object)
    np.save(tmp_path / prepared.key / prepared.files["x"], bait, allow_pickle=True)
    with pytest.raises(PrepareError, match="cannot map"):
        open_arrays(prepared)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("name", ["../evil.png", "/tmp/evil.png", "a/../../evil.png"])
def test_an_archive_unpacks_nowhere(tmp_path: Path, name: str) -> None:
    """Members are read in memory: a name that leads out leads nowhere."""
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    with zipfile.ZipFile(inner / "pictures.zip", "w") as archive:
        archive.writestr(name, b"not a picture")
    before = sorted(tmp_path.rglob("*"))
    source = ImageSource(inner / "pictures.zip")
    assert source.read(source.names()[0]) == b"not a picture"
    source.close()
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["../secret.png", "/etc/passwd", "a/../../secret.png"])
def test_a_folder_is_not_left(tmp_path: Path, name: str) -> None:
    """Nor is it for a name that a list of labels gives."""
    (tmp_path / "secret.png").write_bytes(b"secret")
    (tmp_path / "pictures").mkdir()
    with pytest.raises(PrepareError, match="leads out of the folder"):
        ImageSource(tmp_path / "pictures").read(name)


@pytest.mark.parametrize("file", ["../weights.pt", "/etc/shadow", "a/../../weights.pt"])
def test_a_model_names_no_weights_outside(file: str) -> None:
    """A model's file is data of somebody else; so is what it points to."""
    with pytest.raises(msgspec.ValidationError, match="leads out of"):
        msgspec.convert(
            {
                "bytes": 1,
                "sha256": "0" * 64,
                "format": "torch",
                "licence": "none",
                "file": file,
            },
            Checkpoint,
        )


HOSTILE = [
    b'{"model": "bert-torch-fp32", "clients": 1e400}',
    b'{"model": "bert-torch-fp32", "clients": 99999999999999999999999}',
    b'{"model": "bert-torch-fp32", "clients": -1}',
    b'{"model": "bert-torch-fp32", "batch_sizes": [0]}',
    b'{"model": "bert-torch-fp32", "batch_sizes": [NaN]}',
    b'{"model": ' + b"[" * 100_000,
    b'{"model": {"py/object": "os.system", "py/args": ["true"]}}',
    b"!!python/object/apply:os.system ['true']",
    b'{"model": "\xff\xfe"}',
    b'{"__class__": "os.system"}',
]


@pytest.mark.parametrize("body", HOSTILE)
def test_hostile_json_ends_in_a_sentence(body: bytes) -> None:
    """Workloads and models alike: refused, with what was expected."""
    with pytest.raises(ConfigError):
        parse_workload(body, "hostile.json")
    with pytest.raises(ConfigError):
        parse_model_info(body, "hostile.json")


@pytest.mark.parametrize(
    "model", ["../../etc/passwd", "/etc/passwd", "a\0b", "a\0b.json", "", "/"]
)
def test_what_a_workload_calls_a_model_must_be_one(tmp_path: Path, model: str) -> None:
    """A path is read as a model's JSON, whatever is there, and refused as that."""
    (tmp_path / "t.json").write_text(json.dumps({"model": model}))
    with pytest.raises(ConfigError):
        load_model_info(find_workloads(str(tmp_path / "t.json"))[0].workload.model)


def test_every_promise_names_a_test_that_exists() -> None:
    """A rule of the page that no test checks is only a wish."""
    text = (ROOT / "docs" / "security.md").read_text()
    rules = text.split("## The rules")[1].split("\n## ")[0]
    promises = re.split(r"\n- ", rules)[1:]
    assert len(promises) >= 7
    for promise in promises:
        named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", promise)
        assert named, promise
        for path, name in named:
            assert f"def {name}" in (ROOT / path).read_text(), (path, name)
