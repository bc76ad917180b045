"""CIFAR in every form it is read in, and ImageNet's class folders."""

from __future__ import annotations

import io
import tarfile
import zipfile

import numpy as np
import pytest

from bytemlperf.datasets import ModelHints, open_arrays, open_labels, prepare_samples
from bytemlperf.datasets.cifar import CLASSES_10
from bytemlperf.errors import PrepareError
from bytemlperf.tensor_spec import TensorSpec

pytestmark = pytest.mark.frameworks

BINARY = "open_cifar10/cifar-10-batches-bin/test_batch.bin"
ARCHIVE = "open_cifar10/cifar-10-binary.tar.gz"
MEMBER = "cifar-10-batches-bin/test_batch.bin"


def prepare(root, cache, dataset="open_cifar10", transform="pixels", **changes):
    hints = ModelHints(model="net", framework="Onnx", transform=transform)
    arguments = {
        "specs": (TensorSpec("x", "float32", (1, 3, 32, 32), "image"),),
        "model": hints,
        "cache_dir": cache,
        "data_root": root,
        "max_samples": None,
        "seed": 0,
    }
    return prepare_samples(dataset, **(arguments | changes))


def records(count, label_bytes=1, classes=10, seed=0):
    random = np.random.default_rng(seed)
    planes = random.integers(0, 256, (count, 3072), np.uint8)
    labels = np.zeros((count, label_bytes), np.uint8)
    labels[:, -1] = random.integers(0, classes, count)
    return labels[:, -1], planes, np.concatenate([labels, planes], axis=1).tobytes()


def put(root, name, body):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    return path


def archive_of(member, body):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        info = tarfile.TarInfo(member)
        info.size = len(body)
        archive.addfile(info, io.BytesIO(body))
    return packed.getvalue()


@pytest.mark.parametrize("packed", [False, True])
def test_binary_records_are_planes_of_red_green_and_blue(tmp_path, packed):
    """A label, then 1024 bytes a channel; an archive is read in place."""
    labels, planes, body = records(7)
    if packed:
        put(tmp_path, ARCHIVE, archive_of(MEMBER, body))
    else:
        put(tmp_path, BINARY, body)
    prepared = prepare(tmp_path, tmp_path / "c")
    pixels, found = open_arrays(prepared)["x"], open_labels(prepared)["label"]
    assert (prepared.count, prepared.origin, prepared.metric) == (7, "real", "top_k")
    wanted = {planes[i].tobytes(): labels[i] for i in range(7)}
    for picture, label in zip(pixels, found, strict=True):
        assert wanted[picture.astype(np.uint8).tobytes()] == label
    # Nothing was unpacked beside the archive.
    files = [path for path in (tmp_path / "open_cifar10").rglob("*") if path.is_file()]
    assert len(files) == 1


def test_cifar100_is_labelled_with_its_fine_classes(tmp_path):
    """The second byte of a record, 0 to 99."""
    labels, _, body = records(9, label_bytes=2, classes=100)
    put(tmp_path, "open_cifar100/cifar-100-binary/test.bin", body)
    prepared = prepare(tmp_path, tmp_path / "c", dataset="open_cifar100")
    assert sorted(open_labels(prepared)["label"]) == sorted(labels)


def test_folders_of_pictures_give_their_class(tmp_path):
    """Lossless pictures come back as they were, under the folder's class."""
    from PIL import Image

    random = np.random.default_rng(3)
    for index, name in enumerate(CLASSES_10):
        pixels = random.integers(0, 256, (32, 32, 3), np.uint8)
        pixels[0, 0, 0] = index
        body = io.BytesIO()
        Image.fromarray(pixels).save(body, "PNG")
        put(tmp_path, f"open_cifar10/test/{name}/0001.png", body.getvalue())
    prepared = prepare(tmp_path, tmp_path / "c")
    pixels, labels = open_arrays(prepared)["x"], open_labels(prepared)["label"]
    assert pixels[:, 0, 0, 0].astype(int).tolist() == labels.tolist()


def test_the_residual_networks_recipe_is_imagenets(tmp_path):
    """ImageNet's mean and deviation, no resize."""
    _, planes, body = records(1)
    put(tmp_path, BINARY, body)
    prepared = prepare(tmp_path, tmp_path / "c", transform="cifar")
    mean = np.array([0.485, 0.456, 0.406]).reshape(3, 1, 1)
    std = np.array([0.229, 0.224, 0.225]).reshape(3, 1, 1)
    expected = (planes[0].reshape(3, 32, 32) / 255 - mean) / std
    np.testing.assert_allclose(open_arrays(prepared)["x"][0], expected, atol=2e-6)


@pytest.mark.parametrize(
    ("name", "body", "message"),
    [
        (BINARY, records(3)[2][:-1], r"test_batch\.bin: .* record 3 is cut short"),
        (BINARY, b"", r"test_batch\.bin: .* got 0 bytes"),
        (BINARY, bytes([10]) + bytes(3072), "'record 1' has class 10, outside 0 to 9"),
        (ARCHIVE, archive_of(MEMBER, b"x" * 9999)[:60], "cannot read .*tar.gz"),
        (ARCHIVE, archive_of("other", b"x"), "cannot read .*tar.gz"),
        (ARCHIVE, b"no archive", "cannot read .*tar.gz"),
        ("open_cifar10/test/frogs/1.png", b"x", "folder 'frogs', expected one of"),
        ("open_cifar10/test/frog/1.png", b"x", r"cannot decode 'frog/1\.png', picture"),
        ("open_cifar10/test/readme.txt", b"x", "the dataset is empty"),
    ],
)
def test_damage_is_named_and_leaves_nothing(tmp_path, name, body, message):
    """File and position stand in the error; the cache stays empty."""
    put(tmp_path / "data", name, body)
    with pytest.raises(PrepareError, match=message):
        prepare(tmp_path / "data", tmp_path / "c")
    left = [path.name for path in (tmp_path / "c").glob("*") if path.name != ".locks"]
    assert left == []


def test_a_link_in_an_archive_is_not_followed(tmp_path):
    """What is read must be a plain file of the archive."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        info = tarfile.TarInfo(MEMBER)
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(info)
    put(tmp_path, ARCHIVE, packed.getvalue())
    with pytest.raises(PrepareError, match="no plain file"):
        prepare(tmp_path, tmp_path / "c")


def test_what_was_downloaded_is_found_after_the_data_folder(tmp_path):
    """Data of the user's own goes first."""
    body = records(4)[2]
    put(tmp_path / "downloads", ARCHIVE, archive_of(MEMBER, body))
    prepared = prepare(
        None, tmp_path / "c", download_root=tmp_path / "downloads", max_samples=2
    )
    assert (prepared.origin, prepared.count) == ("real", 2)
    put(tmp_path / "own", BINARY, records(3, seed=1)[2])
    prepared = prepare(
        tmp_path / "own", tmp_path / "c", download_root=tmp_path / "downloads"
    )
    assert prepared.count == 3


def png(color):
    from PIL import Image

    body = io.BytesIO()
    Image.new("RGB", (260, 256), color).save(body, "PNG")
    return body.getvalue()


def prepare_imagenet(root, cache):
    spec = TensorSpec("x", "float32", (1, 3, 224, 224), "image")
    return prepare(root, cache, dataset="open_imagenet", transform=None, specs=(spec,))


def test_class_folders_are_ranked_by_their_names(tmp_path):
    """A thousand folders: the class is the rank of the folder's name."""
    for index in range(1000):
        (tmp_path / f"open_imagenet/val/n{index * 3:08d}").mkdir(parents=True)
    put(tmp_path, "open_imagenet/val/n00000021/a.png", png((250, 0, 0)))
    put(tmp_path, "open_imagenet/val/n00002997/b.png", png((0, 0, 250)))
    prepared = prepare_imagenet(tmp_path, tmp_path / "c")
    pixels, labels = open_arrays(prepared)["x"], open_labels(prepared)["label"]
    assert sorted(labels) == [7, 999]
    red = labels.tolist().index(7)
    assert pixels[red, 0, 0, 0] > pixels[red, 2, 0, 0]


def test_a_part_of_the_classes_needs_their_list(tmp_path):
    """The rank among a few folders would be another class."""
    put(tmp_path, "open_imagenet/val/n00000021/a.png", png("white"))
    with pytest.raises(PrepareError, match="expected 1000 classes, got 1"):
        prepare_imagenet(tmp_path, tmp_path / "c")
    words = "".join(f"n{index * 3:08d} some thing\n" for index in range(1000))
    put(tmp_path, "open_imagenet/synset_words.txt", words.encode())
    prepared = prepare_imagenet(tmp_path, tmp_path / "c")
    assert open_labels(prepared)["label"].tolist() == [7]
    put(tmp_path, "open_imagenet/val/n00000022/b.png", png("white"))
    with pytest.raises(PrepareError, match=r"n00000022/b\.png: .* none of the classes"):
        prepare_imagenet(tmp_path, tmp_path / "c")


def test_a_zip_of_folders_is_the_same_as_folders(tmp_path):
    """The published archive has a folder a class, below one named test."""
    path = tmp_path / "cifar10" / "cifar10_test_jpg.zip"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("test/ship/1.png", png("white"))
    assert open_labels(prepare(tmp_path, tmp_path / "c"))["label"].tolist() == [8]
